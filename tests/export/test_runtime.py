"""Sessions, and exported models behind the library's methods."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from gantools import AnomalyScorer
from gantools.augment.synthesizer import Synthesizer
from gantools.errors import ExportError
from gantools.export import runtime
from gantools.export.file import ExportedFile
from gantools.export.kinds.table_generator import ExportedGenerator
from gantools.export.kinds.table_scorer import ExportedScorer
from gantools.export.runtime import Bound, load_exported, open_session


@pytest.fixture(scope="module")
def exported(scorer_file: ExportedFile) -> ExportedScorer:
    found = load_exported(scorer_file.path, "cpu")
    assert isinstance(found, ExportedScorer)
    return found


def test_it_needs_no_torch() -> None:
    code = "import sys, gantools.export.runtime; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_scores_reasons_and_contributions_are_the_library_s(
    exported: ExportedScorer, scorer: AnomalyScorer, table: pd.DataFrame
) -> None:
    rows = table.head(40).assign(age=lambda t: t["age"].astype(float))
    rows.loc[3, "age"] = np.nan
    rows.loc[7, "city"] = "Atlantis"
    ours, theirs = exported.assess(rows, explain=True), scorer.assess(rows, explain=True)
    np.testing.assert_allclose(ours["anomaly_score"], theirs["anomaly_score"], rtol=1e-4)
    assert (ours["is_anomaly"] == theirs["is_anomaly"]).all()
    assert (ours["reason"] == theirs["reason"]).mean() > 0.95
    assert "Atlantis" in ours["reason"].iloc[7]
    explained = exported.explain(rows)
    assert list(explained.columns) == list(scorer.explain(rows).columns)
    np.testing.assert_allclose(explained.sum(axis=1), ours["anomaly_score"], rtol=1e-6)


def test_false_alarms_can_be_asked_for_anew(exported: ExportedScorer, scorer: AnomalyScorer) -> None:
    assert exported.calibration_.threshold(0.2) == scorer.calibration_.threshold(0.2)


def test_no_rows_are_fine(exported: ExportedScorer, table: pd.DataFrame) -> None:
    assert len(exported.assess(table.head(0))) == 0


def test_the_same_seed_gives_the_library_s_rows(maker: Synthesizer, maker_file: ExportedFile) -> None:
    model = load_exported(maker_file.path, "cpu")
    assert isinstance(model, ExportedGenerator)
    ours = model.sample({"yes": 30, "no": 10}, seed=3)
    theirs = maker.sample({"yes": 30, "no": 10}, seed=3, refine=False)
    assert list(ours.columns) == list(theirs.columns) and (ours.dtypes == theirs.dtypes).all()
    same = (ours == theirs) | (ours.isna() & theirs.isna())
    assert same.to_numpy().mean() > 0.98


def test_a_gpu_that_is_not_there_is_told(scorer_file: ExportedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "n_gpus", lambda: 0)
    with pytest.warns(RuntimeWarning, match="cuda was asked for, but the model runs on the CPU"):
        session = open_session(scorer_file.path, "cuda")
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_two_builds_of_onnxruntime_are_refused(scorer_file: ExportedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_is_installed", lambda _: True)
    with pytest.raises(ExportError, match="both installed"):
        open_session(scorer_file.path)


def test_what_is_no_exported_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such file"):
        load_exported(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ExportError, match="no model that can be run"):
        load_exported(tmp_path / "text.onnx")
    identity = onnx.helper.make_node("Identity", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    other = onnx.helper.make_model(
        onnx.helper.make_graph([identity], "other", ends[:1], ends[1:]),
        opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10,
    )  # fmt: skip
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="not a model that gantools exported"):
        load_exported(tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="no device"):
        open_session(tmp_path / "other.onnx", "abacus")


def test_wrong_inputs_are_told(exported: ExportedScorer) -> None:
    with pytest.raises(ExportError, match="cannot be run on these inputs"):
        exported.run({"age": np.zeros(1)}, ["anomaly_score"])


def test_tensors_that_stay_on_the_device(maker_file: ExportedFile, tmp_path: Path) -> None:
    """Text cannot, and says so; numbers give what a plain run gives."""
    feed = {"noise": np.zeros((2, 4), np.float32), "label_": np.array(["yes", "no"], dtype=object)}
    with pytest.raises(ExportError, match="text cannot lie on a GPU"):
        Bound(open_session(maker_file.path, "cpu"), feed, ["income"])
    double = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in "xy"]
    graph = onnx.helper.make_graph([double], "double", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    bound = Bound(open_session(model.SerializeToString(), "cpu"), {"x": np.zeros(3, np.float32)}, ["y"])
    for value in (1.0, 2.0):
        [found] = bound({"x": np.full(3, value, np.float32)})
        assert found.numpy().tolist() == [2 * value] * 3


@pytest.mark.gpu
def test_a_graph_on_the_gpu_gives_the_cpu_s_scores(scorer_file: ExportedFile, table: pd.DataFrame) -> None:
    on_gpu, on_cpu = load_exported(scorer_file.path, "cuda"), load_exported(scorer_file.path, "cpu")
    assert on_gpu.session.get_providers()[0] == "CUDAExecutionProvider"
    assert isinstance(on_gpu, ExportedScorer) and isinstance(on_cpu, ExportedScorer)
    np.testing.assert_allclose(on_gpu.anomaly_score(table), on_cpu.anomaly_score(table), rtol=1e-4)
