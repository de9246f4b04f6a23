"""What tests of training share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gantools.nn.conditioning import Condition
from gantools.nn.random_features import RandomFeatures
from gantools.train.samplers import ByClass, ClassBalanced, Examples
from gantools.train.stores import Images, as_input


@pytest.fixture(scope="session")
def stripes() -> Callable[[int, bool], Tensor]:
    """A function (n, upright) -> [n, 1, 16, 16] uint8, black and white stripes that begin anywhere."""

    def drawn(n: int, upright: bool) -> Tensor:
        random = torch.Generator().manual_seed(int(upright))
        start = torch.randint(4, (n, 1), generator=random)
        line = (((torch.arange(16) + start) // 2 % 2) * 255).to(torch.uint8)
        x = line.reshape(n, 1, 1, 16).expand(-1, -1, 16, -1)
        return x.contiguous() if upright else x.mT.contiguous()

    return drawn


@pytest.fixture
def striped(stripes: Callable[[int, bool], Tensor]) -> Examples:
    """60 images of upright stripes and 6 of level ones, to train on."""
    images, label = torch.cat([stripes(60, True), stripes(6, False)]), (torch.arange(66) >= 60).long()
    sampler = ClassBalanced.of(label, 2, 0.5, 0, held_out=0.0)
    features = RandomFeatures(1)
    features.fit(as_input(images))
    reference = tuple(features(as_input(images[places])) for places in sampler.judged_by)
    vary = 1 - 0.9 * (label == 0).float()
    store = Images(images, Condition(label), vary, torch.ones(66, dtype=torch.bool))
    return Examples(store, sampler, ByClass(reference, ("a", "b"), 64, features))
