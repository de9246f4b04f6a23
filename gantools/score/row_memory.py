"""A memory of normal rows, and how far a row is from what is remembered.

Restoring a row from a memory is what a denoiser that had learned its training rows by heart would do: at a noise level
it gives back the mean of the remembered rows, weighed by how likely each was to become this row. How unlikely the row
itself is under the memory, blurred by that noise, tells how far from normal it is, at that scale: at a low level the
nearest row counts, at a high one all of them. It is measured at three, because what is odd at one scale may be plain at
another. A fourth measure divides the distance by the one that is usual where the row is, as Breunig et al. 2000, 'LOF',
do.

A row that is remembered itself must be measured against the others, or it would look more normal than any fresh row
can. Whoever measures such rows says so (`exclude_self`): one remembered row that coincides with each is then taken for
itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEIGHBOURS = 5
GROUP = 32  # remembered rows per group in the search: nearest groups first, then nearest rows in them
SAMPLE = 512  # remembered rows, beside the nearest, that stand for all at the higher noise levels
COINCIDES = 1e-6  # squared distance, against the row's own squared length plus one, below which two rows are the same
FAR = 1e30  # squared distance of what is no row
NO_ROW = 1e15  # each number of what is no row
CHUNK = 1024  # rows compared with their groups at a time
RESOLUTION = 1e-8  # squared distances that differ by less are taken for equal
RESOLUTION_OF_TIES = 1e-3  # the same in tables with many ties, where rounding must not decide
FARTHEST = 1e5  # squared distances beyond it are taken for equal
TIE = 1e-4  # difference of squared distances below which two rows are equally far
MANY_TIES = 0.02  # share of rows with a tie, among TIE_SAMPLE rows, from which a table has many
TIE_SAMPLE = 512
SHARP, BLURS = 0.1, (1.0, 4.0)  # noise levels, in standard deviations of a number; below SHARP nothing is told apart
TINY = 1e-6
MEASURES = ("sharp", *(f"blurred {level:g}" for level in BLURS), "relative")


class RowMemory(nn.Module):
    """Remembered rows of one view. Build it with `RowMemory.of`."""

    keys: Tensor  # [width + 1, M] the remembered rows less their mean, times -2, and their squared lengths below
    centre: Tensor  # [width]
    usual: Tensor  # [M] mean distance of each to its neighbours
    resolution: Tensor  # [] squared distances that differ by less are taken for equal

    def __init__(self, n_rows: int, width: int) -> None:
        super().__init__()
        self.n_rows = n_rows
        self.n_groups = max(1, min(n_rows, max(NEIGHBOURS + 1, n_rows // GROUP)))
        size = -(-n_rows // self.n_groups) * self.n_groups  # the padding is infinitely far away
        self.register_buffer("keys", torch.cat([torch.zeros(width, size), torch.full((1, size), FAR)]))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("usual", torch.ones(size))
        self.register_buffer("resolution", torch.tensor(RESOLUTION))

    @classmethod
    def of(cls, rows: Tensor) -> RowMemory:
        """rows: [M, width], at least two."""
        n, width = rows.shape
        memory = cls(n, width).to(rows.device)
        memory.centre.copy_(rows.mean(0))
        centred = rows - memory.centre
        squared = centred.square().sum(1)
        memory.keys[:width, :n] = -2 * centred.T
        memory.keys[width, :n] = squared
        if _share_tied(centred) > MANY_TIES:
            memory.resolution.fill_(RESOLUTION_OF_TIES)
        memory.usual[:n] = torch.cat(
            [
                _distance(memory.search(chunk, torch.ones(len(chunk), dtype=torch.bool, device=chunk.device))[0])
                for chunk in torch.split(centred, 1024)
            ]
        )
        return memory

    def rows(self) -> Tensor:
        """The remembered rows [n_rows, width], less their mean."""
        return self.keys[:-1, : self.n_rows].T / -2

    def forward(self, x: Tensor, exclude_self: Tensor | None = None) -> Tensor:
        """How far rows x [N, width] are, as logarithms: [N, 4] as in MEASURES.

        exclude_self: [N] bool, which of them may be remembered ones.
        """
        x = x - self.centre
        length = x.square().sum(1)
        squared, index, offset = self.search(x, exclude_self)
        some = offset[:, : min(SAMPLE, self.n_rows)]
        itself = torch.zeros_like(length)
        if exclude_self is not None:
            itself = (exclude_self & (some.amin(1) + length <= COINCIDES * (length + 1))).to(length.dtype)
        further = ((squared[:, 0] - length).unsqueeze(1) - some).clamp(max=0.0)  # [N, SAMPLE]
        return _measured(squared, further, itself, self.usual[index].mean(1), self.n_rows, some.shape[1])

    def search(self, x: Tensor, exclude_self: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest remembered rows of x [N, width], centred.

        Returns squared distances [N, k], ascending, and indices [N, k], k = NEIGHBOURS or as many as there are; and
        squared distances to all less the squared length of x [N, M]. Exact: no nearest row can be outside the groups
        whose nearest rows are nearest.
        """
        k = min(NEIGHBOURS, self.n_rows - 1)
        wanted = k if exclude_self is None else k + 1
        length = x.square().sum(1, keepdim=True)
        offset = torch.cat([x, torch.ones_like(length)], 1) @ self.keys
        grouped = offset.reshape(x.shape[0], -1, self.n_groups)
        groups = torch.arange(self.n_groups, device=x.device)
        order = in_order(grouped.amin(1) + length, groups, self.n_groups, self.resolution)
        nearest_groups = order.topk(min(wanted, self.n_groups), 1, largest=False, sorted=False).indices
        first = torch.arange(grouped.shape[1], device=x.device) * self.n_groups
        candidates = (nearest_groups.unsqueeze(2) + first).flatten(1)
        order = in_order(offset.gather(1, candidates) + length, candidates, offset.shape[1], self.resolution)
        index = candidates.gather(1, order.topk(wanted, 1, largest=False, sorted=False).indices)
        # once more without cancellation: the distance to a row that is remembered is 0 and not what rounding leaves
        rows = self.keys[:-1].index_select(1, index.flatten()).reshape(x.shape[1], *index.shape)  # times -2
        squared, place = (x.T.unsqueeze(2) + rows / 2).square().sum(0).topk(wanted, 1, largest=False)
        index = index.gather(1, place)
        if exclude_self is None:
            return squared, index, offset
        itself = exclude_self.unsqueeze(1) & (squared[:, :1] <= COINCIDES * (length + 1))
        return (
            torch.where(itself, squared[:, 1:], squared[:, :-1]),
            torch.where(itself, index[:, 1:], index[:, :-1]),
            offset,
        )


class GroupMemory(nn.Module):
    """Remembered rows of one view of each of many groups, few enough that all are compared with."""

    rows: Tensor  # [G, M, width]; behind those that a group has, what is infinitely far away
    usual: Tensor  # [G, M] mean distance of each to its neighbours in its group
    n_rows: Tensor  # [G] of each group

    def __init__(self, n_groups: int, most: int, width: int) -> None:
        """most: rows of a group."""
        super().__init__()
        self.register_buffer("rows", torch.full((n_groups, most, width), NO_ROW))
        self.register_buffer("usual", torch.ones(n_groups, most))
        self.register_buffer("n_rows", torch.full((n_groups,), 2.0))

    def remember(self, rows: Tensor, group: Tensor, place: Tensor) -> None:
        """rows: [N, width]. group, place: [N] where each belongs; a group has its places from 0 on, at least two."""
        self.rows[group, place] = rows
        self.n_rows.copy_(torch.bincount(group, minlength=len(self.n_rows)))
        among = torch.ones(CHUNK, dtype=torch.bool, device=rows.device)
        for part in torch.split(torch.arange(len(rows), device=rows.device), CHUNK):
            squared, _, _ = self._search(rows[part], group[part], among[: len(part)])
            self.usual[group[part], place[part]] = _distance(squared)

    def forward(self, x: Tensor, group: Tensor, exclude_self: Tensor | None = None) -> Tensor:
        """How far rows x [N, width] are from those of their groups [N], as logarithms: [N, 4] as in MEASURES.

        exclude_self: [N] bool, which of them may be remembered ones; or [N] int64, the place where each is remembered,
        which may differ from it a little, or -1.
        """
        squared, index, everything = self._search(x, group, exclude_self)
        itself = torch.zeros_like(squared[:, 0])
        if exclude_self is not None and exclude_self.dtype == torch.bool:
            coincides = everything.amin(1) <= COINCIDES * (x.square().sum(1) + 1)
            itself = (exclude_self & coincides).to(x.dtype)
        further = (squared[:, :1] - everything).clamp(max=0.0)
        n_rows = self.n_rows[group]
        usual = self.usual.flatten()[group.unsqueeze(1) * self.usual.shape[1] + index].mean(1)
        return _measured(squared, further, itself, usual, n_rows, n_rows)

    def _search(self, x: Tensor, group: Tensor, exclude_self: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Squared distances to the nearest remembered rows [N, k], ascending, their places [N, k], and all [N, M]."""
        everything = (x.unsqueeze(1) - self.rows.index_select(0, group)).square().sum(2)
        m = everything.shape[1]
        if exclude_self is not None and exclude_self.dtype != torch.bool:
            at_itself = torch.arange(m, device=x.device) == exclude_self.unsqueeze(1)
            everything, exclude_self = torch.where(at_itself, FAR, everything), None
        k = min(NEIGHBOURS, m - 1)
        wanted = k if exclude_self is None else k + 1
        order = in_order(everything, torch.arange(m, device=x.device), m, RESOLUTION)
        index = order.topk(wanted, 1, largest=False).indices
        squared = everything.gather(1, index).clamp(max=FAR)
        if exclude_self is None:
            return squared, index, everything
        itself = exclude_self.unsqueeze(1) & (squared[:, :1] <= COINCIDES * (x.square().sum(1, keepdim=True) + 1))
        squared, index = (torch.where(itself, each[:, 1:], each[:, :-1]) for each in (squared, index))
        return squared, index, everything


def _measured(
    squared: Tensor, further: Tensor, itself: Tensor, usual: Tensor, n_rows: Tensor | int, n_some: Tensor | int
) -> Tensor:
    """The measures of rows [N, 4], as in MEASURES.

    squared: [N, k], squared distances to the nearest remembered rows, ascending. further: [N, S], by how much less that
    of the nearest is than those of some rows, at most 0. itself: [N], 1 where one of these is the row itself. usual:
    [N], mean distance of the neighbours to theirs. n_rows, n_some: remembered rows, and how many are some.
    """
    nearest = squared[:, 0]
    weights = [(torch.exp((squared[:, :1] - squared) / (2 * SHARP**2)).sum(1) / n_rows, SHARP)]
    for level in BLURS:
        weight = (1 + torch.exp(further / (2 * level**2)).sum(1) - itself).clamp(min=1.0)
        weights.append((weight / (n_some + 1), level))
    surprise = [(nearest - 2 * level**2 * weight.log()).clamp(min=0.0) for weight, level in weights]
    relative = 2 * (_distance(squared).log() - usual.log())
    return torch.stack([*((one + TINY).log() for one in surprise), relative], 1)


def in_order(squared: Tensor, index: Tensor, n: int, resolution: Tensor | float = RESOLUTION_OF_TIES) -> Tensor:
    """Numbers that stand in the order of squared distances, and at about one distance in the order of index [..., M],
    which is below n. So it does not depend on rounding which of many equal rows are nearest. int64, as squared."""
    return (squared.clamp(max=FARTHEST) / resolution).round().long() * n + index


def _share_tied(rows: Tensor) -> float:
    """Of some rows [M, width], the share whose last neighbour is as far as the next row, which is none."""
    if len(rows) < NEIGHBOURS + 2:
        return 0.0
    some = rows[:TIE_SAMPLE]
    distance = torch.cdist(some, rows, compute_mode="donot_use_mm_for_euclid_dist").square()
    last, after = distance.topk(NEIGHBOURS + 2, 1, largest=False).values[:, -2:].unbind(1)  # the first is itself
    return float((after - last < TIE).float().mean())


def _distance(squared: Tensor) -> Tensor:
    """Mean distance to neighbours at squared distances [N, k], all of them blurred by SHARP."""
    return (squared + SHARP**2).sqrt().mean(1)
