"""What an exported file promises to those who know nothing but onnxruntime."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest

from gantools import AnomalyScorer
from gantools.augment.synthesizer import Synthesizer
from gantools.errors import ExportError
from gantools.export.columns import MISSING_INT
from gantools.export.file import ExportedFile, export_model

SCORES = ["anomaly_score", "p_value", "is_anomaly"]


def session_of(file: ExportedFile) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])


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
    return session_of(scorer_file)


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


# --- generators ---


def asked_of(file: ExportedFile, n: int = 50, **more: Any) -> dict[str, Any]:
    width = file.graph.facts["noise_width"]
    noise = np.random.default_rng(0).standard_normal((n, width)).astype(np.float32)
    return {"noise": noise, "label_": np.array(["yes", "no"] * (n // 2), dtype=object), **more}


def test_a_generator_gives_whole_rows(maker_file: ExportedFile, maker: Synthesizer, table: pd.DataFrame) -> None:
    session = session_of(maker_file)
    names = [value.name for value in session.get_outputs()]
    assert names == [name for name in table.columns if name != "key"]  # identifiers are for who has a register of them
    made = dict(zip(names, session.run(None, asked_of(maker_file)), strict=True))
    assert made["churned"].tolist() == ["yes", "no"] * 25
    assert set(made["city"]) <= set(table["city"]) and set(made["shop"]) <= set(table["shop"])
    assert made["age"].dtype == np.int64 and set(made["threshold"]) <= {0.1, 0.2, 0.3}
    day = 86_400_000_000
    assert (made["joined"] % day == 0).all()
    import torch

    rows = maker.rows_from(torch.from_numpy(asked_of(maker_file)["noise"]), np.array([1, 0] * 25))
    assert (rows["city"] == made["city"]).all() and (rows["shop"] == made["shop"]).mean() > 0.95
    np.testing.assert_allclose(rows["income"].astype(float), made["income"], atol=0.02)


def test_the_same_noise_gives_the_same_rows_one_by_one(maker_file: ExportedFile) -> None:
    session, asked = session_of(maker_file), asked_of(maker_file, 8)
    whole = session.run(["income", "city"], asked)
    single = [
        session.run(["income", "city"], {name: cells[k : k + 1] for name, cells in asked.items()}) for k in range(8)
    ]
    np.testing.assert_allclose(whole[0], np.concatenate([one[0] for one in single]), rtol=1e-5)
    assert whole[1].tolist() == [one[1][0] for one in single]


def test_an_unknown_label_is_an_error(maker_file: ExportedFile) -> None:
    asked = asked_of(maker_file, 2, label_=np.array(["yes", "who knows"], dtype=object))
    with pytest.raises(Exception, match=r"index|indices"):
        session_of(maker_file).run(None, asked)


def test_noise_inside_is_drawn_anew(maker: Synthesizer, tmp_path: Any) -> None:
    file = export_model(maker, tmp_path / "inside.onnx", noise_inside=True)
    session = session_of(file)
    assert [value.name for value in session.get_inputs()] == ["label_"]
    label = {"label_": np.array(["no"] * 40, dtype=object)}
    first, second = (session.run(["income"], label)[0] for _ in range(2))
    assert first.shape == (40,) and not np.array_equal(first, second, equal_nan=True)


def test_columns_may_be_called_as_what_is_inside_a_graph(tmp_path: Any) -> None:
    """PyTorch names values after operations: cat, add, where. Ties abound, too: every row has many equals."""
    rng = np.random.default_rng(0)
    names = ["cat", "where", "add", "noise"]
    frame = pd.DataFrame({name: rng.choice(["u", "", "w"], 90) for name in names})
    scorer = AnomalyScorer(options={"width": 16, "steps": 4}, steps=4, random_state=0, device="cpu").fit(frame)
    file = export_model(scorer, tmp_path / "model.onnx")
    assert file.parity["blamed_differing"] == 0
    session = session_of(file)
    cells = {name: frame[name].to_numpy(dtype=object) for name in names}
    score = session.run(["anomaly_score"], cells)[0]
    np.testing.assert_allclose(score, scorer.anomaly_score(frame), rtol=1e-4)


@pytest.mark.parametrize("asked", [False, True])
def test_no_rows_are_no_error(session: ort.InferenceSession, table: pd.DataFrame, asked: bool) -> None:
    found = session.run(None, {**cells_of(table.head(0)), "explain": np.array(asked)})
    assert [len(values) for values in found] == [0] * 6


def test_a_column_without_a_name_is_refused(tmp_path: Any) -> None:
    frame = pd.DataFrame({"": np.arange(50.0) ** 2, "b": np.arange(50) % 7})
    scorer = AnomalyScorer(options={"width": 16, "steps": 4}, steps=4, random_state=0, device="cpu").fit(frame)
    with pytest.raises(ExportError, match="has no name"):
        export_model(scorer, tmp_path / "model.onnx")
