"""Values of a column as its user would write them, for reasons and for drift."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from gantools.data.tables import dates
from gantools.data.tables.column import Column, Kind
from gantools.data.tables.dtypes import utc_to_wall, zone_of

DIGITS = 4  # of a number whose column has no fixed number of decimals
MOST_DIGITS = 17  # beyond them two numbers are the same
LONG_TEXT = 60  # characters of a text that are shown
LARGE, SMALL = 1e15, 1e-6  # numbers beyond these are written with an exponent


def format_value(value: float, column: Column, digits: int = DIGITS) -> str:
    """A value of a numeric column: with its decimals, as a date as it came, or to so many significant digits.

    value: as `Raw.numbers` has it, not NaN. One with more decimals than its column has is written as numbers of
    columns without a fixed number of them are.
    """
    if column.kind is Kind.DATETIME:
        return _moment(value, column)
    if "timedelta" in column.dtype or "duration" in column.dtype:
        return str(pd.Timedelta(int(value), "us")).removesuffix(" 00:00:00").removeprefix("0 days ")
    if column.decimals is not None and abs(value) < LARGE:
        exact = f"{value:.{column.decimals}f}"
        if math.isclose(float(exact), value, rel_tol=1e-6, abs_tol=10.0 ** -(column.decimals + 3)):
            return exact if float(exact) else exact.removeprefix("-")
    return format_number(value, digits)


def format_number(value: float, digits: int = DIGITS) -> str:
    """A number to so many significant digits, all of those before the point, without an exponent where one can do."""
    size = abs(value)
    if size >= LARGE or 0 < size < SMALL or not math.isfinite(size):
        return f"{value:.{digits}g}"
    before = math.floor(math.log10(size)) + 1 if size else 1
    text = f"{value:.{max(0, digits - before)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_apart(value: float, bound: float, column: Column) -> str:
    """`value` with as many digits as tell it from `bound` in words; they differ."""
    for digits in range(DIGITS, MOST_DIGITS):
        text = format_value(value, column, digits)
        if text != format_value(bound, column):
            return text
    return format_value(value, column, MOST_DIGITS)


def format_cell(value: Any) -> str:
    """A cell of a categorical column: text in quotes, without its middle where it is long; other things plain."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, str):
        return str(value)
    return repr(value if len(value) <= LONG_TEXT else f"{value[: LONG_TEXT // 2]}...{value[-LONG_TEXT // 2 + 3 :]}")


def _moment(value: float, column: Column) -> str:
    if column.format is not None:
        return str(dates.write(np.array([int(value)]).view("datetime64[us]"), column.format)[0])
    zone = zone_of(column.dtype)
    wall = value if zone is None else float(utc_to_wall(np.array([value]), zone)[0])
    return str(pd.Timestamp(np.datetime64(int(wall), "us"))).removesuffix(" 00:00:00")
