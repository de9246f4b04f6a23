"""The verdict on images: do the synthetic ones help a small classifier on real images that nothing has seen?

It is reached as `verdict` says. The built-in methods are no balancing (`none`), random repetition (`repetition`) and
classical augmentation (`classical`: repeated images, each rotated, shifted, scaled, sheared and re-lit, and mirrored
where the class is found to look the same in a mirror). The classifier is a small convolutional net, trained
`N_CLASSIFIERS` times from other starts on each method's images; every training has the same number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.verdict import Bench, Floats, Ints, Verdict, Words, reach_verdict
from gantools.nn.augment import CHANGES, Change, Changes, flip_symmetric
from gantools.stages import Stage
from gantools.train.image_classifier import Lesson, probabilities, train_classifiers

Labelled = tuple[Tensor, Tensor]
Balancer = Callable[[Tensor, Tensor, int], Labelled]

N_CLASSIFIERS = 2
MAX_HELD = 5_000


def image_verdict(
    images: Tensor,
    label: Tensor,
    classes: Sequence[Any],
    balancers: Mapping[str, Balancer],
    *,
    seed: int = 0,
    holdout: float = 0.25,
    vary: Collection[Change] = CHANGES,
    n_repeats: int = 1,
    device: torch.device | str = "cpu",
    stage: Stage | None = None,
) -> Verdict:
    """Compare the balancers with no balancing, repetition and classical augmentation on held-out real images.

    images: [N, C, size, size] uint8. label: [N] int64, positions in `classes`. Never changed.
    balancers: name -> function of (training images, their label, seed) that returns those, first and untouched,
    followed by what it made. The sentence is about "gantools" where present, else the first one. The built-in methods
    make as many images of each class as that one did; without balancers classes grow to the largest.
    holdout: share of the images of each class to hold back, in (0, 1); a class with two or more always has one on
    either side, a class with a single image stays with the training images. vary: the changes that classical
    augmentation makes. n_repeats: how many times to split, balance and train anew; figures are means. stage: that of
    training and asking the classifiers.

    Raises DataError where a balancer returns what does not fit. Images on which methods cannot be compared give a
    Verdict without scores whose sentence says why; what a balancer raises is passed on.
    """
    images, label = images.cpu(), label.cpu()

    def make_bench(train: Ints, held: Ints, bench_seed: int) -> _Bench:
        return _Bench((images[train], label[train]), images[held], len(classes), bench_seed, vary, device, stage)

    codes = label.numpy().astype(np.int64)
    words = Words("image", "folder")
    return reach_verdict(
        make_bench, codes, classes, balancers, words, seed=seed, holdout=holdout, max_held=MAX_HELD, n_repeats=n_repeats
    )


class _Bench(Bench[Balancer, Labelled]):
    """One split of the images."""

    def __init__(
        self,
        real: Labelled,
        held: Tensor,
        n_classes: int,
        seed: int,
        vary: Collection[Change],
        device: torch.device | str,
        stage: Stage | None,
    ) -> None:
        super().__init__(real[1].numpy(), n_classes, seed, stage)
        self.classifiers = tuple(f"convolutional net {k + 1}" for k in range(N_CLASSIFIERS))
        self.real, self.held, self.vary, self.device = real, held, vary, device

    def balance(self, balancer: Balancer, name: str) -> tuple[Labelled, Ints]:
        images, label = (tensor.cpu() for tensor in balancer(*self.real, self.seed))
        where = f"balancer {name!r}"
        if images.dtype != torch.uint8 or images.shape[1:] != self.real[0].shape[1:] or len(images) != len(label):
            raise DataError("it returned images of another shape or type, or not one label for each", where=where)
        if not len(label):
            raise DataError("it returned no images", where=where)
        if not 0 <= int(label.min()) <= int(label.max()) < self.n_classes:
            raise DataError("it made images with labels that the folder does not have", where=where)
        return (images, label), np.bincount(label.numpy(), minlength=self.n_classes)

    def built_in(self, n_to_make: Ints) -> dict[str, Labelled | None]:
        images, label = self.real
        drawn = torch.from_numpy(self.draw_again(n_to_make))
        symmetric = flip_symmetric(images, label, self.n_classes)
        random = torch.Generator().manual_seed(self.seed)
        changed = Changes.drawn(len(drawn), random, symmetric[label[drawn]], self.vary).made(images[drawn])
        labels = torch.cat([label, label[drawn]])
        return {
            "none": self.real,
            "repetition": (torch.cat([images, images[drawn]]), labels),
            "classical": (torch.cat([images, changed]), labels),
        }

    def predict(self, methods: Mapping[str, Labelled]) -> dict[str, list[Floats]]:
        lessons = [Lesson(*given, self.seed + k) for given in methods.values() for k in range(N_CLASSIFIERS)]
        nets = train_classifiers(lessons, self.n_classes, device=self.device, stage=self.stage)
        found = [predicted.numpy() for predicted in probabilities(nets, self.held)]
        return {name: found[i * N_CLASSIFIERS : (i + 1) * N_CLASSIFIERS] for i, name in enumerate(methods)}
