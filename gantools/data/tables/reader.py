"""Tables in files, read in one piece or, where they are larger than memory, in chunks whose dtypes are the same.

CSV, as read here: compression, encoding and delimiter are found from the content, and how each column spells its cells
(`gantools.data.tables.spelling`): decimal sign, thousands, currency, words for missing cells (NA, NaN, ?, ...). In a
column of text such words are values, and only an empty cell is missing. A number with a leading zero or more digits
than 64 bits hold is text. True and False are booleans where a column spells them one way. A column that a caller or a
schema knows is read as they say. Dates stay text (the schema recognises them). A row with more or fewer fields than the
header is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from gantools.address import place_of
from gantools.data.parts import part_files
from gantools.data.tables.column import NUMERIC_KINDS, Column, Kind
from gantools.data.tables.csv import csv_names, open_csv
from gantools.data.tables.dialect import Dialect, file_state, found_compression, is_parquet, read_errors
from gantools.data.tables.parquet import ParquetTable, common_types
from gantools.data.tables.schema import Schema
from gantools.data.tables.spelling import Known
from gantools.errors import DataError

MAX_CHUNK_ROWS = 2**16
MIN_CHUNK_ROWS = 2**8
CHUNK_CELLS = 2**21
CHUNK_BYTES = 2**25


def read_table(
    path: str | Path, kinds: Mapping[str, Kind | str] | None = None, like: Schema | None = None
) -> tuple[pd.DataFrame, Dialect]:
    """The table in the file at `path` and how it is spelled.

    kinds, like: what is known of columns of a CSV file, see `TableReader`. Give the dialect to `infer_schema`, which
    keeps how columns are spelled.

    Columns keep their names and order. Whole numbers are int64, or Int64 where cells are missing; other numbers
    float64; booleans bool or boolean; everything else pandas' text dtype. Parquet keeps its own dtypes.

    Raises DataError with the file's name when there is no such file, when it cannot be read, or is no table: empty,
    header alone, binary, rows of different lengths, columns without a name or with the same one, a cell larger than
    MAX_CELL_BYTES.
    """
    reader = TableReader(path, keep=True, kinds=kinds, like=like)
    return reader.whole(), reader.dialect


def column_names(path: str | Path) -> tuple[str, ...]:
    """The names of the columns of the table in the file at `path`, without reading its rows.

    Raises DataError, with the file's name, for a file that is not there or whose beginning is that of no table.
    """
    path = place_of(path)
    path = next(iter(part_files(path)), path)
    with read_errors(path) as start:
        if is_parquet(path, start):
            return tuple(ParquetTable(path, may_be_empty=True).names)
        return tuple(csv_names(path, found_compression(path, start)))


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a table. original: the same rows as their file has them, Arrow columns or lines of CSV."""

    frame: pd.DataFrame
    original: pa.Table | list[str]
    file: Path


class TableReader:
    """The table in a CSV or Parquet file, or in a folder of such parts, in chunks, none of which has rows of two files.

    A context manager; iterating gives frames, `chunks` frames and their originals, each time from the first row on.
    columns: names, in order. n_rows: of the whole table. dialect: how it is spelled. header: the names as a CSV file
    spells them. is_in_parts: whether it is a folder. Whole numbers in one part and fractions in another are fractions
    in all: what columns are is decided once. first_row: the number of the first row, where this is a part of a table.

    Raises DataError, with the file's name, for whatever `read_table` refuses: when it is opened, or in reading a
    damaged Parquet file or one that was changed meanwhile.
    """

    def __init__(
        self,
        path: str | Path,
        rows: int | None = None,
        progress: Callable[[int], None] | None = None,
        *,
        keep: bool = False,
        kinds: Mapping[str, Kind | str] | None = None,
        like: Schema | None = None,
    ) -> None:
        """rows: at most so many in a chunk; None fits them to the width of the table. progress: called with the number
        of rows seen in the pass that opening a CSV file takes. keep: that pass holds the whole table for `whole`, and
        finds how many digits its numbers have. kinds: of columns that the caller knows: categories are read as they are
        written, and numbers as numbers. like: columns that were learned before; they are read as they were then.
        """
        self.path = place_of(path)
        parts = part_files(self.path)
        files, self.is_in_parts = parts or [self.path], bool(parts)
        self._tables = _opened(files, _known(kinds or {}, like), keep, progress)
        self._states = [file_state(one.path) for one in self._tables]
        first = self._tables[0]
        self.columns: tuple[str, ...] = tuple(first.names)
        self.n_rows = sum(one.n_rows for one in self._tables)
        self.header = first.header
        self.dialect = replace(first.dialect, source=None if self.is_in_parts else self._states[0])
        row_bytes = max(one.row_bytes for one in self._tables)
        widest = max(1, min(CHUNK_CELLS // len(self.columns), int(CHUNK_BYTES / row_bytes)))
        self._rows = rows or min(max(widest, MIN_CHUNK_ROWS), MAX_CHUNK_ROWS)
        self.first_row = 0

    def split(self) -> list[TableReader]:
        """Each part that has rows as a table of its own, with the columns of the whole, the same chunks and an index
        that goes on. They can be sent to other processes."""
        found, first = [], 0
        for table, state in zip(self._tables, self._states, strict=True):
            part = copy.copy(self)
            part.path, part.is_in_parts, part._tables, part._states = table.path, False, [table], [state]
            part.n_rows, part.first_row = table.n_rows, first
            part.header, part.dialect = table.header, replace(table.dialect, source=state)
            first += table.n_rows
            if table.n_rows:
                found.append(part)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (chunk.frame for chunk in self.chunks())

    def whole(self) -> pd.DataFrame:
        """All rows in one piece."""
        cells = []
        for table, state in zip(self._tables, self._states, strict=True):
            with read_errors(table.path):
                cells.append(table.cells())
                _check_unchanged(state)
        first = self._tables[0]
        with read_errors(first.path):
            frame: pd.DataFrame = first.typed(
                cells[0] if len(cells) == 1 else pa.concat_tables(cells).unify_dictionaries()
            )
        return frame

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order, so many at a time; the frames' index goes on from chunk to chunk."""
        first = self.first_row
        for table, state in zip(self._tables, self._states, strict=True):
            parts: Iterator[Any] = table.parts(self._rows)
            while True:
                with read_errors(table.path):
                    part = next(parts, None)
                    _check_unchanged(state)
                    if part is None:
                        break
                    frame = table.frame([part])
                frame.index = pd.RangeIndex(first, first + len(part))
                first += len(part)
                yield Chunk(frame, part, table.path)

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """`n` rows drawn at random without replacement, in the file's order; all rows when there are no more.

        The index says which rows they are. Takes one pass and the memory of the rows drawn.
        """
        if n >= self.n_rows:
            rows = np.arange(self.n_rows)
        else:
            rows = np.sort(np.random.default_rng(seed).choice(self.n_rows, n, replace=False, shuffle=False))
        picked: list[Any] = []
        first = 0
        for table, state in zip(self._tables, self._states, strict=True):
            with read_errors(table.path):
                for part in table.parts(self._rows):
                    low, high = np.searchsorted(rows, (first, first + len(part)))
                    if high > low:
                        picked.append(table.pick(part, rows[low:high] - first))
                    first += len(part)
                _check_unchanged(state)
        with read_errors(self._tables[0].path):
            frame: pd.DataFrame = self._tables[0].frame(picked)
        frame.index = pd.Index(rows)
        return frame

    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow types, with what pandas needs to give back its own."""
        schema: pa.Schema = self._tables[0].arrow_schema()
        return schema


def _opened(
    files: Sequence[Path], known: Mapping[str, Known], keep: bool, progress: Callable[[int], None] | None
) -> Sequence[Any]:
    """The table of each file, `CsvTable` or `ParquetTable`, all of one table. Raises DataError where they are not."""
    compressions: list[str] = []
    for file in files:
        with read_errors(file) as start:
            if not is_parquet(file, start):
                compressions.append(found_compression(file, start))
    if compressions and len(compressions) < len(files):
        problem = "holds CSV and Parquet files"
        raise DataError(problem, where=str(files[0].parent), remedy="give parts of one kind")
    if compressions:
        with read_errors(files[0]):
            return open_csv(list(zip(files, compressions, strict=True)), known, keep, progress)
    tables = []
    for file in files:
        with read_errors(file):
            tables.append(ParquetTable(file, may_be_empty=len(files) > 1))
    if not any(table.n_rows for table in tables):
        raise DataError("has no rows", where=str(files[0].parent), remedy="give a table with rows")
    types = common_types(tables)
    with_missing = [name for name in tables[0].names if any(name in table.with_missing for table in tables)]
    for table in tables:
        table.take_types(types)
        table.with_missing = with_missing
    return tables


def _check_unchanged(state: tuple[Path, int, int]) -> None:
    path = state[0]
    if file_state(path) != state:
        remedy = "start again when nothing writes to it any more"
        raise DataError("was changed while it was being read", where=str(path), remedy=remedy)


def _known(kinds: Mapping[str, Kind | str], like: Schema | None) -> dict[str, Known]:
    """How columns must be read, by name."""
    found = {column.name: _as_learned(column) for column in (like.columns if like is not None else ())}
    for name, kind in kinds.items():
        if kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
            found[name] = Known("codes")
        elif kind in (Kind.CONTINUOUS, Kind.INTEGER):
            found[name] = Known("number")
    return found


def _as_learned(column: Column) -> Known:
    """How a column must be read that was learned before."""
    is_number = "int" in column.dtype.lower() or "float" in column.dtype or "decimal" in column.dtype
    is_float = "float" in column.dtype
    levels = column.levels or column.categories or ()
    if levels and all(isinstance(level, str) for level in levels):
        return Known("text", column.spelling)
    if levels and all(isinstance(level, bool) for level in levels):
        return Known("truth", column.spelling)
    if is_number and (levels or column.kind in (*NUMERIC_KINDS, Kind.IDENTIFIER)):
        return Known("number", column.spelling, is_float)
    is_text = column.format is not None or column.kind in (Kind.DATETIME, Kind.IDENTIFIER)
    return Known("text" if is_text else "", column.spelling)
