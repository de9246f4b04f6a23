"""Files of lower precision: smaller, measured, and refused where they would change a flag."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from gantools import AnomalyScorer
from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables.raw import to_raw
from gantools.errors import ExportError
from gantools.export import file as module
from gantools.export.columns import to_feed
from gantools.export.file import ExportedFile, export_model
from gantools.export.graph import Graph
from gantools.export.precision import reduced
from gantools.export.proof import Tolerance
from gantools.export.runtime import load_exported, open_session


@pytest.fixture(autouse=True)
def is_traced(
    scorer: AnomalyScorer, traced_scorer: Graph, traced_maker: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models are exported without being traced once more."""
    monkeypatch.setattr(
        module, "build", lambda model, **_: copy.deepcopy(traced_scorer if model is scorer else traced_maker)
    )


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_scorer_of_lower_precision_gives_the_same_flags(
    scorer: AnomalyScorer, scorer_file: ExportedFile, table: pd.DataFrame, tmp_path: Path, precision: str
) -> None:
    found = export_model(scorer, tmp_path / "model.onnx", precision=precision)  # type: ignore[arg-type]
    assert found.parity["flags_differing"] == 0
    session, file = open_session(found.path, "cpu"), load_exported(found.path, "cpu")
    rows = to_feed(to_raw(table.head(40), file.schema_), table.head(40), file.inputs)
    wild = {
        name: np.append(cells[:1], ["Atlantis"] if cells.dtype == object else [2**62]) for name, cells in rows.items()
    }
    whole = session.run(["anomaly_score"], rows)[0]
    beside = session.run(["anomaly_score"], {name: cells.astype(rows[name].dtype) for name, cells in wild.items()})[0]
    np.testing.assert_allclose(beside[0], whole[0], rtol=1e-4)  # a score does not depend on the rows beside it
    assert found.parity["score_relative"] > scorer_file.parity["score_relative"]
    said = {entry.key: entry.value for entry in onnx.load(found.path).metadata_props}
    assert said["gantools.precision"] == precision


def test_half_precision_halves_the_nets(maker: Synthesizer, maker_file: ExportedFile, tmp_path: Path) -> None:
    found = export_model(maker, tmp_path / "model.onnx", precision="fp16")
    assert found.n_bytes < maker_file.n_bytes
    halves = [t for t in onnx.load(found.path).graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert len(halves) > 5


def test_a_precision_that_breaks_flags_is_refused(
    scorer: AnomalyScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.LOOSE, "int8", Tolerance(score=1e-7, tied=1e-7))
    with pytest.raises(ExportError, match="nothing was written"):
        export_model(scorer, tmp_path / "model.onnx", precision="int8")
    assert not list(tmp_path.iterdir())


def test_what_has_no_nets_is_refused(traced_scorer: Graph) -> None:
    proto = copy.deepcopy(traced_scorer).proto
    for node in list(proto.graph.node):
        if node.op_type in ("MatMul", "If"):
            proto.graph.node.remove(node)
    with pytest.raises(ExportError, match="no layers"):
        reduced(proto, "int8")
