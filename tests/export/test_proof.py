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
from gantools.export.graph import Graph, describe
from gantools.export.kinds.table_scorer import ExportedScorer
from gantools.export.proof import STRICT, check_alone, check_steady
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
def test_a_changed_weight_is_found(
    scorer: AnomalyScorer, traced_scorer: Graph, name: str, by: float, said: str
) -> None:
    graph = changed(copy.deepcopy(traced_scorer), name, by)
    describe(graph, {}, "fp32")
    with pytest.raises(ExportError, match=f"the file's {said} differs"):
        ExportedScorer(open_session(graph.serialized(), "cpu")).prove(scorer, STRICT)


def test_another_calibration_is_found(scorer: AnomalyScorer, traced_scorer: Graph) -> None:
    other, graph = copy.copy(scorer), copy.deepcopy(traced_scorer)
    other.calibration_ = Calibration(scorer.calibration_.scores * 1.5)
    describe(graph, {}, "fp32")
    with pytest.raises(ExportError, match="the file's p-value differs"):
        ExportedScorer(open_session(graph.serialized(), "cpu")).prove(other, STRICT)


def test_a_changed_generator_is_found_and_nothing_is_written(
    maker: Synthesizer, traced_maker: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build", lambda *_, **__: changed(copy.deepcopy(traced_maker), "generator", 1.2))
    with pytest.raises(ExportError, match="cells that differ"):
        module.export_model(maker, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_changes_from_run_to_run_is_found() -> None:
    given = iter(np.arange(20.0))
    check_steady(lambda: [np.ones(3), np.array([np.nan])])
    with pytest.raises(ExportError, match="another result each time"):
        check_steady(lambda: [np.array([1.0, next(given) // 5])])


def test_a_score_that_depends_on_its_neighbours_is_found() -> None:
    check_alone(np.array([0.7, 0.001]), np.array([0.7, 0.0011]))
    with pytest.raises(ExportError, match=r"moves by 0\.1 of itself"):
        check_alone(np.array([0.7, 0.9]), np.array([0.7, 1.0]))
