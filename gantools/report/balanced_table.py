"""The page on a balanced table: the verdict, the classes, training, synthetic values beside real ones, the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.evaluate.table_fidelity import NOTICEABLE
from gantools.report.page import render

if TYPE_CHECKING:
    from gantools.augment.balance import BalanceResult
    from gantools.data.tables.schema import Schema
    from gantools.evaluate.range_utility import RangeVerdict
    from gantools.evaluate.table_fidelity import TableFidelity
    from gantools.evaluate.verdict import Verdict
    from gantools.train.monitor import TrainingReport


def balanced_table(
    title: str,
    balance: BalanceResult,
    schema: Schema,
    *,
    verdict: Verdict | None = None,
    range_verdict: RangeVerdict | None = None,
    fidelity: TableFidelity | None = None,
    training: TrainingReport | None = None,
) -> str:
    """The page as HTML text. schema: of the real table. Sections on what is None are left out."""
    return render(
        "balanced_table.html",
        title=title,
        balance=balance,
        schema=schema,
        verdict=verdict,
        range_verdict=range_verdict,
        fidelity=fidelity,
        noticeable=NOTICEABLE,
        training=training,
    )
