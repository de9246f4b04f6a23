"""A style for every layer: noise becomes a point of a learned space first, and that sets what each convolution does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.encode.images import ImageLayout
from gantools.models.base import Batch
from gantools.models.image import PenalisedOptions, RelativisticImageGAN
from gantools.nn.conditioning import Condition, ConditionSpec, Embed, Projection
from gantools.nn.convolutional import CONDITION_SCALE
from gantools.nn.equalised import (
    GAIN,
    TINY,
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

STRENGTH_SPEED = 0.1  # of the learning of how strong a layer's noise is: as fast as weights, it becomes all there is
KEPT = 0.9998  # of the running means of w at each image


@dataclass(frozen=True)
class StyleGANOptions(PenalisedOptions):
    """width: channels of the maps of the image's size. n_mapping: layers from noise to w, which learn
    `mapping_speed` times as fast as the others: the paper, which trains for days, has 0.01. mixing: share of the
    generated images in training that take some layers' styles from one noise and the rest from another. truncation:
    how far from the mean of its class w may lie when images are generated: 1 as it comes, 0 one style for each class;
    between them images vary less and fail less often.
    """

    width: int = 16
    lr: float = 5e-3
    gamma: float = 0.3
    n_mapping: int = 4
    mapping_speed: float = 1.0
    mixing: float = 0.5
    truncation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.n_mapping <= 100, "set n_mapping", "must be from 1 to 100")
        check(self.mapping_speed > 0, "set mapping_speed", "must be above 0")
        for name in ("mixing", "truncation"):
            check(0 <= getattr(self, name) <= 1, f"set {name}", "must be from 0 to 1")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "n_mapping": 2}


@register
class StyleGAN(RelativisticImageGAN):
    """The first version's mapping, mixing, noise at every layer and discriminator without shortcuts; the second's
    modulation, and images that are sums over the resolutions. The loss is the relativistic pairing: with the papers'
    own the discriminator wins within some hundred steps. Left out: the penalty on path lengths.

    The means of w are kept for each class: those of all classes together would draw every class to the same images.
    """

    name = "stylegan"
    summary = "styles from a mapping net, modulated convolutions, noise at every layer, truncation"
    paper = (
        "Karras et al. 2019, 'A Style-Based Generator Architecture for GANs', "
        "and 2020, 'Analyzing and Improving the Image Quality of StyleGAN'"
    )
    Options = StyleGANOptions
    options: StyleGANOptions
    generator: StyleGenerator

    def build(self) -> None:
        self.generator = StyleGenerator(self.spec.layout, self.spec.condition, self.options)
        self.discriminator = HalvingDiscriminator(self.spec.layout, self.spec.condition, self.options.width)

    @property
    def noise_width(self) -> int:
        """The noise that w is made of, then the pixels of every layer's noise."""
        return self.options.noise_dim + self.generator.synthesis.noise_width

    def fake(self, batch: Batch) -> Tensor:
        """Generated images under the batch's conditions, some of two styles; they move the running means of w."""
        n, o, net = len(batch.real), self.options, self.generator
        w = net.mapping(batch.noise(n, o.noise_dim), batch.condition)
        if self.training:
            net.centre.follow(w.detach().float(), batch.condition)
        styles = w.unsqueeze(1)
        if o.mixing:
            other = net.mapping(batch.noise(n, o.noise_dim), batch.condition)
            styles = mixed(w, other, batch.uniform(n), batch.uniform(n) < o.mixing, net.synthesis.n_layers)
        return net.synthesis(styles, batch.noise(n, net.synthesis.noise_width))

    @property
    def truncation(self) -> float:
        return self.options.truncation

    @property
    def n_styles(self) -> int:
        return self.generator.synthesis.n_layers

    def generate(self, noise: Tensor, condition: Condition, truncation: float | Tensor | None = None) -> Tensor:
        return self.generator(noise, condition, self.truncation if truncation is None else truncation)

    def mix(self, noise: Tensor, other: Tensor, condition: Condition, n_kept: int) -> Tensor:
        w = torch.stack([self.generator.styles(each, condition, self.options.truncation) for each in (noise, other)])
        which = (torch.arange(self.n_styles, device=noise.device) >= n_kept).long()
        return self.generator.synthesis(w[which].transpose(0, 1), noise[:, self.options.noise_dim :])


def mixed(w: Tensor, other: Tensor, where: Tensor, chosen: Tensor, n_layers: int) -> Tensor:
    """The styles of every layer, [N, n_layers, D]: w up to some layer, from there on the other.

    w, other: [N, D]. where: [N] on [0, 1), how far up the layers change. chosen: [N] bool, where there is a change. The
    first layer always has w, so that it decides what the image is of. Karras et al. 2019, section 3.1.
    """
    first = 1 + (where * (n_layers - 1)).floor()  # layer that is the other's, 1 to n_layers - 1
    place = torch.arange(n_layers, device=w.device)
    changed = (place >= first.unsqueeze(1)) & chosen.unsqueeze(1)
    return torch.where(changed.unsqueeze(2), other.unsqueeze(1), w.unsqueeze(1))


class StyleGenerator(nn.Module):
    """The mapping, the means of what it gives, and the synthesis."""

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, options: StyleGANOptions) -> None:
        super().__init__()
        self.noise_dim = options.noise_dim
        self.mapping = Mapping(options.noise_dim, condition, options.n_mapping, options.mapping_speed)
        self.centre = Centre(options.noise_dim, condition)
        self.synthesis = Synthesis(layout, options.noise_dim, options.width)

    def forward(self, noise: Tensor, condition: Condition, truncation: float | Tensor = 1.0) -> Tensor:
        """Images [N, C, size, size], about [-1, 1]. noise: [N, noise_dim + synthesis.noise_width]. truncation: a
        number, or [1] of it."""
        w = self.styles(noise, condition, truncation)
        return self.synthesis(w.unsqueeze(1), noise[:, self.noise_dim :])

    def styles(self, noise: Tensor, condition: Condition, truncation: float | Tensor) -> Tensor:
        """w [N, D], drawn towards the mean of its class."""
        w = self.mapping(noise[:, : self.noise_dim], condition)
        centre = self.centre(condition)
        return centre + truncation * (w - centre)


class Mapping(nn.Module):
    """Noise and a condition to w, of the noise's width. The condition enters small beside the noise."""

    def __init__(self, width: int, condition: ConditionSpec, n_layers: int, speed: float) -> None:
        super().__init__()
        self.embed = Embed(condition, width)
        self.embed.start_at(CONDITION_SCALE)
        inputs = [width + self.embed.width] + [width] * (n_layers - 1)
        self.layers = nn.ModuleList(EqualLinear(before, width, speed=speed) for before in inputs)

    def forward(self, noise: Tensor, condition: Condition) -> Tensor:
        """noise: [N, width]. Returns w [N, width]."""
        w = self.embed.beside(pixel_norm(noise), condition)
        for layer in self.layers:
            w = leaky(layer(w))
        return w


class Centre(nn.Module):
    """The running mean of w, of each class where there are any; training writes it, and truncation alone reads it."""

    total: Tensor  # [n_classes or 1, D], means that count from zero
    weight: Tensor  # [n_classes or 1], how much of them is seen, 0 to 1

    def __init__(self, width: int, condition: ConditionSpec) -> None:
        super().__init__()
        n = max(1, condition.n_classes)
        self.register_buffer("total", torch.zeros(n, width))
        self.register_buffer("weight", torch.zeros(n))

    @torch.no_grad()
    def follow(self, w: Tensor, condition: Condition) -> None:
        """Move the means of the classes of w [N, D], each by how many of it there are."""
        label = self._label(condition, len(w))
        member = F.one_hot(label, len(self.weight)).to(w.dtype)
        count = member.sum(0)
        share = 1 - KEPT**count
        mean = (member.T @ w) / count.clamp(min=1).unsqueeze(1)
        self.total.lerp_(mean, share.unsqueeze(1))
        self.weight.lerp_(torch.ones_like(self.weight), share)

    def forward(self, condition: Condition) -> Tensor:
        """The means [N, D], or [1, D] for all of them."""
        mean = self.total / self.weight.clamp(min=TINY).unsqueeze(1)
        return mean if len(mean) == 1 or condition.label is None else mean[condition.label]

    def _label(self, condition: Condition, n: int) -> Tensor:
        if condition.label is None or len(self.weight) == 1:
            return torch.zeros(n, dtype=torch.int64, device=self.weight.device)
        return condition.label


class Synthesis(nn.Module):
    """Styles and noise to an image: a learned constant, two layers a resolution, an image of each added up."""

    def __init__(self, layout: ImageLayout, w_width: int, width: int) -> None:
        super().__init__()
        maps = map_widths(layout, width)
        self.constant = nn.Parameter(torch.randn(maps[0], layout.base, layout.base))
        self.sides = [layout.base << level for level in range(len(maps)) for _ in range(2 if level else 1)]
        layers, images = [StyledConv(maps[0], maps[0], w_width)], [ToImage(maps[0], layout.channels, w_width)]
        for before, after in pairwise(maps):
            layers += [StyledConv(before, after, w_width, doubling=True), StyledConv(after, after, w_width)]
            images.append(ToImage(after, layout.channels, w_width))
        self.layers, self.images = nn.ModuleList(layers), nn.ModuleList(images)

    @property
    def n_layers(self) -> int:
        """How many layers have a style."""
        return len(self.layers)

    @property
    def noise_width(self) -> int:
        """Pixels of every layer's noise."""
        return sum(side**2 for side in self.sides)

    def forward(self, styles: Tensor, noise: Tensor) -> Tensor:
        """styles: w [N, n_layers, D], or [N, 1, D] for all layers. noise: [N, noise_width].

        Returns images [N, C, size, size], about [-1, 1].
        """
        w = styles.expand(-1, len(self.layers), -1)
        planes = torch.split(noise, [side**2 for side in self.sides], 1)
        x, image = channels_last(self.constant.unsqueeze(0)), None
        for k, (layer, plane, side) in enumerate(zip(self.layers, planes, self.sides, strict=True)):
            x = layer(x, w[:, k], plane.reshape(-1, 1, side, side))
            if k % 2 == 0:
                here = self.images[k // 2](x, w[:, k])
                image = here if image is None else doubled(image) + here
        assert image is not None
        return image


class Modulated(nn.Module):
    """A convolution whose inputs' channels are scaled by a style, with weights that all images share.

    Scaling weights and scaling channels come to the same, and so do normalised weights and normalised outputs: so it is
    one convolution for a batch of any size. Karras et al. 2020, eqs. 1 and 3.
    """

    def __init__(self, before: int, after: int, w_width: int, side: int, *, normalised: bool, gain: float) -> None:
        super().__init__()
        self.style = EqualLinear(w_width, before, gain=1.0, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, side, side))
        self.scale, self.gain, self.padding = 1 / math.sqrt(before * side**2), gain, side // 2
        self.normalised = normalised

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: [N or 1, before, H, W]. w: [N, w_width]. Returns [N, after, H, W]."""
        style, weight = self.style(w), self.weight * self.scale
        y = F.conv2d(x * style[:, :, None, None], weight, padding=self.padding)
        if not self.normalised:
            return y * self.gain
        size = F.linear(style.square(), weight.square().sum((2, 3))) + TINY  # [N, after], of what the weights give
        return y * (self.gain * torch.rsqrt(size))[:, :, None, None]


class StyledConv(nn.Module):
    """A modulated and normalised convolution, noise on its map, a leaky ReLU. doubling: the map's sides, after it."""

    def __init__(self, before: int, after: int, w_width: int, *, doubling: bool = False) -> None:
        super().__init__()
        self.conv = Modulated(before, after, w_width, 3, normalised=True, gain=GAIN)
        self.doubling = doubling
        self.strength = nn.Parameter(torch.zeros(()))  # of the noise
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """noise: [N, 1, H, W] of the map that is given."""
        x = self.conv(x, w)
        if self.doubling:
            x = doubled(x)
        return leaky(x + STRENGTH_SPEED * self.strength * noise + self.bias[:, None, None])


class ToImage(nn.Module):
    """What a resolution adds to the image."""

    def __init__(self, before: int, channels: int, w_width: int) -> None:
        super().__init__()
        self.conv = Modulated(before, channels, w_width, 1, normalised=False, gain=1.0)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x, w) + self.bias[:, None, None]


class HalvingDiscriminator(nn.Module):
    """Convolutions that halve, the deviation over the batch, and a projection."""

    def __init__(self, layout: ImageLayout, condition: ConditionSpec, width: int) -> None:
        super().__init__()
        maps = map_widths(layout, width)[::-1]
        self.first = EqualConv(layout.channels, maps[0], 1)
        self.blocks = nn.ModuleList(HalvingConvs(*pair) for pair in pairwise(maps))
        self.dense = EqualLinear(maps[-1] * layout.base**2 + 1, maps[-1])
        self.last = Projection(maps[-1], condition)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x: [N, C, size, size]. Returns logits [N]."""
        h = leaky(self.first(channels_last(x)))
        for block in self.blocks:
            h = block(h)
        return self.last(leaky(self.dense(with_deviation(h))), condition)
