"""Tables larger than memory: read in chunks whose types never change, and written chunk by chunk, whole or not at all.

Types are those that `read_table` gives to the whole file. Of a CSV file they are decided by a first pass over all of it
(`gantools.data.tables.spelling`), which also finds every row that cannot be read before any work is done; of a Parquet
file by its schema and by whether a column has missing cells anywhere. A dictionary column (a pandas category) has the
categories of its chunk.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from gantools.data.tables.spelling import Survey, Types
from gantools.data.tables.table import (
    MAX_CELL_BYTES,
    OPENERS,
    Dialect,
    as_text_options,
    check_names,
    codec,
    compressing,
    csv_encodings,
    csv_head,
    dialect_for,
    file_state,
    found_compression,
    huge,
    is_parquet,
    odd_row,
    parquet_frame,
    parquet_names,
    reading,
    refuse_huge_cells,
    spelt,
    write_errors,
)
from gantools.errors import DataError
from gantools.files import write_file

MAX_CHUNK_ROWS = 2**16
MIN_CHUNK_ROWS = 2**8
CHUNK_CELLS = 2**21
CHUNK_BYTES = 2**25

_READ_CHARS = 2**22
_SIGNIFICANT = 6  # digits of the numbers that are added to a CSV file

Added = Literal["number", "truth", "text"]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a table. original: the same rows as the file has them, Arrow columns or lines of CSV."""

    frame: pd.DataFrame
    original: pa.Table | list[str]


class TableReader:
    """The table in a CSV or Parquet file, in chunks.

    A context manager; iterating gives frames, `chunks` frames and their originals, each time from the first row on.
    columns: names, in order. n_rows: of the whole file. dialect: how it is spelt.

    Raises DataError, with the file's name, for whatever `read_table` refuses: when it is opened, or in reading a
    damaged Parquet file or one that was changed meanwhile.
    """

    def __init__(
        self, path: str | Path, rows: int | None = None, progress: Callable[[int], None] | None = None
    ) -> None:
        """rows: at most so many in a chunk; None fits them to the width of the table. progress: called with the number
        of rows seen in the pass that opening a CSV file takes."""
        self.path = Path(path)
        with reading(self.path) as start:
            self._state = file_state(self.path)
            self._source: _CsvSource | _ParquetSource
            if is_parquet(self.path, start):
                self._source = _ParquetSource(self.path)
            else:
                self._source = _csv_source(self.path, found_compression(self.path, start), progress)
        self.columns: tuple[str, ...] = tuple(self._source.names)
        self.n_rows: int = self._source.n_rows
        self.dialect: Dialect = replace(self._source.dialect, source=self._state)
        widest = max(1, min(CHUNK_CELLS // len(self.columns), int(CHUNK_BYTES / self._source.row_bytes)))
        self._rows = rows or min(max(widest, MIN_CHUNK_ROWS), MAX_CHUNK_ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (chunk.frame for chunk in self.chunks())

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order, so many at a time; the frames' index goes on from chunk to chunk."""
        first = 0
        parts = self._source.chunks(self._rows)
        while True:
            with reading(self.path):
                chunk = next(parts, None)
                self._check_unchanged()
            if chunk is None:
                return
            chunk.frame.index = pd.RangeIndex(first, first + len(chunk.frame))
            first += len(chunk.frame)
            yield chunk

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """`n` rows drawn at random without replacement, in the file's order; all rows when there are no more.

        The index says which rows they are. Takes one pass and the memory of the rows drawn.
        """
        if n >= self.n_rows:
            rows = np.arange(self.n_rows)
        else:
            rows = np.sort(np.random.default_rng(seed).choice(self.n_rows, n, replace=False, shuffle=False))
        with reading(self.path):
            frame = self._source.take(rows, self._rows)
            self._check_unchanged()
        frame.index = pd.Index(rows)
        return frame

    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow types, with what pandas needs to give back its own."""
        return self._source.arrow_schema()

    def _check_unchanged(self) -> None:
        if file_state(self.path) != self._state:
            remedy = "start again when nothing writes to it any more"
            raise DataError("was changed while it was being read", where=str(self.path), remedy=remedy)


# --- Parquet ---


class _ParquetSource:
    """A Parquet file by record batches. row_bytes: mean size of a row, uncompressed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        where = str(path)
        with self._open() as file:
            metadata = file.metadata
            refuse_huge_cells(metadata, where)
            self.names = parquet_names(file.schema_arrow, where)
            self.n_rows = metadata.num_rows
            self.dialect = Dialect(kind="parquet", compression=codec(metadata))
            if not self.n_rows:
                raise DataError("has no rows", where=where, remedy="give a table with rows")
            self._schema: pa.Schema = file.schema_arrow
            self._holed = frozenset(name for name in self.names if self._has_hole(file, name))
        groups = range(metadata.num_row_groups)
        self.row_bytes = max(1.0, sum(metadata.row_group(group).total_byte_size for group in groups) / self.n_rows)

    @contextlib.contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        """The file, read through small buffers: a column of a row group may be larger than memory."""
        try:
            with pq.ParquetFile(self._path, buffer_size=2**20, pre_buffer=False) as file:
                yield file
        except pa.ArrowException as error:
            problem = f"is not a whole Parquet file ({error})"
            raise DataError(problem, where=str(self._path), remedy="write it again") from error

    def _has_hole(self, file: pq.ParquetFile, name: str) -> bool:
        """Whether a column of whole numbers or truths, which pandas has other types for then, lacks a cell."""
        kind = self._schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            return False
        metadata = file.metadata
        index = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == name)
        known = [metadata.row_group(group).column(index).statistics for group in range(metadata.num_row_groups)]
        if all(found is not None and found.has_null_count for found in known):
            return any(found.null_count for found in known)
        batches = file.iter_batches(MAX_CHUNK_ROWS, columns=[name], use_threads=False)
        return any(batch.column(0).null_count for batch in batches)

    def chunks(self, rows: int) -> Iterator[Chunk]:
        for table in self._tables(rows):
            yield Chunk(self._frame(table), table.select(self.names))

    def take(self, rows: Rows, chunk_rows: int) -> pd.DataFrame:
        taken, first = [], 0
        for table in self._tables(chunk_rows):
            low, high = np.searchsorted(rows, (first, first + len(table)))
            if high - low == len(table):
                taken.append(table)
            elif high > low:
                taken.append(table.take(pa.array(rows[low:high] - first)))
            first += len(table)
        return self._frame(pa.concat_tables(taken).unify_dictionaries())

    def _tables(self, rows: int) -> Iterator[pa.Table]:
        with self._open() as file:
            for batch in file.iter_batches(rows, use_threads=False):
                if len(batch):
                    yield pa.Table.from_batches([batch])

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        frame = parquet_frame(table, self.names)
        for name in self._holed:
            dtype = frame[name].dtype
            if isinstance(dtype, np.dtype) and dtype.kind in "iu":
                frame[name] = frame[name].astype(np.float64)
            elif isinstance(dtype, np.dtype) and dtype.kind == "b":
                frame[name] = frame[name].astype(object)
        return frame

    def arrow_schema(self) -> pa.Schema:
        fields = [self._schema.field(name) for name in self.names]
        metadata = dict(self._schema.metadata or {})
        if b"pandas" in metadata:
            known = json.loads(metadata[b"pandas"])
            known["index_columns"] = []
            known["columns"] = [entry for entry in known["columns"] if entry["field_name"] in self.names]
            metadata[b"pandas"] = json.dumps(known).encode()
        return pa.schema(fields, metadata)


# --- CSV ---


class _CsvSource:
    """A CSV file by blocks of text that end where a row does. row_bytes: mean length of a row in characters."""

    def __init__(
        self, path: Path, compression: str, encoding: str, head: bytes, progress: Callable[[int], None] | None
    ) -> None:
        """Raises UnicodeDecodeError when the file is not written as `encoding`."""
        self._path, self._compression, self._encoding = path, compression, encoding
        self._where = str(path)
        self._delimiter, self.names, newline = csv_head(head, encoding, self._where)
        self._header = ""
        self.n_rows, n_chars = 0, 0
        survey = Survey(self.names, self._delimiter)
        for records in self._blocks():
            survey.look(self._parsed(records))
            self.n_rows += len(records)
            n_chars += sum(map(len, records))
            if progress is not None:
                progress(self.n_rows)
        if not self.n_rows:
            raise DataError("has a header and no rows", where=self._where, remedy="give a table with rows")
        self._types: Types = survey.types()
        self.row_bytes = max(1.0, n_chars / self.n_rows)
        self.dialect = Dialect(
            "csv", self._delimiter, encoding, self._types.decimal, compression, self._types.truths, newline
        )

    @property
    def header(self) -> str:
        """The names as the file spells them."""
        return self._header

    def chunks(self, rows: int) -> Iterator[Chunk]:
        for records in self._blocks():
            for start in range(0, len(records), rows):
                part = records[start : start + rows]
                yield Chunk(self._types.convert(self._parsed(part)), part)

    def take(self, rows: Rows, chunk_rows: int) -> pd.DataFrame:
        taken, first = [], 0
        for records in self._blocks():
            low, high = np.searchsorted(rows, (first, first + len(records)))
            if high > low:
                taken.append(self._parsed([records[row - first] for row in rows[low:high].tolist()]))
            first += len(records)
        return self._types.convert(pa.concat_tables(taken))

    def _parsed(self, records: list[str]) -> pa.Table:
        """The cells of some rows as text, null where missing. Raises DataError for a row that cannot be read."""
        content = ("\n".join(records) + "\n").encode()
        read, parse, convert = as_text_options(self.names, self._delimiter, len(content) + 1)
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(content), read_options=read, parse_options=parse, convert_options=convert
            )
        except pa.ArrowInvalid as error:
            raise self._odd_row() or DataError(f"is not a table ({error})", where=self._where) from error
        if len(table) != len(records):
            problem = "has quotes that can be read in two ways"
            raise self._odd_row() or DataError(problem, where=self._where, remedy="quote its cells plainly")
        for cells in table.columns:
            if (pc.max(pc.binary_length(cells)).as_py() or 0) > MAX_CELL_BYTES:
                raise huge(self._where, "has")
        return table

    def _odd_row(self) -> DataError | None:
        return odd_row(self._path, self._compression, self._encoding, self._delimiter, len(self.names))

    def _blocks(self) -> Iterator[list[str]]:
        """The rows as they are spelt, without line ends, some megabytes at a time."""
        is_first = True
        with (
            OPENERS[self._compression](self._path) as file,
            io.TextIOWrapper(file, self._encoding, newline="") as text,
        ):
            rest, is_last = "", False
            while not is_last:
                piece = text.read(_READ_CHARS)
                is_last = len(piece) < _READ_CHARS
                records, rest = self._records(rest + piece, is_last)
                if len(rest) > MAX_CELL_BYTES:
                    raise huge(self._where, "has")
                if records and is_first:
                    self._header, is_first = records.pop(0), False
                    self._check_header()
                if records:
                    yield records

    def _records(self, text: str, is_last: bool) -> tuple[list[str], str]:
        """The whole rows in `text`, and what is left behind the last one, itself included: it may go on."""
        lines = io.StringIO(text, newline="").readlines()
        held = "" if is_last or not lines else lines.pop()
        if '"' not in text:
            records = [line.rstrip("\r\n") for line in lines]
            return [record for record in records if record], held
        records, start, begun = [], 0, 0
        limit = csv.field_size_limit(2 * MAX_CELL_BYTES)
        try:
            rows = csv.reader(lines, delimiter=self._delimiter)
            for row in rows:
                if row:
                    begun = start
                    records.append("".join(lines[start : rows.line_num]).rstrip("\r\n"))
                start = rows.line_num
        except csv.Error as error:
            raise self._odd_row() or DataError(f"is not a table ({error})", where=self._where) from error
        finally:
            csv.field_size_limit(limit)
        if is_last:
            torn = self._odd_row() if records and "\n" in records[-1] else None
            if torn is not None:
                raise torn  # a quote that is never closed swallowed the rest of the file
        elif records:
            records.pop()
            held = "".join(lines[begun:]) + held
        return records, held

    def _check_header(self) -> None:
        if next(csv.reader([self._header], delimiter=self._delimiter)) != self.names:
            problem = "has a header that cannot be read"
            raise DataError(problem, where=self._where, remedy="quote its names plainly")

    def arrow_schema(self) -> pa.Schema:
        empty = self._types.convert(pa.table({name: pa.array([], pa.string()) for name in self.names}))
        schema = pa.Schema.from_pandas(empty, preserve_index=False)
        for index, name in enumerate(self.names):
            if self._types.dtypes[name] == "text":
                schema = schema.set(index, pa.field(name, pa.string()))
        return schema


def _csv_source(path: Path, compression: str, progress: Callable[[int], None] | None) -> _CsvSource:
    head, encodings = csv_encodings(path, compression)
    for encoding in encodings[:-1]:
        with contextlib.suppress(UnicodeDecodeError):
            return _CsvSource(path, compression, encoding, head, progress)
    return _CsvSource(path, compression, encodings[-1], head, progress)


# --- writing ---


class TableWriter:
    """A copy of a table that is being read, with columns added behind, written chunk by chunk.

    A context manager: the file takes its place when the block ends, and there is none when it fails. The suffix of the
    path says whether it is CSV or Parquet and compressed or not. What was read is copied: rows of a CSV file into
    another character for character, columns of a Parquet file into another with their types. In CSV the added numbers
    have 6 significant digits, and a character that the file's encoding lacks becomes a question mark.
    """

    def __init__(self, path: str | Path, reader: TableReader, added: Mapping[str, Added]) -> None:
        """added: what each new column holds. Raises DataError when the table has a column of that name."""
        self.path = Path(path)
        self._reader, self._added = reader, dict(added)
        check_names([*reader.columns, *added], str(reader.path))
        self._dialect = dialect_for(self.path, reader.dialect)
        self._stack = contextlib.ExitStack()
        self._text: io.TextIOWrapper | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._is_first = True

    def __enter__(self) -> Self:
        with write_errors(self.path, self._dialect), contextlib.ExitStack() as stack:
            file = stack.enter_context(write_file(self.path))
            if self._dialect.kind == "parquet":
                self._schema = _with_added(self._reader.arrow_schema(), self._added)
                compression = self._dialect.compression or "NONE"
                self._parquet = stack.enter_context(pq.ParquetWriter(file, self._schema, compression=compression))
            else:
                name = self.path.resolve().name
                raw = stack.enter_context(compressing(file, self._dialect.compression, name))
                self._text = io.TextIOWrapper(raw, self._dialect.encoding, newline="")
                stack.callback(self._text.detach)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with write_errors(self.path, self._dialect) if error is None else contextlib.suppress(Exception):
            self._stack.__exit__(kind, error, trace)

    def write(self, chunk: Chunk, added: pd.DataFrame) -> None:
        """Add the rows of `chunk` with the cells of `added`, which has the columns announced and as many rows."""
        with write_errors(self.path, self._dialect):
            if self._parquet is not None:
                self._parquet.write_table(self._arrow(chunk, added))
            elif self._text is not None:
                cells = _as_cells(added, self._added, self._dialect)
                if isinstance(chunk.original, list):
                    self._copy(self._text, chunk.original, cells)
                else:
                    self._spell(self._text, chunk.frame, cells)
        self._is_first = False

    def _arrow(self, chunk: Chunk, added: pd.DataFrame) -> pa.Table:
        n_kept = len(self._reader.columns)
        if isinstance(chunk.original, pa.Table):
            kept = chunk.original.columns
        else:
            kept = [
                pa.array(chunk.frame[name], type=self._schema.field(name).type, from_pandas=True)
                for name in self._reader.columns
            ]
        new = [pa.array(added[name], type=self._schema.field(name).type, from_pandas=True) for name in self._added]
        return pa.table([*kept[:n_kept], *new], schema=self._schema)

    def _copy(self, text: IO[str], records: list[str], cells: list[list[str]]) -> None:
        delimiter, newline = self._dialect.delimiter, self._dialect.newline
        tails = _joined(zip(*cells, strict=True), delimiter, self._dialect.encoding)
        lines = [f"{record}{delimiter}{tail}{newline}" for record, tail in zip(records, tails, strict=True)]
        if self._is_first:
            source = self._reader._source
            header = source.header if isinstance(source, _CsvSource) else ""
            (names,) = _joined([list(self._added)], delimiter, self._dialect.encoding)
            lines.insert(0, f"{header}{delimiter}{names}{newline}")
        text.writelines(lines)

    def _spell(self, text: IO[str], frame: pd.DataFrame, cells: list[list[str]]) -> None:
        new = pd.DataFrame(dict(zip(self._added, cells, strict=True)), index=frame.index, dtype=object)
        pd.concat([spelt(frame, self._dialect), new], axis=1).to_csv(
            text,
            index=False,
            header=self._is_first,
            sep=self._dialect.delimiter,
            decimal=self._dialect.decimal,
            lineterminator=self._dialect.newline,
        )


def _with_added(schema: pa.Schema, added: Mapping[str, Added]) -> pa.Schema:
    kinds = {"number": pa.float64(), "truth": pa.bool_(), "text": pa.string()}
    numpy_types = {"number": "float64", "truth": "bool", "text": "object"}
    pandas_types = {"number": "float64", "truth": "bool", "text": "unicode"}
    metadata = dict(schema.metadata or {})
    if b"pandas" in metadata:
        known = json.loads(metadata[b"pandas"])
        known["columns"] += [
            {
                "name": name,
                "field_name": name,
                "pandas_type": pandas_types[kind],
                "numpy_type": numpy_types[kind],
                "metadata": None,
            }
            for name, kind in added.items()
        ]
        metadata[b"pandas"] = json.dumps(known).encode()
    return pa.schema([*schema, *(pa.field(name, kinds[kind]) for name, kind in added.items())], metadata)


def _as_cells(added: pd.DataFrame, kinds: Mapping[str, Added], dialect: Dialect) -> list[list[str]]:
    """The added columns as CSV spells them; "" where a cell is missing."""
    true, false = dialect.truths
    columns = []
    for name, kind in kinds.items():
        values = added[name]
        if kind == "number":
            texts = [
                "" if value != value else f"{value:.{_SIGNIFICANT}g}"
                for value in values.to_numpy(dtype=np.float64, na_value=np.nan).tolist()
            ]
            columns.append([text.replace(".", dialect.decimal) for text in texts] if dialect.decimal != "." else texts)
        elif kind == "truth":
            columns.append(np.where(values.to_numpy(dtype=bool), true, false).tolist())
        else:
            columns.append(["" if pd.isna(value) else str(value) for value in values.tolist()])
    return columns


class _Lines(list[str]):
    """What a csv writer writes, line by line."""

    def write(self, line: str) -> None:
        self.append(line)


def _joined(rows: Any, delimiter: str, encoding: str) -> Sequence[str]:
    """Each of the rows of cells as one line without its end."""
    lines = _Lines()
    csv.writer(lines, delimiter=delimiter, lineterminator="").writerows(rows)
    if encoding.startswith("utf"):
        return lines
    return [line.encode(encoding, "replace").decode(encoding) for line in lines]
