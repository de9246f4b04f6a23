"""`gantools augment --rare`: a numeric target."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from .conftest import Invoke, the_error, the_json


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    from tests.augment.test_ranges import houses as made

    path = tmp_path / "houses.csv"
    made(300).to_csv(path, index=False)
    return path


def test_a_range_is_filled_and_judged(houses: Path, invoke: Invoke) -> None:
    asked = ("augment", houses, "--target", "price", "--rare", "above=6", "--steps", "30", "--device", "cpu")
    page = houses.parent / "page.html"
    told = the_json(invoke(*asked, "--holdout", "0.2", "--report", page, "--save", houses.parent / "kept", "--json"))
    given, found = pd.read_csv(houses), pd.read_csv(houses.parent / "houses.balanced.csv")
    made = found[found["is_synthetic"]]
    assert list(found) == [*given, "is_synthetic"] and (made["price"] >= 6).all()
    assert (found["price"] >= 6).sum() == (found["price"] < 6).sum()
    assert len(pd.read_csv(houses.parent / "houses.holdout.csv")) == told["holdout"]["rows"] == 60
    assert set(told["verdict"]["scores"]) == {"none", "weights", "repetition", "gantools"}
    assert "Ridge regression, a random forest" in page.read_text() and (houses.parent / "kept").is_dir()
    result = invoke(*asked, "--force", "--no-verdict", "--strategy", "0.5")
    assert "in the range" in result.stdout and "RMSE" not in result.stdout
    with_price = pd.read_csv(houses.parent / "houses.balanced.csv")
    assert (with_price["price"] >= 6).sum() == (with_price["price"] < 6).sum() // 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--rare", "above=much"), "--rare: 'above=much' is no range"),
        (("--rare", "above=100"), "0 of 300 rows lie in the range"),
        (("--rare", "above=6", "--classifier", "c"), "--rare: cannot be combined with --classifier"),
        (("--rare", "above=6", "--strategy", '{"outside it": 900}'), "--strategy: asks for rows outside the range"),
        (("--rare", "above=6", "--model", "tabular", "--no-verdict"), "can be asked for labels alone"),
        ((), "or fill a range of numbers with --rare"),
    ],
)
def test_what_cannot_be_filled_is_one_line(houses: Path, invoke: Invoke, given: tuple[str, ...], said: str) -> None:
    error = the_error(invoke("augment", houses, "--target", "price", *given, "--steps", "5", "--device", "cpu"))
    assert said in error
    assert [path.name for path in houses.parent.iterdir()] == ["houses.csv"]
