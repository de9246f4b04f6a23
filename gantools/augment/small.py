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
from gantools.models.base import uniform_of

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

    @property
    def noise_width(self) -> int:
        """How many standard normal numbers a row is made from."""
        return 3 + len(self.layout.blocks) if len(self.label) else 0

    def replace(self, x: Tensor, label: Tensor, noise: Tensor) -> Tensor:
        """The rows x [N, width], with those of small classes made by the rule.

        label: [N]. noise: [N, noise_width], standard normal.
        """
        if not len(self.label):
            return x
        uniform = uniform_of(noise)
        mine = label.unsqueeze(1) == self.label  # [N, R]
        count = mine.sum(1).clamp(min=1)
        first = (uniform[:, 0] * count).long()
        second = (first + 1 + (uniform[:, 1] * (count - 1).clamp(min=1)).long()) % count
        share = uniform[:, 2:3]
        place = mine.cumsum(1)
        from_first, from_second = (self.rows[(place > k.unsqueeze(1)).long().argmax(1)] for k in (first, second))
        numbers = torch.lerp(from_first, from_second, share)[:, : self.layout.n_numeric]
        block = torch.repeat_interleave(torch.tensor(self.layout.blocks, device=x.device, dtype=torch.int64))
        either = (uniform[:, 3:] < share)[:, block]  # [N, n_levels], whether the category is the second row's
        start = self.layout.n_numeric
        levels = torch.where(either, from_second[:, start:], from_first[:, start:])
        return torch.where(mine.any(1, keepdim=True), torch.cat([numbers, levels], 1), x)
