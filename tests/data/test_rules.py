"""Rules that hold in every row: found, kept, and not imagined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.rules import Rule, find_rules
from gantools.data.tables.schema import Schema, infer_schema
from gantools.encode.rules import RuleKeeper
from gantools.export.compose import traced


def orders(n: int = 1200) -> pd.DataFrame:
    """A city decides its country, a total is a sum, an end is never before its start, one of three flags is set."""
    rng = np.random.default_rng(0)
    city = rng.choice([f"city {k}" for k in range(12)], n)
    goods, freight = rng.gamma(2, 50, n).round(2), rng.gamma(1, 30, n).round(2)
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    by = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "city": city,
            "country": [f"country {int(name.split()[1]) % 4}" for name in city],
            "goods": goods,
            "freight": freight,
            "total": (goods + freight).round(2),
            "start": start,
            "end": start + pd.to_timedelta(rng.integers(0, 90, n), unit="D"),
            "by_air": (by == 0).astype(int),
            "by_sea": (by == 1).astype(int),
            "by_road": (by == 2).astype(int),
            "late": np.where(rng.random(n) < 0.2 + 0.3 * (by == 1), "yes", "no"),
        }
    )


def broken(rows: pd.DataFrame) -> dict[str, int]:
    """How many rows break each rule."""
    country = [f"country {int(name.split()[1]) % 4}" for name in rows["city"]]
    return {
        "country": int((rows["country"] != country).sum()),
        "total": int(((rows["goods"] + rows["freight"] - rows["total"]).abs() > 0.005).sum()),
        "end": int((rows["end"] < rows["start"]).sum()),
        "flags": int((rows[["by_air", "by_sea", "by_road"]].sum(axis=1) != 1).sum()),
    }


def found(frame: pd.DataFrame, target: str) -> list[str]:
    schema = infer_schema(frame, target)
    return [rule.sentence for rule in find_rules(to_raw(frame, schema), schema)]


@pytest.fixture(scope="module")
def maker() -> Synthesizer:
    train = TrainConfig(steps=60, batch_size=128, device="cpu")
    return Synthesizer(options={"width": 32, "hidden": 16}, train=train).fit(orders(), "late")


def test_rules_are_found() -> None:
    assert found(orders(), "late") == [
        "exactly one of the columns 'by_air', 'by_sea', 'by_road' is one",
        "column 'city' decides 'country'",
        "column 'start' is never above 'end'",
        "column 'total' is the sum of 'goods', 'freight'",
    ]


def test_every_row_keeps_them(maker: Synthesizer) -> None:
    assert set(broken(maker.sample(1000, seed=1)).values()) == {0}
    assert set(broken(maker.sample(500, where={"total": (50, 100), "country": "country 1"})).values()) == {0}
    assert set(broken(maker.sample({"yes": 300}, to_balance=orders())).values()) == {0}


def test_without_rules_rows_break_them() -> None:
    train = TrainConfig(steps=60, batch_size=128, device="cpu")
    plain = Synthesizer(options={"width": 32, "hidden": 16}, train=train).fit(orders(), "late", rules=False)
    assert not plain.schema_.rules
    assert sum(broken(plain.sample(1000, seed=1)).values()) > 100


def test_a_condition_on_what_a_rule_decides_is_exact(maker: Synthesizer) -> None:
    made = maker.sample(300, where={"country": ["country 1", "country 2"], "total": (40, 90), "by_sea": 1})
    assert made["total"].between(40, 90).all() and set(made["country"]) <= {"country 1", "country 2"}
    assert (made["by_sea"] == 1).all() and set(broken(made).values()) == {0}


def test_rules_are_saved_and_told(maker: Synthesizer, tmp_path: object) -> None:
    again = Schema.from_json(maker.schema_.to_json())
    assert again.rules == maker.schema_.rules
    assert "column 'city' decides 'country'; synthetic rows keep to it" in again.notes()


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(country=frame["country"].where(frame.index != 7, "country 9")),
        lambda frame: frame.assign(total=frame["total"].where(frame.index != 7, 1.0)),
        lambda frame: frame.assign(end=frame["end"].where(frame.index != 7, pd.Timestamp("2020-01-01"))),
        lambda frame: frame.assign(by_air=frame["by_air"].where(frame.index != 7, 1 - frame["by_air"])),
    ],
)
def test_one_exception_is_enough(change: object) -> None:
    assert len(found(change(orders()), "late")) == 3  # type: ignore[operator]


def test_what_holds_by_chance_is_no_rule() -> None:
    rng = np.random.default_rng(0)
    n = 600
    frame = pd.DataFrame(
        {
            "small": rng.integers(0, 10, n),
            "large": rng.integers(100, 200, n),  # above it whatever the row
            "name": [f"n{k}" for k in rng.permutation(n) % 300],  # twice each: would decide anything
            "rare": np.where(np.arange(n) < 4, "x", "o"),
            "group": np.where(np.arange(n) < 4, "a", rng.choice(["b", "c"], n)),  # decides 'rare' in four rows
            "y": rng.choice(["u", "v"], n),
        }
    )
    assert found(frame, "y") == []
    assert found(orders(60), "late") == []


def test_pairs_the_wrong_way_round_are_exchanged_and_missing_cells_left() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0], "y": ["u", "v"]})
    schema = infer_schema(frame, "y", {"a": "continuous", "b": "continuous", "c": "continuous"})
    rules = (Rule("order", ("a", "b")), Rule("order", ("b", "c")))
    keeper = RuleKeeper(replace(schema, rules=rules))
    numbers = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [torch.nan, 5.0, 4.0]], dtype=torch.float64)
    kept, _ = keeper(numbers, torch.zeros(3, 0, dtype=torch.int64))
    assert kept[0].tolist() == [1, 2, 3] and kept[1].tolist() == [1, 2, 3]
    assert torch.isnan(kept[2, 0]) and kept[2, 1:].tolist() == [4, 5]
    assert len(Raw(kept.numpy(), np.zeros((3, 0), dtype=np.int64))) == 3


def test_an_exported_keeper_keeps_them_alike() -> None:
    frame = orders(300)
    schema = infer_schema(frame, "late")
    raw = to_raw(frame, schema)
    keeper = RuleKeeper(replace(schema, rules=find_rules(raw, schema)))
    rng = np.random.default_rng(1)  # rows of which every column is shuffled by itself break every rule
    numbers = torch.from_numpy(np.ascontiguousarray(rng.permuted(raw.numbers, axis=0)))
    codes = torch.from_numpy(np.ascontiguousarray(rng.permuted(raw.codes, axis=0)))
    proto = traced(keeper, (numbers, codes), ["numbers", "codes"], ["kept_numbers", "kept_codes"])
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, {"numbers": numbers.numpy(), "codes": codes.numpy()})
    expected = keeper(numbers, codes)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    assert not torch.equal(expected[0], numbers) and not torch.equal(expected[1], codes)
