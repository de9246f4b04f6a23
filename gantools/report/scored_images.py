"""The page on scored images: how scores are spread, the most abnormal images with their heat, and training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantools.evaluate.scores import ScoreTally, top_rows
from gantools.report.page import Facts, render

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from gantools.train.monitor import TrainingHistory


def scored_images(
    title: str,
    words: Sequence[str],
    tally: ScoreTally,
    top: pd.DataFrame,
    pictures: Sequence[npt.NDArray[np.uint8]],
    *,
    threshold: float,
    training: TrainingHistory | None = None,
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    words: what was found, in sentences, the most important first. top: the most abnormal images, as `top_rows` takes
    them, `file` among the cells. pictures: of each of them, [h, w, 3]. threshold: images that score above it are
    flagged.
    """
    histogram = tally.histogram()
    return render(
        "scored_images.html",
        title=title,
        words=words,
        tally=tally,
        histogram=histogram,
        threshold=threshold,
        place=histogram.place(threshold),
        top=list(zip(top_rows(top), pictures, strict=True)),
        operating_points=tally.operating_points(),
        allowed=tally.allowing(),
        training=training,
        facts=facts,
    )
