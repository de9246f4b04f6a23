"""The page on balanced images: the verdict, the classes, training, quality, and synthetic images beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gantools.report.page import Facts, render

if TYPE_CHECKING:
    from gantools.augment.balance_images import ImageBalance
    from gantools.data.images.schema import ImageSchema
    from gantools.data.images.source import Bytes
    from gantools.evaluate.image_quality import ImageQuality
    from gantools.evaluate.privacy import NearCopies
    from gantools.evaluate.verdict import Verdict
    from gantools.train.monitor import TrainingHistory

GAP = 2  # pixels between pictures
SMALLEST_SIDE = 64  # of a picture; smaller ones are shown enlarged


@dataclass(frozen=True)
class Examples:
    """Synthetic images of one class above the real ones nearest to them: each [n, C, size, size] uint8."""

    label: str
    synthetic: Tensor
    nearest: Tensor


@dataclass(frozen=True)
class Strip:
    """Images of one class on the way from one to another: [n, C, size, size] uint8."""

    label: str
    images: Tensor


def balanced_images(
    title: str,
    balance: ImageBalance,
    schema: ImageSchema,
    *,
    verdict: Verdict | None = None,
    training: TrainingHistory | None = None,
    quality: ImageQuality | None = None,
    copies: NearCopies | None = None,
    repeats: Sequence[tuple[str, str]] = (),
    examples: Sequence[Examples] = (),
    strips: Sequence[Strip] = (),
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    schema: of the real images. repeats: (synthetic file, real image that it repeats). Sections on what is None or empty
    are left out.
    """
    return render(
        "balanced_images.html",
        title=title,
        balance=balance,
        schema=schema,
        verdict=verdict,
        training=training,
        facts=facts,
        quality=quality,
        copies=copies,
        repeats=repeats,
        examples=[(one.label, grid(one.synthetic, one.nearest)) for one in examples],
        strips=[(one.label, grid(one.images)) for one in strips],
    )


def grid(*images: Tensor) -> Bytes:
    """Rows of as many pictures each, [n, C, size, size] uint8, as one: [h, w, C]."""
    rows = [row.movedim(1, 3).numpy() for row in images]
    n, size, _, channels = rows[0].shape
    times = max(1, SMALLEST_SIDE // size)
    side = size * times
    picture = np.full((len(rows) * (side + GAP) - GAP, n * (side + GAP) - GAP, channels), 255, np.uint8)
    for row, pictures in enumerate(rows):
        for column, image in enumerate(pictures):
            top, left = row * (side + GAP), column * (side + GAP)
            picture[top : top + side, left : left + side] = image.repeat(times, 0).repeat(times, 1)
    return picture
