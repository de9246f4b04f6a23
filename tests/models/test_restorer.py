"""The damage that the restorer learns from, and what it learns."""

from __future__ import annotations

import torch

from gantools.encode.images import ImageLayout
from gantools.models.base import Batch, DataSpec
from gantools.models.restorer import Restorer, RestorerOptions, distance
from gantools.nn.conditioning import Condition
from gantools.nn.image_damage import damaged, shapes


def images(n: int, size: int = 48, channels: int = 1) -> torch.Tensor:
    coarse = torch.rand(n, channels, 6, 6, generator=torch.Generator().manual_seed(0)) - 0.5
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")


def test_damage_is_where_it_is_said_to_be() -> None:
    x = images(64, channels=3)
    y, where = damaged(x, torch.Generator().manual_seed(1))
    assert y.shape == x.shape and where.shape == (64, 1, 48, 48)
    assert where.min() >= 0 and where.max() <= 1 and y.abs().max() <= 1
    change = (y - x).abs().amax(1, keepdim=True)
    assert change[where < 1e-3].max() < 0.01
    assert 0 < (where.amax((1, 2, 3)) < 0.01).float().mean() < 0.5  # some images are left as they are


def test_damage_has_many_sizes() -> None:
    area = shapes(images(200), torch.Generator().manual_seed(0)).mean((1, 2, 3)) * 48**2
    assert area.min() < 6 and area.max() > 100


def test_damage_repeats() -> None:
    x = images(8)
    one, other = (damaged(x, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(one, other)


def test_distance_from_the_truth() -> None:
    x = images(2)
    assert distance(x, x).max() == 0
    assert distance(x + 0.5, x).min() > 0.9


def test_training_takes_pieces_of_larger_images() -> None:
    model = Restorer(DataSpec(ImageLayout(1, 96)), RestorerOptions(width=8, depth=1, crop=32))
    real = images(8, 96).reshape(2, 4, 1, 96, 96)
    batch = Batch(real, Condition(), torch.zeros(2, 4, dtype=torch.int64), 0.0, torch.Generator().manual_seed(0))
    piece = model._piece(real[0], batch)
    assert piece.shape == (4, 1, 32, 32)
    windows = real[0, 0, 0].unfold(0, 32, 1).unfold(1, 32, 1)
    assert ((windows - piece[0, 0]).abs().amax((2, 3)) == 0).any()
    assert model.maps(real[0]).shape == (2, 2, 4, 96, 96)
