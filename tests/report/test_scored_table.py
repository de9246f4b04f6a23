"""The page on a scored table shows what the results' JSON says, and names are shown as they are."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Schema, infer_schema
from gantools.evaluate.scores import ScoreTally, top_rows
from gantools.report.scored_table import scored_table
from gantools.score.drift import Drift, DriftMonitor, Reference
from gantools.train.monitor import TrainingHistory
from gantools.words import percent

Table = Callable[..., pd.DataFrame]


def scored(frame: pd.DataFrame, reason: str, threshold: float = 3.0) -> tuple[ScoreTally, pd.DataFrame]:
    """Scores of some rows, and the most abnormal of them with made-up reasons."""
    scores = np.random.default_rng(1).lognormal(0, 0.6, len(frame))
    assessed = pd.DataFrame({"anomaly_score": scores, "p_value": 1 / (1 + scores), "is_anomaly": scores > threshold})
    tally = ScoreTally()
    tally.update(frame, assessed)
    top = pd.concat([tally.top, assessed.loc[tally.top.index].assign(reason=reason)], axis=1)
    return tally, top


def histogram_of(page: str) -> str:
    """The drawing of the scores."""
    return page.split('<svg class="scores"')[1].split("</svg>")[0]


def drift_of(frame: pd.DataFrame, schema: Schema, shift: float) -> Drift:
    raw = to_raw(frame, schema)
    monitor = DriftMonitor(Reference.fit(raw, schema))
    monitor.update(Raw(raw.numbers + shift, raw.codes), np.full(len(raw), 0.5))
    return monitor.report()


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_the_page_says_what_the_results_say(
    table: Table, nasty: str, history: TrainingHistory, words_of: Callable[[str], str], shift: float
) -> None:
    frame = table(2_000).rename(columns={"city": nasty})
    schema = infer_schema(frame)
    tally, top = scored(frame, nasty)
    drift = drift_of(frame, schema, shift)
    words = ["2,000 rows scored.", "And a <note>."]
    page = scored_table(nasty, words, tally, top, schema, threshold=3.0, drift=drift, training=history)
    said = words_of(page)
    assert len(page) < 60_000
    for expected in (*words, "threshold 3 (red line)", "amount", "stopped early", "mode collapse", "2024-"):
        assert expected in said, expected
    assert said.count(nasty) > len(top)
    assert page.count('<div class="reason">') == len(top)
    assert ".reason { min-width:" in page  # however many columns there are beside it

    told = json.loads(json.dumps(tally.to_json()))
    assert f"{2000 - told['n_anomalous']:,} rows not flagged {told['n_anomalous']:,} flagged as anomalous" in said
    histogram = told["histogram"]
    drawn = histogram_of(page)
    assert drawn.count("<rect") == sum(share > 0 for share in histogram["shares"])
    assert f"{histogram['edges'][0]:.3g}" in said and f"{histogram['edges'][-1]:.3g}" in said
    flagged = sum(share > 0 for share, low, high in zip(histogram["shares"], histogram["edges"], histogram["edges"][1:],
                  strict=False) if low * high > 3**2)  # fmt: skip
    assert drawn.count('class="flagged"') == flagged
    assert f"row {len(frame):,}" in said and f"0.95 to 1.00 {percent(told['p_values'][-1])}" in said
    for row in json.loads(json.dumps([one.to_json() for one in top_rows(top)])):
        assert f"{row['row']:,} {row['anomaly_score']:.3g} {row['p_value']:.2g} " in said
        assert f" {row['cells']['visits']} {row['cells'][nasty][:39]}" in said
    told = json.loads(json.dumps(drift.to_json()))
    assert ("no longer look like" in said) == told["drifted"] == bool(shift)
    for column in told["columns"]:
        assert f"{column['index']:.3f} {column['p_value']:.2g}" in said
    assert f"{history.report.to_json()['steps']:,} steps in 0:38" in said


@pytest.mark.parametrize("threshold", [np.inf, 1e-9, 1e9])
def test_thresholds_outside_the_scores(table: Table, words_of: Callable[[str], str], threshold: float) -> None:
    """Every bar is of one colour, and no line is drawn."""
    frame = table()
    tally, top = scored(frame, "odd", threshold)
    page = scored_table("x", [], tally, top, infer_schema(frame), threshold=threshold)
    drawn = histogram_of(page)
    assert drawn.count('class="flagged"') == (drawn.count("<rect") if threshold < 1 else 0)
    assert "<line" not in drawn
    assert "red line" not in page
    assert ("nothing is flagged" in words_of(page)) == np.isinf(threshold)


def test_known_anomalies_blame_and_time(table: Table, nasty: str, words_of: Callable[[str], str]) -> None:
    """What other thresholds would give, which columns are blamed, and when rows were flagged."""
    frame = table(1_000)
    marks = np.where(np.arange(1_000) % 10 == 0, 1.0, 0.0)
    scores = np.where(marks == 1, 5.0 + np.arange(1_000) / 1_000, 1 + np.arange(1_000) / 1_000)
    assessed = pd.DataFrame({"anomaly_score": scores, "p_value": 1 / scores, "is_anomaly": scores > 3})
    schema = infer_schema(frame)
    times = to_raw(frame, schema).numbers[:, schema.numeric.index("when")]
    tally = ScoreTally()
    tally.update(frame, assessed, marks, times)
    page = scored_table(
        "x", ["Scored."], tally, pd.DataFrame(), schema, threshold=3.0, blamed={nasty: 60, "city": 40}, moment="when"
    )
    said = words_of(page)
    assert "1 % 1.99 1.000 0.9" in said  # 9 of 900 normal rows are as far out: 100 of 109 are anomalies
    assert f"{nasty[:39]}" in said and "60" in said
    assert f"{frame['when'].min():%Y-%m-%d}" in said and f"{frame['when'].max():%Y-%m-%d}" in said
    assert page.count('<svg class="bars"') == 3  # by row, by time and p-values


def test_columns_beyond_the_first_are_counted(words_of: Callable[[str], str]) -> None:
    frame = pd.DataFrame(np.arange(60.0).reshape(4, 15)).add_prefix("v")
    tally, top = scored(frame, "odd")
    said = words_of(scored_table("x", [], tally, top, infer_schema(frame), threshold=3.0))
    assert "3 more columns are not shown" in said


def test_no_row_could_be_scored(table: Table, words_of: Callable[[str], str]) -> None:
    frame = table(9)
    said = words_of(scored_table("x", ["None."], ScoreTally(), pd.DataFrame(), infer_schema(frame), threshold=3.0))
    assert "None." in said and "most abnormal" not in said
