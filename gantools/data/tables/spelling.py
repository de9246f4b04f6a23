"""What the text cells of a CSV file spell, numbers, truths or text: decided by the whole file, never by a part of it.

`Survey` looks at the file's cells, all at once or block by block, and remembers what every column can still be; `types`
is its decision, and `convert` turns any block of the same file into a frame by it. So a column of whole numbers whose
only missing cell is in the last block is Int64 in the first one too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Truths = tuple[str, str]

TRUTHS: tuple[Truths, ...] = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))

_MISSING_NUMBER = pa.array(["", "?"])
_WHOLE = r"^-?(0|[1-9][0-9]*)$"
_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$"
_COMMA_NUMBER = _NUMBER.replace(r"\.", ",")
_NOT_WHOLE = r"[.,eEiI]"
_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$|^[^,]*$"
_SCREEN = 1000
_MAX_PLACES = 9


@dataclass(frozen=True)
class Types:
    """What the columns of a file are. dtypes: "float64", "int64", "Int64", "bool", "boolean" or "text", by column.

    decimal: the file's decimal sign. truths: how it spells True and False.
    """

    dtypes: Mapping[str, str]
    decimal: str = "."
    truths: Truths = TRUTHS[0]

    def convert(self, table: pa.Table) -> pd.DataFrame:
        """A block of the file's cells as text -> a frame of these types. Missing cells of `table` are null."""
        columns = zip(table.column_names, table.columns, strict=True)
        return pd.DataFrame({name: self._converted(cells, self.dtypes[name]) for name, cells in columns}, copy=False)

    def places(self, table: pa.Table) -> dict[str, int]:
        """Digits behind the decimal sign of the columns of numbers that all have as many, see `found_places`.

        table: all of the file's cells as text.
        """
        numbers = [name for name, dtype in self.dtypes.items() if dtype == "float64"]
        found = {name: found_places(table[name], self.decimal) for name in numbers}
        return {name: places for name, places in found.items() if places is not None}

    def _converted(self, cells: pa.ChunkedArray, dtype: str) -> Any:
        if dtype == "text":
            return _as_text(cells)
        if dtype in ("bool", "boolean"):
            return _as_truth(cells, self.truths, nullable=dtype == "boolean")
        if dtype == "float64":
            return _as_float(cells, self.decimal)
        whole = _bare(cells).cast(pa.int64())
        if dtype == "int64":
            return whole.to_numpy()
        return pd.arrays.IntegerArray(pc.fill_null(whole, 0).to_numpy().copy(), _mask(whole))


@dataclass
class _Column:
    """What a column can still be, after the cells seen so far."""

    is_empty: bool = True
    has_hole: bool = False  # a cell that is missing, as every kind of column sees it
    has_number_hole: bool = False  # a cell that a column of numbers takes for missing, "?" among them
    has_number: bool = False
    can_be_dotted: bool = True
    can_be_comma: bool = True
    is_whole: bool = True
    fits_64_bits: bool = True
    has_mark: bool = False  # of a number that is not whole, or of its exponent
    may_be_thousands: bool = True
    truths: tuple[Truths, ...] = TRUTHS

    def look(self, cells: pa.ChunkedArray) -> None:
        if cells.null_count:
            self.has_hole = self.has_number_hole = True
        if cells.null_count == len(cells):
            return
        self.is_empty = False
        self.truths = tuple(words for words in self.truths if _all_in(cells, words))
        if self.can_be_dotted or self.can_be_comma:
            self._look_for_numbers(cells)

    def _look_for_numbers(self, cells: pa.ChunkedArray) -> None:
        screened = _bare(cells.slice(0, _SCREEN))
        if screened.null_count < len(screened) and not (
            _all_match(screened, _NUMBER) or _all_match(screened, _COMMA_NUMBER)
        ):
            self.can_be_dotted = self.can_be_comma = False  # most text columns end here
            return
        bare = _bare(cells)
        if bare.null_count:
            self.has_number_hole = True
        if bare.null_count == len(bare):
            return
        self.has_number = True
        is_dotted = self.can_be_dotted and _all_match(bare, _NUMBER)
        if is_dotted and self.is_whole and _all_match(bare, _WHOLE):
            self.fits_64_bits = self.fits_64_bits and _fits(bare)
            return
        self.is_whole = False
        self.has_mark = self.has_mark or _any_match(bare, _NOT_WHOLE)
        if self.can_be_comma:
            has_dot = is_dotted and _any_match(bare, r"\.")
            self.can_be_comma = not has_dot and (is_dotted or _all_match(bare, _COMMA_NUMBER))
            self.may_be_thousands = self.can_be_comma and self.may_be_thousands and _all_match(bare, _THOUSANDS)
        self.can_be_dotted = is_dotted

    def dotted(self) -> str:
        """The dtype of the column where a decimal sign is a dot; "" when it holds no such numbers."""
        if self.is_empty:
            return "float64"
        if not (self.can_be_dotted and self.has_number):
            return ""
        if self.is_whole:  # too long for 64 bits: an identifier
            return ("Int64" if self.has_number_hole else "int64") if self.fits_64_bits else ""
        return "float64" if self.has_mark else ""  # +49..., the number of a telephone

    def with_comma(self, comma_delimits: bool) -> str:
        """The same where it is a comma. comma_delimits: commas inside cells may then as well separate thousands."""
        is_number = self.can_be_comma and self.has_number and self.has_mark
        return "" if not is_number or (comma_delimits and self.may_be_thousands) else "float64"


@dataclass
class Survey:
    """Looks at the cells of a file and decides what its columns are."""

    names: Sequence[str]
    delimiter: str
    _columns: dict[str, _Column] = field(init=False)

    def __post_init__(self) -> None:
        self._columns = {name: _Column() for name in self.names}

    def look(self, table: pa.Table) -> Survey:
        """Take in a block of the file: its cells as text, null where missing."""
        for name, cells in zip(table.column_names, table.columns, strict=True):
            self._columns[name].look(cells)
        return self

    def types(self) -> Types:
        """What the columns are, by all cells that were looked at."""
        found = {name: column.dotted() for name, column in self._columns.items()}
        decimal = "."
        if not any(dtype == "float64" and not self._columns[name].is_empty for name, dtype in found.items()):
            commas = {
                name: dtype
                for name, column in self._columns.items()
                if not found[name] and (dtype := column.with_comma(self.delimiter == ","))
            }
            if commas:
                decimal = ","
                found |= commas
        others = [self._columns[name].truths for name, dtype in found.items() if not dtype]
        truths = next((words for words in TRUTHS if any(words in left for left in others)), TRUTHS[0])
        for name, column in self._columns.items():
            if not found[name]:
                is_truth = truths in column.truths
                found[name] = ("boolean" if column.has_hole else "bool") if is_truth else "text"
        return Types(found, decimal, truths)


def found_places(cells: pa.ChunkedArray, decimal: str) -> int | None:
    """How many digits all numbers have behind the decimal sign; 0 where they have the fewest that say their value and
    none where whole; None for any other mixture, and where all are missing."""
    bare = _bare(cells).drop_null()
    if not len(bare):
        return None
    sign = re.escape(decimal)
    places = len(bare[0].as_py().partition(decimal)[2])
    fixed = rf"^[+-]?[0-9]+{sign}[0-9]{{{places}}}$"
    if 0 < places <= _MAX_PLACES and _all_match(bare.slice(0, _SCREEN), fixed) and _all_match(bare, fixed):
        return places
    whole = _any_match(bare, r"^[+-]?[0-9]+$")
    wasteful = _any_match(bare, rf"{sign}([0-9]*0)?$|[eEiI]")
    return 0 if whole and not wasteful else None


def _all_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern), min_count=1).as_py())


def _any_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _bare(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells without blanks around them, null where what is left says that a number is missing."""
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(trimmed, _MISSING_NUMBER), pa.scalar(None, pa.string()), trimmed)


def _fits(whole: pa.ChunkedArray) -> bool:
    try:
        whole.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _as_float(cells: pa.ChunkedArray, decimal: str) -> Any:
    if cells.null_count == len(cells):
        return np.full(len(cells), np.nan)
    bare = _bare(cells)
    dotted = pc.replace_substring(bare, ",", ".") if decimal == "," else bare
    plain = pc.replace_substring_regex(dotted, pattern=r"^\+", replacement="")
    return pc.fill_null(plain.cast(pa.float64()), np.nan).to_numpy().copy()


def _mask(cells: pa.ChunkedArray) -> Any:
    return pc.is_null(cells).to_numpy().copy()


def _all_in(cells: pa.ChunkedArray, words: Truths) -> bool:
    if not bool(pc.all(pc.is_in(cells.slice(0, _SCREEN), pa.array([*words, None]))).as_py()):
        return False
    return bool(pc.all(pc.is_in(cells, pa.array([*words, None]))).as_py())


def _as_truth(cells: pa.ChunkedArray, truths: Truths, nullable: bool) -> Any:
    flags = pc.fill_null(pc.equal(cells, truths[0]), False).to_numpy().copy()
    return pd.arrays.BooleanArray(flags, _mask(cells)) if nullable else flags


def _as_text(cells: pa.ChunkedArray) -> Any:
    dtype: Any = pd.Series([""]).dtype
    if dtype.kind != "O" or isinstance(dtype, pd.StringDtype):
        return dtype.__from_arrow__(cells)
    texts = cells.to_numpy()
    if cells.null_count:
        texts = texts.copy()
        texts[_mask(cells)] = np.nan
    return texts
