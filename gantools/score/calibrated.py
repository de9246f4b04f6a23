"""What follows from scores once they are calibrated: thresholds, rates of false alarms, p-values and flags.

The scorers of the library and those of exported files share it; it needs no torch.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from gantools.config import check
from gantools.errors import DataError
from gantools.score.threshold import Calibration, best_f1

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Calibrated:
    """Scores above a threshold are flagged. A subclass gives `anomaly_score`.

    false_alarms: share of normal samples that may be flagged. settles_for_finest: whether a rate that is too small for
    the held-out samples to tell becomes the smallest that they can; else nothing is flagged.

    Attributes: `calibration_` (Calibration), `threshold_`, `best_f1_` (that `tune` reached, None before).
    """

    settles_for_finest: ClassVar[bool] = False

    false_alarms: float
    calibration_: Calibration
    best_f1_: float | None = None
    _given_threshold: float | None = None

    def anomaly_score(self, X: Any) -> Floats:
        """How abnormal each of X is: [N] float64, above 0, about 0.7 for a usual one, higher = more abnormal."""
        raise NotImplementedError

    @property
    def threshold_(self) -> float:
        """Scores above it are flagged: where `tune` or somebody else put it, or where `false_alarms` puts it."""
        if self._given_threshold is not None:
            return self._given_threshold
        return self._limit(self.calibration_)

    @threshold_.setter
    def threshold_(self, value: float) -> None:
        self._given_threshold, self.best_f1_ = float(value), None

    def _limit(self, calibration: Calibration) -> float:
        """The threshold that `false_alarms` asks for."""
        rate = float(self.false_alarms)
        return calibration.threshold(max(rate, calibration.finest) if self.settles_for_finest else rate)

    def set_false_alarms(self, rate: float) -> Self:
        """Put the threshold where a share `rate` of normal samples is above it. Raises ConfigError."""
        check(0 < rate < 1, "false_alarms", f"must lie between 0 and 1, not {rate:g}")
        self.false_alarms = rate
        self._given_threshold = self.best_f1_ = None
        return self

    def tune(self, X: Any, y: Any) -> Self:
        """Put the threshold where F1 is best on labelled samples X; `best_f1_` is the F1 there.

        y: [N], true or 1 for anomalies, false or 0 for normal samples; or -1 and 1, as `predict` has it. Raises
        DataError.
        """
        is_anomaly = marks(y)
        score = self.anomaly_score(X)
        if len(is_anomaly) != len(score):
            raise DataError(f"has {len(is_anomaly)} labels for {len(score)} samples", where="y")
        return self.tune_scores(score[~is_anomaly], score[is_anomaly])

    def tune_scores(self, normal: npt.ArrayLike, anomalous: npt.ArrayLike) -> Self:
        """The same from the scores of samples known to be normal and known to be anomalous."""
        self.threshold_, self.best_f1_ = best_f1(normal, anomalous)
        return self

    def p_value(self, X: Any) -> Floats:
        """The share of held-out normal samples at least as abnormal as each of X: [N] float64."""
        score = self.anomaly_score(X)
        return self.calibration_.p_value(score)

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """1 for normal samples, -1 for anomalies: [N] int64."""
        return np.where(self.anomaly_score(X) > self.threshold_, -1, 1)


def marks(y: Any) -> npt.NDArray[np.bool_]:
    """Which samples labels mark as anomalies: [N] bool. Raises DataError for labels of another sort."""
    given = np.asarray(y).ravel()
    try:
        values = given.astype(np.float64)
    except (TypeError, ValueError):
        values = np.full(len(given), np.nan)
    if np.isin(values, (0, 1)).all():
        return np.equal(values, 1)
    if np.isin(values, (-1, 1)).all():
        return np.equal(values, -1)
    odd = given[~np.isin(values, (-1, 0, 1))]
    problem = f"has {odd.tolist()[0]!r}" if len(odd) else "has -1, 0 and 1"
    raise DataError(problem, where="y", remedy="mark anomalies with 1 and normal samples with 0")
