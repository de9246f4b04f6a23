"""The verdict on images: do the synthetic ones help a small classifier on real images that nothing has seen?

As for tables (see `table`), with these differences: the other methods are no balancing (`none`), random repetition
(`repetition`) and classical augmentation (`classical`: repeated images, each turned, moved, scaled, sheared and lit
otherwise, and mirrored where the class is found to look the same in a mirror). The judge is a small convolutional net,
trained `N_JUDGES` times from other starts on each method's images; every training has the same number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.verdict import Ints, Judged, Verdict, Words, conclude, holdback, holdout_notes
from gantools.nn.augment import augmented, flip_symmetric
from gantools.train.image_classifier import Lesson, probabilities, steps_for, train_classifiers

Balancer = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
_Set = tuple[Tensor, Tensor]

WORDS = Words({"none": "no balancing", "repetition": "repetition", "classical": "classical augmentation"},
              samples="images", whole="folder")  # fmt: skip
NAMES = {**WORDS.methods, "gantools": "gantools"}
N_JUDGES = 2
MAX_HELD = 5_000


def image_verdict(
    images: Tensor,
    label: Tensor,
    classes: Sequence[Any],
    balancers: Mapping[str, Balancer],
    *,
    goal: Sequence[int] | None = None,
    seed: int = 0,
    holdout: float = 0.25,
    device: torch.device | str = "cpu",
) -> Verdict:
    """Judge the balancers against no balancing, repetition and classical augmentation on held-out real images.

    images: [N, C, size, size] uint8. label: [N] int64, positions in `classes`. Never changed.
    balancers: name -> function of (training images, their label, seed) that returns those, first and untouched,
    followed by what it made. The sentence is about "gantools" where present, else the first one.
    goal: images of each class that the built-in methods grow to; a class that has more keeps them. None: as many as the
    balancer that is judged returns, or without balancers as the largest class has.
    holdout: share of the images of each class to hold back, in (0, 1); a class with two or more always has one on
    either side, a class with a single image stays with the training images.

    Raises DataError where a balancer returns what does not fit. Images that cannot be judged give a Verdict without
    scores whose sentence says why; what a balancer raises is passed on.
    """
    codes = label.cpu().numpy().astype(np.int64)
    train, held = holdback(codes, holdout=holdout, seed=seed, max_held=MAX_HELD)
    problem = _problem(codes, held)
    if problem:
        return Verdict({}, len(train), len(held), f"No verdict: {problem}.", "unclear")

    real: _Set = (images[train].cpu(), label[train].cpu())
    counts = torch.bincount(real[1], minlength=len(classes))
    judged = "gantools" if "gantools" in balancers else next(iter(balancers), "")
    made = {name: _checked(balancer(*real, seed), real, len(classes), name) for name, balancer in balancers.items()}
    if goal is not None:
        wanted = torch.as_tensor(goal)
    elif made:
        wanted = torch.bincount(made[judged][1], minlength=len(classes))
    else:
        wanted = counts.max().expand(len(classes))
    methods = {"none": real, **_repeated(real, (wanted - counts).clamp(min=0), seed), **made}

    steps = steps_for(max(len(labels) for _, labels in methods.values()), images.shape[-1])
    lessons = [Lesson(*given, seed + judge) for given in methods.values() for judge in range(N_JUDGES)]
    nets = train_classifiers(lessons, len(classes), steps=steps, device=device)
    predictions = [predicted.numpy() for predicted in probabilities(nets, images[held])]
    largest = int(counts.argmax())
    judgements: dict[str, Judged | None] = {
        name: Judged(codes[held], predictions[place * N_JUDGES : (place + 1) * N_JUDGES], largest)
        for place, name in enumerate(methods)
    }
    notes = tuple(holdout_notes(codes, classes, WORDS))
    return conclude([judgements], judged, len(train), len(held), notes, seed, WORDS)


def _repeated(real: _Set, n_to_make: Tensor, seed: int) -> dict[str, _Set]:
    """The training images with images of the growing classes drawn again: as they are, and augmented."""
    images, label = real
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero(label == code), n) for code, n in enumerate(n_to_make.tolist()) if n]
    chosen = torch.from_numpy(np.concatenate([np.arange(0), *drawn]))
    symmetric = flip_symmetric(images, label, len(n_to_make))
    changed = augmented(images[chosen], torch.Generator().manual_seed(seed), symmetric[label[chosen]])
    labels = torch.cat([label, label[chosen]])
    return {
        "repetition": (torch.cat([images, images[chosen]]), labels),
        "classical": (torch.cat([images, changed]), labels),
    }


def _checked(made: _Set, real: _Set, n_classes: int, name: str) -> _Set:
    images, label = (tensor.cpu() for tensor in made)
    where = f"balancer {name!r}"
    if images.dtype != torch.uint8 or images.shape[1:] != real[0].shape[1:] or len(images) != len(label):
        raise DataError("it returned images of another shape or type, or not one label for each", where=where)
    if not len(label):
        raise DataError("it returned no images", where=where)
    if not 0 <= int(label.min()) <= int(label.max()) < n_classes:
        raise DataError("it made images with labels that the folder does not have", where=where)
    return images, label


def _problem(codes: Ints, held: Ints) -> str:
    """Why the images cannot be judged, or nothing."""
    if len(np.unique(codes)) < 2:
        return "the folder has a single class"
    if len(np.unique(codes[held])) < 2:
        return "fewer than two classes have the two images that are needed to hold one back"
    return ""
