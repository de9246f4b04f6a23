"""Why a row is abnormal: what each column contributes to its score.

A column's contribution is what the score loses when the column's cell is replaced by that of the remembered row which
is most like the rest of the row. So a cell that is common in itself but not with its neighbours is found out, and cells
that only went along with it are not blamed. Contributions are never negative and add up to the score.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.data.tables.raw import Raw
from gantools.score.reasons import Explanation
from gantools.score.row_memory import COINCIDES, FAR, RowMemory, in_order
from gantools.score.table_head import CHUNK_ROWS, TableHead, score_of

SUSPECTS = 6  # columns per row whose cells are tried; the others contribute nothing
LOOKED_AT = 48  # columns per row that suspects are chosen from
CANDIDATES = 128  # remembered rows that are like the row in all columns but one
ALIKE = 20  # remembered rows that say what is usual in rows like it
NEGLIGIBLE_DROP = 1e-4  # share of the score: a smaller drop when a cell is replaced is rounding
SOME_ROWS = 32  # rows explained at a time: their distances to the memory stay in the cache


def explain(
    head: TableHead, numbers: Tensor, codes: Tensor, remembered: Raw, exclude_self: Tensor | None = None
) -> Explanation:
    """Explain raw rows, as `RowViews` takes them.

    remembered: the rows of the head's memory, raw. exclude_self: [N] bool, which of the rows may be remembered ones.
    """
    standard, ranked = head.views(numbers, codes)
    score = score_of(head.abnormality(standard, ranked, exclude_self, head.group_of(codes)))
    found = Explainer(head, remembered)(numbers, codes, standard, ranked, score)
    return Explanation(*(each.cpu().numpy() for each in found))


class Explainer(nn.Module):
    """Raw rows in both views, and their scores, to an `Explanation` as tensors: what `explain` does, as a module."""

    numbers: Tensor  # [M, n_numeric] float64, of the remembered rows
    codes: Tensor  # [M, n_blocks] int64

    def __init__(self, head: TableHead, remembered: Raw) -> None:
        super().__init__()
        self.head = head
        device = head.group_scale.device
        for name, array in (("numbers", remembered.numbers), ("codes", remembered.codes)):
            self.register_buffer(name, torch.from_numpy(np.array(array)).to(device))
        self.column = torch.cat([column.cpu() for column in head.views.column_of()])
        self.n_columns = int(self.column.max()) + 1

    def forward(
        self, numbers: Tensor, codes: Tensor, standard: Tensor, ranked: Tensor, score: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Contributions, suspects and alike rows of raw rows, as in `Explanation`. score: [N]."""
        blame = _blame(self.head, standard, self.n_columns)
        neighbourhood = _Neighbourhood(self.head, self.column, self.n_columns)
        if torch.compiler.is_exporting():
            suspects, alike = neighbourhood.suspects(standard, ranked, blame)
        else:
            found = [
                neighbourhood.suspects(*part)
                for part in zip(*(torch.split(each, SOME_ROWS) for each in (standard, ranked, blame)), strict=True)
            ]
            suspects, alike = (torch.cat(each) for each in zip(*found, strict=True))
        tried = score_of(self._abnormality(*self._with_replaced(numbers, codes, suspects, alike[:, :, 0])))
        drop = score.unsqueeze(1) - tried.reshape(suspects.shape)
        drop = torch.where(drop > NEGLIGIBLE_DROP * score.unsqueeze(1), drop, 0.0)
        contribution = torch.zeros_like(blame, dtype=score.dtype).scatter(1, suspects, drop)
        nothing = contribution.sum(1, keepdim=True) <= 0
        contribution = torch.where(nothing, blame.double(), contribution)
        return contribution / contribution.sum(1, keepdim=True) * score.unsqueeze(1), suspects, alike

    def _abnormality(self, numbers: Tensor, codes: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return cast(Tensor, self.head(numbers, codes))
        parts = zip(torch.split(numbers, CHUNK_ROWS), torch.split(codes, CHUNK_ROWS), strict=True)
        return torch.cat([self.head(*part) for part in parts])

    def _with_replaced(self, numbers: Tensor, codes: Tensor, suspects: Tensor, donor: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of raw rows, one for each suspect [N, k], its cell taken from the donor [N, k] among the remembered
        rows: [N * k, ...]."""
        n_numeric = numbers.shape[1]
        number, level = (
            suspects.unsqueeze(2) == torch.arange(first, first + n, device=suspects.device)
            for first, n in ((0, n_numeric), (n_numeric, codes.shape[1]))
        )
        tried = (
            torch.where(number, self.numbers[donor], numbers.unsqueeze(1)),
            torch.where(level, self.codes[donor], codes.unsqueeze(1)),
        )
        return tried[0].flatten(0, 1), tried[1].flatten(0, 1)


class _Neighbourhood:
    """The head's remembered rows, column by column."""

    def __init__(self, head: TableHead, column: Tensor, n_columns: int) -> None:
        """column: [width of both views], of each place, on the CPU."""
        memories = [cast(RowMemory, memory) for memory in head.memories]
        self.centre = torch.cat([memory.centre for memory in memories])
        self.rows = torch.cat([memory.rows() for memory in memories], 1)  # [M, width of both views]
        self.column, self.n_columns = column.to(self.rows.device), n_columns
        # per column: its places, its remembered parts times -2 and their squared lengths
        self.parts = []
        for c in range(n_columns):
            places = [place for place, at in enumerate(column.tolist()) if at == c]
            part = self.rows[:, places]
            self.parts.append((places, -2 * part.T.contiguous(), part.square().sum(1)))

    def suspects(self, standard: Tensor, ranked: Tensor, blame: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of rows [N, width] of both views whose cells to try [N, k], the most suspect first, and for each
        the remembered rows most like the rest of the row [N, k, ALIKE].

        Suspect is a cell that is far from what rows like the rest have, and one that the generator restores worst.
        blame: [N, n_columns], how badly it restores each.
        """
        x = torch.cat([standard, ranked], 1) - self.centre
        candidates = self._like_but_for_one(x)
        away = (x.unsqueeze(1) - self.rows[candidates]).square()  # [N, CANDIDATES, width]
        by_column = _added(away.new_zeros((*candidates.shape, self.n_columns)), self.column, away)
        total = by_column.sum(2)
        looked_at = self._most_suspect(by_column[:, :ALIKE].mean(1), blame, LOOKED_AT)
        by_column = by_column.gather(2, looked_at.unsqueeze(1).expand(-1, candidates.shape[1], -1)).transpose(1, 2)
        without = total.unsqueeze(1) - by_column  # [N, looked at, CANDIDATES]
        itself = total <= COINCIDES * (x.square().sum(1, keepdim=True) + 1)  # tells nothing of what else is usual
        without = torch.where(itself.unsqueeze(1), FAR, without)
        nearest = _nearest(without, ALIKE)
        cost = by_column.gather(2, nearest).mean(2)
        first = self._most_suspect(cost, blame.gather(1, looked_at), SUSPECTS)
        nearest = nearest.gather(1, first.unsqueeze(2).expand(-1, -1, nearest.shape[2]))
        alike = candidates.unsqueeze(1).expand(-1, first.shape[1], -1).gather(2, nearest)
        return looked_at.gather(1, first), alike

    def _like_but_for_one(self, x: Tensor) -> Tensor:
        """Remembered rows nearest to rows x [N, width of both views] in all columns but the furthest one [N, K]."""
        total = worst = x.new_zeros((x.shape[0], self.rows.shape[0]))
        for places, rows, squared in self.parts:
            part = x[:, places]
            away = torch.addmm(squared, part, rows).add_(part.square().sum(1, keepdim=True))
            total, worst = total + away, torch.maximum(worst, away)
        return _nearest(total - worst, CANDIDATES)

    def _most_suspect(self, cost: Tensor, blame: Tensor, most: int) -> Tensor:
        n = cost.shape[1]
        suspicion = torch.maximum(_ranks(cost), _ranks(blame)) * n - torch.arange(n, device=cost.device)  # no ties
        return suspicion.topk(min(most, cost.shape[1]), 1).indices


def _blame(head: TableHead, standard: Tensor, n_columns: int) -> Tensor:
    """How much worse than usual the generator restores each column, at its worst level: [N, n_columns], above 0."""
    errors = head.detector.errors(standard) / head.usual_error.unsqueeze(2)
    column = head.views.column_of()[0].to(standard.device)
    worst = errors.mean(0).amax(0)
    return _added(standard.new_full((standard.shape[0], n_columns), 1e-9), column, worst)


def _added(totals: Tensor, column: Tensor, x: Tensor) -> Tensor:
    """Totals [..., n_columns] with x [..., width] added to them, each place to its column [width]."""
    if not torch.compiler.is_exporting():
        return totals.index_add(-1, column, x)
    # onnxruntime adds to one place from several threads at once, and loses some of it
    return totals + x @ F.one_hot(column, totals.shape[-1]).to(x.dtype)


def _nearest(distance: Tensor, most: int) -> Tensor:
    """Where the least of distances [..., M] stand, so many at most. Of those at about one distance the first, wherever
    this runs: many rows that differ in one category are equally far."""
    n = distance.shape[-1]
    order = in_order(distance, torch.arange(n, device=distance.device), n)
    return order.topk(min(most, n), -1, largest=False).indices


def _ranks(x: Tensor) -> Tensor:
    """Of each value in its row [N, C], 0 the smallest; of equal ones the first comes first, wherever this runs."""
    other, mine = x.unsqueeze(1), x.unsqueeze(2)
    before = torch.ones(x.shape[1], x.shape[1], device=x.device).tril(-1) > 0
    return ((other < mine) | ((other == mine) & before)).sum(2)
