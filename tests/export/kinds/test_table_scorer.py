"""Exported scorers of tables, as onnxruntime alone runs them and with the methods of the library."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest

from gantools import AnomalyScorer
from gantools.errors import DataError, ExportError
from gantools.export.card import card
from gantools.export.columns import MISSING_INT
from gantools.export.compose import drop_defaults
from gantools.export.file import ExportedFile, export_model
from gantools.export.kinds.table_scorer import ExportedScorer
from gantools.export.runtime import load_exported, open_session
from gantools.export.triton import configuration

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


@pytest.fixture(scope="module")
def exported(scorer_file: ExportedFile) -> ExportedScorer:
    found = load_exported(scorer_file.path, "cpu")
    assert isinstance(found, ExportedScorer)
    return found


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
    # a missing cell is none of the empty texts, which are a level here
    lacking = frame.head(6).assign(cat=None)
    exported = load_exported(file.path, "cpu")
    assert isinstance(exported, ExportedScorer) and {port.missing for port in exported.inputs} == {"<missing>"}
    np.testing.assert_allclose(exported.anomaly_score(lacking), scorer.anomaly_score(lacking), rtol=1e-4)


@pytest.mark.parametrize("asked", [False, True])
def test_no_rows_are_no_error(session: ort.InferenceSession, table: pd.DataFrame, asked: bool) -> None:
    found = session.run(None, {**cells_of(table.head(0)), "explain": np.array(asked)})
    assert [len(values) for values in found] == [0] * 6


@pytest.mark.parametrize("wrong", [0, 1, 5, 13])
@pytest.mark.parametrize("name", ["age", "income", "moment", "city", "member"])
def test_columns_of_different_lengths_are_refused(
    session: ort.InferenceSession, table: pd.DataFrame, name: str, wrong: int
) -> None:
    for n in (1, 12):
        if n != wrong:
            cells = cells_of(table.head(n))
            with pytest.raises(Exception, match=r"Non-zero status code"):
                session.run(SCORES[:1], {**cells, name: np.resize(cells[name], wrong)})


def test_lengths_that_add_up_are_refused(session: ort.InferenceSession, table: pd.DataFrame) -> None:
    """Five, six and seven rows are as many cells as three columns of six."""
    cells = cells_of(table.head(6))
    longer = cells_of(table.head(7))
    odd = {"income": cells["income"][:5], "visits": longer["visits"]}
    with pytest.raises(Exception, match=r"Non-zero status code"):
        session.run(SCORES[:1], {**cells, **odd})


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g)


def test_contributions_do_not_depend_on_threads(scorer_file: ExportedFile, table: pd.DataFrame) -> None:
    added = [node for node in _nodes(onnx.load(scorer_file.path).graph) if node.op_type.startswith("Scatter")]
    assert not [node for node in added for attribute in node.attribute if attribute.s == b"add"]
    asked = {**cells_of(table.head(64)), "explain": np.array(True)}
    expected = open_session(scorer_file.path, "cpu", threads=1).run(["contribution"], asked)[0]
    many = open_session(scorer_file.path, "cpu", threads=8)
    for _ in range(20):
        np.testing.assert_allclose(many.run(["contribution"], asked)[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("value", [1.7e308, -1e39])
def test_numbers_beyond_float32_are_what_the_library_takes_them_for(
    exported: ExportedScorer, scorer: AnomalyScorer, table: pd.DataFrame, value: float
) -> None:
    rows = table.head(3).assign(income=value, moment=value)
    ours, theirs = exported.assess(rows), scorer.assess(rows)
    np.testing.assert_allclose(ours["anomaly_score"], theirs["anomaly_score"], rtol=1e-4)
    assert ours["is_anomaly"].all() and theirs["is_anomaly"].all()


def test_infinity_is_no_normal_number(session: ort.InferenceSession, table: pd.DataFrame) -> None:
    cells = cells_of(table.head(4))
    cells["income"], cells["moment"] = cells["income"].copy(), cells["moment"].copy()
    cells["income"][:2], cells["moment"][2:] = np.inf, -np.inf
    score, _, flagged = session.run(SCORES, cells)
    assert np.isfinite(score).all() and flagged.all()


@pytest.mark.parametrize("value", [2.5, 1e19])
def test_what_a_whole_number_cannot_be_is_refused_by_name(
    exported: ExportedScorer, table: pd.DataFrame, value: float
) -> None:
    with pytest.raises(DataError, match="column 'age': has"):
        exported.assess(table.head(3).assign(age=value))


def test_a_threshold_may_be_a_plain_input(
    scorer_file: ExportedFile, exported: ExportedScorer, table: pd.DataFrame, tmp_path: Path
) -> None:
    proto = onnx.load(scorer_file.path)
    drop_defaults(proto)
    onnx.save(proto, tmp_path / "plain.onnx")
    plain = load_exported(tmp_path / "plain.onnx", "cpu")
    assert isinstance(plain, ExportedScorer) and not plain.defaults
    assert {value.name for value in plain.takes} >= {"threshold_", "explain"}
    rows = table.head(9)
    pd.testing.assert_frame_equal(plain.assess(rows), exported.assess(rows))
    pd.testing.assert_frame_equal(plain.explain(rows), exported.explain(rows))
    text = card(plain, tmp_path / "plain.onnx")
    assert "must be given, usually false" in text and "onnxruntime-node" not in text
    assert "onnxruntime-node" in card(exported, scorer_file.path)
    assert "max_batch_size: 0" in configuration(plain, "plain")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("names", "{}"), ("names", "[]"), ("names", '{"threshold": ["a"]}'), ("inputs", "[]"), ("inputs", "[{}]"),
        ("outputs", "7"), ("schema", "[]"), ("schema", '{"columns": []}'), ("drift", "[1]"), ("held_out", '"x"'),
        ("tail", "{"), ("threshold", "null"), ("parity", "[]"), ("opset", '"20"'), ("names", "[" * 100000),
    ],
)  # fmt: skip
def test_damaged_metadata_are_told(scorer_file: ExportedFile, entry: str, text: str) -> None:
    proto = onnx.load(scorer_file.path)
    said = {prop.key: prop.value for prop in proto.metadata_props}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {**said, f"gantools.{entry}": text})
    with pytest.raises(ExportError, match="metadata"):
        load_exported(proto.SerializeToString(), "cpu")


def test_metadata_that_are_not_utf8_are_told(
    scorer_file: ExportedFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = scorer_file.path.read_bytes()
    for place in (whole.rindex(b"gantools.version") + 20, whole.rindex(b"anomaly_score")):
        file = tmp_path / "damaged.onnx"
        file.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        with pytest.raises(ExportError, match=r"damaged\.onnx"):
            load_exported(file, "cpu")
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_node_takes_a_plain_threshold(
    scorer_file: ExportedFile, exported: ExportedScorer, table: pd.DataFrame, tmp_path: Path
) -> None:
    """onnxruntime-node does not see inputs with a default; it sees plain ones."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    asked = ["npm", "install", "onnxruntime-node", "--ignore-scripts", "--prefix", str(tmp_path)]
    if subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("onnxruntime-node cannot be installed")
    proto = onnx.load(scorer_file.path)
    drop_defaults(proto)
    onnx.save(proto, tmp_path / "plain.onnx")
    types = {"float": "float32", "double": "float64"}
    named = {value.name: value.type.removeprefix("tensor(").rstrip(")") for value in exported.takes}
    cells = cells_of(table.head(2))
    given = {name: [types.get(of, of), [str(cell) for cell in cells[name]]] for name, of in named.items()}
    (tmp_path / "given.json").write_text(json.dumps(given))
    (tmp_path / "run.js").write_text(NODE)
    done = subprocess.run(["node", "run.js"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(found["score"], exported.anomaly_score(table.head(2)), rtol=1e-4)
    assert found["flags"] == [True, True] and found["sum"] == pytest.approx(found["score"][0], rel=1e-4)


NODE = """
const ort = require("onnxruntime-node"), given = require("./given.json");
const numbers = {float32: a => Float32Array.from(a, Number), float64: a => Float64Array.from(a, Number),
                 int64: a => BigInt64Array.from(a, BigInt), string: a => a};
(async () => {
  const session = await ort.InferenceSession.create("plain.onnx", {logSeverityLevel: 3});
  const feed = {threshold_: new ort.Tensor("float64", Float64Array.from([0]), [1]),
                explain: new ort.Tensor("bool", Uint8Array.from([1]), [])};
  for (const [name, [type, cells]] of Object.entries(given))
    feed[name] = new ort.Tensor(type, numbers[type](cells), [cells.length]);
  const found = await session.run(feed), width = found.contribution.dims[1];
  console.log(JSON.stringify({score: Array.from(found.anomaly_score.data),
    flags: Array.from(found.is_anomaly.data, Boolean),
    sum: Array.from(found.contribution.data).slice(0, width).reduce((a, b) => a + b)}));
})();
"""


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"": np.arange(50.0) ** 2, "b": np.arange(50) % 7})
    scorer = AnomalyScorer(options={"width": 16, "steps": 4}, steps=4, random_state=0, device="cpu").fit(frame)
    with pytest.raises(ExportError, match="has no name"):
        export_model(scorer, tmp_path / "model.onnx")


# --- with the methods of the library ---


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


def test_a_model_that_came_as_bytes_does_all_that_one_from_a_file_does(
    scorer_file: ExportedFile, exported: ExportedScorer, table: pd.DataFrame
) -> None:
    found = load_exported(scorer_file.path.read_bytes(), "cpu")
    assert isinstance(found, ExportedScorer)
    rows = table.head(20)
    pd.testing.assert_frame_equal(found.assess(rows, explain=True), exported.assess(rows, explain=True))
    assert card(found, scorer_file.path) == card(exported, scorer_file.path)


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
