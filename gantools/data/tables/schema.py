"""What each column of a table is, inferred from its cells and written as JSON.

The rules that turn a column into something other than its plain reading have names; `Column.rule` carries the name and
`Column.note` the sentence for the user:

    constant             one value and nothing missing: given back as it is, not modelled
    missing_everywhere   no value at all: given back empty, not modelled
    present_or_missing   one number, missing in some rows: a category of one level
    identifier           text that differs in every row, or whole numbers that do and are numbered through or named
                         like an identifier (50 rows and more): not modelled, synthetic rows get fresh ones
    many_levels          more than `max_levels` levels: the most frequent are kept, the others pooled into one level; a
                         synthetic row that has it gets one of the MAX_POOLED most frequent of them at random
    large_integers       whole numbers beyond 2**53, which floating point cannot hold: identifiers when all differ,
                         else categories
    ambiguous_date       text that reads as a date day first and month first alike: stays text
    target               the label: a category whatever its dtype, every level kept, in ascending order
    chosen               the kind was given by the caller

Whole numbers in a floating column are integers. Datetimes are microseconds since the epoch in UTC and lengths of time
(timedelta) integers in microseconds; both remember the step (days, hours, ...) that all of them are multiples of.
Text is a datetime when each of its values is written in one known format. Lists, complex numbers, periods, intervals,
bytes and infinite numbers are refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.dates import find_formats, parse
from gantools.data.tables.dtypes import Family, Floats, dtype_name, family, to_floats, unsupported, utc_to_wall, zone_of
from gantools.errors import ConfigError, DataError

Level = str | int | float | bool

MAX_POOLED = 1000
MAX_EXACT = 2**53  # the last whole number that float64 holds together with all before it
MIN_IDENTIFIER_ROWS = 50
MAX_DECIMALS = 6
STEPS_US = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)  # a day, hour, minute, second, millisecond


class Kind(StrEnum):
    """What a column is to a model."""

    CONTINUOUS = "continuous"
    INTEGER = "integer"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"


NUMERIC_KINDS = (Kind.CONTINUOUS, Kind.INTEGER, Kind.DATETIME)
CATEGORICAL_KINDS = (Kind.CATEGORICAL, Kind.BOOLEAN)

_NOTES = {
    "constant": "always the same value; synthetic rows repeat it",
    "missing_everywhere": "has no value at all; synthetic rows leave it empty",
    "present_or_missing": "has a single value, missing in some rows; treated as a category",
    "identifier": "looks like an identifier; not learned, synthetic rows get fresh ones",
    "many_levels": "has {n_distinct} levels; the {n_kept} most frequent are learned, the other {n_pooled} are pooled "
    "and drawn at random",
    "large_integers": "has whole numbers too large to compute with; treated as {kind}",
    "ambiguous_date": "may be dates, but day first or month first cannot be told; treated as text",
}
_NOTED = ("n_distinct", "n_pooled", "kind")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    dtype: the pandas dtype to give back, named as gantools.data.tables.dtypes does. missing: share of missing cells, 0
    to 1. missing_is_none: a missing cell of an object column is None, not NaN. n_distinct: distinct values, missing
    ones apart. levels: of a categorical, boolean or constant column, most frequent first (of the target: ascending).
    n_pooled: how many rarer levels were pooled; pooled: the most frequent of those, at most MAX_POOLED. categories,
    ordered, categories_dtype: as declared by a pandas categorical, else None, False, "". low, high: bounds of a number,
    and of whole-number identifiers; microseconds for datetimes and lengths of time. decimals: every value is a multiple
    of 10**-decimals; None when there is no such number up to 6, and for datetimes. step: every datetime or length of
    time is a multiple of so many microseconds; None when of none of STEPS_US. format: how a datetime was spelt that
    came as text. rule: the named rule that made the column what it is, "" when none did.
    """

    name: str
    kind: Kind
    dtype: str
    missing: float = 0.0
    missing_is_none: bool = False
    n_distinct: int = 0
    levels: tuple[Level, ...] = ()
    n_pooled: int = 0
    pooled: tuple[Level, ...] = ()
    categories: tuple[Level, ...] | None = None
    ordered: bool = False
    categories_dtype: str = ""
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    step: int | None = None
    format: str | None = None
    rule: str = ""

    @property
    def note(self) -> str:
        """One sentence for the user about the rule that was applied; "" when there is nothing to say."""
        if self.rule not in _NOTES:
            return ""
        said = _NOTES[self.rule].format(n_kept=len(self.levels), **{name: getattr(self, name) for name in _NOTED})
        return f"column '{self.name}' {said}"


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, in order; target: the name of the label's column; n_rows: rows it was inferred from."""

    columns: tuple[Column, ...]
    target: str | None
    n_rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every column's name, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns other than the target, in order."""
        return tuple(column for column in self.columns if column.name != self.target)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the features that are numbers or datetimes: the order of `Raw.numbers`."""
        return tuple(column.name for column in self.features if column.kind in NUMERIC_KINDS)

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the features that are categories or booleans: the order of `Raw.codes`."""
        return tuple(column.name for column in self.features if column.kind in CATEGORICAL_KINDS)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"there is no column '{name}'", where="schema", remedy=f"the columns are {_listed(self.names)}")

    def notes(self) -> list[str]:
        """What the user should know: one sentence per column that a rule changed."""
        return [column.note for column in self.columns if column.note]

    def to_json(self) -> dict[str, Any]:
        """The schema as plain JSON values; `from_json` reads it again."""
        columns = [
            {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(column).items()}
            for column in self.columns
        ]
        return {"version": 1, "target": self.target, "n_rows": self.n_rows, "columns": columns}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` wrote. Raises DataError when the document is not one."""
        known = {field.name for field in fields(Column)}
        try:
            columns = tuple(
                Column(**{name: _from_json(name, value) for name, value in entry.items() if name in known})
                for entry in document["columns"]
            )
            return cls(columns=columns, target=document["target"], n_rows=int(document["n_rows"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("is not a schema", where="schema", remedy="infer it again from the table") from error


def _from_json(name: str, value: Any) -> Any:
    if name == "kind":
        return Kind(value)
    return tuple(value) if isinstance(value, list) else value


def infer_schema(
    frame: pd.DataFrame,
    target: str | None = None,
    kinds: Mapping[str, Kind | str] | None = None,
    max_levels: int = 100,
) -> Schema:
    """What each column of `frame` is, by the rules of this module.

    target: the label's column. kinds: kinds that the caller knows better, by column. max_levels: a feature keeps so
    many levels, the rest are pooled (at least 1).

    Raises DataError naming the column when the frame is empty, names a column twice, lacks the target, misses a label,
    or holds cells that no kind can; ConfigError when `max_levels` is below 1.

    >>> frame = pd.DataFrame({"age": [31, 46, 28], "plan": ["a", "b", "a"], "left": ["no", "yes", "no"]})
    >>> [str(column.kind) for column in infer_schema(frame, target="left").columns]
    ['integer', 'categorical', 'categorical']
    """
    if max_levels < 1:
        raise ConfigError(f"must be at least 1, not {max_levels}", where="max_levels")
    names = _checked_names(frame)
    wanted = {name: _kind(name, kind) for name, kind in (kinds or {}).items()}
    for name in (*wanted, *([] if target is None else [target])):
        if name not in names:
            remedy = f"{_meant(name, names)}the columns are {_listed(names)}"
            raise DataError(f"there is no column '{name}'", remedy=remedy)
    columns = []
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        if name == target:
            if wanted.get(name, Kind.CATEGORICAL) not in CATEGORICAL_KINDS:
                raise DataError(f"the target is a category, it cannot be {wanted[name]}", where=f"column '{name}'")
            columns.append(_target_column(series, name))
        else:
            columns.append(_Feature(series, name, max_levels).column(wanted.get(name)))
    return Schema(columns=tuple(columns), target=target, n_rows=len(frame))


def _checked_names(frame: pd.DataFrame) -> list[str]:
    if frame.columns.nlevels > 1:
        raise DataError("the table has several header rows", remedy="join them to one name per column")
    names = [str(name) for name in frame.columns]
    if not names:
        raise DataError("the table has no columns")
    if not len(frame):
        raise DataError("the table has no rows")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"more than one column is called {_listed(twice)}", remedy="give every column its own name")
    return names


def _kind(name: str, kind: Kind | str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        where, remedy = f"column '{name}'", f"the kinds are {', '.join(Kind)}"
        raise DataError(f"there is no kind '{kind}'", where=where, remedy=remedy) from None


def _meant(name: str, names: Sequence[str]) -> str:
    """A question for the name that is spelt most like `name`, empty where none is like it."""
    spelt = {other.casefold(): other for other in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), spelt, n=1)
    return f"did you mean '{spelt[near[0]]}'? " if near else ""


def _listed(names: tuple[str, ...] | list[str], most: int = 8) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


@dataclass(frozen=True, slots=True)
class _Tally:
    """The distinct values of a column and how often each occurs, most frequent first (then as they came)."""

    levels: list[Any]
    counts: npt.NDArray[np.int64]
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
        return cls(values, counts[order], int((codes < 0).sum()))


def _target_column(series: pd.Series, name: str) -> Column:
    where = f"column '{name}'"
    held = family(series, name)
    if held in (Family.DATETIME, Family.DATE, Family.TIMEDELTA, Family.DECIMAL):
        raise DataError(f"the target holds {held} values", where=where, remedy="give each class a name or a number")
    tally = _Tally.of(series, name)
    if tally.n_missing:
        label = "label is" if tally.n_missing == 1 else "labels are"
        raise DataError(f"{tally.n_missing} {label} missing", where=where, remedy="fill them or drop those rows")
    if held is Family.FLOAT and not np.isfinite(tally.levels).all():
        raise infinite(name)
    column = Column(
        name=name,
        kind=Kind.CATEGORICAL,
        dtype=dtype_name(series, held),
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


def _declared(series: pd.Series) -> dict[str, Any]:
    """What a pandas categorical declares, as fields of Column."""
    dtype = series.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return {}
    index = dtype.categories
    values = [value.item() if isinstance(value, np.generic) else value for value in index.tolist()]
    declared_dtype = dtype_name(index.to_series(), Family.TEXT)
    return {"categories": tuple(values), "ordered": bool(dtype.ordered), "categories_dtype": declared_dtype}


def infinite(name: str) -> DataError:
    """The error for a column with infinite numbers."""
    remedy = "replace them with numbers or drop the rows"
    return DataError("holds infinite values", where=f"column '{name}'", remedy=remedy)


class _Feature:
    """One feature column on its way to a Column."""

    def __init__(self, series: pd.Series, name: str, max_levels: int) -> None:
        self.series = series
        self.name = name
        self.max_levels = max_levels
        self.family = family(series, name)
        self.plain = Column(
            name=name,
            kind=Kind.CATEGORICAL,
            dtype=dtype_name(series, self.family),
            missing_is_none=pd.api.types.is_object_dtype(series.dtype)
            and any(cell is None for cell in series[series.isna()][:1]),
            **_declared(series),
        )

    def column(self, wanted: Kind | None) -> Column:
        """The column, of the kind `wanted` when one is given. Raises DataError when it cannot be of that kind."""
        is_number = self.family in _NUMBERS
        is_moment = self.family in (Family.DATETIME, Family.DATE)
        if wanted is None:
            return self._numbers() if is_number else self._levels()
        if wanted in (Kind.CATEGORICAL, Kind.BOOLEAN) and not is_moment:
            column = self._levels(plain=True)
            if wanted is Kind.BOOLEAN and column.n_distinct > 2:
                raise self._not(wanted, f"it has {column.n_distinct} values")
            return replace(column, kind=wanted, rule=column.rule or "chosen")
        if wanted in (Kind.CONTINUOUS, Kind.INTEGER) and is_number and not is_moment:
            column = self._numbers(plain=True)
            if wanted is Kind.INTEGER and column.kind is not Kind.INTEGER:
                raise self._not(wanted, "some of its numbers are not whole")
            return replace(column, kind=wanted, rule="chosen")
        if wanted is Kind.DATETIME and is_moment:
            return replace(self._numbers(plain=True), rule="chosen")
        if wanted is Kind.DATETIME and self.family is Family.TEXT:
            return self._chosen_datetime()
        if wanted is Kind.IDENTIFIER and self.family in (Family.TEXT, Family.INTEGER, Family.FLOAT):
            return self._chosen_identifier()
        if wanted is Kind.CONSTANT:
            return self._chosen_constant()
        raise self._not(wanted, f"it holds {self.family} values")

    def _not(self, wanted: Kind, why: str) -> DataError:
        return DataError(f"cannot be {wanted}: {why}", where=f"column '{self.name}'", remedy="choose another kind")

    # --- numbers, datetimes and lengths of time ---

    def _numbers(self, plain: bool = False) -> Column:
        """The column as numbers; plain: whatever the rules say, for a kind that was chosen."""
        values = to_floats(self.series, self.family)
        present = values[~np.isnan(values)]
        if np.isinf(present).any():
            raise infinite(self.name)
        distinct = np.unique(present)
        column = replace(self.plain, missing=1 - len(present) / len(values), n_distinct=len(distinct))
        if not len(distinct):
            return replace(column, kind=Kind.CONSTANT, rule="missing_everywhere")
        column = replace(column, low=float(distinct[0]), high=float(distinct[-1]))
        column = self._with_grid(column, distinct)
        if plain:
            return column
        is_time = self.family in _TIMES
        is_large = self.family is Family.INTEGER and float(np.abs(distinct[[0, -1]]).max()) >= MAX_EXACT
        if is_large:
            return self._large_integers(column)
        if len(distinct) == 1 and not is_time:
            return self._levels()
        if len(distinct) == 1 and not column.missing:
            return replace(column, kind=Kind.CONSTANT, rule="constant")
        if column.kind is Kind.INTEGER and not is_time and self._is_identifier(column, present):
            return replace(column, kind=Kind.IDENTIFIER, rule="identifier")
        return column

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
        if n < MIN_IDENTIFIER_ROWS or column.n_distinct < n or column.low is None or column.high is None:
            return False
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
        leveled = self._levels()
        return replace(leveled, rule=leveled.rule or "large_integers")

    # --- text, categories and booleans ---

    def _levels(self, plain: bool = False) -> Column:
        """The column as levels; plain: whatever the rules say, for a kind that was chosen."""
        is_decimal = self.family is Family.DECIMAL  # JSON has no decimals: their levels are floats
        tally = _Tally.of(pd.Series(to_floats(self.series, self.family)) if is_decimal else self.series, self.name)
        if self.family in (Family.FLOAT, Family.MIXED, Family.CATEGORY) and any(
            isinstance(value, float) and not np.isfinite(value) for value in tally.levels
        ):
            raise infinite(self.name)
        n_rows, n_distinct = len(self.series), len(tally.levels)
        column = replace(self.plain, missing=tally.n_missing / n_rows, n_distinct=n_distinct)
        if not n_distinct:
            return replace(column, kind=Kind.CONSTANT, rule="missing_everywhere")
        if not plain:
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
        return replace(column, levels=tuple(kept), n_pooled=len(rest), pooled=pooled, rule="many_levels")

    def _special_text(self, column: Column, tally: _Tally) -> Column:
        """`column` as a datetime or an identifier if its text is one."""
        formats = find_formats(tally.levels)
        if len(formats) == 1:
            return _datetime_text(column, tally, formats[0])
        if formats:
            return replace(column, rule="ambiguous_date")
        n_present = len(self.series) - tally.n_missing
        if len(tally.levels) == n_present and n_present >= MIN_IDENTIFIER_ROWS:
            return _text_identifier(column, tally, "identifier")
        return column

    # --- kinds that the caller chose ---

    def _chosen_datetime(self) -> Column:
        tally = _Tally.of(self.series, self.name)
        formats = find_formats(tally.levels) if tally.levels else []
        if not formats:
            raise self._not(Kind.DATETIME, "its values are not all written as one known date format")
        column = replace(self.plain, missing=tally.n_missing / len(self.series), n_distinct=len(tally.levels))
        return replace(_datetime_text(column, tally, formats[0]), rule="chosen")

    def _chosen_identifier(self) -> Column:
        tally = _Tally.of(self.series, self.name)
        column = replace(self.plain, missing=tally.n_missing / len(self.series), n_distinct=len(tally.levels))
        if not tally.levels:
            return replace(column, kind=Kind.CONSTANT, rule="missing_everywhere")
        if self.family is Family.TEXT:
            return _text_identifier(column, tally, "chosen")
        if any(value != int(value) for value in tally.levels):
            raise self._not(Kind.IDENTIFIER, "some of its numbers are not whole")
        low, high = _outside(int(min(tally.levels)), int(max(tally.levels)))
        return replace(column, kind=Kind.IDENTIFIER, low=low, high=high, decimals=0, rule="chosen")

    def _chosen_constant(self) -> Column:
        if self.family in _TIMES:
            column = self._numbers(plain=True)
            if column.n_distinct > 1:
                raise self._not(Kind.CONSTANT, f"it has {column.n_distinct} values")
            return replace(column, kind=Kind.CONSTANT, rule="chosen")
        tally = _Tally.of(self.series, self.name)
        column = replace(self.plain, missing=tally.n_missing / len(self.series), n_distinct=len(tally.levels))
        return replace(column, kind=Kind.CONSTANT, levels=tuple(tally.levels[:1]), rule="chosen")


_TIMES = (Family.DATETIME, Family.DATE, Family.TIMEDELTA)
_NUMBERS = (Family.INTEGER, Family.FLOAT, Family.DECIMAL, *_TIMES)


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


_ID_WORDS = {"id", "ids", "uid", "uuid", "guid", "key", "index", "idx", "rowid", "userid", "customerid", "patientid"}


def is_identifier_name(name: str) -> bool:
    """Whether a column's name says that it holds identifiers: `id`, `customer_id`, `CustomerID`, `Unnamed: 0`, ..."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower()
    parts = re.split(r"[\W_]+", words)
    return bool(_ID_WORDS & {parts[0], parts[-1]}) or name.startswith("Unnamed:")
