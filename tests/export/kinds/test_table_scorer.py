"""Exported scorers of tables, as onnxruntime alone runs them and with the methods of the library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest

from gantools import AnomalyScorer
from gantools.errors import ExportError
from gantools.export.columns import MISSING_INT
from gantools.export.file import ExportedFile, export_model
from gantools.export.kinds.table_scorer import ExportedScorer
from gantools.export.runtime import load_exported, open_session

SCORES = ["anomaly_score", "p_value", "is_anomaly"]


def cells_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The rows as a service would give them, without the library."""

    def microseconds(series: pd.Series) -> np.ndarray:
        return series.to_numpy().astype(f"{series.dtype.kind}8[us]").view(np.int64)

    texts = {name: frame[name].to_numpy(dtype=object) for name in ("city", "label", "shop")}
    return {
        "age": frame["age"].to_numpy(np.int64),
        "income": frame["income"].to_numpy(np.float32),
        "member": frame["member"].to_numpy(np.int64),
        "joined": microseconds(frame["joined"]),
        "threshold": frame["threshold"].to_numpy(np.float32),
        "visits": frame["visits"].to_numpy(np.float32),
        "moment": frame["moment"].to_numpy(np.float64),
        "wait": microseconds(frame["wait"]),
        **texts,
    }


@pytest.fixture(scope="module")
def session(scorer_file: ExportedFile) -> ort.InferenceSession:
    return open_session(scorer_file.path, "cpu")


def test_there_is_an_input_for_each_column_in_its_type(session: ort.InferenceSession) -> None:
    types = {value.name: value.type for value in session.get_inputs()}
    assert types == {
        "age": "tensor(int64)", "income": "tensor(float)", "joined": "tensor(int64)", "threshold": "tensor(float)",
        "visits": "tensor(float)", "moment": "tensor(double)", "wait": "tensor(int64)", "city": "tensor(string)",
        "member": "tensor(int64)", "label": "tensor(string)", "shop": "tensor(string)",
    }  # fmt: skip
    assert {value.name for value in session.get_overridable_initializers()} == {"threshold_", "explain"}
    assert all(value.shape == ["batch"] for value in session.get_inputs())


@pytest.mark.parametrize("n", [1, 7, 300])
def test_raw_cells_give_the_library_s_scores(
    session: ort.InferenceSession, scorer: AnomalyScorer, table: pd.DataFrame, n: int
) -> None:
    rows = table.head(n)
    score, p, flagged = session.run(SCORES, cells_of(rows))
    expected = scorer.assess(rows)
    np.testing.assert_allclose(score, expected["anomaly_score"], rtol=1e-4)
    np.testing.assert_allclose(p, expected["p_value"], atol=2 / 301)
    assert (flagged == expected["is_anomaly"]).all()


def test_missing_cells_and_levels_never_seen_are_as_in_the_library(
    session: ort.InferenceSession, scorer: AnomalyScorer, table: pd.DataFrame
) -> None:
    rows = table.head(6).copy()
    cells = {name: values.copy() for name, values in cells_of(rows).items()}
    rows["age"] = rows["age"].astype(float)
    rows.loc[0, "income"] = cells["income"][0] = np.nan
    rows.loc[1, "age"], cells["age"][1] = np.nan, MISSING_INT
    rows.loc[2, "joined"], cells["joined"][2] = pd.NaT, MISSING_INT
    rows.loc[3, "city"], cells["city"][3] = None, ""
    rows.loc[4, "city"] = cells["city"][4] = "Atlantis"
    rows.loc[5, "shop"] = cells["shop"][5] = "a shop never seen"
    np.testing.assert_allclose(session.run(SCORES[:1], cells)[0], scorer.anomaly_score(rows), rtol=1e-4)


def test_a_short_number_is_the_one_that_was_learned(
    session: ort.InferenceSession, scorer: AnomalyScorer, table: pd.DataFrame
) -> None:
    """0.1 in float32 is not 0.1, but it was sent as 0.1."""
    rows = table.head(20).assign(threshold=0.1, income=1234.56)
    cells = {name: values.copy() for name, values in cells_of(rows).items()}
    assert float(cells["threshold"][0]) != 0.1
    np.testing.assert_allclose(session.run(SCORES[:1], cells)[0], scorer.anomaly_score(rows), rtol=1e-5)


def test_the_threshold_moves_without_a_new_export(session: ort.InferenceSession, table: pd.DataFrame) -> None:
    cells = cells_of(table)
    score = session.run(SCORES[:1], cells)[0]
    middle = float(np.median(score))
    flagged = session.run(["is_anomaly"], {**cells, "threshold_": np.array([middle])})[0]
    assert (flagged == (score > middle)).all() and 100 < flagged.sum() < 200


def test_contributions_are_there_when_asked_for(
    session: ort.InferenceSession, scorer: AnomalyScorer, table: pd.DataFrame
) -> None:
    cells = cells_of(table.head(9))
    names = [value.name for value in session.get_inputs()]
    plain, suspects = session.run(["contribution", "suspects"], cells)
    assert plain.shape == (9, len(names)) and np.isnan(plain).all() and suspects.shape[0] == 9
    score, asked = session.run(["anomaly_score", "contribution"], {**cells, "explain": np.array(True)})
    np.testing.assert_allclose(asked.sum(1), score, rtol=1e-6)
    described = json.loads(session.get_modelmeta().custom_metadata_map["gantools.contribution_columns"])
    theirs = scorer.explain(table.head(9).drop(columns="churned"))[described]
    assert (asked.argmax(1) == theirs.to_numpy().argmax(1)).mean() > 0.8


def test_the_file_says_what_it_is(scorer_file: ExportedFile, scorer: AnomalyScorer) -> None:
    model = onnx.load(scorer_file.path)
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 20, "ai.onnx.ml": 3}
    assert model.ir_version == 10 and model.producer_name == "gantools"
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["gantools.kind"] == "table-scorer" and len(said["gantools.data"]) == 64
    assert json.loads(said["gantools.threshold"]) == scorer.threshold_
    assert json.loads(said["gantools.parity"])["flags_differing"] == 0
    levels = {port["name"]: port["levels"] for port in json.loads(said["gantools.inputs"])}
    assert set(levels["city"]) == {"Bern", "Lyon", "Turin"} and levels["age"] is None
    assert "/" not in "".join(node.doc_string for node in model.graph.node)  # no paths of whoever exported


def test_columns_may_be_called_as_what_is_inside_a_graph(tmp_path: Path) -> None:
    """PyTorch names values after operations: cat, add, where. Ties abound, too: every row has many equals."""
    rng = np.random.default_rng(0)
    names = ["cat", "where", "add", "noise"]
    frame = pd.DataFrame({name: rng.choice(["u", "", "w"], 90) for name in names})
    scorer = AnomalyScorer(options={"width": 16, "steps": 4}, steps=4, random_state=0, device="cpu").fit(frame)
    file = export_model(scorer, tmp_path / "model.onnx")
    assert file.parity["blamed_differing"] == 0
    session = open_session(file.path, "cpu")
    cells = {name: frame[name].to_numpy(dtype=object) for name in names}
    score = session.run(["anomaly_score"], cells)[0]
    np.testing.assert_allclose(score, scorer.anomaly_score(frame), rtol=1e-4)


@pytest.mark.parametrize("asked", [False, True])
def test_no_rows_are_no_error(session: ort.InferenceSession, table: pd.DataFrame, asked: bool) -> None:
    found = session.run(None, {**cells_of(table.head(0)), "explain": np.array(asked)})
    assert [len(values) for values in found] == [0] * 6


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"": np.arange(50.0) ** 2, "b": np.arange(50) % 7})
    scorer = AnomalyScorer(options={"width": 16, "steps": 4}, steps=4, random_state=0, device="cpu").fit(frame)
    with pytest.raises(ExportError, match="has no name"):
        export_model(scorer, tmp_path / "model.onnx")


# --- with the methods of the library ---


@pytest.fixture(scope="module")
def exported(scorer_file: ExportedFile) -> ExportedScorer:
    found = load_exported(scorer_file.path, "cpu")
    assert isinstance(found, ExportedScorer)
    return found


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


def test_false_alarms_can_be_asked_for_anew(scorer_file: ExportedFile, scorer: AnomalyScorer) -> None:
    exported = load_exported(scorer_file.path, "cpu")
    assert isinstance(exported, ExportedScorer) and exported.threshold_ == scorer.threshold_
    assert exported.set_false_alarms(0.2).threshold_ == scorer.calibration_.threshold(0.2)


def test_no_rows_are_fine(exported: ExportedScorer, table: pd.DataFrame) -> None:
    assert len(exported.assess(table.head(0))) == 0


def test_wrong_inputs_are_told(exported: ExportedScorer) -> None:
    with pytest.raises(ExportError, match="cannot be run on these inputs"):
        exported.run({"age": np.zeros(1)}, ["anomaly_score"])


@pytest.mark.gpu
@pytest.mark.skipif("CUDAExecutionProvider" not in ort.get_available_providers(), reason="onnxruntime without GPUs")
def test_a_graph_on_the_gpu_gives_the_cpu_s_scores(scorer_file: ExportedFile, table: pd.DataFrame) -> None:
    on_gpu, on_cpu = load_exported(scorer_file.path, "cuda"), load_exported(scorer_file.path, "cpu")
    assert on_gpu.session.get_providers()[0] == "CUDAExecutionProvider"
    assert isinstance(on_gpu, ExportedScorer) and isinstance(on_cpu, ExportedScorer)
    np.testing.assert_allclose(on_gpu.anomaly_score(table), on_cpu.anomaly_score(table), rtol=1e-4)
