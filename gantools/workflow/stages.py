"""The stages of a command: one budget that they share, and one estimate of the time that all of them still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gantools.stages import Stage
from gantools.workflow.contract import Watch

if TYPE_CHECKING:
    from gantools.train.monitor import Progress

LEAST = 0.1  # of what a stage was to have of the budget, that it gets even where nothing is left


class Stages:
    """The stages of a command, from now on.

    budget_s: seconds for all of them; None for as long as they take. What a stage takes more or less than its share is
    taken from those that follow, or given to them.
    """

    def __init__(
        self, watch: Watch, budget_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.watch, self.budget_s = watch, budget_s
        self._clock, self._started = clock, clock()
        self._shares: dict[str, float] = {}

    def plan(self, shares: Mapping[str, float]) -> None:
        """What is to come: stage -> its share of the time, in order."""
        self._shares = dict(shares)

    def __getitem__(self, name: str) -> Stage:
        return _Timed(self, name)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._started

    def allowed(self, name: str) -> float | None:
        """The seconds that a stage may take if it begins now, None without a budget."""
        if self.budget_s is None:
            return None
        share, later = self._shares[name], self._later(name)
        left = (self.budget_s - self.now) * share / (share + later)
        return max(left, LEAST * share * self.budget_s / sum(self._shares.values()))

    def tell(self, name: str, took: float, left: float) -> None:
        """A stage that took so many seconds has so many left: say how many all have."""
        if self.budget_s is None:
            self.watch.left(left + (took + left) * self._later(name) / self._shares[name])
        else:
            self.watch.left(max(left, self.budget_s - self.now))

    def _later(self, name: str) -> float:
        """The share of all stages behind this one."""
        names = list(self._shares)
        return sum(self._shares[later] for later in names[names.index(name) + 1 :])


class _Timed(Stage):
    """A stage of a command."""

    def __init__(self, stages: Stages, name: str) -> None:
        self._stages, self._name = stages, name
        self._began = stages.now

    def begin(self) -> float | None:
        self._began = self._stages.now
        self._stages.watch.done(self._name, 0, None, "")
        return self._stages.allowed(self._name)

    def trained(self, state: Progress) -> None:
        self._stages.watch(self._name, state)
        self._stages.tell(self._name, state.seconds, state.seconds_left)

    def done(self, n: int, total: int | None, what: str = "steps") -> None:
        self._stages.watch.done(self._name, n, total, what)
        if total and n:
            took = self._stages.now - self._began
            self._stages.tell(self._name, took, took * (total - n) / n)
