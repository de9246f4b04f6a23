"""What the commands share: lengths of time, settings, kinds, places for output, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest

from gantools.errors import ConfigError
from gantools_cli.common import (
    Duration,
    beside,
    check_output_file,
    check_output_folder,
    parse_kinds,
    parse_settings,
    print_json,
    suggestion,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("45", 45), (" 0.5M ", 30)],
)
def test_duration(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "5x", "m", "-5m", "0s", "5 minutes", "1e400", "nan", "inf"])
def test_duration_refuses(text: str) -> None:
    with pytest.raises(click.BadParameter, match="90s, 5m or 1h"):
        Duration().convert(text, None, None)


def test_settings_keep_their_types() -> None:
    settings = parse_settings(["width=64", "rate=1e-3", "pack=true", "name=relu", "sizes=[8, 8]", "a=b=c", "none=null"])
    assert settings == {
        "width": 64,
        "rate": 0.001,
        "pack": True,
        "name": "relu",
        "sizes": [8, 8],
        "a": "b=c",
        "none": None,
    }


@pytest.mark.parametrize("item", ["width", "=3", ""])
def test_settings_refuse(item: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_settings([item])


def test_kinds_allow_equals_in_names() -> None:
    assert {name: kind.value for name, kind in parse_kinds(["a=b=integer", "c=Categorical"]).items()} == {
        "a=b": "integer",
        "c": "categorical",
    }


def test_kinds_suggest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'integer'"):
        parse_kinds(["age=intger"])
    with pytest.raises(ConfigError, match="COL=KIND"):
        parse_kinds(["age"])


def test_suggestion_lists_choices_without_a_neighbour() -> None:
    assert suggestion("zzz", ["cgan", "wgan"]) == "choose from cgan, wgan"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("customers.csv", "customers.balanced.csv"),
        ("a.b.csv", "a.b.balanced.csv"),
        ("customers.csv.gz", "customers.balanced.csv.gz"),
        ("x.parquet", "x.balanced.parquet"),
        ("plain", "plain.balanced"),
        (".hidden", ".hidden.balanced"),
        ("deep/er/t.tsv", "deep/er/t.balanced.tsv"),
    ],
)
def test_default_output_name(data: str, expected: str) -> None:
    assert beside(Path(data), "balanced") == Path(expected)


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_folder_has_no_default_output_name(folder: str) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        beside(Path(folder), "balanced")


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("a\n")
    (tmp_path / "link.csv").symlink_to(source)
    for name in ("t.csv", "link.csv"):
        with pytest.raises(ConfigError, match="is the input file"):
            check_output_file(tmp_path / name, option="--output", force=True, source=source)


def test_existing_outputs_need_force(tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.touch()
    with pytest.raises(ConfigError, match="--force"):
        check_output_file(there, option="--output", force=False)
    check_output_file(there, option="--output", force=True)


def test_force_replaces_checkpoints_only(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    with pytest.raises(ConfigError, match="not a checkpoint"):
        check_output_folder(tmp_path / "photos", option="--save", force=True)
    (tmp_path / "run").mkdir()
    check_output_folder(tmp_path / "run", option="--save", force=False)
    (tmp_path / "run" / "config.json").touch()
    with pytest.raises(ConfigError, match="--force"):
        check_output_folder(tmp_path / "run", option="--save", force=False)
    check_output_folder(tmp_path / "run", option="--save", force=True)
    check_output_folder(tmp_path / "run", option="--save", force=False, resume=True)


def test_json_holds_what_numpy_and_paths_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": np.int64(3), "b": np.float32("nan"), "c": Path("x"), "d": (np.bool_(True), float("inf")), 1: None})
    assert json.loads(capsys.readouterr().out) == {"a": 3, "b": None, "c": "x", "d": [True, None], "1": None}
