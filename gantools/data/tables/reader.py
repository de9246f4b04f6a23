"""Tables in files, read in one piece or, where they are larger than memory, in chunks whose dtypes are the same.

CSV, as read here: compression, encoding, delimiter and decimal sign are found from the content. A missing cell is empty
or one of pandas' usual marks (NA, NaN, null, None, ...), quoted or not; `?` and blanks too in a column of numbers. A
number with a leading zero or more digits than 64 bits hold is text. True and False are booleans where a file spells
them one way. Dates stay text (the schema recognises them). A row with more or fewer fields than the header is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from gantools.data.tables.csv import CsvTable, open_csv
from gantools.data.tables.dialect import Dialect, file_state, found_compression, is_parquet, read_errors
from gantools.data.tables.parquet import ParquetTable
from gantools.errors import DataError

MAX_CHUNK_ROWS = 2**16
MIN_CHUNK_ROWS = 2**8
CHUNK_CELLS = 2**21
CHUNK_BYTES = 2**25


def read_table(path: str | Path) -> tuple[pd.DataFrame, Dialect]:
    """The table in the file at `path` and how it is spelled.

    Columns keep their names and order. Whole numbers are int64, or Int64 where cells are missing; other numbers
    float64; booleans bool or boolean; everything else pandas' text dtype. Parquet keeps its own dtypes.

    Raises DataError with the file's name when there is no such file, when it cannot be read, or is no table: empty,
    header alone, binary, rows of different lengths, columns without a name or with the same one, a cell larger than
    MAX_CELL_BYTES.
    """
    reader = TableReader(path, keep=True)
    return reader.whole(), reader.dialect


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a table. original: the same rows as the file has them, Arrow columns or lines of CSV."""

    frame: pd.DataFrame
    original: pa.Table | list[str]


class TableReader:
    """The table in a CSV or Parquet file, in chunks.

    A context manager; iterating gives frames, `chunks` frames and their originals, each time from the first row on.
    columns: names, in order. n_rows: of the whole file. dialect: how it is spelled. header: the names as a CSV file
    spells them.

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
    ) -> None:
        """rows: at most so many in a chunk; None fits them to the width of the table. progress: called with the number
        of rows seen in the pass that opening a CSV file takes. keep: that pass holds the whole table for `whole`, and
        finds the dialect's `places`.
        """
        self.path = Path(path)
        self._table: CsvTable | ParquetTable
        with read_errors(self.path) as start:
            self._state = file_state(self.path)
            if is_parquet(self.path, start):
                self._table = ParquetTable(self.path)
            else:
                self._table = open_csv(self.path, found_compression(self.path, start), keep, progress)
        self.columns: tuple[str, ...] = tuple(self._table.names)
        self.n_rows = self._table.n_rows
        self.header = self._table.header
        self.dialect = replace(self._table.dialect, source=self._state)
        widest = max(1, min(CHUNK_CELLS // len(self.columns), int(CHUNK_BYTES / self._table.row_bytes)))
        self._rows = rows or min(max(widest, MIN_CHUNK_ROWS), MAX_CHUNK_ROWS)

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
        with read_errors(self.path):
            frame = self._table.whole()
            self._check_unchanged()
        return frame

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order, so many at a time; the frames' index goes on from chunk to chunk."""
        first = 0
        parts: Iterator[Any] = self._table.parts(self._rows)
        while True:
            with read_errors(self.path):
                part = next(parts, None)
                self._check_unchanged()
                if part is None:
                    return
                frame = self._table.frame([part])
            frame.index = pd.RangeIndex(first, first + len(part))
            first += len(part)
            yield Chunk(frame, part)

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
        with read_errors(self.path):
            for part in self._table.parts(self._rows):
                low, high = np.searchsorted(rows, (first, first + len(part)))
                if high > low:
                    picked.append(self._table.pick(part, rows[low:high] - first))
                first += len(part)
            self._check_unchanged()
            frame = self._table.frame(picked)
        frame.index = pd.Index(rows)
        return frame

    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow types, with what pandas needs to give back its own."""
        return self._table.arrow_schema()

    def _check_unchanged(self) -> None:
        if file_state(self.path) != self._state:
            remedy = "start again when nothing writes to it any more"
            raise DataError("was changed while it was being read", where=str(self.path), remedy=remedy)
