"""Curves of a training, from the lines of its log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CRITERIA = {
    "energy_distance": "Energy distance from held-out real samples (0 is best); the weights are chosen by it",
    "held_out_error": "Error on held-out samples (less is better); the weights are chosen by it",
}
MOST_POINTS = 200
NOT_DRAWN = ("step", "seconds")


@dataclass(frozen=True)
class Curve:
    """One figure over the steps of a training. words: what it is. points: (step, value), all finite."""

    name: str
    words: str
    points: tuple[tuple[int, float], ...]

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(value for _, value in self.points)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(value for _, value in self.points)

    def drawn(self, width: float, height: float) -> list[tuple[float, float]]:
        """The points in a box, its upper left corner 0, 0."""
        first, last = self.points[0][0], self.points[-1][0]
        across, up = max(1, last - first), (self.high - self.low) or 1.0
        return [(width * (step - first) / across, height * (self.high - value) / up) for step, value in self.points]


def curves(lines: Sequence[Mapping[str, float | None]]) -> tuple[Curve, ...]:
    """What a log holds of each figure, the criterion first; figures with fewer than two values are left out."""
    names = list(dict.fromkeys(name for line in lines for name in line if name not in NOT_DRAWN))
    found = []
    for name in sorted(names, key=lambda name: name not in CRITERIA):
        points = [(int(line["step"] or 0), value) for line in lines if (value := line.get(name)) is not None]
        points = [point for point in points if math.isfinite(point[1])]
        if len(points) > 1:
            found.append(Curve(name, CRITERIA.get(name, f"Loss of the {name.replace('_', ' ')}"), _thinned(points)))
    return tuple(found)


def _thinned(points: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """At most `MOST_POINTS` of them, evenly, the last among them."""
    step = math.ceil(len(points) / MOST_POINTS)
    return tuple(points[(len(points) - 1) % step :: step])
