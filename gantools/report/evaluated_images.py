"""The page on judged synthetic images: what is wrong, all figures, and some images of either kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantools.evaluate.figures import QUESTIONS
from gantools.report.balanced_images import Examples, grid
from gantools.report.page import Facts, render

if TYPE_CHECKING:
    from gantools.evaluate.image_evaluation import ImageEvaluation

N_SHOWN = 16  # images of either kind


def evaluated_images(
    title: str,
    sizes: str,
    evaluation: ImageEvaluation,
    real: Tensor,
    synthetic: Tensor,
    *,
    notes: Sequence[str] = (),
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    sizes: how much was compared, as a sentence. real, synthetic: [N, C, size, size] uint8. facts: of the run, such as
    its date, each a name and a value.
    """
    n = min(N_SHOWN, len(real), len(synthetic))
    some = [images[torch.linspace(0, len(images) - 1, n).long()] for images in (synthetic, real)]
    return render(
        "evaluated_images.html",
        title=title,
        sizes=sizes,
        evaluation=evaluation,
        conclusion=evaluation.conclusion,
        questions=QUESTIONS,
        notes=notes,
        facts=facts,
        picture=grid(Examples("", *some)),
    )
