"""The whole of `gantools score` as one function: learn what is normal, find the threshold, score chunk by chunk.

The table to be scored, and the one that is learned from, may be larger than memory: at most TRAINING_ROWS rows drawn at
random are learned from, and rows are read, scored and written some thousands at a time.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.raw import to_raw
from gantools.data.tables.reader import TableReader
from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.data.tables.writer import Added, TableWriter
from gantools.errors import ConfigError, DataError
from gantools.evaluate.scores import Detection, ScoreTally
from gantools.score.drift import Drift, DriftMonitor
from gantools.score.table_scorer import AnomalyScorer
from gantools.score.threshold import Calibration

if TYPE_CHECKING:
    from gantools.export.kinds.table_scorer import ExportedScorer
    from gantools.train.monitor import Progress

TRAINING_ROWS = 50_000
TRAINING_CELLS = 2**23  # wide tables are learned from fewer rows
FALSE_ALARMS = 0.01
CONTAMINATION = 0.05  # of a table that is learned from itself
MOST_CONTAMINATION = 0.5  # beyond it the anomalies would be what is normal
HELD_BACK = 0.2  # of the rows marked normal, at most MAX_HELD_BACK, which the best F1 is sought on
MAX_HELD_BACK = 20_000
MANY_ALARMS = 0.2  # share of normal rows above the threshold of the best F1 that people are warned of
N_TOP = 20
# Of --budget; the rest is for reading and writing.
TRAINING_SHARE = 0.9

# Names of what takes time, as progress reports it.
STAGE_READ = "Reading"
STAGE_TRAIN = "Learning what is normal"
STAGE_SCORE = "Scoring"

_ANOMALOUS = ("1", "true", "t", "yes", "y", "anomaly", "anomalous", "abnormal", "outlier")
NORMAL = ("0", "false", "f", "no", "n", "normal", "inlier", "good", "ok", "free")


Scorer: TypeAlias = "AnomalyScorer | ExportedScorer"


@dataclass(frozen=True)
class Options:
    """How a scorer is trained.

    model, options, kinds: as in the other commands. steps, budget_s: of the training; None takes the model's own.
    contamination: share of anomalies among the rows learned from; None takes 0 for a table that is given as normal and
    CONTAMINATION for one that is scored itself. tail: extrapolate, for rates of false alarms that counting cannot tell.
    """

    model: str = "denoiser"
    options: Mapping[str, Any] | None = None
    kinds: Mapping[str, Kind] | None = None
    steps: int | None = None
    budget_s: float | None = None
    contamination: float | None = None
    tail: bool = False


@dataclass(frozen=True)
class Threshold:
    """Where the verdict is drawn. asked: share of false alarms, None where the best F1 decided or the saved scorer's
    own threshold was kept. f1: the best F1 on marked rows that were not learned from, None where none was sought."""

    value: float
    asked: float | None
    finest: float
    f1: float | None = None

    @property
    def can_be_resolved(self) -> bool:
        """Whether the held-out rows are enough for the rate that was asked for."""
        return self.asked is None or self.asked >= self.finest

    def words(self, calibration: Calibration, n_scored: int, what: str = "rows") -> list[str]:
        """In sentences where it is drawn, and what to expect of it when so many rows, or `what`, are scored."""
        n_held_out = len(calibration.scores)
        if self.asked is None:
            source = "where F1 is best" if self.f1 is not None else "that of the saved scorer"
            reached = f", {self.f1:.3f} on marked {what} that were not learned from" if self.f1 else ""
            above = float((calibration.scores > self.value).mean())
            said = [f"The threshold is {source}{reached}; {percent(above)} of the held-out normal {what} are above it."]
            if self.f1 is not None and above > MANY_ALARMS:
                said.append("With so many false alarms verdicts mean little; --false-alarms asks for fewer.")
            return said
        if self.can_be_resolved:
            expected = self.asked * n_scored
            number = f"about {round(expected):,}" if expected >= 1 else "fewer than 1"
            extrapolated = ", extrapolated by a tail" if calibration.tail is not None else ""
            may = f"{percent(self.asked)} of normal {what} may be called anomalous by mistake"
            told = (
                f"The {n_held_out:,} held-out normal {what} can tell rates down to {percent(self.finest)}{extrapolated}"
            )
            return [f"Asked for: {may}, so {number} of as many {what} if all were normal. {told}."]
        limit = f"the {n_held_out:,} held-out normal {what} can tell no rate of false alarms below"
        limit += f" {percent(self.finest)}, and {percent(self.asked)} was asked for"
        if math.isinf(self.value):
            return [f"Nothing is called anomalous: {limit}. Ask for more, or learn from more {what} or with --tail."]
        return [f"Only what is odder than all of these is called anomalous: {limit}. Ask for more, or learn from more."]


@dataclass(frozen=True)
class ScoreResult:
    """What `score_table` found.

    tally: counts and distribution of the scores. top: the most abnormal rows of the table, with `anomaly_score`,
    `p_value`, `is_anomaly` and `reason` behind their cells; the index counts the table's rows from 0. n_learned: rows
    learned from, None for a saved scorer; n_source: rows of the table that they are from; is_drawn: they were drawn at
    random, there were too many; n_marked: of the training table's rows, those left out as known anomalies.
    drift: None where the table was learned from itself. detection: None where no rows are marked. notes: what the user
    should know.
    """

    scorer: Scorer
    tally: ScoreTally
    top: pd.DataFrame
    threshold: Threshold
    contamination: float
    n_learned: int | None
    n_source: int | None
    is_drawn: bool
    n_marked: int
    drift: Drift | None
    detection: Detection | None
    notes: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """What the columns that were learned are."""
        return self.scorer.schema_

    def words(self) -> list[str]:
        """All of it in plain sentences, the drift apart."""
        tally, threshold = self.tally, self.threshold
        flagged = f"{tally.n_anomalous:,} are anomalous" if tally.n_anomalous != 1 else "1 is anomalous"
        said = [f"{tally.n_rows:,} rows scored: {flagged} ({percent(tally.n_anomalous / tally.n_rows)})."]
        said += threshold.words(self.scorer.calibration_, tally.n_rows)
        if self.n_learned is not None:
            left_out = f"; {self.n_marked:,} known anomalies left out" if self.n_marked else ""
            allowed = f"; {percent(self.contamination)} of them taken for anomalies" if self.contamination else ""
            drawn = f", drawn at random from {self.n_source:,}" if self.is_drawn else ""
            said.append(f"Learned from {self.n_learned:,} rows{drawn}{left_out}{allowed}.")
        found = self.detection
        if found is not None:
            said.append(detection_words(found))
            if self.n_learned is not None and self.drift is None:
                said.append("The normal rows among them were learned from, so on other rows it may be less.")
        return [*said, *self.notes]

    def column_notes(self) -> list[str]:
        """What was done with columns that are not simply scored."""
        unscored = {Kind.CONSTANT: "has no values", Kind.IDENTIFIER: "an identifier"}
        columns = self.schema.columns
        named = [f"'{column.name}' ({unscored[column.kind]})" for column in columns if column.kind in unscored]
        shown = ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
        notes = [f"Not scored: {shown}."] if named else []
        kept = [column for column in columns if column.rule in ("many_levels", "large_integers", "ambiguous_date")]
        return notes + [f"{column.note.replace(' and drawn at random', '')}." for column in kept]

    def drift_words(self) -> list[str]:
        """How the rows scored differ from those learned from; empty where they do not, or nothing was compared."""
        if self.drift is None or not self.drift.drifted:
            return []
        return ["The rows no longer look like those that were learned from, so verdicts mean less.", *self.drift.words]


Rows = Callable[[str, int, int | None], None]


def score_table(
    data: Path,
    output: Path,
    *,
    train: Path | None = None,
    scorer: Scorer | None = None,
    training: Options | None = None,
    false_alarms: float | None = None,
    labels: str | None = None,
    explain: bool = False,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str, Progress], None] | None = None,
    on_rows: Rows | None = None,
) -> ScoreResult:
    """Score every row of the file `data` and write it, with its scores behind, to `output`.

    train: a table of normal rows to learn from; without it and without a `scorer`, `data` itself is learned from.
    false_alarms: share of normal rows that may be called anomalies; None takes FALSE_ALARMS, or where known anomalies
    are marked the threshold of the best F1, or that of the saved scorer. labels: the column that marks known anomalies;
    it is never learned from, and neither are the rows that it marks. explain: also write the reasons, for the rows that
    are called anomalies. progress: called with the state of training. on_rows: called with a stage, the rows done and
    those there are, None where that is not known yet.

    Raises DataError for a table that cannot be scored, ConfigError for a bad option, TrainingError where nothing usable
    was learned, KeyboardInterrupt where training was interrupted. `output` is then as it was before.
    """
    asked = training or Options()
    added: dict[str, Added] = {"anomaly_score": "number", "p_value": "number", "is_anomaly": "truth"}
    if explain:
        added["reason"] = "text"
    check_rate("false_alarms", false_alarms, 1)
    check_rate("contamination", asked.contamination or None, MOST_CONTAMINATION)
    reader = _open(data, added, on_rows)
    head = next(iter(reader))
    if labels in head:
        with about(data):
            read_marks(head[labels])
    notes: list[str] = []
    f1: float | None = None
    n_learned: int | None = None
    n_source: int | None = None
    is_drawn = False
    n_marked = 0
    if scorer is not None:
        with about(data):
            if labels is not None and labels in scorer.schema_.names:
                problem = "the scorer has learned from it, so it marks nothing"
                raise DataError(problem, where=f"column '{labels}'", remedy="leave --labels out or train anew")
            _check_labels(labels, reader.columns)
            scorer.check_fits(head)
        contamination = float(scorer.contamination)
        if false_alarms is not None:
            scorer.false_alarms = false_alarms
            scorer.threshold_ = scorer.calibration_.threshold(false_alarms)
    else:
        source = reader if train is None else _open(train, added, on_rows)
        with about(source.path):
            _check_labels(labels, source.columns, reader.columns)
            learning = _learning_rows(source, labels, asked, has_train=train is not None, seed=seed)
            schema = infer_schema(learning.rows, None, asked.kinds)
            if not schema.numeric and not schema.categorical:
                remedy = "every one is constant or an identifier; see `gantools info`"
                raise DataError("no column is left to learn from", remedy=remedy)
        if train is not None:
            with about(data):
                _check_alike(head, schema, train)
        with about(source.path):
            learner = AnomalyScorer(
                model=asked.model,
                options=dict(asked.options or {}),
                false_alarms=false_alarms or FALSE_ALARMS,
                contamination=learning.contamination,
                tail=asked.tail,
                random_state=seed % 2**32,
                steps=asked.steps,
                budget_s=None if asked.budget_s is None else asked.budget_s * TRAINING_SHARE,
                device=device,
            )
            scorer = learner.fit(
                learning.rows,
                schema=schema,
                progress=None if progress is None else lambda state: progress(STAGE_TRAIN, state),
            )
        if learner.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        n_learned, n_marked, contamination = len(learning.rows), len(learning.marked), learning.contamination
        if asked.tail and scorer.calibration_.tail is None:
            notes.append("No tail could be fitted: the held-out rows are too few or too much alike.")
        n_source, is_drawn = source.n_rows, learning.is_drawn
        if train is not None and train.samefile(data):
            notes.append("The rows were learned from, so they look too normal; without --train each is held out once.")
        notes += learning.notes
        if false_alarms is None and len(learning.marked):
            f1 = _tune(learner, learning)

    is_own = f1 is not None or (n_learned is None and false_alarms is None)
    threshold = Threshold(
        float(scorer.threshold_), None if is_own else scorer.false_alarms, scorer.calibration_.finest, f1
    )
    monitor = None
    if n_learned is None or train is not None:
        monitor = DriftMonitor(scorer.drift_, len(scorer.calibration_.scores))
    is_itself = n_learned is not None and train is None
    tally = _score(scorer, reader, output, added, labels, monitor, on_rows, exclude_self=is_itself)
    if tally.n_unscored:
        notes.append(f"{tally.n_unscored} rows could not be scored; they have no score and are no anomalies.")
    return ScoreResult(
        scorer=scorer,
        tally=tally,
        top=_explained(scorer, tally.top, exclude_self=is_itself),
        threshold=threshold,
        contamination=contamination,
        n_learned=n_learned,
        n_source=n_source,
        is_drawn=is_drawn,
        n_marked=n_marked,
        drift=None if monitor is None else monitor.report(),
        detection=tally.detection(),
        notes=tuple(notes),
    )


def detection_words(found: Detection, what: str = "rows") -> str:
    """How well marked anomalies are found among rows, or `what`, as a sentence."""
    verdicts = "" if found.precision is None else f"precision {found.precision:.3f}, "
    return (
        f"On {found.n_anomalous:,} known anomalies and {found.n_normal:,} known normal {what}: ROC AUC "
        f"{found.roc_auc:.3f}, average precision {found.average_precision:.3f}; of the verdicts {verdicts}"
        f"recall {found.recall:.3f}."
    )


def percent(share: float) -> str:
    """0.0123 -> '1.2 %'."""
    hundredths = 100 * share
    if 99.5 <= hundredths < 100:
        return "more than 99 %"
    return "0 %" if not hundredths else f"{hundredths:.2g} %" if hundredths < 10 else f"{hundredths:.0f} %"


def _open(path: Path, added: Mapping[str, Added], on_rows: Rows | None) -> TableReader:
    """Raises DataError when the table holds scores already."""
    reader = TableReader(path, progress=None if on_rows is None else lambda n: on_rows(STAGE_READ, n, None))
    there = [name for name in added if name in reader.columns]
    if there:
        problem = "the table has a column of that name already, which the result would have twice"
        remedy = "drop or rename it (is this a table that was scored before?)"
        raise DataError(problem, where=f"{path}: column '{there[0]}'", remedy=remedy)
    return reader


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Let a DataError raised inside the block name the file: there may be two."""
    try:
        yield
    except DataError as error:
        if path.name in str(error):
            raise
        where = f"{path}: {error.where}" if error.where else str(path)
        raise DataError(error.problem, where=where, remedy=error.remedy) from error


def check_rate(option: str, rate: float | None, most: float) -> None:
    """Raise ConfigError where a rate is given that does not lie between 0 and `most`."""
    if rate is not None and not 0 < rate < most:
        raise ConfigError(f"must lie between 0 and {most:g}, not {rate:g}", where=option, remedy="0.01 is 1 row in 100")


def _check_labels(labels: str | None, *tables: tuple[str, ...]) -> None:
    if labels is None or any(labels in columns for columns in tables):
        return
    near = difflib.get_close_matches(labels, tables[0], n=1)
    remedy = f"did you mean '{near[0]}'?" if near else "name the column that marks known anomalies"
    raise DataError("there is no such column", where=f"column '{labels}'", remedy=remedy)


def _check_alike(head: pd.DataFrame, schema: Schema, train: Path) -> None:
    """Refuse, before anything is trained, a table that is not of the training table's columns."""
    ignored = [column for column in schema.columns if column.kind is Kind.IDENTIFIER or column.n_distinct == 0]
    lacking = [column.name for column in schema.columns if column not in ignored and column.name not in head]
    if lacking:
        shown = ", ".join(f"'{name}'" for name in lacking[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        problem = f"lacks the column{'s' if len(lacking) > 1 else ''} {shown}{more} of {train.name}"
        raise DataError(problem, remedy="give tables of the same columns")
    to_raw(head, schema)


# --- what is learned from ---


@dataclass(frozen=True)
class _Learning:
    """rows: to learn from. marked: known anomalies. held_back: rows known as normal, a part of those there are, each
    of which stands for `weight`. All without the labels' column."""

    rows: pd.DataFrame
    marked: pd.DataFrame
    held_back: pd.DataFrame
    weight: int
    contamination: float
    is_drawn: bool
    notes: tuple[str, ...]


def _learning_rows(source: TableReader, labels: str | None, asked: Options, *, has_train: bool, seed: int) -> _Learning:
    n = min(TRAINING_ROWS, max(1000, TRAINING_CELLS // len(source.columns)))
    frame = source.sample(n, seed)
    notes = []
    marks = np.full(len(frame), np.nan)
    if labels is not None and labels in source.columns:
        marks = read_marks(frame[labels])
        frame = frame.drop(columns=labels)
        if not (marks == 1).any():
            notes.append(f"No row of {source.path.name} is marked as an anomaly: no threshold was sought by marks.")
    is_marked = marks == 1
    if is_marked.all():
        raise DataError("every row is marked as an anomaly", remedy="give normal rows to learn from")
    held, weight = held_back(marks, seed)
    is_learned = ~is_marked
    is_learned[held] = False
    contamination = asked.contamination
    if contamination is None:
        is_clean = has_train or not np.isnan(marks).any()
        contamination = 0.0 if is_clean else CONTAMINATION
    return _Learning(
        rows=frame[is_learned].reset_index(drop=True),
        marked=frame[is_marked],
        held_back=frame.iloc[held],
        weight=weight,
        contamination=contamination,
        is_drawn=len(frame) < source.n_rows,
        notes=tuple(notes),
    )


def held_back(marks: npt.NDArray[np.float64], seed: int) -> tuple[npt.NDArray[np.int64], int]:
    """Which normal rows to keep from learning, so that a threshold can be sought on them and the marked anomalies.

    marks: [N] as `read_marks` gives. Returns their numbers, ascending, none where no anomaly is marked; and how many
    normal rows each of them stands for.
    """
    normal = np.flatnonzero(marks == 0)
    if not (marks == 1).any() or len(normal) < 2:
        return np.empty(0, dtype=np.int64), 1
    n_held = max(1, min(MAX_HELD_BACK, round(HELD_BACK * len(normal))))
    held = np.sort(np.random.default_rng(seed).choice(normal, n_held, replace=False))
    return held, max(1, round(len(normal) / n_held))


def read_marks(cells: pd.Series) -> npt.NDArray[np.float64]:
    """Which rows a column marks as anomalies: [N], 1 for an anomaly, 0 for a normal row, NaN where a cell is missing.

    Truths, 1 and 0, yes and no, and words such as anomaly and normal are understood, whatever their case. Raises
    DataError for any other cell.
    """
    positions, values = pd.factorize(cells)
    table = np.array([*(_mark(value, str(cells.name)) for value in values.tolist()), np.nan])
    return table[positions]


def _mark(value: Any, name: str) -> float:
    text = str(value).strip().lower()
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    if text in _ANOMALOUS:
        return 1.0
    if text in NORMAL:
        return 0.0
    problem = f"has {value!r}, which marks neither an anomaly nor a normal row"
    raise DataError(problem, where=f"column '{name}'", remedy="write 1 for known anomalies and 0 for normal rows")


def _tune(scorer: AnomalyScorer, learning: _Learning) -> float | None:
    """Set the threshold to where F1 is best on rows that were not learned from, and give that F1.

    Normal rows are held back in part and anomalies are not, so each of the former is taken several times: F1 depends on
    how many there are of each.
    """
    if not len(learning.held_back):
        return None
    rows = pd.concat([learning.marked, *[learning.held_back] * learning.weight], ignore_index=True)
    is_anomaly = np.arange(len(rows)) < len(learning.marked)
    scorer.tune(rows, is_anomaly)
    flagged = scorer.anomaly_score(rows) > scorer.threshold_
    return float(2 * (flagged & is_anomaly).sum() / max(1, flagged.sum() + is_anomaly.sum()))


# --- scoring ---


def _score(
    scorer: Scorer,
    reader: TableReader,
    output: Path,
    added: Mapping[str, Added],
    labels: str | None,
    monitor: DriftMonitor | None,
    on_rows: Rows | None,
    *,
    exclude_self: bool,
) -> ScoreTally:
    tally = ScoreTally(N_TOP)
    with TableWriter(output, reader, added) as writer:
        for chunk in reader.chunks():
            frame = chunk.frame
            with about(reader.path):
                marks = read_marks(frame[labels]) if labels is not None and labels in frame else None
                if not tally.n_rows:
                    scorer.check_fits(frame)
                assessed = scorer.assess(
                    frame, explain="flagged" if "reason" in added else False, exclude_self=exclude_self
                )
                if "reason" in assessed:
                    assessed["reason"] = assessed["reason"].where(assessed["is_anomaly"])
                tally.update(frame, assessed, marks)
                if monitor is not None:
                    monitor.update(to_raw(frame, scorer.schema_), assessed["p_value"])
            writer.write(chunk, assessed)
            if on_rows is not None:
                on_rows(STAGE_SCORE, tally.n_rows, reader.n_rows)
    return tally


def _explained(scorer: Scorer, rows: pd.DataFrame, *, exclude_self: bool) -> pd.DataFrame:
    if not len(rows):
        return rows
    assessed = scorer.assess(rows, explain=True, exclude_self=exclude_self)
    return pd.concat([rows, assessed], axis=1)
