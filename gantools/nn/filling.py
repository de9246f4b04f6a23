"""Holes filled with what is around them: a first guess for a net, and a net that adds to it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLEND = 0.05  # weight of the coarser guess where all of a cell is known


class Filling(nn.Module):
    """Averages of the known pixels of cells of 1, 2, 4, ... pixels a side; a pixel takes the finest that there is.

    Knutsson and Westin 1993, 'Normalized and differential convolution': a partial convolution with fixed weights.
    n_levels: halvings to the coarsest cells. Holes that hide several of those become mid grey in their middle.
    """

    def __init__(self, n_levels: int) -> None:
        super().__init__()
        self.n_levels = n_levels

    @property
    def multiple(self) -> int:
        """What the sides of pictures must be multiples of."""
        return 1 << self.n_levels

    @property
    def reach(self) -> int:
        """Pixels, in every direction, that what is filled in depends on at most."""
        return 4 * self.multiple

    def forward(self, picture: Tensor, known: Tensor) -> Tensor:
        """picture: [N, C, H, W]. known: [N, 1, H, W], 1 or 0. Returns [N, C, H, W], float32."""
        weighted = [torch.cat([picture * known, known], 1).float()]
        for _ in range(self.n_levels):
            weighted.append(F.avg_pool2d(weighted[-1], 2))
        nearby = F.avg_pool2d(weighted[-1], 3, 1, 1)
        guess = _mean(weighted[-1], nearby[:, :-1] / nearby[:, -1:].clamp(min=1e-3))
        for level in reversed(weighted[:-1]):
            guess = _mean(level, F.interpolate(guess, scale_factor=2.0, mode="bilinear", align_corners=False))
        return guess


def _mean(weighted: Tensor, otherwise: Tensor) -> Tensor:
    """Of the known pixels of each cell; the less is known, the more of `otherwise`."""
    return (weighted[:, :-1] + BLEND * otherwise) / (weighted[:, -1:] + BLEND)
