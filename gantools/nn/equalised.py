"""Layers whose weights all learn at one speed, and what the GANs that Karras et al. built of them share.

Karras et al. 2018, 'Progressive Growing of GANs for Improved Quality, Stability, and Variation', section 4. Weights are
drawn standard normal and scaled as they are used, by what He et al. 2015 would draw them with. Adam's steps do not
depend on the size of gradients, so a step then is the same share of every weight, however many inputs a layer has.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.encode.images import ImageLayout
from gantools.nn.blocks import SLOPE
from gantools.nn.convolutional import WIDEST

GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the size of what goes through a leaky ReLU
TINY = 1e-8  # below this, variances and lengths do not count


def map_widths(layout: ImageLayout, width: int) -> list[int]:
    """Channels of the maps from the coarsest, of the base's side, to the finest, of the image's."""
    return [width * min(WIDEST, 2**level) for level in range(layout.n_halvings + 1)][::-1]


def leaky(x: Tensor) -> Tensor:
    """The leaky ReLU of all these nets."""
    return F.leaky_relu(x, SLOPE)


class EqualLinear(nn.Module):
    """A linear layer. gain: of what it gives, 1 where no ReLU follows. speed: of learning, beside that of other layers.
    bias: what it starts at.
    """

    def __init__(self, before: int, after: int, *, gain: float = GAIN, speed: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / speed)
        self.bias = nn.Parameter(torch.full((after,), bias / speed))
        self.scale, self.speed = gain * speed / math.sqrt(before), speed

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, before]. Returns [N, after]."""
        return F.linear(x, self.weight * self.scale, self.bias * self.speed)


class EqualConv(nn.Module):
    """A convolution. side: of its kernel, an odd number of pixels. gain: as of a linear layer. stride: 1 keeps the size
    of maps, 2 halves it.
    """

    def __init__(self, before: int, after: int, side: int = 3, *, gain: float = GAIN, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, side, side))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale, self.padding, self.stride = gain / math.sqrt(before * side**2), side // 2, stride

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, before, H, W]. Returns [N, after, H / stride, W / stride]."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding, stride=self.stride)


class HalvingConvs(nn.Module):
    """Two convolutions, the second of which halves: [N, before, H, W] to [N, after, H / 2, W / 2]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = EqualConv(before, before)
        self.last = EqualConv(before, after, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return leaky(self.last(leaky(self.first(x))))


def pixel_norm(x: Tensor) -> Tensor:
    """Every place's channels, or every row, made of mean square one. Section 4.2. x: [N, C] or [N, C, H, W]."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + TINY)


def with_deviation(h: Tensor) -> Tensor:
    """Maps [N, C, H, W] as rows [N, C * H * W + 1]; the last number is the mean standard deviation over the batch.

    Images that are all alike give themselves away by it. Section 3, but for the place: the number stands beside the
    maps and not as one more of them.
    """
    deviation = (h.var(0, unbiased=False) + TINY).sqrt().mean()
    return torch.cat([h.flatten(1), deviation.expand(len(h), 1)], 1)


def doubled(x: Tensor) -> Tensor:
    """Bilinearly, [N, C, 2 H, 2 W]."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def channels_last(x: Tensor) -> Tensor:
    """x [N, C, H, W] in the order of memory that convolutions are fast in."""
    return x.contiguous(memory_format=torch.channels_last)
