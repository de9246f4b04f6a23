"""Where along an axis rows were flagged, counted chunk by chunk in bins that widen as the axis grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_BINS = 120


@dataclass(frozen=True)
class Stretch:
    """A part of the axis: from `start`, inclusive, to `end`. n: rows in it. n_flagged: those of them flagged."""

    start: int
    end: int
    n: int
    n_flagged: int

    @property
    def share(self) -> float:
        """Of its rows that are flagged; 0 where there are none."""
        return self.n_flagged / max(1, self.n)


class Course:
    """Counts rows and flags along whole numbers: row numbers, or moments in microseconds.

    Bins are as narrow as `MOST_BINS` of them allow. They start at multiples of their width, which is a power of two, so
    that what is counted does not depend on how the rows come in chunks.
    """

    def __init__(self) -> None:
        self.first = self.last = 0  # places of the first and the last row
        self._width = 1
        self._start = 0  # number of the first bin
        self._counts = np.zeros((2, 0), dtype=np.int64)  # rows and flags of each bin

    def update(self, places: npt.NDArray[np.int64], flags: npt.NDArray[np.bool_]) -> None:
        """Count rows at these places [N] and whether each is flagged [N]."""
        if not len(places):
            return
        self._reach(int(places.min()), int(places.max()))
        new = places // self._width - self._start
        for into, rows in zip(self._counts, (new, new[flags]), strict=True):
            into += np.bincount(rows, minlength=len(into))

    def merge(self, other: Course) -> None:
        """Count what `other` has counted, too."""
        if not other._counts.size:
            return
        self._reach(other.first, other.last, other._width)
        self._add(other._counts, other._start, other._width)

    def _reach(self, low: int, high: int, width: int = 1) -> None:
        """Have bins, at least so wide, from `low` to `high`."""
        if self._counts.size:
            low, high = min(low, self.first), max(high, self.last)
        width = max(width, self._width)
        while high // width - low // width >= MOST_BINS:
            width *= 2
        before = self._counts, self._start, self._width
        self.first, self.last, self._width, self._start = low, high, width, low // width
        self._counts = np.zeros((2, high // width - low // width + 1), dtype=np.int64)
        self._add(*before)

    def _add(self, counts: npt.NDArray[np.int64], start: int, width: int) -> None:
        """Add counts of bins that are no wider than these."""
        places = (start + np.arange(counts.shape[1])) * width // self._width - self._start
        for into, more in zip(self._counts, counts, strict=True):
            np.add.at(into, places, more)

    def stretches(self) -> tuple[Stretch, ...]:
        """All bins from that of the first row to that of the last, in order."""
        return tuple(
            Stretch((self._start + k) * self._width, (self._start + k + 1) * self._width, int(n), int(flagged))
            for k, (n, flagged) in enumerate(self._counts.T)
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values for `json.dumps`."""
        return [{"start": s.start, "end": s.end, "n": s.n, "n_flagged": s.n_flagged} for s in self.stretches()]
