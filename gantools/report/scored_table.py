"""The page on a scored table: how scores are spread, the most abnormal rows and why, drift, training, the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gantools.evaluate.scores import ScoreTally, top_rows
from gantools.report.page import Facts, render

if TYPE_CHECKING:
    import pandas as pd

    from gantools.data.tables.schema import Schema
    from gantools.score.drift import Drift
    from gantools.train.monitor import TrainingHistory

MAX_DRIFTS = 30  # columns whose drift is shown
MAX_BLAMED = 15  # columns whose blame is shown


def scored_table(
    title: str,
    words: Sequence[str],
    tally: ScoreTally,
    top: pd.DataFrame,
    schema: Schema,
    *,
    threshold: float,
    drift: Drift | None = None,
    blamed: Mapping[str, int] | None = None,
    moment: str | None = None,
    training: TrainingHistory | None = None,
    facts: Facts = (),
) -> str:
    """The page as HTML text.

    words: what was found, in sentences, the most important first. top: the most abnormal rows, as `top_rows` takes
    them. schema: of the columns that were learned. threshold: rows that score above it are flagged. blamed: column ->
    how many flagged rows it is the first reason for. moment: the column by whose time the tally counts. Sections on
    what is None are left out.
    """
    histogram = tally.histogram()
    columns = () if drift is None else sorted(drift.columns, key=lambda column: (-column.drifted, -column.index))
    return render(
        "scored_table.html",
        title=title,
        words=words,
        tally=tally,
        histogram=histogram,
        threshold=threshold,
        place=histogram.place(threshold),
        top=top_rows(top),
        drift=drift,
        columns=columns[:MAX_DRIFTS],
        training=training,
        blamed=dict(list((blamed or {}).items())[:MAX_BLAMED]),
        moment=moment,
        by_row=tally.by_row.stretches(),
        by_time=tally.by_time.stretches(),
        operating_points=tally.operating_points(),
        allowed=tally.allowing(),
        facts=facts,
        schema=schema,
    )
