"""Memories of how patches of normal images look.

A memory tells for every place of an image how far the patch around it is from the nearest remembered one: of some that
are drawn from anywhere (Roth et al. 2022, 'Towards Total Recall in Industrial Anomaly Detection'), and of all that lay
at the same place. A memory of whole images does the same for those whose things lie in the same place, such as digits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.nn.patches import TINY

BESIDE = 9  # places whose patches one is compared with: its own and those around it
NEIGHBOURS = 3  # that a whole image is compared with
FAR = 1e30  # squared distance of what may not be compared
FARTHEST = 1e6  # squared distance at most, where nothing may be compared
SAME = 1e-4  # squared distance below which rounding decides what a distance is
ROWS_AT_ONCE = 1024  # remembered vectors that are compared with all at a time


class PatchMemory(nn.Module):
    """Remembered vectors. Build it with `PatchMemory.of`."""

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
    def of(cls, rows: Tensor, owner: Tensor, scale: Tensor, k: int = 0) -> PatchMemory:
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
        """patches: [M, D, side, side]. owner: [M] int64, the image that each is from. scale: as for `PatchMemory`."""
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
