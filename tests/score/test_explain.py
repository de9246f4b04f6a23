"""Reasons: contributions that add up, the column that is wrong named first, and words a user would choose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from gantools import AnomalyScorer
from gantools.data.tables.formatting import format_apart, format_cell, format_number, format_value
from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Column, Kind, infer_schema
from gantools.score import explain as module
from gantools.score.explain import explain
from gantools.score.reasons import Explanation, words

QUICK = {"steps": 30, "options": {"width": 16}, "random_state": 0, "device": "cpu"}


def table(n: int, seed: int) -> pd.DataFrame:
    """Length and weight go together, so do kind and legs; the rest is noise of every kind."""
    rng = np.random.default_rng(seed)
    length = rng.uniform(10, 50, n)
    kind = rng.choice(["bird", "cat"], n)
    return pd.DataFrame(
        {
            "length": length.round(1),
            "weight": (2 * length + rng.normal(0, 1, n)).round(2),
            "kind": kind,
            "legs": np.where(kind == "bird", "two", "four"),
            "age": rng.integers(0, 15, n),
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "tag": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )


@pytest.fixture(scope="module")
def scorer() -> AnomalyScorer:
    return AnomalyScorer(**QUICK).fit(table(600, 0))


def test_contributions_add_up_to_the_score(scorer: AnomalyScorer) -> None:
    rows = table(100, 1)
    rows.loc[3, "weight"], rows.loc[4, "kind"], rows.loc[5, "age"] = 500.0, "dog", -1000
    rows.loc[6] = [np.nan, np.nan, None, None, 3, pd.NaT, np.nan]
    found = scorer.explain(rows)
    assert list(found.columns) == list(rows.columns) and found.index.equals(rows.index)
    assert (found.to_numpy() >= 0).all() and np.isfinite(found.to_numpy()).all()
    np.testing.assert_allclose(found.sum(axis=1), scorer.anomaly_score(rows), rtol=1e-6)


def test_training_rows_are_explained_by_others(scorer: AnomalyScorer) -> None:
    """A remembered row is its own nearest neighbour, which would relieve no column."""
    rows = table(600, 0)
    raw = to_raw(rows, scorer.schema_)
    assert len(scorer.remembered_) == 600
    with torch.no_grad():
        tensors = torch.from_numpy(np.array(raw.numbers[:50])), torch.from_numpy(np.array(raw.codes[:50]))
        found = explain(scorer.head_, *tensors, scorer.remembered_)
    assert (found.alike != np.arange(50).reshape(-1, 1, 1)).all()


@pytest.mark.parametrize("name", ["length", "weight"])
def test_the_swapped_number_is_named(scorer: AnomalyScorer, name: str) -> None:
    """Each of the two numbers is usual in itself; the other columns say nothing of which is wrong, so both may be."""
    rows = table(200, 2)
    swapped = rows.assign(**{name: rows[name].max() + rows[name].min() - rows[name]})
    far = (rows[name] - rows[name].mean()).abs() > 0.5 * rows[name].std()
    found = scorer.explain(swapped[far])
    assert found.idxmax(axis=1).isin(["length", "weight"]).mean() > 0.95


def test_of_three_that_go_together_the_wrong_one_is_named() -> None:
    rng = np.random.default_rng(0)

    def rows(n: int) -> pd.DataFrame:
        a = rng.uniform(0, 10, n)
        others = {f"n{j}": rng.normal(size=n) for j in range(3)}
        return pd.DataFrame({"a": a, "b": 3 - a + 0.1 * rng.normal(size=n), "c": a**2, **others})

    scorer = AnomalyScorer(**QUICK).fit(rows(800))
    test = rows(100)
    for name in ("a", "b", "c"):
        swapped = test.assign(**{name: test[name].max() + test[name].min() - test[name]})
        far = (swapped[name] - test[name]).abs() > 0.4 * (test[name].max() - test[name].min())
        assert (scorer.explain(swapped[far]).idxmax(axis=1) == name).mean() > 0.9


def test_the_swapped_level_is_named(scorer: AnomalyScorer) -> None:
    rows = table(60, 3)
    swapped = rows.assign(legs=np.where(rows["legs"] == "two", "four", "two"))
    assert scorer.explain(swapped).idxmax(axis=1).isin(["kind", "legs"]).mean() > 0.95
    reason = scorer.assess(swapped.iloc[:20], explain=True)["reason"]
    assert reason.str.contains(r"(?:legs '(?:two|four)'|kind '(?:bird|cat)') where rows like it have '").mean() > 0.9


def test_many_columns_and_few_rows_in_any_order(scorer: AnomalyScorer) -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(60, 120)), columns=[f"x{j}" for j in range(120)])
    found = AnomalyScorer(**QUICK).fit(wide)
    odd = wide[:5].copy()
    odd.iloc[:, 77] = 40.0
    explained = found.explain(odd)
    assert (explained.idxmax(axis=1) == "x77").all()
    pd.testing.assert_frame_equal(explained[::-1], found.explain(odd[::-1]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_rows", [4, 5, 30])
def test_a_handful_of_training_rows(n_rows: int) -> None:
    scorer = AnomalyScorer(**QUICK).fit(table(n_rows, 0))
    found = scorer.assess(table(5, 1), explain=True)
    assert (found["reason"] != "").all()


def test_parts_do_not_matter(scorer: AnomalyScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(50, 4)
    whole = scorer.explain(rows)
    monkeypatch.setattr(module, "SOME_ROWS", 3)
    monkeypatch.setattr(module, "CHUNK_ROWS", 11)
    np.testing.assert_allclose(scorer.explain(rows), whole, rtol=1e-3, atol=1e-3)


def test_no_rows(scorer: AnomalyScorer) -> None:
    assert scorer.explain(table(5, 0).head(0)).shape == (0, 7)
    assert list(scorer.assess(table(5, 0).head(0), explain=True)) == [
        "anomaly_score", "p_value", "is_anomaly", "reason",
    ]  # fmt: skip


@pytest.mark.gpu
def test_reasons_on_a_gpu_are_those_of_the_cpu(scorer: AnomalyScorer) -> None:
    rows = table(50, 5)
    on_cpu = scorer.explain(rows)
    on_gpu = scorer.to("cuda").explain(rows)
    scorer.to("cpu")
    assert (on_gpu.idxmax(axis=1) == on_cpu.idxmax(axis=1)).mean() > 0.9


# --- words ---


def reason(trained: pd.DataFrame, row: dict[str, object], name: str) -> str:
    """The words for one column of one row, with the first twenty training rows as those most like it."""
    schema = infer_schema(trained)
    cells = pd.DataFrame([row], columns=trained.columns)
    remembered, raw = to_raw(trained, schema), to_raw(cells, schema)
    c = [*schema.numeric, *schema.categorical].index(name)
    contribution = np.zeros((1, len(schema.names)))
    contribution[0, c] = 1.0
    alike = np.arange(min(20, len(trained))).reshape(1, 1, -1)
    return words(Explanation(contribution, np.array([[c]]), alike), raw, cells, schema, remembered)[0]


def sample() -> pd.DataFrame:
    """The first twenty rows are young, poor and from Bern."""
    n = 200
    i = np.arange(n)
    return pd.DataFrame(
        {
            "capital_gain": np.where(i % 50 == 49, 7688, 0),
            "price": np.where(i < 20, 1.25 + i % 4, 40 + i / 4).round(2),
            "mass": np.where(i < 20, 1e-3 * (1 + i % 7 / 7), 6.352e4 * (1 + i / n)) * np.pi,
            "joined": pd.Timestamp("2021-03-01") + pd.to_timedelta(i, unit="D"),
            "at": pd.Timestamp("2021-03-01") + pd.to_timedelta(i * 1801, unit="s"),
            "text_day": (pd.Timestamp("2021-03-01") + pd.to_timedelta(i, unit="D")).strftime("%d.%m.%Y"),
            "wait": pd.to_timedelta(i * 60 + 60, unit="s"),
            "city": np.where(i < 20, "Bern", np.where(i % 2, "Lyon", "Turin")),
            "member": i >= 20,
            "income": np.where(i % 9 == 5, np.nan, 1000.0 + 10 * i),
            "grade": pd.Series(np.where(i < 20, 1, 2)).astype("category"),
        }
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("capital_gain", 99999, "capital_gain 99999 where 0 to 7688 is usual"),
        ("capital_gain", -1, "capital_gain -1 where 0 to 7688 is usual"),
        ("capital_gain", 10**12, "capital_gain 1000000000000 where 0 to 7688 is usual"),
        ("price", 50.5, "price 50.50 where rows like it have 1.25 to 4.25"),
        ("price", 1000, "price 1000.00 where 1.25 to 89.50 is usual"),
        ("price", 0.12345, "price 0.1235 where 1.25 to 89.50 is usual"),
        ("mass", 1e6, "mass 1000000 where 0.003142 to 397112 is usual"),
        ("mass", 0.0, "mass 0 where 0.003142 to 397112 is usual"),
        ("mass", 250_000.0, "mass 250000 where rows like it have 0.003142 to 0.005834"),
        ("joined", pd.Timestamp("2031-01-01"), "joined 2031-01-01 where 2021-03-02 to 2021-09-15 is usual"),
        ("joined", pd.Timestamp("2021-08-01"), "joined 2021-08-01 where rows like it have 2021-03-01 to 2021-03-20"),
        ("joined", pd.Timestamp("2031-01-01 07:30"),
         "joined 2031-01-01 07:30:00 where 2021-03-02 to 2021-09-15 is usual"),
        ("at", pd.Timestamp("2020-01-01"), "at 2020-01-01 where 2021-03-01 00:30:01 to 2021-03-05 03:03:18 is usual"),
        ("text_day", "01.01.2031", "text_day 01.01.2031 where 02.03.2021 to 15.09.2021 is usual"),
        ("wait", pd.Timedelta(days=9), "wait 9 days where 00:02:00 to 03:19:00 is usual"),
        ("city", "Turin", "city 'Turin' where rows like it have 'Bern'"),
        ("city", "Atlantis", "city 'Atlantis', which was never seen"),
        ("city", None, "city missing where it never is"),
        ("city", "Bern", "city 'Bern' unusual together with the rest"),
        ("member", True, "member True where rows like it have False"),
        ("grade", 2, "grade 2 where rows like it have 1"),
        ("grade", 5, "grade 5, which was never seen"),
        ("price", np.nan, "price missing where it never is"),
        ("income", np.nan, "income missing where rows like it have 1000 to 1190"),
        ("income", 1100.0, "income 1100 unusual together with the rest"),
        ("income", 1185.0, "income 1185 where rows like it mostly have 1030 to 1160"),
    ],
)  # fmt: skip
def test_words(name: str, value: object, said: str) -> None:
    frame = sample()
    row = {**frame.iloc[0].to_dict(), name: value}
    assert reason(frame, row, name) == said


def test_words_for_rare_levels() -> None:
    common = [f"shop {i % 100}" for i in range(400)]
    rare = [f"once {i}" for i in range(50)]
    trained = pd.DataFrame({"shop": common + rare})
    assert infer_schema(trained)["shop"].n_pooled == 50
    said = reason(trained, {"shop": "once 3"}, "shop")
    assert said == "shop 'once 3' (rare) where rows like it have 'shop 0' or 'shop 1' or 'shop 2'"
    trained = pd.DataFrame({"shop": rare + common})
    assert reason(trained, {"shop": "shop 1"}, "shop") == "shop 'shop 1' where rows like it have another rare one"


def test_a_reason_names_two_columns_at_most_and_only_those_that_matter() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 4)), columns=list("abcd"))
    schema = infer_schema(frame)
    raw = to_raw(frame, schema)
    contribution = np.array([[1.0, 5.0, 4.0, 3.0], [1.0, 0.1, 0.0, 0.4], [0.0, 0.0, 2.0, 1.0]])
    suspects, alike = np.tile(np.arange(4), (3, 1)), np.zeros((3, 4, 2), dtype=np.int64)
    said = words(Explanation(contribution, suspects, alike), raw.take(np.arange(3)), frame[:3], schema, raw)
    assert [[part.split()[0] for part in each.split("; ")] for each in said] == [["b", "c"], ["a"], ["c", "d"]]


def test_a_column_that_was_not_tried_has_words_too() -> None:
    frame = pd.DataFrame({"a": np.arange(50) // 2, "b": np.arange(50) // 2})
    schema = infer_schema(frame)
    raw = to_raw(frame, schema)
    explanation = Explanation(np.array([[0.0, 1.0]]), np.array([[0]]), np.zeros((1, 1, 3), dtype=np.int64))
    assert words(explanation, Raw(raw.numbers[:1], raw.codes[:1]), frame[:1], schema, raw) == [
        "b 0 unusual together with the rest"
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (63520.4, "63520"), (-63520.6, "-63521"), (1e14, "100000000000000"), (1e20, "1e+20"), (0.5, "0.5"),
        (0.000123456, "0.0001235"), (1e-9, "1e-09"), (0.0, "0"), (-2.0, "-2"), (9.99996, "10"), (100.0, "100"),
    ],
)  # fmt: skip
def test_plain_numbers(value: float, text: str) -> None:
    assert format_number(value) == text


def test_numbers_are_told_apart_that_look_alike() -> None:
    free = Column("x", Kind.CONTINUOUS, "float64")
    assert format_value(6.35201, free) == format_value(6.352, free) == "6.352"
    assert format_apart(6.35201, 6.352, free) == "6.35201"
    assert format_apart(np.nextafter(6.352, 9), 6.352, free) != "6.352"
    whole = Column("x", Kind.INTEGER, "int64", decimals=0)
    assert (
        format_value(7.0, whole) == "7" and format_value(7.5, whole) == "7.5" and format_value(1e300, whole) == "1e+300"
    )
    assert format_value(-0.0, Column("x", Kind.CONTINUOUS, "float64", decimals=2)) == "0.00"


def test_moments_are_spelt_in_their_zone() -> None:
    zoned = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=80, freq="h", tz="Asia/Tokyo")})
    column = infer_schema(zoned)["t"]
    assert format_value(float(to_raw(zoned, infer_schema(zoned)).numbers[0, 0]), column) == "2024-01-01"


def test_cells() -> None:
    assert [format_cell(value) for value in ("a", np.int64(3), True, np.str_("b"), 2.5)] == [
        "'a'",
        "3",
        "True",
        "'b'",
        "2.5",
    ]


def test_long_texts_lose_their_middle() -> None:
    """What two long texts begin with alone would not tell them apart."""
    assert format_cell("x" * 60) == repr("x" * 60)
    assert format_cell("x" * 300 + "\n" + "y" * 20) == repr("x" * 30 + "..." + "x" * 6 + "\n" + "y" * 20)
