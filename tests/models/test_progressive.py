"""Growing: which level when, that levels fade into one another, and that a generator knows its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gantools.encode.images import ImageLayout
from gantools.models.base import Batch, DataSpec
from gantools.models.progressive import ProgressiveGAN, level_at, seen_at
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.nn.equalised import EqualLinear

LAYOUT = ImageLayout(1, 28)


def made() -> ProgressiveGAN:
    torch.manual_seed(0)
    return ProgressiveGAN(DataSpec(LAYOUT, ConditionSpec((20, 20))), ProgressiveGAN.tiny())


def batch(progress: float) -> Batch:
    random = torch.Generator().manual_seed(1)
    real = torch.rand(8, 1, 28, 28, generator=random) * 2 - 1
    return Batch(real, Condition(torch.arange(8) % 2), torch.arange(8), progress, random)


def test_levels_are_still_and_rise_by_turns() -> None:
    levels = [level_at(progress, 0.8, 2) for progress in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)]
    assert levels == pytest.approx([0, 0, 0, 0.5, 1, 1, 1, 1.5, 2, 2])
    assert level_at(0.0, 0.0, 2) == 2 and level_at(0.3, 0.5, 0) == 0


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0, 1.7, 2.0])
def test_what_is_trained_is_what_is_generated(level: float) -> None:
    """Small images of a level, and those of full size that the buffer alone decides, are the same but for the size."""
    gan, noise, condition = made().eval(), torch.randn(3, 8), Condition(torch.tensor([0, 1, 1]))
    gan.generator.level.fill_(level)
    with torch.no_grad():
        small, full = gan.generator.at(noise, condition, level), gan.generate(noise, condition)
    assert full.shape == (3, 1, 28, 28) and small.shape[3] == {0: 7, 1: 14, 2: 28}[-int(-level // 1)]
    while small.shape[3] < 28:
        small = torch.nn.functional.interpolate(small, scale_factor=2, mode="nearest")
    torch.testing.assert_close(small, full)


def test_a_new_level_fades_in() -> None:
    gan = made()
    x, condition = batch(0.0).real, Condition(torch.zeros(8, dtype=torch.int64))
    for low, high in ((1.0, 1.0 + 1e-6), (2.0 - 1e-6, 2.0)):
        logits = []
        for level in (low, high):
            gan.discriminator.level = level
            logits.append(gan.discriminator(seen_at(x, level, 2), condition))
        torch.testing.assert_close(*logits, rtol=1e-3, atol=1e-3)


def test_training_keeps_its_level_in_a_buffer() -> None:
    gan = made()
    assert "generator.level" in gan.state_dict()
    for progress, level, side in ((0.0, 0, 7), (0.3, 1, 14), (0.9, 2, 28)):
        for phase in gan.phases():
            assert torch.isfinite(phase.loss(batch(progress)))
        assert float(gan.generator.level) == level
        assert gan.fake(replace(batch(progress))).shape[3] == side


def test_layers_of_any_width_learn_at_one_speed() -> None:
    """A step of Adam changes what a layer gives by as much, whether it has 8 inputs or 512."""
    torch.manual_seed(0)
    changed = []
    for n_inputs in (8, 512):
        layer, x = EqualLinear(n_inputs, 64, gain=1.0), torch.randn(256, n_inputs)
        before = layer(x)
        assert float(before.detach().std()) == pytest.approx(1.0, abs=0.2)
        torch.autograd.backward(before.square().sum())
        torch.optim.Adam(layer.parameters(), 0.01).step()
        changed.append(float((layer(x) - before).detach().std()))
    assert changed[1] == pytest.approx(changed[0], rel=0.5)  # of plain layers twelve times as much
