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

from gantools.data.tables.spelling import TRUTHS, Spelling
from gantools.errors import DataError

MAX_CELL_BYTES = 16 * 2**20

_WORKBOOK = "is a workbook; tables are read from CSV and Parquet"
_HEAD_BYTES = 2**18
_DELIMITERS = (",", ";", "\t", "|")
_CSV_SUFFIXES = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_NUMBER_NAME = r"-?[0-9]+(\.[0-9]+)?"
_SUFFIX_COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}


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


@contextlib.contextmanager
def read_errors(path: Path) -> Iterator[bytes]:
    """The first bytes of the file at `path`; what goes wrong in reading it within the block is a DataError."""
    where = str(path)
    if path.is_dir():
        raise DataError("is a folder", where=where, remedy="give the file of a table")
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
    return start[:4] == b"PAR1" or path.suffix.lower() in _PARQUET_SUFFIXES


def file_state(path: Path) -> tuple[Path, int, int]:
    """The file, its size and when it was changed: the same as long as nobody writes to it."""
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def dialect_for(path: Path, dialect: Dialect | None) -> Dialect:
    """How to write the file at `path`: as its suffix says, then as `dialect` does."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _SUFFIX_COMPRESSION.get(suffixes[-1], "") if suffixes else ""
    suffix = suffixes[-2] if compression and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    given = dialect or Dialect()
    if suffix in _PARQUET_SUFFIXES:
        return given if given.kind == "parquet" else Dialect(kind="parquet", compression="snappy")
    if suffix in _CSV_SUFFIXES or compression or given.kind == "csv":
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
        remedy = "name it in the header, or leave a row index out"
        raise DataError(f"column {empty[0]} has no name", where=where, remedy=remedy)
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
        with zipfile.ZipFile(path) as archive:
            names = _members(archive)
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise DataError(_WORKBOOK, where=str(path), remedy="save the sheet as CSV")
        if len(names) != 1:
            raise DataError(f"holds {len(names)} files", where=str(path), remedy="put one table in one archive")
        return "zip"
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError(_WORKBOOK, where=str(path), remedy="save the sheet as CSV")
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
    opened: IO[bytes] = _OPENERS[compression](path)
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
    if re.match(r"\ufeff?\s*(\{\s*[\"}]|\[\s*[\[{])", text):
        remedy = 'convert it, in Python: pandas.read_json("FILE").to_csv("FILE.csv", index=False)'
        raise DataError("is JSON; tables are read from CSV and Parquet", where=where, remedy=remedy)
    if re.search(r"[\x00-\x08\x0e-\x1b]", text):
        raise DataError("is not a table but a binary file", where=where, remedy="give a CSV or Parquet file")
    if not text.strip():
        raise DataError("is empty", where=where, remedy="give a table with a header and rows")
    return encoding


def csv_layout(head: bytes, encoding: str, where: str) -> tuple[str, str, list[str], str]:
    """The preamble, the delimiter, the names of the columns and the line end of the CSV file that begins with `head`.

    Raises DataError when it has no header, or names that columns cannot have.
    """
    text = head.decode(encoding, errors="replace")
    declared = re.match(r"\ufeff?(sep=(.))\r?\n", text, re.IGNORECASE)
    rest = text[declared.end() :] if declared else text
    is_cut = len(head) == _HEAD_BYTES
    delimiter, rows = _found_delimiter(_head_rows(rest, declared[2] if declared else _DELIMITERS, is_cut), where)
    names = named(rows[0])
    check_names(names, where)
    _check_is_header(names, rows[1:], where)
    newline = "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"
    return declared[1] if declared else "", delimiter, names, newline


def named(header: Sequence[str]) -> list[str]:
    """The names of a header, with one for a column that has none at either end: of the numbers of rows, or behind a
    delimiter at the end of every line."""
    names = list(header)
    for place in {0, len(names) - 1} if len(names) > 1 else ():
        if not names[place].strip():
            names[place] = f"Unnamed: {place}"
    return names


def _check_is_header(names: Sequence[str], rows: Sequence[Sequence[str]], where: str) -> None:
    """Refuse a first line that is a row like those below: numbers, in no order, and words that stand below too."""
    numbers = [float(name) for name in names if re.fullmatch(_NUMBER_NAME, name)]
    words = [place for place, name in enumerate(names) if not re.fullmatch(_NUMBER_NAME, name)]
    if not numbers or not rows:
        return
    repeat = [any(len(row) == len(names) and row[place] == names[place] for row in rows) for place in words]
    is_row = all(repeat) if words else numbers != sorted(numbers) and any("." in name for name in names)
    if is_row:
        remedy = "put a line with the names of the columns above it"
        raise DataError("has no header: its first line is a row like the others", where=where, remedy=remedy)


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
    """The delimiter under which most rows have as many fields as the header, and the rows; the more fields the
    better, and the first of them when there is but one."""
    best, best_score = next(iter(rows)), (0.0, 0)
    for delimiter, found in rows.items():
        if not found or len(found[0]) < 2:
            continue
        widths = Counter(map(len, found))
        score = (round(widths[len(found[0])] / len(found), 1), len(found[0]))
        if score > best_score:
            best, best_score = delimiter, score
    if not rows[best]:
        raise DataError("has no header that can be read", where=where, remedy="give a table with a header and rows")
    return best, rows[best]
