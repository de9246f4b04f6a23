"""What the anomaly scores of a table say as a whole, counted chunk by chunk in memory that does not grow.

Scores are kept as counts in bins that are 0.05 % wide, so that a table of any length has its distribution, its ROC AUC
and its average precision; both come out as with scores rounded so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_DROPPED_BITS = 11  # of a float32's 23 bits behind the point; what is left tells numbers apart that differ by 0.05 %
_N_BINS = 2 ** (31 - _DROPPED_BITS)


@dataclass(frozen=True)
class Detection:
    """How well scores and verdicts find the rows that are known to be anomalies.

    n_anomalous, n_normal: rows that are marked. roc_auc: probability that an anomaly scores above a normal row.
    average_precision: mean precision over all recalls. precision, recall: of the verdicts; None where nothing is
    flagged.
    """

    n_anomalous: int
    n_normal: int
    roc_auc: float
    average_precision: float
    precision: float | None
    recall: float


class ScoreTally:
    """Counts the rows of a table as they are scored.

    n_rows, n_anomalous, n_unscored: rows so far, those called anomalies, those without a score. top: the most abnormal
    rows so far, most abnormal first, with their cells; the index says which rows they are.
    """

    def __init__(self, n_top: int = 20) -> None:
        """n_top: how many of the most abnormal rows to keep."""
        self.n_rows = self.n_anomalous = self.n_unscored = 0
        self.top = pd.DataFrame()
        self._n_top = n_top
        self._top_scores: Floats = np.empty(0)
        self._counts = np.zeros(_N_BINS, dtype=np.int64)
        self._marked = np.zeros((2, _N_BINS), dtype=np.int64)
        self._flagged = np.zeros(2, dtype=np.int64)

    def update(self, frame: pd.DataFrame, assessed: pd.DataFrame, marks: Floats | None = None) -> None:
        """Count the rows of `frame`.

        assessed: their `anomaly_score` (> 0, NaN where there is none) and `is_anomaly`. marks: [N], 1 for a known
        anomaly, 0 for a known normal row, NaN where it is not known.
        """
        scores = assessed["anomaly_score"].to_numpy(dtype=np.float64)
        flags = assessed["is_anomaly"].to_numpy(dtype=bool)
        bins, scored = _bins(scores), ~np.isnan(scores)
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

    def histogram(self, n_bins: int = 60) -> tuple[Floats, Floats]:
        """Edges [n_bins + 1], evenly spaced in the logarithm, and the share of rows in each bin [n_bins]."""
        filled = np.flatnonzero(self._counts)
        if not len(filled):
            return np.array([1.0, 2.0]), np.zeros(1)
        values, counts = _middles(filled), self._counts[filled]
        low, high = np.log(values[0]), np.log(values[-1])
        edges = np.linspace(low, high if high > low else low + 1, n_bins + 1)
        shares = np.histogram(np.log(values), edges, weights=counts)[0] / counts.sum()
        return np.exp(edges), shares

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


def _bins(scores: Floats) -> Any:
    """The number of each score's bin, rising with the score; a score below 0 or missing is in the first."""
    bounded = np.minimum(np.where(scores > 0, scores, 0.0), np.finfo(np.float32).max)
    return (bounded.astype(np.float32).view(np.uint32) >> _DROPPED_BITS).astype(np.int64)


def _middles(bins: Counts) -> Floats:
    low = (bins.astype(np.uint32) << _DROPPED_BITS) + 2 ** (_DROPPED_BITS - 1)
    middles: Floats = low.astype(np.uint32).view(np.float32).astype(np.float64)
    return middles
