"""What patches of images look like as numbers, and memories of how normal ones look.

Memories of patches tell for every place of an image how far the patch around it is from the nearest remembered one: of
some that are drawn from anywhere (Roth et al. 2022, 'Towards Total Recall in Industrial Anomaly Detection'), and of all
that lay at the same place. A memory of whole images does the same for those whose things lie in the same place, such as
digits. Features are fixed: energies of oriented edges and spots at several scales, pooled a little so that small shifts
do not matter (after Dalal and Triggs 2005, 'Histograms of Oriented Gradients'), or maps of a net learned from natural
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
BESIDE = 9  # places whose patches one is compared with: its own and those around it
NEIGHBOURS = 3  # that a whole image is compared with
WIDE, AROUND = 32, 9  # patches along the side of a large image, and of the surroundings that one is compared with there
FAR = 1e30  # squared distance of what may not be compared
FARTHEST = 1e6  # squared distance at most, where nothing may be compared
SAME = 1e-4  # squared distance below which rounding decides what a distance is
TINY = 1e-4
FLAT = 1e-8  # squared slope below the least that bytes can have
ROWS_AT_ONCE = 1024  # remembered vectors that are compared with all at a time


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


class NetFeatures(nn.Module):
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


class Memory(nn.Module):
    """Remembered vectors. Build it with `Memory.of`."""

    keys: Tensor  # [D + 1, M] the remembered vectors, standardised, times -2, and their squared lengths below
    scale: Tensor  # [2, D] what is taken from each channel, and what it is then divided by
    usual: Tensor  # [M] logarithm of the distance of each to its own neighbours
    owner: Tensor  # [M] int64, the image that each is from

    def __init__(self, n: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(width + 1, n))
        self.register_buffer("scale", torch.stack([torch.zeros(width), torch.ones(width)]))
        self.register_buffer("usual", torch.zeros(n))
        self.register_buffer("owner", torch.zeros(n, dtype=torch.int64))

    @classmethod
    def of(cls, rows: Tensor, owner: Tensor, scale: Tensor, k: int = 0) -> Memory:
        """rows: [M, D]. owner: [M] int64, the image that each is from. scale: [2, D], what is taken from each channel
        and what it is then divided by. k: how many neighbours of each tell what is usual; 0 for plain distances."""
        memory = cls(*rows.shape).to(rows.device)
        memory.scale.copy_(scale)
        memory.owner.copy_(owner)
        scaled = (rows - scale[0]) / scale[1]
        memory.keys.copy_(torch.cat([-2 * scaled.T, scaled.square().sum(1).unsqueeze(0)]))
        if k:
            parts = zip(torch.split(rows, ROWS_AT_ONCE), torch.split(owner, ROWS_AT_ONCE), strict=True)
            memory.usual.copy_(torch.cat([memory(*part, k) for part in parts]))  # while `usual` is still nothing
        return memory

    def forward(self, x: Tensor, owner: Tensor | None = None, k: int = 1) -> Tensor:
        """Logarithm of the mean distance [N] of vectors x [N, D] to the k nearest remembered ones.

        Less half of what is usual of these, as a compromise between a distance and one that is relative to the density
        nearby (Breunig et al. 2000, 'LOF'). owner: [N], the image that each is from; what is remembered of the same
        image is left out.
        """
        x = (x - self.scale[0]) / self.scale[1]
        squared = torch.addmm(self.keys[-1:], x, self.keys[:-1])
        if owner is not None:
            squared = squared.masked_fill(owner.unsqueeze(1) == self.owner, FAR)
        if k == 1:  # several times as fast
            nearest, index = squared.min(1, keepdim=True)
        else:
            nearest, index = squared.topk(min(k, squared.shape[1]), 1, largest=False)
        # once more without cancellation, so that what is remembered itself is at 0 wherever this runs
        exact = (x.unsqueeze(1) + self.keys[:-1].T[index] / 2).square().sum(2)
        distance = torch.where(nearest < FAR / 2, exact, FARTHEST).clamp(max=FARTHEST).sqrt().mean(1)
        return (distance + TINY).log() - self.usual[index].mean(1) / 2


class PlaceMemory(nn.Module):
    """Remembered patches of every place: one is compared with those of the same place in all images, and beside it."""

    keys: Tensor  # [places, D + 1, M] the patches, standardised, times -2, and their squared lengths below
    scale: Tensor  # [2, D] what is taken from each channel, and what it is then divided by
    owner: Tensor  # [M] int64, the image that each is from

    def __init__(self, n: int, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("keys", torch.zeros(side * side, width + 1, n))
        self.register_buffer("scale", torch.stack([torch.zeros(width), torch.ones(width)]))
        self.register_buffer("owner", torch.zeros(n, dtype=torch.int64))

    @classmethod
    def of(cls, patches: Tensor, owner: Tensor, scale: Tensor) -> PlaceMemory:
        """patches: [M, D, side, side]. owner: [M] int64, the image that each is from. scale: as for `Memory`."""
        memory = cls(*patches.shape[:3]).to(patches.device)
        memory.scale.copy_(scale)
        memory.owner.copy_(owner)
        x = ((patches.permute(2, 3, 1, 0) - scale[0, :, None]) / scale[1, :, None]).flatten(0, 1)
        memory.keys.copy_(torch.cat([-2 * x, x.square().sum(1, keepdim=True)], 1).half())  # as a checkpoint has them
        return memory

    def forward(self, patches: Tensor, owner: Tensor | None = None) -> Tensor:
        """Logarithm of the distance [N, side, side] of patches [N, D, side, side] to the nearest remembered ones.

        owner: [N], the image that each is from; what is remembered of the same image is left out.
        """
        n, side = patches.shape[0], self.side  # not len, which an export takes for a constant
        x = (patches - self.scale[0, :, None, None]) / self.scale[1, :, None, None]
        around = F.pad(torch.cat([x, torch.ones_like(x[:, :1])], 1), (1, 1, 1, 1))
        nearest = torch.full_like(x[:, 0], FAR)
        for down in range(3):
            for across in range(3):  # to the remembered patches of each place come the patches beside it
                beside = around[:, :, down : down + side, across : across + side]
                squared = torch.bmm(beside.permute(2, 3, 0, 1).flatten(0, 1), self.keys)  # [places, N, M]
                if owner is not None:
                    squared = squared.masked_fill(owner.unsqueeze(1) == self.owner, FAR)
                least = F.pad(squared.amin(2).T.reshape(n, side, side), (1, 1, 1, 1), value=FAR)
                back, left = 2 - down, 2 - across
                nearest = torch.minimum(nearest, least[:, back : back + side, left : left + side])
        distance = (nearest + x.square().sum(1)).clamp(min=SAME, max=FARTHEST).sqrt()
        return (distance + TINY).log()


def placed(patches: Tensor) -> Tensor:
    """Patches [N, D, H, W] with their place, 0 to 1 down and across, as two more channels: [N, H, W, D + 2]."""
    n, _, h, w = patches.shape
    down, across = (torch.arange(m, device=patches.device) / m for m in (h, w))
    place = torch.stack(torch.meshgrid(down, across, indexing="ij"), 2)
    return torch.cat([patches.movedim(1, 3), place.expand(n, -1, -1, -1)], 3)


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
