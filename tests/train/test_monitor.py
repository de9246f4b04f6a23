"""The health of a run, and how far samples are from real ones."""

from __future__ import annotations

import pytest
import torch

from gantools.train.monitor import HealthMonitor, energy_distance


def test_the_monitor_names_the_class_and_forgives_bad_starts() -> None:
    monitor = HealthMonitor()
    assert monitor.look(0.1, [0.1, 1.0], ["rare", "common"], 1.0) == ("", False)
    words, hopeless = monitor.look(0.5, [0.1, 1.0], ["rare", "common"], 1.0)
    assert "class rare" in words and not hopeless
    assert monitor.look(0.6, [0.9, 1.0], ["rare", "common"], 1.0) == ("", False)
    for _ in range(2):
        monitor.look(0.7, [0.1, 1.0], ["rare", "common"], 1.0)
    assert monitor.look(0.8, [0.1, 1.0], ["rare", "common"], 1.0)[1]
    assert len(monitor.noticed) == 1


def test_the_monitor_recognises_vanishing_gradients() -> None:
    monitor = HealthMonitor()
    looks = [monitor.look(0.5, [1.0], ["x"], 1e-12) for _ in range(5)]
    assert "vanished" in looks[0][0] and [hopeless for _, hopeless in looks] == [False] * 4 + [True]


def test_energy_distance_is_zero_for_one_distribution_and_grows_with_the_shift() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(800, 3, generator=random), torch.randn(800, 3, generator=random)
    same, spread = energy_distance(a, b)
    assert abs(same) < 0.01 and spread.item() == pytest.approx(1, abs=0.05)
    near, far = energy_distance(a + 0.5, b)[0], energy_distance(a + 1, b)[0]
    assert 0.05 < near < far
    assert energy_distance(a * 0.1, b)[1].item() == pytest.approx(0.1, abs=0.02)
