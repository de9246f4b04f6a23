"""The page on a judged synthetic table: what is wrong, and all figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantools.evaluate.figures import QUESTIONS
from gantools.report.page import render

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema
    from gantools.evaluate.table_evaluation import TableEvaluation


def evaluated_table(
    title: str, sizes: str, evaluation: TableEvaluation, schema: Schema, notes: Sequence[str] = ()
) -> str:
    """The page as HTML text. sizes: how much was compared, as a sentence. schema: of the real table."""
    return render(
        "evaluated_table.html",
        title=title,
        sizes=sizes,
        evaluation=evaluation,
        conclusion=evaluation.conclusion,
        questions=QUESTIONS,
        schema=schema,
        notes=notes,
    )
