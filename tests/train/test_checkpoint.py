"""Checkpoints are whole or not there."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from gantools.errors import CheckpointError
from gantools.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

ONE = Checkpoint(
    {"model": "cgan"}, {"columns": []}, {"gan.w": torch.tensor([1.0])}, "", {"random": torch.tensor([7])}, {"step": 3}
)
TWO = Checkpoint({"model": "cgan"}, {"columns": []}, {"gan.w": torch.tensor([2.0])})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a" / "b", ONE)
    loaded = load_checkpoint(tmp_path / "a" / "b")
    assert (
        loaded.weights["gan.w"].item() == 1.0 and loaded.state["random"].item() == 7 and loaded.counters == {"step": 3}
    )
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_a_disk_that_fills_up_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "run", ONE)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gantools.train.checkpoint.save_tensors", full)
    with pytest.raises(CheckpointError, match="no space left"):
        save_checkpoint(tmp_path / "run", TWO)
    assert load_checkpoint(tmp_path / "run").weights["gan.w"].item() == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_killed_between_the_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "run", ONE)
    os.replace(tmp_path / "run", tmp_path / ".run.old")
    assert load_checkpoint(tmp_path / "run").weights["gan.w"].item() == 1.0
    save_checkpoint(tmp_path / "run", TWO)
    assert load_checkpoint(tmp_path / "run").weights["gan.w"].item() == 2.0


def test_writing_fails_while_only_the_old_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "run", ONE)
    os.replace(tmp_path / "run", tmp_path / ".run.old")

    def broken(*args: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(CheckpointError, match="Input/output"):
        save_checkpoint(tmp_path / "run", TWO)
    assert load_checkpoint(tmp_path / "run").weights["gan.w"].item() == 1.0


def test_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    save_checkpoint(".", ONE)
    assert load_checkpoint(tmp_path / "run").counters == {"step": 3}


def test_never_over_a_folder_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        save_checkpoint(tmp_path, ONE)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["config.json", "schema.json", "weights.safetensors"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    save_checkpoint(tmp_path / "run", ONE)
    (tmp_path / "run" / name).write_bytes(b"\x00broken")
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(tmp_path / "run")


def test_no_pickle_is_ever_written(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run", ONE)
    assert {p.suffix for p in (tmp_path / "run").iterdir()} == {".json", ".jsonl", ".safetensors"}


def test_infinite_numbers_are_kept_in_files_that_any_reader_of_json_takes(tmp_path: Path) -> None:
    values = {"threshold": math.inf, "low": [-math.inf, 1.5], "none": None}
    save_checkpoint(tmp_path / "run", dataclasses.replace(ONE, config=values))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads((tmp_path / "run" / "config.json").read_text(), parse_constant=refuse)
    loaded = load_checkpoint(tmp_path / "run").config
    assert {name: loaded[name] for name in values} == values


def test_nested_beyond_reason(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run", ONE)
    (tmp_path / "run" / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        load_checkpoint(tmp_path / "run")


def test_metrics_that_are_no_text(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run", ONE)
    (tmp_path / "run" / "metrics.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: cannot be read"):
        load_checkpoint(tmp_path / "run")
