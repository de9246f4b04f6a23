"""Losses against their formulas, written out."""

from __future__ import annotations

import math

import pytest
import torch

from gantools import losses

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 1.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_nonsaturating() -> None:
    want = -sum(math.log(sigmoid(r)) for r in (2, 0)) / 2 - sum(math.log(1 - sigmoid(f)) for f in (-1, 1)) / 2
    assert losses.discriminator_nonsaturating(REAL, FAKE).item() == pytest.approx(want, rel=1e-5)
    assert losses.generator_nonsaturating(FAKE).item() == pytest.approx(
        -(math.log(sigmoid(-1)) + math.log(sigmoid(1))) / 2
    )


def test_label_smoothing_punishes_certainty_about_real_rows_only() -> None:
    sure, none = torch.tensor([20.0]), torch.tensor([-20.0])
    assert losses.discriminator_nonsaturating(sure, none).item() == pytest.approx(0, abs=1e-6)
    assert losses.discriminator_nonsaturating(sure, none, smoothing=0.1).item() == pytest.approx(2.0, rel=1e-3)


def test_relativistic_pairs_real_with_generated() -> None:
    want = -(math.log(sigmoid(3)) + math.log(sigmoid(-1))) / 2
    assert losses.discriminator_relativistic(REAL, FAKE).item() == pytest.approx(want, rel=1e-5)
    assert losses.generator_relativistic(FAKE, REAL).item() == pytest.approx(want, rel=1e-5)


def test_wasserstein() -> None:
    assert losses.discriminator_wasserstein(REAL, FAKE).item() == -1.0
    assert losses.generator_wasserstein(FAKE).item() == 0.0


def test_penalties_of_a_linear_critic_are_known() -> None:
    weight = torch.tensor([3.0, 4.0])
    x = torch.randn(5, 2, requires_grad=True)
    assert losses.gradient_norm_penalty(x @ weight, x).item() == pytest.approx(25.0)
    value = losses.interpolation_penalty(lambda t: t @ weight, torch.randn(5, 2), torch.randn(5, 2), torch.rand(5))
    assert value.item() == pytest.approx(16.0, rel=1e-5)


def test_the_penalty_can_be_learned_from() -> None:
    critic = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x = torch.randn(6, 2, requires_grad=True)
    losses.gradient_norm_penalty(critic(x).squeeze(1), x).backward()
    assert critic[0].weight.grad is not None and critic[0].weight.grad.abs().sum() > 0
