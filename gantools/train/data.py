"""A table on the device: batches are drawn from it, and models judged by what of it is held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast

import torch
from torch import Tensor

from gantools.encode.table import EncodedTable, TableEncoder
from gantools.models.base import GAN, Batch, Detector, Model
from gantools.train.monitor import energy_distance

HELD_OUT_SHARE = 0.1  # of each class that is large enough, for the criterion that training is judged by
HELD_OUT_MIN_ROWS = 100  # a class smaller than this keeps all its rows for training and is judged on them
REFERENCE_ROWS = 512  # per class, that generated rows are compared with
LOOK_ROWS = 256  # generated per class at each look
LOOK_CLASSES = 20  # at most this many classes are looked at, the rarest first
HELD_OUT_ROWS = 512  # per fold, that a detector is judged on


@dataclass(frozen=True)
class Judgement:
    """How good a model is on rows held out.

    name: of the criterion. criterion: lower is better. spread, watched: of a generator, per class that was looked at,
    how spread its rows are against real ones (1 is as much) and what the class is called; empty for a detector.
    """

    name: str
    criterion: float
    spread: tuple[float, ...] = ()
    watched: tuple[str, ...] = ()


class Rows(Protocol):
    """What the loop needs of the training data."""

    def to(self, device: torch.device) -> Self: ...

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch: ...

    def judge(self, model: Model, classes: Sequence[str], seed: int) -> Judgement: ...


@dataclass(frozen=True)
class ClassSplit:
    """Which rows train, how often each is drawn, and which rows of each class a model is judged by.

    rows: [N] int64, those that train. rank: [N] int64, place of each in a random order of its class, for folds that
    hold every class. cumulative: [N] running sum of their chances of being drawn. judged_by: per class, rows held out,
    or of a small class some that train.
    """

    rows: Tensor
    rank: Tensor
    cumulative: Tensor
    judged_by: tuple[Tensor, ...]

    @classmethod
    def of(cls, label: Tensor, n_classes: int, class_balance: float, held_out: float, seed: int) -> ClassSplit:
        """Hold rows back and give every other row its chance of being drawn.

        label: [M] int64. class_balance: share of each batch drawn with all classes equally likely. held_out: share of
        the rows of each class that is large enough.
        """
        random = torch.Generator().manual_seed(seed)
        kept, judged_by = [], []
        for k in range(n_classes):
            rows = torch.nonzero(label.cpu() == k).squeeze(1)
            rows = rows[torch.randperm(len(rows), generator=random)]
            n_held = int(len(rows) * held_out) if len(rows) >= HELD_OUT_MIN_ROWS else 0
            kept.append(rows[n_held:])
            judged_by.append((rows[:n_held] if n_held else rows)[:REFERENCE_ROWS].to(label.device))
        rank = torch.cat([torch.arange(len(rows)) for rows in kept])
        order = torch.cat(kept)
        back = torch.argsort(order)
        rows, rank = order[back].to(label.device), rank[back].to(label.device)
        count = torch.bincount(label[rows], minlength=n_classes).double()
        present = (count > 0).sum()
        chance = class_balance / (present * count[label[rows]]) + (1 - class_balance) / len(rows)
        return cls(rows, rank, (chance / chance.sum()).cumsum(0), tuple(judged_by))


def drawn_places(cumulative: Tensor, size: int, random: torch.Generator) -> Tensor:
    """Places [size] drawn with replacement, each as often as the running sum of chances [N] says."""
    uniform = torch.rand(size, device=cumulative.device, generator=random, dtype=torch.float64)
    return torch.searchsorted(cumulative, uniform).clamp(max=len(cumulative) - 1)


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
        drawn = torch.Generator(label.device).manual_seed(seed)
        split = ClassSplit.of(label, n_classes, class_balance, HELD_OUT_SHARE, seed)
        # Numbers drawn from their intervals, as generated ones are: the middles would ask spikes to be points.
        references = [encoder.draw(table, rows, drawn) for rows in split.judged_by]
        rows = split.rows
        part = EncodedTable(table.lower[rows], table.upper[rows], table.position[rows])
        return cls(encoder, part, label[rows], split.rank, split.cumulative, tuple(references))

    def to(self, device: torch.device) -> TrainingRows:
        return TrainingRows(
            self.encoder.to(device), self.table.to(device), self.label.to(device), self.rank.to(device),
            self.cumulative.to(device), tuple(rows.to(device) for rows in self.reference),
        )  # fmt: skip

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
        """`size` rows drawn with replacement, numbers drawn from their intervals."""
        rows = drawn_places(self.cumulative, size, random)
        real = self.encoder.draw(self.table, rows, random)
        return Batch(real, self.label[rows], self.rank[rows], progress, random)

    def judge(self, model: Model, classes: Sequence[str], seed: int) -> Judgement:
        """Mean energy distance, over classes, between generated rows and real ones."""
        return judge_by_class(cast(GAN, model), self.reference, classes, LOOK_ROWS, seed)


def judge_by_class(
    gan: GAN,
    reference: Sequence[Tensor],
    classes: Sequence[str],
    n_each: int,
    seed: int,
    measured_by: Callable[[Tensor], Tensor] = lambda x: x,
) -> Judgement:
    """Mean energy distance, over the rarest classes, between generated samples and real ones.

    reference: per class, real samples as `measured_by` turns generated ones into rows [N, width]. n_each: samples of
    each class.
    """
    device = reference[0].device
    counts = gan.spec.class_counts
    several = [k for k, n in enumerate(counts) if n >= 2] or [k for k, n in enumerate(counts) if n]
    watched = sorted(several, key=lambda k: counts[k])[:LOOK_CLASSES]
    label = torch.repeat_interleave(torch.tensor(watched, device=device), n_each)
    generated = measured_by(gan.sample(label, torch.Generator(device).manual_seed(seed)))
    parts = zip(torch.split(generated, n_each), watched, strict=True)
    measured = [energy_distance(part, reference[k]) for part, k in parts]
    criterion = float(torch.stack([distance for distance, _ in measured]).mean())
    spread = torch.stack([spread for _, spread in measured]).tolist()
    return Judgement("energy_distance", criterion, tuple(spread), tuple(classes[k] for k in watched))


@dataclass(frozen=True)
class FoldRows:
    """Rows for a detector, dealt into folds. Each fold's nets learn from the rows of the other folds.

    x: [N, width] rows as the nets see them. fold: [N] int64. others, own: [n_folds, L] int64, rows outside and inside
    each fold; a fold with fewer than L repeats some.
    """

    x: Tensor
    fold: Tensor
    others: Tensor
    own: Tensor

    @classmethod
    def deal(cls, x: Tensor, n_folds: int, seed: int) -> FoldRows:
        """Deal rows x [N, width] at random into folds of equal size, give or take one."""
        fold = torch.arange(len(x)) % n_folds
        fold = fold[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]
        outside = [torch.nonzero(fold != k).squeeze(1) for k in range(n_folds)]
        inside = [torch.nonzero(fold == k).squeeze(1) for k in range(n_folds)]
        # A single fold has nothing outside it, and very few rows leave folds empty: then all rows serve.
        everything = torch.arange(len(x))
        others, own = (
            torch.stack([_repeated(rows if len(rows) else everything, max(map(len, part), default=1)) for rows in part])
            for part in (outside, inside)
        )
        return cls(x, fold, others, own)

    def to(self, device: torch.device) -> FoldRows:
        return FoldRows(self.x.to(device), self.fold.to(device), self.others.to(device), self.own.to(device))

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
        """`size` rows in all, shared out among the folds' nets, drawn with replacement."""
        return self._drawn(self.others, size, progress, random)

    def _drawn(self, rows: Tensor, size: int, progress: float, random: torch.Generator) -> Batch:
        n_folds = len(rows)
        place = torch.randint(rows.shape[1], (n_folds, max(2, size // n_folds)), device=rows.device, generator=random)
        nothing = torch.zeros(place.shape[1], dtype=torch.int64, device=rows.device)
        return Batch(self.x[rows.gather(1, place)], nothing, nothing, progress, random)

    def judge(self, model: Model, classes: Sequence[str], seed: int) -> Judgement:
        """The detector's own criterion on rows held out from each fold's nets."""
        random = torch.Generator(self.x.device).manual_seed(seed)
        batch = self._drawn(self.own, HELD_OUT_ROWS * len(self.own), 1.0, random)
        return Judgement("held_out_error", float(cast(Detector, model).held_out(batch)))


def _repeated(rows: Tensor, length: int) -> Tensor:
    """rows [n] repeated to the length."""
    return rows.repeat(-(-max(1, length) // len(rows)))[: max(1, length)]
