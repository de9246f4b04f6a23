"""Tables in files: read CSV and Parquet whatever their spelling, and write them so that a failure leaves nothing.

CSV, as read here: compression, encoding, delimiter and decimal sign are found from the content. A missing cell is empty
or one of pandas' usual marks (NA, NaN, null, None, ...), quoted or not; `?` and blanks too in a column of numbers. A
number with a leading zero or more digits than 64 bits hold is text. True and False are booleans where a file spells
them one way. Dates stay text (the schema recognises them). A row with more or fewer fields than the header is refused.
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

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from gantools.data.tables.spelling import TRUTHS, Survey, found_places
from gantools.errors import DataError
from gantools.files import unwritable, write_file

MAX_CELL_BYTES = 16 * 2**20

_HEAD_BYTES = 2**18
_DELIMITERS = (",", ";", "\t", "|")
_CSV_SUFFIXES = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_SUFFIX_COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
_MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)


@dataclass(frozen=True)
class Dialect:
    """How a file spells its table, so that another can be written alike.

    delimiter, encoding, decimal, truths, newline, places: of CSV alone; truths: how True and False are written; places:
    digits behind the decimal sign of the columns whose numbers all have as many, 0 where 2.50 is spelt 2.5 and 2.0 is
    spelt 2. compression: "" for none; of CSV gzip, bz2, xz or zip, of Parquet its codec. source: the file that was read
    and its state then, see `write_table`.
    """

    kind: Literal["csv", "parquet"] = "csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    compression: str = ""
    truths: tuple[str, str] = TRUTHS[0]
    newline: str = "\n"
    places: Mapping[str, int] = field(default_factory=dict, compare=False)
    source: tuple[Path, int, int] | None = field(default=None, compare=False)


def read_table(path: str | Path) -> tuple[pd.DataFrame, Dialect]:
    """The table in the file at `path` and how it is spelt.

    Columns keep their names and order. Whole numbers are int64, or Int64 where cells are missing; other numbers
    float64; booleans bool or boolean; everything else pandas' text dtype. Parquet keeps its own dtypes.

    Raises DataError with the file's name when there is no such file, when it cannot be read, or is no table: empty,
    header alone, binary, rows of different lengths, columns without a name or with the same one, a cell larger than
    MAX_CELL_BYTES.
    """
    path = Path(path)
    with reading(path) as start:
        if is_parquet(path, start):
            return _read_parquet(path)
        return _read_csv(path, found_compression(path, start))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[bytes]:
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
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=where) from error


def is_parquet(path: Path, start: bytes) -> bool:
    """Whether a file that begins with `start` is Parquet, or says so by its name."""
    return start[:4] == b"PAR1" or path.suffix.lower() in _PARQUET_SUFFIXES


def write_table(frame: pd.DataFrame, path: str | Path, dialect: Dialect | None = None, n_copied: int = 0) -> None:
    """Write `frame`, without its index, to the file at `path`, beside it first, then renamed: whole or not at all.

    The suffix of `path` says whether it is CSV or Parquet and compressed or not; `dialect` says the rest, and
    everything where the suffix is unknown. n_copied: so many rows at the start of `frame` are those of the CSV file
    that `dialect` was read from, with at most columns of booleans added behind; they are copied from it as they are
    spelt there, unless the file has changed since. Raises DataError when the file cannot be written: no such folder, no
    permission, no space left, a value that the file's format or encoding does not have.
    """
    path = Path(path)
    dialect = dialect_for(path, dialect)
    with write_errors(path, dialect), write_file(path) as file:
        if dialect.kind == "parquet":
            codec: Any = dialect.compression or None
            frame.to_parquet(file, index=False, engine="pyarrow", compression=codec)
        else:
            _write_csv(frame, file, dialect, path.resolve().name, n_copied)


@contextlib.contextmanager
def write_errors(path: Path, dialect: Dialect) -> Iterator[None]:
    """Inside the block, what goes wrong in writing a table is a DataError naming `path`."""
    where = str(path)
    try:
        yield
    except OSError as error:
        raise unwritable(error, where) from error
    except UnicodeEncodeError as error:
        problem = f"{error.object[error.start : error.end]!r} cannot be written as {dialect.encoding}"
        raise DataError(problem, where=where, remedy="write UTF-8 or Parquet") from error
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        problem = f"cannot be written as {dialect.kind} ({error})"
        raise DataError(problem, where=where, remedy="try another format") from error


def dialect_for(path: Path, dialect: Dialect | None) -> Dialect:
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


def _write_csv(frame: pd.DataFrame, file: IO[bytes], dialect: Dialect, file_name: str, n_copied: int) -> None:
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(compressing(file, dialect.compression, file_name))
        text = io.TextIOWrapper(raw, dialect.encoding, newline="")
        stack.callback(text.detach)  # flushes, and leaves what is below open
        copied = _copied_lines(frame, dialect, n_copied) if n_copied else None
        if copied is not None:
            text.writelines(copied)
            frame = frame.iloc[n_copied:]
        spelt(frame, dialect).to_csv(
            text,
            index=False,
            header=copied is None,
            sep=dialect.delimiter,
            decimal=dialect.decimal,
            lineterminator=dialect.newline,
        )


@contextlib.contextmanager
def compressing(file: IO[bytes], compression: str, file_name: str) -> Iterator[IO[bytes]]:
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


def spelt(frame: pd.DataFrame, dialect: Dialect) -> pd.DataFrame:
    """`frame` with booleans and decimals as text where pandas would not spell them as the dialect does."""
    frame = frame.copy(deep=False)
    true, false = dialect.truths
    for name in frame.columns:
        cells = frame[name]
        if dialect.truths != TRUTHS[0] and pd.api.types.is_bool_dtype(cells.dtype):
            frame[name] = cells.astype(object).map({True: true, False: false})
        elif name in dialect.places and pd.api.types.is_float_dtype(cells.dtype):
            values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
            texts = _with_places(values, dialect.places[name], dialect.decimal)
            if texts is not None:
                frame[name] = pd.Series(texts, index=frame.index, dtype=object)
    return frame


def _with_places(values: npt.NDArray[np.float64], places: int, decimal: str) -> list[str | None] | None:
    """The numbers with so many places, the fewest they need where 0; None where a digit would be lost."""
    known = values[~np.isnan(values)]
    if not np.isfinite(known).all() or (places and (np.round(known, places) != known).any()):
        return None

    def text(value: float) -> str:
        if places:
            return f"{value:.{places}f}"
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)

    return [None if value != value else text(value).replace(".", decimal) for value in values.tolist()]


def file_state(path: Path) -> tuple[Path, int, int]:
    """The file, its size and when it was changed: the same as long as nobody writes to it."""
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def _copied_lines(frame: pd.DataFrame, dialect: Dialect, n_copied: int) -> Iterator[str] | None:
    """The header and the first `n_copied` rows of `frame`, copied from the dialect's source, with the cells of added
    columns behind; None where the source does not have those rows."""
    if dialect.source is None:
        return None
    path = dialect.source[0]
    try:
        if file_state(path) != dialect.source:
            return None
        with path.open("rb") as file:
            compression = found_compression(path, file.read(8))
        with (
            OPENERS[compression](path) as file,
            io.TextIOWrapper(file, dialect.encoding, newline="") as text,
        ):
            names, *records = _records(list(text), dialect.delimiter)
    except (OSError, csv.Error):
        return None
    header = next(csv.reader([names], delimiter=dialect.delimiter))
    added = frame.iloc[:n_copied, len(header) :]
    if len(records) != n_copied or header != [str(name) for name in frame.columns[: len(header)]]:
        return None
    if not all(pd.api.types.is_bool_dtype(dtype) for dtype in added.dtypes):
        return None
    true, false = dialect.truths
    tails = [[str(name), *np.where(added[name].to_numpy(dtype=bool), true, false).tolist()] for name in added.columns]
    rows = zip([names, *records], *tails, strict=True)
    return (dialect.delimiter.join(row) + dialect.newline for row in rows)


def _records(lines: list[str], delimiter: str) -> Iterator[str]:
    """The rows of a CSV file as they are spelt, without line ends."""
    rows = csv.reader(lines, delimiter=delimiter)
    start = 0
    for row in rows:
        if row:
            yield "".join(lines[start : rows.line_num]).rstrip("\r\n")
        start = rows.line_num


# --- Parquet ---


def _read_parquet(path: Path) -> tuple[pd.DataFrame, Dialect]:
    where = str(path)
    try:
        with pq.ParquetFile(path) as file:
            refuse_huge_cells(file.metadata, where)
            compression = codec(file.metadata)
            table = file.read()
    except pa.ArrowException as error:
        raise DataError(f"is not a whole Parquet file ({error})", where=where, remedy="write it again") from error
    names = parquet_names(table.schema, where)
    if not table.num_rows:
        raise DataError("has no rows", where=where, remedy="give a table with rows")
    return parquet_frame(table, names), Dialect(kind="parquet", compression=compression)


def parquet_names(schema: pa.Schema, where: str) -> list[str]:
    """The columns of a Parquet table, without an index that has no name. Raises DataError for names that cannot be."""
    names = [name for name in schema.names if not re.fullmatch(r"__index_level_\d+__", name)]
    check_names(names, where)
    return names


def parquet_frame(table: pa.Table, names: list[str]) -> pd.DataFrame:
    """The columns `names` of an Arrow table in the dtypes that pandas wrote them with; an index among them is one."""
    frame: pd.DataFrame = table.to_pandas()
    if not isinstance(frame.index, pd.RangeIndex):
        named = [name for name in frame.index.names if name in names]
        frame = frame.reset_index() if named else frame.reset_index(drop=True)
    return frame[names]


def codec(metadata: pq.FileMetaData) -> str:
    if not metadata.num_row_groups or not metadata.num_columns:
        return "snappy"
    found = str(metadata.row_group(0).column(0).compression).lower()
    return "" if found == "uncompressed" else found


def refuse_huge_cells(metadata: pq.FileMetaData, where: str) -> None:
    """Refuse, before any is read, a column whose cells take more than a MiB each on average."""
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(index)
            if chunk.total_uncompressed_size > max(MAX_CELL_BYTES, chunk.num_values * 2**20):
                raise huge(where, f"column '{chunk.path_in_schema}' has")


def huge(where: str, what: str) -> DataError:
    limit = f"a cell larger than {MAX_CELL_BYTES // 2**20} MiB"
    return DataError(f"{what} {limit}", where=where, remedy="drop that column or mend that cell (an unclosed quote?)")


# --- CSV ---


def found_compression(path: Path, start: bytes) -> str:
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if re.match(rb"BZh[1-9]1AY&", start):
        return "bz2"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise DataError("is a workbook, not CSV or Parquet", where=str(path), remedy="save the sheet as CSV")
        if len(names) != 1:
            raise DataError(f"holds {len(names)} files", where=str(path), remedy="put one table in one archive")
        return "zip"
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError("is a workbook, not CSV or Parquet", where=str(path), remedy="save the sheet as CSV")
    return ""


def _open_zip(path: Path) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        return archive.open(names[0])


OPENERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: path.open("rb"),
    "gzip": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
    "zip": _open_zip,
}


def _read_csv(path: Path, compression: str) -> tuple[pd.DataFrame, Dialect]:
    head, encodings = csv_encodings(path, compression)
    for encoding in encodings[:-1]:
        with contextlib.suppress(UnicodeDecodeError):
            return _read_text(path, compression, encoding, head)
    return _read_text(path, compression, encodings[-1], head)


def csv_encodings(path: Path, compression: str) -> tuple[bytes, tuple[str, ...]]:
    """The beginning of a CSV file, and the encodings that it can be written in: what its beginning says, then those
    that are tried where that does not hold to its end; every byte is a character in latin-1, the last."""
    with OPENERS[compression](path) as file:
        head = file.read(_HEAD_BYTES)
    return head, (_found_encoding(head, str(path)), "cp1252", "latin-1")


def csv_head(head: bytes, encoding: str, where: str) -> tuple[str, list[str], str]:
    """The delimiter, the names of the columns and the line end of the CSV file that begins with `head`."""
    delimiter, names = _found_delimiter(_head_rows(head, encoding), where)
    check_names(names, where)
    text = head.decode(encoding, errors="replace")
    return delimiter, names, "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"


def as_text_options(
    names: list[str], delimiter: str, block_bytes: int
) -> tuple[pa.csv.ReadOptions, pa.csv.ParseOptions, pa.csv.ConvertOptions]:
    """How Arrow reads rows below a header as text, with nulls where cells are missing."""
    return (
        pa.csv.ReadOptions(use_threads=False, block_size=block_bytes, column_names=names),
        pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=list(_MISSING)
        ),
    )


def _found_encoding(head: bytes, where: str) -> str:
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    encoding = next((name for mark, name in marks if head.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\x00" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        half = len(head) // 4
        encoding = "utf-16-le" if odd > half and not even else "utf-16-be" if even > half and not odd else "utf-8"
    text = head.decode(encoding, errors="replace")
    if re.search(r"[\x00-\x08\x0e-\x1b]", text):
        raise DataError("is not a table but a binary file", where=where, remedy="give a CSV or Parquet file")
    if not text.strip():
        raise DataError("is empty", where=where, remedy="give a table with a header and rows")
    return encoding


def _read_text(path: Path, compression: str, encoding: str, head: bytes) -> tuple[pd.DataFrame, Dialect]:
    """The table at `path` read as `encoding`. Raises UnicodeDecodeError when it is written otherwise."""
    where = str(path)
    delimiter, names, newline = csv_head(head, encoding, where)
    read, parse, convert = as_text_options(names, delimiter, MAX_CELL_BYTES)
    read.encoding, read.column_names = encoding, []
    no_rows = DataError("has a header and no rows", where=where, remedy="give a table with rows")
    try:
        with OPENERS[compression](path) as file:
            table = pa.csv.read_csv(file, read_options=read, parse_options=parse, convert_options=convert)
    except pa.ArrowInvalid as error:
        if "invalid UTF8" in str(error):
            raise UnicodeDecodeError(encoding, b"", 0, 0, "invalid") from error
        if "straddl" in str(error):
            raise huge(where, "has") from error
        if "Empty CSV" in str(error):
            raise no_rows from error
        raise odd_row(path, compression, encoding, delimiter, len(names)) or DataError(
            f"is not a table ({error})", where=where
        ) from error
    if not table.num_rows:
        raise no_rows
    if table.column_names != names:
        raise DataError("has a header that cannot be read", where=where, remedy="quote its names plainly")
    _check_cells(table, path, compression, encoding, delimiter)
    types = Survey(names, delimiter).look(table).types()
    floats = [name for name, dtype in types.dtypes.items() if dtype == "float64"]
    every = {name: found_places(table[name], types.decimal) for name in floats}
    places = {name: found for name, found in every.items() if found is not None}
    frame = types.convert(table)
    dialect = Dialect("csv", delimiter, encoding, types.decimal, compression, types.truths, places=places)
    return frame, replace(dialect, newline=newline, source=file_state(path))


def _head_rows(head: bytes, encoding: str) -> dict[str, list[list[str]]]:
    """The first rows of the file as each delimiter would split them; a last one that may be cut off is left out."""
    text = head.decode(encoding, errors="replace")
    rows = {}
    for delimiter in _DELIMITERS:
        found: list[list[str]] = []
        with contextlib.suppress(csv.Error):  # a cell longer than the reader takes; the rows before it will do
            found.extend(row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
        rows[delimiter] = found[:-1] if len(head) == _HEAD_BYTES and len(found) > 1 else found
    return rows


def _found_delimiter(rows: dict[str, list[list[str]]], where: str) -> tuple[str, list[str]]:
    """The delimiter under which most rows have as many fields as the header, and the header; the more fields the
    better, and a comma when there is but one."""
    best, best_score = ",", (0.0, 0)
    for delimiter, found in rows.items():
        if not found or len(found[0]) < 2:
            continue
        widths = Counter(map(len, found))
        score = (round(widths[len(found[0])] / len(found), 1), len(found[0]))
        if score > best_score:
            best, best_score = delimiter, score
    if not rows[best]:
        raise DataError("has no header that can be read", where=where, remedy="give a table with a header and rows")
    return best, rows[best][0]


def check_names(names: Sequence[str], where: str) -> None:
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


def odd_row(path: Path, compression: str, encoding: str, delimiter: str, width: int) -> DataError | None:
    """The error for the first row that is not `width` fields wide or whose quote is never closed, None without one."""
    where = str(path)
    with OPENERS[compression](path) as file, io.TextIOWrapper(file, encoding, errors="replace", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        line = 1
        try:
            for row in rows:
                if row and len(row) != width:
                    fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    problem = f"line {line} has {fields} where the header names {width}"
                    remedy = "mend the line, or quote cells that contain the delimiter"
                    return DataError(problem, where=where, remedy=remedy)
                line = rows.line_num + 1
        except csv.Error as error:
            if "end of data" in str(error):
                return DataError(f"a quote opened in line {line} is never closed", where=where, remedy="close it")
    return None


def _check_cells(table: pa.Table, path: Path, compression: str, encoding: str, delimiter: str) -> None:
    """Refuse cells that are too large, and a quote that swallowed the rest of the file."""
    last_breaks = False
    for cells in table.columns:
        longest = pc.max(pc.binary_length(cells)).as_py() or 0
        if longest > MAX_CELL_BYTES:
            raise huge(str(path), "has")
        last_breaks = last_breaks or "\n" in (cells[-1].as_py() or "")
    if last_breaks and (error := odd_row(path, compression, encoding, delimiter, table.num_columns)):
        raise error
