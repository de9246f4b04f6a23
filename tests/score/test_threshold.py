"""p-values, verdicts, tails and the best F1: what their numbers promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from gantools.errors import ConfigError, DataError, TrainingError
from gantools.score.threshold import Calibration, best_f1, tail_end

RATES = (0.001, 0.01, 0.05, 0.07, 0.1, 0.29, 0.5, 0.57, 0.58, 0.99)
TAILS = {
    "exponential": stats.expon(),
    "half normal": stats.halfnorm(),
    "chi squared": stats.chi2(5),
    "gamma": stats.gamma(0.5),
    "log-normal": stats.lognorm(1),
    "Pareto": stats.pareto(4),
    "t squared": stats.f(1, 4),
}


def scores(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0, 1, n)


def test_p_value_counts_the_row_itself_and_ties() -> None:
    calibration = Calibration.fit([3.0, 1.0, 2.0, 2.0])
    assert calibration.p_value([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 9.0]) * 5 == pytest.approx([5, 5, 4, 4, 2, 2, 1])
    assert calibration.p_value(2.0).shape == () and calibration.p_value(np.ones((2, 3))).shape == (2, 3)
    assert calibration.finest == 1 / 5


def test_a_row_without_a_score_is_neither_normal_nor_an_anomaly() -> None:
    for tail in (False, True):
        calibration = Calibration.fit(scores(2000), tail=tail)
        p = calibration.p_value([math.nan, 1.0, math.inf])
        assert math.isnan(p[0]) and p[2] == calibration.finest < p[1]


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_verdict_and_p_value_never_disagree(tail: bool, ties: bool) -> None:
    """On scores everywhere, the held-out ones and their neighbours among floating-point numbers included."""
    held_out = np.round(scores(2000), 1) if ties else scores(2000)
    calibration = Calibration.fit(held_out, tail=tail)
    assert (calibration.tail is not None) == tail
    for rate in (*RATES, *np.arange(1, 2001, 97) / 2001, 1e-4, 1e-5, calibration.finest):
        limit = calibration.threshold(rate)
        tried = np.concatenate([held_out, scores(500, seed=1) * 30, [limit, np.inf, 1e300, 0.0]])
        tried = np.concatenate([tried, np.nextafter(tried, np.inf), np.nextafter(tried, -np.inf)])
        assert ((tried > limit) == (calibration.p_value(tried) <= rate)).all(), rate


@pytest.mark.parametrize("n", [1, 5, 19, 20, 99, 100, 2000])
def test_counted_threshold_is_where_p_values_change(n: int) -> None:
    calibration = Calibration.fit(scores(n))
    for rate in RATES:
        limit = calibration.threshold(rate)
        assert ((calibration.scores > limit) == (calibration.p_value(calibration.scores) <= rate)).all()
        assert math.isinf(limit) == (rate < calibration.finest)


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_false_alarms_on_fresh_rows_are_as_asked(rate: float) -> None:
    """Over many calibrations: never above the rate asked for, and not far below it."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        calibration = Calibration.fit(rng.gamma(2, 1, 500))
        shares.append((rng.gamma(2, 1, 2000) > calibration.threshold(rate)).mean())
    error = np.std(shares) / math.sqrt(len(shares))
    promised = math.floor(rate * 501) / 501
    assert abs(np.mean(shares) - promised) < 3 * error and error < 0.05 * rate


def test_false_alarms_stay_below_the_rate_with_ties() -> None:
    """Scores of five values: the promise holds, at the cost of fewer alarms."""
    rng = np.random.default_rng(0)
    levels = [0.5, 0.3, 0.12, 0.05, 0.03]
    shares = []
    for _ in range(100):
        calibration = Calibration.fit(rng.choice(5, 400, p=levels), tail=True)
        assert calibration.tail is None
        shares.append((rng.choice(5, 2000, p=levels) > calibration.threshold(0.05)).mean())
    assert 0.02 < np.mean(shares) < 0.05


@pytest.mark.parametrize("name", TAILS)
def test_tail_reaches_a_rate_that_counting_cannot(name: str) -> None:
    """1 in 10,000 from 2,000 rows: within a factor 2 in the middle of many calibrations, 8 in nine of ten."""
    law, rng = TAILS[name], np.random.default_rng(0)
    true = []
    for _ in range(100):
        held_out = law.rvs(2000, random_state=rng)
        assert math.isinf(Calibration.fit(held_out).threshold(1e-4))
        true.append(law.sf(Calibration.fit(held_out, tail=True).threshold(1e-4)))
    assert 0.5e-4 < np.median(true) < 2e-4
    assert np.quantile(true, 0.9) < 8e-4
    assert np.quantile(true, 0.1) > 1e-4 / 10


def test_tail_and_counting_agree_where_both_can_tell() -> None:
    fresh = scores(100_000, seed=1)
    tail = Calibration.fit(scores(20_000), tail=True)
    for rate in (0.01, 0.05):
        assert (fresh > tail.threshold(rate)).mean() == pytest.approx(rate, rel=0.1)
    p = tail.p_value(np.sort(fresh))
    assert (np.diff(p) <= 0).all() and p.min() >= tail.finest


@pytest.mark.parametrize(
    ("what", "held_out"),
    [
        ("few rows", scores(299)),
        ("one value", np.ones(5000)),
        ("two values", np.repeat([1.0, 2.0], [4000, 1000])),
        ("ties at the top", np.minimum(scores(5000), 2.0)),
        ("infinite", np.append(scores(5000), math.inf)),
        ("nearly all zero", np.append(np.zeros(5000), scores(20))),
    ],
)
def test_where_no_tail_can_be_told_counting_remains(what: str, held_out: np.ndarray) -> None:
    calibration = Calibration.fit(held_out, tail=True)
    assert calibration.tail is None
    assert calibration.finest == 1 / (len(held_out) + 1)
    limit = calibration.threshold(0.2)
    assert (held_out > limit).mean() <= 0.2


@pytest.mark.parametrize("factor", [1e-200, 1e-12, 1e12, 1e200])
def test_tail_does_not_depend_on_the_unit(factor: float) -> None:
    usual = Calibration.fit(scores(2000), tail=True)
    other = Calibration.fit(scores(2000) * factor, tail=True)
    assert other.threshold(1e-4) / factor == pytest.approx(usual.threshold(1e-4), rel=1e-6)


def test_uniform_scores_have_a_tail_that_ends() -> None:
    """Evenly spread held-out scores, and ones with a shape of exactly 0, are no trap for the fit."""
    for held_out in (np.arange(1.0, 2001.0), -np.log(np.arange(1.0, 2001.0) / 2001)):
        calibration = Calibration.fit(held_out, tail=True)
        limit = calibration.threshold(1e-4)
        assert held_out.max() * 0.95 < limit < held_out.max() * 2


def test_tensors_give_the_same_calibration_back() -> None:
    for tail in (False, True):
        calibration = Calibration.fit(scores(2000), tail=tail)
        again = Calibration.from_tensors(calibration.to_tensors())
        assert again.tail == calibration.tail and again.threshold(0.003) == calibration.threshold(0.003)
        assert (again.p_value(scores(50, seed=1)) == calibration.p_value(scores(50, seed=1))).all()


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(DataError, match="no held-out rows"):
        Calibration.fit([])
    with pytest.raises(TrainingError, match="1 of 3 held-out rows have no score"):
        Calibration.fit([1.0, math.nan, 2.0])
    for rate in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(ConfigError, match="false_alarms: must lie between 0 and 1"):
            Calibration.fit([1.0]).threshold(rate)


@pytest.mark.parametrize("seed", range(30))
def test_best_f1_is_the_best_of_all_cuts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    decimals = int(rng.integers(0, 3))  # few decimals: many ties
    normal = np.round(rng.normal(0, 1, rng.integers(1, 60)), decimals)
    anomalous = np.round(rng.normal(1, 1, rng.integers(1, 20)), decimals)
    limit, f1 = best_f1(normal, anomalous)
    both, truth = np.append(normal, anomalous), np.repeat([False, True], [len(normal), len(anomalous)])
    tried = [f1_score(truth, both > cut) for cut in (-np.inf, *both)]
    assert f1 == pytest.approx(max(tried)) == pytest.approx(f1_score(truth, both > limit))
    assert not np.isin(limit, both)


def test_best_f1_at_the_edges() -> None:
    assert best_f1([1.0, 2.0], [5.0, 6.0]) == (3.5, 1.0)
    assert best_f1([1.0], [math.inf]) == (1.0, 1.0)  # nothing lies between
    above = np.nextafter(1.0, 2.0)
    assert best_f1([1.0], [above]) == (1.0, 1.0)
    limit, f1 = best_f1([3.0, 3.0], [3.0])  # cannot be told apart: all are flagged
    assert limit < 3.0 and f1 == pytest.approx(0.5)
    assert best_f1([], [2.0])[1] == 1.0
    assert best_f1([1.0, 4.0], [2.0, 2.0, 4.0, 6.0])[1] == pytest.approx(8 / 9)
    with pytest.raises(DataError, match="no row is marked"):
        best_f1([1.0], [])
    with pytest.raises(DataError, match="1 labelled rows have no score"):
        best_f1([1.0, math.nan], [2.0])


def test_the_tail_of_normal_samples_ends_before_anomalies() -> None:
    """Nothing of normal or heavy-tailed data is beyond it; most of far samples are, up to one in twenty."""
    rng = np.random.default_rng(0)
    normal, skewed = np.log(rng.chisquare(6, 2000)), np.log(rng.chisquare(1, 2000))
    assert not (normal > tail_end(normal)).any()
    assert not (skewed > tail_end(skewed)).any()
    mixed = np.concatenate([normal, rng.uniform(7, 8, 100)])
    assert (mixed > tail_end(mixed)).sum() == 100
    assert tail_end(np.zeros(50)) == np.inf
