"""Two views of a row: far values stay far, missing and unknown cells stand where nothing normal does, all is finite."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from gantools.data.tables.raw import to_raw
from gantools.data.tables.schema import Schema, infer_schema
from gantools.encode.table import TableEncoder
from gantools.encode.views import ABSENT, RAREST, REACH, UNHEARD, RowViews
from gantools.score.table_scorer import watching_constants

N = 500


def table(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "weight": rng.normal(70, 10, N),
            "income": np.where(rng.random(N) < 0.1, np.nan, rng.lognormal(8, 1, N)),
            "same": 3.0,
            "city": rng.choice(["Bern", "Lyon", "Turin"], N, p=[0.6, 0.3, 0.1]),
            "plan": pd.Series(rng.choice(["a", "b"], N)).where(rng.random(N) < 0.8),
        }
    )


def fitted(frame: pd.DataFrame) -> tuple[RowViews, Schema]:
    schema = watching_constants(infer_schema(frame))
    raw = to_raw(frame, schema)
    return RowViews.fit(TableEncoder.fit(raw, schema), raw), schema


def views_of(views: RowViews, schema: Schema, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
    raw = to_raw(frame, schema)
    return views(torch.from_numpy(np.array(raw.numbers)), torch.from_numpy(np.array(raw.codes)))


@pytest.fixture(scope="module")
def made() -> tuple[RowViews, Schema]:
    return fitted(table())


def row(**cells: object) -> pd.DataFrame:
    """One usual row, with these cells."""
    usual = {"weight": 70.0, "income": 3000.0, "same": 3.0, "city": "Bern", "plan": "a"}
    return pd.DataFrame([{**usual, **cells}])


def test_shapes_and_columns(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    assert schema.numeric == ("weight", "income", "same") and schema.categorical == ("city", "plan")
    standard, ranked = views_of(views, schema, table(1))
    assert standard.dtype == ranked.dtype == torch.float32
    assert (standard.shape[1], ranked.shape[1]) == views.widths == (3 + 1 + 3 + 3, 3 + 3 + 3)
    for view, column in zip((standard, ranked), views.column_of(), strict=True):
        assert view.shape[1] == len(column)
    assert views.column_of()[0].tolist() == [0, 1, 2, 1, 3, 3, 3, 4, 4, 4]
    assert views.column_of()[1].tolist() == [0, 1, 2, 3, 3, 3, 4, 4, 4]


def test_numbers_count_in_standard_deviations_up_to_the_reach(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    mean, spread = table()["weight"].mean(), table()["weight"].std(ddof=0)
    for away in (-4.9, -1.0, 0.0, 2.5, 4.9):
        standard, _ = views_of(views, schema, row(weight=mean + away * spread))
        assert float(standard[0, 0]) == pytest.approx(away, abs=1e-5)
    for away in (10.0, 1e3, 1e6):
        standard, _ = views_of(views, schema, row(weight=mean + away * spread))
        assert float(standard[0, 0]) == pytest.approx(REACH + math.log1p(away - REACH), rel=1e-4)


def test_both_views_rise_with_the_number(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    values = np.concatenate([-np.geomspace(1e9, 1, 40), np.linspace(0, 140, 200), np.geomspace(150, 1e9, 40)])
    frame = pd.concat([row()] * len(values), ignore_index=True).assign(weight=values)
    for view, least in zip(views_of(views, schema, frame), (0.0, 0.0), strict=True):
        steps = np.diff(view[:, 0].numpy())
        assert (steps >= least).all()
        outside = (values[1:] < table()["weight"].min()) | (values[:-1] > table()["weight"].max())
        assert (steps[outside] > 0).all()  # what is beyond all that was seen goes on growing


def test_ranked_view_stretches_crowded_ranges(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    income = table()["income"]
    low, middle, high = (float(income.quantile(q)) for q in (0.15, 0.5, 0.85))
    ranked = [float(views_of(views, schema, row(income=value))[1][0, 1]) for value in (low, middle, high)]
    assert high - middle > 2 * (middle - low)
    assert ranked[2] - ranked[1] == pytest.approx(ranked[1] - ranked[0], rel=0.2)


def test_a_missing_cell_where_some_were_is_a_level_of_its_own(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    standard, _ = views_of(views, schema, row(income=np.nan))
    assert standard[0, 1] == 0.0 and standard[0, 3] == ABSENT
    assert views_of(views, schema, row())[0][0, 3] == 0.0
    standard, ranked = views_of(views, schema, row(plan=None))
    assert ranked[0, -3:].tolist() == [0.0, 0.0, 1.0]
    assert standard[0, -1] > 0 and (standard[0, -3:-1] < 0).all()


def test_a_missing_cell_where_none_was_is_below_all_that_was_seen(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    lowest = views_of(views, schema, row(weight=table()["weight"].min()))
    for view, seen in zip(views_of(views, schema, row(weight=np.nan)), lowest, strict=True):
        assert view[0, 0] < seen[0, 0] - 1


def test_an_unseen_level_is_like_no_row(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    for unknown in (row(city="Atlantis"), row(city=None)):  # no city is missing in training
        unseen, seen = views_of(views, schema, unknown), views_of(views, schema, table())
        for one, others, start in zip(unseen, seen, (4, 3), strict=True):
            block = others[:, start : start + 3]
            among = torch.cdist(block, block).max()
            assert ((block - one[0, start : start + 3]).norm(dim=1) > 1.2 * among).all()
            assert torch.equal(one[0, :start], views_of(views, schema, row())[start == 3][0, :start])


def test_a_rare_level_is_further_away_than_a_common_one(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    common, half, rare = (views_of(views, schema, row(city=city))[0][0, 4:7] for city in ("Bern", "Lyon", "Turin"))
    assert (rare - common).norm() > 1.2 * (half - common).norm()
    block = views_of(views, schema, table())[0][:, 4:7]
    assert float(block.var(0, correction=0).sum()) == pytest.approx(1.0, rel=1e-4)  # like a number
    torch.testing.assert_close(block.mean(0), torch.zeros(3), rtol=0, atol=1e-5)


def test_a_level_seen_once_does_not_drown_the_rest() -> None:
    frame = pd.DataFrame({"a": ["x"] * 20_000, "b": np.arange(20_000) % 7 * 1.0})
    frame.loc[5, "a"] = "y"
    views, schema = fitted(frame)
    assert float(views_of(views, schema, frame[:10])[0].abs().max()) <= 1 / math.sqrt(2 * RAREST * (1 - RAREST)) + 1e-3


def test_a_column_of_one_value(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    assert all(view[0, 2] == 0 or abs(float(view[0, 2])) < 1e-6 for view in views_of(views, schema, row()))
    for value, sign in ((3.0001, 1), (1e9, 1), (-7.0, -1)):
        standard, ranked = views_of(views, schema, row(same=value))
        assert float(standard[0, 2]) == sign * UNHEARD
        assert float(ranked[0, 2]) * sign >= math.log1p(UNHEARD) - 1e-5


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e30, 1e200])
def test_the_unit_of_a_column_does_not_matter(unit: float) -> None:
    frame = table()[["weight"]].assign(other=np.arange(N) % 50 * 1.0)
    usual, other = fitted(frame), fitted(frame.assign(weight=frame["weight"] * unit))
    one = views_of(*usual, frame)
    two = views_of(*other, frame.assign(weight=frame["weight"] * unit))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("value", [1e308, -1e308, 1e100, 5e-324, -0.0, float(2**63), np.nan])
def test_absurd_cells_stay_finite(made: tuple[RowViews, Schema], value: float) -> None:
    views, schema = made
    for name in ("weight", "income", "same"):
        for view in views_of(views, schema, row(**{name: value})):
            assert torch.isfinite(view).all() and view.abs().max() < 1000


def test_rebuilt_from_json_and_weights(made: tuple[RowViews, Schema]) -> None:
    views, schema = made
    again = RowViews.from_json(json.loads(json.dumps(views.to_json())))
    again.load_state_dict(views.state_dict())
    frame = pd.concat([table(1), row(city="Atlantis"), row(weight=np.nan), row(same=9.0)])
    for one, two in zip(views_of(views, schema, frame), views_of(again, schema, frame), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("columns", [["weight", "income"], ["city", "plan"], ["same"]])
def test_tables_of_one_kind_of_column(columns: list[str]) -> None:
    frame = table()[columns]
    views, schema = fitted(frame)
    standard, ranked = views_of(views, schema, frame)
    assert torch.isfinite(standard).all() and torch.isfinite(ranked).all()
    assert (standard.shape[1], ranked.shape[1]) == views.widths


def test_a_column_that_is_missing_in_every_row_of_the_fit() -> None:
    """As when a schema knows values that the rows learned from have not."""
    frame = table()[["weight", "income"]]
    schema = infer_schema(frame)
    raw = to_raw(frame[frame["income"].isna()], schema)
    views = RowViews.fit(TableEncoder.fit(raw, schema), raw)
    for view in views_of(views, schema, frame):
        assert torch.isfinite(view).all()


def test_a_new_level_is_less_odd_where_new_levels_are_common() -> None:
    """Among many levels seen once, another one is to be expected."""
    once = pd.DataFrame({"a": [f"once {i}" for i in range(30)] + ["often"] * 60})
    never = pd.DataFrame({"a": [f"level {i}" for i in range(30)] * 3})
    away = []
    for frame in (once, never):
        views, schema = fitted(frame)
        standard, _ = views_of(views, schema, pd.DataFrame({"a": ["new"]}))
        away.append(float((standard - views_of(views, schema, frame.tail(1))[0]).norm()))
    assert away[0] < 0.5 * away[1]
