"""`gantools info` and `gantools models`: what is there."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from .conftest import Invoke, the_error, the_json


def test_info_shows_the_schema(invoke: Invoke, customers: Path) -> None:
    result = invoke("info", customers, "--target", "churned")
    assert result.exit_code == 0, result.output
    for told in ("120 rows", "continuous", "integer", "categorical", "boolean", "datetime", "Bern", "churned (target)"):
        assert told in result.stdout, told
    assert "80 %" in result.stdout


def test_info_for_machines(invoke: Invoke, customers: Path) -> None:
    told = the_json(invoke("info", customers, "--target", "churned", "--kind", "age=categorical", "--json"))
    kinds = {column["name"]: column["kind"] for column in told["schema"]["columns"]}
    assert kinds["age"] == "categorical"
    assert kinds["joined"] == "datetime"
    assert told["n_rows"] == 120
    assert {entry["label"]: entry["rows"] for entry in told["classes"]} == {"no": 96, "yes": 24}


def test_info_tells_of_the_rules(invoke: Invoke, customers: Path) -> None:
    """An identifier and a constant are said to be treated as such."""
    frame = pd.read_csv(customers)
    frame["id"] = [f"c-{index:05d}" for index in range(len(frame))]
    frame["country"] = "CH"
    frame.to_csv(customers, index=False)
    result = invoke("info", customers)
    assert result.exit_code == 0, result.output
    notes = [line for line in result.stdout.splitlines() if line.startswith("Note:")]
    assert any("'id'" in note and "identifier" in note for note in notes)
    assert any("'country'" in note for note in notes)


def test_info_writes_odd_names_as_they_are(invoke: Invoke, tmp_path: Path) -> None:
    """Brackets are markup to the table printer, and part of a name to the user."""
    path = tmp_path / "t.csv"
    pd.DataFrame({"[red]size[/]": [1, 2, 3], "b": ["[bold]", "x", "x"]}).to_csv(path, index=False)
    result = invoke("info", path)
    assert "[red]size[/]" in result.stdout
    assert "[bold]" in result.stdout


@pytest.mark.parametrize("name", ["T.CSV", "T.PARQUET", "T.PQ", "T.CSV.GZ", "P.NPZ", "P"])
def test_suffixes_in_capitals(invoke: Invoke, tmp_path: Path, name: str) -> None:
    frame, pixels = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]}), np.zeros((3, 16, 16), np.uint8)
    path = tmp_path / name
    if name == "P":
        path.mkdir()
        for suffix in ("PNG", "JPG", "BMP"):
            Image.fromarray(pixels[0]).save(path / f"I.{suffix}")
    elif name.endswith("NPZ"):
        with path.open("wb") as file:
            np.savez(file, images=pixels)
    elif "CSV" in name:
        content = frame.to_csv(index=False).encode()
        path.write_bytes(gzip.compress(content) if name.endswith("GZ") else content)
    else:
        frame.to_parquet(path)
    told = the_json(invoke("info", path, "--json"))
    assert told.get("n_rows", told.get("n_images")) == 3


@pytest.mark.parametrize("kind", ["table-scorer", "table-generator", "image-scorer", "image-generator"])
def test_info_on_an_exported_file(invoke: Invoke, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "M.ONNX"
    file.write_bytes((Path(__file__).parents[2] / "exports" / "golden" / f"{kind}.onnx").read_bytes())
    assert invoke("info", file).stdout.startswith(f"{file}: {kind.replace('-', ' ')}\n")


def test_info_on_a_generator(invoke: Invoke, generator: Path) -> None:
    result = invoke("info", generator)
    assert result.exit_code == 0, result.output
    for told in ("autoregressive", "churned", "20 steps", "120 rows", "city"):
        assert told in result.stdout, told
    told_json = the_json(invoke("info", generator, "--json"))
    assert told_json["model"] == "autoregressive"
    assert told_json["training"]["steps"] == 20


def test_info_options_do_not_fit_a_generator(invoke: Invoke, generator: Path) -> None:
    assert "--target" in the_error(invoke("info", generator, "--target", "x"))


def test_models_lists_the_shelf(invoke: Invoke) -> None:
    listed = the_json(invoke("models", "--json"))["models"]
    names = {(model["modality"], model["name"]) for model in listed}
    assert {
        ("table", name) for name in ("autoregressive", "tabular", "vanilla", "cgan", "wgan", "wgan-gp", "denoiser")
    } <= names
    assert {("image", name) for name in ("lean", "dcgan", "r3gan", "wgan-gp", "restorer")} <= names
    assert all(model["summary"] for model in listed)
    lines = invoke("models").stdout.splitlines()
    for model in listed:
        does = {"generate": "makes", "score": "scores", "transform": "transforms"}[model["purpose"]]
        assert f"{model['name']} ({does} {model['modality']}s): {model['summary']}" in lines
