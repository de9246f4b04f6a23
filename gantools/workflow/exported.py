"""Rows and images from exported generators, from the noise that the library would draw for the same seed on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gantools.augment.image_synthesizer import CHUNK_IMAGES
from gantools.augment.labels import wanted_labels
from gantools.augment.rows import noise_in_chunks
from gantools.export.runtime import ExportedGenerator, ExportedImageGenerator


def sample_rows(model: ExportedGenerator, counts: Mapping[Any, int] | int, seed: int) -> pd.DataFrame:
    """The rows of `Synthesizer.sample(counts, seed=seed, refine=False)`, by the exported file."""
    levels = model.schema_[str(model.schema_.target)].levels
    label = wanted_labels(counts, levels, model.class_counts)
    if not isinstance(counts, Mapping):
        np.random.default_rng(seed).shuffle(label)
    parts = [
        model.cells(noise.numpy(), label[rows]) for rows, noise in noise_in_chunks(len(label), model.noise_width, seed)
    ]
    cells = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return model.to_frame(cells, label)


class ImageSampler:
    """An exported generator of images with the `sample` of `ImageSynthesizer`."""

    def __init__(self, model: ExportedImageGenerator) -> None:
        self.model, self.schema_ = model, model.schema_

    def sample(self, counts: Mapping[str, int], *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """New images [N, C, size, size] uint8, exactly so many of each class, and their labels [N]."""
        label = torch.from_numpy(wanted_labels(counts, self.schema_.classes, self.model.class_counts, "image"))
        random = torch.Generator().manual_seed(seed)
        images = []
        for part in torch.split(label, CHUNK_IMAGES):
            noise = torch.randn((len(part), self.model.noise_width), generator=random)
            images.append(torch.from_numpy(self.model.generate(noise.numpy(), part.numpy())).movedim(3, 1))
        return torch.cat(images), label
