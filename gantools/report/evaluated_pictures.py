"""The page on pictures that were judged by the true ones: figures, how they are spread, and the worst of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gantools.report.page import Facts, render

if TYPE_CHECKING:
    from gantools.data.images.source import Bytes
    from gantools.evaluate.pictures import PictureFigures, PicturesEvaluation

LONGEST = 320  # pixels of a side that is shown
N_BINS = 20


@dataclass(frozen=True)
class Shown:
    """A picture with the true one and, where that was given, its input: [H, W, C] uint8."""

    figures: PictureFigures
    truth: Bytes
    made: Bytes
    given: Bytes | None = None


def evaluated_pictures(
    title: str,
    evaluation: PicturesEvaluation,
    shown: Sequence[Shown],
    *,
    notes: Sequence[str] = (),
    facts: Facts = (),
) -> str:
    """The page as HTML text. shown: the worst pictures. facts: of the run, each a name and a value."""
    values = np.array([one.psnr for one in evaluation.made])
    counts, edges = np.histogram(values, N_BINS)
    return render(
        "evaluated_pictures.html",
        title=title,
        evaluation=evaluation,
        shares=(counts / len(values)).tolist(),
        ends=(float(edges[0]), float(edges[-1])),
        shown=[(one.figures, _side_by_side(one)) for one in shown],
        has_inputs=bool(evaluation.inputs),
        notes=notes,
        facts=facts,
    )


def _side_by_side(one: Shown) -> Bytes:
    """Input, picture and truth in a row, at most `LONGEST` pixels each."""
    height, width = one.truth.shape[:2]
    share = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    pictures = [
        np.asarray(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB").resize(size))
        for pixels in (one.given, one.made, one.truth)
        if pixels is not None
    ]
    gap = np.full((size[1], 3, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], 1)
