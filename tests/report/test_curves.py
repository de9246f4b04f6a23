"""Curves of a training hold what its log holds."""

from __future__ import annotations

from gantools.report.curves import MOST_POINTS, curves
from gantools.train.monitor import TrainingHistory


def test_the_criterion_comes_first_and_gaps_are_left_out(history: TrainingHistory) -> None:
    criterion, generator, critic = curves(history.lines)
    assert (criterion.name, generator.name, critic.name) == ("energy_distance", "generator", "critic")
    assert criterion.points[0] == (50, 1.0) and criterion.points[-1] == (2000, 1 / 1600)
    assert len(critic.points) == len(generator.points) - 1  # one value was not finite
    drawn = generator.drawn(300, 100)
    assert drawn[0] == (0, 0) and drawn[-1] == (300, 100)


def test_long_logs_are_thinned_to_their_end() -> None:
    [curve] = curves([{"step": k, "seconds": k, "critic": float(k)} for k in range(1, 5_001)])
    assert len(curve.points) <= MOST_POINTS
    assert curve.points[-1] == (5_000, 5_000.0)


def test_one_value_is_no_curve() -> None:
    assert curves([{"step": 1, "seconds": 0.1, "critic": 2.0}]) == ()
    assert curves(()) == ()
