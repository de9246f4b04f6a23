"""A pyramid: every level learns from real images of its size, and sampling goes through all of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gantools.encode.images import ImageLayout
from gantools.models.base import Batch, DataSpec
from gantools.models.lapgan import LAPGAN
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.nn.equalised import doubled


def made(size: int = 28, **options: float) -> LAPGAN:
    torch.manual_seed(0)
    options = {**LAPGAN.Options.tiny_values(), **options}
    return LAPGAN(DataSpec(ImageLayout(1, size), ConditionSpec((20, 20))), LAPGAN.Options(**options))


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


@pytest.mark.parametrize("own", [0.0, 0.5])
def test_detail_is_added_to_small_images_real_or_made(own: float) -> None:
    gan, given = made(own=own), batch()
    for parameter in gan.generator.details.parameters():
        torch.nn.init.zeros_(parameter)
    low = doubled(F.avg_pool2d(given.real, 2))
    fake, n_own = gan.fake(gan.at(2, given)), round(own * 8)
    torch.testing.assert_close(fake[n_own:], low[n_own:])
    assert not n_own or (fake[:n_own] - low[:n_own]).abs().mean() > 0.1
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
