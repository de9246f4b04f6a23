"""How a file spells its table: the dialect, found from the file's content and given to what is written like it.

Compression, encoding, delimiter and line end of a CSV file are found here, the kind of file too; what its cells are is
`gantools.data.tables.spelling`'s to say.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from gantools.address import local_copy
from gantools.data.parts import CSV_SUFFIXES, PARQUET_SUFFIXES, SUFFIX_COMPRESSION
from gantools.data.tables.foreign import refuse_archive, refuse_binary, refuse_text
from gantools.data.tables.spelling import TRUTHS, Spelling
from gantools.errors import DataError
from gantools.words import listed

MAX_CELL_BYTES = 16 * 2**20

_HEAD_BYTES = 2**18
_DELIMITERS = (",", ";", "\t", "|")
_NUMBER_NAME = r"-?[0-9]+([.,][0-9]+)?"


@dataclass(frozen=True)
class Dialect:
    """How a file spells its table, so that another can be written alike.

    kind: of file. compression: "" for none; of CSV gzip, bz2, xz or zip, of Parquet its codec. The others are of CSV
    alone.
    delimiter: between the cells of a row.
    encoding: Python's name for it.
    decimal: the sign before the fractional digits of a number.
    truths: how True and False are written.
    newline: at the end of a row.
    columns: how each column spells its cells.
    preamble: a line before the header that names the delimiter, as Excel writes it; "" for none.
    arrow: of Parquet, the Arrow schema of the file as base64; "" where it is not known.
    source: the file that was read and its state then, see `write_table`.
    notes: what was noticed in reading the file, a sentence each; a schema does not keep them.
    """

    kind: Literal["csv", "parquet"] = "csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    compression: str = ""
    truths: tuple[str, str] = TRUTHS[0]
    newline: str = "\n"
    columns: Mapping[str, Spelling] = field(default_factory=dict, compare=False)
    preamble: str = ""
    arrow: str = field(default="", compare=False, repr=False)
    source: tuple[Path, int, int] | None = field(default=None, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)


@contextlib.contextmanager
def read_errors(path: Path) -> Iterator[bytes]:
    """The first bytes of the file at `path`; what goes wrong in reading it within the block is a DataError."""
    where = str(path)
    if path.is_dir():
        raise DataError("is a folder, and not of tables alone", where=where, remedy="give the file of a table")
    if path.exists() and not path.is_file():
        raise DataError("is not a regular file", where=where, remedy="save the table to a file first")
    try:
        with path.open("rb") as file:
            start = file.read(8)
        yield start
    except FileNotFoundError as error:
        raise DataError("does not exist", where=where, remedy="check the path") from error
    except PermissionError as error:
        raise DataError("may not be read", where=where, remedy="ask for permission to read it") from error
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(f"is damaged ({error})", where=where, remedy="compress it again") from error
    except (RuntimeError, NotImplementedError) as error:  # of zipfile: a password, or another compression
        remedy = "compress it again, without a password"
        raise DataError(f"cannot be unpacked ({error})", where=where, remedy=remedy) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=where) from error


def is_parquet(path: Path, start: bytes) -> bool:
    """Whether a file that begins with `start` is Parquet, or says so by its name."""
    return start[:4] == b"PAR1" or path.suffix.lower() in PARQUET_SUFFIXES


def file_state(path: Path) -> tuple[Path, int, int]:
    """The file, its size and when it was changed: the same as long as nobody writes to it."""
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def dialect_for(path: Path, dialect: Dialect | None) -> Dialect:
    """How to write the file at `path`: as its suffix says, then as `dialect` does."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = SUFFIX_COMPRESSION.get(suffixes[-1], "") if suffixes else ""
    suffix = suffixes[-2] if compression and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    given = dialect or Dialect()
    if suffix in PARQUET_SUFFIXES:
        return given if given.kind == "parquet" else Dialect(kind="parquet", compression="snappy")
    if suffix in CSV_SUFFIXES or compression or given.kind == "csv":
        base = given if given.kind == "csv" else Dialect()
        delimiter = "\t" if suffix == ".tsv" and dialect is None else base.delimiter
        return replace(base, delimiter=delimiter, compression=compression)
    return given


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse names that the columns of a table cannot have. Raises DataError."""
    if not names:
        raise DataError("has no columns", where=where, remedy="give a table with a header and rows")
    empty = [position for position, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        beside = f", behind '{names[empty[0] - 2]}'," if empty[0] > 1 else ""
        raise DataError(f"column {empty[0]}{beside} has no name", where=where, remedy="name it in the header")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        shown = ", ".join(f"'{name}'" for name in twice[:8])
        raise DataError(f"more than one column is called {shown}", where=where, remedy="give every column its own name")


def too_large(where: str, column: str = "") -> DataError:
    """The error for a cell larger than MAX_CELL_BYTES in the file `where`, in `column` if that is known."""
    problem = f"has a cell larger than {MAX_CELL_BYTES // 2**20} MiB"
    remedy = "drop that column or mend that cell (an unclosed quote?)"
    return DataError(f"column '{column}' {problem}" if column else problem, where=where, remedy=remedy)


# --- compression ---


def found_compression(path: Path, start: bytes) -> str:
    """How the file at `path`, which begins with `start`, is compressed, as `Dialect.compression` names it.

    Raises DataError for a workbook, and for an archive of several files.
    """
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if re.match(rb"BZh[1-9]1AY&", start):
        return "bz2"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(local_copy(path)) as archive:
            names = _members(archive)
        refuse_archive(names, path)
        if len(names) != 1:
            raise DataError(f"holds {len(names)} files", where=str(path), remedy="put one table in one archive")
        return "zip"
    return ""


def _members(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]


def _open_zip(path: Path) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        return archive.open(_members(archive)[0])


_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: path.open("rb"),
    "gzip": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
    "zip": _open_zip,
}


def decompressed(path: Path, compression: str) -> IO[bytes]:
    """The file at `path`, opened to read what it holds when the compression is undone."""
    opened: IO[bytes] = _OPENERS[compression](local_copy(path))
    return opened


@contextlib.contextmanager
def compressed(file: IO[bytes], compression: str, file_name: str) -> Iterator[IO[bytes]]:
    """What to write to for `file` to be compressed. The same table makes the same file: no time goes in."""
    with contextlib.ExitStack() as stack:
        if compression == "zip":
            archive = stack.enter_context(zipfile.ZipFile(file, "w"))
            member = zipfile.ZipInfo(file_name.removesuffix(".zip"))
            member.compress_type = zipfile.ZIP_DEFLATED
            yield stack.enter_context(archive.open(member, "w", force_zip64=True))
        elif compression == "gzip":
            yield stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))  # type: ignore[arg-type]
        elif compression == "bz2":
            yield stack.enter_context(bz2.BZ2File(file, "wb"))
        elif compression == "xz":
            yield stack.enter_context(lzma.LZMAFile(file, "wb"))
        else:
            yield file


# --- encoding, delimiter and line end ---


def csv_head(path: Path, compression: str) -> bytes:
    """The beginning of a CSV file, enough to tell how it is spelled."""
    with decompressed(path, compression) as file:
        return file.read(_HEAD_BYTES)


def csv_encodings(head: bytes, where: str) -> tuple[str, ...]:
    """The encodings that the file may be written in, most likely first.

    The first is what its beginning, `head`, says; the others are for where that does not hold to the file's end. Every
    byte is a character in the last, latin-1. Raises DataError when the file is empty or binary.
    """
    return _found_encoding(head, where), "cp1252", "latin-1"


def _found_encoding(head: bytes, where: str) -> str:
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    encoding = next((name for mark, name in marks if head.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\x00" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        half = len(head) // 4
        encoding = "utf-16-le" if odd > half and not even else "utf-16-be" if even > half and not odd else "utf-8"
    text = head.decode(encoding, errors="replace")
    refuse_text(text, Path(where))
    if re.search(r"[\x00-\x08\x0e-\x1b]", text):
        refuse_binary(head, Path(where))
    if not text.strip():
        raise DataError("is empty", where=where, remedy="give a table with a header and rows")
    return encoding


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a CSV file are laid out.

    names: of the columns. n_behind: delimiters at the end of every row that have no column. preamble, delimiter,
    newline, notes: as for a `Dialect`.
    """

    names: list[str]
    delimiter: str
    newline: str
    preamble: str = ""
    n_behind: int = 0
    notes: tuple[str, ...] = ()


def csv_layout(head: bytes, encoding: str, where: str) -> Layout:
    """The layout of the CSV file that begins with `head`.

    Raises DataError when it has no header, or names that columns cannot have.
    """
    text = head.decode(encoding, errors="replace")
    declared = re.match(r"\ufeff?(sep=(.))\r?\n", text, re.IGNORECASE)
    rest = text[declared.end() :] if declared else text
    is_cut = len(head) == _HEAD_BYTES
    delimiter, rows = _found_delimiter(_head_rows(rest, declared[2] if declared else _DELIMITERS, is_cut), where)
    n_columns, n_behind = _found_width(rows)
    header, body = rows[0][:n_columns], [row[:n_columns] for row in rows[1:] if len(row) >= n_columns]
    notes = _header_notes(header, body, where)
    if n_behind or len(rows[0]) > n_columns:
        notes.append(f"lines end in {delimiter!r}: the empty column behind it is left out")
    names = named(header)
    check_names(names, where)
    return Layout(
        names=names,
        delimiter=delimiter,
        newline="\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n",
        preamble=declared[1] if declared else "",
        n_behind=n_behind,
        notes=tuple(notes),
    )


def _found_width(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """How many columns the header, `rows[0]`, has, and how many empty cells a row usually has behind them.

    Cells without a name at the end of the header are columns only where a row has something in them.
    """
    header, *body = rows
    n_named = _n_named(header)
    usual = Counter(map(len, body)).most_common(1)[0][0] if body else 0
    has_more = _has_more(n_named)
    if n_named and usual >= n_named and not any(has_more(row) for row in body if len(row) == usual):
        return n_named, usual - n_named
    return len(header), 0


def _n_named(header: Sequence[str]) -> int:
    """How many cells a header has up to the last that holds a name."""
    return max((place for place, name in enumerate(header, start=1) if name.strip()), default=0)


def _has_more(width: int) -> Callable[[Sequence[str]], bool]:
    """Whether a row has something behind so many cells."""
    return lambda row: any(cell.strip(" ") for cell in row[width:])


def named(header: Sequence[str]) -> list[str]:
    """The names of a header, with one for a column that has none at either end, such as that of the numbers of rows."""
    names = list(header)
    for place in {0, len(names) - 1} if len(names) > 1 else ():
        if not names[place].strip():
            name = f"Unnamed: {place}"
            while name in names:  # a table that was written with the numbers of its rows twice
                name += ".1"
            names[place] = name
    return names


def _header_notes(names: Sequence[str], rows: Sequence[Sequence[str]], where: str) -> list[str]:
    """What to say of a first line that looks like a row. Raises DataError where it is one."""
    likeness = _likeness(names, rows)
    filled = [name for name in names if name]
    cannot_be = not all(name.strip() for name in names[1:-1]) or len(set(filled)) < len(filled)
    if likeness == "sure" or (likeness == "likely" and cannot_be):
        remedy = "put a line with the names of the columns above it"
        raise DataError("has no header: its first line is a row like the others", where=where, remedy=remedy)
    if likeness == "no":
        return []
    looks = f"the first line looks like data, not like names of columns: {listed(names)}"
    return [f"{looks}; if it is, put a line with the names above it"]


def _likeness(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Literal["no", "likely", "sure"]:
    """How much a first line is like the rows below: numbers as they are there, and words that stand there too.

    Whole numbers in order, such as years and numbers of pixels, are names.
    """
    rows = [row for row in rows if list(row) != list(names)]
    numbers = {place: _number(name) for place, name in enumerate(names) if re.fullmatch(_NUMBER_NAME, name)}
    words = [place for place, name in enumerate(names) if name and place not in numbers]
    if not rows:
        return "no"
    repeated = [place for place in words if any(row[place] == names[place] for row in rows)]
    values = list(numbers.values())
    are_whole = all(value.is_integer() for value in values)
    are_unordered = values != sorted(values) and not are_whole
    if len(names) > 1 and len(repeated) == len(words) and (words or are_unordered):
        return "sure"
    in_order = are_whole and values in (sorted(set(values)), sorted(set(values), reverse=True))
    if in_order or (are_whole and words and not repeated):
        numbers = {}
    n_alike = len(repeated) + sum(_is_within(value, [row[place] for row in rows]) for place, value in numbers.items())
    return "likely" if n_alike >= min(2, len(names)) and 3 * n_alike >= 2 * len(names) else "no"


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _is_within(value: float, cells: Sequence[str]) -> bool:
    """Whether a number lies among those of a column."""
    others = [_number(cell) for cell in cells if re.fullmatch(_NUMBER_NAME, cell)]
    return bool(others) and min(others) <= value <= max(others)


def _head_rows(text: str, delimiters: Sequence[str], is_cut: bool) -> dict[str, list[list[str]]]:
    """The first rows of the file as each delimiter would split them; a last one that may be cut off is left out."""
    rows = {}
    for delimiter in delimiters:
        found: list[list[str]] = []
        with contextlib.suppress(csv.Error):  # a cell longer than the reader takes; the rows before it will do
            found.extend(row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
        rows[delimiter] = found[:-1] if is_cut and len(found) > 1 else found
    return rows


def _found_delimiter(rows: dict[str, list[list[str]]], where: str) -> tuple[str, list[list[str]]]:
    """The delimiter under which most rows have as many fields as the header, empty ones at the end apart, and the rows;
    the more fields the better, and the first of them when there is but one."""
    best, best_score = next(iter(rows)), (0.0, 0)
    for delimiter, found in rows.items():
        if not found or len(found[0]) < 2:
            continue
        width, has_more = len(found[0]), _has_more(_n_named(found[0]))
        n_fit = sum(len(row) == width or (len(row) > width and not has_more(row)) for row in found)
        score = (round(n_fit / len(found), 1), width)
        if score > best_score:
            best, best_score = delimiter, score
    if not rows[best]:
        raise DataError("has no header that can be read", where=where, remedy="give a table with a header and rows")
    return best, rows[best]
