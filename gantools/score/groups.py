"""Rows in groups, such as machines or customers, each with a normal of its own: what is shared and what is not.

Numbers are moved and stretched from what is normal in their group to what is normal in all (`GroupUnits`), so that one
set of nets serves every group. A group's centre and spread are shrunk towards those of all groups, by as much as groups
differ against how well few rows tell (empirical Bayes; Efron and Morris 1975): a group without rows has those of all,
and as wide a spread as groups scatter. Where groups differ no more than chance would have it they are left alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.errors import DataError
from gantools.score.borrowing import FEW_ROWS, GroupUnits

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

BY_CHANCE = 0.01  # probability of groups that differ as much, above which they are taken for alike
NARROWEST = 0.01  # spread of a group against that of all, that is believed
MOST_GROUPS = 100_000
UPPER = 0.95  # quantile of the abnormality of normal rows that tells how far it varies
LEAST_ROWS = 8  # held out of a group, below which these say nothing of its own
# variances of a median, and of the logarithm of the distance from there to UPPER, of one row of a normal distribution,
# the former in squares of this distance
UNSURE_MIDDLE, UNSURE_SPREAD = 0.58, 1.81
ROOM = 1.64  # as many standard deviations as UPPER lies above the median
TINY = 1e-6


def with_groups_last(schema: Schema, frame: pd.DataFrame, by: str) -> Schema:
    """The schema with the column of groups behind the others, as a category with all groups for its levels.

    Raises DataError where there is no such column, or it makes no groups.
    """
    if by not in schema.names:
        raise DataError("there is no such column", where=f"column '{by}'", remedy="name the column of the groups")
    n, most = int(frame[by].nunique()), min(MOST_GROUPS, max(2, len(frame) // 2))
    if not 2 <= n <= most:
        problem = f"has {n:,} values in {len(frame):,} rows, and groups may be 2 to {most:,}"
        raise DataError(problem, where=f"column '{by}'", remedy="name the column of the groups")
    kinds = {by: Kind.CATEGORICAL}
    column = infer_schema(frame[[by]], None, kinds, max_levels=MOST_GROUPS, dialect=schema.dialect)[by]
    others = tuple(one for one in schema.columns if one.name != by)
    return dataclasses.replace(schema, columns=(*others, column))


def some_of_each(group: Counts, most: int, seed: int) -> Counts:
    """Rows of groups [N], ascending: about so many in all, and as many of each group as of any other that has them."""
    if len(group) <= most:
        return np.arange(len(group))
    place, sizes = _places(group, seed), np.sort(np.bincount(group))
    # the largest number of rows a group such that all together are no more
    taken = np.append(0, sizes.cumsum())[:-1] + sizes * np.arange(len(sizes), 0, -1)
    enough = np.flatnonzero(taken > most)
    first = int(enough[0])
    each = (most - int(sizes[:first].sum())) // (len(sizes) - first)
    return np.flatnonzero(place < max(1, each))


def rows_of_groups(group: Counts, n_groups: int, most: int, shared: Counts, seed: int) -> tuple[Counts, Counts]:
    """What groups remember: at most so many rows of their own, and where these are fewer than FEW_ROWS rows of all.

    group: [N]. shared: rows that stand for all. Returns two matrices [3, K]: rows, the group that remembers each, and
    its place there.
    """
    place = _places(group, seed)
    kept = np.flatnonzero((place < most) & (group < n_groups))
    own = np.stack([kept, group[kept], place[kept]])
    n_own = np.minimum(np.bincount(group, minlength=n_groups + 1), most)
    n_own[n_groups] = 0
    wanted = np.where(n_own < FEW_ROWS, min(FEW_ROWS, most) - n_own, 0)
    wanted[n_groups] = min(most, len(shared))
    random = np.random.default_rng(seed)
    parts = [
        np.stack([random.choice(shared, n, replace=n > len(shared)), np.full(n, g), n_own[g] + np.arange(n)])
        for g, n in enumerate(wanted.tolist())
        if n > 0
    ]
    return own, np.concatenate(parts, 1) if parts else np.empty((3, 0), dtype=np.int64)


def _places(group: Counts, seed: int) -> Counts:
    """A place for each row among those of its group, at random: [N], from 0 on."""
    order = np.lexsort((np.random.default_rng(seed).random(len(group)), group))
    counts = np.bincount(group)
    found = np.empty(len(group), dtype=np.int64)
    found[order] = np.arange(len(group)) - np.repeat(counts.cumsum() - counts, counts)
    return found


def group_units(numbers: Floats, group: Counts, n_groups: int, alone: Counts) -> GroupUnits:
    """How numbers of each group are counted in units of all, learned from rows.

    numbers: [N, C], NaN where missing. group: [N], below n_groups. alone: [c], columns to leave alone.
    """
    counts = np.bincount(group, minlength=n_groups)
    columns = [_units(numbers[:, j], group, n_groups) for j in range(numbers.shape[1])]
    for j in alone.tolist():
        columns[j] = _left_alone(n_groups)
    centre, spread, of_all = (np.empty((rows, len(columns))) for rows in (n_groups + 1, n_groups + 1, 2))
    for j, column in enumerate(columns):
        centre[:, j], spread[:, j], of_all[:, j] = column
    return GroupUnits(centre, spread, of_all, counts)


def shrunk(value: Floats, variance: Floats) -> tuple[Floats, Floats, float]:
    """Values of groups [G], each known up to `variance`, drawn towards their mean as far as they are not known.

    A value of infinite variance is not known at all. Returns the drawn values and the mean; what is left unknown of
    each [G + 1], the last of a group without a value; and the mean. All equal where groups differ by chance alone. The
    variance among groups is DerSimonian and Laird's (1986).
    """
    known = np.isfinite(variance) & np.isfinite(value)
    n = int(known.sum())
    weight = np.where(known, 1 / np.where(known, np.maximum(variance, 1e-300), 1.0), 0.0)
    if n < 2:
        mean = float(value[known][0]) if n else 0.0
        return np.full(len(value) + 1, mean), np.zeros(len(value) + 1), mean
    value = np.where(known, value, 0.0)
    mean = float(weight @ value / weight.sum())
    apart = float(weight @ (value - mean) ** 2)
    if stats.chi2.sf(apart, n - 1) > BY_CHANCE:
        return np.full(len(value) + 1, mean), np.zeros(len(value) + 1), mean
    among = (apart - (n - 1)) / float(weight.sum() - (weight**2).sum() / weight.sum())
    middle = np.where(known, 1 / (among + np.where(known, variance, 0.0)), 0.0)
    mean = float(middle @ value / middle.sum())
    trust = np.where(known, among / (among + np.where(known, variance, 0.0)), 0.0)
    drawn = np.append(mean + trust * (value - mean), mean)
    return drawn, among * (1 - np.append(trust, 0.0)), mean


def usual_in_groups(abnormality: Floats, group: Counts, n_groups: int) -> tuple[Floats, Floats]:
    """The median and the upper spread of the abnormality of held-out rows [N] in each group, drawn towards those of
    all: [2, G + 1], and of all [2].

    The upper spread is from the median to the quantile UPPER, since it is there that thresholds lie.
    """
    order = np.lexsort((abnormality, group))
    ordered, n = abnormality[order].astype(np.float64), np.bincount(group, minlength=n_groups + 1)[:n_groups]
    first = np.append(0, n.cumsum())[:-1]
    half, upper = (
        ordered[np.minimum(first + np.floor(share * np.maximum(n - 1, 0)).astype(np.int64), len(ordered) - 1)]
        for share in (0.5, UPPER)
    )
    some, enough = np.maximum(n, 1), n >= LEAST_ROWS
    wide = np.log(np.maximum(upper - half, TINY))
    logs, unknown_logs, log_of_all = shrunk(wide, np.where(enough, UNSURE_SPREAD / some, np.inf))
    spread = np.exp(logs)
    unsure = np.where(enough, UNSURE_MIDDLE * spread[:-1] ** 2 / some, np.inf)
    centre, unknown, middle = shrunk(half, unsure)
    whole = np.sqrt(spread**2 * np.exp(2 * unknown_logs) + unknown * ROOM**2)
    return np.stack([centre, whole]), np.array([middle, np.exp(log_of_all)])


def _left_alone(n_groups: int) -> tuple[Floats, Floats, Floats]:
    return np.zeros(n_groups + 1), np.ones(n_groups + 1), np.array([0.0, 1.0])


def _units(values: Floats, group: Counts, n_groups: int) -> tuple[Floats, Floats, Floats]:
    """The centre and the spread of a column in each group [G + 1], and those of all [2]."""
    present = ~np.isnan(values)
    values, group = values[present], group[present]
    if not len(values):
        return _left_alone(n_groups)
    unit = float(np.abs(values).max()) or 1.0  # squares of 1e200 overflow
    values = values / unit
    n = np.bincount(group, minlength=n_groups).astype(np.float64)
    some = np.maximum(n, 1)
    mean = np.bincount(group, values, n_groups) / some
    away = values - mean[group]
    variance = np.bincount(group, away**2, n_groups) / np.maximum(n - 1, 1)
    within = float(np.sqrt((away**2).sum() / max(1.0, (np.maximum(n - 1, 0)).sum())))
    if not within:  # a group has one value only
        within = NARROWEST * float(values.std()) or 1.0
    square = float((away**2).mean()) ** 2
    kurtosis = float((away**4).mean()) / square if square else 1.0
    narrowest = NARROWEST * within
    deviation = np.maximum(np.sqrt(variance), narrowest)
    # log of a standard deviation from n values is known up to (kurtosis - 1) / (4 n)
    unsure = np.where(n > 1, max(kurtosis - 1, 1.0) / (4 * some), np.inf)
    logs, unknown_logs, log_of_all = shrunk(np.log(deviation), unsure)
    spread = np.exp(logs)
    unsure = np.where(n > 0, spread[:-1] ** 2 / some, np.inf)
    centre, unknown, middle = shrunk(mean, unsure)
    if not unknown.any() and np.ptp(centre) == 0 and np.ptp(spread) == 0:
        return _left_alone(n_groups)
    whole = np.sqrt(spread**2 * np.exp(2 * unknown_logs) + unknown)
    return centre * unit, whole * unit, np.array([middle, np.exp(log_of_all)]) * unit
