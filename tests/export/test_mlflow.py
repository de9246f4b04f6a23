"""MLflow models: their files read plainly and with the module that lies in the folder, and with MLflow where it is."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from gantools.errors import ExportError
from gantools.export.file import ExportedFile
from gantools.export.mlflow import OWN, write_mlflow
from gantools.export.runtime import load_exported

GOLDEN = Path(__file__).parents[2] / "exports" / "golden"
KINDS = ("table-scorer", "table-generator", "image-scorer", "image-generator")


def golden(kind: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{kind}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def rows() -> pd.DataFrame:
    """The rows of the golden table scorer as a user has them."""
    given = {name.removeprefix("given/"): cells for name, cells in golden("table-scorer").items() if cells.ndim}
    names = [port.name for port in load_exported(GOLDEN / "table-scorer.onnx", "cpu").inputs]
    frame = pd.DataFrame({name: given[name] for name in names})
    frame["stem"] = frame["stem"].astype(object).where(frame["stem"] != "", None)
    return frame.astype({"sepal length": float, "petal area": float}).set_axis(np.arange(7, 7 + len(frame)))


def loaded(folder: Path) -> Any:
    """The model by the copied module alone, as MLflow loads it."""
    spec = importlib.util.spec_from_file_location("gantools_served", folder / "code" / "gantools_served.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._load_pyfunc(str(folder / "model.onnx"))


def signature(folder: Path) -> dict[str, Any]:
    written = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))["signature"]
    return {part: json.loads(text) if text else None for part, text in written.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_complete(kind: str, tmp_path: Path) -> None:
    folder = write_mlflow(GOLDEN / f"{kind}.onnx", tmp_path / "model")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == sorted(OWN)
    written = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    python, plain = written["flavors"]["python_function"], written["flavors"]["onnx"]
    assert (python["loader_module"], python["code"], python["data"]) == ("gantools_served", "code", "model.onnx")
    assert (folder / python["env"]["conda"]).is_file() and (folder / python["env"]["virtualenv"]).is_file()
    assert (folder / plain["data"]).read_bytes() == (GOLDEN / f"{kind}.onnx").read_bytes()
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert written["metadata"] == {
        "kind": kind, "model": written["metadata"]["model"], "gantools": "0.1.0", "sha256": digest,
    }  # fmt: skip
    needed = (folder / "requirements.txt").read_text().split()
    conda = yaml.safe_load((folder / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": needed} and conda["dependencies"][0].startswith("python=3.")
    assert yaml.safe_load((folder / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]


def test_the_signature_names_columns_in_the_tables_own_types(tmp_path: Path) -> None:
    said = signature(write_mlflow(GOLDEN / "table-scorer.onnx", tmp_path / "model"))
    assert {column["name"]: column["type"] for column in said["inputs"]} == {
        "sepal length": "double", "petal area": "double", "petal width mm": "long", "stem": "string",
        "species": "string",
    }  # fmt: skip
    assert [column["name"] for column in said["outputs"]] == ["anomaly_score", "p_value", "is_anomaly"]
    assert [param["name"] for param in said["params"]] == ["threshold", "explain"]
    said = signature(write_mlflow(GOLDEN / "image-scorer.onnx", tmp_path / "model"))
    assert said["inputs"] == [{"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, -1, -1, 1]}}]
    said = signature(write_mlflow(GOLDEN / "table-generator.onnx", tmp_path / "model"))
    assert said["inputs"] == [{"type": "string", "name": "label", "required": True}]
    assert [column["name"] for column in said["outputs"]][-1] == "species"


def test_rows_are_scored_as_by_the_library(tmp_path: Path) -> None:
    model, expected, frame = (
        loaded(write_mlflow(GOLDEN / "table-scorer.onnx", tmp_path / "m")),
        golden(KINDS[0]),
        rows(),
    )
    found = model.predict(frame)
    assert list(found.columns) == ["anomaly_score", "p_value", "is_anomaly"] and found.index.equals(frame.index)
    np.testing.assert_allclose(found["anomaly_score"], expected["expected/anomaly_score"], rtol=1e-4)
    assert (found["is_anomaly"] == expected["expected/is_anomaly"]).all()
    assert model.predict(frame, {"threshold": -1.0})["is_anomaly"].all()
    explained = model.predict(frame.to_dict("list"), {"explain": True}).filter(like="contribution/")
    assert list(explained.columns) == [f"contribution/{name}" for name in frame.columns]
    np.testing.assert_allclose(explained, expected["expected/contribution"], rtol=1e-3, atol=1e-4)
    assert len(model.predict(frame.iloc[:0])) == 0
    with pytest.raises(ValueError, match="stem"):
        model.predict(frame.drop(columns="stem"))
    with pytest.raises(ValueError, match="'petal area' has 'wide'"):
        model.predict(frame.assign(**{"petal area": "wide"}))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("petal width mm", 2.5, "no whole number"), ("petal width mm", 1e19, "no whole number"),
        ("petal width mm", np.uint64(2**63 + 5), "no whole number"), ("petal area", np.inf, "no finite number"),
    ],
)  # fmt: skip
def test_what_a_column_cannot_hold_is_refused_by_name(tmp_path: Path, name: str, value: Any, said: str) -> None:
    model = loaded(write_mlflow(GOLDEN / "table-scorer.onnx", tmp_path / "m"))
    with pytest.raises(ValueError, match=f"column '{name}' has .*{said}"):
        model.predict(rows().assign(**{name: value}))


def test_numbers_beyond_float32_and_numbers_as_text(tmp_path: Path) -> None:
    model = loaded(write_mlflow(GOLDEN / "table-scorer.onnx", tmp_path / "m"))
    found = model.predict(rows().assign(**{"petal area": 1e300}))
    assert np.isfinite(found["anomaly_score"]).all() and found["is_anomaly"].all()
    whole = model._cells(pd.Series([1.0, "", None], dtype=object), {**TEXT, "missing": ""})
    assert whole.tolist() == ["1", "?", ""]
    assert model._cells(pd.Series(["", None]), {**TEXT, "missing": "<missing>"}).tolist() == ["", "<missing>"]


TEXT = {"name": "a", "type": "string", "levels": ["1"], "unit": "", "has_missing": True}


def test_no_samples_are_fine_and_an_unknown_class_is_named(tmp_path: Path) -> None:
    made = {kind: loaded(write_mlflow(GOLDEN / f"{kind}.onnx", tmp_path / kind)) for kind in KINDS}
    empty = made["image-scorer"].predict(np.zeros((0, 20, 9, 1), np.uint8))
    assert empty["anomaly_score"].shape == (0,) and empty["heatmap"].shape == (0, 20, 9)
    assert made["table-scorer"].predict(rows().iloc[:0], {"explain": True}).shape == (0, 8)
    assert made["table-generator"].predict({"label": []}).shape == (0, 5)
    assert made["image-generator"].predict({"label": []}).shape == (0, 16, 16, 1)
    with pytest.raises(ValueError, match="'label' has 'rose', which is no class: the classes are 'setosa'"):
        made["table-generator"].predict({"label": ["rose"]})


def test_other_dtypes_of_the_same_cells_give_the_same_scores(tmp_path: Path) -> None:
    model, frame = loaded(write_mlflow(GOLDEN / "table-scorer.onnx", tmp_path / "m")), rows()
    expected = model.predict(frame)["anomaly_score"]
    other = frame.astype({"petal area": "Float64", "petal width mm": "Int64", "species": "category", "stem": object})
    assert model.predict(other)["anomaly_score"].equals(expected)
    text = frame.assign(**{"sepal length": frame["sepal length"].astype(str), "petal width mm": "2"})
    assert np.isfinite(model.predict(text)["anomaly_score"]).all()
    lacking = frame.assign(**{"petal width mm": np.nan})
    assert (model.predict(lacking)["anomaly_score"] != expected).all()


def test_images_are_scored_and_things_are_made(tmp_path: Path) -> None:
    expected = golden("image-scorer")
    model = loaded(write_mlflow(GOLDEN / "image-scorer.onnx", tmp_path / "images"))
    found = model.predict(expected["given/image"])
    np.testing.assert_allclose(found["anomaly_score"], expected["expected/anomaly_score"], rtol=1e-4)
    assert found["heatmap"].shape == (len(expected["given/image"]), 16, 16)

    model = loaded(write_mlflow(GOLDEN / "table-generator.onnx", tmp_path / "rows"))
    asked = pd.DataFrame({"label": ["setosa", "virginica"] * 20})
    made = model.predict(asked, {"seed": 3})
    assert made["species"].tolist() == asked["label"].tolist() and made["sepal length"].dtype == np.float64
    assert made.equals(model.predict(asked, {"seed": 3})) and not made.equals(model.predict(asked))

    model = loaded(write_mlflow(GOLDEN / "image-generator.onnx", tmp_path / "pictures"))
    pictures = model.predict({"label": ["0", "2"]}, {"seed": 3})
    assert pictures.shape == (2, 16, 16, 1) and pictures.dtype == np.uint8


def test_every_kind_of_column_is_read_as_the_library_reads_it(
    scorer_file: ExportedFile, table: pd.DataFrame, tmp_path: Path
) -> None:
    model = loaded(write_mlflow(scorer_file.path, tmp_path / "m"))
    frame = table.drop(columns="churned").head(60).copy()
    for name in frame.columns:
        if frame[name].dtype != bool:
            frame[name] = frame[name].mask(np.arange(len(frame)) % 20 == frame.columns.get_loc(name))
    expected = load_exported(scorer_file.path, "cpu").assess(frame)
    pd.testing.assert_frame_equal(model.predict(frame), expected, check_exact=True)


def test_made_rows_have_the_columns_of_the_table(maker_file: ExportedFile, table: pd.DataFrame, tmp_path: Path) -> None:
    model = loaded(write_mlflow(maker_file.path, tmp_path / "m"))
    label = maker_file.graph.inputs[0]
    assert label.name == "label_"
    made = model.predict(pd.DataFrame({label.name: list(label.levels or ()) * 50}))
    assert list(made.columns) == [name for name in table.columns if name != "key"]
    for name in made.columns:
        if table[name].dtype.kind in "mM":
            assert made[name].dtype.kind == table[name].dtype.kind
            assert made[name].dropna().between(table[name].min(), table[name].max()).all()


def test_a_folder_is_replaced_but_nothing_else(tmp_path: Path) -> None:
    folder = write_mlflow(GOLDEN / "table-scorer.onnx", tmp_path / "model")
    write_mlflow(GOLDEN / "image-scorer.onnx", folder)
    assert (folder / "model.onnx").read_bytes() == (GOLDEN / "image-scorer.onnx").read_bytes()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"notes\.txt"):
        write_mlflow(GOLDEN / "table-scorer.onnx", folder)
    assert (folder / "model.onnx").read_bytes() == (GOLDEN / "image-scorer.onnx").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", KINDS)
def test_mlflow_itself_loads_and_runs_it(kind: str, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    folder, arrays = write_mlflow(GOLDEN / f"{kind}.onnx", tmp_path / "model"), golden(kind)
    assert set(mlflow.models.Model.load(str(folder)).flavors) == {"onnx", "python_function"}
    model = mlflow.pyfunc.load_model(str(folder))
    if kind == "table-scorer":
        found = model.predict(rows(), params={"explain": True})
        np.testing.assert_allclose(found["anomaly_score"], arrays["expected/anomaly_score"], rtol=1e-4)
    elif kind == "image-scorer":
        found = model.predict(arrays["given/image"])
        np.testing.assert_allclose(found["anomaly_score"], arrays["expected/anomaly_score"], rtol=1e-4)
    else:
        label = load_exported(GOLDEN / f"{kind}.onnx", "cpu").inputs[0]
        asked = pd.DataFrame({"label": label.levels})
        assert len(model.predict(asked, params={"seed": 1})) == len(asked)
