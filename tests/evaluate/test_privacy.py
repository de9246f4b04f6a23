"""Copies of real images: all that were planted are found, and few fresh images are taken for one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.privacy import near_copies


class Pixels:
    """The pixels of the image, 4x4 means each."""

    name = "pixels"

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 4).flatten(1)


def digits() -> Tensor:
    """[1797, 1, 16, 16] uint8."""
    x, _ = load_digits(return_X_y=True)
    images = np.minimum(x.reshape(-1, 8, 8) * 16, 255).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    return torch.from_numpy(images)[:, None]


def test_copies_are_found_and_fresh_images_are_not() -> None:
    images = digits()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    real, fresh = images[order[:1200]], images[order[1200:]]
    nearly = real[:50].clone()
    nearly[:, :, 8, 8] ^= 3
    found = near_copies(real, torch.cat([real[100:120], nearly, fresh]), Pixels())
    assert found.exact == tuple((place, place + 100) for place in range(20))
    copied = [(made, place) for made, place in found.near if made < 70]
    assert copied == [(20 + place, place) for place in range(50)]
    n_chance = len(found.near) - 50
    assert found.chance == pytest.approx(0.01, abs=0.001)
    assert n_chance <= 4 * found.chance * len(fresh)
    assert "20 are exact copies" in found.sentence and "pixels" in found.sentence
    json.dumps(found.to_json())


def test_few_training_images_say_what_chance_gives() -> None:
    images = digits()
    found = near_copies(images[:19], images[100:140], Pixels())
    assert found.chance == pytest.approx(1 / 20)
    with pytest.raises(DataError, match="three real images"):
        near_copies(images[:2], images[2:5], Pixels())
