"""Differentiable augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from gantools.nn.diffaug import diff_augment

X = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def changed(chance: float, x: Tensor = X, flip: bool = False) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return diff_augment(x, torch.full((len(x),), chance), lambda *shape: torch.rand(shape, generator=random), flip=flip)


def test_without_a_chance_nothing_changes() -> None:
    assert torch.equal(changed(0.0), X)


def test_with_certainty_every_image_changes() -> None:
    assert (changed(1.0) != X).flatten(1).any(1).all()


def test_the_chance_is_each_image_s_own() -> None:
    random = torch.Generator().manual_seed(1)
    chance = (torch.arange(64) % 2).float()
    found = diff_augment(X, chance, lambda *shape: torch.rand(shape, generator=random))
    same = (found == X).flatten(1).all(1)
    assert torch.equal(same, chance == 0)


def test_gradients_pass() -> None:
    x = X.clone().requires_grad_(True)
    changed(1.0, x).square().sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_a_flip_mirrors_about_half() -> None:
    mirrored = (changed(0.0, flip=True) == X.flip(3)).flatten(1).all(1)
    assert 20 < mirrored.sum() < 44
    assert torch.equal(changed(0.0, flip=True)[~mirrored], X[~mirrored])
