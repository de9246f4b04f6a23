"""Rows worth having: more candidates than rows wanted, of which a model that can judge them takes some.

A generator conditioned on a label gets the border between classes less right than a classifier does. So candidates
are drawn under every label, and row x is taken for class c with the importance weight that turns the candidates into
p(x | c), estimated from the model's classifier by Bayes' rule, times P(c | x, classes equally likely) ** sharpness.
The labels asked for are met exactly. Sampling-importance-resampling: Rubin 1988. Weighing the candidates by a
cross-fitted classifier is ours.

`refined` rows are a better draw of each class. `balancing` rows are to help a classifier on a given table: the
candidates come half from the generator and half from the table's own rows, each moved a random part of the way
towards a near neighbour of any class in the encoded space (numbers as probabilities of their column's distribution,
each category from either row), and sharpness is higher. So a class of fifty rows borrows what the others show of how
rows look, and rows that would blur the border are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantools.encode.table import EncodedTable, Layout, TableEncoder
from gantools.models.base import GAN
from gantools.nn.conditioning import Condition

REFINED_CANDIDATES = 2  # per row taken
REFINED_SHARPNESS = 0.25
BALANCING_CANDIDATES = 8
BALANCING_SHARPNESS = 3.0
BORROW = 0.5  # share of the candidates for the labels wanted, or for all labels alike; the rest as labels occur
MIN_POOL = 1024  # candidates at the least
MIN_BALANCING_POOL = 16384  # the same where rows of all classes are to be borrowed from
REAL_SHARE = 0.5  # of the candidates for balancing, made from real rows
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


def refined(gan: GAN, label: Tensor, random: torch.Generator) -> Tensor:
    """Encoded rows [N, width] for labels [N], chosen by the model's classifier where it has one."""
    if not gan.judges:
        return _drawn(gan, label, random)
    natural = _natural(gan, label.device)
    wanted = torch.bincount(label, minlength=len(natural)) / max(1, len(label))
    share = BORROW * wanted + (1 - BORROW) * natural
    n_pool = max(MIN_POOL, REFINED_CANDIDATES * len(label))
    pool = _drawn(gan, torch.multinomial(share, n_pool, replacement=True, generator=random), random)
    return pool[_take(gan.evidence(pool), share, label, REFINED_SHARPNESS, random)]


def balancing(gan: GAN, label: Tensor, anchors: Anchors, random: torch.Generator) -> Tensor:
    """Encoded rows [N, width] for labels [N] that are to help a classifier on the rows that `anchors` holds."""
    if not gan.judges:
        return _drawn(gan, label, random)
    natural = _natural(gan, label.device)
    share = BORROW * (natural > 0) / (natural > 0).sum() + (1 - BORROW) * natural
    n_pool = max(MIN_BALANCING_POOL, BALANCING_CANDIDATES * len(label))
    n_real = int(n_pool * REAL_SHARE)
    drawn = torch.multinomial(share, n_pool - n_real, replacement=True, generator=random)
    pool = torch.cat([anchors.moved(n_real, share, random), _drawn(gan, drawn, random)])
    return pool[_take(gan.evidence(pool), share, label, BALANCING_SHARPNESS, random)]


def _drawn(gan: GAN, label: Tensor, random: torch.Generator) -> Tensor:
    return gan.sample(len(label), Condition(label), random)


def _natural(gan: GAN, device: torch.device) -> Tensor:
    """Shares of the classes in the training rows: [n_classes]."""
    counts = torch.tensor(gan.spec.condition.class_counts, device=device, dtype=torch.float32)
    return counts / counts.sum()


def _take(evidence: Tensor, share: Tensor, label: Tensor, sharpness: float, random: torch.Generator) -> Tensor:
    """Which candidate to take for each label: [N] indices, none twice.

    evidence: [P, n_classes], log P(class | candidate) were all classes equally likely. share: [n_classes], of the
    candidates.
    """
    density = evidence - torch.logsumexp(evidence + share.clamp(min=1e-9).log(), 1, keepdim=True)
    weight = density + sharpness * evidence
    key = weight + gumbel(weight, random)
    taken = torch.zeros_like(label)
    wanted = torch.bincount(label, minlength=len(share)).tolist()
    for code in sorted((k for k, n in enumerate(wanted) if n), key=lambda k: wanted[k]):
        best = key[:, code].topk(wanted[code]).indices
        taken[label == code] = best
        key[best] = -torch.inf
    return taken


def gumbel(like: Tensor, random: torch.Generator) -> Tensor:
    """Noise in a tensor's shape. The largest of log weight + noise are a weighted draw without replacement (Efraimidis
    and Spirakis 2006)."""
    noise = torch.rand(like.shape, device=like.device, generator=random).clamp(1e-9, 1 - 1e-7)
    return -torch.log(-torch.log(noise))


def _chunks(rows: Tensor, size: int = 2048) -> list[tuple[int, Tensor]]:
    return [(start, rows[start : start + size]) for start in range(0, len(rows), size)]


def _nearest(part: Tensor, start: int, rows: Tensor, k: int) -> Tensor:
    """Indices [len(part), k] of the rows nearest to each, itself left out. part: rows[start : start + len(part)]."""
    distance = torch.cdist(part, rows)
    itself = torch.arange(len(part), device=rows.device)
    distance[itself, itself + start] = torch.inf
    return distance.topk(k, largest=False).indices
