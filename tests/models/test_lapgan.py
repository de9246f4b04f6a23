"""A pyramid: every level learns from real images of its size, and sampling goes through all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gantools.encode.images import ImageLayout
from gantools.models.base import Batch, DataSpec
from gantools.models.lapgan import LAPGAN
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.nn.equalised import doubled


def made(size: int = 28) -> LAPGAN:
    torch.manual_seed(0)
    return LAPGAN(DataSpec(ImageLayout(1, size), ConditionSpec((20, 20))), LAPGAN.tiny())


def batch() -> Batch:
    random = torch.Generator().manual_seed(1)
    real = torch.rand(8, 1, 28, 28, generator=random) * 2 - 1
    return Batch(real, Condition(torch.arange(8) % 2), torch.arange(8), 0.0, random)


def test_each_level_is_trained_in_phases_of_its_own() -> None:
    gan = made()
    assert [phase.name for phase in gan.phases()] == [
        f"{net}_{side}" for side in (7, 14, 28) for net in ("discriminator", "generator")
    ]
    moved: list[set[str]] = []
    for phase in gan.phases():
        net = getattr(gan, phase.nets[0])
        names, parameters = zip(*net.named_parameters(), strict=True)
        gradients = torch.autograd.grad(phase.loss(batch()), parameters, allow_unused=True)
        moved.append({f"{phase.nets[0]}.{n}" for n, g in zip(names, gradients, strict=True) if g is not None})
    assert sum(map(len, moved)) == len(set().union(*moved)) == len(dict(gan.named_parameters()))


def test_detail_is_added_to_real_images_made_small() -> None:
    gan, given = made(), batch()
    for parameter in gan.generator.details.parameters():
        torch.nn.init.zeros_(parameter)
    low = doubled(F.avg_pool2d(given.real, 2))
    torch.testing.assert_close(gan.fake(gan.at(2, given)), low)
    assert gan.fake(gan.at(0, given)).shape == (8, 1, 7, 7)


def test_every_level_draws_from_the_noise() -> None:
    gan = made(32)
    assert gan.noise_width == 8 + 8**2 + 16**2 + 32**2
    noise = torch.randn(1, gan.noise_width, generator=torch.Generator().manual_seed(0))
    first = gan.generate(noise, Condition(torch.zeros(1, dtype=torch.int64)))
    for place in (0, 8, 8 + 64, 8 + 64 + 256, gan.noise_width - 1):
        other = noise.clone()
        other[:, place] += 1
        assert not torch.equal(gan.generate(other, Condition(torch.zeros(1, dtype=torch.int64))), first)
