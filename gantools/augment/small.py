"""The rule for classes too small to learn from: fewer than `MIN_ROWS` rows.

A generator that has seen five rows of a class can only repeat or invent. Rows of such a class are made by *smoothed
repetition* in the encoded space instead: one of its rows, moved a random part of the way towards another one; numbers
are interpolated as probabilities of their column's distribution, each category is taken from either row. A class of one
row is repeated. The real rows of these classes are part of a saved model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantools.encode.table import EncodedTable, Layout, TableEncoder

MIN_ROWS = 10


class SmallClasses(nn.Module):
    """The encoded rows of the classes that are too small, and how to make more of them."""

    rows: Tensor  # [R, width]
    label: Tensor  # [R]

    def __init__(self, n_rows: int, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("rows", torch.zeros(n_rows, layout.width))
        self.register_buffer("label", torch.zeros(n_rows, dtype=torch.int64))

    @classmethod
    def of(cls, encoder: TableEncoder, table: EncodedTable, label: Tensor, n_classes: int) -> SmallClasses:
        """Pick the rows of the small classes."""
        counts = torch.bincount(label, minlength=n_classes)
        rows = torch.nonzero(counts[label] < MIN_ROWS).squeeze(1)
        small = cls(len(rows), encoder.layout)
        small.rows.copy_(encoder.draw(table, rows))
        small.label.copy_(label[rows])
        return small

    def replace(self, x: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        """The rows x [N, width], with those of small classes made by the rule."""
        for code in torch.unique(self.label).tolist():
            mine = torch.nonzero(label == code).squeeze(1)
            if len(mine):
                x = x.index_copy(0, mine, self._make(len(mine), self.rows[self.label == code], random))
        return x

    def _make(self, n: int, rows: Tensor, random: torch.Generator) -> Tensor:
        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, device=rows.device, generator=random)

        first = (uniform(n) * len(rows)).long()
        second = (first + 1 + (uniform(n) * max(1, len(rows) - 1)).long()) % len(rows)
        share = uniform(n, 1)
        numbers = torch.lerp(rows[first], rows[second], share)[:, : self.layout.n_numeric]
        levels = [rows[first][:, :0]]
        start = self.layout.n_numeric
        for width in self.layout.blocks:
            either = torch.where(uniform(n) < share.squeeze(1), second, first)
            levels.append(rows[either][:, start : start + width])
            start += width
        return torch.cat([numbers, *levels], 1)
