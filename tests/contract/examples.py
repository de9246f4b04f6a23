"""What contracts are tried with: a model by its name, and images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.encode.pictures import Pictures, TranslationSet
from gantools.registry import discover


@dataclass(frozen=True)
class Registered:
    """A model, as the registry knows it."""

    modality: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}-{self.modality}"

    @property
    def cls(self) -> Any:
        return discover(self.modality)[self.name]


def digits(n_each: int = 12) -> ImageSet:
    """Zeros, ones and twos of 16 pixels."""
    found = load_digits()
    rows = np.concatenate([np.flatnonzero(found.target == k)[:n_each] for k in range(3)])
    small = torch.from_numpy((found.images[rows] * 15.9).astype(np.uint8))
    images = small.repeat_interleave(2, 1).repeat_interleave(2, 2).unsqueeze(1)
    label = torch.from_numpy(found.target[rows])
    side = (16, 16, 16)
    schema = ImageSchema(1, 255, ("0", "1", "2"), (n_each,) * 3, len(rows), width=side, height=side, formats={})
    return ImageSet(schema, ImageEncoder(ImageLayout(1, 16)), images, label, "digits")


SIZES = [(24, 24), (21, 30), (33, 19), (40, 27)]  # heights and widths of the pictures that translators learn from


def drawn(n: int, channels: int = 3, seed: int = 0, factor: int = 1) -> Pictures:
    """Coloured gradients of several sizes. factor: of the sides."""
    random = np.random.default_rng(seed)
    pictures, sizes = [], []
    for k in range(n):
        height, width = SIZES[k % len(SIZES)]
        row, column = np.mgrid[:height, :width]
        slope = random.uniform(-4, 4, (2, channels))
        waves = row[:, :, None] * slope[0] + column[:, :, None] * slope[1] + random.uniform(60, 190, channels)
        picture = waves.clip(0, 255).astype(np.uint8)
        pictures.append(picture.repeat(factor, 0).repeat(factor, 1))
        sizes.append((height * factor, width * factor))
    return Pictures.of(pictures, sizes, channels)


def schema_of(pictures: Pictures) -> ImageSchema:
    height, width = ((int(x.min()), int(x.median()), int(x.max())) for x in (pictures.height, pictures.width))
    return ImageSchema(pictures.channels, None, (), (), len(pictures), width, height, formats={"PNG": len(pictures)})


def translations(cls: Any, n: int = 24) -> tuple[TranslationSet, list[str] | None]:
    """What a translator learns from, and what is done to it."""
    targets = drawn(n)
    if cls.learns_from == "unpaired":
        sources = drawn(n + 5, 1, seed=1)
        return TranslationSet("unpaired", schema_of(sources), schema_of(targets), sources, targets), None
    degrade = None if cls.default_degrade or "scale" in cls.Options.__dataclass_fields__ else ["noise=20"]
    return TranslationSet("clean", None, schema_of(targets), None, targets), degrade
