"""Class counts -> images to make -> synthetic images that fill the rarer classes.

As for tables, synthetic samples come from two sources. Half are drawn by the generator, more than are wanted, and a
classifier of the real images chooses among them: what it takes for another class is likely left out. The other half are
real images of the class, turned, moved and lit otherwise. The first bring what other classes show of how images may
differ, the second keep what only the real ones have: a few dozen images do not teach a generator all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gantools.augment.balance import Strategy, class_counts, rows_to_make
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.encode.images import ImageSet
from gantools.nn.augment import augmented, flip_symmetric
from gantools.stages import Stage
from gantools.train.image_classifier import probabilities, train_classifier

CANDIDATES = 3  # generated for each that is taken
GENERATED_SHARE = 0.5  # of the synthetic images of a class
SHARPNESS = 2.0  # a candidate is taken in proportion to P(class | image) ** SHARPNESS
MIN_IMAGES = 10  # a class of fewer is filled with varied real images alone


@dataclass(frozen=True)
class ImageBalance:
    """Synthetic images that balance a set.

    images: [M, C, size, size] uint8. label: [M] int64 codes into the set's classes, class by class. is_generated: [M]
    bool, drawn by the generator; the others are varied real images. counts_before, counts_after: class -> images.
    notes: what else the user should know.
    """

    images: Tensor
    label: Tensor
    is_generated: Tensor
    counts_before: dict[str, int]
    counts_after: dict[str, int]
    notes: tuple[str, ...]

    @property
    def n_generated(self) -> int:
        """Images that the generator drew."""
        return int(self.is_generated.sum())

    def to_json(self) -> dict[str, Any]:
        """All of it but the images, as plain values for `json.dumps`."""
        return {
            "classes": class_counts(self.counts_before, self.counts_after),
            "n_synthetic": len(self.label),
            "n_generated": self.n_generated,
            "size": self.images.shape[-1],
            "notes": list(self.notes),
        }


def balance_images(
    data: ImageSet,
    *,
    strategy: Strategy = "auto",
    synthesizer: ImageSynthesizer,
    seed: int = 0,
    stage: Stage | None = None,
) -> ImageBalance:
    """Synthetic images for the rarer classes of `data`.

    strategy: imbalanced-learn's `sampling_strategy`, see `augment.balance.balance`. stage: that of the classifier which
    chooses. Raises ConfigError for a strategy that does not fit the classes.
    """
    classes = data.schema.classes
    before = dict(zip(classes, data.counts, strict=True))
    to_make = images_to_make(data, strategy)
    after = {name: n + to_make.get(name, 0) for name, n in before.items()}
    random = torch.Generator().manual_seed(seed)
    judge = _Judge(data, seed, stage)
    images, label, is_generated = [], [], []
    for code, name in enumerate(classes):
        n = to_make.get(name, 0)
        n_generated = round(n * GENERATED_SHARE) if before[name] >= MIN_IMAGES else 0
        drawn, _ = synthesizer.sample({name: CANDIDATES * n_generated}, seed=seed)
        images += [judge.choose(drawn, code, n_generated, random), judge.vary(code, n - n_generated, random)]
        label += [torch.full((n,), code)]
        is_generated += [torch.arange(n) < n_generated]
    small = [f"{name} ({before[name]})" for name in to_make if before[name] < MIN_IMAGES]
    notes: tuple[str, ...] = ()
    if small:
        notes = (f"Too few images to learn from: {', '.join(small)}. Theirs are real ones, varied.",)
    return ImageBalance(torch.cat(images), torch.cat(label), torch.cat(is_generated), before, after, notes)


def images_to_make(data: ImageSet, strategy: Strategy) -> dict[str, int]:
    """Class -> how many images to make. Raises ConfigError for a strategy that does not fit the classes."""
    names = pd.Series([data.schema.classes[code] for code in data.label.tolist()], name="folder")
    return rows_to_make(names, strategy)


class _Judge:
    """A classifier of the real images, balanced by varying them, and the variations themselves."""

    def __init__(self, data: ImageSet, seed: int, stage: Stage | None) -> None:
        self.data = data
        self.flip = flip_symmetric(data.images, data.label, len(data.schema.classes))
        random = torch.Generator().manual_seed(seed)
        most = max(data.counts)
        parts = [self.vary(code, most - n, random) for code, n in enumerate(data.counts) if n]
        labels = [torch.full((most - n,), code) for code, n in enumerate(data.counts) if n]
        images, label = torch.cat([data.images, *parts]), torch.cat([data.label, *labels])
        self.net = train_classifier(images, label, len(data.counts), seed=seed, stage=stage)

    def vary(self, code: int, n: int, random: torch.Generator) -> Tensor:
        """n varied real images of a class, each real one as often as the others."""
        mine = torch.nonzero(self.data.label == code).squeeze(1)
        turn = torch.randperm(len(mine), generator=random).repeat(-(-n // max(1, len(mine))))[:n]
        return augmented(self.data.images[mine[turn]], random, self.flip[code].expand(n))

    def choose(self, drawn: Tensor, code: int, n: int, random: torch.Generator) -> Tensor:
        """n of the candidates, those that look like their class the more likely."""
        if not n:
            return drawn[:0]
        [chance] = probabilities([self.net], drawn)
        weight = SHARPNESS * chance[:, code].clamp(min=1e-12).log()
        # The largest of log weight + Gumbel noise: a weighted draw without replacement (Efraimidis and Spirakis 2006).
        noise = torch.rand(len(drawn), generator=random, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
        return drawn[(weight - torch.log(-torch.log(noise))).topk(n).indices]
