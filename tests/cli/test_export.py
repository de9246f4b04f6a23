"""`gantools export`, and the commands that run what it wrote."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gantools.config import TrainConfig
from gantools.registry import discover
from gantools.transform.translator import ImageTranslator
from tests.contract.examples import translations

from .conftest import Invoke, the_json


@pytest.fixture(scope="module")
def scorer_file(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, scorer: Path) -> Path:
    path = tmp_path_factory.mktemp("exported") / "scorer.onnx"
    assert invoke("export", scorer, "-o", path).exit_code == 0
    return path


@pytest.fixture(scope="module")
def generator_file(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, generator: Path) -> Path:
    path = tmp_path_factory.mktemp("exported") / "generator.onnx"
    assert invoke("export", generator, "-o", path).exit_code == 0
    return path


@pytest.fixture(scope="module")
def cyclegan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a translator that knows two directions, trained for a moment."""
    cls: Any = discover("image")["cyclegan"]
    data, _ = translations(cls)
    options = {**asdict(cls.tiny()), "n_levels": 1, "n_blocks": 1}
    train = TrainConfig(steps=4, batch_size=4, device="cpu")
    folder = tmp_path_factory.mktemp("translator") / "horses"
    ImageTranslator("cyclegan", options, None, 16, train).fit(data).save(folder)
    return folder


def test_a_translator_in_both_directions(invoke: Invoke, cyclegan: Path, tmp_path: Path) -> None:
    beside = [part for name in ("triton", "mlflow", "card") for part in (f"--{name}", tmp_path / name)]
    told = the_json(invoke("export", cyclegan, "-o", tmp_path / "there.onnx", *beside, "--json"))
    assert told["kind"] == "image-translator" and told["parity"]["largest_byte"] <= 1
    assert "Makes pictures out of pictures." in (tmp_path / "card").read_text(encoding="utf-8")
    result = invoke("export", cyclegan, "-o", tmp_path / "back.onnx", "--reverse", "--shape", "96x80")
    assert result.exit_code == 0, result.output
    assert "Compared with the library on " in result.output
    said = the_json(invoke("info", tmp_path / "back.onnx", "--json"))
    assert (said["model"], said["reverse"], said["shape"], said["scale"]) == ("cyclegan", True, [96, 80], 1)
    shown = invoke("info", tmp_path / "there.onnx").output
    assert "image translator" in shown and "transformed" in shown and "batch x height x width x 1" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shape", "512"], "'512' is no height and width; write 512x512"),
        (["--shape", "0x9"], "no height and width"),
        (["--shape", "98x96"], "the sides of 98x96 are no multiples of 4"),
        (["--shape", "8x8"], "8x8 is too small"),
        (["--noise-inside"], "a translator has no noise"),
        (["--plain-inputs"], "a translator has no threshold"),
    ],
)
def test_what_a_translator_is_not(
    invoke: Invoke, cyclegan: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    result = invoke("export", cyclegan, "-o", tmp_path / "m.onnx", *options)
    assert result.exit_code == 2 and said in result.output, result.output
    assert not list(tmp_path.iterdir())


def test_everything_that_can_be_written(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    told = the_json(
        invoke(
            "export", generator, "-o", tmp_path / "g.onnx", "--triton", tmp_path / "repository",
            "--mlflow", tmp_path / "mlflow", "--card", tmp_path / "card.md", "--json",
        )
    )  # fmt: skip
    assert told["kind"] == "table-generator" and told["parity"]["cells_differing"] <= 2e-3
    assert told["bytes"] == (tmp_path / "g.onnx").stat().st_size
    assert (tmp_path / "repository" / "g" / "config.pbtxt").is_file()
    assert (tmp_path / "mlflow" / "MLmodel").is_file()
    assert "churned" in (tmp_path / "card.md").read_text(encoding="utf-8")


def test_it_lands_in_exports_unless_told(
    invoke: Invoke, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("export", generator)
    assert result.exit_code == 0, result.output
    assert "Compared with the library on 1,024 rows" in result.output
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["generator.onnx"]


def test_a_table_is_scored_by_the_file_as_by_the_folder(
    invoke: Invoke, scorer: Path, scorer_file: Path, customers: Path, tmp_path: Path
) -> None:
    saved, exported = tmp_path / "saved.csv", tmp_path / "exported.csv"
    by_folder = the_json(invoke("score", customers, "--from", scorer, "-o", saved, "--explain", "--json"))
    by_file = the_json(invoke("score", customers, "--onnx", scorer_file, "-o", exported, "--explain", "--json"))
    assert by_file["n_anomalous"] == by_folder["n_anomalous"] and by_file["threshold"] == by_folder["threshold"]
    one, other = pd.read_csv(saved), pd.read_csv(exported)
    assert (one["is_anomaly"] == other["is_anomaly"]).all()
    pd.testing.assert_frame_equal(one.drop(columns="reason"), other.drop(columns="reason"), rtol=1e-4)
    looser = the_json(
        invoke("score", customers, "--onnx", scorer_file, "-o", exported, "--false-alarms", "0.3", "--force", "--json")
    )
    assert looser["n_anomalous"] > by_file["n_anomalous"]


def test_rows_are_made_by_the_file_as_by_the_folder(
    invoke: Invoke, generator: Path, generator_file: Path, tmp_path: Path
) -> None:
    saved, exported = tmp_path / "saved.csv", tmp_path / "exported.csv"
    assert invoke("generate", generator, "-n", 60, "--no-refine", "-o", saved, "--seed", 4).exit_code == 0
    result = invoke("generate", "--onnx", generator_file, "-n", 60, "-o", exported, "--seed", 4)
    assert result.exit_code == 0, result.output
    one, other = pd.read_csv(saved), pd.read_csv(exported)
    assert ((one == other) | (one.isna() & other.isna())).to_numpy().mean() > 0.98
    result = invoke("generate", "--onnx", generator_file, "-n", 9, "--where", "churned=yes", "-o", exported, "--force")
    assert result.exit_code == 0 and (pd.read_csv(exported)["churned"] == "yes").sum() == 9


def test_info_tells_how_a_file_is_called(invoke: Invoke, scorer_file: Path, generator_file: Path) -> None:
    told = the_json(invoke("info", scorer_file, "--json"))
    assert told["kind"] == "table-scorer" and {port["name"] for port in told["inputs"]} >= {"age", "city"}
    shown = invoke("info", generator_file)
    assert shown.exit_code == 0 and "noise" in shown.output and "table generator" in shown.output
    assert invoke("info", scorer_file, "--target", "churned").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "{generator}", "-o", "out.csv"], "does not end in .onnx"),
        (["export", "{generator}", "-o", "{generator}/g.onnx"], "lies in"),
        (["export", "{scorer}", "-o", "s.onnx", "--noise-inside"], "a scorer has no noise"),
        (["export", "{scorer}", "-o", "s.onnx", "--reverse"], "only a translator of pictures has a direction"),
        (
            ["export", "{scorer}", "-o", "s.onnx", "--shape", "64x64"],
            "only a translator of pictures has pictures of a shape",
        ),
        (["export", "nowhere", "-o", "s.onnx"], "nowhere"),
        (["export", "{generator}", "-o", "missing/s.onnx"], "does not exist"),
        (["score", "{customers}", "--onnx", "{generator_file}"], "holds a generator, not a scorer"),
        (["score", "{customers}", "--onnx", "{scorer_file}", "--from", "{scorer}"], "cannot be combined with --onnx"),
        (["score", "{customers}", "--onnx", "{scorer_file}", "--steps", "9"], "has no effect on the scorer of --onnx"),
        (["score", "{customers}", "--onnx", "{customers}"], "no model that can be run"),
        (["generate", "--onnx", "{scorer_file}", "-n", "3"], "holds a scorer, not a generator"),
        (["generate", "{generator}", "--onnx", "{generator_file}", "-n", "3"], "--onnx"),
        (["generate", "-n", "3"], "--onnx"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    invoke: Invoke, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    named = ("generator", "scorer", "customers", "scorer_file", "generator_file")
    places = {name: request.getfixturevalue(name) for name in named if any(f"{{{name}}}" in one for one in arguments)}
    before = set(tmp_path.rglob("*"))
    result = invoke(*(argument.format(**places) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert said in result.stderr and result.stderr.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before
