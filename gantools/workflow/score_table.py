"""Scoring a table: learn what is normal, find the threshold, score chunk by chunk.

The table to be scored, and the one that is learned from, may be larger than memory: at most TRAINING_ROWS rows drawn at
random are learned from, and rows are read, scored and written some thousands at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gantools.data.tables.formatting import format_value
from gantools.data.tables.raw import to_raw
from gantools.data.tables.reader import TableReader
from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.data.tables.writer import Added, TableWriter
from gantools.encode.views import wild_cells
from gantools.errors import ConfigError, DataError
from gantools.evaluate.scores import FOUND, ScoreTally
from gantools.report.scored_table import scored_table
from gantools.score.borrowing import BORROWS, FEW_ROWS
from gantools.score.drift import Drift, DriftMonitor
from gantools.score.reasons import named_first
from gantools.score.table_scorer import AnomalyScorer
from gantools.stages import Stage
from gantools.words import listed
from gantools.workflow.contract import Alert, Item, Watch
from gantools.workflow.in_parts import Part, digest_of, through_table
from gantools.workflow.opening import about
from gantools.workflow.places import same
from gantools.workflow.reporting import run_facts
from gantools.workflow.score import Request, loaded
from gantools.workflow.scoring import (
    LEARN,
    N_TOP,
    READ,
    SCORE,
    SHARES,
    Fitted,
    Floats,
    Learned,
    Parts,
    ScoreResult,
    Threshold,
    contamination_of,
    learn,
    read_marks,
)
from gantools.workflow.stages import Stages
from gantools.workflow.tables import kinds_of, without

TRAINING_ROWS = 50_000
TRAINING_CELLS = 2**23  # wide tables are learned from fewer rows
TRAINING_ROWS_OF_GROUPS, TRAINING_CELLS_OF_GROUPS = 1_000_000, 2**24


@dataclass(frozen=True, kw_only=True)
class TableResult(ScoreResult):
    """drift: how the rows differ from those learned from; None where the table was learned from itself.

    blamed: how many flagged rows each column is the first reason for, where reasons are given. n_borrowed: rows of
    groups that are small or were not learned.
    """

    drift: Drift | None
    blamed: Mapping[str, int]
    n_borrowed: int
    sample = named = "row"

    def drift_words(self) -> list[str]:
        """How the rows scored differ from those learned from; empty where they do not, or nothing was compared."""
        if self.drift is None or not self.drift.drifted:
            return []
        return [
            "The rows no longer look like those that were learned from, so scores are less reliable.",
            *self.drift.words,
        ]

    def _more_json(self) -> dict[str, Any]:
        drift = None if self.drift is None else self.drift.to_json()
        return {"n_rows": self.n_scored, "drift": drift, "blamed": dict(self.blamed), "n_borrowed": self.n_borrowed}

    def _more_words(self) -> list[str]:
        if self.detection is None or self.learned.n_learned is None or self.drift is not None:
            return []
        return ["The normal rows among them were learned from, so on other rows it may be less."]

    def _drift_shown(self) -> Iterator[Item]:
        if self.drift is not None and not self.drift.drifted:
            yield "No drift: the rows look like those that were learned from."
        yield from (Alert(f"Drift: {line}") for line in self.drift_words())


def run(request: Request, saved: Any, stages: Stages) -> TableResult:
    """Score a table. saved: a scorer in place of learning."""
    stages.plan(SHARES)
    by = request.by if saved is None else saved.by
    reader = _open(request.data, request, stages.watch, None if saved is None else saved.schema_, by)
    head = next(iter(reader))
    if request.labels in head:
        with about(request.data):
            read_marks(head[request.labels])
    if saved is None:
        fitted, reader = _learned(request, reader, stages)
    else:
        _check_saved(saved, request, head)
        fitted = Fitted.saved(saved, request)
    scorer, threshold = fitted.scorer, Threshold.of(fitted, request)

    scoring = _Scoring(scorer, request, is_itself=saved is None and request.normal is None)
    found = _through(scoring, reader, stages[SCORE])
    tally, columns, top = found.tally, scorer.schema_, scoring.explained_top(found.tally.top)
    notes = list(fitted.notes)
    if tally.n_unscored:
        notes.append(f"{tally.n_unscored} rows could not be scored; they have no score and are not flagged.")
    if found.n_borrowed:
        rows = f"{found.n_borrowed:,} rows are of a '{by}' that was not learned, or of fewer than {FEW_ROWS} rows"
        notes.append(f"{rows}; what is normal in all counts for them ('{BORROWS}').")
    drift = None if found.monitor is None else found.monitor.report()
    notes += [f"{line[0].upper()}{line[1:]}." for line in (drift.later if drift is not None else ())]
    result = TableResult(
        request=request, scorer=scorer, schema=scorer.schema_, tally=tally, top=top,
        threshold=threshold, learned=fitted.learned, drift=drift, blamed=found.blamed, n_borrowed=found.n_borrowed,
        detection=tally.detection(),
        notes=tuple(notes),
        data_notes=(*(f"{note}." for note in reader.dialect.notes), *column_notes(scorer.schema_)), stages=stages,
    )  # fmt: skip

    def page() -> str:
        return scored_table(
            f"{request.data.name}, scored", result.words(), tally, result.top, columns, threshold=threshold.value,
            drift=drift, blamed=found.blamed, moment=moment_column(columns), training=result.trained,
            facts=run_facts(request),
        )  # fmt: skip

    result.write(page)
    return result


_TOLD = ("many_levels", "large_integers", "ambiguous_date", "unnamed")  # rules that change how a column is scored


def column_notes(schema: Schema) -> list[str]:
    """What was done with columns that are not simply scored."""
    unscored = {Kind.CONSTANT: "has no values", Kind.IDENTIFIER: "an identifier"}
    why = {
        column.name: "numbers the rows" if column.rule == "row_names" else unscored[column.kind]
        for column in schema.columns
        if column.kind in unscored
    }
    names = [f"'{name}' ({reason})" for name, reason in why.items()]
    notes = [f"Not scored: {listed(names, 10, quote='')}."] if names else []
    kept = [column for column in schema.columns if column.rule in _TOLD]
    return notes + [f"{column.note.replace(' and drawn at random', '')}." for column in kept]


def moment_column(schema: Schema) -> str | None:
    """The first column of moments, by which it is told when rows were flagged; None where there is none."""
    return next((name for name in schema.numeric if schema[name].kind is Kind.DATETIME), None)


def _added(request: Request, by: str | None) -> dict[str, Added]:
    """The columns that are written behind those of the table. by: the column of groups."""
    added: dict[str, Added] = {"anomaly_score": "number", "p_value": "number", "is_anomaly": "truth"}
    added |= {} if by is None else {BORROWS: "truth"}
    return added | {"reason": "text"} if request.explain else added


def _open(path: Path, request: Request, watch: Watch, like: Schema | None = None, by: str | None = None) -> TableReader:
    """like: columns that were learned before. by: that of the groups.

    Raises DataError when the table holds scores already.
    """
    reader = TableReader(
        path, progress=lambda n: watch.done(READ, n, None, "rows"), kinds=kinds_of(request.kinds), like=like
    )
    there = [name for name in _added(request, by) if name in reader.columns]
    if there:
        problem = "the table has a column of that name already, which the result would have twice"
        remedy = "drop or rename it (is this a table that was scored before?)"
        raise DataError(problem, where=f"{path}: column '{there[0]}'", remedy=remedy)
    return reader


# Learning -------------------------------------------------------------------------------------------------------------


def _learned(request: Request, reader: TableReader, stages: Stages) -> tuple[Fitted, TableReader]:
    """A scorer that has learned from the table of normal rows, or from the one that is scored, and the latter's reader:
    its columns are read as they were learned."""
    source = reader if request.normal is None else _open(request.normal, request, stages.watch)
    with about(source.path):
        frame, marks = _drawn(source, request)
        parts = Parts.of(marks, request.seed)
        if len(parts.marked) == len(frame):
            raise DataError("every row is marked as an anomaly", remedy="give normal rows to learn from")
        rows = frame.iloc[parts.learned].reset_index(drop=True)
        schema = infer_schema(rows, None, kinds_of(request.kinds), dialect=source.dialect)
        if not schema.numeric and not schema.categorical:
            remedy = "every one is constant or an identifier; see `gantools info`"
            raise DataError("no column is left to learn from", remedy=remedy)
    if request.normal is not None:
        reader = _open(request.data, request, stages.watch, schema, request.by)
        with about(request.data):
            _check_alike(next(iter(reader)), schema, request.normal)
    contamination = contamination_of(request, marks)
    with about(source.path):
        scorer, f1, notes = learn(
            AnomalyScorer, lambda part: frame.iloc[part].reset_index(drop=True), parts, contamination, request,
            stages[LEARN], schema=schema,
        )  # fmt: skip
    notes += _wild_notes(frame.iloc[parts.learned].reset_index(drop=True), schema)
    if request.normal is not None and same(request.normal, request.data):
        notes.append("The rows were learned from, so they look too normal; without --train each is held out once.")
    if request.labels in source.columns and not len(parts.marked):
        notes.append(f"No row of {source.path.name} is marked as an anomaly: no threshold was sought by marks.")
    n, n_source = len(parts.learned), int(source.n_rows or 0)
    learned = Learned(scorer.contamination_, n, n_source, len(parts.marked), is_drawn=len(frame) < n_source)
    return Fitted(scorer, learned, f1, tuple(notes)), reader


def _wild_notes(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """A sentence for each column with cells so far out that they count for nothing that is usual."""
    numbers, notes = to_raw(frame, schema).numbers, []
    for j, name in enumerate(schema.numeric):
        wild = numbers[wild_cells(numbers[:, j]), j]
        if len(wild):
            cells = listed((format_value(value, schema[name]) for value in wild.tolist()), 3, quote="")
            problem = f"Column '{name}' has {cells}, far beyond every other value that was learned from"
            notes.append(f"{problem}: not taken for usual. Correct it, or leave the row out, if it is a mistake.")
    return notes


def _drawn(source: TableReader, request: Request) -> tuple[pd.DataFrame, Floats]:
    """Rows of the table, without the column of marks, drawn at random where there are very many; and their marks."""
    rows, cells = TRAINING_ROWS, TRAINING_CELLS
    if request.by is not None:
        rows, cells = TRAINING_ROWS_OF_GROUPS, TRAINING_CELLS_OF_GROUPS
    frame = source.sample(min(rows, max(1000, cells // len(source.columns))), request.seed)
    frame = without(frame, request.drop, request.labels, request.by)
    if request.labels not in source.columns:
        return frame, np.full(len(frame), np.nan)
    return frame.drop(columns=str(request.labels)), read_marks(frame[request.labels])


def _check_alike(head: pd.DataFrame, schema: Schema, normal: Path) -> None:
    """Refuse, before anything is trained, a table that has not the columns that are learned from."""
    ignored = [column for column in schema.columns if column.kind is Kind.IDENTIFIER or column.n_distinct == 0]
    lacking = [column.name for column in schema.columns if column not in ignored and column.name not in head]
    if lacking:
        problem = f"lacks the column{'s' if len(lacking) > 1 else ''} {listed(lacking)} of {normal.name}"
        raise DataError(problem, remedy="give tables of the same columns")
    to_raw(head, schema)


def _check_saved(scorer: Any, request: Request, head: pd.DataFrame) -> None:
    """Refuse a table that the saved scorer cannot score, or marks that it has learned from. Raises DataError."""
    labels = request.labels
    with about(request.data):
        if labels is not None and labels in scorer.schema_.names:
            problem = "the scorer has learned from it, so it marks nothing"
            raise DataError(problem, where=f"column '{labels}'", remedy="leave `labels` out or train anew")
        for name in request.drop:
            if name in scorer.schema_.names:
                problem = f"the scorer has learned from '{name}'"
                raise ConfigError(problem, where="drop", remedy="train anew without it, or leave this out")
        scorer.check_fits(head)


# Scoring --------------------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What was found in the rows scored so far.

    monitor: of drift; None where the scorer has learned from these rows. blamed: how many flagged rows each column is
    blamed for first, where reasons are given. n_borrowed: rows of groups that are small or were not learned.
    """

    tally: ScoreTally
    monitor: DriftMonitor | None
    blamed: Counter[str] = field(default_factory=Counter)
    n_borrowed: int = 0

    def merge(self, later: _Found) -> None:
        """Count what was found in the rows of a later part."""
        self.tally.merge(later.tally)
        if self.monitor is not None and later.monitor is not None:
            self.monitor.merge(later.monitor)
        self.blamed.update(later.blamed)
        self.n_borrowed += later.n_borrowed


@dataclass(frozen=True)
class _Scoring:
    """Scores the rows of a part and writes them with their scores behind.

    is_itself: the scorer has learned from them.
    """

    scorer: Any
    request: Request
    is_itself: bool = False

    @classmethod
    def begin(cls, request: Request) -> _Scoring:
        """By a saved scorer, in a process of its own."""
        return cls(Fitted.saved(loaded(request), request).scorer, request)

    def nothing(self, first_row: int = 0) -> _Found:
        """What was found before any row was scored."""
        monitor = None
        if not self.is_itself:
            monitor = DriftMonitor(self.scorer.drift_, len(self.scorer.calibration_.scores), self.scorer.by)
        return _Found(ScoreTally(N_TOP, first_row), monitor)

    def __call__(self, part: Part, tell: Callable[[int], None] | None = None) -> _Found:
        found, added = self.nothing(part.reader.first_row), _added(self.request, self.scorer.by)
        with TableWriter(part.place, part.reader, added) as writer:
            for chunk in part.reader.chunks():
                with about(part.reader.path):
                    if not found.tally.n_rows:
                        self.scorer.check_fits(chunk.frame)
                    assessed = self._assessed(chunk.frame)
                    self._count(found, chunk.frame, assessed)
                writer.write(chunk, assessed)
                if tell is not None:
                    tell(found.tally.n_rows)
        return found

    def again(self, part: Part) -> _Found:
        """What was found in a part that was scored and written before."""
        found, added = self.nothing(part.reader.first_row), _added(self.request, self.scorer.by)
        reader = TableReader(part.place, like=self.scorer.schema_)
        reader.first_row = part.reader.first_row
        for frame in reader:
            assessed = frame[list(added)].astype({name: bool for name, kind in added.items() if kind == "truth"})
            self._count(found, frame.drop(columns=list(added)), assessed)
        return found

    def _assessed(self, frame: pd.DataFrame) -> pd.DataFrame:
        explain = "flagged" if self.request.explain else False
        assessed: pd.DataFrame = self.scorer.assess(frame, explain=explain, exclude_self=self.is_itself)
        if self.request.explain:
            assessed["reason"] = assessed["reason"].where(assessed["is_anomaly"])
        return assessed

    def _count(self, found: _Found, frame: pd.DataFrame, assessed: pd.DataFrame) -> None:
        labels, schema = self.request.labels, self.scorer.schema_
        marks = read_marks(frame[labels]) if labels is not None and labels in frame else None
        if self.request.explain:
            found.blamed.update(named_first(assessed["reason"][assessed["is_anomaly"]], schema.names))
        moment, times = moment_column(schema), None
        if moment is not None or found.monitor is not None:
            raw = to_raw(frame, schema)
            if moment is not None:
                times = raw.numbers[:, schema.numeric.index(moment)]
            if found.monitor is not None:
                found.monitor.update(raw, assessed["p_value"])
        if BORROWS in assessed:
            found.n_borrowed += int(assessed[BORROWS].sum())
        found.tally.update(frame, assessed, marks, times)

    def explained_top(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The most abnormal rows with their scores and reasons behind."""
        if not len(rows):
            return rows
        assessed: pd.DataFrame = self.scorer.assess(rows, explain=True, exclude_self=self.is_itself)
        return pd.concat([rows, assessed[FOUND]], axis=1)


def _through(scoring: _Scoring, reader: TableReader, stage: Stage) -> _Found:
    request = scoring.request
    assert request.output is not None
    is_saved = request.source is not None or request.onnx is not None
    begin = partial(_Scoring.begin, request) if is_saved else partial(_same, scoring)

    def asked() -> dict[str, Any]:
        """A scorer of this run is not the same in another."""
        scorer = digest_of(request.source, request.onnx) if is_saved else ""
        return {"scorer": scorer, "false_alarms": request.false_alarms, "explain": request.explain}

    stage.begin()
    tell = partial(stage.done, total=reader.n_rows, what="rows")
    return through_table(scoring, begin, reader, request.output, asked, request, tell, force=request.force)


def _same(scoring: _Scoring) -> _Scoring:
    """What is sent to another process as it is."""
    return scoring
