"""Pictures of any sizes as bytes, and what is held back of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantools.data.images.pairs import open_pictures
from gantools.encode import images as module
from gantools.encode.images import ImageEncoder, ImageLayout
from gantools.encode.pictures import Pictures, TranslationSet, corners


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for k in range(20):
        for side in "AB":
            (tmp_path / side).mkdir(exist_ok=True)
            pixels = random.integers(0, 256, (5 + k, 30 - k, 3), dtype=np.uint8)
            pixels[0, 0] = k
            Image.fromarray(pixels).save(tmp_path / side / f"{k:02d}.png")
    return tmp_path


@pytest.mark.parametrize("spilled", [False, True])
def test_every_picture_is_as_large_as_it_is(folder: Path, spilled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if spilled:
        monkeypatch.setattr(module, "SPILL_BYTES", 100)
    told: list[int] = []
    data = TranslationSet.load(open_pictures(folder), on_image=told.append)
    assert told == list(range(1, 41)) and data.sources is not None and len(data) == 20
    for k in range(20):
        wanted = np.asarray(Image.open(folder / "B" / f"{k:02d}.png"))
        assert np.array_equal(data.targets[k].movedim(0, 2).numpy(), wanted)


def test_pictures_brought_to_one_size(folder: Path) -> None:
    data = TranslationSet.load(open_pictures(folder), lambda channels: ImageEncoder(ImageLayout(channels, 16)))
    assert data.targets.height.unique().tolist() == data.targets.width.unique().tolist() == [16]


def test_pairs_that_are_held_back_stay_pairs(folder: Path) -> None:
    data = TranslationSet.load(open_pictures(folder))
    rest, held = data.split(5, seed=3)
    assert (len(rest), len(held)) == (15, 5)
    marks = [
        [int(side[k][0, 0, 0]) for k in range(len(side))]
        for part in (rest, held) for side in (part.sources, part.targets) if side is not None
    ]  # fmt: skip
    assert marks[0] == marks[1] and marks[2] == marks[3] and sorted(marks[0] + marks[2]) == list(range(20))
    again = data.split(5, seed=3)[1]
    assert torch.equal(again.targets.start, held.targets.start)
    assert not torch.equal(data.split(5, seed=4)[1].targets.start, held.targets.start)


def test_corners_reach_every_place() -> None:
    n = torch.tensor([10, 4, 3]).repeat(500)
    drawn = corners(n, 4, torch.Generator().manual_seed(0)).reshape(-1, 3)
    assert set(drawn[:, 0].tolist()) == set(range(7)) and not drawn[:, 1:].any()


def test_stacked_pictures_are_the_same() -> None:
    images = torch.randint(256, (4, 3, 6, 5), dtype=torch.uint8)
    pictures = Pictures.stacked(images)
    assert len(pictures) == 4 and torch.equal(pictures[2], images[2])
    assert torch.equal(pictures.some(torch.tensor([3, 1]))[0], images[3])
