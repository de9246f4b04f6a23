"""What every verdict is made of: a fair split, and figures that are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss

from gantools.evaluate.verdict import average_precision, brier, holdback, miscalibration, over_repeats, with_shares


def test_holdback_keeps_every_class_on_both_sides() -> None:
    codes = np.repeat([0, 1, 2, 3], [1000, 40, 2, 1])
    train, held = holdback(codes, holdout=0.25, seed=0)
    assert sorted([*train, *held]) == list(range(len(codes)))
    assert list(np.bincount(codes[held], minlength=4)) == [250, 10, 1, 0]
    assert len(holdback(codes, max_held=100)[1]) == pytest.approx(100, abs=3)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_that_of_scikit_learn(ties: bool) -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.2
    score = np.round(rng.random(300) + 0.3 * positive, 1 if ties else 9)
    weights = rng.integers(0, 4, (5, 300)).astype(float)
    expected = [average_precision_score(positive, score, sample_weight=row) for row in weights]
    np.testing.assert_allclose(average_precision(score, positive, weights), expected, rtol=1e-12)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, chance = rng.integers(0, 2, 200), rng.random(200)
    assert brier(truth, np.column_stack([1 - chance, chance])) == pytest.approx(brier_score_loss(truth, chance))


def test_probabilities_that_say_how_often_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(50_000)
    truth = (rng.random(50_000) < chance).astype(np.int64)
    honest = np.column_stack([1 - chance, chance])
    assert miscalibration(truth, honest) < 0.01
    assert miscalibration(truth, with_shares(honest, np.array([1, 1]), np.array([1, 9]))) > 0.1


def test_shares_are_exchanged_as_bayes_has_it() -> None:
    """Of two normal classes, whose probabilities are known under any shares; back again, they are as before."""
    x = np.linspace(-3, 3, 50)
    density = np.exp(-0.5 * np.column_stack([x, x - 1]) ** 2)
    known = {n: density * (100 - n, n) / (density * (100 - n, n)).sum(axis=1, keepdims=True) for n in (50, 5)}
    found = with_shares(known[50], np.array([50, 50]), np.array([95, 5]))
    assert found == pytest.approx(known[5])
    assert with_shares(found, np.array([95, 5]), np.array([50, 50])) == pytest.approx(known[50])


def test_classes_that_were_never_seen_have_no_probability() -> None:
    moved = with_shares(np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]), np.array([9, 1, 0]), np.array([1, 1, 1]))
    assert moved == pytest.approx(np.array([[0.1, 0.9, 0.0], [1 / 3, 1 / 3, 1 / 3]]))


def test_repeats_that_share_samples_are_less_sure_than_fresh_ones(rng: np.random.Generator) -> None:
    draws = list(rng.normal(0.5, 0.1, (3, 4000)))
    fresh, shared = over_repeats(draws, 0.0), over_repeats(draws, 0.25)
    assert fresh.std() == pytest.approx(0.1 / 3**0.5, rel=0.05)
    assert shared.std() == pytest.approx(1.5**0.5 * fresh.std()) and shared.mean() == pytest.approx(fresh.mean())
    np.testing.assert_allclose(over_repeats(draws[:1], 0.25), draws[0])
