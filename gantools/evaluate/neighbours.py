"""Distances between many points, block by block, so that they need little memory; and points that are near copies."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MAX_CELLS = 10_000_000  # of a block of distances
GROUP = 16  # points of y that are looked at together
SPARE = 4  # candidates beyond the k nearest, whose distances are taken once more
CHANCE = 0.01  # share of fresh real samples that count as near copies


def distances(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of x's rows and their distances to y, [rows, M]."""
    for rows in torch.split(torch.arange(len(x)), max(1, MAX_CELLS // len(y))):
        yield rows, torch.cdist(x[rows], y)


def nearest(x: Tensor, y: Tensor, k: int, *, exclude_self: bool = False) -> tuple[Tensor, Tensor]:
    """Distances [N, k] of x's rows to their nearest in y, ascending, and which those are.

    exclude_self: x is y, and no row is its own neighbour. Squared distances come from a matrix product, which is quick
    but loses digits where points are close; so they only say which are candidates, as many as k and some: the least of
    each group of y's points, then all points of the least groups. Candidates' distances are taken once more from the
    differences of coordinates.
    """
    found, places = [], []
    m = len(y)
    n_groups = -(-m // GROUP)
    size = torch.full((n_groups * GROUP,), torch.inf, dtype=y.dtype, device=y.device)
    size[:m] = y.square().sum(1)
    filled = torch.cat([y, y.new_zeros(len(size) - m, y.shape[1])])
    n_taken = min(k + SPARE, m)
    within = torch.arange(GROUP, device=y.device)
    for rows in torch.split(torch.arange(len(x), device=x.device), max(1, MAX_CELLS // len(size))):
        squared = torch.addmm(size, x[rows], filled.T, alpha=-2)  # less the square of x, which changes no order
        if exclude_self:
            squared[torch.arange(len(rows), device=x.device), rows] = torch.inf
        groups = squared.view(len(rows), n_groups, GROUP).amin(2).topk(min(n_taken, n_groups), largest=False).indices
        likely = (groups[:, :, None] * GROUP + within).flatten(1)
        candidates = likely.gather(1, squared.gather(1, likely).topk(n_taken, largest=False).indices)
        exact = (x[rows, None] - y[candidates.clamp(max=m - 1)]).norm(dim=2)
        exact[candidates >= m] = torch.inf
        if exclude_self:
            exact[candidates == rows[:, None]] = torch.inf
        ordered, order = exact.sort(dim=1, stable=True)
        found.append(ordered[:, :k])
        places.append(candidates.gather(1, order[:, :k]))
    return torch.cat(found), torch.cat(places)


def near_copies_of(x: Tensor, distance: Tensor, closest: Tensor) -> tuple[Tensor, float]:
    """Which points are near copies of one of x [N, D], N three at least: [M] bool, and the share by chance.

    distance, closest: [M] of each point to its nearest of x, and which that is. It is a near copy when that distance,
    divided by the one from there to that one's own nearest, is smaller than for all but `CHANCE` of x's points, each
    held against the others. Below 1 / `CHANCE` points the smallest of theirs decides, and the share by chance is
    larger.
    """
    own, neighbour = nearest(x, x, 2, exclude_self=True)
    # Where two are each other's nearest, the one that is held out does not count as the other's neighbour.
    mutual = neighbour[neighbour[:, 0], 0] == torch.arange(len(x), device=x.device)
    theirs = torch.where(mutual, own[neighbour[:, 0], 1], own[neighbour[:, 0], 0])
    rank = max(1, int(CHANCE * (len(x) + 1)))
    limit = _ratio(own[:, 0], theirs).kthvalue(rank).values
    return _ratio(distance, own[closest, 0]) < limit, rank / (len(x) + 1)


def _ratio(distance: Tensor, own: Tensor) -> Tensor:
    return distance / own.clamp(min=torch.finfo(own.dtype).tiny)
