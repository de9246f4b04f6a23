"""What patches of images, and whole images, look like as numbers.

The features are fixed: energies of oriented edges and spots at several scales, pooled a little so that small shifts do
not matter (after Dalal and Triggs 2005, 'Histograms of Oriented Gradients'), or maps of a net learned from natural
images (`nn/efficientnet.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ORIENTATIONS = 8
SCALES = 3  # of the patch features: pixels, and those twice and four times as large
WHOLE_SIDE = 64  # pixels at most that a whole image is looked at with
WHOLE_BLUR, WHOLE_STRIDE = 2.0, 3  # pixels of these; the stride at least, or a sixteenth of the side
WHOLE_PLACES = 8  # along each side at most, where a whole image is looked at with a net
WIDE, AROUND = 32, 9  # patches along the side of a large image, and of the surroundings that one is compared with there
TINY = 1e-4
FLAT = 1e-8  # squared slope below the least that bytes can have


class OrientedEdges(nn.Module):
    """How strong edges of each orientation are at each pixel, whatever their polarity."""

    sobel: Tensor  # [2, 1, 3, 3]
    towards: Tensor  # [2, ORIENTATIONS]

    def __init__(self, n_orientations: int = ORIENTATIONS) -> None:
        super().__init__()
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        self.register_buffer("sobel", torch.stack([across, across.T]).unsqueeze(1), persistent=False)
        angle = torch.arange(n_orientations) * math.pi / n_orientations
        self.register_buffer("towards", torch.stack([angle.cos(), angle.sin()]), persistent=False)
        self.sharpness = n_orientations // 2

    def forward(self, grey: Tensor) -> Tensor:
        """grey: [N, 1, H, W]. Returns [N, n_orientations, H, W], >= 0."""
        slope = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), self.sobel)
        strength = slope.square().sum(1, keepdim=True).clamp(min=FLAT).sqrt()
        along = torch.einsum("nchw,co->nohw", slope / strength, self.towards)
        return strength * along.abs().pow(self.sharpness)


class WholeFeatures(nn.Module):
    """An image as one vector of unit length: blurred maps of oriented edges, so that small shifts do not matter."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.shrink = next(n for n in range(1, size) if size % n == 0 and size // n <= WHOLE_SIDE)
        self.stride = max(WHOLE_STRIDE, size // self.shrink // 16)
        self.edges = OrientedEdges()
        self.blur = Blur(WHOLE_BLUR)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, size, size] in [-1, 1]. Returns [N, D]."""
        small = F.avg_pool2d(x, self.shrink).mean(1, keepdim=True) / 2
        edges = self.blur(self.edges(small))[:, :, 1 :: self.stride, 1 :: self.stride]
        return F.normalize((edges + TINY).sqrt().flatten(1))


class WholePatches(nn.Module):
    """An image as one vector of unit length: the patches of a net, pooled, less their mean.

    What matters is where things lie; light and what the image is made of all over do not.
    """

    def forward(self, patches: Tensor) -> Tensor:
        """patches: [N, C, side, side]. Returns [N, D]."""
        pooled = F.avg_pool2d(patches, -(-patches.shape[2] // WHOLE_PLACES))
        return F.normalize((pooled - pooled.mean((2, 3), keepdim=True)).flatten(1))


class EdgeFeatures(nn.Module):
    """Patches as energies of oriented edges, of light and dark spots, as logarithms, and their tone, at several scales.

    stride: pixels from one patch to the next. Of large images what is usual around each patch is taken away, so that
    light and coarse structure do not matter.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.edges = OrientedEdges(4)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, size, size] in [-1, 1]. Returns [N, D, size / stride, size / stride]."""
        grey = x.mean(1, keepdim=True)
        side = x.shape[2] // self.stride
        found: list[Tensor] = []
        for _ in range(SCALES):
            spot = grey - _box(grey, 3)
            energies = torch.cat([self.edges(grey), F.relu(spot), F.relu(-spot)], 1)
            pooled = _box(_resized(energies, side), 3)
            found.append((pooled + 0.003).log())
            grey = F.avg_pool2d(grey, 2)
        looks = torch.cat([*found, _resized(x, side)], 1)
        return looks - _box(looks, AROUND) if side >= WIDE else looks


class NetPatches(nn.Module):
    """Patches as maps of a net learned from natural images: of its strides 8 and 16, seen at `side` pixels."""

    def __init__(self, net: nn.Module, side: int) -> None:
        super().__init__()
        self.net, self.side = net, side

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, size, size] in [-1, 1]. Returns [N, D, side / 8, side / 8]."""
        colours = x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)
        if x.shape[2] != self.side:
            colours = F.interpolate(colours, (self.side, self.side), mode="bilinear", align_corners=False)
        stages: Sequence[Tensor] = self.net.stages(colours)  # type: ignore[operator]
        return torch.cat([stages[1], _resized(stages[2], stages[1].shape[2])], 1)


class Blur(nn.Module):
    """Gaussian blur. sigma: its standard deviation in pixels."""

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        reach = math.ceil(2.5 * sigma)
        weight = torch.exp(-(torch.arange(-reach, reach + 1).square()) / (2 * sigma**2))
        self.register_buffer("kernel", weight / weight.sum(), persistent=False)
        self.reach = reach

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; nothing lies outside it."""
        n = x.shape[1]
        row = self.kernel.reshape(1, 1, 1, -1).expand(n, 1, 1, -1)
        x = F.conv2d(x, row, padding=(0, self.reach), groups=n)
        return F.conv2d(x, row.transpose(2, 3), padding=(self.reach, 0), groups=n)


def _box(x: Tensor, side: int) -> Tensor:
    """Mean of each place of x [N, C, H, W] and those around it, in a square of odd side."""
    return F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), side, 1)


def _resized(x: Tensor, side: int) -> Tensor:
    """x [N, C, H, W] with another side: averages where it becomes smaller, bilinear where it grows."""
    if x.shape[2] == side:
        return x
    if x.shape[2] > side:
        return F.adaptive_avg_pool2d(x, side)
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
