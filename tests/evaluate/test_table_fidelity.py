"""How alike real and synthetic columns are: class proportions do not count, and chance does not stand out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.schema import infer_schema
from gantools.evaluate.table_fidelity import cumulative_gap, quantiles, table_fidelity


def rows(n: int, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """The rare class has larger amounts and lives in Oslo."""
    rng = np.random.default_rng(seed)
    is_rare = rng.random(n) < 0.2
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, rng.normal(9.0 * is_rare + shift, 1)),
            "visits": rng.poisson(2, n),
            "city": np.where(is_rare, "Oslo", rng.choice(["Rome", "Bern"], n)),
            "empty": np.nan,
            "label": np.where(is_rare, "rare", "common"),
        }
    )


def test_rows_of_the_same_kind_are_alike_whatever_their_class_proportions() -> None:
    real, made = rows(2_000), rows(3_000, seed=1).query("label == 'rare'")
    found = table_fidelity(real, made, infer_schema(real, "label"))
    assert found is not None
    assert found.standing_out == []
    assert found.n_synthetic == len(made) and found.n_real == (real["label"] == "rare").sum()
    assert [column.name for column in found.columns] == ["amount", "visits", "city"]
    amount, visits, city = found.columns
    assert amount.real.mean == pytest.approx(9, abs=0.2) and amount.synthetic.mean == pytest.approx(9, abs=0.2)
    assert amount.real.missing == pytest.approx(0.1, abs=0.04)
    assert sum(amount.real.shares) == pytest.approx(1) and len(amount.edges) == len(amount.synthetic.shares) + 1
    assert amount.real.q05 < amount.real.median < amount.real.q95
    assert np.diff(visits.edges).tolist() == [1] * (len(visits.edges) - 1)  # a bin for each whole number
    assert (visits.low, visits.high) == (visits.edges[0] + 0.5, visits.edges[-1] - 0.5)
    assert [level.level for level in city.levels] == ["Oslo"] and city.levels[0].real == pytest.approx(1)


def test_differences_stand_out_the_largest_first() -> None:
    real = rows(2_000)
    made = rows(2_000, shift=0.8, seed=1).assign(city="Rome")
    found = table_fidelity(real, made, infer_schema(real, "label"))
    assert [column.name for column in found.standing_out] == ["city", "amount"]
    assert found.standing_out[0].difference == pytest.approx(0.6, abs=0.05)


def test_few_rows_that_differ_by_chance_do_not_stand_out() -> None:
    real = rows(40)
    found = table_fidelity(real, rows(40, seed=5), infer_schema(real, "label"))
    assert max(column.difference for column in found.columns) > 0.1
    assert found.standing_out == []


def test_a_column_that_only_one_side_has_values_of() -> None:
    real = rows(500)
    found = table_fidelity(real, real.assign(amount=np.nan), infer_schema(real, "label"))
    amount = found.columns[0]
    assert amount.stands_out and amount.edges == ()
    assert amount.synthetic.missing == 1 and amount.difference == pytest.approx(1 - amount.real.missing)


def test_levels_beyond_the_most_frequent_are_summed() -> None:
    real = pd.DataFrame({"shop": [f"shop {i}" for i in range(20)] * 10, "label": ["a", "b"] * 100})
    found = table_fidelity(real, real, infer_schema(real, "label"))
    levels = found.columns[0].levels
    assert len(levels) == 9 and levels[-1].level == "(12 more)"
    assert sum(level.real for level in levels) == pytest.approx(1)


def test_there_is_nothing_to_compare() -> None:
    real = rows(100)
    schema = infer_schema(real, "label")
    assert table_fidelity(real, real[:0], schema) is None
    assert table_fidelity(real, real.assign(label="another"), schema) is None
    assert table_fidelity(real, real, infer_schema(real)) is None


def test_it_is_plain_json() -> None:
    real = rows(300)
    found = table_fidelity(real, real, infer_schema(real, "label"))
    told = json.loads(json.dumps(found.to_json()))
    assert told["columns"][0]["real"]["mean"] == found.columns[0].real.mean
    assert told["columns"][2]["levels"][0] == {
        "level": found.columns[2].levels[0].level,
        "real": found.columns[2].levels[0].real,
        "synthetic": found.columns[2].levels[0].synthetic,
    }


def test_weighted_gap_and_quantiles() -> None:
    one, other = np.array([1.0, 2.0, 2.0]), np.array([2.0, 3.0])
    even = np.full(2, 0.5)
    assert cumulative_gap(one, np.full(3, 1 / 3), other, even) == pytest.approx(0.5)
    assert cumulative_gap(one, np.array([0.0, 0.5, 0.5]), np.array([2.0, 2.0]), even) == pytest.approx(0)
    assert quantiles(np.array([5.0, 1.0, 3.0]), np.array([0.1, 0.8, 0.1]), (0.05, 0.5, 0.95)) == [1, 1, 5]
