"""Class counts -> images to make -> synthetic images that fill the rarer classes.

As for tables, synthetic samples come from two sources. Half are drawn by the generator, more than are wanted, and
classifiers of the real images choose among them: what they take for another class is likely left out. The other half
are real images of the class. The first bring what other classes show of how images may differ, the second keep what
only the real ones have: a few dozen images do not teach a generator all of it. All of them are then changed as
classical augmentation does it, since neither half is large. A class whose generated images do not pass for real ones is
filled with varied real images alone, see `image_judge`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gantools.augment.balance import Strategy, class_counts, rows_to_make
from gantools.augment.image_judge import Judge, Trial, in_turn
from gantools.augment.latent import Maker, from_seeds, seeds_of_run
from gantools.encode.images import ImageSet
from gantools.nn.augment import CHANGES, Change, Changes, flip_symmetric
from gantools.stages import Stage

CANDIDATES = 3  # generated for each that is taken
GENERATED_SHARE = 0.5  # of the synthetic images of a class
MIN_TRIED = 100  # generated images of a class that stand beside real ones, however few are wanted
PART = 1024  # images that are changed at a time
MIN_IMAGES = 10  # a class of fewer is filled with varied real images alone


@dataclass(frozen=True)
class ImageBalance:
    """Synthetic images that balance a set.

    images: [M, C, size, size] uint8. label: [M] int64 codes into the set's classes, class by class. is_generated: [M]
    bool, drawn by the generator; the others are real images. origin: [M] int64, of a generated image its seed, of the
    others the place of the real image in the set. changes: that were made to each of them at last. counts_before,
    counts_after: class -> images. trials: of each class whose generated images stood beside real ones. notes: what else
    the user should know.
    """

    images: Tensor
    label: Tensor
    is_generated: Tensor
    origin: Tensor
    changes: Changes
    counts_before: dict[str, int]
    counts_after: dict[str, int]
    trials: Mapping[str, Trial]
    notes: tuple[str, ...]

    @property
    def n_generated(self) -> int:
        """Images that the generator drew."""
        return int(self.is_generated.sum())

    @property
    def failed(self) -> tuple[str, ...]:
        """The classes whose generated images did not pass for real ones."""
        return tuple(name for name, trial in self.trials.items() if trial.shortfalls)

    def to_json(self) -> dict[str, Any]:
        """All of it but the images, as plain values for `json.dumps`."""
        return {
            "classes": class_counts(self.counts_before, self.counts_after),
            "n_synthetic": len(self.label),
            "n_generated": self.n_generated,
            "size": self.images.shape[-1],
            "trials": {name: trial.to_json() for name, trial in self.trials.items()},
            "notes": list(self.notes),
        }


def balance_images(
    data: ImageSet,
    *,
    strategy: Strategy = "auto",
    synthesizer: Maker | None,
    vary: Collection[Change] = CHANGES,
    seed: int = 0,
    stage: Stage | None = None,
) -> ImageBalance:
    """Synthetic images for the rarer classes of `data`.

    strategy: imbalanced-learn's `sampling_strategy`, see `augment.balance.balance`. synthesizer: None to fill all
    classes with varied real images. vary: the changes that are made to every image. stage: that of the classifiers
    which choose. Raises ConfigError for a strategy that does not fit the classes.
    """
    classes = data.schema.classes
    before = dict(zip(classes, data.counts, strict=True))
    to_make = images_to_make(data, strategy)
    after = {name: n + to_make.get(name, 0) for name, n in before.items()}
    random = torch.Generator().manual_seed(seed)
    flip = flip_symmetric(data.images, data.label, len(classes))

    def varied(images: Tensor, of: Tensor) -> tuple[Tensor, Changes]:
        changes = Changes.drawn(len(images), random, flip[of], vary)
        parts = [changes[part].made(images[part]) for part in _parts(len(images))]
        return torch.cat([images[:0], *parts]), changes

    learned = [name for name in to_make if before[name] >= MIN_IMAGES] if synthesizer is not None else []
    judge = Judge(data, lambda at: varied(data.images[at], data.label[at])[0], seed, stage) if learned else None
    seeds = iter(seeds_of_run(seed, CANDIDATES * (sum(to_make.values()) + MIN_TRIED * len(to_make))))
    images, label, is_generated, origin, trials = [], [], [], [], {}
    for code, name in enumerate(classes):
        n, n_generated = to_make.get(name, 0), 0
        if name in learned:
            assert synthesizer is not None
            assert judge is not None
            drawn, own_seeds = _generated(synthesizer, judge, code, max(MIN_TRIED, round(n * GENERATED_SHARE)), seeds)
            trials[name] = judge.trial(drawn, code)
            if not trials[name].shortfalls:
                n_generated = round(n * GENERATED_SHARE)
                images.append(drawn[:n_generated])
                origin.append(own_seeds[:n_generated])
        places = in_turn(torch.nonzero(data.label == code).squeeze(1), n - n_generated, random)
        images.append(data.images[places])
        origin.append(places)
        label.append(torch.full((n,), code))
        is_generated.append(torch.arange(n) < n_generated)
    made, changes = varied(torch.cat(images), torch.cat(label))
    return ImageBalance(
        images=made,
        label=torch.cat(label),
        is_generated=torch.cat(is_generated),
        origin=torch.cat(origin),
        changes=changes,
        counts_before=before,
        counts_after=after,
        trials=trials,
        notes=_notes(to_make, before, trials) if synthesizer is not None else (),
    )


def images_to_make(data: ImageSet, strategy: Strategy) -> dict[str, int]:
    """Class -> how many images to make. Raises ConfigError for a strategy that does not fit the classes."""
    names = pd.Series([data.schema.classes[code] for code in data.label.tolist()], name="folder")
    return rows_to_make(names, strategy)


def _generated(maker: Maker, judge: Judge, code: int, n: int, seeds: Iterator[int]) -> tuple[Tensor, Tensor]:
    """n images of a class that the judge chose among more, and the seed of each."""
    tried = list(islice(seeds, CANDIDATES * n))
    drawn = from_seeds(maker, torch.full((len(tried),), code), tried)
    chosen = judge.choose(drawn, code, n)
    return drawn[chosen], torch.tensor(tried, dtype=torch.int64)[chosen]


def _parts(n: int) -> list[slice]:
    return [slice(first, first + PART) for first in range(0, n, PART)]


def _notes(to_make: Mapping[str, int], before: Mapping[str, int], trials: Mapping[str, Trial]) -> tuple[str, ...]:
    notes = []
    small = [f"{name} ({before[name]})" for name in to_make if before[name] < MIN_IMAGES]
    if small:
        notes.append(f"too few images to learn from, filled with varied real ones alone: {', '.join(small)}")
    notes += [
        f"Generated images of {name} do not pass for real ones ({trial.words}): varied real ones take their place."
        for name, trial in trials.items()
        if trial.shortfalls
    ]
    return tuple(notes)
