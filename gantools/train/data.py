"""A table on the device, ready to draw batches from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantools.encode.table import EncodedTable, TableEncoder
from gantools.models.base import Batch

HELD_OUT_SHARE = 0.1  # of each class that is large enough, for the criterion that training is judged by
HELD_OUT_MIN_ROWS = 100  # a class smaller than this keeps all its rows for training and is judged on them
REFERENCE_ROWS = 512  # per class, that generated rows are compared with


@dataclass(frozen=True)
class TrainingRows:
    """Encoded rows with their labels.

    label: [N] int64. rank: [N] int64, place of each row in a random order of its class, for folds that hold every
    class. cumulative: [N] running sum of the rows' chances of being drawn. reference: per class, rows [R, width] to
    judge by.
    """

    encoder: TableEncoder
    table: EncodedTable
    label: Tensor
    rank: Tensor
    cumulative: Tensor
    reference: tuple[Tensor, ...]

    @classmethod
    def split(
        cls, encoder: TableEncoder, table: EncodedTable, label: Tensor, n_classes: int, class_balance: float, seed: int
    ) -> TrainingRows:
        """Hold rows back for the criterion and give every other row its chance of being drawn.

        class_balance: share of each batch drawn with all classes equally likely.
        """
        random = torch.Generator().manual_seed(seed)
        drawn = torch.Generator(label.device).manual_seed(seed)
        kept, references = [], []
        for k in range(n_classes):
            rows = torch.nonzero(label.cpu() == k).squeeze(1)
            rows = rows[torch.randperm(len(rows), generator=random)]
            n_held = int(len(rows) * HELD_OUT_SHARE) if len(rows) >= HELD_OUT_MIN_ROWS else 0
            kept.append(rows[n_held:])
            judged_by = (rows[:n_held] if n_held else rows)[:REFERENCE_ROWS]
            # Numbers drawn from their intervals, as generated ones are: the middles would ask spikes to be points.
            references.append(encoder.draw(table, judged_by.to(label.device), drawn))
        rank = torch.cat([torch.arange(len(rows)) for rows in kept])
        order = torch.cat(kept)
        back = torch.argsort(order)
        rows, rank = order[back].to(label.device), rank[back].to(label.device)
        label = label[rows]
        count = torch.bincount(label, minlength=n_classes).double()
        present = (count > 0).sum()
        chance = class_balance / (present * count[label]) + (1 - class_balance) / len(label)
        cumulative = (chance / chance.sum()).cumsum(0)
        part = EncodedTable(table.lower[rows], table.upper[rows], table.position[rows])
        return cls(encoder, part, label, rank, cumulative, tuple(references))

    def to(self, device: torch.device) -> TrainingRows:
        return TrainingRows(
            self.encoder.to(device), self.table.to(device), self.label.to(device), self.rank.to(device),
            self.cumulative.to(device), tuple(rows.to(device) for rows in self.reference),
        )  # fmt: skip

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
        """`size` rows drawn with replacement, numbers drawn from their intervals."""
        uniform = torch.rand(size, device=self.label.device, generator=random, dtype=torch.float64)
        rows = torch.searchsorted(self.cumulative, uniform).clamp(max=len(self.label) - 1)
        real = self.encoder.draw(self.table, rows, random)
        return Batch(real, self.label[rows], self.rank[rows], progress, random)
