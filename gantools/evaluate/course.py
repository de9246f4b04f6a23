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
        low, high, width = int(places.min()), int(places.max()), self._width
        if self._counts.size:
            low, high = min(low, self.first), max(high, self.last)
        while high // width - low // width >= MOST_BINS:
            width *= 2
        start, n_bins = low // width, high // width - low // width + 1
        counts = np.zeros((2, n_bins), dtype=np.int64)
        old = (self._start + np.arange(self._counts.shape[1])) * self._width // width - start
        new = places // width - start
        for into, before, rows in zip(counts, self._counts, (new, new[flags]), strict=True):
            np.add.at(into, old, before)
            into += np.bincount(rows, minlength=n_bins)
        self.first, self.last, self._width, self._start, self._counts = low, high, width, start, counts

    def stretches(self) -> tuple[Stretch, ...]:
        """All bins from that of the first row to that of the last, in order."""
        return tuple(
            Stretch((self._start + k) * self._width, (self._start + k + 1) * self._width, int(n), int(flagged))
            for k, (n, flagged) in enumerate(self._counts.T)
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values for `json.dumps`."""
        return [{"start": s.start, "end": s.end, "n": s.n, "n_flagged": s.n_flagged} for s in self.stretches()]
