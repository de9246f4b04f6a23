"""Seeds and noise: every image has a seed of its own, so that one that is liked can be made again or changed into
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from gantools.config import check
from gantools.encode.images import ImageEncoder
from gantools.errors import ConfigError

CHUNK_IMAGES = 256  # made at a time
RUN = 1_000_000_000  # images of one run: the k-th of a run with seed 3 has the seed 3,000,000,000 + k
SEEDS = 2**63  # there are so many; runs with seeds of more than nine digits begin again from below
ALIKE = 1e-4  # of an angle in radians, below which noise is the same


class Maker(Protocol):
    """A generator of images, trained or exported."""

    @property
    def encoder_(self) -> ImageEncoder: ...

    @property
    def noise_width(self) -> int: ...

    def from_noise(self, noise: Tensor, label: Tensor, truncation: float | None = None) -> Tensor:
        """Images [N, C, size, size] uint8 on the CPU.

        noise: [N, noise_width]. label: [N] codes of classes. truncation: how far images may lie from the middle of
        their class, 0 to 1; None for what is usual for the model.
        """


def seeds_of_run(seed: int, n: int) -> range:
    """The seeds of the n images of a run, each below `SEEDS`."""
    first = seed * RUN % (SEEDS - RUN)
    return range(first, first + n)


def noise_of(seeds: Sequence[int], width: int) -> Tensor:
    """Standard normal noise [N, width], each row from its own seed: drawn on the CPU, the same on every device."""
    random = torch.Generator()
    return torch.stack([torch.randn(width, generator=random.manual_seed(seed)) for seed in seeds])


def from_seeds(maker: Maker, label: Tensor, seeds: Sequence[int], truncation: float | None = None) -> Tensor:
    """Images [N, C, size, size] uint8 of the classes label [N], each from its own seed. truncation: see `Maker`."""
    layout = maker.encoder_.layout
    images = torch.empty((len(label), layout.channels, layout.size, layout.size), dtype=torch.uint8)
    for start in range(0, len(label), CHUNK_IMAGES):
        part = slice(start, start + CHUNK_IMAGES)
        images[part] = maker.from_noise(noise_of(seeds[part], maker.noise_width), label[part], truncation)
    return images


def check_truncation(truncation: float | None, truncates: bool) -> None:
    """Raise ConfigError for a truncation that is none, or that a generator does not take."""
    if truncation is None:
        return
    check(0 <= truncation <= 1, "truncation", f"must be from 0 to 1, not {truncation:g}")
    if not truncates:
        remedy = "leave it out, or train the model stylegan"
        raise ConfigError("this generator has nothing to truncate", where="truncation", remedy=remedy)


def between(one: Tensor, other: Tensor, n: int) -> Tensor:
    """n steps from one noise [W] to another, both included, that are all as likely to be drawn: [n, W].

    White 2016, 'Sampling Generative Networks': along the arc, since on the straight line noise is too small.
    """
    part = torch.linspace(0, 1, n).unsqueeze(1)
    angle = torch.arccos(torch.cosine_similarity(one, other, dim=0).clamp(-1, 1))
    if angle.sin() < ALIKE:
        return torch.lerp(one, other, part)
    return (((1 - part) * angle).sin() * one + (part * angle).sin() * other) / angle.sin()
