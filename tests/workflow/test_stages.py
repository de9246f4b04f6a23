"""One budget and one estimate for all stages of a command."""

from __future__ import annotations

import pytest

from gantools.train.monitor import Progress
from gantools.workflow.contract import Watch
from gantools.workflow.stages import Stages

SHARES = {"training": 0.6, "judging": 0.3, "writing": 0.1}


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class Listen(Watch):
    def __init__(self) -> None:
        self.seconds_left = -1.0
        self.stages: list[str] = []

    def __call__(self, stage: str, state: Progress) -> None:
        self.stages.append(stage)

    def done(self, stage: str, n: int, total: int | None, what: str) -> None:
        self.stages.append(stage)

    def left(self, seconds: float) -> None:
        self.seconds_left = seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listen() -> Listen:
    return Listen()


def planned(listen: Listen, clock: Clock, budget_s: float | None) -> Stages:
    stages = Stages(listen, budget_s, clock)
    stages.plan(SHARES)
    return stages


def test_what_a_stage_takes_too_much_is_taken_from_those_that_follow(listen: Listen, clock: Clock) -> None:
    stages = planned(listen, clock, 100)
    assert stages["training"].begin() == pytest.approx(60)
    clock.now += 80
    assert stages["judging"].begin() == pytest.approx(20 * 0.3 / 0.4)
    clock.now += 5
    assert stages["writing"].begin() == pytest.approx(15)


def test_what_a_stage_does_not_need_is_given_to_those_that_follow(listen: Listen, clock: Clock) -> None:
    stages = planned(listen, clock, 100)
    clock.now += 20
    assert stages["judging"].begin() == pytest.approx(80 * 0.3 / 0.4)


def test_time_before_the_first_stage_counts(listen: Listen, clock: Clock) -> None:
    stages = planned(listen, clock, 100)
    clock.now += 40
    assert stages["training"].begin() == pytest.approx(36)


def test_a_stage_that_comes_too_late_still_has_a_little(listen: Listen, clock: Clock) -> None:
    stages = planned(listen, clock, 100)
    clock.now += 300
    assert stages["judging"].begin() == pytest.approx(3)


def test_without_a_budget_there_is_no_limit(listen: Listen, clock: Clock) -> None:
    assert planned(listen, clock, None)["training"].begin() is None


def test_with_a_budget_all_ends_when_it_is_spent(listen: Listen, clock: Clock) -> None:
    stages = planned(listen, clock, 100)
    training = stages["training"]
    training.begin()
    clock.now += 30
    training.trained(Progress(step=10, steps=20, seconds=30, seconds_left=30, losses={}))
    assert listen.seconds_left == pytest.approx(70)
    clock.now += 75
    training.trained(Progress(step=19, steps=20, seconds=105, seconds_left=4, losses={}))
    assert listen.seconds_left == pytest.approx(4), "what is late still takes its time"


def test_without_a_budget_later_stages_are_estimated_by_their_shares(listen: Listen, clock: Clock) -> None:
    stages = planned(listen, clock, None)
    training = stages["training"]
    training.begin()
    training.trained(Progress(step=5, steps=20, seconds=15, seconds_left=45, losses={}))
    assert listen.seconds_left == pytest.approx(45 + 60 * 0.4 / 0.6)
    judging = stages["judging"]
    judging.begin()
    clock.now += 6
    judging.done(1, 4)
    assert listen.seconds_left == pytest.approx(18 + 24 * 0.1 / 0.3)
    writing = stages["writing"]
    writing.begin()
    clock.now += 1
    writing.done(500, 1000, "rows")
    assert listen.seconds_left == pytest.approx(1)


def test_a_stage_is_seen_when_it_begins(listen: Listen, clock: Clock) -> None:
    planned(listen, clock, None)["judging"].begin()
    assert listen.stages == ["judging"]
