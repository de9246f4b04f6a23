"""What is special to styles: modulation, mixing, the means of w and truncation towards them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from gantools.encode.images import ImageLayout
from gantools.errors import ConfigError
from gantools.models.base import Batch, DataSpec
from gantools.models.stylegan import Modulated, StyleGAN, StyleGANOptions, mixed
from gantools.nn.conditioning import Condition, ConditionSpec

LAYOUT = ImageLayout(1, 16)
LABEL = torch.arange(64) % 3


def made(n_classes: int = 3, **options: float) -> StyleGAN:
    torch.manual_seed(0)
    values = dataclasses.asdict(StyleGAN.tiny()) | options
    return StyleGAN(DataSpec(LAYOUT, ConditionSpec((20,) * n_classes)), StyleGANOptions(**values))


def batch(label: torch.Tensor | None = LABEL) -> Batch:
    random = torch.Generator().manual_seed(1)
    return Batch(torch.zeros(64, 1, 16, 16), Condition(label), torch.arange(64), 0.0, random)


def test_scaled_channels_are_scaled_weights() -> None:
    torch.manual_seed(0)
    layer, x, w = Modulated(3, 5, 4, 3, normalised=True, gain=1.0), torch.randn(2, 3, 6, 6), torch.randn(2, 4)
    found = layer(x, w)
    for k in range(2):
        weight = layer.weight * layer.scale * layer.style(w)[k][None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        torch.testing.assert_close(found[k : k + 1], F.conv2d(x[k : k + 1], weight, padding=1), rtol=1e-4, atol=1e-5)


def test_the_noise_of_every_layer_is_in_the_noise() -> None:
    gan = made()
    assert gan.noise_width == 8 + 4**2 + 2 * 8**2 + 2 * 16**2
    for layer in gan.generator.synthesis.layers:
        torch.nn.init.ones_(layer.strength)
    noise = torch.randn(1, gan.noise_width, generator=torch.Generator().manual_seed(0))
    first = gan.generate(noise, Condition(LABEL[:1]))
    for place in range(8, gan.noise_width, 97):
        other = noise.clone()
        other[:, place] += 1
        assert not torch.equal(gan.generate(other, Condition(LABEL[:1])), first)


def test_mixing_changes_styles_from_some_layer_on() -> None:
    w, other = torch.zeros(5, 2), torch.ones(5, 2)
    where = torch.tensor([0.0, 0.5, 0.99, 0.0, 0.99])
    chosen = torch.tensor([True, True, True, False, False])
    styles = mixed(w, other, where, chosen, 4)
    assert styles[:, :, 0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_training_follows_the_mean_of_each_class() -> None:
    gan, given = made().train(), batch()
    for _ in range(20):
        gan.fake(given)
    noise = torch.randn(2000, 8, generator=torch.Generator().manual_seed(2))
    for k in range(3):
        label = torch.full((2000,), k)
        wanted = gan.generator.mapping(noise, Condition(label)).mean(0)
        found = gan.generator.centre(Condition(label[:1]))[0]
        assert (found - wanted).norm() < 0.2 * wanted.norm()
    before = gan.generator.centre.total.clone()
    gan.eval().fake(batch())
    assert torch.equal(gan.generator.centre.total, before)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_truncation_lets_images_vary_less(n_classes: int) -> None:
    condition = Condition(LABEL if n_classes else None)
    noise = torch.randn(64, made(n_classes).noise_width, generator=torch.Generator().manual_seed(3))
    spread = []
    for truncation in (0.0, 0.5, 1.0):
        gan = made(n_classes, truncation=truncation).train()
        gan.fake(batch(condition.label))
        with torch.no_grad():
            x = gan.eval().generate(noise, condition).reshape(64, -1)
        parts = [x[k::3] for k in range(3)] if n_classes else [x]
        spread.append(sum(float(part.var(0).sum()) for part in parts))
    assert spread[0] < 1e-6 and spread[0] < 0.8 * spread[1] < 0.8 * spread[2]
    with pytest.raises(ConfigError, match="set truncation: must be from 0 to 1"):
        made(truncation=1.5)
