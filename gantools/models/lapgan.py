"""A Laplacian pyramid: a small image from noise, and at every larger size a GAN of its own for the detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.encode.images import ImageLayout
from gantools.models.base import Batch, Phase
from gantools.models.image import NonSaturatingImageGAN, PenalisedOptions
from gantools.nn.blocks import MLP, SLOPE
from gantools.nn.conditioning import Condition, ConditionSpec, Embed, Projection
from gantools.nn.convolutional import CONDITION_SCALE
from gantools.nn.equalised import doubled
from gantools.registry import register

HIDDEN = 16  # units of the smallest size's nets, for each channel of the others


@dataclass(frozen=True)
class LAPGANOptions(PenalisedOptions):
    """width: channels of the maps of the nets that add detail; the fully connected nets of the smallest size have 16
    times as many units. own: share of the images that detail is added to in training which the smaller levels have
    made; the paper takes real ones alone.
    """

    width: int = 16
    lr: float = 5e-4
    gamma: float = 0.3
    own: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 <= self.own <= 1, "set own", "must be from 0 to 1")


@register
class LAPGAN(NonSaturatingImageGAN):
    """Level 0 is the smallest size, of the base's side, and each level doubles it. Levels are trained independently,
    in phases of their own: those above 0 add detail to real images made small and large again, as the paper does it.
    Only sampling puts generated images of one level into the next.

    In every other respect but these the nets are the paper's in kind: classes enter the detail nets as learned features
    of their first layer rather than as a plane, and the loss has R1.
    """

    name = "lapgan"
    summary = "a pyramid: a small image, then a conditional GAN for the detail of each larger size"
    paper = "Denton et al. 2015, 'Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks'"
    Options = LAPGANOptions
    options: LAPGANOptions
    generator: Pyramid
    discriminator: Judges

    def build(self) -> None:
        layout, condition, o = self.spec.layout, self.spec.condition, self.options
        self.generator = Pyramid(layout, o.noise_dim, condition, o.width)
        self.discriminator = Judges(layout, condition, o.width)

    @property
    def noise_width(self) -> int:
        """The noise of the smallest image, then a plane of noise for each larger size."""
        return self.generator.noise_width

    def phases(self) -> Sequence[Phase]:
        """Two a level. A phase names both nets whole: the level decides which of their parts it moves."""
        o = self.options
        losses: tuple[tuple[str, Callable[[int, Batch], Tensor], float], ...] = (
            ("discriminator", self.train_discriminator_of, o.lr * o.lr_ratio),
            ("generator", self.train_generator_of, o.lr),
        )
        return tuple(
            Phase(
                f"{net}_{side}", (net,), partial(loss, level), lr=lr, betas=self.betas, decay=self.decay,
                repeats=o.n_critic if net == "discriminator" else 1,
            )
            for level, side in enumerate(self.generator.sides)
            for net, loss, lr in losses
        )  # fmt: skip

    def train_discriminator_of(self, level: int, batch: Batch) -> Tensor:
        return self.train_discriminator(self.at(level, batch))

    def train_generator_of(self, level: int, batch: Batch) -> Tensor:
        return self.train_generator(self.at(level, batch))

    def at(self, level: int, batch: Batch) -> Batch:
        """The batch with real images of a level's size."""
        times = 2 ** (len(self.generator.sides) - 1 - level)
        return replace(batch, real=F.avg_pool2d(batch.real, times) if times > 1 else batch.real)

    def fake(self, batch: Batch) -> Tensor:
        """Images [N, C, s, s] of the size of the batch's: above the smallest, the batch's with detail made anew."""
        side = batch.real.shape[3]
        net = self.generator
        if side == net.sides[0]:
            return net.smallest(batch.noise(len(batch.real), net.noise_dim), batch.condition)
        low = doubled(F.avg_pool2d(batch.real, 2))
        n_own = round(self.options.own * len(low))
        if n_own:
            with torch.no_grad():
                noise = batch.noise(n_own, net.noise_width)
                made = net(noise, batch.condition[slice(n_own)], side // 2)
            low = torch.cat([doubled(made.clamp(-1, 1)), low[n_own:]])
        return low + net.detail(side, low, batch.noise(len(low), side**2), batch.condition)


def sides_of(layout: ImageLayout) -> list[int]:
    """Pixels of each side of the images of every level, ascending."""
    return [layout.base << level for level in range(layout.n_halvings + 1)]


class Pyramid(nn.Module):
    """The generators of all levels. sides: pixels of the images of each, ascending."""

    def __init__(self, layout: ImageLayout, noise_dim: int, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        self.sides = sides_of(layout)
        self.noise_dim, self.channels = noise_dim, layout.channels
        self.embed = Embed(condition, noise_dim)
        self.embed.start_at(CONDITION_SCALE)
        inputs, hidden = noise_dim + self.embed.width, HIDDEN * width
        self.first = MLP(inputs, hidden, hidden, layout.channels * layout.base**2)
        self.details = nn.ModuleList(Detail(layout.channels, condition, width) for _ in self.sides[1:])

    @property
    def noise_width(self) -> int:
        return self.noise_dim + sum(side**2 for side in self.sides[1:])

    def smallest(self, noise: Tensor, condition: Condition) -> Tensor:
        """noise: [N, noise_dim]. Returns images [N, C, base, base] in [-1, 1]."""
        x = torch.tanh(self.first(self.embed.beside(noise, condition)))
        return x.reshape(-1, self.channels, self.sides[0], self.sides[0])

    def detail(self, side: int, low: Tensor, noise: Tensor, condition: Condition) -> Tensor:
        """What images low [N, C, side, side] lack. noise: [N, side ** 2]."""
        net = self.details[self.sides.index(side) - 1]
        return cast(Tensor, net(low, noise.reshape(-1, 1, side, side), condition))

    def forward(self, noise: Tensor, condition: Condition, up_to: int | None = None) -> Tensor:
        """noise: [N, noise_width]. up_to: pixels of each side, of some level; None for the largest.

        Returns images [N, C, size, size], about [-1, 1].
        """
        first, *planes = torch.split(noise, [self.noise_dim, *(side**2 for side in self.sides[1:])], 1)
        x = self.smallest(first, condition)
        for side, plane in zip(self.sides[1:], planes, strict=True):
            if up_to is not None and side > up_to:
                break
            low = doubled(x.clamp(-1, 1))
            x = low + self.detail(side, low, plane, condition)
        return x


class Detail(nn.Module):
    """Low frequencies, a plane of noise and a condition to high frequencies: three convolutions."""

    def __init__(self, channels: int, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels + 1, width, 3, padding=1)
        self.embed = Embed(condition, width)
        self.embed.start_at(CONDITION_SCALE)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        for layer in (self.first, self.middle):
            nn.init.kaiming_normal_(layer.weight, SLOPE)

    def forward(self, low: Tensor, noise: Tensor, condition: Condition) -> Tensor:
        """low: [N, C, s, s]. noise: [N, 1, s, s]. Returns [N, C, s, s]."""
        h = self.first(torch.cat([low, noise], 1).contiguous(memory_format=torch.channels_last))
        if self.embed.width:
            h = h + self.embed(condition)[:, :, None, None]
        h = F.leaky_relu(self.middle(F.leaky_relu(h, SLOPE)), SLOPE)
        return cast(Tensor, self.last(h))


class Judges(nn.Module):
    """The discriminators of all levels. One sees low and high frequencies added up, and so how they go together."""

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        self.sides = sides_of(layout)
        judges: list[nn.Module] = [SmallestJudge(layout.channels * layout.base**2, condition, HIDDEN * width)]
        judges += [DetailJudge(layout.channels, side, condition, width) for side in self.sides[1:]]
        self.judges = nn.ModuleList(judges)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x: [N, C, s, s] of the size of some level. Returns logits [N]."""
        return cast(Tensor, self.judges[self.sides.index(x.shape[3])](x, condition))


class SmallestJudge(nn.Module):
    """Two hidden layers that are fully connected, and a projection."""

    def __init__(self, n_inputs: int, condition: ConditionSpec, hidden: int) -> None:
        super().__init__()
        self.body = MLP(n_inputs, hidden, hidden)
        self.last = Projection(hidden, condition)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return cast(Tensor, self.last(F.leaky_relu(self.body(x.flatten(1)), SLOPE), condition))


class DetailJudge(nn.Module):
    """Two strided convolutions, and a projection of all places."""

    def __init__(self, channels: int, side: int, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 4, 2, 1)
        self.second = nn.Conv2d(width, 2 * width, 4, 2, 1)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
        self.last = Projection(2 * width * (side // 2 // 2) ** 2, condition)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        h = F.leaky_relu(self.first(x.contiguous(memory_format=torch.channels_last)), SLOPE)
        return cast(Tensor, self.last(F.leaky_relu(self.second(h), SLOPE).flatten(1), condition))
