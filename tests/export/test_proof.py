"""A file that differs from the library is not written."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from gantools import AnomalyScorer
from gantools.augment.synthesizer import Synthesizer
from gantools.errors import ExportError
from gantools.export import file as module
from gantools.export.graph import Graph, build, describe
from gantools.export.kinds.table_scorer import ExportedScorer
from gantools.export.proof import STRICT
from gantools.export.runtime import open_session
from gantools.score.threshold import Calibration


def changed(graph: Graph, name: str, by: float) -> Graph:
    """The graph with one of its tensors scaled."""
    found = [tensor for tensor in graph.proto.graph.initializer if name in tensor.name]
    assert found, [tensor.name for tensor in graph.proto.graph.initializer]
    for tensor in found:
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array((array * by).astype(array.dtype), tensor.name))
    return graph


@pytest.mark.parametrize(
    ("name", "by", "said"),
    [
        ("memories.0.keys", 1.01, "score"),
        ("detector", np.nan, "score"),
    ],
)
def test_a_changed_weight_is_found(scorer: AnomalyScorer, name: str, by: float, said: str) -> None:
    graph = changed(build(scorer), name, by)
    describe(graph, {}, "fp32")
    with pytest.raises(ExportError, match=f"the file's {said} differs"):
        ExportedScorer(open_session(graph.serialized(), "cpu")).prove(scorer, STRICT)


def test_another_calibration_is_found(scorer: AnomalyScorer) -> None:
    other = copy.copy(scorer)
    other.calibration_ = Calibration(scorer.calibration_.scores * 1.5)
    graph = build(other)
    describe(graph, {}, "fp32")
    with pytest.raises(ExportError, match="the file's p-value differs"):
        ExportedScorer(open_session(graph.serialized(), "cpu")).prove(scorer, STRICT)


def test_a_changed_generator_is_found_and_nothing_is_written(
    maker: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build", lambda model, **more: changed(build(model, **more), "generator", 1.2))
    with pytest.raises(ExportError, match="cells that differ"):
        module.export_model(maker, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
