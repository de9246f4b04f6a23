"""Counting scores chunk by chunk: the same figures as all scores at once would give."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score, roc_curve

from gantools.evaluate.scores import ScoreTally, top_rows


def tallied(scores: np.ndarray, threshold: float, marks: np.ndarray | None = None, chunk: int = 97) -> ScoreTally:
    tally = ScoreTally(n_top=5)
    for start in range(0, len(scores), chunk):
        part = scores[start : start + chunk]
        index = pd.RangeIndex(start, start + len(part))
        found = {"anomaly_score": part, "p_value": 1 / (1 + part), "is_anomaly": part > threshold}
        assessed = pd.DataFrame(found, index=index)
        frame = pd.DataFrame({"cell": part * 2}, index=index)
        tally.update(frame, assessed, None if marks is None else marks[start : start + chunk])
    return tally


@pytest.fixture
def scores(rng: np.random.Generator) -> np.ndarray:
    return rng.lognormal(0, 0.7, 3000)


def test_counts(scores: np.ndarray) -> None:
    scores[7] = np.nan
    tally = tallied(scores, 2.0)
    assert (tally.n_rows, tally.n_unscored) == (3000, 1)
    assert tally.n_anomalous == (scores > 2).sum()
    assert tally.detection() is None


def test_the_top_is_that_of_the_whole_table(scores: np.ndarray) -> None:
    scores[[3, 2900]] = [80, 90]
    tally = tallied(scores, 2.0)
    expected = np.argsort(-scores)[:5]
    assert tally.top.index.tolist() == expected.tolist()
    assert tally.top["cell"].tolist() == (scores[expected] * 2).tolist()


def test_the_top_of_few_rows(scores: np.ndarray) -> None:
    assert len(tallied(scores[:3], 2.0).top) == 3


def test_detection_agrees_with_sklearn(scores: np.ndarray, rng: np.random.Generator) -> None:
    """Rows whose mark is not known do not count."""
    marks = np.where(rng.random(3000) < 0.05, 1.0, 0.0)
    scores = np.where(marks == 1, scores * 2.5, scores)
    marks[::7] = np.nan
    found = tallied(scores, 3.0, marks).detection()
    known = ~np.isnan(marks)
    truth, seen = marks[known], scores[known]
    assert found is not None
    assert found.n_anomalous == truth.sum()
    assert found.n_normal == (truth == 0).sum()
    assert found.roc_auc == pytest.approx(roc_auc_score(truth, seen), abs=1e-4)
    assert found.average_precision == pytest.approx(average_precision_score(truth, seen), abs=1e-3)
    assert found.precision == pytest.approx(precision_score(truth, seen > 3))
    assert found.recall == pytest.approx(recall_score(truth, seen > 3))


def test_ties_count_half() -> None:
    found = tallied(np.ones(100), 2.0, np.arange(100) % 2.0).detection()
    assert found is not None
    assert found.roc_auc == 0.5
    assert found.average_precision == 0.5
    assert found.precision is None
    assert found.recall == 0


@pytest.mark.parametrize("marked", [0.0, 1.0, np.nan])
def test_one_kind_of_marks_tells_nothing(scores: np.ndarray, marked: float) -> None:
    assert tallied(scores, 2.0, np.full(3000, marked)).detection() is None


def test_the_histogram_holds_every_row(scores: np.ndarray) -> None:
    histogram = tallied(scores, 2.0).histogram(30)
    edges, shares = np.array(histogram.edges), np.array(histogram.shares)
    assert len(edges) == 31
    assert shares.sum() == pytest.approx(1)
    assert edges[0] == pytest.approx(scores.min(), rel=1e-3)
    assert edges[-1] == pytest.approx(scores.max(), rel=1e-3)
    assert shares[edges[:-1] > 2].sum() == pytest.approx((scores > 2).mean(), abs=0.05)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [1e300, 1.0], [np.inf, 1.0], [np.nan]])
def test_odd_scores(values: list[float]) -> None:
    tally = tallied(np.array(values), 2.0)
    edges, shares = np.array(tally.histogram().edges), np.array(tally.histogram().shares)
    assert np.isfinite(edges).all() and (np.diff(edges) > 0).all()
    assert shares.sum() == pytest.approx(0 if np.isnan(values[0]) else 1)


def test_the_tally_as_json(scores: np.ndarray) -> None:
    """Counts, distribution and detection, as any JSON writer takes them."""
    tally = tallied(scores, 2.0, np.where(scores > 3, 1.0, 0.0))
    found = json.loads(json.dumps(tally.to_json()))
    assert (found["n_anomalous"], found["n_unscored"]) == ((scores > 2).sum(), 0)
    assert sum(found["histogram"]["shares"]) == pytest.approx(1)
    assert len(found["histogram"]["edges"]) == len(found["histogram"]["shares"]) + 1
    assert found["detection"]["roc_auc"] == 1


def test_top_rows_have_plain_values() -> None:
    """Whatever the cells' types are; rows are counted from 1."""
    top = pd.DataFrame(
        {
            "n": pd.array([3, None], dtype="Int64"),
            "x": np.array([0.5, np.nan]),
            "when": pd.to_datetime(["2024-02-03", None]),
            7: ["a", "b"],
            "anomaly_score": [9.0, 8.0],
            "p_value": [0.01, 0.02],
            "is_anomaly": [True, False],
            "reason": ["n: 3 is high", "x: no value"],
        },
        index=[41, 2],
    )
    first, second = json.loads(json.dumps([row.to_json() for row in top_rows(top)]))
    assert first == {
        "row": 42,
        "anomaly_score": 9.0,
        "p_value": 0.01,
        "is_anomaly": True,
        "reason": "n: 3 is high",
        "cells": {"n": 3, "x": 0.5, "when": "2024-02-03 00:00:00", "7": "a"},
    }
    assert second["row"] == 3 and second["cells"] == {"n": None, "x": None, "when": None, "7": "b"}
    assert top_rows(pd.DataFrame()) == ()


def test_a_moment_that_its_zone_has_no_clock_for_is_shown_in_utc() -> None:
    moments = pd.Series(np.array(["29349-01-01", "2020-01-01"], "datetime64[us]")).dt.tz_localize("UTC")
    top = pd.DataFrame({"x": moments.astype(pd.DatetimeTZDtype("us", "Europe/Berlin"))})
    top = top.assign(anomaly_score=1.0, p_value=0.5, is_anomaly=False, reason="")
    assert [row.to_json()["cells"]["x"] for row in top_rows(top)] == [
        "29349-01-01 00:00:00+00:00", "2020-01-01 00:00:00+00:00",
    ]  # fmt: skip


def test_operating_points_agree_with_sklearn(scores: np.ndarray, rng: np.random.Generator) -> None:
    """Every point is one of scikit-learn's ROC curve, from nothing flagged to everything."""
    marks = np.where(rng.random(3000) < 0.1, 1.0, 0.0)
    scores = np.where(marks == 1, scores * 2, scores)
    points = tallied(scores, 3.0, marks).operating_points()
    false_alarms, recall, _ = roc_curve(marks, scores, drop_intermediate=False)
    curve = np.stack([false_alarms, recall], 1)
    for point in points:
        near = np.abs(curve - [point.false_alarms, point.recall]).sum(1).min()
        assert near < 0.01
        flagged = scores >= point.threshold * (1 - 5e-4)
        assert point.precision == pytest.approx(marks[flagged].mean(), abs=0.02)
    assert len(points) <= 100
    assert (points[-1].false_alarms, points[-1].recall) == (1, 1)
    for rate, point in tallied(scores, 3.0, marks).allowing():
        within = recall[false_alarms <= rate].max()
        assert point.false_alarms <= rate and point.recall == pytest.approx(within, abs=0.01)


def test_p_values_of_normal_rows_are_even(rng: np.random.Generator) -> None:
    p_values = np.append(rng.random(20_000), [0.0, 1.0])
    found = pd.DataFrame({"anomaly_score": 1.0, "p_value": p_values, "is_anomaly": False})
    tally = ScoreTally()
    tally.update(found, found)
    assert len(tally.p_values()) == 20
    np.testing.assert_allclose(tally.p_values(), 0.05, atol=0.005)


def test_tallies_of_parts_make_that_of_the_whole() -> None:
    """Sent from one process to another and merged in order, they say what one tally of all rows says."""
    rng = np.random.default_rng(0)
    n = 1000
    frame = pd.DataFrame({"x": rng.normal(size=n), "kind": rng.choice(["a", "b"], n)})
    score = np.where(rng.random(n) < 0.01, np.nan, rng.choice(rng.lognormal(size=300), n))
    assessed = pd.DataFrame({"anomaly_score": score, "p_value": rng.random(n), "is_anomaly": score > 3})
    marks, times = rng.choice([0.0, 1.0, np.nan], n), np.where(rng.random(n) < 0.1, np.nan, np.arange(n) * 7e6)
    whole, merged, first = ScoreTally(20), ScoreTally(20), 0
    for rows in np.array_split(np.arange(n), [1, 40, 41, 700]):
        part = ScoreTally(20, first)
        for tally in (whole, part):
            tally.update(frame.iloc[rows], assessed.iloc[rows], marks[rows], times[rows])
        sent = pickle.dumps(part)
        assert len(sent) < 100_000
        merged.merge(pickle.loads(sent))
        first += len(rows)
    assert merged.to_json() == whole.to_json() and merged.n_rows == n
    pd.testing.assert_frame_equal(merged.top, whole.top)
