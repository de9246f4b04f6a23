"""What a column is, inferred from its cells.

The rules that turn a column into something other than its plain reading have names; `Column.rule` carries the name and
`Column.note` the sentence for the user:

    constant             one value and nothing missing: given back as it is, not modelled
    missing_everywhere   no value at all: given back empty, not modelled
    present_or_missing   one number, missing in some rows: a category of one level
    identifier           text that differs in every row, or whole numbers that do and are numbered through or named
                         like an identifier (50 rows and more): not modelled, synthetic rows get fresh ones
    row_names            text or whole numbers that differ in every row, in a first column without a name: likewise, of
                         however many rows
    unnamed              any other column without a name, which is read like one that has a name
    many_levels          more than `max_levels` levels: the most frequent are kept, the others pooled into one level; a
                         synthetic row that has it gets one of the MAX_POOLED most frequent of them at random
    large_integers       whole numbers beyond 2**53, which floating point cannot hold: identifiers when all differ,
                         else categories
    ambiguous_date       text that reads as a date day first and month first alike: stays text
    target               the label: a category whatever its dtype, every level kept, in ascending order
    nearly_numbers       text that would be numbers but for some cells, and is no category of few levels: stays text
    unreadable           values that no rule can read (times of day, bytes, lists, periods, intervals, complex numbers):
                         not modelled, given back empty
    chosen               the kind was given by the caller

Whole numbers in a floating column are integers. Datetimes are microseconds since the epoch in UTC and lengths of time
(timedelta) integers in microseconds; both remember the step (days, hours, ...) that all of them are multiples of.
Text is a datetime when each of its values is written in one known format, words for missing cells apart; whole numbers
are when each is a day written as year, month and day. Decimals without fractional digits are whole numbers. Infinite
numbers are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gantools.data.tables.column import Column, Kind
from gantools.data.tables.dates import find_formats, parse
from gantools.data.tables.dtypes import (
    Family,
    Floats,
    UnreadableError,
    dtype_name,
    dtype_of,
    family,
    to_floats,
    unsupported,
    utc_to_wall,
    zone_of,
)
from gantools.data.tables.spelling import MISSING_WORDS, is_number
from gantools.errors import DataError
from gantools.words import listed

MAX_POOLED = 1000
MAX_EXACT = 2**53  # the last whole number that float64 holds together with all before it
MIN_IDENTIFIER_ROWS = 50
MAX_DECIMALS = 6
MIN_DAYS = 3  # distinct values of whole numbers that are taken for days
NEARLY = 0.8  # share of distinct texts that are numbers where the others are worth a word
WHOLE_DAY = "%Y%m%d"
STEPS_US = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)  # a day, hour, minute, second, millisecond

_TIMES = (Family.DATETIME, Family.DATE, Family.TIMEDELTA)
_NUMBERS = (Family.INTEGER, Family.FLOAT, Family.DECIMAL, *_TIMES)
_UNNAMED = re.compile(r"Unnamed: ([0-9]+)(\.1)*")  # as pandas and gantools call a column whose header cell is empty
_ID_WORDS = {"id", "ids", "uid", "uuid", "guid", "key", "index", "idx", "rowid", "userid", "customerid", "patientid"}


def feature_column(series: pd.Series, name: str, max_levels: int, kind: Kind | None) -> Column:
    """What the feature `name` is, of the kind that the caller chose where there is one.

    max_levels: it keeps so many levels. Raises DataError when it holds cells that no column may, or cannot be of that
    kind.
    """
    try:
        feature = _Feature(series, name, max_levels)
        return feature.inferred() if kind is None else _chosen(feature, kind)
    except UnreadableError as error:
        if kind is not None:
            raise
        return _unreadable(series, name, error)


def _unreadable(series: pd.Series, name: str, error: UnreadableError) -> Column:
    """A column whose values no rule can read."""
    try:
        dtype = str(dtype_of(str(series.dtype)))
    except DataError:
        dtype = "object"
    held = error.problem.removeprefix("holds ").partition(" values")[0]
    missing = float(series.isna().mean())
    return Column(name=name, kind=Kind.CONSTANT, dtype=dtype, missing=missing, rule="unreadable", misfits=(held,))


def target_column(series: pd.Series, name: str) -> Column:
    """What the label's column is. Raises DataError when it cannot be one, or lacks a label."""
    where = f"column '{name}'"
    held = family(series, name)
    dtype = dtype_name(series, held)
    if held is Family.DECIMAL and _are_whole(series):
        series, held = _whole(series), Family.INTEGER
    if held in (Family.DATETIME, Family.DATE, Family.TIMEDELTA, Family.DECIMAL):
        raise DataError(f"the target holds {held} values", where=where, remedy="give each class a name or a number")
    tally = _Tally.of(series, name)
    if tally.n_missing:
        label = "label is" if tally.n_missing == 1 else "labels are"
        remedy = "fill them or drop those rows"
        if held in _NUMBERS:
            remedy += "; where a word such as NA is a label, read the column as categorical"
        raise DataError(f"{tally.n_missing} {label} missing", where=where, remedy=remedy)
    if held is Family.FLOAT and not np.isfinite(tally.levels).all():
        raise infinite(name)
    column = Column(
        name=name,
        kind=Kind.CATEGORICAL,
        dtype=dtype,
        n_distinct=len(tally.levels),
        rule="target",
        **_declared(series),
    )
    order = {value: rank for rank, value in enumerate(column.categories or ())} if column.ordered else {}
    try:
        levels = sorted(tally.levels, key=order.__getitem__ if order else None)
    except TypeError:
        levels = sorted(tally.levels, key=lambda value: (type(value).__name__, str(value)))
    return replace(column, levels=tuple(levels))


def infinite(name: str) -> DataError:
    """The error for a column with infinite numbers."""
    remedy = "replace them with numbers or drop the rows"
    return DataError("holds infinite values", where=f"column '{name}'", remedy=remedy)


def is_identifier_name(name: str) -> bool:
    """Whether a column's name says that it holds identifiers: `id`, `customer_id`, `CustomerID`, `Unnamed: 0`, ..."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower()
    parts = re.split(r"[\W_]+", words)
    return bool(_ID_WORDS & {parts[0], parts[-1]}) or name.startswith("Unnamed:")


class _Feature:
    """A feature's cells, and the columns that they can be read as.

    bare: what is known of it before it is read. is_unnamed: its name says that its header cell is empty.
    is_first_unnamed: and that it is the first column.
    """

    def __init__(self, series: pd.Series, name: str, max_levels: int) -> None:
        self.series = series
        self.name = name
        self.max_levels = max_levels
        unnamed = _UNNAMED.fullmatch(name)
        self.is_unnamed = unnamed is not None
        self.is_first_unnamed = unnamed is not None and unnamed[1] == "0"
        self.family = family(series, name)
        self.bare = Column(
            name=name,
            kind=Kind.CATEGORICAL,
            dtype=dtype_name(series, self.family),
            missing_is_none=pd.api.types.is_object_dtype(series.dtype)
            and any(cell is None for cell in series[series.isna()][:1]),
            **_declared(series),
        )
        if self.family is Family.DECIMAL and _are_whole(series):
            self.series, self.family = _whole(series), Family.INTEGER

    def inferred(self) -> Column:
        """What the rules make of the column."""
        column = self.numbers() if self.family in _NUMBERS else self.levels()
        is_learned = column.kind not in (Kind.IDENTIFIER, Kind.CONSTANT)
        return replace(column, rule="unnamed") if self.is_unnamed and is_learned and not column.rule else column

    def counted(self) -> tuple[Column, _Tally]:
        """The column with its missing cells and distinct values counted."""
        tally = _Tally.of(self.series, self.name)
        missing = tally.n_missing / len(self.series)
        return replace(self.bare, missing=missing, n_distinct=len(tally.levels)), tally

    def numbers(self, *, by_rules: bool = True) -> Column:
        """The column as numbers; without the rules for a kind that was chosen."""
        values = to_floats(self.series, self.family)
        present = values[~np.isnan(values)]
        if np.isinf(present).any():
            raise infinite(self.name)
        distinct = np.unique(present)
        column = replace(self.bare, missing=1 - len(present) / len(values), n_distinct=len(distinct))
        if not len(distinct):
            return replace(column, kind=Kind.CONSTANT, rule="missing_everywhere")
        column = replace(column, low=float(distinct[0]), high=float(distinct[-1]))
        if by_rules and len(distinct) >= MIN_DAYS and (days := self.days(column, distinct)):
            return days
        column = self._with_grid(column, distinct)
        if not by_rules:
            return column
        is_time = self.family in _TIMES
        is_large = self.family is Family.INTEGER and float(np.abs(distinct[[0, -1]]).max()) >= MAX_EXACT
        if is_large:
            return self._large_integers(column)
        if len(distinct) == 1 and not is_time:
            return self.levels()
        if len(distinct) == 1 and not column.missing:
            return replace(column, kind=Kind.CONSTANT, rule="constant")
        if column.kind is Kind.INTEGER and not is_time and self._is_identifier(column, present):
            return replace(column, kind=Kind.IDENTIFIER, rule="row_names" if self.is_first_unnamed else "identifier")
        return column

    def days(self, column: Column, distinct: Floats) -> Column | None:
        """`column` as days that are written as whole numbers, None where some number is no day."""
        if self.family not in (Family.INTEGER, Family.FLOAT) or not len(distinct):
            return None
        if distinct[0] < 1900_01_01 or distinct[-1] > 2100_12_31 or (distinct % 1).any():
            return None
        moments = parse(pd.Series(distinct.astype(np.int64).astype(str)), WHOLE_DAY)
        if np.isnat(moments).any():
            return None
        low, high = moments.min(), moments.max()
        column = replace(column, low=float(low.view(np.int64)), high=float(high.view(np.int64)), step=STEPS_US[0])
        return replace(column, kind=Kind.DATETIME, format=WHOLE_DAY)

    def _with_grid(self, column: Column, distinct: Floats) -> Column:
        """`column` with its kind and the grid (decimals or step) that all its values lie on."""
        if self.family in _TIMES:
            kind = Kind.INTEGER if self.family is Family.TIMEDELTA else Kind.DATETIME
            decimals = 0 if kind is Kind.INTEGER else None
            step = _step(_wall_clock(distinct, column.dtype), distinct)
            return replace(column, kind=kind, decimals=decimals, step=step)
        if self.family is Family.INTEGER:
            return replace(column, kind=Kind.INTEGER, decimals=0)
        is_single = column.dtype.lower().startswith(("float32", "float16", "float[", "halffloat["))
        decimals = _decimals(distinct, np.float32 if is_single else np.float64)
        is_whole = decimals == 0 and float(np.abs(distinct[[0, -1]]).max()) < MAX_EXACT and self.family is Family.FLOAT
        return replace(column, kind=Kind.INTEGER if is_whole else Kind.CONTINUOUS, decimals=decimals)

    def _is_identifier(self, column: Column, present: Floats) -> bool:
        n = len(present)
        if column.n_distinct < n or column.low is None or column.high is None:
            return False
        if n < MIN_IDENTIFIER_ROWS or self.is_first_unnamed:
            return self.is_first_unnamed
        span = column.high - column.low
        steps = np.diff(present)
        is_monotone = bool((steps > 0).all() or (steps < 0).all())
        return span <= 2 * n or (is_monotone and span <= 10 * n) or is_identifier_name(self.name)

    def _large_integers(self, column: Column) -> Column:
        tally = _Tally.of(self.series, self.name)
        n = len(self.series) - tally.n_missing
        if len(tally.levels) == n and n >= MIN_IDENTIFIER_ROWS:
            low, high = _outside(min(tally.levels), max(tally.levels))
            column = replace(column, low=low, high=high, n_distinct=n)
            return replace(column, kind=Kind.IDENTIFIER, rule="large_integers")
        leveled = self.levels()
        return replace(leveled, rule=leveled.rule or "large_integers")

    def levels(self, *, by_rules: bool = True) -> Column:
        """The column as levels; without the rules for a kind that was chosen."""
        is_decimal = self.family is Family.DECIMAL  # JSON has no decimals: their levels are floats
        tally = _Tally.of(pd.Series(to_floats(self.series, self.family)) if is_decimal else self.series, self.name)
        if self.family in (Family.FLOAT, Family.MIXED, Family.CATEGORY) and any(
            isinstance(value, float) and not np.isfinite(value) for value in tally.levels
        ):
            raise infinite(self.name)
        n_rows, n_distinct = len(self.series), len(tally.levels)
        column = replace(self.bare, missing=tally.n_missing / n_rows, n_distinct=n_distinct)
        if not n_distinct:
            return replace(column, kind=Kind.CONSTANT, rule="missing_everywhere")
        if by_rules:
            if n_distinct == 1 and not tally.n_missing:
                return replace(column, kind=Kind.CONSTANT, levels=tuple(tally.levels), rule="constant")
            if n_distinct == 1 and self.family in _NUMBERS:
                return replace(column, levels=tuple(tally.levels), rule="present_or_missing")
            if self.family is Family.BOOL:
                return replace(column, kind=Kind.BOOLEAN, levels=tuple(tally.levels))
            if self.family is Family.TEXT and n_distinct > 1:
                column = self._special_text(column, tally)
                if column.kind is not Kind.CATEGORICAL:
                    return column
        kept, rest = tally.levels[: self.max_levels], tally.levels[self.max_levels :]
        if not rest:
            return replace(column, levels=tuple(kept))
        pooled = tuple(rest[:MAX_POOLED])
        column = replace(column, levels=tuple(kept), n_pooled=len(rest), pooled=pooled, rule="many_levels")
        if by_rules and self.family is Family.TEXT and (misfits := _misfits(tally.levels)):
            return replace(column, misfits=misfits[:3], rule="nearly_numbers")
        return column

    def _special_text(self, column: Column, tally: _Tally) -> Column:
        """`column` as a datetime or an identifier if its text is one."""
        present = tally.without_words(self.series)
        formats = find_formats(present.levels) if present.levels else []
        if len(formats) == 1:
            column = replace(column, missing=present.n_missing / len(self.series), n_distinct=len(present.levels))
            return _datetime_text(column, present, formats[0])
        if formats:
            return replace(column, rule="ambiguous_date")
        n_present = len(self.series) - present.n_missing
        is_long = n_present >= MIN_IDENTIFIER_ROWS and not _misfits(present.levels)
        if len(present.levels) == n_present and (is_long or self.is_first_unnamed):
            column = replace(column, missing=present.n_missing / len(self.series), n_distinct=n_present)
            return _text_identifier(column, present, "row_names" if self.is_first_unnamed else "identifier")
        return column


def _chosen(feature: _Feature, kind: Kind) -> Column:
    """The feature as a column of the kind that the caller chose. Raises DataError when it cannot be of that kind."""
    is_numeric = feature.family in _NUMBERS
    is_moment = feature.family in (Family.DATETIME, Family.DATE)
    if kind in (Kind.CATEGORICAL, Kind.BOOLEAN) and not is_moment:
        column = feature.levels(by_rules=False)
        if kind is Kind.BOOLEAN and column.n_distinct > 2:
            raise _cannot_be(feature, kind, f"it has {column.n_distinct} values")
        return replace(column, kind=kind, rule=column.rule or "chosen")
    if kind in (Kind.CONTINUOUS, Kind.INTEGER) and is_numeric and not is_moment:
        column = feature.numbers(by_rules=False)
        if kind is Kind.INTEGER and column.kind is not Kind.INTEGER:
            raise _cannot_be(feature, kind, "some of its numbers are not whole")
        return replace(column, kind=kind, rule="chosen")
    if kind is Kind.DATETIME and is_moment:
        return replace(feature.numbers(by_rules=False), rule="chosen")
    if kind is Kind.DATETIME and feature.family in (Family.INTEGER, Family.FLOAT):
        column = feature.numbers(by_rules=False)
        values = to_floats(feature.series, feature.family)
        days = feature.days(column, np.unique(values[~np.isnan(values)]))
        if days is not None:
            return replace(days, decimals=None, rule="chosen")
        raise _cannot_be(feature, kind, "some of its numbers are no day written as year, month, day (20240131)")
    if kind is Kind.DATETIME and feature.family is Family.TEXT:
        return _chosen_datetime(feature)
    if kind is Kind.IDENTIFIER and feature.family in (Family.TEXT, Family.INTEGER, Family.FLOAT):
        return _chosen_identifier(feature)
    if kind is Kind.CONSTANT:
        return _chosen_constant(feature)
    if kind in (Kind.CONTINUOUS, Kind.INTEGER) and feature.family is Family.TEXT:
        levels = feature.counted()[1].levels
        others = [text for text in levels if not is_number(text)]
        shown = listed((others or levels)[:3])
        raise _cannot_be(feature, kind, f"{len(others or levels)} of its values cannot be read together: {shown}")
    raise _cannot_be(feature, kind, f"it holds {feature.family} values")


def _cannot_be(feature: _Feature, kind: Kind, why: str) -> DataError:
    return DataError(f"cannot be {kind}: {why}", where=f"column '{feature.name}'", remedy="choose another kind")


def _chosen_datetime(feature: _Feature) -> Column:
    column, tally = feature.counted()
    tally = tally.without_words(feature.series)
    column = replace(column, missing=tally.n_missing / len(feature.series), n_distinct=len(tally.levels))
    formats = find_formats(tally.levels) if tally.levels else []
    if not formats:
        raise _cannot_be(feature, Kind.DATETIME, "its values are not all written as one known date format")
    return replace(_datetime_text(column, tally, formats[0]), rule="chosen")


def _chosen_identifier(feature: _Feature) -> Column:
    column, tally = feature.counted()
    if not tally.levels:
        return replace(column, kind=Kind.CONSTANT, rule="missing_everywhere")
    if feature.family is Family.TEXT:
        return _text_identifier(column, tally, "chosen")
    if any(value != int(value) for value in tally.levels):
        raise _cannot_be(feature, Kind.IDENTIFIER, "some of its numbers are not whole")
    low, high = _outside(int(min(tally.levels)), int(max(tally.levels)))
    return replace(column, kind=Kind.IDENTIFIER, low=low, high=high, decimals=0, rule="chosen")


def _chosen_constant(feature: _Feature) -> Column:
    if feature.family in _TIMES:
        column = feature.numbers(by_rules=False)
        if column.n_distinct > 1:
            raise _cannot_be(feature, Kind.CONSTANT, f"it has {column.n_distinct} values")
        return replace(column, kind=Kind.CONSTANT, rule="chosen")
    column, tally = feature.counted()
    return replace(column, kind=Kind.CONSTANT, levels=tuple(tally.levels[:1]), rule="chosen")


def _declared(series: pd.Series) -> dict[str, Any]:
    """What a pandas categorical declares, as fields of Column."""
    dtype = series.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return {}
    index = dtype.categories
    values = [value.item() if isinstance(value, np.generic) else value for value in index.tolist()]
    declared_dtype = dtype_name(index.to_series(), Family.TEXT)
    return {"categories": tuple(values), "ordered": bool(dtype.ordered), "categories_dtype": declared_dtype}


@dataclass(frozen=True, slots=True)
class _Tally:
    """The distinct values of a column, most frequent first (then as they came), and how many cells are missing."""

    levels: list[Any]
    n_missing: int

    @classmethod
    def of(cls, series: pd.Series, name: str) -> _Tally:
        try:
            codes, uniques = pd.factorize(series)
        except TypeError:
            raise unsupported(name, "nested") from None
        counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
        order = np.argsort(-counts, kind="stable")
        values = [value.item() if isinstance(value, np.generic) else value for value in uniques.take(order).tolist()]
        for kind in {type(value) for value in values}:
            if not issubclass(kind, str | int | float):
                raise unsupported(name, f"{kind.__name__}")
        return cls(values, int((codes < 0).sum()))

    def without_words(self, series: pd.Series) -> _Tally:
        """The same of a column of text in which words for missing cells are no values."""
        words = [level for level in self.levels if level in MISSING_WORDS]
        if not words:
            return self
        n_words = int(series.isin(words).sum())
        return _Tally([level for level in self.levels if level not in MISSING_WORDS], self.n_missing + n_words)


def _are_whole(decimals: pd.Series) -> bool:
    """Whether the decimals of a column have no fractional digits."""
    dtype = decimals.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return bool(dtype.pyarrow_dtype.scale <= 0)
    exponents = (value.as_tuple().exponent for value in decimals.dropna())
    return all(isinstance(exponent, int) and exponent >= 0 for exponent in exponents)


def _whole(decimals: pd.Series) -> pd.Series:
    """Decimals without fractional digits as Python's whole numbers."""
    cells = [None if pd.isna(value) else int(value) for value in decimals.astype(object)]
    return pd.Series(cells, index=decimals.index, dtype=object)


def _misfits(texts: list[str]) -> tuple[str, ...]:
    """The texts that are no numbers, where most are; none where they are codes of digits alone."""
    others = [text for text in texts if text not in MISSING_WORDS and not is_number(text)]
    if not others or len(others) > (1 - NEARLY) * len(texts) or any(text.isdigit() for text in others):
        return ()
    return tuple(others)


def _datetime_text(column: Column, tally: _Tally, known: str) -> Column:
    moments = parse(pd.Series(tally.levels, dtype=object), known).view(np.int64).astype(np.float64)
    column = replace(column, low=float(moments.min()), high=float(moments.max()), step=_step(moments, moments))
    return replace(column, kind=Kind.DATETIME, format=known)


def _text_identifier(column: Column, tally: _Tally, rule: str) -> Column:
    """`column` as an identifier; high: the last number that "synthetic-" identifiers among its values have."""
    used = [int(found[1]) for value in tally.levels if (found := re.fullmatch(r"synthetic-(\d{1,15})", value))]
    return replace(column, kind=Kind.IDENTIFIER, rule=rule, high=float(max(used)) if used else None)


def _outside(low: int, high: int) -> tuple[float, float]:
    """Floats at most `low` and at least `high`: bounds that stay true where float64 skips whole numbers."""
    down, up = float(low), float(high)
    return (
        down if int(down) <= low else float(np.nextafter(down, -np.inf)),
        up if int(up) >= high else float(np.nextafter(up, np.inf)),
    )


def _decimals(distinct: Floats, precision: type[np.floating[Any]]) -> int | None:
    with np.errstate(over="ignore", invalid="ignore"):  # rounding the very largest numbers overflows
        for decimals in range(MAX_DECIMALS + 1):
            if np.array_equal(np.round(distinct, decimals).astype(precision), distinct.astype(precision)):
                return decimals
    return None


def _wall_clock(moments: Floats, dtype: str) -> Floats:
    """Microseconds as clocks show them where the dtype has a time zone, so that whole days are seen as such."""
    zone = zone_of(dtype)
    if zone is None:
        return moments
    return utc_to_wall(moments, zone)


def _step(wall: Floats, moments: Floats) -> int | None:
    """The longest of STEPS_US that all moments are multiples of: days by the clock on the wall, the others in UTC."""
    grids: Iterator[tuple[int, Floats]] = ((step, wall if step == STEPS_US[0] else moments) for step in STEPS_US)
    return next((step for step, values in grids if not (values % step).any()), None)
