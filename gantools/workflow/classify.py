"""`gantools classify`: the class of each row of a table, by a classifier that `gantools augment` has kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gantools.classify.figures import decision_figures
from gantools.data.tables.classified import FLAG, PREDICTED, added_columns
from gantools.data.tables.raw import labels_to_codes
from gantools.data.tables.reader import TableReader
from gantools.data.tables.schema import Kind
from gantools.data.tables.writer import Added, TableWriter
from gantools.errors import ConfigError, DataError
from gantools.words import percent
from gantools.workflow.classifying import figures_table
from gantools.workflow.contract import Item, Table, Watch, noted, plain, refuse_together
from gantools.workflow.in_parts import InParts, Part, digest_of, through_table
from gantools.workflow.opening import MODALITIES, about, is_model, saved_model
from gantools.workflow.places import beside, check_apart, check_table, is_in_parts

STAGE = "Classifying"


@dataclass(frozen=True, kw_only=True)
class Request(InParts):
    """What to classify, and by what.

    data: a table. source, onnx: a saved classifier, or an exported one. output: None for `data` with ".classified" in
    its name.
    """

    data: Path
    source: Path | None = None
    onnx: Path | None = None
    output: Path | None = None
    device: str = "auto"
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class ClassifyResult:
    """What was found. counts: label -> rows that are decided to have it. n_flagged: rows of another class than most
    training rows have. figures: where the table has labels itself, how good decisions are, see `decision_figures`."""

    output: Path
    counts: Mapping[str, int]
    n_flagged: int
    figures: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain({
            "output": self.output,
            "n_rows": self.n_rows,
            "classes": [{"label": label, "rows": n} for label, n in self.counts.items()],
            "n_flagged": self.n_flagged,
            "figures": self.figures,
            "notes": self.notes,
        })  # fmt: skip
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        rows = tuple((label, n, percent(n / max(self.n_rows, 1))) for label, n in self.counts.items())
        yield Table(("predicted", "rows", "share"), rows, right=(1, 2))
        if self.figures is not None:
            yield figures_table(self.figures, "On the {} rows that have a label")
        yield from noted(self.notes)
        yield ""
        yield f"Classified table: {self.output}"


def run(request: Request, watch: Watch | None = None) -> ClassifyResult:
    """Write the table with the class, the probability of each class and a flag behind each row.

    Raises CheckpointError or ExportError where there is no classifier, ConfigError for a bad option, DataError for a
    table that it does not fit. Then nothing is written.
    """
    refuse_together(request, "source", "onnx")
    place = request.source or request.onnx
    if place is None:
        raise ConfigError("no classifier was given", remedy="give `source`, or `onnx`")
    if request.data.exists() and is_model(request.data):
        raise ConfigError("is a saved model", where=str(request.data), remedy="give a table")
    output = request.output or beside(request.data, "classified")
    check_apart(output, "output", request.data, place)
    check_table(output, "output", force=request.force, inputs=(request.data,), resume=request.resume)
    are_parts = is_in_parts(request.data, output)
    request.check_engine(are_parts=are_parts, otherwise="where the output is not a folder of parts")
    model = _loaded(request)
    watch = watch or Watch()
    reader = TableReader(request.data, like=model.schema_)
    names = added_columns(model.schema_)
    with about(request.data):
        if there := [name for name in names if name in reader.columns]:
            problem = "the table has a column of that name already, which the result would have twice"
            raise DataError(problem, where=f"column '{there[0]}'", remedy="drop or rename it")
    tell = partial(watch.done, STAGE, total=reader.n_rows, what="rows")
    begin = partial(_Classifying.begin, request)
    found = through_table(
        _Classifying(model), begin, reader, output,
        lambda: {"classifier": digest_of(request.source, request.onnx)}, request, tell, force=request.force,
    )  # fmt: skip
    labels = model.schema_[str(model.schema_.target)].levels
    return ClassifyResult(
        output=output, counts={str(label): found.counts[str(label)] for label in labels}, n_flagged=found.n_flagged,
        figures=found.figures(model.class_counts_), notes=tuple(found.notes()),
    )  # fmt: skip


@dataclass
class _Found:
    """What was found in the rows classified so far. seen: true classes, decisions and probabilities of those that have
    a label."""

    counts: Counter[str] = field(default_factory=Counter)
    n_flagged: int = 0
    n_unlabelled: int = 0
    seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def merge(self, later: _Found) -> None:
        """Count what was found in the rows of a later part."""
        self.counts.update(later.counts)
        self.n_flagged += later.n_flagged
        self.n_unlabelled += later.n_unlabelled
        self.seen += later.seen

    def figures(self, class_counts: Sequence[int]) -> dict[str, float] | None:
        """How good decisions are on the rows that have a label, None where none has."""
        if not self.seen:
            return None
        truth, decided, probability = (np.concatenate(each) for each in zip(*self.seen, strict=True))
        return decision_figures(truth, probability, decided, np.array(class_counts)) if len(truth) else None

    def notes(self) -> Iterator[str]:
        """What a reader must know."""
        if self.n_unlabelled and self.seen:
            yield f"{self.n_unlabelled:,} rows have no label; they are classified, and left out of the figures."


@dataclass(frozen=True)
class _Classifying:
    """Classifies the rows of a part and writes them with what was found behind."""

    model: Any

    @classmethod
    def begin(cls, request: Request) -> _Classifying:
        """In a process of its own."""
        return cls(_loaded(request))

    def nothing(self, first_row: int = 0) -> _Found:
        """What was found before any row was classified."""
        return _Found()

    def __call__(self, part: Part, tell: Callable[[int], None] | None = None) -> _Found:
        found = _Found()
        with TableWriter(part.place, part.reader, _added(self.model)) as writer:
            for chunk in part.reader.chunks():
                with about(part.reader.path):
                    classified = self.model.classify(chunk.frame)
                    self._count(found, chunk.frame, classified)
                writer.write(chunk, classified)
                if tell is not None:
                    tell(sum(found.counts.values()))
        return found

    def again(self, part: Part) -> _Found:
        """What was found in a part that was classified and written before."""
        found, added, schema = _Found(), list(_added(self.model)), self.model.schema_
        for frame in TableReader(part.place, like=schema, kinds={PREDICTED: Kind.CATEGORICAL}):
            labels = {str(label): label for label in schema[str(schema.target)].levels}
            classified = frame[added].astype({FLAG: bool})
            classified[PREDICTED] = [labels[str(text)] for text in classified[PREDICTED]]
            self._count(found, frame.drop(columns=added), classified)
        return found

    def _count(self, found: _Found, frame: pd.DataFrame, classified: pd.DataFrame) -> None:
        """Count rows; their decisions become text."""
        schema = self.model.schema_
        target = str(schema.target)
        if target in frame:
            labelled = frame[target].notna().to_numpy()
            found.n_unlabelled += int((~labelled).sum())
            truth = labels_to_codes(frame[target][labelled], schema)
            decided = labels_to_codes(classified[PREDICTED][labelled], schema)
            probability = classified.iloc[:, 1:-1].to_numpy()[labelled]
            found.seen.append((truth, decided, probability))
        classified[PREDICTED] = [str(label) for label in classified[PREDICTED].tolist()]
        found.counts.update(classified[PREDICTED].tolist())
        found.n_flagged += int(classified[FLAG].sum())


def _added(model: Any) -> dict[str, Added]:
    """The columns that are written behind those of the table."""
    added: dict[str, Added] = dict.fromkeys(added_columns(model.schema_), "number")
    return added | {PREDICTED: "text", FLAG: "truth"}


def _loaded(request: Request) -> Any:
    """The classifier that is asked for. Raises CheckpointError or ExportError."""
    place = request.source or request.onnx
    assert place is not None
    exported = request.onnx is not None
    return saved_model(place, "classify", request.device, MODALITIES["table"], exported=exported)
