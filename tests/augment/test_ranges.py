"""A range of a number in place of a rare class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gantools.augment.ranges import Range, RangeTask
from gantools.data.tables.schema import infer_schema
from gantools.errors import ConfigError, DataError
from gantools.evaluate.range_utility import error_text, range_verdict


def houses(n: int = 800, seed: int = 0) -> pd.DataFrame:
    """Prices that rise steeply with the area, of which about a tenth is above 6."""
    rng = np.random.default_rng(seed)
    area = rng.gamma(3, 1, n)
    price = area + 0.15 * area**2 * (area > 4) + rng.normal(0, 0.1, n)
    return pd.DataFrame({"area": area, "kind": rng.choice(["flat", "house"], n), "price": price.round(2)})


@pytest.mark.parametrize(
    ("text", "inside", "said"),
    [("above=5", [5, 9], "from 5 on"), ("below=2", [-1, 2], "up to 2"), ("2..5", [2, 5], "2 to 5")],
)
def test_a_range_is_read_as_it_is_written(text: str, inside: list[float], said: str) -> None:
    found = Range.read(text)
    numbers = pd.Series([-1, 2, 5, 9, None])
    assert numbers[found.holds(numbers)].tolist() == inside and str(found) == said


@pytest.mark.parametrize("text", ["", "above", "above=much", "5..2", "5", "around=3", ".."])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"rare: .* is no range; write above=500000, below=10 or 10\.\.20"):
        Range.read(text)


@pytest.mark.parametrize(
    ("target", "text", "said"),
    [
        ("kind", "above=5", "holds no numbers"),
        ("price", "above=1e9", "0 of 800 rows lie in the range"),
        ("price", "above=1", "so it is not rare"),
    ],
)
def test_a_range_that_cannot_be_filled_is_refused(target: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=f"column '{target}': .*{said}"):
        RangeTask.of(houses(), target, Range.read(text))


def test_the_verdict_sees_what_helps_in_the_range_and_what_it_costs() -> None:
    frame, others = houses(500), houses(8000, seed=1)
    task = RangeTask.of(frame, "price", Range.read("above=6"))
    real = others[task.range.holds(others["price"])]

    def more_real(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        return pd.concat([rows, real.sample(500, random_state=seed)])

    def nonsense(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        made = real.sample(500, random_state=seed)
        return pd.concat([rows, made.assign(area=1.0, price=made["price"].to_numpy()[::-1])])

    schema = infer_schema(frame)
    good = range_verdict(frame, task, more_real, schema=schema, n_repeats=2)
    bad = range_verdict(frame, task, nonsense, schema=schema)
    assert good.scores["gantools"]["rmse_rare"] < good.scores["none"]["rmse_rare"]
    assert good.helped == "yes" and good.recommended == "gantools" and good.difference is not None
    assert good.interval is not None and good.interval[0] < good.difference < good.interval[1] < 0
    assert "on 2 times 125 held-out rows" in good.sentence and "the error over all rows by" in good.advice
    assert bad.helped == "no" and bad.recommended != "gantools" and "did not help" in bad.sentence
    assert bad.scores["none"] != good.scores["none"] and bad.n_rare < good.n_rare


def test_errors_are_told_with_four_digits() -> None:
    assert [error_text(error) for error in (132449.0, 0.0123456, 12.3456)] == ["132,400", "0.01235", "12.35"]
