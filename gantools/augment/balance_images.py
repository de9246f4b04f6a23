"""Class counts -> images to make -> synthetic images that fill the rarer classes."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from gantools.augment.balance import Strategy, rows_to_make
from gantools.augment.images import ImageSynthesizer
from gantools.encode.images import ImageSet


@dataclass(frozen=True)
class ImageBalance:
    """Synthetic images that balance a set.

    images: [M, C, size, size] uint8. label: [M] int64 codes into the set's classes, class by class. counts_before,
    counts_after: class -> images. notes: what else the user should know.
    """

    images: Tensor
    label: Tensor
    counts_before: dict[str, int]
    counts_after: dict[str, int]
    notes: tuple[str, ...]


def balance_images(
    data: ImageSet, *, strategy: Strategy = "auto", synthesizer: ImageSynthesizer, seed: int = 0
) -> ImageBalance:
    """Synthetic images for the rarer classes of `data`.

    strategy: imbalanced-learn's `sampling_strategy`, see `augment.balance.balance`. Raises ConfigError for one that
    does not fit the classes.
    """
    before = dict(zip(data.schema.classes, data.counts, strict=True))
    to_make = images_to_make(data, strategy)
    images, label = synthesizer.sample(to_make, seed=seed)
    after = {name: n + to_make.get(name, 0) for name, n in before.items()}
    return ImageBalance(images, label, before, after, ())


def images_to_make(data: ImageSet, strategy: Strategy) -> dict[str, int]:
    """Class -> how many images to make. Raises ConfigError for a strategy that does not fit the classes."""
    names = pd.Series([data.schema.classes[code] for code in data.label.tolist()], name="folder")
    return rows_to_make(names, strategy)
