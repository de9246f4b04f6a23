"""How alike real and synthetic rows are, column by column.

Real rows are weighted to the synthetic rows' classes, so that a difference is never just one of class proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.raw import to_raw
from gantools.data.tables.schema import Column, Kind, Schema

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_ROWS = 50_000  # real and synthetic rows each that are compared, drawn at random
MAX_COLUMNS = 200  # columns that are compared
MAX_LEVELS = 8  # levels of a column that are named, the most frequent ones
N_BINS = 30
NOTICEABLE = 0.1  # difference from which a column stands out
TAILS = (0.005, 0.995)  # quantiles that a histogram reaches from and to


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """The values of a numeric column on one side, in the units of `Raw.numbers`.

    missing: share of cells without a value. mean, sd, q05, median, q95: None where there is nothing to compare. shares:
    of the values in each bin of the column's histogram.
    """

    missing: float
    mean: float | None = None
    sd: float | None = None
    q05: float | None = None
    median: float | None = None
    q95: float | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LevelShares:
    """One level of a column, or several that are not named: its shares of the real and of the synthetic rows."""

    level: str
    real: float
    synthetic: float


@dataclass(frozen=True, slots=True)
class ColumnFidelity:
    """How the synthetic values of one column compare with real ones.

    difference: 0 alike, 1 nothing in common; the largest gap between the two cumulative distributions of numbers, or
    half the sum of the gaps between shares of levels. stands_out: the difference is noticeable and not just what so few
    rows make by chance. edges: of the histogram's bins, which show the values from `low` to `high` and those beyond in
    the first and last bin. real, synthetic: None for a column of levels. levels: the most frequent first; empty for a
    column of numbers.
    """

    name: str
    difference: float
    stands_out: bool
    edges: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    real: NumberSummary | None = None
    synthetic: NumberSummary | None = None
    levels: tuple[LevelShares, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFidelity:
    """How synthetic rows compare with real ones.

    n_real, n_synthetic: rows that were compared. n_left_out: columns beyond `MAX_COLUMNS`, which were not.
    """

    n_real: int
    n_synthetic: int
    columns: tuple[ColumnFidelity, ...]
    n_left_out: int = 0

    @property
    def standing_out(self) -> list[ColumnFidelity]:
        """The columns that differ noticeably, the most different first."""
        return sorted((column for column in self.columns if column.stands_out), key=lambda column: -column.difference)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def table_fidelity(real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema) -> TableFidelity | None:
    """Compare synthetic rows with the real rows of the same classes.

    real, synthetic: tables with the columns of `schema`, which has a target. None where there are no such rows.
    """
    if schema.target is None or not len(real) or not len(synthetic):
        return None
    real_rows, weights, synthetic_rows = _sample(real[schema.target], synthetic[schema.target])
    if not len(real_rows):
        return None
    raw, other = to_raw(real.iloc[real_rows], schema), to_raw(synthetic.iloc[synthetic_rows], schema)
    names = [name for name in schema.names if name in (*schema.numeric, *schema.categorical)]
    columns = []
    for name in names[:MAX_COLUMNS]:
        if name in schema.numeric:
            i = schema.numeric.index(name)
            columns.append(compare_numbers(schema[name], raw.numbers[:, i], weights, other.numbers[:, i]))
        else:
            i = schema.categorical.index(name)
            columns.append(compare_levels(schema[name], raw.codes[:, i], weights, other.codes[:, i]))
    return TableFidelity(len(real_rows), len(synthetic_rows), tuple(columns), len(names) - len(columns))


def _sample(real: pd.Series[Any], synthetic: pd.Series[Any]) -> tuple[Ints, Floats, Ints]:
    """Places of real rows and their weights (sum 1), and of synthetic rows, at most MAX_ROWS of each.

    real, synthetic: labels. Only real rows of classes that have synthetic ones are taken.
    """
    rng = np.random.default_rng(0)
    codes, labels = pd.factorize(pd.concat([real, synthetic], ignore_index=True), use_na_sentinel=False)
    real_codes, synthetic_codes = codes[: len(real)], codes[len(real) :]
    places = np.arange(len(synthetic))
    if len(places) > MAX_ROWS:
        places = np.sort(rng.choice(places, MAX_ROWS, replace=False))
    real_places = np.flatnonzero(np.isin(real_codes, synthetic_codes))
    if len(real_places) > MAX_ROWS:
        real_places = np.sort(rng.choice(real_places, MAX_ROWS, replace=False))
    chosen = real_codes[real_places]
    n_real = np.bincount(chosen, minlength=len(labels))
    n_synthetic = np.bincount(synthetic_codes[places], minlength=len(labels))
    weights = n_synthetic[chosen] / n_real[chosen]
    return real_places, weights / max(weights.sum(), 1e-12), places


def compare_numbers(column: Column, real: Floats, weights: Floats, synthetic: Floats) -> ColumnFidelity:
    """Numbers of one column, NaN where missing. weights: of the real ones, sum 1."""
    real_missing, synthetic_missing = float(weights[np.isnan(real)].sum()), float(np.isnan(synthetic).mean())
    difference = abs(real_missing - synthetic_missing)
    is_there, synthetic = ~np.isnan(real), synthetic[~np.isnan(synthetic)]
    real, weights = real[is_there], weights[is_there]
    even = np.full(len(synthetic), 1 / max(len(synthetic), 1))
    if not len(real) or not len(synthetic) or not weights.sum():
        return ColumnFidelity(
            column.name,
            difference,
            stands_out=difference >= NOTICEABLE,
            real=NumberSummary(real_missing),
            synthetic=NumberSummary(synthetic_missing),
        )
    weights = weights / weights.sum()
    difference = max(cumulative_gap(real, weights, synthetic, even), difference)
    chance = 0.87 * np.sqrt((weights**2).sum() + (even**2).sum())  # the mean of Kolmogorov's distribution
    ends = [*quantiles(real, weights, TAILS), *quantiles(synthetic, even, TAILS)]
    low, high = min(ends), max(ends)
    edges = _edges(column, low, high)
    return ColumnFidelity(
        column.name,
        difference,
        stands_out=bool(difference - chance >= NOTICEABLE),
        edges=tuple(edges.tolist()),
        low=low,
        high=high,
        real=_summary(real, weights, edges, real_missing),
        synthetic=_summary(synthetic, even, edges, synthetic_missing),
    )


def _summary(values: Floats, weights: Floats, edges: Floats, missing: float) -> NumberSummary:
    mean = float(values @ weights)
    sd = float(np.sqrt(np.maximum((values - mean) ** 2 @ weights, 0)))
    q05, median, q95 = quantiles(values, weights, (0.05, 0.5, 0.95))
    shares = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)[0]
    return NumberSummary(missing, mean, sd, q05, median, q95, tuple(shares.tolist()))


def _edges(column: Column, low: float, high: float) -> Floats:
    """Edges of the histogram's bins; of few whole numbers each has a bin."""
    if column.kind is Kind.INTEGER and high - low < N_BINS:
        return np.arange(low - 0.5, high + 1)
    return np.linspace(low, high, N_BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])


def compare_levels(column: Column, real: Ints, weights: Floats, synthetic: Ints) -> ColumnFidelity:
    """Codes of one column of levels. weights: of the real ones, sum 1."""
    # codes are those of the levels, then of the pooled rarer levels, then -1 (missing) and -2 (unseen)
    n = len(column.levels) + 1
    share_real = np.minimum(np.bincount(real % (n + 2), weights=weights, minlength=n + 2), 1)  # rounding may exceed 1
    share_synthetic = np.bincount(synthetic % (n + 2), minlength=n + 2) / max(len(synthetic), 1)
    difference = float(np.abs(share_real - share_synthetic).sum() / 2)
    # the mean of half the sum of absolute deviations of normal shares
    variance = share_real * (1 - share_real) * ((weights**2).sum() + 1 / max(len(synthetic), 1))
    chance = np.sqrt(2 / np.pi * variance).sum() / 2
    names = [*map(str, column.levels), "(rarer levels)", "(unseen)", "(missing)"]
    order = np.argsort(-np.maximum(share_real, share_synthetic), kind="stable")
    order = order[share_real[order] + share_synthetic[order] > 0]
    levels = [LevelShares(names[i], float(share_real[i]), float(share_synthetic[i])) for i in order[:MAX_LEVELS]]
    if len(rest := order[MAX_LEVELS:]):
        more = f"({len(rest):,} more)"
        levels.append(LevelShares(more, float(share_real[rest].sum()), float(share_synthetic[rest].sum())))
    stands_out = bool(difference - chance >= NOTICEABLE)
    return ColumnFidelity(column.name, difference, stands_out, levels=tuple(levels))


def cumulative_gap(one: Floats, one_weights: Floats, other: Floats, other_weights: Floats) -> float:
    """The Kolmogorov-Smirnov distance of two weighted samples."""
    values = np.concatenate([one, other])
    order = np.argsort(values, kind="stable")
    steps = np.concatenate([one_weights, -other_weights])[order]
    last_of_value = np.append(np.diff(values[order]) != 0, True)
    return float(np.abs(np.cumsum(steps)[last_of_value]).max())


def quantiles(values: Floats, weights: Floats, at: Sequence[float]) -> list[float]:
    """The values below which these shares of the weights lie; weights sum to 1."""
    order = np.argsort(values, kind="stable")
    places = np.searchsorted(np.cumsum(weights[order]), np.asarray(at) - 1e-9)
    return [float(values[order[min(place, len(values) - 1)]]) for place in places]
