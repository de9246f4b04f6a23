"""What every verdict is made of: a fair split, and figures that are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from gantools.evaluate.verdict import average_precision, holdback


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
