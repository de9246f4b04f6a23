"""Pandas columns and their dtypes: which family of values a column holds, the dtype's name, and its numbers.

Three names stand beside pandas' own: "date" (an object column of `datetime.date`), "decimal" (an object column of
`decimal.Decimal`), and "string:python" and the like (a string dtype whose storage is not the session's default).
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from gantools.errors import DataError

Floats = npt.NDArray[np.float64]


class Family(StrEnum):
    """What the cells of a column are, however pandas stores them."""

    BOOL = "bool"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    TEXT = "text"
    MIXED = "mixed"
    CATEGORY = "category"
    DATETIME = "datetime"
    DATE = "date"
    TIMEDELTA = "timedelta"


_OBJECT_FAMILIES = {
    "empty": Family.TEXT,
    "string": Family.TEXT,
    "boolean": Family.BOOL,
    "integer": Family.INTEGER,
    "floating": Family.FLOAT,
    "mixed-integer-float": Family.FLOAT,
    "decimal": Family.DECIMAL,
    "date": Family.DATE,
    "datetime": Family.DATETIME,
    "datetime64": Family.DATETIME,
    "mixed": Family.MIXED,
    "mixed-integer": Family.MIXED,
}


def family(series: pd.Series, name: str) -> Family:
    """The family of `series`; `name` is the column's name for the error.

    Raises UnreadableError for values that no rule can read: lists, complex numbers, periods, intervals, bytes, times of
    day.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        found = _arrow_family(dtype.pyarrow_dtype)
    elif isinstance(dtype, pd.CategoricalDtype):
        found = Family.CATEGORY
    elif isinstance(dtype, pd.StringDtype):
        found = Family.TEXT
    elif isinstance(dtype, pd.SparseDtype):
        raise DataError("is sparse", where=f"column '{name}'", remedy="make it dense: `.sparse.to_dense()`")
    elif isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        found = None
    elif pd.api.types.is_object_dtype(dtype):
        found = _OBJECT_FAMILIES.get(pd.api.types.infer_dtype(series, skipna=True))
    elif pd.api.types.is_bool_dtype(dtype):
        found = Family.BOOL
    elif pd.api.types.is_integer_dtype(dtype):
        found = Family.INTEGER
    elif pd.api.types.is_float_dtype(dtype):
        found = Family.FLOAT
    elif pd.api.types.is_datetime64_any_dtype(dtype):
        found = Family.DATETIME
    elif pd.api.types.is_timedelta64_dtype(dtype):
        found = Family.TIMEDELTA
    else:
        found = None
    if found is Family.DATETIME and pd.api.types.is_object_dtype(dtype) and not _are_naive(series):
        raise unsupported(name, "object datetime with time zones")
    if found is None:
        is_object = pd.api.types.is_object_dtype(dtype)
        raise unsupported(name, pd.api.types.infer_dtype(series, skipna=True) if is_object else str(dtype))
    return found


def _are_naive(moments: pd.Series) -> bool:
    try:
        return not isinstance(pd.to_datetime(moments).dtype, pd.DatetimeTZDtype)
    except (ValueError, TypeError):  # some with a time zone, some without
        return False


class UnreadableError(DataError):
    """A column holds values that no rule can read."""


def unsupported(name: str, held: str) -> UnreadableError:
    """The error for a column of values that cannot be modelled; held: what the column holds."""
    return UnreadableError(
        f"holds {held} values, which are not supported",
        where=f"column '{name}'",
        remedy="convert the column to numbers, text, booleans or dates, or drop it",
    )


def _arrow_family(kind: pa.DataType) -> Family | None:
    tests = (
        (pa.types.is_boolean, Family.BOOL),
        (pa.types.is_integer, Family.INTEGER),
        (pa.types.is_floating, Family.FLOAT),
        (pa.types.is_decimal, Family.DECIMAL),
        (pa.types.is_string, Family.TEXT),
        (pa.types.is_large_string, Family.TEXT),
        (pa.types.is_null, Family.TEXT),
        (pa.types.is_timestamp, Family.DATETIME),
        (pa.types.is_date, Family.DATE),
        (pa.types.is_duration, Family.TIMEDELTA),
    )
    return next((found for test, found in tests if test(kind)), None)


def dtype_name(series: pd.Series, kind: Family) -> str:
    """The name under which `dtype_of` finds the dtype of `series` again; kind: the family of the column."""
    dtype = series.dtype
    if pd.api.types.is_object_dtype(dtype) and kind in (Family.DATE, Family.DECIMAL):
        return str(kind)
    if isinstance(dtype, pd.StringDtype):
        usual = pd.StringDtype() if dtype.na_value is pd.NA else pd.StringDtype(na_value=np.nan)
        return str(dtype) if dtype == usual else f"{dtype}:{dtype.storage}"
    return str(dtype)


def dtype_of(name: str) -> Any:
    """The pandas dtype called `name`; object for "date" and "decimal", which are columns of Python objects.

    Raises DataError when this pandas has no such dtype.
    """
    if name in ("date", "decimal"):
        return np.dtype(object)
    try:
        if name.endswith("[pyarrow]"):
            return pd.ArrowDtype(_arrow_type(name.removesuffix("[pyarrow]")))
        if match := re.fullmatch(r"datetime64\[(\w+), (?:UTC)?([+-])(\d\d):(\d\d)(?::00)?\]", name):
            offset = timedelta(hours=int(match[3]), minutes=int(match[4]))
            unit: Any = match[1]
            return pd.DatetimeTZDtype(unit, timezone(-offset if match[2] == "-" else offset))
        base, _, storage = name.partition(":")
        if storage in ("python", "pyarrow"):
            return pd.StringDtype(storage) if base == "string" else pd.StringDtype(storage, na_value=np.nan)
        return pd.api.types.pandas_dtype(name)
    except (TypeError, ValueError) as error:
        raise DataError(f"unknown dtype '{name}'", where="schema") from error


def zone_of(name: str) -> Any:
    """The time zone of the dtype called `name`, None when it has none."""
    dtype = dtype_of(name)
    if isinstance(dtype, pd.ArrowDtype):
        return getattr(dtype.pyarrow_dtype, "tz", None)
    return getattr(dtype, "tz", None)


def _arrow_type(name: str) -> pa.DataType:
    if match := re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", name):
        return pa.timestamp(match[1], match[2])
    if match := re.fullmatch(r"decimal(128|256)\((\d+), (-?\d+)\)", name):
        return (pa.decimal128 if match[1] == "128" else pa.decimal256)(int(match[2]), int(match[3]))
    return pa.type_for_alias(name)


def to_floats(series: pd.Series, kind: Family) -> Floats:
    """The cells as float64, NaN where missing: [N]. Points in time become microseconds since the epoch (UTC), lengths
    of time microseconds; finer parts are cut off.

    kind: the family of the column, one of the numbers, dates, times and booleans. Raises ValueError or TypeError when
    a cell is none, DataError when one is further off than microseconds count.
    """
    if kind in (Family.DATETIME, Family.DATE, Family.TIMEDELTA):
        return _to_microseconds(series, kind)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _to_microseconds(series: pd.Series, kind: Family) -> Floats:
    if isinstance(series.dtype, pd.ArrowDtype) or kind is Family.DATE:
        unit = pa.duration("us") if kind is Family.TIMEDELTA else pa.timestamp("us")
        days = pa.date32() if pd.api.types.is_object_dtype(series.dtype) else None
        cells = pa.array(series, type=days, from_pandas=True)
        if pa.types.is_timestamp(cells.type) and cells.type.tz is not None:
            unit = pa.timestamp("us", cells.type.tz)
        is_finer = getattr(cells.type, "unit", "") == "ns"
        try:
            whole = cells.cast(unit, safe=not is_finer).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise _too_far(series) from error
        return np.asarray(whole.cast(pa.float64(), safe=False), dtype=np.float64)
    if kind is Family.TIMEDELTA:
        given = series.to_numpy()
    else:
        moments = pd.to_datetime(series) if pd.api.types.is_object_dtype(series.dtype) else series
        if isinstance(moments.dtype, pd.DatetimeTZDtype):
            moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
        given = moments.to_numpy()
    ticks = given.astype(f"{given.dtype.kind}8[us]")
    seconds = f"{given.dtype.kind}8[s]"
    if (ticks.astype(seconds) != given.astype(seconds))[~np.isnat(given)].any():
        raise _too_far(series)
    return np.where(np.isnat(ticks), np.nan, ticks.view(np.int64))


def _too_far(series: pd.Series) -> DataError:
    problem = "has a time further off than microseconds can count, some 290,000 years"
    return DataError(problem, where=f"column '{series.name}'", remedy="mend or empty the cell")


def in_calendar(cells: pd.Series) -> pd.Series:
    """Moments in a time zone as moments in UTC where Python's calendar, within which it knows zones, does not have all
    of them; any other column as it is."""
    if not isinstance(cells.dtype, pd.DatetimeTZDtype):
        return cells
    utc = cells.dt.tz_convert("UTC")
    seconds = utc.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    first, last = np.datetime64("0001-01-03", "s"), np.datetime64("9999-12-30", "s")
    return utc if ((seconds < first) | (seconds > last)).any() else cells


def utc_to_wall(values: Floats, zone: Any) -> Floats:
    """Microseconds since the epoch as the clocks of `zone` show them: [N]; no NaN."""
    years = _years_off(values)
    wall = pd.DatetimeIndex(_moments(values - years), tz="UTC").tz_convert(zone).tz_localize(None)
    return _ticks(wall) + years


def wall_to_utc(values: Floats, zone: Any) -> Floats:
    """The inverse of `utc_to_wall`; an hour that comes twice is the first one, one that is skipped moves on."""
    first = np.ones(len(values), dtype=bool)
    years = _years_off(values)
    wall = pd.DatetimeIndex(_moments(values - years))
    utc = wall.tz_localize(zone, ambiguous=first, nonexistent="shift_forward").tz_convert("UTC").tz_localize(None)
    return _ticks(utc) + years


_CYCLE_US = 146_097 * 86_400_000_000.0  # 400 years, after which the calendar repeats


def _years_off(values: Floats) -> Floats:
    """What to take away from moments so that they lie in years that pandas knows time zones for, 1570 to 9969:
    whole cycles of the calendar, 0 for most."""
    cycles: Floats = np.floor(values / _CYCLE_US)
    off: Floats = _CYCLE_US * (cycles - cycles.clip(-1, 19))
    return off


def _moments(values: Floats) -> npt.NDArray[np.datetime64]:
    return values.astype(np.int64).view("datetime64[us]")


def _ticks(index: pd.DatetimeIndex) -> Floats:
    return index.to_numpy().astype("datetime64[us]").view(np.int64).astype(np.float64)
