"""Classifiers of tables: one input per column -> class, probability, is_flagged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pandas as pd

from gantools import registry
from gantools.data.tables.classified import classified
from gantools.data.tables.raw import MISSING, Raw, to_raw
from gantools.export.bases import OfTable, code
from gantools.export.columns import Port, in_chunks, input_ports, label_port, to_feed
from gantools.export.proof import BATCHES, SEED, Parity, Tolerance, batches, check

if TYPE_CHECKING:
    from gantools.classify.table_classifier import TableClassifier
    from gantools.export.graph import Graph

GIVEN = ("class", "probability", "is_flagged")
CHUNK_ROWS = 4096  # rows run at a time
TRIED = 20_000  # rows of a proof
LACKING = 0.1  # of their cells that are missing, and as many levels that were never seen
NEVER_SEEN = "a level that was never seen"


@registry.exported("table-classifier")
class ExportedClassifier(OfTable):
    """A table classifier from a file, with the methods of `TableClassifier` that classifying needs."""

    purpose = "Tells the class of a table's rows, with calibrated probabilities."
    needed = GIVEN

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.classes_ = self.schema_[str(self.schema_.target)].levels
        self.class_counts_ = tuple(self.described["made"]["class_counts"])

    @classmethod
    def build(cls, classifier: TableClassifier) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.export.modules import RawRows, RowsClassified, example

        schema = classifier.schema_
        ports = input_ports(schema)
        names = compose.free_names(GIVEN, ports)
        label = label_port(schema[str(schema.target)])
        label = Port(names["class"], label.type, label.levels)
        reader = RawRows(ports, torch.zeros(len(schema.numeric), 0, dtype=torch.float64))
        module = RowsClassified(reader, classifier.row_classifier()).eval()
        outputs = [compose.traced_name(label), names["probability"], names["is_flagged"]]
        cells = [example(port) for port in ports]
        proto = compose.traced(module, cells, [compose.traced_name(port) for port in ports], outputs)
        compose.add_levels(proto, ports)
        compose.count_rows(proto, [port.name for port in ports])
        compose.spell_levels(proto, [label, *(Port(names[name], "float64") for name in GIVEN[1:])])
        compose.name_sizes(proto, {names["probability"]: (compose.BATCH, len(classifier.classes_))})
        facts = {
            "schema": schema.to_json(),
            "probability_columns": [str(label) for label in classifier.classes_],
            "made": {
                "class_counts": list(classifier.class_counts_),
                "method": classifier.method,
                "goal": str(classifier.goal),
                "held_out": classifier.held_out_,
            },
        }
        return Graph(proto, cls.kind, tuple(ports), (), names, facts)

    def prove(self, classifier: TableClassifier, allowed: Tolerance) -> Parity:
        """On rows drawn over the range of every column, with missing cells and levels never seen."""
        raw = _tried(self, np.random.default_rng(SEED))
        cells = pd.DataFrame({name: [NEVER_SEEN] * len(raw) for name in self.schema_.names})
        decided, probability, flagged = classifier.classify_raw(raw)
        place = {label: k for k, label in enumerate(self.classes_)}
        found: Parity = {"rows": len(raw), "batches": [*BATCHES, len(raw)], "decisions_differing": 0}
        found["probability_difference"] = 0.0
        for rows in batches(len(raw)):
            feed = {name: values[rows] for name, values in to_feed(raw, cells, self.inputs).items()}
            label, given, flag = self._run(feed)
            off = np.abs(given - probability[rows]).max(initial=0.0)
            found["probability_difference"] = max(found["probability_difference"], float(off))
            codes = np.array([place[one] for one in self._labels(label).tolist()], dtype=np.int64)
            other = (codes != decided[rows]) | (flag != flagged[rows])
            found["decisions_differing"] += int(other.sum())
        check("probability", found["probability_difference"], allowed.probability)
        check("decisions", float(found["decisions_differing"]), allowed.decisions * len(raw))
        return found

    # -- running ---------------------------------------------------------------------------------------------------

    def classify(self, frame: pd.DataFrame) -> pd.DataFrame:
        """As `TableClassifier.classify`."""
        label, probability, flag = self._assessed(frame)
        place = {level: k for k, level in enumerate(self.classes_)}
        decided = np.array([place[one] for one in self._labels(label).tolist()], dtype=np.int64)
        return classified(decided, probability, flag, self.schema_, frame.index)

    def predict_proba(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """As `TableClassifier.predict_proba`."""
        return self._assessed(frame)[1]

    def _assessed(self, frame: pd.DataFrame) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        raw = to_raw(frame, self.schema_)
        feed = to_feed(raw, frame, self.inputs)
        parts = [self._run(part) for part in in_chunks(feed, max(len(raw), 1), CHUNK_ROWS)]  # no rows in one run
        label, probability, flag = (np.concatenate(each) for each in zip(*parts, strict=True))
        return label, probability, flag

    def _run(self, feed: Mapping[str, Any]) -> list[npt.NDArray[Any]]:
        return self.run(feed, [self.names[name] for name in GIVEN])

    def _labels(self, given: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The labels as the schema has them: a graph holds truths as 0 and 1, and some numbers as text."""
        port = label_port(self.schema_[str(self.schema_.target)])
        levels = dict(zip(port.levels or (), self.classes_, strict=True))
        return np.array([levels[one] for one in given.tolist()], dtype=object)

    # -- what it says of itself ------------------------------------------------------------------------------------

    def training_data(self) -> Iterable[str]:
        counts = zip(self.classes_, self.class_counts_, strict=True)
        yield "classes: " + ", ".join(f"{code(level)} {count:,}" for level, count in counts)
        made = self.described["made"]
        yield f"balanced by: {made['method']}; decisions are made for {made['goal']}"
        yield from super().training_data()

    def limits(self) -> Iterable[str]:
        figures = self.described["made"]["held_out"]
        yield (
            f"On {figures['rows']:,.0f} rows that were held back, and on which probabilities and decisions were "
            f"settled: balanced accuracy {figures['balanced_accuracy']:.3f}, macro F1 {figures['macro_f1']:.3f}, Brier "
            f"score {figures['brier']:.4f}; of the rarest class recall {figures['recall']:.3f} and precision "
            f"{figures['precision']:.3f}."
        )
        yield "Probabilities hold where classes are as frequent as in the training data."
        yield from super().limits()

    def differences(self, parity: Mapping[str, Any]) -> str:
        off, n_other = parity["probability_difference"], parity["decisions_differing"]
        return f"probabilities differ by {off:.1e} at most, {n_other} decisions differ"


def _tried(file: ExportedClassifier, random: np.random.Generator) -> Raw:
    """Rows whose cells are drawn alone, over the range of their columns."""
    schema = file.schema_
    numbers = np.empty((TRIED, len(schema.numeric)))
    ports = {port.name: port for port in file.inputs}
    for place, name in enumerate(schema.numeric):
        column = schema[name]
        low, high = column.low or 0.0, column.high or 0.0
        cells = random.uniform(low - 0.1 * (high - low), high + 0.1 * (high - low), TRIED)
        numbers[:, place] = np.rint(cells) if ports[name].type == "int64" else cells
    numbers[random.random(numbers.shape) < LACKING] = np.nan
    codes = np.empty((TRIED, len(schema.categorical)), dtype=np.int64)
    for place, name in enumerate(schema.categorical):
        port = ports[name]
        code = random.integers(0, max(len(port.levels or ()), 1), TRIED)
        code = np.where(random.random(TRIED) < LACKING, MISSING, code)
        codes[:, place] = np.where(random.random(TRIED) < LACKING, port.unseen, code)
    return Raw(numbers, codes)
