"""What scoring tables and images share: marks, what is held back, the threshold, and what is said at the end."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.errors import DataError
from gantools.evaluate.scores import Detection, ScoreTally, TopRow, top_rows
from gantools.report.page import write_html
from gantools.score.threshold import Calibration
from gantools.stages import Stage
from gantools.train.monitor import TrainingHistory
from gantools.words import duration, percent
from gantools.workflow.contract import Item, Table, given, noted, plain
from gantools.workflow.score import Request
from gantools.workflow.stages import Stages
from gantools.workflow.training import check_finished, training_shown

FALSE_ALARMS = 0.01
HELD_BACK = 0.2  # of what is marked as normal, at most MAX_HELD_BACK, on which the best F1 is sought
MAX_HELD_BACK = 20_000
MANY_ALARMS = 0.2  # share of what is normal above the threshold of the best F1 that people are warned of
N_TOP = 20
ROWS_SHOWN = 10  # of these

READ = "Reading"
LEARN = "Learning what is normal"
SCORE = "Scoring"
SHARES = {LEARN: 0.9, SCORE: 0.1}  # of the time

ANOMALOUS = ("1", "true", "t", "yes", "y", "anomaly", "anomalous", "abnormal", "outlier")
NORMAL = ("0", "false", "f", "no", "n", "normal", "inlier", "good", "ok", "free")

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


# What is known --------------------------------------------------------------------------------------------------------


def read_marks(cells: pd.Series) -> Floats:
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
    if text in ANOMALOUS:
        return 1.0
    if text in NORMAL:
        return 0.0
    problem = f"has {value!r}, which marks neither an anomaly nor a normal row"
    raise DataError(problem, where=f"column '{name}'", remedy="write 1 for known anomalies and 0 for normal rows")


@dataclass(frozen=True)
class Parts:
    """What becomes of the samples that may be learned from, by their numbers, ascending.

    learned: to learn from. marked: known anomalies. held_back: some of those known as normal. normal: where the others
    of these stand among `learned`. The best F1 is sought on all three.
    """

    learned: Indices
    marked: Indices
    held_back: Indices
    normal: Indices

    @classmethod
    def of(cls, marks: Floats, seed: int) -> Parts:
        """marks: [N] as `read_marks` gives. Nothing is held back where no anomaly is marked."""
        marked, normal = np.flatnonzero(marks == 1), np.flatnonzero(marks == 0)
        held = np.empty(0, dtype=np.int64)
        if len(marked) and len(normal) >= 2:
            n_held = max(1, min(MAX_HELD_BACK, round(HELD_BACK * len(normal))))
            held = np.sort(np.random.default_rng(seed).choice(normal, n_held, replace=False))
        is_learned = marks != 1
        is_learned[held] = False
        learned = np.flatnonzero(is_learned)
        return cls(learned, marked, held, np.flatnonzero(marks[learned] == 0))


def contamination_of(request: Request, marks: Floats) -> float | Literal["auto"]:
    """The share of anomalies among what is learned from: asked for, or by what is known of it; "auto" where nothing is
    and the data have to say."""
    if request.contamination is not None:
        return request.contamination
    is_clean = request.normal is not None or not np.isnan(marks).any()
    return 0.0 if is_clean else "auto"


@dataclass(frozen=True)
class Learned:
    """What a scorer was learned from.

    contamination: share of it taken for anomalies and set aside. n_learned: rows or images, None for a saved scorer.
    n_source: those that they are from; is_drawn: at random, there were too many. n_marked: known anomalies that were
    left out.
    """

    contamination: float
    n_learned: int | None = None
    n_source: int | None = None
    n_marked: int = 0
    is_drawn: bool = False


# Learning -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitted:
    """A scorer that is ready. f1: the best F1, where its threshold was sought by marks. notes: what was noticed."""

    scorer: Any
    learned: Learned
    f1: float | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def saved(cls, scorer: Any, request: Request) -> Fitted:
        """A saved scorer, with another rate of false alarms where one is asked for; the caller's is left as it is."""
        if request.false_alarms is not None:
            scorer = copy.copy(scorer).set_false_alarms(request.false_alarms)
        return cls(scorer, Learned(float(scorer.contamination_)))


def learn(
    new: Callable[..., Any], select: Callable[[Indices], Any], parts: Parts, contamination: float | Literal["auto"],
    request: Request, stage: Stage, **more: Any,
) -> tuple[Any, float | None, list[str]]:  # fmt: skip
    """A scorer that has learned what is normal, the best F1 where its threshold was sought by marks, and notes.

    new: its class. select: gives samples by their numbers. more: keyword arguments of `fit`. Raises KeyboardInterrupt
    where training was interrupted.
    """
    asked = given(request, "model", "options", "size", "features", "steps", "devices", "precision", "by")
    if request.fit is not None:
        asked["shape"] = request.fit
    scorer = new(
        false_alarms=request.false_alarms or FALSE_ALARMS, contamination=contamination, tail=request.tail,
        random_state=request.seed % 2**32, device=request.device, budget_s=stage.begin(), **asked,
    )  # fmt: skip
    scorer.fit(select(parts.learned), progress=stage.trained, **more)
    check_finished(scorer.report_)
    notes = []
    if request.tail and scorer.calibration_.tail is None:
        notes.append("No tail could be fitted: the held-out scores are too few or too much alike.")
    if request.false_alarms is not None or not len(parts.held_back):
        return scorer, None, notes
    # F1 depends on how much there is that is normal, so all of it counts; what was learned from, as it was held out
    held_out = scorer.train_score_[parts.normal]
    normal = np.concatenate([scorer.anomaly_score(select(parts.held_back)), held_out])
    scorer.tune_scores(normal, scorer.anomaly_score(select(parts.marked)))
    return scorer, float(scorer.best_f1_), notes


# The threshold --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """Where flags begin. asked: share of false alarms, None where the best F1 decided or the saved scorer's own
    threshold was kept. f1: the best F1 on marked samples, each held out, None where none was sought. is_saved: whether
    it is that of a saved scorer."""

    value: float
    asked: float | None
    finest: float
    f1: float | None = None
    is_saved: bool = False

    @classmethod
    def of(cls, fitted: Fitted, request: Request) -> Threshold:
        """That of a scorer that is ready."""
        scorer, is_saved = fitted.scorer, fitted.learned.n_learned is None
        is_own = fitted.f1 is not None or (is_saved and request.false_alarms is None)
        asked = None if is_own else scorer.false_alarms
        return cls(float(scorer.threshold_), asked, scorer.calibration_.finest, fitted.f1, is_saved)

    @property
    def can_be_resolved(self) -> bool:
        """Whether the held-out samples are enough for the rate that was asked for."""
        return self.asked is None or self.asked >= self.finest

    def words(self, calibration: Calibration, n_scored: int, what: str = "rows") -> list[str]:
        """In sentences where it is, and what to expect of it when so many rows, or `what`, are scored."""
        n_held_out = len(calibration.scores)
        if self.asked is None:
            source = "where F1 is best" if self.f1 is not None else "that of the saved scorer"
            reached = f", {self.f1:.3f} on all marked {what}, each scored while it was held out" if self.f1 else ""
            above = float((calibration.scores > self.value).mean())
            said = [f"The threshold is {source}{reached}; {percent(above)} of the held-out normal {what} are above it."]
            if self.f1 is not None and above > MANY_ALARMS:
                said.append("With so many false alarms a flag means little; --false-alarms asks for fewer.")
            return said
        if self.can_be_resolved:
            expected = self.asked * n_scored
            number = f"about {round(expected):,}" if expected >= 1 else "fewer than 1"
            extrapolated = ", extrapolated by a tail" if calibration.tail is not None else ""
            may = f"{percent(self.asked)} of normal {what} may be flagged by mistake"
            resolved = f"The {n_held_out:,} held-out normal {what} resolve rates down to {percent(self.finest)}"
            return [f"Asked for: {may}, {number} of {n_scored:,} if all were normal. {resolved}{extrapolated}."]
        limit = f"the {n_held_out:,} held-out normal {what} resolve no rate of false alarms below"
        limit += f" {percent(self.finest)}, and {percent(self.asked)} was asked for"
        remedy = f"Ask for more, or {'train anew on' if self.is_saved else 'learn from'} more {what}"
        if math.isinf(self.value):
            extended = Calibration.fit(calibration.scores, tail=True)
            with_tail = calibration.tail is None and self.asked >= extended.finest
            return [f"Nothing is flagged: {limit}. {remedy}{' or with --tail' if with_tail else ''}."]
        return [f"Only scores above all of these are flagged: {limit}. {remedy}."]


def detection_words(found: Detection, what: str = "rows") -> str:
    """How well marked anomalies are found among rows, or `what`, as a sentence."""
    precision = "" if found.precision is None else f"precision {found.precision:.3f}, "
    return (
        f"On {found.n_anomalous:,} known anomalies and {found.n_normal:,} known normal {what}: ROC AUC "
        f"{found.roc_auc:.3f}, average precision {found.average_precision:.3f}; of the flags {precision}"
        f"recall {found.recall:.3f}."
    )


# The result -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """What was found.

    request: with every place. scorer: with the threshold that was used. tally: counts and distribution of the scores.
    top: the most abnormal samples, with `anomaly_score`, `p_value`, `is_anomaly` and `reason`; the index counts from 0.
    detection: None where nothing is marked. notes: what else the user should know. data_notes: what was done with data
    that are not simply scored.
    """

    request: Request
    scorer: Any
    schema: Any
    tally: ScoreTally
    top: pd.DataFrame
    threshold: Threshold
    learned: Learned
    detection: Detection | None
    notes: tuple[str, ...]
    data_notes: tuple[str, ...]
    stages: Stages = field(repr=False)

    sample: ClassVar[str]  # what is scored: "row", "image"
    named: ClassVar[str]  # what each is called by

    @property
    def trained(self) -> TrainingHistory | None:
        """How the scorer was trained; None for a saved one."""
        return None if self.learned.n_learned is None else self.scorer.history_

    @property
    def n_scored(self) -> int:
        """Rows or images that were looked at."""
        return self.tally.n_rows

    def words(self) -> list[str]:
        """What was found, in plain sentences."""
        samples, n, n_flagged = f"{self.sample}s", self.n_scored, self.tally.n_anomalous
        flagged = "1 is anomalous" if n_flagged == 1 else f"{n_flagged:,} are anomalous"
        said = [f"{n:,} {samples} scored: {flagged} ({percent(n_flagged / n)})."]
        said += self._unread_words()
        said += self.threshold.words(self.scorer.calibration_, n, samples)
        learned = self.learned
        if learned.n_learned is not None:
            drawn = f", drawn at random from {learned.n_source:,}" if learned.is_drawn else ""
            left_out = f"; {learned.n_marked:,} known anomalies left out" if learned.n_marked else ""
            allowed = ""
            if learned.contamination:
                n_aside = f"{max(1, round(learned.contamination * learned.n_learned)):,}"
                allowed = f"; {n_aside} of them taken for anomalies and set aside, which are flagged as a rule"
            said.append(f"Learned from {learned.n_learned:,} {samples}{drawn}{left_out}{allowed}.")
        said += self._learned_words()
        if self.detection is not None:
            said.append(detection_words(self.detection, samples))
        return [*said, *self._more_words(), *self.notes]

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        learned = asdict(self.learned)
        del learned["is_drawn"]
        shared = {
            "output": self.request.output,
            **self.tally.to_json(),
            "threshold": self.threshold.value,
            "false_alarms": self.threshold.asked,
            "finest_false_alarms": self.threshold.finest,
            "can_be_resolved": self.threshold.can_be_resolved,
            "best_f1": self.threshold.f1,
            **learned,
            "n_held_out": len(self.scorer.calibration_.scores),
            "training": None if self.trained is None else self.trained.report.to_json(),
            "training_log": () if self.trained is None else self.trained.lines,
            "saved": self.request.save,
            "report": self.request.report,
            "most_abnormal": [self._row_json(row) for row in top_rows(self.top)],
            "notes": [*self.data_notes, *self.notes],
            "seconds": round(self.stages.now, 1),
        }
        found: dict[str, Any] = plain({**shared, **self._more_json()})
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        rows = tuple(
            (self._row_json(row)[self.named], f"{row.anomaly_score:.3g}", f"{row.p_value:.2g}",
             "yes" if row.is_anomaly else "no", row.reason)
            for row in top_rows(self.top)[:ROWS_SHOWN]
        )  # fmt: skip
        right = (0, 1, 2) if self.named == self.sample else (1, 2)
        head = (self.named, "score", "p-value", "anomaly", "reason")
        yield Table(head, rows, title=f"The most abnormal {self.sample}s", right=right)
        yield from noted(self.data_notes)
        yield from self.words()
        if self.learned.n_learned is not None:
            yield from training_shown(self.scorer.report_)
        yield from self._drift_shown()
        yield f"Time: {duration(self.stages.now)} in all."
        yield ""
        yield f"Scored table: {self.request.output}"
        if self.request.report is not None:
            yield f"Report: {self.request.report}"
        if self.request.save is not None:
            yield f"Scorer: {self.request.save}"
        yield from self._places_shown()

    def write(self, page: Callable[[], str]) -> None:
        """Save the scorer and write the report, where asked for. page: gives it as HTML."""
        if self.request.save is not None:
            self.scorer.save(self.request.save)
        if self.request.report is not None:
            write_html(page(), self.request.report)

    def _row_json(self, row: TopRow) -> dict[str, Any]:
        return row.to_json()

    def _more_json(self) -> dict[str, Any]:
        raise NotImplementedError

    def _unread_words(self) -> list[str]:
        return []

    def _learned_words(self) -> list[str]:
        return []

    def _more_words(self) -> list[str]:
        return []

    def _drift_shown(self) -> Iterator[Item]:
        return iter(())

    def _places_shown(self) -> Iterator[Item]:
        return iter(())
