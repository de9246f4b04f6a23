"""Rows for balancing: many candidates, of which a model that can judge them takes the ones worth having.

Candidates come half from the generator, under every label, and half from the real rows that are to be balanced, each
moved a random part of the way towards a near neighbour in the encoded space (numbers as probabilities of their column's
distribution, each category from either row). A model's `weigh` then says how well each candidate would serve each
class. So a class of fifty rows borrows from what the others show of how rows look, and what is taken lies where the
classifier on real rows says that class lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantools.encode.table import EncodedTable, Layout, TableEncoder
from gantools.models.base import GAN

CANDIDATES = 8  # per row taken
MIN_POOL = 16384  # candidates at the least, so that few rows, too, are chosen among many
BORROW = 0.5  # share of the candidates spread evenly over the labels; the rest as labels occur
REAL_SHARE = 0.5  # of the candidates, made from real rows
N_NEIGHBOURS = 5
MAX_ANCHORS = 20_000  # real rows among which neighbours are looked for


@dataclass(frozen=True)
class Anchors:
    """Real rows to make candidates from.

    rows: [A, width] encoded. label: [A]. neighbours: [A, k] indices of near rows.
    """

    layout: Layout
    rows: Tensor
    label: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, encoder: TableEncoder, table: EncodedTable, label: Tensor, random: torch.Generator) -> Anchors:
        """Encode and find neighbours.

        Of a large table at most `MAX_ANCHORS` rows, the rare labels' all kept where that fits.
        """
        picked = torch.arange(len(label), device=label.device)
        if len(label) > MAX_ANCHORS:
            chance = 1 / torch.bincount(label).clamp(min=1)[label].double() + 1 / len(label)
            noise = torch.rand(len(label), device=label.device, generator=random, dtype=torch.float64)
            picked = (noise.log() / chance).topk(MAX_ANCHORS).indices.sort().values
        rows = encoder.draw(table, picked)
        k = min(N_NEIGHBOURS, len(rows) - 1)
        near = [_nearest(part, start, rows, k) for start, part in _chunks(rows)] if k else [picked[:, None] * 0]
        return cls(encoder.layout, rows, label[picked], torch.cat(near))

    def moved(self, n: int, share: Tensor, random: torch.Generator) -> Tensor:
        """n rows: one drawn with classes in the given shares [n_classes], moved towards a neighbour of any class."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, device=self.rows.device, generator=random)

        count = torch.bincount(self.label, minlength=len(share)).clamp(min=1)
        chance = (share[self.label] / count[self.label]).double()
        cumulative = (chance / chance.sum()).cumsum(0)
        first = torch.searchsorted(cumulative, uniform(n).double()).clamp(max=len(self.rows) - 1)
        pick = (uniform(n, 1) * self.neighbours.shape[1]).long()
        second = self.neighbours[first].gather(1, pick).squeeze(1)
        part = uniform(n, 1)
        between = torch.lerp(self.rows[first], self.rows[second], part)
        nearer = torch.where(part < 0.5, self.rows[first], self.rows[second])
        numbers = self.layout.n_numeric
        return torch.cat([between[:, :numbers], nearer[:, numbers:]], 1)


def choose(gan: GAN, label: Tensor, anchors: Anchors, random: torch.Generator) -> Tensor:
    """Encoded rows [N, width] for labels [N]: chosen among candidates where the model can weigh them, else sampled."""
    counts = torch.tensor(gan.spec.class_counts, device=label.device, dtype=torch.float32)
    share = BORROW * (counts > 0) / (counts > 0).sum() + (1 - BORROW) * counts / counts.sum()
    wanted = torch.bincount(label, minlength=len(counts))
    n_pool = max(MIN_POOL, CANDIDATES * int(wanted.max()))
    n_real = int(n_pool * REAL_SHARE)
    drawn = torch.multinomial(share, n_pool - n_real, replacement=True, generator=random)
    pool = torch.cat([anchors.moved(n_real, share, random), gan.sample(drawn, random)])
    weight = gan.weigh(pool, share)
    if weight is None:
        return gan.sample(label, random)
    taken = torch.zeros_like(label)
    for code in torch.nonzero(wanted).squeeze(1).tolist():
        # The largest of log weight + Gumbel noise: a weighted draw without replacement (Efraimidis and Spirakis 2006).
        noise = torch.rand(n_pool, device=label.device, generator=random).clamp(1e-9, 1 - 1e-7)
        key = weight[:, code] - torch.log(-torch.log(noise))
        mine = torch.nonzero(label == code).squeeze(1)
        taken[mine] = key.topk(len(mine)).indices
    return pool[taken]


def _chunks(rows: Tensor, size: int = 2048) -> list[tuple[int, Tensor]]:
    return [(start, rows[start : start + size]) for start in range(0, len(rows), size)]


def _nearest(part: Tensor, start: int, rows: Tensor, k: int) -> Tensor:
    """Indices [len(part), k] of the rows nearest to each, itself left out. part: rows[start : start + len(part)]."""
    distance = torch.cdist(part, rows)
    itself = torch.arange(len(part), device=rows.device)
    distance[itself, itself + start] = torch.inf
    return distance.topk(k, largest=False).indices
