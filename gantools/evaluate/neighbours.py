"""Distances between many points, block by block, so that they need little memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MAX_CELLS = 10_000_000  # of a block of distances


def distances(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of x's rows and their distances to y, [rows, M]."""
    for rows in torch.split(torch.arange(len(x)), max(1, MAX_CELLS // len(y))):
        yield rows, torch.cdist(x[rows], y)


def nearest(x: Tensor, y: Tensor, k: int, *, exclude_self: bool = False) -> tuple[Tensor, Tensor]:
    """Distances [N, k] of x's rows to their nearest in y, ascending, and which those are."""
    found = []
    for rows, distance in distances(x, y):
        if exclude_self:
            distance[torch.arange(len(rows)), rows] = torch.inf
        found.append(distance.topk(k, largest=False))
    return torch.cat([values for values, _ in found]), torch.cat([indices for _, indices in found])
