"""From anomaly scores to p-values and flags, calibrated on the scores of normal rows that training did not see.

The p-value of a score is the share of held-out normal rows at least as abnormal, counting the row itself as one of
them: (1 + #{held-out >= score}) / (n + 1). Whatever the scores are, at most a share `rate` of fresh normal rows gets a
p-value of `rate` or less (Vovk, Gammerman and Shafer 2005, 'Algorithmic Learning in a Random World', conformal
p-values; Laxhammar and Falkman 2010 for the split form). Ties count as at least as abnormal, which keeps that promise.

n held-out rows resolve no rate below 1 / (n + 1). A generalized Pareto tail, fitted to the largest tenth of the
held-out scores, goes further (Pickands 1975): to a hundredth of that, and no further, for the error of the fit grows
with every step beyond the data.

A row that could not be scored has the score NaN. Its p-value is NaN and it is not flagged; whoever makes such scores
must tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gantools.errors import ConfigError, DataError, TrainingError

Floats = npt.NDArray[np.float64]

TAIL_SHARE = 0.1  # of the held-out scores: with fewer the shape is noise, with more it is not yet a tail
MIN_EXCEEDANCES = 30  # scores in the tail: below, no tail is fitted
MIN_DISTINCT = 20  # and different values among them
REACH = 100  # a tail resolves rates so many times smaller than counting does
SHAPE_SPREAD = 0.3  # standard deviation of what is believed of the shape beforehand, around an exponential tail
TENTHS = (0.5, 0.8, 0.9)  # shares between which the fall of oddness is measured: anomalies are rarer than a tenth
BEYOND = 0.5  # normal samples expected beyond the end of a tail
FLAT = 1e-12  # a shape nearer to 0 is taken for this: exponential within rounding, without a case of its own


@dataclass(frozen=True)
class Tail:
    """A generalized Pareto tail: P(score > start + z) = share * (1 + shape * z / scale) ** (-1 / shape) for z > 0.

    start: where it begins, one of the held-out scores. share: P(score > start), 0 to 1. scale: above 0, in units of
    the score. shape: 0 an exponential tail, above 0 a heavier one, below 0 one that ends. Never exactly 0.
    """

    start: float
    share: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, scores: Floats) -> Tail | None:
        """The tail of the largest tenth of `scores` [n], ascending.

        None where there is too little to fit: under MIN_EXCEEDANCES scores above the tail's start or MIN_DISTINCT
        values among them (few rows, or many ties), or infinite scores.
        """
        n = len(scores)
        n_tail = int(TAIL_SHARE * n)
        if n_tail < MIN_EXCEEDANCES or not np.isfinite(scores).all():
            return None
        start = scores[n - 1 - n_tail]
        exceedances = scores[scores > start] - start
        if len(exceedances) < MIN_EXCEEDANCES or len(np.unique(exceedances)) < MIN_DISTINCT:
            return None
        scale, shape = _generalized_pareto(exceedances)
        if not (math.isfinite(scale) and scale > 0 and math.isfinite(shape)):
            return None
        # counted as the p-value at `start` is, so that p-values fall without a jump up where the tail takes over
        return cls(float(start), (1 + len(exceedances)) / (n + 1), scale, shape)

    def survival(self, scores: Floats) -> Floats:
        """P(score > scores), for scores of `start` and above; of the shape of `scores`."""
        with np.errstate(divide="ignore", over="ignore"):
            growth = np.maximum(self.shape * ((scores - self.start) / self.scale), -1.0)
            return self.share * np.exp(-np.log1p(growth) / self.shape)

    def quantile(self, rate: float) -> float:
        """The score that a share `rate` (above 0, below `share`) of normal rows exceeds."""
        return self.start + self.scale * math.expm1(-self.shape * math.log(rate / self.share)) / self.shape


def _generalized_pareto(exceedances: Floats) -> tuple[float, float]:
    """Scale and shape of the generalized Pareto distribution of `exceedances` [m], ascending and above 0.

    Zhang and Stephens 2009, 'A New and Efficient Estimation Method for the Generalized Pareto Distribution': the
    posterior mean over a grid of theta = -shape / scale, which has a solution for every sample, heavy tails included.
    Ours is a normal prior on the shape: from some two hundred exceedances an unrestrained shape is off by 0.1 either
    way, and so are rates extrapolated a thousandfold by factors.
    """
    unit = float(exceedances.mean())
    x = exceedances / unit
    m = len(x)
    n_grid = 30 + int(math.sqrt(m))
    spread = 1 - np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5))
    theta = 1 / x[-1] + spread / (3 * x[int(m / 4 + 0.5) - 1])
    theta = np.where(np.abs(theta) < FLAT, FLAT, theta)
    shapes = np.log1p(-theta[:, None] * x).mean(axis=1)
    log_posterior = m * (np.log(-theta / shapes) - shapes - 1) - shapes**2 / (2 * SHAPE_SPREAD**2)
    weight = np.exp(log_posterior - log_posterior.max())
    best = float((theta * weight).sum() / weight.sum())
    best = best if abs(best) >= FLAT else FLAT
    shape = float(np.log1p(-best * x).mean())
    scale = -shape / best * unit
    return scale, shape if abs(shape) >= FLAT else FLAT


@dataclass(frozen=True, eq=False)
class Calibration:
    """What scores mean: the scores of held-out normal rows, and their tail where one was asked for and found.

    scores: [n] ascending, none NaN.
    """

    scores: Floats
    tail: Tail | None = None

    @classmethod
    def fit(cls, scores: npt.ArrayLike, *, tail: bool = False) -> Calibration:
        """From the scores [n] of held-out normal rows, in any order.

        tail: go on beyond them with a generalized Pareto tail, where it can be fitted (see Tail.fit).
        Raises DataError when there is no score, TrainingError when one is NaN.
        """
        ordered = np.sort(np.asarray(scores, dtype=np.float64).ravel())
        if not len(ordered):
            raise DataError("there are no held-out rows to calibrate on", remedy="give more rows")
        if np.isnan(ordered[-1]):
            n_bad = int(np.isnan(ordered).sum())
            raise TrainingError(
                f"{n_bad} of {len(ordered)} held-out rows have no score", remedy="train again with another seed"
            )
        return cls(ordered, Tail.fit(ordered) if tail else None)

    def p_value(self, score: npt.ArrayLike) -> Floats:
        """The share of normal rows at least as abnormal: of the shape of `score`, above 0, at most 1, NaN for NaN.

        Falls, or stays, as the score rises.
        """
        score = np.asarray(score, dtype=np.float64)
        n = len(self.scores)
        # (1 + n - how many are below) / (n + 1): one searchsorted, which exported graphs have too
        p = (1 + n - np.searchsorted(self.scores, score, side="left")) / (n + 1)
        if self.tail is not None:
            beyond = np.maximum(score, self.tail.start)
            p = np.where(score > self.tail.start, np.maximum(self.tail.survival(beyond), self.finest), p)
        return np.where(np.isnan(score), np.nan, p)

    def threshold(self, false_alarms: float) -> float:
        """The threshold: `score > threshold` exactly where `p_value(score) <= false_alarms`.

        false_alarms: the share of normal rows that may be taken for anomalies, between 0 and 1. Infinite where it is
        below `finest`: nothing can then be called abnormal. Raises ConfigError when it is no such share.
        """
        if not 0 < false_alarms < 1:
            raise ConfigError(f"must lie between 0 and 1, not {false_alarms}", where="false_alarms")
        if false_alarms < self.finest:
            return math.inf
        if self.tail is not None and false_alarms < self.tail.share:
            return self._largest_above(false_alarms, self.tail.quantile(false_alarms))
        n = len(self.scores)
        # the largest k with k / (n + 1) <= false_alarms in the arithmetic of p_value: 0.07 * 100 is above 7
        k = math.floor(false_alarms * (n + 1)) + 1
        while k / (n + 1) > false_alarms:
            k -= 1
        return float(self.scores[n - k])

    def _largest_above(self, rate: float, near: float) -> float:
        """The largest score whose p-value is above `rate`, to the last bit; `near` is close to it."""
        low = high = near
        step = float(np.spacing(abs(near)))
        while self.p_value(low) <= rate:
            low, step = low - step, 2 * step
        while self.p_value(high) > rate:
            high, step = high + step, 2 * step
        while low < (middle := low + (high - low) / 2) < high:
            low, high = (middle, high) if self.p_value(middle) > rate else (low, middle)
        return low

    @property
    def finest(self) -> float:
        """The smallest p-value, and so the smallest rate of false alarms that can be asked for."""
        return 1 / ((len(self.scores) + 1) * (1 if self.tail is None else REACH))

    def to_tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The calibration as arrays, for a checkpoint: `scores` [n] and `tail` [4], or [0] where there is none."""
        tail = self.tail
        values = [] if tail is None else [tail.start, tail.share, tail.scale, tail.shape]
        return {"scores": self.scores, "tail": np.array(values, dtype=np.float64)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.ArrayLike]) -> Calibration:
        """The calibration that `to_tensors` gave. Raises KeyError or TypeError when it is none."""
        scores, tail = (np.asarray(tensors[name], dtype=np.float64) for name in ("scores", "tail"))
        return cls(scores, Tail(*map(float, tail)) if len(tail) else None)


def tail_end(oddness: Floats) -> float:
    """Where the oddness of normal samples ends, as far as the less odd ones tell; what is beyond is none of them.

    oddness: [N], logarithms of distances, of samples nine tenths of which are normal. From their median on they fall
    off as an exponential does, which is slower than most data do, or more slowly still where the ninth tenth falls off
    more slowly than those before: then as much more again, twice. BEYOND samples are expected beyond the end. Infinite
    where many samples are alike.
    """
    half, most, last = np.quantile(oddness, TENTHS)
    of_half, of_most, of_last = (1 - tenth for tenth in TENTHS)
    before, after = (most - half) / math.log(of_half / of_most), (last - most) / math.log(of_most / of_last)
    if before <= 0 or after <= 0:
        return math.inf
    scale = max((last - half) / math.log(of_half / of_last), after * max(1.0, after / before) ** 2)
    return float(last + scale * math.log(of_last * max(1.0, len(oddness)) / BEYOND))


def best_f1(normal: npt.ArrayLike, anomalous: npt.ArrayLike) -> tuple[float, float]:
    """Where to cut so that `score > threshold` tells anomalies best, and the F1 it has there, over all cuts.

    normal, anomalous: the scores of known rows, in any order. The threshold lies midway between two neighbouring
    scores, or below them all; of equally good cuts the highest, which has the fewest alarms. Infinite scores are
    fine. Raises DataError when there is no anomalous row, or a score is NaN.
    """
    low, high = (np.asarray(scores, dtype=np.float64).ravel() for scores in (normal, anomalous))
    if not len(high):
        raise DataError("no row is marked as an anomaly", remedy="mark some, or leave the labels out")
    scores = np.concatenate([low, high])
    if np.isnan(scores).any():
        raise DataError(f"{int(np.isnan(scores).sum())} labelled rows have no score")
    values, place = np.unique(scores, return_inverse=True)
    # found[i], alarms[i]: anomalies and rows at values[i] or above, which are those flagged when cutting just below it
    found = np.bincount(place[len(low) :], minlength=len(values))[::-1].cumsum()[::-1]
    alarms = np.bincount(place, minlength=len(values))[::-1].cumsum()[::-1]
    f1 = 2 * found / (alarms + len(high))
    cut = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return _below(values, cut), float(f1[cut])


def _below(values: Floats, cut: int) -> float:
    """A number at or above values[cut - 1] and below values[cut], in the middle where there is one."""
    upper = float(values[cut])
    if cut == 0:
        return float(np.nextafter(upper, -math.inf))
    lower = float(values[cut - 1])
    middle = lower / 2 + upper / 2
    return middle if lower <= middle < upper else lower
