"""Tables are written to CSV and Parquet files, in one piece or chunk by chunk, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gantools.address import place_of
from gantools.data.tables.csv import CsvFile
from gantools.data.tables.dialect import (
    Dialect,
    check_names,
    compressed,
    dialect_for,
    file_state,
    found_compression,
    read_errors,
)
from gantools.data.tables.dtypes import in_calendar
from gantools.data.tables.parquet import ParquetTable, arrow_of, with_columns
from gantools.data.tables.raw import Mask
from gantools.data.tables.reader import Chunk, TableReader
from gantools.data.tables.schema import as_frame
from gantools.data.tables.spelling import TRUTHS
from gantools.errors import DataError
from gantools.files import real, unwritable, write_file

Added = Literal["number", "truth", "text"]

_SIGNIFICANT = 6  # digits of the numbers that are added to a CSV file
_ARROW_TYPES = {"number": pa.float64(), "truth": pa.bool_(), "text": pa.string()}
_PANDAS_TYPES = {"number": ("float64", "float64"), "truth": ("bool", "bool"), "text": ("unicode", "object")}


def write_table(
    frame: pd.DataFrame, path: str | Path, dialect: Dialect | None = None, n_copied: int = 0, among: Mask | None = None
) -> None:
    """Write `frame`, without its index, to the file at `path`, whole or not at all.

    The suffix of `path` says whether it is CSV or Parquet and compressed or not; `dialect` says the rest, and
    everything where the suffix is unknown. What is written like a Parquet file has that file's Arrow types. n_copied:
    so many rows at the start of `frame` are those of the file that `dialect` was read from, with at most columns of
    booleans added behind; they are copied from it as they are there, unless the file has changed since. among: of each
    row of that file, whether it is one of those; None for all of them. Raises DataError when the file cannot be
    written: no such folder, no permission, no space left, a value that the file's format or encoding does not have.
    """
    path, frame = place_of(path), as_frame(frame)
    dialect = dialect_for(path, dialect)
    with _write_errors(path, dialect):
        if dialect.kind == "parquet":
            table = _arrow_table(frame, dialect, n_copied, among)
            with _parquet_file(path, dialect, table.schema) as file:
                file.write_table(table)
            return
        with _csv_file(path, dialect) as rows:
            source = _source_of(frame, dialect, n_copied, among) if n_copied else None
            if source is not None:
                file, records = source
                added = frame.iloc[:n_copied, len(file.names) :]
                rows.copy(file.header, records, added, dict.fromkeys(added.columns, "truth"))
                frame = frame.iloc[n_copied:]
            if len(frame) or source is None:
                rows.write(frame)


class TableWriter:
    """A copy of a table that is being read, with columns added behind, written chunk by chunk.

    A context manager: the file takes its place when the block ends, and there is none when it fails. The suffix of the
    path says whether it is CSV or Parquet and compressed or not. What was read is copied: rows of a CSV file into
    another character for character, columns of a Parquet file into another with their types. In CSV the added numbers
    have 6 significant digits, and a character that the file's encoding lacks becomes a question mark.
    """

    def __init__(self, path: str | Path, reader: TableReader, added: Mapping[str, Added]) -> None:
        """added: what each new column holds. Raises DataError when the table has a column of that name."""
        self.path = place_of(path)
        self._reader, self._added = reader, dict(added)
        check_names([*reader.columns, *added], str(reader.path))
        self._dialect = dialect_for(self.path, reader.dialect)
        self._schema = _with_added(reader.arrow_schema(), self._added)
        self._opened = (
            _parquet_file(self.path, self._dialect, self._schema)
            if self._dialect.kind == "parquet"
            else _csv_file(self.path, self._dialect)
        )

    def __enter__(self) -> Self:
        with _write_errors(self.path, self._dialect):
            self._file = self._opened.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _write_errors(self.path, self._dialect) if error is None else suppress(Exception):
            self._opened.__exit__(kind, error, trace)

    def write(self, chunk: Chunk, added: pd.DataFrame) -> None:
        """Add the rows of `chunk` with the cells of `added`, which has the columns announced and as many rows."""
        with _write_errors(self.path, self._dialect):
            if isinstance(self._file, pq.ParquetWriter):
                self._file.write_table(self._arrow(chunk, added))
            elif isinstance(chunk.original, list):
                self._file.copy(self._reader.header, chunk.original, added, self._added)
            else:
                cells = _cells(added, self._added, self._dialect)
                new = pd.DataFrame(dict(zip(self._added, cells, strict=True)), index=chunk.frame.index, dtype=object)
                self._file.write(pd.concat([chunk.frame, new], axis=1))

    def _arrow(self, chunk: Chunk, added: pd.DataFrame) -> pa.Table:
        def converted(frame: pd.DataFrame, names: Iterable[str]) -> list[pa.Array]:
            return [pa.array(frame[name], type=self._schema.field(name).type, from_pandas=True) for name in names]

        names, original = self._reader.columns, chunk.original
        kept = converted(chunk.frame, names) if isinstance(original, list) else original.select(names).columns
        return pa.table([*kept, *converted(added, self._added)], schema=self._schema)


class _CsvRows:
    """Rows on their way to a CSV file."""

    def __init__(self, text: IO[str], dialect: Dialect) -> None:
        self._text, self._dialect = text, dialect
        self._has_header = False

    def copy(self, header: str, records: Sequence[str], added: pd.DataFrame, kinds: Mapping[str, Added]) -> None:
        """Rows as another file spells them, with the cells of added columns behind. header: the names there."""
        self._open()
        lines: Iterable[str] = records if self._has_header else [header, *records]
        if kinds:
            rows = zip(*_cells(added, kinds, self._dialect), strict=True)
            tails = self._spelled(rows if self._has_header else [list(kinds), *rows])
            lines = map(self._dialect.delimiter.join, zip(lines, tails, strict=True))
        self._text.writelines(line + self._dialect.newline for line in lines)
        self._has_header = True

    def write(self, frame: pd.DataFrame) -> None:
        """Rows of a frame, spelled as the dialect says."""
        self._open()
        _in_dialect(frame, self._dialect).to_csv(
            self._text,
            index=False,
            header=not self._has_header,
            sep=self._dialect.delimiter,
            decimal=self._dialect.decimal,
            lineterminator=self._dialect.newline,
        )
        self._has_header = True

    def _open(self) -> None:
        if self._dialect.preamble and not self._has_header:
            self._text.write(self._dialect.preamble + self._dialect.newline)

    def _spelled(self, rows: Iterable[Sequence[str]]) -> list[str]:
        """Each row of cells as one line without its end."""
        lines = _Lines()
        csv.writer(lines, delimiter=self._dialect.delimiter, lineterminator="").writerows(rows)
        encoding = self._dialect.encoding
        return (
            lines if encoding.startswith("utf") else [ln.encode(encoding, "replace").decode(encoding) for ln in lines]
        )


class _Lines(list[str]):
    """What a csv writer writes, line by line."""

    def write(self, line: str) -> None:
        self.append(line)


@contextmanager
def _csv_file(path: Path, dialect: Dialect) -> Iterator[_CsvRows]:
    with (
        write_file(path) as file,
        compressed(file, dialect.compression, real(path).name) as raw,
    ):
        text = io.TextIOWrapper(raw, dialect.encoding, newline="")
        try:
            yield _CsvRows(text, dialect)
        finally:
            text.detach()  # flushes, and leaves what is below open


@contextmanager
def _parquet_file(path: Path, dialect: Dialect, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with write_file(path) as file, pq.ParquetWriter(file, schema, compression=dialect.compression or "NONE") as writer:
        yield writer


@contextmanager
def _write_errors(path: Path, dialect: Dialect) -> Iterator[None]:
    """Inside the block, what goes wrong in writing a table is a DataError naming `path`."""
    where = str(path)
    try:
        yield
    except OSError as error:
        raise unwritable(error, where) from error
    except UnicodeEncodeError as error:
        problem = f"{error.object[error.start : error.end]!r} cannot be written as {dialect.encoding}"
        raise DataError(problem, where=where, remedy="write UTF-8 or Parquet") from error
    except (pa.ArrowException, ValueError, TypeError, OverflowError, NotImplementedError) as error:
        problem = f"cannot be written as {dialect.kind} ({error})"
        raise DataError(problem, where=where, remedy="try another format") from error


def _arrow_table(frame: pd.DataFrame, dialect: Dialect, n_copied: int, among: Mask | None) -> pa.Table:
    """`frame` in the Arrow types of the file that `dialect` was read from, its first rows copied from there."""
    if not dialect.arrow:
        return pa.Table.from_pandas(frame, preserve_index=False)
    schema = arrow_of(dialect.arrow)
    known = [name for name in schema.names if name in frame.columns]
    added = [str(name) for name in frame.columns if name not in schema.names]
    if not known or list(frame.columns) != [*known, *added]:
        return pa.Table.from_pandas(frame, preserve_index=False)
    whole = _with_added(with_columns(schema, known), {name: _added_kind(frame[name]) for name in added})
    original = _parquet_source(dialect, n_copied, among) if n_copied and known == schema.names else None
    made = frame if original is None else frame.iloc[n_copied:]
    made_columns = [_arrow_cells(made[field.name], field) for field in whole]
    if original is None:
        return pa.table(made_columns, schema=whole)
    flags = [_arrow_cells(frame[name].iloc[:n_copied], whole.field(name)) for name in added]
    first = pa.table([*original.columns, *flags], schema=whole)
    return pa.concat_tables([first, pa.table(made_columns, schema=whole)]).unify_dictionaries()


def _added_kind(cells: pd.Series) -> Added:
    if pd.api.types.is_bool_dtype(cells.dtype):
        return "truth"
    return "number" if pd.api.types.is_numeric_dtype(cells.dtype) else "text"


def _parquet_source(dialect: Dialect, n_rows: int, among: Mask | None) -> pa.Table | None:
    """The rows of the file that was read, None where it has changed."""
    if dialect.source is None or file_state(dialect.source[0]) != dialect.source:
        return None
    table = ParquetTable(dialect.source[0]).table()
    if among is not None:
        table = table.filter(pa.array(among)) if len(among) == len(table) else table
    return table if len(table) == n_rows else None


def _arrow_cells(cells: pd.Series, field: pa.Field) -> pa.Array:
    """A column of a frame in an Arrow type. Raises DataError with its name where the type does not have a cell."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        codes = pd.Categorical(cells) if not isinstance(cells.dtype, pd.CategoricalDtype) else cells.array
        levels = pa.array(codes.categories, type=kind.value_type, from_pandas=True)
        places = pa.array(codes.codes, mask=codes.codes < 0).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(places, levels, ordered=kind.ordered)
    with suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
        found = pa.array(cells, type=kind, from_pandas=True)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    try:
        found = pa.array(cells, from_pandas=True)
        return found.cast(kind, safe=not pa.types.is_decimal(kind))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        problem = f"the generator makes cells that {kind} does not hold ({error})"
        remedy = "convert the column to the type that the generator has learned, or write CSV"
        raise DataError(problem, where=f"column '{field.name}'", remedy=remedy) from error


def _source_of(
    frame: pd.DataFrame, dialect: Dialect, n_rows: int, among: Mask | None
) -> tuple[CsvFile, list[str]] | None:
    """The file that the first `n_rows` of `frame` were read from and its rows, None where they are not in it."""
    if dialect.source is None:
        return None
    path = dialect.source[0]
    try:
        if file_state(path) != dialect.source:
            return None
        with read_errors(path) as start:
            file = CsvFile(path, found_compression(path, start), dialect.encoding)
            records = [record for block in file.records() for record in block]
    except (OSError, DataError):
        return None
    if among is not None and len(among) == len(records):
        records = [record for record, is_one in zip(records, among.tolist(), strict=True) if is_one]
    names = [str(name) for name in frame.columns]
    are_flags = all(pd.api.types.is_bool_dtype(dtype) for dtype in frame.dtypes.iloc[len(file.names) :])
    is_source = len(records) == n_rows and names[: len(file.names)] == file.names and are_flags
    return (file, records) if is_source else None


def _with_added(schema: pa.Schema, added: Mapping[str, Added]) -> pa.Schema:
    """`schema` with the added columns, in what pandas needs to give back its own too."""
    metadata = dict(schema.metadata or {})
    if b"pandas" in metadata:
        known = json.loads(metadata[b"pandas"])
        for name, kind in added.items():
            pandas_type, numpy_type = _PANDAS_TYPES[kind]
            types = {"pandas_type": pandas_type, "numpy_type": numpy_type}
            known["columns"].append({"name": name, "field_name": name, **types, "metadata": None})
        metadata[b"pandas"] = json.dumps(known).encode()
    return pa.schema([*schema, *(pa.field(name, _ARROW_TYPES[kind]) for name, kind in added.items())], metadata)


def _cells(added: pd.DataFrame, kinds: Mapping[str, Added], dialect: Dialect) -> list[list[str]]:
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


def _in_dialect(frame: pd.DataFrame, dialect: Dialect) -> pd.DataFrame:
    """`frame` with booleans and decimals as text where pandas would not spell them as the dialect does, and moments in
    UTC where it cannot spell them in their time zone."""
    frame = frame.copy(deep=False)
    for name in frame.columns:
        cells = frame[name] = in_calendar(frame[name])
        spelling = dialect.columns.get(str(name))
        kind = cells.dtype
        if pd.api.types.is_bool_dtype(kind):
            pair = dialect.truths if spelling is None or not spelling.dtype.startswith("bool") else spelling.truths
            if pair != TRUTHS[0] or (spelling is not None and spelling.missing):
                frame[name] = cells.astype(object).map({True: pair[0], False: pair[1]})
        elif spelling is not None and spelling.is_number and pd.api.types.is_numeric_dtype(kind):
            texts = spelling.write(_plain_numbers(cells))
            if texts is not None:
                frame[name] = pd.Series(texts, index=frame.index, dtype=object)
            elif spelling.decimal != dialect.decimal and pd.api.types.is_float_dtype(kind):
                shown = [None if value is None else str(value) for value in _plain_numbers(cells)]
                shown = [text if text is None else text.replace(".", spelling.decimal) for text in shown]
                frame[name] = pd.Series(shown, index=frame.index, dtype=object)
        if spelling is not None and spelling.missing and frame[name].isna().any():
            frame[name] = frame[name].astype(object).where(frame[name].notna(), spelling.missing)
    return frame


def _plain_numbers(cells: pd.Series) -> list[float | int | None]:
    """The numbers of a column, None where missing."""
    return [None if pd.isna(value) else value for value in cells.astype(object).tolist()]
