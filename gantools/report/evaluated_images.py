"""The page on judged synthetic images: what is wrong, all figures, and some images of either kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantools.evaluate.figures import QUESTIONS
from gantools.report.balanced_images import Examples, grid
from gantools.report.page import Facts, render

if TYPE_CHECKING:
    from gantools.evaluate.image_evaluation import ImageEvaluation


def evaluated_images(
    title: str,
    sizes: str,
    evaluation: ImageEvaluation,
    examples: Sequence[Examples],
    *,
    notes: Sequence[str] = (),
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    sizes: how much was compared, as a sentence. examples: of the images, class by class. facts: of the run, such as its
    date, each a name and a value.
    """
    return render(
        "evaluated_images.html",
        title=title,
        sizes=sizes,
        evaluation=evaluation,
        conclusion=evaluation.conclusion,
        questions=QUESTIONS,
        notes=notes,
        facts=facts,
        examples=[(one.label, grid(one.synthetic, one.nearest)) for one in examples],
    )
