"""Fully convolutional nets from picture to picture: a residual U-Net, a chain of residual blocks, and a patch critic.

None normalises: what becomes of a pixel must not depend on the batch, nor on pixels far away.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from gantools.nn.blocks import SLOPE

WIDEST = 4  # a map of the U-Net has at most so many times the channels of the finest one


class PictureNet(nn.Module):
    """A fully convolutional net from picture to picture.

    multiple: what the sides of pictures must be multiples of. reach: pixels, in every direction, that a place of the
    output depends on, at most.
    """

    multiple: int = 1
    reach: int


class ResidualConvolutions(nn.Module):
    """x plus two convolutions of it; the second starts at zero. After Lim et al. 2017, 'EDSR'."""

    reach = 2  # pixels

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.relu(self.first(x)))


class ResidualUNet(PictureNet):
    """Residual blocks at several resolutions; with `skips` the maps on the way down are added on the way up.

    The picture enters folded to half its sides and four times its channels (Zhang et al. 2018, 'FFDNet'), and each of
    `n_levels` resolutions below halves them again. After Ronneberger et al. 2015, 'U-Net', and Zhang et al. 2021,
    'DRUNet'. n_blocks: residual blocks of each resolution, on the way down and on the way up.
    """

    def __init__(
        self, before: int, after: int, width: int, n_levels: int, n_blocks: int, *, skips: bool = True
    ) -> None:
        super().__init__()
        self.n_levels, self.skips = n_levels, skips
        self.multiple = 2 ** (n_levels + 1)
        blocks = n_blocks * ResidualConvolutions.reach
        ways = [2 * blocks * 2 ** (level + 1) for level in range(n_levels)]  # down and up
        pixels = 2 + sum(ways) + blocks * self.multiple + 2  # head, blocks, the coarsest blocks, tail
        self.reach = (-(-pixels // self.multiple) + 1) * self.multiple
        widths = [width * min(WIDEST, 2**level) for level in range(n_levels + 1)]
        self.head = nn.Conv2d(4 * before, width, 3, padding=1)
        self.down = nn.ModuleList(_blocks(w, n_blocks) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_blocks(w, n_blocks) for w in widths[:-1])
        self.tail = nn.Conv2d(width, 4 * after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, before, H, W], H and W multiples of `multiple`. Returns [N, after, H, W]."""
        h = self.head(F.pixel_unshuffle(x, 2))
        passed: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            if level:
                h = self.shrink[level - 1](h)
            h = blocks(h)
            passed.append(h)
        for level in reversed(range(self.n_levels)):
            h = self.grow[level](h)
            h = self.up[level](h + passed[level] if self.skips else h)
        return F.pixel_shuffle(self.tail(h), 2)


class PatchCritic(nn.Module):
    """How real the patches of a picture look: a map of logits, each of which sees a patch.

    Isola et al. 2017, 'Image-to-Image Translation with Conditional Adversarial Networks'. n_halvings: strided
    convolutions; the patches of a logit are 22 pixels wide with two, 46 with three.
    """

    def __init__(self, channels: int, width: int, n_halvings: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for level in range(n_halvings):
            after = width * min(WIDEST, 2**level)
            layers.append(_convolution(before, after, 4, 2))
            before = after
        layers.append(_convolution(before, before, 3, 1))
        self.stages = nn.ModuleList(layers)
        self.last = nn.Conv2d(before, 1, 3, padding=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps of all layers, the finest first. x: [N, channels, H, W]."""
        found: list[Tensor] = []
        for stage in self.stages:
            x = F.leaky_relu(stage(x), SLOPE)
            found.append(x)
        return found

    def judged(self, last: Tensor) -> Tensor:
        """Logits [N, P] of P patches from the last map of `features`."""
        return self.last(last).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, channels, H, W]. Returns logits [N, P], P patches."""
        return self.judged(self.features(x)[-1])


def _blocks(width: int, n: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualConvolutions(width) for _ in range(n)))


def _convolution(before: int, after: int, side: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, side, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    return layer
