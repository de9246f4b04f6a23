"""Training a translator as a function: what is held back, what the verdict has time for, what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gantools
from gantools.errors import CheckpointError, ConfigError
from gantools.workflow import train_translator
from gantools.workflow.train import Request, run
from gantools.workflow.train_translator import _middles, until

QUICK: dict[str, Any] = {"steps": 3, "device": "cpu", "options": {"width": 8}}


def fill(folder: Path, n: int, factor: int = 1) -> Path:
    """n pictures of shapes, 24 pixels wide times the factor."""
    folder.mkdir(parents=True)
    for k in range(n):
        pixels = np.full((20, 24, 3), 40 + k, np.uint8)
        pixels[4 : 8 + k % 8, 5 + k % 9 : 20] = (200, 90, 3 * k % 255)
        Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(folder / f"{k:03d}.png")
    return folder


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every time for a verdict has passed at once."""
    ticks = itertools.count(step=10**6)
    monkeypatch.setattr(train_translator, "time", SimpleNamespace(monotonic=lambda: next(ticks)))


def test_a_tenth_is_held_back_and_nothing_of_under_ten(tmp_path: Path) -> None:
    few = run(Request(data=fill(tmp_path / "few", 9), model="unet", degrade=["noise"], save=tmp_path / "a", **QUICK))
    assert few.to_json()["n_held_back"] == 0
    assert few.to_json()["verdict"]["sentence"] == "No verdict: of fewer than 10 pictures none is held back."
    many = run(Request(data=fill(tmp_path / "m", 30), model="unet", degrade=["grey"], save=tmp_path / "b", **QUICK))
    assert many.to_json()["n_held_back"] == many.to_json()["verdict"]["n"] == 3


def test_the_verdict_keeps_to_the_budget(tmp_path: Path, no_time: None) -> None:
    data = fill(tmp_path / "data", 60)
    found = run(Request(data=data, model="unet", degrade=["noise"], save=tmp_path / "m", budget_s=600, **QUICK))
    assert found.to_json()["n_held_back"] == 6 and found.to_json()["verdict"]["n"] == 3
    assert "of the 6 pictures held back 3 were compared in the time left" in found.to_json()["notes"]
    free = run(Request(data=data, model="unet", degrade=["grey"], save=tmp_path / "n", **QUICK))
    assert free.to_json()["verdict"]["n"] == 6


def test_so_does_that_of_two_sets(tmp_path: Path, no_time: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_translator, "FEWEST_OF_SET", 2)
    for name in ("trainA", "trainB"):
        fill(tmp_path / "data" / name, 40)
    asked = Request(data=tmp_path / "data", model="cyclegan", save=tmp_path / "m", budget_s=600, size=16, **QUICK)
    found = run(asked).to_json()
    assert found["n_held_back"] == 4 and found["verdict"]["n"] == 2
    assert "of the 4 pictures held back 2 were compared in the time left" in found["notes"]


def test_until_the_time_has_passed() -> None:
    assert list(until(None, range(5), 2)) == [0, 1, 2, 3, 4]
    assert list(until(0.0, range(5), 2)) == [0, 1]


@pytest.mark.parametrize(("height", "width"), [(7, 12), (8, 9), (3, 20)])
def test_the_middle_of_a_pair_is_one_place(height: int, width: int) -> None:
    """Of a target that is its source enlarged what is compared is, too, whatever is odd."""
    source = torch.randint(256, (3, height, width), dtype=torch.uint8)
    target = source.repeat_interleave(2, 1).repeat_interleave(2, 2)
    small, large = _middles(source, target, 4, 2)
    assert small.shape == (3, min(4, height), min(4, width))
    assert torch.equal(large, small.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_pairs_of_two_sizes_are_not_brought_to_one(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "A", 12)
    fill(tmp_path / "data" / "B", 12, factor=2)
    asked = Request(data=tmp_path / "data", model="srgan", save=tmp_path / "m", size=16, fit="resize", **QUICK)
    with pytest.raises(ConfigError, match="fit: cannot bring pairs to one size whose targets are 2 times as large"):
        run(asked)
    assert not (tmp_path / "m").exists()


class Killed(Exception):
    """Stands for the death of the process."""


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was asked of a training that died in its second step of three, after a checkpoint of the first."""
    from gantools.train import loop

    step, given = loop.Training.step, Request.train_config

    def dies(self: Any, progress: float) -> None:
        if self.run.step == 2:
            raise Killed
        step(self, progress)

    monkeypatch.setattr(
        Request, "train_config", lambda *base, **more: given(*base, checkpoint_every_s=0.0, log_every=1, **more)
    )
    asked = {
        "data": fill(tmp_path / "data", 30),
        "model": "unet",
        "save": tmp_path / "m",
        "degrade": ["noise"],
        **QUICK,
    }
    with monkeypatch.context() as patched:
        patched.setattr(loop.Training, "step", dies)
        with pytest.raises(Killed):
            run(Request(**asked))
    return asked


def held_back(monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]) -> list[int]:
    """Where the pictures that a training holds back begin."""
    found: list[int] = []
    reach = train_translator._verdict

    def seen(translator: Any, rest: Any, held: Any, *more: Any) -> Any:
        found.extend(held.targets.start.tolist())
        return reach(translator, rest, held, *more)

    with monkeypatch.context() as patched:
        patched.setattr(train_translator, "_verdict", seen)
        run(Request(**asked))
    return found


def test_a_resumed_run_holds_back_the_same_and_learns_the_same(
    cut: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = held_back(monkeypatch, {**cut, "resume": True})
    whole = held_back(monkeypatch, {**cut, "save": tmp_path / "whole"})
    assert len(whole) == 3 and resumed == whole
    assert held_back(monkeypatch, {**cut, "save": tmp_path / "other", "seed": 1}) != whole
    one, other = (gantools.load(tmp_path / name, "cpu").translator_.state_dict() for name in ("m", "whole"))  # type: ignore[attr-defined]
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"degrade": ["noise=25"]}, "degrade"),
        ({"size": 16}, "size"),
        ({"size": 20, "fit": "resize"}, "data"),
        ({"seed": 1}, "seed"),
    ],
)
def test_it_does_not_go_on_with_something_else(cut: dict[str, Any], other: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=f"was made with other {named}"):
        run(Request(**{**cut, **other, "resume": True}))
