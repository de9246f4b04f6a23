"""Synthetic images for a report, each above the real image nearest to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gantools.nn.features import Features, features_of
from gantools.report.balanced_images import Examples

N_EXAMPLES = 8  # of each class
MAX_CLASSES = 12  # that have examples


def examples_of(
    synthetic: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor], classes: Sequence[str], features: Features
) -> tuple[Examples, ...]:
    """Some synthetic images of each class, spread over their order.

    synthetic, real: images [N, C, size, size] uint8 and their labels [N], positions in `classes`; all 0 where there are
    none.
    """
    examples = []
    for code in torch.unique(synthetic[1]).tolist()[:MAX_CLASSES]:
        made, own = (images[label == code] for images, label in (synthetic, real))
        if not len(own):
            continue
        made = made[torch.linspace(0, len(made) - 1, min(N_EXAMPLES, len(made))).long()]
        nearest = torch.cdist(features_of(features, made), features_of(features, own)).argmin(1)
        examples.append(Examples(classes[code] if classes else "all images", made, own[nearest]))
    return tuple(examples)
