"""All that can be said of synthetic images: whether they look real, help and leak, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.figures import Conclusion, Figure, Finding
from gantools.evaluate.image_quality import MAX_IMAGES, ImageQuality, Quality, image_quality
from gantools.evaluate.privacy import NearCopies, near_copies
from gantools.evaluate.verdict import holdback
from gantools.nn.features import Features
from gantools.stages import Stage
from gantools.train.image_classifier import Lesson, probabilities, train_classifiers
from gantools.words import percent

MIN_IMAGES = 20  # real and synthetic ones each, below which nothing is measured
SHARE_HELD = 0.25  # of the real images of each class where there is no holdout
LOOKS = 0.5  # of what fresh real images reach, below which images do not look real, or leave much of them out
LOST = 0.05  # of balanced accuracy
EXACT, NEAR = 0.005, 0.05  # shares of copies from which images leak


@dataclass(frozen=True)
class Learned:
    """Balanced accuracy on real images of small convolutional nets: of one that learned from synthetic images, and of
    one that learned from as many real ones."""

    synthetic: float
    real: float
    n_learned: int
    n_tested: int


@dataclass(frozen=True)
class ImageEvaluation:
    """Everything that was measured. fresh: what fresh real images come to in place of the synthetic ones. learned: None
    where there are no classes, or too few images of two of them. has_holdout: whether fresh images are of their own.
    """

    quality: ImageQuality
    fresh: Quality
    learned: Learned | None
    copies: NearCopies
    has_holdout: bool

    @property
    def conclusion(self) -> Conclusion:
        """What it comes to."""
        parts = ["the synthetic images look like real ones"]
        if self.learned is not None:
            parts.append("a classifier learns from them nearly as well as from real ones")
        parts.append("few repeat real ones")
        said = ", ".join(parts[:-1]) + " and " + parts[-1]
        unsaid = () if self.has_holdout else ("Without a holdout real images are compared with one another",)
        return Conclusion(tuple(self._findings()), f"Nothing wrong was found: {said}.", unsaid)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that people look at first, with what they mean."""
        return tuple(self._figures())

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "conclusion": self.conclusion.to_json(),
            "figures": [figure.to_json() for figure in self.figures],
            "fidelity": {"quality": self.quality.to_json(), "fresh": asdict(self.fresh)},
            "utility": None if self.learned is None else asdict(self.learned),
            "privacy": self.copies.to_json(),
        }

    def _findings(self) -> Iterator[Finding]:
        n, exact, near = self.copies.n_synthetic, len(self.copies.exact), len(self.copies.near)
        if exact > EXACT * n or near > self._most_near * n:
            said = (
                f"{percent(exact / n)} of the synthetic images are exact copies of real ones, {percent(near / n)} near"
            )
            yield Finding("leaks", f"{said} copies; of fresh real images {percent(self.copies.chance)} would be")
        made, fresh = self.quality.overall, self.fresh
        looks_real = _share(made.precision, fresh.precision)
        if looks_real < LOOKS:
            said = f"{percent(made.precision or 0.0)} of the synthetic images lie where real ones are"
            yield Finding("do not look real", f"{said}, {percent(fresh.precision or 0.0)} of fresh real images do")
        if looks_real >= LOOKS > _share(made.coverage, fresh.coverage):
            said = f"{percent(made.coverage or 0.0)} of the real images have a synthetic one beside them"
            yield Finding("collapsed", f"{said}, {percent(fresh.coverage or 0.0)} have a fresh real one")
        one = self.learned
        if one is not None and one.real - one.synthetic > LOST:
            yield Finding(
                "of little use",
                f"a classifier that learns from the synthetic images reaches a balanced accuracy of {one.synthetic:.3f}"
                f" on real ones, one that learns from as many real images {one.real:.3f}",
            )

    @property
    def _most_near(self) -> float:
        return max(NEAR, 4 * self.copies.chance)

    def _figures(self) -> Iterator[Figure]:
        made, fresh = self.quality.overall, self.fresh
        if made.kid is not None and fresh.kid is not None:
            spread = 2 * (fresh.kid_std or 0.0)
            yield Figure(
                "looks", "KID", made.kid, f"{max(0.0, fresh.kid):.3f}", fresh.kid + spread + 0.05,
                fresh.kid + spread + 0.5,
                f"Distance of the two sets in features of: {self.quality.features}. The best is what fresh real images "
                "come to.", fresh.kid,
            )  # fmt: skip
        for name, reading in (
            ("precision", "The share of synthetic images that lie where real ones are"),
            ("recall", "The share of real images that lie where synthetic ones are"),
            ("density", "As precision, and above 1 where synthetic images crowd"),
            ("coverage", "The share of real images with a synthetic one beside them"),
        ):
            value, held = getattr(made, name), getattr(fresh, name)
            if value is not None and held is not None:
                yield Figure(
                    "looks", name, value, f"{held:.2f}", 0.8 * held, LOOKS * held,
                    f"{reading}. The best is what fresh real images reach; good from eight tenths of it, poor below "
                    "half.", held,
                )  # fmt: skip
        one = self.learned
        if one is not None:
            yield Figure(
                "helps", "balanced accuracy, trained on synthetic images", one.synthetic, f"{one.real:.3f}",
                one.real - 0.02, one.real - LOST,
                "Of a classifier that learned from synthetic images alone, tested on real ones; the best is what as "
                "many real images give. Poor more than 0.05 below.", one.real,
            )  # fmt: skip
        n, chance = max(1, self.copies.n_synthetic), self.copies.chance
        yield Figure(
            "leaks", "exact copies", len(self.copies.exact) / n, "0", 0.0, EXACT,
            "The share of synthetic images with the pixels of a real one. Poor above half a percent.",
        )  # fmt: skip
        yield Figure(
            "leaks", "near copies", len(self.copies.near) / n, f"{chance:.4f}", 2 * chance + 0.01, self._most_near,
            "The share of synthetic images closer to a real one than all but one in a hundred real images are to "
            "theirs. Poor above 5 %.",
        )  # fmt: skip


def evaluate_images(
    real: Tensor,
    label: Tensor,
    synthetic: Tensor,
    made_label: Tensor,
    classes: Sequence[str],
    features: Features,
    holdout: tuple[Tensor, Tensor] | None = None,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    stage: Stage | None = None,
) -> ImageEvaluation:
    """Measure everything.

    real, synthetic: [N, C, size, size] uint8. label, made_label: [N] int64, positions in `classes`; all 0 where there
    are none. holdout: real images that the synthetic ones were not learned from, and their labels. stage: that of the
    classifiers.

    Raises DataError for fewer than `MIN_IMAGES` images on a side.
    """
    held = real if holdout is None else holdout[0]
    for images, what in ((real, "real"), (synthetic, "synthetic"), (held, "held-out")):
        if len(images) < MIN_IMAGES:
            problem = f"there are {len(images)} {what} images, and nothing can be said of fewer than {MIN_IMAGES}"
            raise DataError(problem, remedy="give more")
    half = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed)) % 2 == 0
    base, new = (real[half], real[~half]) if holdout is None else (real, holdout[0])
    unlabelled = [torch.zeros(len(images), dtype=torch.int64) for images in (base, new)]
    fresh = image_quality(base, unlabelled[0], new, unlabelled[1], [], features, seed=seed).overall
    return ImageEvaluation(
        quality=image_quality(real, label, synthetic, made_label, classes, features, seed=seed),
        fresh=fresh,
        learned=_learned((real, label), (synthetic, made_label), holdout, len(classes), seed, device, stage),
        copies=near_copies(real, synthetic, features),
        has_holdout=holdout is not None,
    )


Labelled = tuple[Tensor, Tensor]


def _learned(
    real: Labelled,
    synthetic: Labelled,
    holdout: Labelled | None,
    n_classes: int,
    seed: int,
    device: torch.device | str,
    stage: Stage | None,
) -> Learned | None:
    """Train on synthetic images and on as many real ones, test both on real ones that neither has seen."""
    if n_classes < 2:
        return None
    if holdout is None:
        train, held = holdback(real[1].numpy().astype(np.int64), holdout=SHARE_HELD, seed=seed, max_held=MAX_IMAGES)
        kept, tested = (torch.from_numpy(rows) for rows in (train, held))
        real, holdout = (real[0][kept], real[1][kept]), (real[0][tested], real[1][tested])
    n = min(len(real[1]), len(synthetic[1]))
    random = torch.Generator().manual_seed(seed)
    lessons = []
    for images, label in (synthetic, real):
        some = torch.randperm(len(label), generator=random)[:n]
        if min(len(torch.unique(labels)) for labels in (label[some], holdout[1])) < 2:
            return None
        lessons.append(Lesson(images[some], label[some], seed))
    nets = train_classifiers(lessons, n_classes, device=device, stage=stage)
    ours, theirs = (_balanced_accuracy(found, holdout[1]) for found in probabilities(nets, holdout[0]))
    return Learned(ours, theirs, n, len(holdout[1]))


def _balanced_accuracy(found: Tensor, label: Tensor) -> float:
    hit = (found.argmax(1) == label).double()
    return float(torch.stack([hit[label == code].mean() for code in torch.unique(label)]).mean())


def _share(value: float | None, of: float | None) -> float:
    return 1.0 if value is None or not of else value / of
