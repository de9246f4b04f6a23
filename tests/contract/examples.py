"""What contracts are tried with: a model by its name, and images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
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
