"""How alike the columns of two tables are, one by one, on the whole and within each class.

The figures are those of SDMetrics (KSComplement, TVComplement, MissingValueSimilarity, BoundaryAdherence,
CategoryAdherence, RangeCoverage, CategoryCoverage), to whose definitions they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gantools.data.tables.raw import MISSING
from gantools.data.tables.schema import Column
from gantools.evaluate.table_fidelity import (
    MAX_COLUMNS,
    TableFidelity,
    compare_levels,
    compare_numbers,
    cumulative_gap,
)
from gantools.evaluate.table_rows import Floats, Ints, Rows

NOTICEABLE = 0.1  # difference from which a column stands out
OUTSIDE = 0.02  # share of values that the real column does not have, from which it is said
MIN_CLASS = 10  # rows of a class on either side, below which it is not compared


@dataclass(frozen=True, slots=True)
class ColumnLikeness:
    """How alike one column is.

    likeness: 1 alike, 0 nothing in common: one less the Kolmogorov-Smirnov distance of numbers, or less half the sum of
    the gaps between the shares of levels, both of the cells that are not missing. None where a side has no such cell.
    chance: what it would be less than 1 for as many fresh real rows, on average. missing_real, missing_synthetic:
    shares of cells. kept: share of the synthetic values within the real bounds, or of levels that the real column has;
    a missing cell is one of them where the real column has missing cells, too. reached: share of the real range, or of
    the real levels, that is there. outside_by_chance: what `kept` would be less than 1 for fresh real rows, at most
    about.
    """

    name: str
    is_number: bool
    likeness: float | None
    chance: float
    missing_real: float
    missing_synthetic: float
    kept: float | None = None
    reached: float | None = None
    outside_by_chance: float = 0.0

    @property
    def missing_likeness(self) -> float:
        """One less the difference of the shares of missing cells."""
        return 1 - abs(self.missing_real - self.missing_synthetic)

    @property
    def stands_out(self) -> bool:
        """Whether the column differs noticeably, and by more than chance."""
        apart = 0.0 if self.likeness is None else 1 - self.likeness - self.chance
        return max(apart, 1 - self.missing_likeness) >= NOTICEABLE

    @property
    def is_outside(self) -> bool:
        """Whether more of the values than by chance are none that the real column has, or lie beyond its bounds."""
        return self.kept is not None and 1 - self.kept > OUTSIDE + 3 * self.outside_by_chance


@dataclass(frozen=True, slots=True)
class ClassLikeness:
    """One class: its shares of both tables, and how alike the other columns are within it.

    likeness: the mean over columns; None with fewer than `MIN_CLASS` rows on either side. worst: the column that
    differs most, and how alike it is.
    """

    label: str
    share_real: float
    share_synthetic: float
    likeness: float | None = None
    worst: str = ""
    worst_likeness: float | None = None


@dataclass(frozen=True, slots=True)
class ColumnsLikeness:
    """All columns, and all classes where there is a target."""

    columns: tuple[ColumnLikeness, ...]
    classes: tuple[ClassLikeness, ...] = ()

    @property
    def mean(self) -> float | None:
        """The mean likeness of the columns."""
        return _mean([column.likeness for column in self.columns])

    @property
    def standing_out(self) -> list[ColumnLikeness]:
        """The columns that differ noticeably, the most different first."""
        return sorted((one for one in self.columns if one.stands_out), key=lambda one: one.likeness or 0.0)

    @property
    def has_same_values(self) -> bool:
        """Whether no column differs at all, as where its cells are only in another order."""
        return all(one.likeness is not None and one.likeness > 1 - 1e-9 for one in self.columns)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "mean": self.mean,
            "columns": [
                asdict(one) | {"missing_likeness": one.missing_likeness, "stands_out": one.stands_out}
                for one in self.columns
            ],
            "classes": [asdict(one) for one in self.classes],
        }


def columns_likeness(real: Rows, synthetic: Rows) -> ColumnsLikeness:
    """Compare each column of the synthetic rows with that of the real rows."""
    columns = [
        _numbers(column, real.numbers[:, i], synthetic.numbers[:, i]) for i, column in enumerate(real.numeric)
    ] + [_levels(column, real.codes[:, i], synthetic.codes[:, i]) for i, column in enumerate(real.categorical)]
    return ColumnsLikeness(tuple(columns), tuple(_classes(real, synthetic)))


def column_values(real: Rows, synthetic: Rows) -> TableFidelity:
    """The values of the first `MAX_COLUMNS` columns side by side, as they are: real rows are not weighted by class."""
    even = np.full(len(real), 1 / len(real))
    places = range(min(len(real.columns), MAX_COLUMNS))
    first = len(real.numeric)
    found = [
        compare_numbers(real.numeric[i], real.numbers[:, i], even, synthetic.numbers[:, i])
        if i < first
        else compare_levels(real.categorical[i - first], real.codes[:, i - first], even, synthetic.codes[:, i - first])
        for i in places
    ]
    return TableFidelity(len(real), len(synthetic), tuple(found), len(real.columns) - len(found))


def _numbers(column: Column, real: Floats, synthetic: Floats) -> ColumnLikeness:
    missing = float(np.isnan(real).mean()), float(np.isnan(synthetic).mean())
    is_known = 1.0 if missing[0] else 1 - missing[1]  # a missing cell is not kept where the real column has none
    real, synthetic = real[~np.isnan(real)], synthetic[~np.isnan(synthetic)]
    if not len(real) or not len(synthetic):
        return ColumnLikeness(column.name, True, None, 0.0, *missing)
    n, m = len(real), len(synthetic)
    gap = cumulative_gap(real, np.full(n, 1 / n), synthetic, np.full(m, 1 / m))
    low, high = real.min(), real.max()
    kept = is_known * float(((synthetic >= low) & (synthetic <= high)).mean())
    reached = 1.0
    if high > low:
        short = max((synthetic.min() - low) / (high - low), 0) + max((high - synthetic.max()) / (high - low), 0)
        reached = float(max(1 - short, 0))
    chance = 0.87 * float(np.sqrt(1 / n + 1 / m))  # the mean of Kolmogorov's distribution
    return ColumnLikeness(column.name, True, 1 - gap, chance, *missing, kept, reached, 2 / (n + 1))


def _levels(column: Column, real: Ints, synthetic: Ints) -> ColumnLikeness:
    missing = float((real == MISSING).mean()), float((synthetic == MISSING).mean())
    real, synthetic = real[real != MISSING], synthetic[synthetic != MISSING]
    if not len(real) or not len(synthetic):
        return ColumnLikeness(column.name, False, None, 0.0, *missing)
    n_levels = len(column.levels)
    one, other = (shares_of(side, n_levels) for side in (real, synthetic))
    gap = float(np.abs(one - other).sum() / 2)
    # the mean of half the sum of absolute deviations of normal shares
    variance = one * (1 - one) * (1 / len(real) + 1 / len(synthetic))
    chance = float(np.sqrt(2 / np.pi * variance).sum() / 2)
    reached = float((other[:n_levels] > 0).mean())
    kept = (1 - missing[1]) * float(1 - other[n_levels]) + (missing[1] if missing[0] else 0.0)
    once = int((np.bincount(real) == 1).sum())  # Good 1953: as likely, together, as all levels that were never seen
    unseen = float((once + 2 * np.sqrt(once + 1)) / len(real))
    return ColumnLikeness(column.name, False, 1 - gap, chance, *missing, kept, reached, unseen)


def shares_of(codes: Ints, n_levels: int) -> Floats:
    """[n_levels + 1] the share of each level, and last that of levels which the real column lacks."""
    counts = np.bincount(np.where(codes < 0, n_levels, codes), minlength=n_levels + 1)
    return np.asarray(counts / max(len(codes), 1), dtype=np.float64)


def _classes(real: Rows, synthetic: Rows) -> list[ClassLikeness]:
    if real.label is None or synthetic.label is None:
        return []
    levels = real.categorical[-1].levels
    found = []
    for code, level in enumerate(levels):
        one, other = real.take(real.label == code), synthetic.take(synthetic.label == code)
        shares = len(one) / len(real), len(other) / max(len(synthetic), 1)
        if min(len(one), len(other)) < MIN_CLASS:
            found.append(ClassLikeness(str(level), *shares))
            continue
        each = [_numbers(column, one.numbers[:, i], other.numbers[:, i]) for i, column in enumerate(one.numeric)]
        each += [_levels(column, one.codes[:, i], other.codes[:, i]) for i, column in enumerate(one.categorical[:-1])]
        known = [column for column in each if column.likeness is not None]
        worst = min(known, key=lambda column: column.likeness or 0.0, default=None)
        mean = _mean([column.likeness for column in known])
        if worst is None:
            found.append(ClassLikeness(str(level), *shares))
        else:
            found.append(ClassLikeness(str(level), *shares, mean, worst.name, worst.likeness))
    return found


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return float(np.mean(known)) if known else None
