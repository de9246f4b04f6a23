"""Drift: silent on more rows of the same table, however many; found and put into words where something changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Schema, infer_schema
from gantools.errors import DataError
from gantools.score.drift import Drift, DriftMonitor, Reference
from gantools.score.threshold import Calibration

N_TRAINED = 4000


def table(n: int, seed: int) -> pd.DataFrame:
    """Numbers smooth, whole, mostly zero and partly missing; categories few, skewed and endless."""
    rng = np.random.default_rng(seed)
    hours = np.clip(np.round(rng.normal(40, 8, n)), 1, 99)
    skewed = 1 / np.arange(1, 41) ** 1.5
    return pd.DataFrame(
        {
            "weight": rng.normal(70, 12, n),
            "hours": hours.astype(np.int64),
            "gain": np.where(rng.random(n) < 0.9, 0, rng.lognormal(7, 1, n)).round(2),
            "income": np.where(rng.random(n) < 0.02, np.nan, rng.lognormal(3, 1, n)),
            "children": rng.poisson(1.2, n),
            "plan": np.array(["basic", "plus", "gold"])[rng.choice(3, n, p=[0.6, 0.3, 0.1])],
            "town": np.array([f"town {i}" for i in range(40)])[rng.choice(40, n, p=skewed / skewed.sum())],
            "merchant": np.char.add("merchant ", (rng.zipf(1.4, n) % 5000).astype(str)),
            "member": rng.random(n) < 0.4,
            "since": np.datetime64("2020-01-01", "s") + rng.integers(0, 900, n).astype("timedelta64[D]"),
        }
    )


@cache
def trained() -> tuple[Schema, Reference]:
    frame = table(N_TRAINED, seed=0)
    schema = infer_schema(frame)
    return schema, Reference.fit(to_raw(frame, schema), schema)


def drift_of(frame: pd.DataFrame) -> Drift:
    schema, reference = trained()
    monitor = DriftMonitor(reference)
    monitor.update(to_raw(frame, schema))
    return monitor.report()


def drifted_columns(drift: Drift) -> list[str]:
    return [column.name for column in drift.columns if column.drifted]


@pytest.mark.parametrize("n", [1, 10, 50, 2000])
def test_fresh_rows_of_the_same_table_have_not_drifted(n: int) -> None:
    for seed in range(1, 11):
        drift = drift_of(table(n, seed))
        assert not drift.drifted and not drift.words, drift.words
        assert drift.n_rows == n and len(drift.columns) == 10


def test_a_million_fresh_rows_have_not_drifted() -> None:
    """Though training's own sampling error is beyond chance for a test that takes its shares for the truth."""
    schema, reference = trained()
    monitor = DriftMonitor(reference)
    for seed in range(1, 11):
        monitor.update(to_raw(table(100_000, seed), schema))
    drift = monitor.report()
    assert drift.n_rows == 1_000_000 and not drift.drifted
    assert max(column.index for column in drift.columns) < 0.05
    assert sum(column.p_value < 0.01 for column in drift.columns) <= 1


def shifted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(hours=np.where(np.arange(len(frame)) % 10 < 3, 58, frame["hours"]))


def without_gold(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(plan=frame["plan"].replace("gold", "basic"))


def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(income=frame["income"].mask(np.arange(len(frame)) % 4 == 0))


def with_first_holes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(weight=frame["weight"].mask(np.arange(len(frame)) % 4 == 0))


def with_new_level(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(plan=frame["plan"].mask(np.arange(len(frame)) % 5 == 0, "platinum"))


def of_other_unit(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(weight=frame["weight"] * 2.2)


def more_children(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(children=frame["children"].mask(np.arange(len(frame)) % 2 == 0, 2))


def later(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(since=frame["since"] + pd.Timedelta(days=3000))


def with_undated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(since=frame["since"].mask(np.arange(len(frame)) % 4 == 0))


def fewer_members(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(member=frame["member"] & (np.arange(len(frame)) % 4 == 0))


CHANGES: list[tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str]] = [
    (shifted, "hours", r"hours: 3\d % of rows above 5\d, \d(\.\d)? % when trained"),
    (without_gold, "plan", r"plan: 0 % of rows with 'gold', (9.\d|10|11) % when trained"),
    (with_holes, "income", r"income: 2[67] % of rows without a value, (1\.\d|2\.\d) % when trained"),
    (with_first_holes, "weight", r"weight: 25 % of rows without a value, 0 % when trained"),
    (with_new_level, "plan", r"plan: 20 % of rows with a value never seen in training"),
    (of_other_unit, "weight", r"weight: \d\d % of rows above 1\d\d(\.\d)?, the largest value in training"),
    (more_children, "children", r"children: 6\d % of rows with 2, 2\d % when trained"),
    (with_undated, "since", r"since: 25 % of rows without a value, 0 % when trained"),
    (fewer_members, "member", r"member: (89|90|91) % of rows with False, (59|60|61) % when trained"),
]


@pytest.mark.parametrize("n", [400, 50_000])
@pytest.mark.parametrize(("change", "name", "words"), CHANGES, ids=[change.__name__ for change, _, _ in CHANGES])
def test_a_change_is_found_and_put_into_words(
    change: Callable[[pd.DataFrame], pd.DataFrame], name: str, words: str, n: int
) -> None:
    drift = drift_of(change(table(n, seed=1)))
    assert drift.drifted and drifted_columns(drift) == [name]
    assert len(drift.words) == 1 and drift.words[0].startswith(f"{name}: ")
    if n > 1000:  # of few rows the shares vary
        assert re.fullmatch(words, drift.words[0]), drift.words


@pytest.mark.parametrize("change", [with_holes, with_new_level, of_other_unit, with_undated])
def test_fifty_rows_are_enough_for_a_large_change(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    assert len(drifted_columns(drift_of(change(table(50, seed=1))))) == 1


def test_that_time_goes_on_is_no_drift() -> None:
    drift = drift_of(later(table(2000, seed=1)))
    assert not drift.drifted
    since = next(column for column in drift.columns if column.name == "since")
    assert since.index == 0.0 and since.p_value == 1.0


def test_a_trifle_in_many_rows_is_significant_but_no_drift() -> None:
    frame = table(300_000, seed=1)
    drift = drift_of(frame.assign(weight=frame["weight"] + 1.5))
    weight = next(column for column in drift.columns if column.name == "weight")
    assert weight.p_value < 0.01 and 0 < weight.index < 0.1
    assert not drift.drifted


def test_chunks_do_not_matter() -> None:
    schema, reference = trained()
    raw = to_raw(shifted(table(5000, seed=1)), schema)
    p = np.random.default_rng(0).random(5000) ** 3
    whole, pieces = DriftMonitor(reference), DriftMonitor(reference)
    whole.update(raw, p)
    for rows in np.array_split(np.arange(5000), 7):
        pieces.update(raw.take(rows), p[rows])
    assert whole.report() == pieces.report()


def test_nothing_counted_is_no_drift() -> None:
    schema, reference = trained()
    monitor = DriftMonitor(reference)
    assert not monitor.report().drifted
    monitor.update(to_raw(table(5, 0).head(0), schema), np.empty(0))
    assert not monitor.report().drifted and monitor.report().n_rows == 0


def odd_drift(p: np.ndarray, n_held_out: int | None) -> Drift:
    raw = Raw(np.empty((len(p), 0)), np.empty((len(p), 0), dtype=np.int64))
    schema = Schema((), None, 1)
    monitor = DriftMonitor(Reference(schema, 1, (), ()), n_held_out)
    monitor.update(raw, p)
    return monitor.report()


@pytest.mark.parametrize("n_held_out", [30, 100, 2000])
@pytest.mark.parametrize("n", [50, 20_000])
def test_fresh_p_values_are_no_drift(n: int, n_held_out: int) -> None:
    """The share of low p-values varies with the held-out rows: a million rows do not make it exact."""
    rng = np.random.default_rng(0)
    significant = 0
    for _ in range(300):
        p = Calibration.fit(rng.random(n_held_out)).p_value(rng.random(n))
        drift = odd_drift(p, n_held_out)
        assert drift.odd_expected == pytest.approx(int(0.05 * (n_held_out + 1)) / (n_held_out + 1))
        significant += drift.odd_p_value <= 0.01
    assert significant <= 9  # 3 expected at most


def test_many_odd_rows_are_drift_though_no_column_tells() -> None:
    p = np.append(np.full(300, 0.01), np.full(700, 0.5))
    for n_held_out in (None, 500):
        drift = odd_drift(p, n_held_out)
        assert drift.odd and drift.drifted and drift.odd_share == 0.3
        assert drift.words == ("30 % of rows are as odd as the oddest 5 % of normal rows were",)
    unknown = odd_drift(np.append(p, np.full(5000, np.nan)), 500)
    assert unknown.odd_share == 0.3 and unknown.n_rows == 6000
    assert not odd_drift(np.full(100, 0.2), 10).odd  # ten held-out rows resolve no 5 %


def test_reference_as_json_is_the_same_reference() -> None:
    schema, reference = trained()
    document = json.loads(json.dumps(reference.to_json()))
    again = Reference.from_json(document, schema)
    raw = to_raw(of_other_unit(table(2000, seed=1)), schema)
    reports = []
    for each in (reference, again):
        monitor = DriftMonitor(each)
        monitor.update(raw)
        reports.append(monitor.report())
    assert reports[0] == reports[1]
    assert json.loads(json.dumps(reports[0].to_json()))["drifted"] is True


def test_a_reference_of_another_table_is_refused() -> None:
    schema, reference = trained()
    document = reference.to_json()
    with pytest.raises(DataError, match="does not fit the schema"):
        Reference.from_json(document, infer_schema(table(100, 0)[["weight", "plan"]]))
    with pytest.raises(DataError, match="is not a reference"):
        Reference.from_json({"edges": 1}, schema)
    with pytest.raises(DataError, match="no rows"):
        Reference.fit(to_raw(table(5, 0).head(0), schema), schema)


def test_reference_is_small() -> None:
    """At most twenty bins of a number and a hundred levels of a category, however many rows."""
    schema, reference = trained()
    widths = dict(zip((*schema.numeric, *schema.categorical), map(len, reference.counts), strict=True))
    assert all(width <= 23 for name, width in widths.items() if name in schema.numeric)
    assert widths["children"] < 15 and widths["merchant"] == 103
    assert all(counts.sum() <= N_TRAINED + 2 for counts in reference.counts)
