"""Data frames as two plain matrices, numbers and codes, and back: all that a model ever sees of a table.

Whole columns at a time throughout; nothing here loops over rows in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gantools.data.tables import dates
from gantools.data.tables.column import Column, Kind, Level
from gantools.data.tables.dtypes import Family, Floats, dtype_of, family, to_floats, utc_to_wall, wall_to_utc, zone_of
from gantools.data.tables.inference import STEPS_US, WHOLE_DAY, infinite
from gantools.data.tables.schema import Schema
from gantools.data.tables.spelling import MISSING_WORDS, NUMBER_WORDS
from gantools.errors import DataError

MISSING = -1
UNSEEN = -2

_MAX_PLACES = 9  # of a decimal column with more of them than the schema counts

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Raw:
    """A table's features as numbers.

    numbers: [N, n_numeric] float64 in the order of `schema.numeric`, NaN where missing, datetimes and lengths of time
    in microseconds. codes: [N, n_categorical] int64 in the order of `schema.categorical`: an index into the column's
    levels; len(levels) for a level of its pool (and, in a column that has a pool, one never seen); MISSING (-1); UNSEEN
    (-2) for a level never seen in a column without a pool.
    """

    numbers: Floats
    codes: Codes

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Codes | Mask) -> Raw:
        """The rows at `rows` (indices or a mask), in that order."""
        return Raw(numbers=self.numbers[rows], codes=self.codes[rows])


def to_raw(frame: pd.DataFrame, schema: Schema) -> Raw:
    """The features of `frame` as matrices; columns that the schema does not name are ignored.

    Raises DataError naming the column when one is lacking, or holds a cell that its kind cannot.
    """
    names = {str(name): position for position, name in enumerate(frame.columns)}
    lacking = [name for name in (*schema.numeric, *schema.categorical) if name not in names]
    if lacking:
        shown = ", ".join(f"'{name}'" for name in lacking[:8])
        remedy = "give every column of the training table"
        raise DataError(f"lacks the column {shown}", where="the table", remedy=remedy)
    # one column after another in memory, as they are written and as the encoder reads them
    numbers = np.empty((len(frame), len(schema.numeric)), dtype=np.float64, order="F")
    codes = np.empty((len(frame), len(schema.categorical)), dtype=np.int64, order="F")
    for index, name in enumerate(schema.numeric):
        numbers[:, index] = _read_numbers(frame.iloc[:, names[name]], schema[name])
    for index, name in enumerate(schema.categorical):
        codes[:, index] = _read_codes(frame.iloc[:, names[name]], schema[name])
    return Raw(numbers=numbers, codes=codes)


def read_number(cell: Any, column: Column) -> float:
    """A value of a column of numbers or moments, or a text that spells one as the table does, as `Raw.numbers` has it.

    Raises DataError where it cannot be read.
    """
    return float(_read_numbers(pd.Series([cell]), column)[0])


def from_raw(raw: Raw, schema: Schema, rng: np.random.Generator, first_id: int = 0) -> pd.DataFrame:
    """The features that `raw` stands for, in the schema's order and in its dtypes.

    Constants are filled in, pooled levels drawn by `rng` (a code of len(levels) + 1 + k is the k-th of them, drawn
    already), identifiers made fresh: whole numbers go on after the largest
    one, text is "synthetic-1", "synthetic-2", ... first_id: how many identifiers earlier calls have made. Numbers are
    rounded to the column's decimals or step and kept within its dtype, not within its bounds. A missing or unseen
    value in a column that had none missing becomes its most frequent level, or the median of the other rows.
    """
    numbers = {name: raw.numbers[:, index] for index, name in enumerate(schema.numeric)}
    codes = {name: raw.codes[:, index] for index, name in enumerate(schema.categorical)}
    cells: dict[str, Any] = {}
    for column in schema.features:
        name = column.name
        if name in numbers:
            cells[name] = _write_numbers(numbers[name], column)
        elif name in codes:
            cells[name] = _write_levels(*_drawn(codes[name], column, rng), column)
        elif column.kind is Kind.IDENTIFIER:
            cells[name] = _fresh_identifiers(len(raw), column, first_id)
        else:
            cells[name] = _write_constant(len(raw), column)
    columns = {name: _as_series(array, schema[name]) for name, array in cells.items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(raw)), copy=False)


def _as_series(cells: Any, column: Column) -> pd.Series:
    series: pd.Series = pd.Series(
        cells, dtype=cells.dtype, copy=False
    )  # pandas 3 takes objects for its text dtype unless told
    return series.where(series.notna(), None) if column.missing_is_none else series


def labels_to_codes(labels: pd.Series, schema: Schema) -> Codes:
    """The target column as indices into its levels: [N].

    Raises DataError when a label is missing or was not among those the schema was inferred from.
    """
    column = _target(schema)
    codes = _read_codes(labels, column)
    if (codes == MISSING).any():
        n_missing = int((codes == MISSING).sum())
        remedy = "fill them or drop those rows"
        raise DataError(f"{n_missing} labels are missing", where=f"column '{column.name}'", remedy=remedy)
    unknown = labels[codes == UNSEEN].unique()
    if len(unknown):
        shown = ", ".join(repr(label) for label in unknown[:5].tolist())
        remedy = f"the labels are {', '.join(repr(level) for level in column.levels[:20])}"
        raise DataError(f"unknown label {shown}", where=f"column '{column.name}'", remedy=remedy)
    return codes


def codes_to_labels(codes: Codes, schema: Schema) -> pd.Series:
    """The labels that `codes` [N] stand for, in the target's dtype. Raises DataError when a code has no label."""
    column = _target(schema)
    codes = np.asarray(codes, dtype=np.int64)
    if len(codes) and not (codes.min() >= 0 and codes.max() < len(column.levels)):
        raise DataError(f"there are {len(column.levels)} labels, no more", where=f"column '{column.name}'")
    return _as_series(_write_levels(codes, column.levels, column), column).rename(column.name)


def labelled_rows(raw: Raw, label: Codes, schema: Schema, rng: np.random.Generator) -> pd.DataFrame:
    """`from_raw` with the labels that the codes [N] stand for: every column, in the schema's order."""
    frame = from_raw(raw, schema, rng)
    frame[str(schema.target)] = codes_to_labels(label, schema)
    return frame[list(schema.names)]


def _target(schema: Schema) -> Column:
    if schema.target is None:
        raise DataError("has no target", where="schema", remedy="name the label's column when inferring it")
    return schema[schema.target]


# --- frame to matrices ---


def _read_numbers(series: pd.Series, column: Column) -> Floats:
    where = f"column '{column.name}'"
    held = family(series, column.name)
    is_text = held in (Family.TEXT, Family.MIXED, Family.CATEGORY)
    if column.kind is Kind.DATETIME and (is_text or (column.format == WHOLE_DAY and held in _WHOLE_FAMILIES)):
        return _read_dates(series, column)
    if is_text and not is_time(column):
        values, held = _read_spelled(series, column), Family.FLOAT
    else:
        try:
            values = to_floats(series, held)
        except (ValueError, TypeError) as error:
            raise DataError(f"has a cell that cannot be read ({error})", where=where, remedy=_MEND) from error
    holds_time = held in (Family.DATETIME, Family.DATE, Family.TIMEDELTA)
    if holds_time != is_time(column) and not np.isnan(values).all():
        remedy = "convert the column"
        raise DataError(f"holds {held} values where {column.dtype} was learned", where=where, remedy=remedy)
    if np.isinf(values).any():
        raise infinite(column.name)
    return values


_MEND = "mend or empty the cell"
_WHOLE_FAMILIES = (Family.INTEGER, Family.FLOAT, Family.DECIMAL)


def _read_spelled(series: pd.Series, column: Column) -> Floats:
    """Numbers that came as text, as the column was spelled when it was learned."""
    codes, found = pd.factorize(series.astype(object))
    cells = ["" if isinstance(cell, str) and cell in MISSING_WORDS else cell for cell in found.tolist()]
    texts = [cell.strip() if isinstance(cell, str) else str(cell) for cell in cells]
    spelling = column.spelling
    if spelling is not None and spelling.is_number and (spelling.decimal != "." or not spelling.is_plain):
        values = np.array([spelling.read_number(text) for text in texts], dtype=np.float64)
    else:
        values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    bad = [cell for cell, text, value in zip(cells, texts, values.tolist(), strict=True) if text and value != value]
    bad = [cell for cell in bad if str(cell).strip() not in _NO_NUMBERS]
    if bad:
        problem = f"has {bad[0]!r}, which is no number as the column was learned"
        raise DataError(problem, where=f"column '{column.name}'", remedy=f"{_MEND}, or convert the column to numbers")
    return np.append(values, np.nan)[codes]


_NO_NUMBERS = frozenset(NUMBER_WORDS)


def is_time(column: Column) -> bool:
    """Whether the column's numbers are microseconds: moments or lengths of time."""
    is_length = "timedelta" in column.dtype or "duration" in column.dtype
    return column.kind is Kind.DATETIME or is_length or (column.kind is Kind.CONSTANT and column.low is not None)


def _read_dates(series: pd.Series, column: Column) -> Floats:
    codes, found = pd.factorize(series.astype(object))
    written = pd.Series([_date_text(cell) for cell in found.tolist()], dtype=object)
    is_word = written.isin(["", *MISSING_WORDS]).to_numpy()
    if column.format is None:
        moments: dates.Moments = np.full(len(written), np.datetime64("NaT", "us"))
    else:
        moments = dates.parse(written, column.format)
    others = np.flatnonzero(np.isnat(moments) & ~is_word)
    if len(others):
        moments[others] = dates.parse_any(written.iloc[others], column.format, zone_of(column.dtype))
    bad = np.isnat(moments) & ~is_word
    if bad.any():
        wanted = "in one known format" if column.format is None else f"as {column.format} or ISO 8601"
        problem = f"has {written[bad].iloc[0]!r}, which is no date written {wanted}"
        raise DataError(problem, where=f"column '{column.name}'", remedy=_MEND)
    moments[is_word] = np.datetime64("NaT")
    found_us = np.where(np.isnat(moments), np.nan, moments.view(np.int64))
    return np.append(found_us, np.nan)[codes]


def _date_text(cell: Any) -> str:
    """A cell of dates as text: whole numbers without a fraction."""
    return cell.strip() if isinstance(cell, str) else f"{cell:.0f}" if isinstance(cell, float) else str(cell)


def _read_codes(series: pd.Series, column: Column) -> Codes:
    family(series, column.name)  # refuses what no column may hold
    try:
        positions, uniques = pd.factorize(series)
    except TypeError as error:
        raise DataError("holds nested values", where=f"column '{column.name}'") from error
    # few: the distinct values of the column
    known = {level: code for code, level in enumerate(column.levels)}
    unseen = len(column.levels) if column.n_pooled else UNSEEN
    alike = _as_level(column)
    table = [MISSING if _is_absent(value, column) else known.get(alike(value), unseen) for value in uniques.tolist()]
    return np.array([*table, _missing_code(column)], dtype=np.int64)[positions]


def _is_absent(value: Any, column: Column) -> bool:
    """Whether a cell is a word for a missing one, in a column that has missing cells and no such level."""
    return isinstance(value, str) and value in MISSING_WORDS and bool(column.missing) and value not in column.levels


def _missing_code(column: Column) -> int:
    """The code of a missing cell: pandas reads the word NA as missing where the column learned it as a level."""
    words = [code for code, level in enumerate(column.levels) if level in MISSING_WORDS]
    return words[0] if len(words) == 1 and not column.missing else MISSING


def _as_level(column: Column) -> Any:
    """A function that turns a cell into the type of the column's levels where a table was read differently: the text
    '1' and the number 1.0 are the level 1 of a column of whole numbers, and the number 1.1 the level '1.1' of text.
    It raises DataError where a number may be several levels."""
    kinds = {type(level) for level in column.levels}
    spelled: dict[float, list[str]] = {}
    if kinds == {str}:
        for level in (*column.levels, *column.pooled):
            with suppress(ValueError):
                spelled.setdefault(float(str(level)), []).append(str(level))

    def same(value: Any) -> Any:
        return value

    def text(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return next((level for level in column.levels if str(level).lower() == str(value).lower()), str(value))
        levels = spelled.get(float(value), []) if isinstance(value, int | float | Decimal) else []
        if len(levels) > 1:
            problem = f"holds the number {value}, which may be {' or '.join(map(repr, levels[:3]))}"
            remedy = "read the column as text"
            raise DataError(problem, where=f"column '{column.name}'", remedy=remedy)
        is_whole = isinstance(value, float) and value.is_integer()
        return levels[0] if levels else str(int(value) if is_whole else value)

    def number(value: Any) -> Any:
        try:
            return float(value) if isinstance(value, str | Decimal) else value
        except ValueError:
            return value

    def truth(value: Any) -> Any:
        return _TRUTHS.get(value.lower(), value) if isinstance(value, str) else value

    if kinds == {str}:
        return text
    if kinds and kinds <= {int, float}:
        return number
    return truth if kinds == {bool} else same


_TRUTHS = {"true": True, "false": False}


# --- matrices to frame ---


def _drawn(codes: Codes, column: Column, rng: np.random.Generator) -> tuple[Codes, tuple[Level, ...]]:
    """`codes` with the pool's drawn from it, and the values that they are indices into; -1 where missing."""
    n_levels = len(column.levels)
    fallback = MISSING if column.missing else 0
    out = np.where((codes < 0) | (codes > n_levels + len(column.pooled)), fallback, codes)
    pooled = np.flatnonzero(out == n_levels)
    if len(pooled):
        out[pooled] = n_levels + 1 + rng.integers(0, len(column.pooled), len(pooled)) if column.pooled else fallback
    return np.where(out > n_levels, out - 1, out), column.levels + column.pooled


def _write_levels(codes: Codes, levels: Sequence[Level], column: Column) -> Any:
    """The array of the column's dtype with levels[codes], missing where a code is -1."""
    if column.categories is not None:
        index = pd.Index(list(column.categories), dtype=dtype_of(column.categories_dtype))
        places = {category: place for place, category in enumerate(column.categories)}
        table = np.array([*(places[level] for level in levels), -1], dtype=np.int64)
        return pd.Categorical.from_codes(table[codes], dtype=pd.CategoricalDtype(index, column.ordered))
    if "decimal" in column.dtype and all(isinstance(level, int) for level in levels):
        table = np.array([*map(Decimal, levels), None], dtype=object)
        cells = table[codes]
        return cells if column.dtype == "decimal" else pd.array(cells, dtype=dtype_of(column.dtype))
    if "decimal" in column.dtype:
        return _write_numbers(np.array([*levels, np.nan], dtype=np.float64)[codes], column)
    dtype = dtype_of(column.dtype)
    if isinstance(dtype, np.dtype):
        has_hole = column.missing > 0 or dtype.kind == "O"
        table = np.empty(len(levels) + has_hole, dtype=dtype)
        table[: len(levels)] = levels
        if has_hole:
            table[-1] = np.nan
        return table[codes]
    return pd.array(list(levels), dtype=dtype).take(codes, allow_fill=True)


def _write_constant(n: int, column: Column) -> Any:
    if column.low is not None:
        return _write_numbers(np.full(n, column.low), column)
    if column.levels or column.categories is not None:
        return _write_levels(np.full(n, 0 if column.levels else MISSING), column.levels, column)
    dtype = dtype_of(column.dtype)
    if isinstance(dtype, np.dtype):
        return np.full(n, "NaT" if dtype.kind in "mM" else np.nan, dtype=dtype)
    return pd.array([None] * n, dtype=dtype)


def _write_numbers(values: Floats, column: Column) -> Any:
    """The array of the column's dtype with `values`, rounded to its grid; missing where NaN, if it may be."""
    values = _filled(values, column)
    missing = np.isnan(values)
    if is_time(column):
        return _write_times(values, missing, column)
    if column.kind is Kind.INTEGER:
        values = np.rint(values)
    elif column.decimals is not None:
        values = np.round(values, column.decimals)
    if "decimal" in column.dtype:
        return _write_decimals(values, missing, column)
    dtype = dtype_of(column.dtype)
    if isinstance(dtype, np.dtype):
        if dtype.kind in "iu":
            return _whole(values, dtype)
        if dtype.kind == "O" and column.kind is Kind.INTEGER:
            cells = _whole(np.where(missing, 0, values), np.dtype(np.int64)).astype(object)
            cells[missing] = np.nan
            return cells
        return values.astype(dtype)
    if isinstance(dtype, pd.ArrowDtype):
        if pa.types.is_integer(dtype.pyarrow_dtype):
            whole = _whole(np.where(missing, 0, values), np.dtype(dtype.pyarrow_dtype.to_pandas_dtype()))
            return _arrow_array(pa.array(whole, mask=missing), dtype)
        return _arrow_array(pa.array(values, mask=missing).cast(dtype.pyarrow_dtype, safe=False), dtype)
    plain = np.where(missing, 0, values)
    if dtype.kind in "iu":
        return pd.arrays.IntegerArray(_whole(plain, dtype.numpy_dtype), missing)
    return pd.arrays.FloatingArray(plain.astype(dtype.numpy_dtype), missing)


def _filled(values: Floats, column: Column) -> Floats:
    """`values` without infinity, and without NaN in a column that never had a missing cell."""
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=np.nan, posinf=column.high, neginf=column.low)
        holes = np.isnan(values)
        if holes.any() and not column.missing:
            filler = (column.low or 0.0) if holes.all() else float(np.nanmedian(values))
            values = np.where(holes, filler, values)
    return values


def _whole(values: Floats, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Whole numbers as `dtype`, those outside it brought to its ends."""
    limits = np.iinfo(dtype)
    low, high = float(limits.min), float(limits.max)
    if int(high) > limits.max:  # float64 has no 2**63 - 1
        high = float(np.nextafter(high, 0))
    return np.clip(np.rint(values), low, high).astype(dtype)


def _arrow_array(cells: pa.Array, dtype: pd.ArrowDtype, safe: bool = True) -> Any:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([cells.cast(dtype.pyarrow_dtype, safe=safe)]))


def _write_decimals(values: Floats, missing: Mask, column: Column) -> Any:
    places = _MAX_PLACES if column.decimals is None else column.decimals
    cells = pa.array(values, mask=missing).cast(pa.decimal128(38, places), safe=False)
    if column.dtype != "decimal":
        return _arrow_array(cells, dtype_of(column.dtype))
    out = cells.to_numpy(zero_copy_only=False)
    out[missing] = None
    return out


def _write_times(values: Floats, missing: Mask, column: Column) -> Any:
    """Datetimes and lengths of time from microseconds."""
    zone = zone_of(column.dtype)
    values = np.where(missing, 0, values)
    if zone is not None and column.step == STEPS_US[0]:
        values = wall_to_utc(_on_grid(utc_to_wall(values, zone), column.step), zone)
    elif column.step is not None:
        values = _on_grid(values, column.step)
    ticks = np.where(missing, np.iinfo(np.int64).min, _whole(values, np.dtype(np.int64)))
    moments = ticks.view("datetime64[us]")
    if column.format == WHOLE_DAY:
        return _write_days(moments, missing, column)
    if column.format is not None:
        return _from_text(dates.write(moments, column.format), column)
    if column.dtype == "date":
        return moments.astype("datetime64[D]").astype(object)
    dtype = dtype_of(column.dtype)
    if isinstance(dtype, pd.ArrowDtype):
        kind = pa.duration("us") if pa.types.is_duration(dtype.pyarrow_dtype) else pa.timestamp("us", zone)
        return _arrow_array(pa.array(ticks, mask=missing).cast(kind), dtype, safe=False)
    if dtype.kind == "O":
        return np.array(pd.Series(moments).astype(object), dtype=object)
    if "[ns" in column.dtype:
        ticks = np.where(missing, ticks, np.clip(ticks, *_NS_RANGE_US))
    if zone is not None:
        return pd.DatetimeIndex(ticks.view("datetime64[us]"), tz="UTC").tz_convert(zone).as_unit(dtype.unit).array
    return ticks.view(f"{dtype.kind}8[us]").astype(dtype)


def _write_days(moments: npt.NDArray[np.datetime64], missing: Mask, column: Column) -> Any:
    """Days as whole numbers, such as 20240131."""
    texts = dates.write(np.where(missing, np.datetime64(0, "us"), moments), WHOLE_DAY)
    values = np.where(missing, np.nan, np.asarray(texts.cast(pa.int64()), dtype=np.float64))
    return _write_numbers(values, replace(column, kind=Kind.INTEGER, format=None, low=None, high=None, step=None))


def _on_grid(values: Floats, step: int) -> Floats:
    return np.rint(values / step) * step


_NS_RANGE_US = (np.iinfo(np.int64).min // 1000 + 1, np.iinfo(np.int64).max // 1000)


def _from_text(texts: pa.Array, column: Column) -> Any:
    """Arrow strings as the column's dtype."""
    dtype = dtype_of(column.dtype)
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_array(texts, dtype)
    cells = texts.to_numpy(zero_copy_only=False)
    if isinstance(dtype, np.dtype):
        cells[pd.isna(cells)] = np.nan
        return cells
    return dtype.__from_arrow__(texts)


def _fresh_identifiers(n: int, column: Column, first_id: int) -> Any:
    """Identifiers that the column did not have."""
    if "int" not in column.dtype.lower() and "float" not in column.dtype.lower() and column.decimals is None:
        start = first_id + 1 + int(column.high or 0)
        numbers = pa.array(np.arange(start, start + n)).cast(pa.string())
        return _from_text(pc.binary_join_element_wise("synthetic", numbers, "-"), column)
    dtype = dtype_of(column.dtype)
    low, high = int(column.low or 0), int(column.high or 0)
    first, last = (-_HUGE, _HUGE) if "decimal" in column.dtype else _limits(dtype)
    if high + first_id + n <= last:
        numbers = range(high + first_id + 1, high + first_id + n + 1)
    elif low - first_id - n >= first:
        numbers = range(low - first_id - n, low - first_id)
    else:
        problem = f"{column.dtype} has no room for {n} new identifiers"
        raise DataError(problem, where=f"column '{column.name}'", remedy="widen its dtype or drop it")
    if "decimal" in column.dtype:
        decimals = [Decimal(number) for number in numbers]
        return np.array(decimals, dtype=object) if column.dtype == "decimal" else pd.array(decimals, dtype=dtype)
    if max(abs(numbers.start), abs(numbers.stop)) > np.iinfo(np.uint64).max:
        return np.array(list(numbers), dtype=object)
    unsigned = numbers.stop > np.iinfo(np.int64).max
    cells = np.arange(numbers.start, numbers.stop, dtype=np.uint64 if unsigned else np.int64)
    if dtype.kind == "O":
        return cells.astype(object)
    return pd.array(cells, dtype=dtype) if not isinstance(dtype, np.dtype) else cells.astype(dtype)


_HUGE = 10**400  # Python's whole numbers end nowhere


def _limits(dtype: Any) -> tuple[int, int]:
    """The whole numbers that `dtype` holds exactly: the first and the last."""
    if isinstance(dtype, pd.ArrowDtype):
        dtype = np.dtype(dtype.pyarrow_dtype.to_pandas_dtype())
    plain = getattr(dtype, "numpy_dtype", dtype)
    if plain.kind in "iu":
        return int(np.iinfo(plain).min), int(np.iinfo(plain).max)
    if plain.kind == "f":
        whole = 2 ** (np.finfo(plain).nmant + 1)
        return -whole, whole
    return -_HUGE, _HUGE
