"""The plain GAN made sound: a loss that converges, two zero-centred penalties, and residual nets without tricks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.encode.images import ImageLayout
from gantools.models.image import PenalisedOptions, RelativisticImageGAN
from gantools.nn.blocks import SLOPE
from gantools.nn.conditioning import Condition, ConditionSpec, Embed, Projection
from gantools.nn.convolutional import CONDITION_SCALE, widths
from gantools.registry import register

GROUP = 16  # channels that a grouped convolution mixes
EXPANSION = 2  # of the channels inside a block


@dataclass(frozen=True)
class R3GANOptions(PenalisedOptions):
    """n_blocks: residual blocks of each resolution. gamma: falls to a tenth along a cosine, as the learning rate falls
    to nothing.
    """

    n_blocks: int = 1
    gamma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.n_blocks <= 100, "set n_blocks", "must be from 1 to 100")


@register
class R3GAN(RelativisticImageGAN):
    name = "r3gan"
    summary = "relativistic pairing, R1 and R2, grouped residual blocks without normalisation"
    paper = "Huang et al. 2024, 'The GAN is dead; long live the GAN! A Modern GAN Baseline'"
    Options = R3GANOptions
    options: R3GANOptions
    decay = "cosine"

    def build(self) -> None:
        self.generator = ResidualGenerator(self.spec.layout, self.spec.condition, self.options)
        self.discriminator = ResidualDiscriminator(self.spec.layout, self.spec.condition, self.options)

    def penalty_weight(self, progress: float) -> float:
        return self.options.gamma * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)


class ResidualGenerator(nn.Module):
    """A learned base map, scaled by noise and condition, then blocks and bilinear doublings."""

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, options: R3GANOptions) -> None:
        super().__init__()
        maps = [*widths(layout, options.width), widths(layout, options.width)[-1]][::-1]
        n_blocks = options.n_blocks * len(maps)
        self.embed = Embed(condition, options.noise_dim)
        self.embed.start_at(CONDITION_SCALE)
        self.basis = nn.Parameter(torch.randn(maps[0], layout.base, layout.base))
        self.scale = nn.Linear(options.noise_dim + self.embed.width, maps[0], bias=False)
        layers: list[nn.Module] = []
        for level, width in enumerate(maps):
            if level:
                layers.append(Resample(maps[level - 1], width, 2.0))
            layers += [GroupedBlock(width, n_blocks) for _ in range(options.n_blocks)]
        self.body = nn.Sequential(*layers, nn.Conv2d(maps[-1], layout.channels, 1))

    def forward(self, noise: Tensor, condition: Condition) -> Tensor:
        """noise: [N, noise_dim]. Returns images [N, C, size, size], about [-1, 1]."""
        scale = self.scale(self.embed.beside(noise, condition))
        return self.body(self.basis * scale[:, :, None, None])


class ResidualDiscriminator(nn.Module):
    """The generator's mirror image, with a projection at its end."""

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, options: R3GANOptions) -> None:
        super().__init__()
        maps = [*widths(layout, options.width), widths(layout, options.width)[-1]]
        n_blocks = options.n_blocks * len(maps)
        layers: list[nn.Module] = [nn.Conv2d(layout.channels, maps[0], 1)]
        for level, width in enumerate(maps):
            if level:
                layers.append(Resample(maps[level - 1], width, 0.5))
            layers += [GroupedBlock(width, n_blocks) for _ in range(options.n_blocks)]
        layers += [nn.Conv2d(maps[-1], maps[-1], layout.base, groups=maps[-1], bias=False), nn.Flatten()]
        self.body = nn.Sequential(*layers)
        self.last = Projection(maps[-1], condition)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x: [N, C, size, size]. Returns logits [N]."""
        return self.last(self.body(x), condition)


class GroupedBlock(nn.Module):
    """x plus what a wide grouped convolution between two pointwise ones makes of it (Xie et al. 2017, 'ResNeXt').

    Without normalisation: the first two layers start smaller the more blocks there are, the last at zero (Zhang et al.
    2019, 'Fixup Initialization').
    """

    def __init__(self, width: int, n_blocks: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.open = nn.Conv2d(width, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=max(1, inner // GROUP), bias=False)
        self.close = nn.Conv2d(inner, width, 1, bias=False)
        for layer in (self.open, self.mix):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
            layer.weight.data *= n_blocks**-0.25
        nn.init.zeros_(self.close.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.open(x), SLOPE)
        return x + self.close(F.leaky_relu(self.mix(h), SLOPE))


class Resample(nn.Module):
    """Bilinear doubling or halving, and a pointwise convolution where the channels change."""

    def __init__(self, before: int, after: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.change = nn.Conv2d(before, after, 1, bias=False) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.factor < 1:
            return self.change(F.avg_pool2d(x, 2))
        return F.interpolate(self.change(x), scale_factor=2.0, mode="bilinear", align_corners=False)
