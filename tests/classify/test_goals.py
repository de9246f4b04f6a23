"""What decisions are made for, and probabilities that are put right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from gantools.classify.goals import Decision, Goal, calibrated
from gantools.errors import ConfigError


def held_back(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes, a tenth of them 1, and the true probability of each."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-3.2, 2, n)
    p = 1 / (1 + np.exp(-odds))
    return (rng.random(n) < p).astype(np.int64), np.stack([1 - p, p], 1)


@pytest.mark.parametrize("text", ["balanced-accuracy", "f1", "recall=0.9", "cost=10:1"])
def test_a_goal_is_read_as_it_is_written(text: str) -> None:
    assert str(Goal.read(text)) == text


@pytest.mark.parametrize(
    "text", ["", "auc", "recall", "recall=0", "recall=1.5", "recall=x", "cost=1:0", "cost=-1", "f1=2"]
)
def test_what_is_no_goal_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"goal: .* is no goal; write balanced-accuracy, f1, recall=0.9 or cost=10:1"):
        Goal.read(text)


def test_recall_and_cost_need_two_classes() -> None:
    Goal.read("f1").check(3)
    with pytest.raises(ConfigError, match="recall needs two classes, and there are 3"):
        Goal.read("recall=0.8").check(3)


def test_each_goal_is_reached_on_other_rows() -> None:
    truth, p = held_back()
    counts, (others, q) = np.bincount(truth), held_back(seed=1)
    found = {}
    for goal in ("balanced-accuracy", "f1", "recall=0.9", "cost=10:1"):
        decision = Decision.fitted(Goal.read(goal), counts, counts, truth, p)
        found[goal] = decision(torch.from_numpy(q))[1].numpy()
    usual = q.argmax(1)
    assert balanced_accuracy_score(others, found["balanced-accuracy"]) > balanced_accuracy_score(others, usual) + 0.05
    assert f1_score(others, found["f1"], average="macro") > f1_score(others, usual, average="macro")
    assert 0.85 < found["recall=0.9"][others == 1].mean() < 0.95

    def cost(hat: np.ndarray) -> int:
        return int(10 * ((others == 1) & (hat == 0)).sum() + ((others == 0) & (hat == 1)).sum())

    assert cost(found["cost=10:1"]) == min(cost(hat) for hat in [*found.values(), usual])


def test_probabilities_that_are_too_sure_are_put_right() -> None:
    truth, p = held_back()
    sure = p**3 / (p**3).sum(1, keepdims=True) * [1, 4]
    sure /= sure.sum(1, keepdims=True)
    counts = np.bincount(truth)
    decision = Decision.fitted(Goal("f1"), counts, counts, truth, sure)
    others, q = held_back(seed=1)
    wrong = q**3 / (q**3).sum(1, keepdims=True) * [1, 4]
    wrong /= wrong.sum(1, keepdims=True)
    right = decision(torch.from_numpy(wrong))[0].numpy()
    assert log_loss(others, right) < log_loss(others, q) + 0.005 < log_loss(others, wrong) - 0.05


def test_the_shares_that_were_trained_on_are_divided_out() -> None:
    truth, p = held_back()
    counts = np.bincount(truth)
    balanced = p / counts
    balanced /= balanced.sum(1, keepdims=True)
    decision = Decision.fitted(Goal("f1"), counts, np.array([50, 50]), truth, p)
    found = decision(torch.from_numpy(balanced))[0].numpy()
    np.testing.assert_allclose(found, decision.settled(torch.from_numpy(p))[0].numpy(), atol=1e-3)


def test_few_rows_move_probabilities_little() -> None:
    truth, p = held_back(12)
    scale, bias = calibrated(truth, p)
    assert 0.4 < scale < 2.5 and np.abs(bias).max() < 1
