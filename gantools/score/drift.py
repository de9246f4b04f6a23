"""Do the rows as a whole still look like the training rows? Counts per column and bin, chunk by chunk.

The rate of false alarms holds only while normal rows are what they were in training. Drift is reported where a
difference is both beyond chance (in a large file any trifle is) and large. Per column: chi-square between the two
tables' counts, both of which are samples, with Holm's correction over the columns (Holm 1979), and the population
stability index, sum of (new - trained) * ln(new / trained) over the bins, for the size. Over all columns: the share of
rows with a low p-value, which also sees what no single column shows.

Time goes on, so that later rows have later dates: of a datetime only the share of missing cells is compared, and it is
said where its dates lie after the last one learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from gantools.data.tables.formatting import format_value
from gantools.data.tables.raw import MISSING, UNSEEN, Raw
from gantools.data.tables.schema import Column, Kind, Schema
from gantools.errors import DataError

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

N_BINS = 20  # of a number
MIN_EXPECTED = 5  # rows a group of bins needs in the smaller table for a chi-square to hold
SIGNIFICANT = 0.01  # p-value of the columns together, and of the share of odd rows
LARGE_INDEX = 0.1  # population stability index; by its users' convention small below and in need of a look above
ODD = 0.05  # p-value up to which a row counts as odd
LARGE_ODDS = 3.0  # so many times more odd rows than expected are many
LESS = 0.9  # what a part of the rows that has shrunk counts for in words against one that has grown
MANY_LATER = 0.05  # share of dates after the last one learned that is worth a word
MANY_OF_GROUP = 0.5  # share of a group's rows that are odd that is much, however many are elsewhere
MOST_WORDS = 8  # columns that `Drift.words` names
ALL = np.array([-1, 1]) * np.finfo(np.float64).max  # edges of a bin that holds every number


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column is from training.

    statistic: chi-square. p_value: of a table as far or further away by chance, corrected for the number of columns.
    index: population stability index, less what chance contributes, >= 0. drifted: both beyond chance and large.
    words: where the difference is largest, "" where not drifted.
    """

    name: str
    statistic: float
    p_value: float
    index: float
    drifted: bool
    words: str


@dataclass(frozen=True)
class GroupDrift:
    """A group whose rows are odd more often than others. odd_share: of its rows with a p-value of 0.05 or less."""

    name: str
    n_rows: int
    odd_share: float


@dataclass(frozen=True)
class Drift:
    """How far a table is from training.

    n_rows: rows looked at. columns: in the schema's order, numbers first. odd_share: share of rows with a p-value of
    0.05 or less; odd_expected: the share to expect of rows like the training rows; odd_p_value: of that many or more
    by chance. odd: significantly and at least three times as many. drifted: a column has, or there are many odd rows.
    words: a line for each finding, the furthest first; empty when there is no drift. later: a sentence for each column
    of dates many of which lie after the last one learned, which is no drift. groups: those that have drifted, the
    furthest first.
    """

    n_rows: int
    columns: tuple[ColumnDrift, ...]
    odd_share: float
    odd_expected: float
    odd_p_value: float
    odd: bool
    words: tuple[str, ...]
    later: tuple[str, ...] = ()
    groups: tuple[GroupDrift, ...] = ()

    @property
    def drifted(self) -> bool:
        return self.odd or bool(self.groups) or any(column.drifted for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {"drifted": self.drifted, **asdict(self), "words": list(self.words), "later": list(self.later)}


@dataclass(frozen=True, eq=False)
class Reference:
    """How the training rows spread over each column: what later tables are compared with.

    schema: what the columns are. n_rows: rows it was fitted on. edges: per numeric column, ascending; bin j holds
    values above edges[j - 1] up to edges[j], the first bin those below all that were seen, the last bin but one those
    above, the last the missing cells; a column of moments has one bin, with the edges ALL, for all its values. counts:
    per numeric, then per categorical column, training rows in each bin; categorical bins are the levels, the pooled
    levels, those never seen, the missing cells. The bins for values never seen hold one row, as many as training would
    lead to expect there at most. runs_on: the columns of moments whose later values are not held against a row.
    """

    schema: Schema
    n_rows: int
    edges: tuple[Floats, ...]
    counts: tuple[Counts, ...]
    runs_on: tuple[str, ...] = ()

    @classmethod
    def fit(cls, raw: Raw, schema: Schema, runs_on: tuple[str, ...] = ()) -> Reference:
        """From the training rows. Raises DataError when there are none."""
        if not len(raw):
            raise DataError("there are no rows to compare later ones with")
        edges = tuple(
            ALL if schema[name].kind is Kind.DATETIME or name in runs_on else _edges(raw.numbers[:, j])
            for j, name in enumerate(schema.numeric)
        )
        bare = cls(schema, len(raw), edges, ())
        counts = bare.count(raw)
        for j, count in enumerate(counts):
            if j >= len(edges):
                count[-2] = 1
            elif len(edges[j]):
                count[[0, -2]] = 1  # one more row would be the new smallest with probability 1 / (n + 1)
        return cls(schema, len(raw), edges, counts, runs_on)

    def count(self, raw: Raw) -> tuple[Counts, ...]:
        """Rows of `raw` in each bin of each column."""
        counts = []
        # column by column: a search in 20 edges beats 20 passes over the matrix, and columns lie one after another
        for edges, numbers in zip(self.edges, raw.numbers.T, strict=True):
            # NaN is searched as beyond infinity: the last bin
            bins = np.searchsorted(np.append(edges, np.inf), numbers)
            counts.append(np.bincount(bins, minlength=len(edges) + 2))
        for name, codes in zip(self.schema.categorical, raw.codes.T, strict=True):
            n_bins = len(self.schema[name].levels) + 3
            bins = np.where(codes == MISSING, n_bins - 1, np.where(codes == UNSEEN, n_bins - 2, codes))
            counts.append(np.bincount(bins, minlength=n_bins))
        return tuple(counts)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns compared, in the order of `counts`."""
        return tuple(self.schema[name] for name in (*self.schema.numeric, *self.schema.categorical))

    def to_json(self) -> dict[str, Any]:
        """The reference without its schema, as plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "edges": [edges.tolist() for edges in self.edges],
            "counts": [counts.tolist() for counts in self.counts],
            "runs_on": list(self.runs_on),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], schema: Schema) -> Reference:
        """The reference that `to_json` wrote. Raises DataError when it is none, or not of this schema."""
        try:
            edges = tuple(np.array(values, dtype=np.float64) for values in document["edges"])
            counts = tuple(np.array(values, dtype=np.int64) for values in document["counts"])
            reference = cls(schema, int(document["n_rows"]), edges, counts, tuple(document.get("runs_on", ())))
            widths = [len(each) + 2 for each in edges]
            widths += [len(schema[name].levels) + 3 for name in schema.categorical]
            fits = len(edges) == len(schema.numeric) and widths == [len(each) for each in counts]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("is not a reference for drift", remedy="train again") from error
        if not fits:
            raise DataError("the reference for drift does not fit the schema", remedy="train again")
        return reference


def _edges(values: Floats) -> Floats:
    """Ascending bin edges of a number: just below its smallest value, up to its largest; none where all are missing."""
    values = np.sort(values[~np.isnan(values)])
    if not len(values):
        return values
    distinct = values[np.append(True, values[1:] > values[:-1])]
    if len(distinct) > N_BINS:
        places = np.ceil(np.arange(1, N_BINS + 1) / N_BINS * len(values)).astype(np.int64) - 1
        distinct = np.unique(values[places])
    return np.append(np.nextafter(values[0], -np.inf), distinct)


class DriftMonitor:
    """Counts rows as they pass, in memory that does not grow, and says whether they have drifted.

    reference: how the training rows were spread. n_held_out: rows that the p-values were calibrated on, which limits
    how well their share is known; None takes it as known exactly. by: the column of groups, the last of the schema's.
    """

    def __init__(self, reference: Reference, n_held_out: int | None = None, by: str | None = None) -> None:
        self.reference, self.by = reference, by
        n_groups = 0 if by is None else len(reference.schema[by].levels)
        self._of_groups = np.zeros((2, n_groups), dtype=np.int64)  # rows of each group, and odd ones
        self.n_held_out = n_held_out
        self.n_rows = 0
        self._n_judged = 0
        self._n_odd = 0
        self._later = {j: 0 for j, edges in enumerate(reference.edges) if np.array_equal(edges, ALL)}
        self._counts = tuple(np.zeros_like(counts) for counts in reference.counts)

    def update(self, raw: Raw, p_value: npt.ArrayLike | None = None) -> None:
        """Count more rows. p_value: [N], of each; NaN where a row has none, None where none has."""
        self.n_rows += len(raw)
        for counts, more in zip(self._counts, self.reference.count(raw), strict=True):
            counts += more
        for j in self._later:
            last = self.reference.columns[j].high
            self._later[j] += 0 if last is None else int((raw.numbers[:, j] > last).sum())
        if p_value is not None:
            p = np.asarray(p_value, dtype=np.float64)
            self._n_judged += int(np.isfinite(p).sum())
            self._n_odd += int((p <= ODD).sum())
            if self.by is not None:
                group = raw.codes[:, -1]
                for counts, rows in zip(self._of_groups, (np.isfinite(p), p <= ODD), strict=True):
                    counts += np.bincount(group[rows & (group >= 0)], minlength=len(counts))

    def merge(self, other: DriftMonitor) -> None:
        """Count what `other`, with the same reference, has counted, too."""
        self.n_rows += other.n_rows
        self._n_judged += other._n_judged
        self._n_odd += other._n_odd
        self._of_groups += other._of_groups
        for counts, more in zip(self._counts, other._counts, strict=True):
            counts += more
        for j, n in other._later.items():
            self._later[j] += n

    def report(self) -> Drift:
        """Where the rows counted so far stand."""
        reference, n_columns = self.reference, len(self._counts)
        compared = [
            _compare(trained, new, reference.n_rows, self.n_rows, ordered=j < len(reference.edges))
            for j, (trained, new) in enumerate(zip(reference.counts, self._counts, strict=True))
        ]
        corrected = _holm(np.array([p for _, p, _ in compared]))
        columns = []
        for j, column in enumerate(reference.columns):
            statistic, _, index = compared[j]
            drifted = bool(corrected[j] <= SIGNIFICANT and index >= LARGE_INDEX)
            words = f"{column.name}: {self._largest(j, column)}" if drifted else ""
            columns.append(ColumnDrift(column.name, statistic, float(corrected[j]), index, drifted, words))
        share, expected, p_value = self._odd()
        odd = p_value <= SIGNIFICANT and share >= LARGE_ODDS * expected
        groups = self._drifted_groups()
        return Drift(
            n_rows=self.n_rows,
            columns=tuple(columns),
            odd_share=share,
            odd_expected=expected,
            odd_p_value=p_value,
            odd=odd,
            words=(*_words(columns, n_columns, share if odd else None), *self._words_of_groups(groups)),
            groups=tuple(groups),
            later=tuple(self._later_words()),
        )

    def _drifted_groups(self) -> list[GroupDrift]:
        """The groups with significantly and much more odd rows than normal ones have, and than the others; the one with
        the largest share first."""
        n, n_odd = self._of_groups
        seen = np.flatnonzero(n_odd)
        if self.by is None or not len(seen):
            return []
        elsewhere, p = (self._n_odd - n_odd) / np.maximum(self._n_judged - n, 1), np.ones(len(n))
        usual = np.maximum(ODD, elsewhere)
        p[seen] = special.betainc(n_odd[seen], n[seen] - n_odd[seen] + 1, usual[seen])
        shares = n_odd / np.maximum(n, 1)
        is_odd = (_holm(p) <= SIGNIFICANT) & (shares >= np.minimum(LARGE_ODDS * usual, MANY_OF_GROUP))
        levels = self.reference.schema[self.by].levels
        found = [GroupDrift(str(levels[g]), int(n[g]), float(shares[g])) for g in np.flatnonzero(is_odd).tolist()]
        return sorted(found, key=lambda one: (-one.odd_share, one.name))

    def _words_of_groups(self, groups: list[GroupDrift]) -> Iterator[str]:
        for one in groups[:MOST_WORDS]:
            rows = f"{_percent(one.odd_share)} of its {one.n_rows:,} rows"
            yield f"{self.by} {one.name!r}: {rows} are as odd as the oddest {_percent(ODD)} of normal rows were"
        if len(groups) > MOST_WORDS:
            yield f"so are rows of {len(groups) - MOST_WORDS} more of {self._of_groups.shape[1]:,} '{self.by}'"

    def _later_words(self) -> Iterator[str]:
        for j, n_later in self._later.items():
            column, n_known = self.reference.columns[j], self.n_rows - int(self._counts[j][-1])
            if column.high is None or n_later < max(1.0, MANY_LATER * n_known):
                continue
            said = (
                f"{'all' if n_later == n_known else f'{n_later:,} of {n_known:,}'} '{column.name}' lie after the last"
            )
            said += f" one learned, {format_value(column.high, column)}"
            if column.name in self.reference.runs_on:
                yield f"{said}; time goes on, so this is not held against the rows"
            else:
                remedy = f"learn from later rows too, or with --drop {column.name}"
                yield f"{said}, which makes rows look abnormal; {remedy}"

    def _odd(self) -> tuple[float, float, float]:
        """Share of odd rows, the share to expect, and the probability of so many or more."""
        n = self.n_held_out
        k = math.floor(ODD * (n + 1)) if n is not None else 0
        expected = ODD if n is None else k / (n + 1)
        if not self._n_judged or not self._n_odd or not expected:
            return (self._n_odd / self._n_judged if self._n_judged else 0.0), expected, 1.0
        # held-out rows are a sample: the share that lies beyond their k-th largest score is Beta(k, n + 1 - k)
        middles = (np.arange(1000) + 0.5) / 1000
        rates = np.array([ODD]) if n is None else special.betaincinv(k, n + 1 - k, middles)
        # probability of n_odd or more among n_judged rows, each with probability `rates`
        above = special.betainc(self._n_odd, self._n_judged - self._n_odd + 1, rates)
        return self._n_odd / self._n_judged, expected, float(above.mean())

    def _largest(self, j: int, column: Column) -> str:
        """The plainest description of where column j differs most: of all ways to part its rows in two, the one with
        the largest population stability index."""
        trained, new = self.reference.counts[j], self._counts[j]
        parts = _numeric_parts(self.reference.edges[j], column) if j < len(self.reference.edges) else _levels(column)
        best, said = -1.0, ""
        for bins, phrase, seen in parts:
            was, now = (np.array([counts[bins].sum(), counts.sum()]) for counts in (trained, new))
            index = _index(np.array([was[0], was[1] - was[0]]), np.array([now[0], now[1] - now[0]]))
            share, before = now[0] / now[1], was[0] / was[1]
            if share < before:
                index *= LESS  # of two halves name the one that has grown
            if index > best:
                best = index
                said = f"{_percent(share)} of rows {phrase}" + (f", {_percent(before)} when trained" if seen else "")
        return said


def _compare(trained: Counts, new: Counts, n: int, m: int, *, ordered: bool) -> tuple[float, float, float]:
    """Chi-square, p-value and population stability index between the counts of a column in tables of n and m rows.

    ordered: they are those of a number.
    """
    if not m:
        return 0.0, 1.0, 0.0
    group = _groups(trained, min(1.0, m / n), ordered)
    was, now = (np.bincount(group, counts, minlength=group.max() + 1) for counts in (trained, new))
    # group 0 is what is rare or was never seen: too little to expect for chi-square, so whether it has become too much
    # is told by the binomial distribution of the rows found there, new ones among all
    rare_total, rare_new = was[0] + now[0], now[0]
    p_rare = float(special.betainc(rare_new, rare_total - rare_new + 1, m / (n + m))) if rare_new else 1.0
    a, b = was[1:], now[1:]
    statistic, p_common = 0.0, 1.0
    if len(a) > 1 and b.sum():
        ratio = math.sqrt(b.sum() / a.sum())
        statistic = float(((ratio * a - b / ratio) ** 2 / (a + b)).sum())
        p_common = float(special.chdtrc(len(a) - 1, statistic))
    chance = len(a) * (1 / n + 1 / m)
    index = _index(was, now) - chance
    return statistic, min(1.0, 2 * min(p_rare, p_common)), max(0.0, index)


def _groups(trained: Counts, ratio: float, ordered: bool) -> npt.NDArray[np.int64]:
    """The group of each bin: every group but 0 expects MIN_EXPECTED rows; 0 gathers what is rare or was never seen.

    ratio: rows of the smaller table per training row. Neighbours, among levels those alike in frequency, are joined
    until they are enough. The pooled levels stay with the rare ones: levels that training saw a few times make room,
    in another table, for others like them.
    """
    group = np.zeros(len(trained), dtype=np.int64)
    expected = trained * ratio
    first = 1
    if expected[-1] >= MIN_EXPECTED:  # missing cells are nobody's neighbours
        group[-1], first = 1, 2
    bins = np.arange(1, len(trained) - 2) if ordered else np.flatnonzero(trained[:-3] >= MIN_EXPECTED)
    current, total = first, 0.0
    for j in bins:
        group[j] = current
        total += expected[j]
        if total >= MIN_EXPECTED:
            current, total = current + 1, 0.0
    # what was left over at the end joins its neighbours, if there are any
    group[group == current] = current - 1 if current > first else 0
    return group


def _index(was: npt.NDArray[Any], now: npt.NDArray[Any]) -> float:
    """Population stability index of two rows of counts; none counts as half a row."""
    old, new = (np.maximum(counts, 0.5) / counts.sum() for counts in (was, now))
    return float(((new - old) * np.log(new / old)).sum())


def _holm(p: Floats) -> Floats:
    """p-values corrected for their number."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    return corrected


# --- words ---


def _words(columns: list[ColumnDrift], n_columns: int, odd_share: float | None) -> tuple[str, ...]:
    lines = []
    if odd_share is not None:
        lines.append(f"{_percent(odd_share)} of rows are as odd as the oddest {_percent(ODD)} of normal rows were")
    drifted = sorted((column for column in columns if column.drifted), key=lambda column: -column.index)
    lines += [column.words for column in drifted[:MOST_WORDS]]
    if len(drifted) > MOST_WORDS:
        lines.append(f"{len(drifted) - MOST_WORDS} more of {n_columns} columns have drifted")
    return tuple(lines)


# bins of a column, what the rows in them are called, whether training had such rows
Part = tuple[slice | list[int], str, bool]


def _numeric_parts(edges: Floats, column: Column) -> Iterator[Part]:
    """Ways to part the bins of a number in two."""
    yield [-1], "without a value", True
    if not len(edges) or np.array_equal(edges, ALL):
        return
    values = [format_value(value, column) for value in edges]
    yield (
        [0],
        f"below {format_value(float(np.nextafter(edges[0], np.inf)), column)}, the smallest value in training",
        False,
    )
    yield [-2], f"above {values[-1]}, the largest value in training", False
    for j in range(1, len(edges) - 1):
        yield slice(0, j + 1), f"at most {values[j]}", True
        yield slice(j + 1, -1), f"above {values[j]}", True
    for j in range(2, len(edges) - 1):
        alone = column.kind is Kind.INTEGER and edges[j] - edges[j - 1] == 1
        phrase = f"with {values[j]}" if alone else f"above {values[j - 1]} and at most {values[j]}"
        yield [j], phrase, True


def _levels(column: Column) -> Iterator[Part]:
    """Ways to part the bins of a category in two."""
    yield [-1], "without a value", True
    yield [-2], "with a value never seen in training", False
    if column.n_pooled:
        yield [-3], "with a rare or new value", True
    for j, level in enumerate(column.levels):
        yield [j], f"with {level!r}" if isinstance(level, str) else f"with {level}", True


def _percent(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 0.01:
        return "under 0.01 %"
    return f"{percent:.0f} %" if percent >= 10 or not percent else f"{percent:.2g} %"
