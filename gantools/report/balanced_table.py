"""The page on a balanced table: the verdict, the classes, training, synthetic values beside real ones, the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gantools.augment.balance import FLAG
from gantools.data.tables.dtypes import in_calendar
from gantools.evaluate.table_fidelity import NOTICEABLE
from gantools.report.page import Facts, render

if TYPE_CHECKING:
    import pandas as pd

    from gantools.augment.balance import BalanceResult
    from gantools.data.tables.schema import Schema
    from gantools.evaluate.range_utility import RangeVerdict
    from gantools.evaluate.table_fidelity import TableFidelity
    from gantools.evaluate.verdict import Verdict
    from gantools.train.monitor import TrainingHistory


N_EXAMPLES = 3  # rows of each kind and class that are shown
MAX_CLASSES = 3  # of which rows are shown


@dataclass(frozen=True)
class Example:
    """A row that is shown. cells: column -> value, None where missing."""

    is_synthetic: bool
    cells: Mapping[str, Any]


def balanced_table(
    title: str,
    balance: BalanceResult,
    schema: Schema,
    *,
    labels: pd.Series | None = None,
    verdict: Verdict | None = None,
    range_verdict: RangeVerdict | None = None,
    fidelity: TableFidelity | None = None,
    training: TrainingHistory | None = None,
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    schema: of the real table. labels: the class of each row of the balanced frame, by default what the target says.
    Sections on what is None are left out.
    """
    return render(
        "balanced_table.html",
        title=title,
        balance=balance,
        schema=schema,
        verdict=verdict,
        range_verdict=range_verdict,
        fidelity=fidelity,
        noticeable=NOTICEABLE,
        examples=_examples(balance, balance.frame[str(schema.target)] if labels is None else labels),
        training=training,
        facts=facts,
    )


def _examples(balance: BalanceResult, labels: pd.Series) -> list[Example]:
    """Some synthetic rows of each class that was filled, and real ones of the same class. labels: of each row."""
    frame = balance.frame
    filled = [label for label, n in balance.counts_after.items() if n > balance.counts_before.get(label, 0)]
    shown = []
    for label in filled[:MAX_CLASSES]:
        of_class = frame[(labels == label).to_numpy(dtype=bool)]
        for is_synthetic in (True, False):
            rows = of_class[of_class[FLAG] == is_synthetic].drop(columns=FLAG)
            rows = rows.sample(min(N_EXAMPLES, len(rows)), random_state=0).apply(in_calendar).astype(object)
            rows = rows.where(rows.notna(), None)
            names = [str(name) for name in rows.columns]
            shown += [Example(is_synthetic, dict(zip(names, row, strict=True))) for row in rows.to_numpy().tolist()]
    return shown
