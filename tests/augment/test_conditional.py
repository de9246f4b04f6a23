"""Rows that are asked for by any column, and tables with holes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gantools.augment.asked import read_where
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.errors import ConfigError


def visits(n: int = 1500) -> pd.DataFrame:
    """The ward decides the stay; half of the children have no weight; one town in many is rare."""
    rng = np.random.default_rng(0)
    ward = rng.choice(["heart", "bone", "child"], n, p=[0.5, 0.3, 0.2])
    stay = pd.Series(ward).map({"heart": 9, "bone": 5, "child": 2}).to_numpy() + rng.integers(0, 3, n)
    weight = np.where((ward == "child") & (rng.random(n) < 0.5), np.nan, rng.normal(70, 10, n).round(1))
    town = rng.choice(["Ulm", "Bern", "Rom", "Oslo"], n, p=[0.6, 0.3, 0.09, 0.01])
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D")
    back = np.where(rng.random(n) < np.where(ward == "heart", 0.5, 0.1), "yes", "no")
    return pd.DataFrame({"ward": ward, "stay": stay, "weight": weight, "town": town, "day": day, "back": back})


@pytest.fixture(scope="module")
def maker() -> Synthesizer:
    train = TrainConfig(steps=250, batch_size=128, device="cpu")
    return Synthesizer(options={"width": 64, "hidden": 32}, train=train).fit(visits(), "back")


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"ward": "child"}, lambda rows: rows["ward"] == "child"),
        ({"ward": ["child", "bone"], "town": "Oslo"}, lambda rows: rows["ward"].ne("heart") & rows["town"].eq("Oslo")),
        ({"stay": (9, None)}, lambda rows: rows["stay"] >= 9),
        ({"weight": None}, lambda rows: rows["weight"].isna()),
        ({"weight": (60, 65.5)}, lambda rows: rows["weight"].between(60, 65.5)),
        ({"weight": 71.3}, lambda rows: rows["weight"] == 71.3),
        ({"day": ("2024-03-01", "2024-03-31")}, lambda rows: rows["day"].dt.month == 3),
        (
            {"back": "yes", "ward": "bone", "stay": (5, 6)},
            lambda rows: rows["back"].eq("yes") & rows["ward"].eq("bone") & rows["stay"].between(5, 6),
        ),
    ],
)
def test_every_row_is_as_asked(maker: Synthesizer, where: dict[str, Any], holds: Any) -> None:
    made = maker.sample(200, where=where, seed=1)
    assert len(made) == 200 and holds(made).all()
    assert made.dtypes.equals(visits().dtypes)


def test_the_other_cells_are_as_they_are_in_such_rows(maker: Synthesizer) -> None:
    real, made = visits(), maker.sample(1000, where={"stay": (9, None)}, seed=2)
    assert (made["ward"] == "heart").mean() > 0.95
    yes = (real.loc[real["stay"] >= 9, "back"] == "yes").mean()
    assert (made["back"] == "yes").mean() == pytest.approx(yes, abs=0.08)


def test_how_rare_a_condition_is_can_be_asked(maker: Synthesizer) -> None:
    assert maker.outlook({"ward": "child"}).share == pytest.approx(0.2, abs=0.05)
    assert maker.outlook({"back": "yes", "ward": "heart"}).share == pytest.approx(0.25, abs=0.06)


def test_labels_may_be_counted_under_a_condition(maker: Synthesizer) -> None:
    made = maker.sample({"yes": 30, "no": 20}, where={"town": "Rom"})
    assert made["back"].tolist() == ["no"] * 20 + ["yes"] * 30 and set(made["town"]) == {"Rom"}
    with pytest.raises(ConfigError, match="excludes rows of 'yes'"):
        maker.sample({"yes": 3}, where={"back": "no"})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"wart": 1}, "no column 'wart'"),
        ({"ward": "hart"}, "has no value 'hart'; did you mean 'heart'"),
        ({"stay": (100, 200)}, "they lie between 2 and 11"),
        ({"stay": (8, 3)}, "ends before it begins"),
        ({"stay": (5.2, 5.8)}, "no value of the column lies in that range"),
        ({"stay": "long"}, "'long' cannot be read"),
        ({"stay": None}, "no cell of it was missing"),
        ({"town": None}, "no cell of it was missing"),
        ({"back": None}, "every row has a label"),
    ],
)
def test_what_no_row_can_be_is_said(maker: Synthesizer, where: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        maker.sample(5, where=where)


def test_other_models_say_what_they_cannot_do() -> None:
    made = Synthesizer("cgan", {"width": 16}, TrainConfig(steps=4, batch_size=32, device="cpu")).fit(visits(), "back")
    with pytest.raises(ConfigError, match="asked for labels alone"):
        made.sample(5, where={"ward": "child"})
    with pytest.raises(ConfigError, match="asked for labels alone"):
        made.fill(visits())


def test_where_is_read_from_text(maker: Synthesizer) -> None:
    texts = ["stay=3..9", "ward=child", "ward=bone", "weight=", "day=..2024-03-01", "back=yes"]
    assert read_where(texts, maker.schema_) == {
        "stay": ("3", "9"), "ward": ["child", "bone"], "weight": None, "day": (None, "2024-03-01"), "back": ["yes"],
    }  # fmt: skip
    with pytest.raises(ConfigError, match="names no column"):
        read_where(["stay"], maker.schema_)
    with pytest.raises(ConfigError, match="one value or one range"):
        read_where(["stay=3", "stay=4"], maker.schema_)


def with_holes(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    holes = np.random.default_rng(1).random(frame.shape) < 0.2
    return frame.mask(pd.DataFrame(holes, columns=frame.columns)), holes


def test_holes_are_filled_and_nothing_else_changes(maker: Synthesizer) -> None:
    real = visits(400)
    table, holes = with_holes(real)
    table.index = table.index + 7
    filled = maker.fill(table, seed=3)
    assert not filled.isna().any(axis=None) and filled.index.equals(table.index)
    assert filled["stay"].dtype == real["stay"].dtype and filled["day"].dtype == real["day"].dtype
    for place, name in enumerate(real):
        kept = ~holes[:, place] & real[name].notna().to_numpy()
        assert (filled[name].to_numpy()[kept] == real[name].to_numpy()[kept]).all(), name
    assert not maker.fill(table, seed=4).equals(filled)
    assert maker.fill(filled).equals(filled)


def test_what_is_likely_is_nearer_than_a_draw(maker: Synthesizer) -> None:
    real = visits(600)
    table, holes = with_holes(real)

    def right(filled: pd.DataFrame, name: str) -> float:
        at = holes[:, real.columns.get_loc(name)]
        return float((filled[name].to_numpy()[at] == real[name].to_numpy()[at]).mean())

    likely, drawn = maker.fill(table, likely=True), maker.fill(table)
    assert right(likely, "ward") > 0.75
    assert right(likely, "town") >= max(0.5, right(drawn, "town"))
