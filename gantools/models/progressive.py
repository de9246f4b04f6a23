"""A GAN that grows: it learns small images first, then larger ones, whose new layers are faded in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.encode.images import ImageLayout
from gantools.models.base import Batch
from gantools.models.image import NonSaturatingImageGAN, PenalisedOptions
from gantools.nn.conditioning import Condition, ConditionSpec, Embed, Projection
from gantools.nn.convolutional import CONDITION_SCALE
from gantools.nn.equalised import (
    EqualConv,
    EqualLinear,
    HalvingConvs,
    channels_last,
    doubled,
    leaky,
    map_widths,
    pixel_norm,
    with_deviation,
)
from gantools.registry import register


@dataclass(frozen=True)
class ProgressiveOptions(PenalisedOptions):
    """width: channels of the maps of the image's size. growing: share of the training after which images have their
    full size; until then every size takes as long to be learned as the next one to be faded in.
    """

    width: int = 16
    lr: float = 5e-3
    gamma: float = 0.3
    growing: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 <= self.growing <= 1, "set growing", "must be from 0 to 1")


@register
class ProgressiveGAN(NonSaturatingImageGAN):
    """Both nets grow by a level at a time, a level doubling the side of the images; level 0 has the base's side.

    A level between two whole ones is a mixture of both (`parts`). It follows from the training's progress alone, and
    the generator keeps it in a buffer, so that it makes images of the level that it has reached wherever it is taken.
    The loss is the non-saturating one with R1, which the authors turned to in their later work: the paper calls the
    loss orthogonal to what it proposes.
    """

    name = "progressive"
    summary = "grows from small images to large ones; equalised learning rates, pixel norm, deviation over the batch"
    paper = "Karras et al. 2018, 'Progressive Growing of GANs for Improved Quality, Stability, and Variation'"
    Options = ProgressiveOptions
    options: ProgressiveOptions
    betas = (0.0, 0.99)
    generator: GrowingGenerator
    discriminator: GrowingDiscriminator

    def build(self) -> None:
        layout, condition, o = self.spec.layout, self.spec.condition, self.options
        self.generator = GrowingGenerator(layout, o.noise_dim, condition, o.width)
        self.discriminator = GrowingDiscriminator(layout, condition, o.width)

    def train_discriminator(self, batch: Batch) -> Tensor:
        return super().train_discriminator(self.grown(batch))

    def train_generator(self, batch: Batch) -> Tensor:
        return super().train_generator(self.grown(batch))

    def grown(self, batch: Batch) -> Batch:
        """The batch as it is seen at the level of its progress, which both nets now have."""
        level = self.level_of(batch)
        self.generator.level.fill_(level)
        self.discriminator.level = level
        return replace(batch, real=seen_at(batch.real, level, self.spec.layout.n_halvings))

    def fake(self, batch: Batch) -> Tensor:
        noise = batch.noise(len(batch.real), self.options.noise_dim)
        return self.generator.at(noise, batch.condition, self.level_of(batch))

    def level_of(self, batch: Batch) -> float:
        """The level when so much of the training has passed."""
        return level_at(batch.progress, self.options.growing, self.spec.layout.n_halvings)


def level_at(progress: float, growing: float, highest: int) -> float:
    """The level, 0 to `highest`, when a share `progress` of the training has passed: by turns still and rising."""
    if progress >= growing or not highest:
        return float(highest)
    passed = progress / growing * 2 * highest
    return passed // 2 + max(0.0, passed % 2 - 1)


def parts(level: float) -> tuple[int, float]:
    """The whole level that a level is made at, and its share; the rest is of the level below."""
    upper = math.ceil(level)
    return upper, 1.0 - (upper - level)


def seen_at(x: Tensor, level: float, highest: int) -> Tensor:
    """Images [N, C, size, size] at a level: [N, C, s, s], between two levels a mixture as generated ones are."""
    upper, share = parts(level)
    if upper < highest:
        x = F.avg_pool2d(x, 2 ** (highest - upper))
    return x if share == 1 else torch.lerp(repeated(F.avg_pool2d(x, 2)), x, share)


def repeated(x: Tensor) -> Tensor:
    """Images [N, C, s, s] with every pixel twice along both sides, so that halving by means brings them back."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class GrowingGenerator(nn.Module):
    """Noise and a condition to an image: a dense layer, then two convolutions a level; every level has an image."""

    level: Tensor  # [], what training has reached; 0 to n_halvings

    def __init__(self, layout: ImageLayout, noise_dim: int, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        maps = map_widths(layout, width)
        self.base = layout.base
        self.register_buffer("level", torch.zeros(()))
        self.embed = Embed(condition, noise_dim)
        self.embed.start_at(CONDITION_SCALE)
        self.first = EqualLinear(noise_dim + self.embed.width, maps[0] * layout.base**2)
        self.blocks = nn.ModuleList([NormedConvs(maps[0])])
        self.blocks.extend(NormedConvs(before, after) for before, after in pairwise(maps))
        self.images = nn.ModuleList(EqualConv(width, layout.channels, 1, gain=1.0) for width in maps)

    def at(self, noise: Tensor, condition: Condition, level: float) -> Tensor:
        """noise: [N, noise_dim]. Returns images [N, C, s, s], about [-1, 1], of the size of a level."""
        upper, share = parts(level)
        h = self._start(noise, condition)
        for k in range(upper):
            h = self.blocks[k](h)
        image = None if share == 1 else repeated(self.images[upper - 1](h))
        here = cast(Tensor, self.images[upper](self.blocks[upper](h)))
        return here if image is None else torch.lerp(image, here, share)

    def forward(self, noise: Tensor, condition: Condition) -> Tensor:
        """noise: [N, noise_dim]. Returns images [N, C, size, size], about [-1, 1], of the level that is reached.

        The level is a tensor here, so that it exports: images of all levels are made, and mixed by it.
        """
        h = self._start(noise, condition)
        image = None
        for k, (block, to_image) in enumerate(zip(self.blocks, self.images, strict=True)):
            h = block(h)
            here = to_image(h)
            share = (self.level - (k - 1)).clamp(0, 1)
            image = here if image is None else torch.lerp(repeated(image), here, share)
        return cast(Tensor, image)

    def _start(self, noise: Tensor, condition: Condition) -> Tensor:
        h = self.first(self.embed.beside(pixel_norm(noise), condition))
        return channels_last(h.unflatten(1, (-1, self.base, self.base)))


class NormedConvs(nn.Module):
    """The convolutions of a level, each with a leaky ReLU and pixel norm: one for level 0, else two on doubled maps."""

    def __init__(self, before: int, after: int | None = None) -> None:
        super().__init__()
        self.doubles = after is not None
        widths = [before, before] if after is None else [before, after, after]
        self.convs = nn.ModuleList(EqualConv(*pair) for pair in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        if not self.doubles:
            x = pixel_norm(leaky(x))
        for k, conv in enumerate(self.convs):
            x = conv(x)
            if self.doubles and k == 0:
                x = doubled(x)  # a quarter of the work of doubling first, and the same kind of maps
            x = pixel_norm(leaky(x))
        return x


class GrowingDiscriminator(nn.Module):
    """The generator's mirror image, then the deviation over the batch, and a projection.

    level: of the images that it is given; the model sets it.
    """

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        maps = map_widths(layout, width)
        self.level = 0.0
        self.inputs = nn.ModuleList(EqualConv(layout.channels, width, 1) for width in maps)
        self.blocks = nn.ModuleList(HalvingConvs(after, before) for before, after in pairwise(maps))
        self.dense = EqualLinear(maps[0] * layout.base**2 + 1, maps[0])
        self.last = Projection(maps[0], condition)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x: [N, C, s, s] of the level's size. Returns logits [N]."""
        upper, share = parts(self.level)
        x = channels_last(x)
        h = leaky(self.inputs[upper](x))
        for k in reversed(range(upper)):
            h = self.blocks[k](h)
            if k == upper - 1 and share < 1:
                h = torch.lerp(leaky(self.inputs[k](F.avg_pool2d(x, 2))), h, share)
        return cast(Tensor, self.last(leaky(self.dense(with_deviation(h))), condition))
