"""How the cells of a CSV column are spelled: decided once, by the whole file and by what is known of the column.

`Survey` looks at the file's cells, all at once or block by block, and remembers what every column can still be; `types`
is its decision, a `Spelling` per column, and turns any block of the same file into a frame. So a column of whole
numbers whose only missing cell is in the last block is Int64 in the first one too.

A sign that may be decimal or stand between thousands (1.529 beside 571) is settled by the other columns of the file,
else by its delimiter; a column that was learned before says it itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Truths = tuple[str, str]
# How a column must be read: as the cells look (""), as text, as numbers, as truths, or as codes: numbers only where
# each has one spelling.
Reading = Literal["", "text", "number", "truth", "codes"]

TRUTHS: tuple[Truths, ...] = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))
# Words that say that a cell is missing; in a column of text they are values like any other.
MISSING_WORDS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
NUMBER_WORDS = (
    *("?", "-", "--", ".", "n.a.", "N.A."),
    *("#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!"),
)

_MISSING_TRUTH = pa.array(MISSING_WORDS)
_MISSING_NUMBER = pa.array(["", *MISSING_WORDS, *NUMBER_WORDS])
_SMALL = r"^-?(0|[1-9][0-9]{0,2})$"
_LONG = "[0-9]([^0-9]?[0-9]){18}"  # so many digits that 64 bits may not hold them
_WHOLE = r"^-?(0|[1-9][0-9]*)$"
_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$"
_SPACES = " \u00a0\u202f\u2009"  # the last three do not break a line, or are narrow
_QUOTES = "'\u2019"
_SEPARATORS = (",", ".", *_QUOTES, *_SPACES)
_CURRENCY = r"R\$|[$€£¥₹₩₽]|USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|kr|Rs\.?"
_SIGN = "[-+\u2212\u2013]"
_DRESSED = (
    rf"^(?P<open>\(?)(?P<sign>{_SIGN}?)(?P<prefix>(?:(?:{_CURRENCY})[{_SPACES}]*)?)(?P<inner>{_SIGN}?)"
    rf"(?P<body>[0-9.,](?:[0-9.,{_QUOTES}{_SPACES}]*[0-9.,])?)"
    rf"(?P<suffix>(?:[{_SPACES}]*(?:%|{_CURRENCY}))?)(?P<close>\)?)$"
)
_SCREEN = 1000
_MAX_PLACES = 9
_MAX_CODES = 100  # spellings that a column of codes has at most
_MIN_REPEATS = 3  # of each of them, on average


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a column spells its cells.

    dtype: what they are, "float64", "int64", "Int64", "bool", "boolean" or "text".
    decimal, thousands: the signs in numbers, "" for none.
    prefix, suffix: what stands before and behind them, currency or per cent, with blanks.
    minus: the sign of negative ones, "(" where they stand in brackets.
    places: digits behind the decimal sign that all have; 0 where each has as many as it needs, so that 2.50 is written
    2.5, and 2.0 is written 2; None for any other mixture.
    missing: how a missing cell is written.
    truths: how True and False are.
    note: what was assumed, for the user.
    """

    dtype: str = "text"
    decimal: str = "."
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""
    minus: str = "-"
    places: int | None = None
    missing: str = ""
    truths: Truths = TRUTHS[0]
    note: str = ""

    @property
    def is_number(self) -> bool:
        """Whether the cells are numbers."""
        return self.dtype in ("float64", "int64", "Int64")

    @property
    def is_plain(self) -> bool:
        """Whether numbers need nothing but another decimal sign to be read."""
        return not (self.thousands or self.prefix or self.suffix) and self.minus == "-"

    def read(self, cells: pa.ChunkedArray) -> Any:
        """Cells as text, null where empty -> the array of `dtype`. Raises pa.ArrowInvalid for a cell that is none."""
        if self.dtype == "text":
            return _as_text(cells)
        if self.dtype in ("bool", "boolean"):
            return _as_truth(cells, self.truths, nullable=self.dtype == "boolean")
        plain = self._plain(cells)
        if self.dtype == "float64":
            if plain.null_count == len(plain):
                return np.full(len(plain), np.nan)
            return pc.fill_null(plain.cast(pa.float64()), np.nan).to_numpy().copy()
        whole = plain.cast(pa.int64())
        if self.dtype == "int64":
            return whole.to_numpy()
        return pd.arrays.IntegerArray(pc.fill_null(whole, 0).to_numpy().copy(), _mask(whole))

    def _plain(self, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        """Numbers as Arrow reads them, null where missing."""
        bare = _bare(cells)
        if not self.is_plain:
            bare = _body(_undressed(bare))
            if self.thousands:
                bare = pc.replace_substring(bare, self.thousands, "")
        if self.decimal != ".":
            bare = pc.replace_substring(bare, self.decimal, ".")
        return pc.replace_substring_regex(bare, pattern=r"^\+", replacement="")

    def read_number(self, text: str) -> float:
        """The number that a text spells as the column does; NaN where it does not."""
        found = _NUMBER_DRESSED.match(text)
        if found is None:
            return float("nan")
        body = found["body"]
        number = _NUMBER.replace(r"\.", re.escape(self.decimal)).replace("(?i:inf|infinity)", "inf")
        if not re.match(_groups(self.thousands, self.decimal) if self.thousands else number, body):
            return float("nan")
        size = float((body.replace(self.thousands, "") if self.thousands else body).replace(self.decimal, "."))
        is_negative = bool(found["open"]) or any(sign in "-\u2212\u2013" for sign in found["sign"] + found["inner"])
        return -size if is_negative else size

    def write(self, values: Sequence[float | int | None]) -> list[str] | None:
        """Numbers as the column spells them; None where a digit would be lost, or nothing is special about it.

        values: None or NaN where missing.
        """
        places = self.places if self.dtype == "float64" else None
        if places is None and self.is_plain:
            return None
        known = np.array([value for value in values if value is not None and value == value], dtype=np.float64)
        if not np.isfinite(known).all() or (places and (np.round(known, places) != known).any()):
            return None
        return [
            self.missing if value is None or value != value else self._dressed(self._digits(value, places), value < 0)
            for value in values
        ]

    def _digits(self, value: float | int, places: int | None) -> str:
        size = abs(value)
        if places:
            text = f"{size:.{places}f}"
        elif isinstance(size, int) or (size.is_integer() and size < 2**53):
            text = str(int(size))
        else:
            text = repr(float(size))
        whole, _, rest = text.partition(".")
        if self.thousands and whole.isdigit():
            whole = f"{int(whole):,}".replace(",", self.thousands)
        return f"{whole}{self.decimal}{rest}" if rest else whole

    def _dressed(self, digits: str, is_negative: bool) -> str:
        text = f"{self.prefix}{digits}{self.suffix}"
        if not is_negative:
            return text
        return f"({text})" if self.minus == "(" else f"{self.minus}{text}"


@dataclass(frozen=True)
class Types:
    """What the columns of a file are.

    columns: the spelling of each. decimal: the decimal sign of most. truths: how the file spells True and False.
    """

    columns: Mapping[str, Spelling]
    decimal: str = "."
    truths: Truths = TRUTHS[0]

    def convert(self, table: pa.Table) -> pd.DataFrame:
        """A block of the file's cells as text -> a frame of these types. Empty cells of `table` are null."""
        columns = zip(table.column_names, table.columns, strict=True)
        return pd.DataFrame({name: self.columns[name].read(cells) for name, cells in columns}, copy=False)

    def with_places(self, table: pa.Table) -> dict[str, Spelling]:
        """The spellings with their `places`. table: all of the file's cells as text."""
        return {
            name: replace(spelling, places=found_places(_places_of(spelling, table[name]), spelling.decimal))
            if spelling.dtype == "float64"
            else spelling
            for name, spelling in self.columns.items()
        }


@dataclass(frozen=True)
class Known:
    """What is known of a column before it is read: how it must be, and how it was spelled when it was learned."""

    reading: Reading = ""
    learned: Spelling | None = None
    is_float: bool = False


@dataclass
class _Column:
    """What a column can still be, after the cells seen so far."""

    known: Known = field(default_factory=Known)
    n_cells: int = 0
    missing: Counter[str] = field(default_factory=Counter)  # how cells are written that a column of numbers lacks
    missing_truths: Counter[str] = field(default_factory=Counter)  # and cells that one of truths lacks
    is_empty: bool = True
    is_text: bool = False
    is_whole: bool = True
    fits_64_bits: bool = True
    dot: bool = True  # numbers with a decimal dot, and with a comma
    comma: bool = True
    grouped: tuple[tuple[str, str], ...] = tuple((t, d) for t in _SEPARATORS for d in ".," if t != d)
    threes: dict[str, bool] = field(default_factory=lambda: {".": True, ",": True})  # behind each such sign, or no sign
    signs: set[str] = field(default_factory=set)
    has_exponent: bool = False  # or infinity
    has_plus: bool = False
    has_unmarked: bool = False  # a number without any sign in it; has_long: of four digits and more
    has_long: bool = False
    prefixes: set[str] = field(default_factory=set)
    suffixes: set[str] = field(default_factory=set)
    minus: str = "-"
    lengths: set[int] = field(default_factory=set)  # the shortest and longest of numbers that are not plain
    spellings: set[str] | None = field(default_factory=set)  # all of them, None where there are too many for codes
    truths: tuple[Truths, ...] = TRUTHS

    def look(self, cells: pa.ChunkedArray) -> None:
        """Take in some cells, null where empty."""
        self.n_cells += len(cells)
        if cells.null_count:
            self.missing[""] += cells.null_count
            self.missing_truths[""] += cells.null_count
        if cells.null_count == len(cells) or self.known.reading == "text":
            return
        if self.truths:
            self._look_for_truths(cells)
        if not self.is_text:
            self._look_for_numbers(cells)

    def _look_for_truths(self, cells: pa.ChunkedArray) -> None:
        words = pa.array([*MISSING_WORDS, *(word for pair in self.truths for word in pair), None])
        if not _all_in(cells.slice(0, _SCREEN), words) or not _all_in(cells, words):
            self.truths = ()
            return
        absent = cells.filter(pc.is_in(cells, _MISSING_TRUTH))
        self.missing_truths.update({one["values"]: one["counts"] for one in pc.value_counts(absent).to_pylist()})
        self.truths = tuple(pair for pair in self.truths if _all_in(cells, pa.array([*MISSING_WORDS, *pair, None])))

    def _look_for_numbers(self, cells: pa.ChunkedArray) -> None:
        screened = _bare(cells.slice(0, _SCREEN))
        if screened.null_count < len(screened) and not self._are_numbers(screened):
            self.is_text = True  # most text columns end here
            return
        bare = _bare(cells)
        if bare.null_count > cells.null_count:
            words = cells.filter(pc.and_(pc.is_null(bare), pc.is_valid(cells)))
            self.missing.update({one["values"].strip(): one["counts"] for one in pc.value_counts(words).to_pylist()})
        if bare.null_count == len(bare):
            return
        self.is_empty = False
        self._take(bare)

    def _are_numbers(self, cells: pa.ChunkedArray) -> bool:
        return _all_match(cells, self._pattern(".")) or _all_match(cells, self._pattern(",")) or _are_dressed(cells)

    def _pattern(self, decimal: str) -> str:
        digits = "[0-9]+" if self.known.reading == "number" else "0|[1-9][0-9]*"
        return _NUMBER.replace("0|[1-9][0-9]*", digits).replace(r"\.", re.escape(decimal))

    def _take(self, cells: pa.ChunkedArray) -> None:
        """Numbers, null where missing: what signs are among them, and which readings they leave."""
        if _all_match(cells.slice(0, _SCREEN), _SMALL) and _all_match(cells, _SMALL):
            self.has_unmarked = True
            self._note_spellings(cells)
            return
        if self.dot and _all_match(cells, _WHOLE):
            self.has_unmarked = self.has_long = True
            self.fits_64_bits = self.fits_64_bits and _fits(cells)
            self._note_spellings(cells)
            return
        self.is_whole = False
        dot, comma = (_all_match(cells, self._pattern(sign)) for sign in ".,")
        if not (dot or comma):
            parts = _undressed(cells)
            if parts.null_count > cells.null_count:
                self.is_text = True
                return
            self._note_dress(parts, cells)
            cells = _body(parts)
            dot, comma = (_all_match(cells, self._pattern(sign)) for sign in ".,")
        self.dot, self.comma = self.dot and dot, self.comma and comma
        self.grouped = tuple(
            (t, d) for t, d in self.grouped if (dot if d == "." else comma) or _screened_match(cells, _groups(t, d))
        )
        for sign, is_so in self.threes.items():
            self.threes[sign] = is_so and _screened_match(
                cells, rf"^[+-]?([0-9]+|[1-9][0-9]{{0,2}}{re.escape(sign)}[0-9]{{3}})$"
            )
        self.signs |= {sign for sign in _SEPARATORS if sign not in self.signs and _any_has(cells, sign)}
        self.has_exponent = self.has_exponent or _any_match(cells, "[eEiI]")
        is_dressed = bool(self.prefixes or self.suffixes or self.minus != "-")
        if self.has_exponent and (is_dressed or not (self.dot or self.comma)):
            self.is_text = True  # as where both stand in one block: what is dressed has no exponent
            return
        self.has_plus = self.has_plus or _any_match(cells, r"^\+")
        self.has_unmarked = self.has_unmarked or _any_match(cells, r"^[+-]?[0-9]+$")
        if _any_match(cells, _LONG):
            digits = pc.replace_substring_regex(cells, "[^0-9-]", "")
            self.fits_64_bits = self.fits_64_bits and _fits(digits.filter(pc.greater(pc.utf8_length(digits), 0)))
        if any(self.threes.values()):
            self.has_long = self.has_long or _any_match(cells, r"^[+-]?[0-9]{4,}$")
        self._note_spellings(cells)

    def _note_dress(self, parts: pa.ChunkedArray, cells: pa.ChunkedArray) -> None:
        for found, name in ((self.prefixes, "prefix"), (self.suffixes, "suffix")):
            found.update(text for text in pc.unique(pc.struct_field(parts, name)).to_pylist() if text)
        if any(pc.unique(pc.struct_field(parts, "open")).to_pylist()):
            self.minus = "("
        for sign in "\u2212\u2013":
            if _any_has(cells, sign):
                self.minus = sign
        sizes = pc.min_max(pc.utf8_length(pc.struct_field(parts, "body"))).as_py()
        self.lengths |= {size for size in sizes.values() if size is not None}

    def _note_spellings(self, cells: pa.ChunkedArray) -> None:
        for part in (cells.slice(0, _SCREEN), cells):
            if self.spellings is None:
                return
            found = pc.unique(part).to_pylist()
            if len(found) > _MAX_CODES + 1:
                self.spellings = None
            else:
                self.spellings |= {text for text in found if text is not None}
                if len(self.spellings) > _MAX_CODES:
                    self.spellings = None

    # --- decisions ---

    def sure_sign(self) -> str:
        """The decimal sign where there can be no doubt about it, else ""."""
        if self.is_text or self.is_empty or self.known.reading == "text":
            return ""
        for sign, fits in ((".", self.dot), (",", self.comma)):
            if fits and sign in self.signs and not self.threes[sign]:
                return sign
        if not (self.dot or self.comma):
            signs = {d for t, d in self.grouped if t in self.signs and d in self.signs}
            if len(signs) == 1:
                return signs.pop()
        return ""

    def number(self, delimiter: str, sure: set[str]) -> Spelling | None:
        """The spelling of the column as numbers, None where they are not. sure: decimal signs of other columns."""
        found = self._number(delimiter, sure)
        if found is None or self.fits_64_bits or found.dtype == "float64":
            return found
        return replace(found, dtype="float64") if self.known.reading == "number" else None  # too long: an identifier

    def _number(self, delimiter: str, sure: set[str]) -> Spelling | None:
        missing = _most_common(self.missing)
        if self.is_empty and not self.is_text:
            return Spelling("float64", missing=missing)
        if self.is_text or len(self.prefixes) > 1 or len(self.suffixes) > 1:
            return None
        if self.known.learned is not None and (self.known.is_float or self.known.learned.thousands):
            sure = {self.known.learned.decimal}
        whole = "Int64" if self.missing else "int64"
        is_forced = self.known.reading == "number"
        if self.is_whole:
            return Spelling(whole, missing=missing)
        dressed = Spelling(
            prefix=next(iter(self.prefixes), ""),
            suffix=next(iter(self.suffixes), ""),
            minus=self.minus,
            missing=missing,
        )
        is_dressed = bool(self.prefixes or self.suffixes or self.minus != "-")
        for sign, other, fits in ((".", ",", self.dot), (",", ".", self.comma)):
            if not fits or sign not in self.signs:
                continue
            if self.threes[sign] and self._is_thousands(sign, delimiter, sure):
                note = _thousands_note(sign)
                return replace(dressed, dtype=whole, decimal=other, thousands=sign, note=note)
            is_list = sign == delimiter == "," and not is_forced and not is_dressed
            if is_list and ("." in sure or self.threes[sign]):  # two numbers in one cell, perhaps
                return None
            return replace(dressed, dtype="float64", decimal=sign)
        if self.dot:
            if self.has_exponent or is_dressed or is_forced:
                return replace(dressed, dtype="float64" if self.has_exponent or is_forced else whole)
            return None  # +49..., the number of a telephone
        return self._grouped(whole, dressed)

    def _grouped(self, whole: str, dressed: Spelling) -> Spelling | None:
        found = [(t, d) for t, d in self.grouped if t in self.signs]
        found.sort(key=lambda pair: pair[1] not in self.signs)
        if not found:
            return None
        thousands, decimal = found[0]
        is_code = len(self.lengths) == 1 or self.has_plus
        if thousands in _SPACES and decimal not in self.signs and is_code:
            return None  # every cell has as many digits, or a plus: numbers of telephones, codes
        dtype = "float64" if decimal in self.signs else whole
        return replace(dressed, dtype=dtype, decimal=decimal, thousands=thousands)

    def _is_thousands(self, sign: str, delimiter: str, sure: set[str]) -> bool:
        """Whether `sign`, which has three digits behind it in every number, stands between thousands."""
        learned = self.known.learned
        if learned is not None and learned.thousands == sign:
            return True
        if self.has_long or sign in sure:
            return False
        if sure:
            return True
        if self.has_unmarked:
            return not (sign == "." and delimiter == ",")
        return sign != ("," if delimiter == ";" else ".")

    def codes(self) -> tuple[str, str] | None:
        """Two spellings of one number, where the column has few of them, often: its cells are codes."""
        if not self.spellings or self.n_cells < _MIN_REPEATS * len(self.spellings):
            return None
        first: dict[float, str] = {}
        for text in sorted(self.spellings):
            try:
                value = float(text)
            except ValueError:
                return None
            other = first.setdefault(value, text)
            if other != text and not _same_but_point(other, text):
                return other, text
        return None

    def truth(self) -> Spelling | None:
        """The spelling of the column as truths, None where they are not."""
        if not self.truths:
            return None
        dtype = "boolean" if self.missing_truths else "bool"
        return Spelling(dtype, missing=_most_common(self.missing_truths), truths=self.truths[0])


@dataclass
class Survey:
    """Looks at the cells of a file and decides what its columns are. known: of some of them, before."""

    names: Sequence[str]
    delimiter: str
    known: Mapping[str, Known] = field(default_factory=dict)
    _columns: dict[str, _Column] = field(init=False)

    def __post_init__(self) -> None:
        self._columns = {name: _Column(self.known.get(name, Known())) for name in self.names}

    def look(self, table: pa.Table) -> Survey:
        """Take in a block of the file: its cells as text, null where empty."""
        for name, cells in zip(table.column_names, table.columns, strict=True):
            self._columns[name].look(cells)
        return self

    def types(self) -> Types:
        """What the columns are, by all cells that were looked at."""
        sure = {sign for column in self._columns.values() if (sign := column.sure_sign())}
        found = {name: self._decided(column, sure) for name, column in self._columns.items()}
        truths = next((one.truths for one in found.values() if one.dtype.startswith("bool")), TRUTHS[0])
        signs = Counter(
            one.decimal
            for name, one in found.items()
            if one.is_number and (self._columns[name].signs or one.decimal == ",")
        )
        return Types(found, "," if signs[","] > signs["."] else ".", truths)

    def _decided(self, column: _Column, sure: set[str]) -> Spelling:
        reading = column.known.reading
        if reading == "text":
            return Spelling()
        if reading == "truth" and (truth := column.truth()):
            return truth
        number = column.number(self.delimiter, sure)
        if number is None:
            return column.truth() or Spelling()
        if reading == "codes":
            return number if number.dtype in ("int64", "Int64") and number == Spelling(number.dtype) else Spelling()
        if column.known.is_float and number.dtype in ("int64", "Int64"):
            number = replace(number, dtype="float64")
        if reading != "number" and column.known.learned is None and (two := column.codes()):
            note = f"spells one number in two ways ('{two[0]}', '{two[1]}'), so its cells are taken for codes"
            return Spelling(note=note)
        return number


def _most_common(words: Counter[str]) -> str:
    return words.most_common(1)[0][0] if words else ""


def is_number(text: str) -> bool:
    """Whether a text is a number of some spelling."""
    return _PLAIN.match(text) is not None or _NUMBER_DRESSED.match(text) is not None


_PLAIN = re.compile(_NUMBER.replace("(?i:inf|infinity)", "inf|infinity"))
_NUMBER_DRESSED = re.compile(_DRESSED)


def _thousands_note(sign: str) -> str:
    return f"is read with {sign!r} between thousands: '1{sign}529' is 1529"


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


def _places_of(spelling: Spelling, cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells with nothing but digits and the decimal sign."""
    if spelling.is_plain:
        return cells
    body = _body(_undressed(_bare(cells)))
    return pc.replace_substring(body, spelling.thousands, "") if spelling.thousands else body


def _groups(thousands: str, decimal: str) -> str:
    t, d = re.escape(thousands), re.escape(decimal)
    return rf"^[+-]?([0-9]+|[1-9][0-9]{{0,2}}({t}[0-9]{{3}}){{1,5}})({d}[0-9]+)?$"


def _same_but_point(one: str, other: str) -> bool:
    """Whether two spellings of a number differ only in a point without digits of worth, as 5 and 5.0, or in a plus."""
    short, long = sorted((one.lstrip("+"), other.lstrip("+")), key=len)
    return short == long or re.fullmatch(rf"{re.escape(short)}\.0?", long) is not None


def _undressed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The parts of numbers with currency, per cent, brackets and separators; null where a cell is no such number."""
    parts = [pc.extract_regex(chunk, pattern=_DRESSED) for chunk in cells.chunks]
    kind = pa.struct([(name, pa.string()) for name in re.findall(r"\?P<(\w+)>", _DRESSED)])
    return pa.chunked_array(parts, type=kind)


def _body(parts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers without what they are dressed in, a minus before negative ones."""
    sign = pc.binary_join_element_wise(*(pc.struct_field(parts, name) for name in ("open", "sign", "inner")), "")
    sign = pc.replace_substring_regex(sign, pattern="[(\u2212\u2013]", replacement="-")
    return pc.binary_join_element_wise(sign, pc.struct_field(parts, "body"), "")


def _are_dressed(cells: pa.ChunkedArray) -> bool:
    return _all_match(cells, re.sub(r"\?P<\w+>", "?:", _DRESSED))


def _screened_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return _all_match(cells.slice(0, _SCREEN), pattern) and _all_match(cells, pattern)


def _all_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py())


def _any_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _any_has(cells: pa.ChunkedArray, text: str) -> bool:
    return bool(pc.any(pc.match_substring(cells, text)).as_py())


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


def _mask(cells: pa.ChunkedArray) -> Any:
    return pc.is_null(cells).to_numpy().copy()


def _all_in(cells: pa.ChunkedArray, words: pa.Array) -> bool:
    return bool(pc.all(pc.is_in(cells, words)).as_py())


def _as_truth(cells: pa.ChunkedArray, truths: Truths, nullable: bool) -> Any:
    flags = pc.fill_null(pc.equal(cells, truths[0]), False).to_numpy().copy()
    if not nullable:
        return flags
    known = pc.fill_null(pc.is_in(cells, pa.array(truths)), False)
    return pd.arrays.BooleanArray(flags, pc.invert(known).to_numpy().copy())


def _as_text(cells: pa.ChunkedArray) -> Any:
    dtype: Any = pd.Series([""]).dtype
    if dtype.kind != "O" or isinstance(dtype, pd.StringDtype):
        return dtype.__from_arrow__(cells)
    texts = cells.to_numpy()
    if cells.null_count:
        texts = texts.copy()
        texts[_mask(cells)] = np.nan
    return texts
