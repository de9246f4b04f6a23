"""What the anomaly scores of rows or images say as a whole, counted chunk by chunk in memory that does not grow.

Scores are kept as counts in bins that are 0.05 % wide, so that a table of any length has its distribution, its ROC AUC
and its average precision; both come out as with scores rounded so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.dtypes import in_calendar
from gantools.evaluate.course import Course

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_DROPPED_BITS = 11  # of a float32's 23 bits behind the point; what is left tells numbers apart that differ by 0.05 %
N_P_VALUES = 20  # bins of p-values
RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of false alarms that people ask about
_N_BINS = 2 ** (31 - _DROPPED_BITS)
_SPARSE = ("_counts", "_marked")
FOUND = ["anomaly_score", "p_value", "is_anomaly", "reason"]  # of a row, beside its cells
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Detection:
    """How well scores and flags find the rows that are known to be anomalies.

    n_anomalous, n_normal: rows that are marked. roc_auc: probability that an anomaly scores above a normal row.
    average_precision: mean precision over all recalls. precision, recall: of the flags; precision is None where nothing
    is flagged.
    """

    n_anomalous: int
    n_normal: int
    roc_auc: float
    average_precision: float
    precision: float | None
    recall: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold does to the marked rows: everything that scores `threshold` or more is flagged.

    false_alarms: share of the normal rows that are flagged. recall: share of the anomalies. precision: share of
    anomalies among what is flagged.
    """

    threshold: float
    false_alarms: float
    recall: float
    precision: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class Histogram:
    """How scores are spread. edges: of the bins, ascending, evenly spaced in the logarithm. shares: of the rows in each
    bin, one fewer than edges."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def place(self, score: float) -> float:
        """Where a score lies among the edges, in the logarithm: 0 at or below the first, 1 at or above the last."""
        low, high = np.log(self.edges[0]), np.log(self.edges[-1])
        return float((np.log(np.clip(score, self.edges[0], self.edges[-1])) - low) / (high - low))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {"edges": list(self.edges), "shares": list(self.shares)}


@dataclass(frozen=True)
class TopRow:
    """One of the most abnormal rows or images.

    row: counted from 1. cells: column -> value, None where missing; of an image its `file`.
    """

    row: int
    anomaly_score: float
    p_value: float
    is_anomaly: bool
    reason: str
    cells: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; a value that JSON does not know is given as text."""
        cells = {name: value if isinstance(value, _PLAIN) else str(value) for name, value in self.cells.items()}
        return {**asdict(self), "cells": cells}


def top_rows(top: pd.DataFrame) -> tuple[TopRow, ...]:
    """The rows of a table of the most abnormal ones, most abnormal first.

    top: the cells and behind them `anomaly_score`, `p_value`, `is_anomaly` and `reason`, which may be names of cells,
    too; the index counts rows from 0.
    """
    if not len(top):
        return ()
    cells = top.iloc[:, : -len(FOUND)].apply(in_calendar).astype(object)
    cells = cells.where(cells.notna(), None)
    names = [str(name) for name in cells.columns]
    found = top.iloc[:, -len(FOUND) :]
    columns = (found[name].tolist() for name in FOUND)
    return tuple(
        TopRow(place + 1, score, p_value, is_anomaly, reason, dict(zip(names, values, strict=True)))
        for place, score, p_value, is_anomaly, reason, values in zip(
            top.index.tolist(), *columns, cells.to_numpy().tolist(), strict=True
        )
    )


class ScoreTally:
    """Counts the rows of a table as they are scored.

    n_rows, n_anomalous, n_unscored: rows so far, those flagged as anomalies, those without a score. top: the most
    abnormal rows so far, most abnormal first, with their cells; the index says which rows they are. by_row, by_time:
    where in the table, and when, rows were flagged.
    """

    def __init__(self, n_top: int = 20, first_row: int = 0) -> None:
        """n_top: how many of the most abnormal rows to keep. first_row: the number of the first row to come."""
        self.n_rows = self.n_anomalous = self.n_unscored = 0
        self._first_row = first_row
        self.top = pd.DataFrame()
        self.by_row, self.by_time = Course(), Course()
        self._n_top = n_top
        self._top_scores: Floats = np.empty(0)
        self._counts = np.zeros(_N_BINS, dtype=np.int64)
        self._marked = np.zeros((2, _N_BINS), dtype=np.int64)
        self._flagged = np.zeros(2, dtype=np.int64)
        self._p_values = np.zeros(N_P_VALUES, dtype=np.int64)

    def update(
        self, frame: pd.DataFrame, assessed: pd.DataFrame, marks: Floats | None = None, times: Floats | None = None
    ) -> None:
        """Count the rows of `frame`.

        assessed: their `anomaly_score` (> 0, NaN where there is none), `p_value` and `is_anomaly`. marks: [N], 1 for a
        known anomaly, 0 for a known normal row, NaN where it is not known. times: [N], when each row is from, in
        microseconds, NaN where that is missing.
        """
        scores = assessed["anomaly_score"].to_numpy(dtype=np.float64)
        flags = assessed["is_anomaly"].to_numpy(dtype=bool)
        bins, scored = _bins(scores), ~np.isnan(scores)
        first = self._first_row + self.n_rows
        self.by_row.update(np.arange(first, first + len(scores)), flags)
        if times is not None:
            known = ~np.isnan(times)
            self.by_time.update(times[known].astype(np.int64), flags[known])
        p_values = assessed["p_value"].to_numpy(dtype=np.float64)[scored]
        twentieth = np.minimum(p_values * N_P_VALUES, N_P_VALUES - 1).astype(np.int64)
        self._p_values += np.bincount(twentieth, minlength=N_P_VALUES)
        self.n_rows += len(scores)
        self.n_anomalous += int(flags.sum())
        self.n_unscored += int((~scored).sum())
        self._counts += np.bincount(bins[scored], minlength=_N_BINS)
        if marks is not None:
            for mark in (0, 1):
                rows = scored & (marks == mark)
                self._marked[mark] += np.bincount(bins[rows], minlength=_N_BINS)
                self._flagged[mark] += int(flags[rows].sum())
        self._keep_top(frame, scores)

    def merge(self, other: ScoreTally) -> None:
        """Count the rows, all of which come later, that `other` has counted: as if they had passed here."""
        self.n_rows += other.n_rows
        self.n_anomalous += other.n_anomalous
        self.n_unscored += other.n_unscored
        self.by_row.merge(other.by_row)
        self.by_time.merge(other.by_time)
        for mine, theirs in (
            (self._counts, other._counts), (self._marked, other._marked), (self._flagged, other._flagged),
            (self._p_values, other._p_values),
        ):  # fmt: skip
            mine += theirs
        self._keep_top(other.top, other._top_scores)

    def __getstate__(self) -> dict[str, Any]:
        """Of counts, which are mostly zeros, those that are not: a tally is sent from one process to another."""
        state = self.__dict__.copy()
        for name in _SPARSE:
            counts = state[name]
            places = np.flatnonzero(counts)
            state[name] = counts.shape, places, counts.ravel()[places]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in _SPARSE:
            shape, places, values = state[name]
            counts = np.zeros(shape, dtype=np.int64)
            counts.ravel()[places] = values
            state[name] = counts
        self.__dict__.update(state)

    def _keep_top(self, frame: pd.DataFrame, scores: Floats) -> None:
        least = self._top_scores[-1] if len(self._top_scores) >= self._n_top else -np.inf
        rows = np.flatnonzero(scores > least)
        if not len(rows):
            return
        rows = np.sort(rows[np.argsort(-scores[rows], kind="stable")[: self._n_top]])
        found = frame.iloc[rows]
        together = pd.concat([self.top, found]) if len(self.top) else found
        values = np.concatenate([self._top_scores, scores[rows]])
        order = np.argsort(-values, kind="stable")[: self._n_top]
        self.top, self._top_scores = together.iloc[order], values[order]

    def histogram(self, n_bins: int = 90) -> Histogram:
        """The scores so far in so many bins."""
        filled = np.flatnonzero(self._counts)
        if not len(filled):
            return Histogram((1.0, 2.0), (0.0,))
        values, counts = _middles(filled), self._counts[filled]
        low, high = np.log(values[0]), np.log(values[-1])
        edges = np.linspace(low, high if high > low else low + 1, n_bins + 1)
        shares = np.histogram(np.log(values), edges, weights=counts)[0] / counts.sum()
        return Histogram(tuple(np.exp(edges).tolist()), tuple(shares.tolist()))

    def p_values(self) -> tuple[float, ...]:
        """The share of the rows in each twentieth of p-values, from 0 to 1: all about alike if every row is normal."""
        return tuple((self._p_values / max(1, self._p_values.sum())).tolist())

    def operating_points(self, most: int = 100) -> tuple[OperatingPoint, ...]:
        """What thresholds do to the marked rows, the highest first; about so many at most, spread over recall and
        false alarms. Empty unless rows of both kinds are marked."""
        points, even = self._points(), np.linspace(0, 1, most // 2)
        if points is None:
            return ()
        chosen = np.concatenate([np.searchsorted(points[name], even) for name in ("recall", "false_alarms")])
        return tuple(_point(points, place) for place in np.unique(chosen[chosen < len(points)]).tolist())

    def allowing(self, rates: Sequence[float] = RATES) -> tuple[tuple[float, OperatingPoint], ...]:
        """Each rate of false alarms that the marked normal rows are enough for, and the lowest threshold that keeps it.
        Empty unless rows of both kinds are marked."""
        points = self._points()
        if points is None:
            return ()
        enough = [rate for rate in rates if rate * self._marked[0].sum() >= 1]
        last = np.searchsorted(points["false_alarms"], enough, side="right") - 1
        kept = zip(enough, last.tolist(), strict=True)
        return tuple((rate, _point(points, place)) for rate, place in kept if place >= 0)

    def _points(self) -> pd.DataFrame | None:
        """Every threshold that tells marked rows apart, the highest first, as `OperatingPoint` names what it does."""
        normal, anomalous = self._marked
        if not normal.any() or not anomalous.any():
            return None
        places = np.flatnonzero(normal + anomalous)[::-1]
        alarms, found = normal[places].cumsum(), anomalous[places].cumsum()
        rates = {
            "false_alarms": alarms / alarms[-1],
            "recall": found / found[-1],
            "precision": found / (found + alarms),
        }
        return pd.DataFrame({"threshold": _middles(places), **rates})

    def detection(self) -> Detection | None:
        """How well the marked anomalies are found; None unless rows of both kinds are marked."""
        normal, anomalous = self._marked
        n_normal, n_anomalous = int(normal.sum()), int(anomalous.sum())
        if not n_normal or not n_anomalous:
            return None
        found, alarms = anomalous[::-1].cumsum(), normal[::-1].cumsum()
        gained = anomalous[::-1]
        above = found - gained / 2  # half of the ties
        auc = float((normal[::-1] * above).sum() / (n_normal * n_anomalous))
        with np.errstate(invalid="ignore"):
            precision = np.where(gained > 0, found / np.maximum(found + alarms, 1), 0.0)
        flagged = int(self._flagged.sum())
        return Detection(
            n_anomalous=n_anomalous,
            n_normal=n_normal,
            roc_auc=auc,
            average_precision=float((gained * precision).sum() / n_anomalous),
            precision=int(self._flagged[1]) / flagged if flagged else None,
            recall=int(self._flagged[1]) / n_anomalous,
        )

    def to_json(self) -> dict[str, Any]:
        """Counts and distribution of the scores so far, as plain values for `json.dumps`."""
        detection = self.detection()
        return {
            "n_anomalous": self.n_anomalous,
            "n_unscored": self.n_unscored,
            "histogram": self.histogram().to_json(),
            "p_values": list(self.p_values()),
            "operating_points": [point.to_json() for point in self.operating_points()],
            "by_row": self.by_row.to_json(),
            "by_time": self.by_time.to_json(),
            "detection": None if detection is None else detection.to_json(),
        }


def _point(points: pd.DataFrame, place: int) -> OperatingPoint:
    return OperatingPoint(*points.iloc[place].tolist())


def _bins(scores: Floats) -> Any:
    """The number of each score's bin, rising with the score; a score below 0 or missing is in the first."""
    bounded = np.minimum(np.where(scores > 0, scores, 0.0), np.finfo(np.float32).max)
    return (bounded.astype(np.float32).view(np.uint32) >> _DROPPED_BITS).astype(np.int64)


def _middles(bins: Counts) -> Floats:
    low = (bins.astype(np.uint32) << _DROPPED_BITS) + 2 ** (_DROPPED_BITS - 1)
    middles: Floats = low.astype(np.uint32).view(np.float32).astype(np.float64)
    return middles
