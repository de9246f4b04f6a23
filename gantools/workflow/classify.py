"""`gantools classify`: the class of each row of a table, by a classifier that `gantools augment` has kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gantools.classify.figures import decision_figures
from gantools.data.tables.classified import FLAG, PREDICTED, added_columns
from gantools.data.tables.raw import labels_to_codes
from gantools.data.tables.reader import TableReader
from gantools.data.tables.writer import Added, table_writer
from gantools.errors import ConfigError, DataError
from gantools.words import percent
from gantools.workflow.classifying import figures_table
from gantools.workflow.contract import Item, Table, Watch, noted, plain, refuse_together
from gantools.workflow.opening import MODALITIES, about, is_model, saved_model
from gantools.workflow.places import beside, check_apart, check_table

STAGE = "Classifying"


@dataclass(frozen=True, kw_only=True)
class Request:
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
    check_table(output, "output", force=request.force, inputs=(request.data,))
    model = saved_model(place, "classify", request.device, MODALITIES["table"], exported=request.onnx is not None)
    watch = watch or Watch()
    reader = TableReader(request.data, like=model.schema_)
    names = added_columns(model.schema_)
    with about(request.data):
        if there := [name for name in names if name in reader.columns]:
            problem = "the table has a column of that name already, which the result would have twice"
            raise DataError(problem, where=f"column '{there[0]}'", remedy="drop or rename it")
    job = _Classifying(model)
    added: dict[str, Added] = dict.fromkeys(names, "number")
    added |= {PREDICTED: "text", FLAG: "truth"}
    with table_writer(output, reader, added) as writer:
        for chunk in reader.chunks():
            with about(request.data):
                found = job.classified(chunk.frame)
            writer.write(chunk, found)
            watch.done(STAGE, sum(job.counts.values()), reader.n_rows, "rows")
    labels = model.schema_[str(model.schema_.target)].levels
    counts = {str(label): job.counts[str(label)] for label in labels}
    return ClassifyResult(
        output=output, counts=counts, n_flagged=job.n_flagged, figures=job.figures(), notes=tuple(job.notes())
    )


@dataclass
class _Classifying:
    """Classifies a table as it passes, and counts."""

    model: Any
    counts: Counter[str] = field(default_factory=Counter)
    n_flagged: int = 0
    n_unlabelled: int = 0
    seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def classified(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What is written behind rows."""
        schema = self.model.schema_
        target = str(schema.target)
        found: pd.DataFrame = self.model.classify(frame)
        if target in frame:
            labelled = frame[target].notna().to_numpy()
            self.n_unlabelled += int((~labelled).sum())
            truth = labels_to_codes(frame[target][labelled], schema)
            decided = labels_to_codes(found[PREDICTED][labelled], schema)
            probability = found.iloc[:, 1:-1].to_numpy()[labelled]
            self.seen.append((truth, decided, probability))
        found[PREDICTED] = [str(label) for label in found[PREDICTED].tolist()]
        self.counts.update(found[PREDICTED].tolist())
        self.n_flagged += int(found[FLAG].sum())
        return found

    def figures(self) -> dict[str, float] | None:
        """How good decisions are on the rows that have a label, None where none has."""
        if not self.seen:
            return None
        truth, decided, probability = (np.concatenate(each) for each in zip(*self.seen, strict=True))
        counts = np.array(self.model.class_counts_)
        return decision_figures(truth, probability, decided, counts) if len(truth) else None

    def notes(self) -> Iterator[str]:
        """What a reader must know."""
        if self.n_unlabelled and self.seen:
            yield f"{self.n_unlabelled:,} rows have no label; they are classified, and left out of the figures."
