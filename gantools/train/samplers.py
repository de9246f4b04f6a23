"""How batches are dealt: a sampler draws places from any store, plainly, with classes balanced, or by fold.

`Examples` joins a store, a sampler and what a model is judged by into what the loop trains on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self, cast

import torch
from torch import Tensor

from gantools.models.base import GAN, Batch, Detector, Model, Translator
from gantools.nn.conditioning import Condition, beside
from gantools.train.monitor import energy_distance
from gantools.train.stores import Store

HELD_OUT_SHARE = 0.1  # of each class that is large enough, for the criterion that training is judged by
HELD_OUT_MIN_ROWS = 100  # a class smaller than this keeps all its rows for training and is judged on them
REFERENCE_ROWS = 512  # per class, that generated samples are compared with
LOOK_CLASSES = 20  # at most this many classes are looked at, the rarest first


# --- drawing ---


class Sampler(Protocol):
    """Draws places of a store. rank: [N] int64, see `Batch`; the same for all where there are no folds of classes."""

    @property
    def rank(self) -> Tensor: ...

    def to(self, device: torch.device) -> Self: ...

    def draw(self, size: int, random: torch.Generator) -> Tensor:
        """Places [...] int64 for a batch of about `size` examples in all."""


@dataclass(frozen=True)
class Plain:
    """Every example alike, drawn with replacement."""

    rank: Tensor

    @classmethod
    def of(cls, n: int, seed: int) -> Plain:
        return cls(torch.randperm(n, generator=torch.Generator().manual_seed(seed)))

    def to(self, device: torch.device) -> Plain:
        return Plain(self.rank.to(device))

    def draw(self, size: int, random: torch.Generator) -> Tensor:
        return torch.randint(len(self.rank), (size,), device=self.rank.device, generator=random)


@dataclass(frozen=True)
class ClassBalanced:
    """Examples drawn with replacement, a share of each batch with all classes equally likely.

    places: [N] int64, the examples that train, places in the store. rank: [M], of each example of the store.
    cumulative: [N] running sum of their chances of being drawn. judged_by: per class, places held out for judging, or
    of a small class some that train.
    """

    places: Tensor
    rank: Tensor
    cumulative: Tensor
    judged_by: tuple[Tensor, ...]

    @classmethod
    def of(
        cls,
        label: Tensor,
        n_classes: int,
        class_balance: float,
        seed: int,
        held_out: float = HELD_OUT_SHARE,
        *,
        min_rows: int = HELD_OUT_MIN_ROWS,
        most: int = REFERENCE_ROWS,
    ) -> ClassBalanced:
        """Hold examples back and give every other one its chance of being drawn.

        label: [M] int64. class_balance: share of each batch drawn with all classes equally likely. held_out: share of
        the examples of each class of at least min_rows. most: examples of a class that it is judged by.
        """
        random = torch.Generator().manual_seed(seed)
        rank = torch.zeros(len(label), dtype=torch.int64)
        kept, judged_by = [], []
        for k in range(n_classes):
            rows = torch.nonzero(label.cpu() == k).squeeze(1)
            rows = rows[torch.randperm(len(rows), generator=random)]
            n_held = int(len(rows) * held_out) if len(rows) >= min_rows else 0
            rank[rows[n_held:]] = torch.arange(len(rows) - n_held)
            kept.append(rows[n_held:])
            judged_by.append((rows[:n_held] if n_held else rows)[:most].to(label.device))
        places = torch.cat(kept).sort().values.to(label.device)
        count = torch.bincount(label[places], minlength=n_classes).double()
        present = (count > 0).sum()
        chance = class_balance / (present * count[label[places]]) + (1 - class_balance) / len(places)
        return cls(places, rank.to(label.device), (chance / chance.sum()).cumsum(0), tuple(judged_by))

    def to(self, device: torch.device) -> ClassBalanced:
        judged_by = tuple(rows.to(device) for rows in self.judged_by)
        return ClassBalanced(self.places.to(device), self.rank.to(device), self.cumulative.to(device), judged_by)

    def draw(self, size: int, random: torch.Generator) -> Tensor:
        uniform = torch.rand(size, device=self.cumulative.device, generator=random, dtype=torch.float64)
        return self.places[torch.searchsorted(self.cumulative, uniform).clamp(max=len(self.places) - 1)]


@dataclass(frozen=True)
class ByFold:
    """Examples dealt into folds. Each fold's nets learn from the examples of the other folds.

    fold: [N] int64. others, own: [n_folds, L] int64, places outside and inside each fold; a fold with fewer than L
    repeats some.
    """

    fold: Tensor
    others: Tensor
    own: Tensor

    @classmethod
    def of(cls, n: int, n_folds: int, seed: int) -> ByFold:
        """Deal n examples at random into folds of equal size, give or take one."""
        fold = torch.arange(n) % n_folds
        fold = fold[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
        outside = [torch.nonzero(fold != k).squeeze(1) for k in range(n_folds)]
        inside = [torch.nonzero(fold == k).squeeze(1) for k in range(n_folds)]
        return cls(fold, _stacked(outside, n), _stacked(inside, n))

    @property
    def rank(self) -> Tensor:
        return self.fold

    def to(self, device: torch.device) -> ByFold:
        return ByFold(self.fold.to(device), self.others.to(device), self.own.to(device))

    def draw(self, size: int, random: torch.Generator) -> Tensor:
        """Places [n_folds, B], B at least 2, for the nets of each fold."""
        return self._drawn(self.others, size, random)

    def draw_held_out(self, size: int, random: torch.Generator) -> Tensor:
        """The same of places that each fold's nets did not learn from."""
        return self._drawn(self.own, size, random)

    @staticmethod
    def _drawn(places: Tensor, size: int, random: torch.Generator) -> Tensor:
        n_folds, n_each = len(places), max(2, size // len(places))
        chosen = torch.randint(places.shape[1], (n_folds, n_each), device=places.device, generator=random)
        return places.gather(1, chosen)


def _stacked(parts: list[Tensor], n: int) -> Tensor:
    """parts: places [L_k], L_k from 0 to n. Returns [len(parts), largest L_k], shorter parts repeated."""
    # A single fold has nothing outside it, and very few examples leave folds empty: then all of them serve.
    parts = [part if len(part) else torch.arange(n) for part in parts]
    longest = max(map(len, parts))
    return torch.stack([part.repeat(-(-longest // len(part)))[:longest] for part in parts])


# --- judging ---


@dataclass(frozen=True)
class Judgement:
    """How good a model is on examples held out.

    name: of the criterion. criterion: lower is better. spread, watched: of a generator, per class that was looked at,
    how spread its samples are against real ones (1 is as much) and what the class is called; empty for other models.
    """

    name: str
    criterion: float
    spread: tuple[float, ...] = ()
    watched: tuple[str, ...] = ()


class Criterion(Protocol):
    """What a model is judged by while it trains."""

    def to(self, device: torch.device) -> Self: ...

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement: ...


@dataclass(frozen=True)
class ByClass:
    """Mean energy distance, over the rarest classes, between generated samples and real ones.

    reference: per class, real samples [R, width] as `measured_by` turns generated ones. classes: their names. n_each:
    samples that are generated of each.
    """

    reference: tuple[Tensor, ...]
    classes: tuple[str, ...]
    n_each: int
    measured_by: Callable[[Tensor], Tensor] | torch.nn.Module | None = None

    def to(self, device: torch.device) -> ByClass:
        measured_by = self.measured_by
        if isinstance(measured_by, torch.nn.Module):
            measured_by = measured_by.to(device)
        return replace(self, reference=tuple(rows.to(device) for rows in self.reference), measured_by=measured_by)

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        gan = cast(GAN, model)
        device = self.reference[0].device
        counts = gan.spec.condition.class_counts
        several = [k for k, n in enumerate(counts) if n >= 2] or [k for k, n in enumerate(counts) if n]
        watched = sorted(several, key=lambda k: counts[k])[:LOOK_CLASSES]
        label = torch.repeat_interleave(torch.tensor(watched, device=device), self.n_each)
        generated = gan.sample(len(label), Condition(label), torch.Generator(device).manual_seed(seed))
        if self.measured_by is not None:
            generated = self.measured_by(generated)
        parts = zip(torch.split(generated, self.n_each), watched, strict=True)
        measured = [energy_distance(part, self.reference[k]) for part, k in parts]
        criterion = float(torch.stack([distance for distance, _ in measured]).mean())
        spread = torch.stack([spread for _, spread in measured]).tolist()
        return Judgement("energy_distance", criterion, tuple(spread), tuple(self.classes[k] for k in watched))


@dataclass(frozen=True)
class ByLikelihood:
    """How improbable rows are that were not learned from: the mean of -log P(row | condition).

    rows: [R, width] encoded. condition: of these. weight: [R], sums to one.
    """

    rows: Tensor
    condition: Condition
    weight: Tensor

    def to(self, device: torch.device) -> ByLikelihood:
        return ByLikelihood(self.rows.to(device), self.condition.to(device), self.weight.to(device))

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        likelihood = cast(GAN, model).log_likelihood(self.rows, self.condition)
        return Judgement("held_out_error", -float(likelihood @ self.weight))


@dataclass(frozen=True)
class ByDescription:
    """Energy distance between generated images and real ones, each with its description beside it.

    condition: of R real images. reference: these images [R, width] as `measured_by` turns generated ones.
    """

    condition: Condition
    reference: Tensor
    measured_by: torch.nn.Module

    def to(self, device: torch.device) -> ByDescription:
        return ByDescription(self.condition.to(device), self.reference.to(device), self.measured_by.to(device))

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        gan, n = cast(GAN, model), len(self.reference)
        random = torch.Generator(self.reference.device).manual_seed(seed)
        generated = self.measured_by(gan.sample(n, self.condition, random))
        said = beside(self.reference[:, :0], self.condition, gan.spec.condition)
        said = said * (self.reference.shape[1] / said.square().sum(1).mean().clamp(min=1e-6)).sqrt()
        parts = (torch.cat([features, said], 1) for features in (generated, self.reference))
        distance, _ = energy_distance(*parts)
        _, spread = energy_distance(generated, self.reference)
        return Judgement("energy_distance", float(distance), (float(spread),), ("all images",))


@dataclass(frozen=True)
class HeldOut:
    """A detector's own criterion on examples held out from the nets of each fold. n: examples of each fold."""

    n: int

    def to(self, device: torch.device) -> HeldOut:
        return self

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        sampler = cast(ByFold, examples.sampler)
        random = torch.Generator(sampler.fold.device).manual_seed(seed)
        places = sampler.draw_held_out(self.n * len(sampler.own), random)
        batch = examples.at(places, 1.0, random)
        return Judgement("held_out_error", float(cast(Detector, model).held_out(batch)))


@dataclass(frozen=True)
class HeldOutPictures:
    """A translator's own criterion on crops of pictures that were not learned from.

    store: of these. places: [N] int64, of the pictures that crops are taken of, several of each.
    """

    store: Store
    places: Tensor

    @classmethod
    def of(cls, store: Store, n: int) -> HeldOutPictures:
        """n: crops in all."""
        return cls(store, torch.arange(n) % len(store))

    def to(self, device: torch.device) -> HeldOutPictures:
        return HeldOutPictures(self.store.to(device), self.places.to(device))

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        random = torch.Generator(self.places.device).manual_seed(seed)
        real, condition = self.store.take(self.places, random)
        batch = Batch(real, condition, torch.zeros_like(self.places), 1.0, random)
        return Judgement("held_out_error", float(cast(Translator, model).held_out(batch)))


# --- both together ---


@dataclass(frozen=True)
class Examples:
    """What the loop trains on: where examples are, how they are dealt, and what a model is judged by."""

    store: Store
    sampler: Sampler
    criterion: Criterion

    def to(self, device: torch.device) -> Examples:
        return Examples(self.store.to(device), self.sampler.to(device), self.criterion.to(device))

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
        """About `size` examples, drawn with replacement. progress: the share of the training that has passed."""
        return self.at(self.sampler.draw(size, random), progress, random)

    def at(self, places: Tensor, progress: float, random: torch.Generator) -> Batch:
        """The examples at these places of the store."""
        real, condition = self.store.take(places, random)
        return Batch(real, condition, self.sampler.rank[places], progress, random)

    def judge(self, model: Model, seed: int) -> Judgement:
        """How good the model is on examples held out."""
        return self.criterion.judge(model, self, seed)
