"""The page on a judged synthetic table: what is wrong, and all figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantools.evaluate.figures import QUESTIONS
from gantools.evaluate.table_fidelity import NOTICEABLE
from gantools.report.page import Facts, render

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema
    from gantools.evaluate.table_evaluation import TableEvaluation
    from gantools.evaluate.table_pairs import PairLikeness

MAX_PAIRS = 15  # that lost most
MAX_MAP = 40  # columns of the map
Cells = list[list[tuple[float, str]]]


def evaluated_table(
    title: str,
    sizes: str,
    evaluation: TableEvaluation,
    schema: Schema,
    *,
    notes: Sequence[str] = (),
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    sizes: how much was compared, as a sentence. schema: of the real table. facts: of the run, such as its date, each a
    name and a value.
    """
    lost = sorted(evaluation.pairs.associated, key=lambda pair: pair.association_synthetic - pair.association_real)
    return render(
        "evaluated_table.html",
        title=title,
        sizes=sizes,
        evaluation=evaluation,
        conclusion=evaluation.conclusion,
        questions=QUESTIONS,
        schema=schema,
        notes=notes,
        facts=facts,
        noticeable=NOTICEABLE,
        associated=lost[:MAX_PAIRS],
        association_map=_map(evaluation.pairs.pairs),
    )


def _map(pairs: Sequence[PairLikeness]) -> Cells:
    """Rows of (association, what it is): the real one below the diagonal, the synthetic one above."""
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.one, pair.other)))[:MAX_MAP]
    place = {name: i for i, name in enumerate(names)}
    cells: Cells = [[(0.0, "") for _ in names] for _ in names]
    for pair in pairs:
        if pair.one in place and pair.other in place:
            low, high = sorted((place[pair.one], place[pair.other]))
            both = f"{pair.one} and {pair.other}"
            cells[high][low] = pair.association_real, f"{both}, real: {pair.association_real:.2f}"
            cells[low][high] = pair.association_synthetic, f"{both}, synthetic: {pair.association_synthetic:.2f}"
    return cells
