"""A CSV file, read in blocks of rows: as the file spells them, as Arrow columns of text, and as typed frames.

What the columns are is decided by a first pass over the whole file, which also finds every row that cannot be read
before any work is done. Every block is then converted alike.
"""

from __future__ import annotations

import codecs
import contextlib
import copy
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gantools.data.tables.dialect import (
    MAX_CELL_BYTES,
    Dialect,
    csv_encodings,
    csv_head,
    csv_layout,
    decompressed,
    named,
    too_large,
)
from gantools.data.tables.spelling import Known, Spelling, Survey, Types
from gantools.errors import DataError

_READ_CHARS = 2**22
_UNCLOSED = "unexpected end of data"  # what Python's reader says, when strict, of a quote that is never closed


class CsvFile:
    """The rows of a CSV file, as they are spelled and as text.

    names: of the columns. header: the names as the file spells them, known once its rows are being read. Empty cells
    that all rows have behind the columns are cut off from these and from the header.
    """

    def __init__(self, path: Path, compression: str, encoding: str) -> None:
        self.path, self.compression, self.encoding = path, compression, encoding
        head = csv_head(path, compression)
        self.layout = csv_layout(head, encoding, str(path))
        self.names, self.delimiter = self.layout.names, self.layout.delimiter
        self.header = ""

    def records(self) -> Iterator[list[str]]:
        """The rows below the header as the file spells them, without line ends, some megabytes at a time.

        Raises UnicodeDecodeError when the file is not written in its encoding, DataError where it is no table.
        """
        is_first = True
        with self._text() as text:
            rest, is_last = "", False
            while not is_last:
                piece = text.read(_READ_CHARS)
                is_last = len(piece) < _READ_CHARS
                records, rest = self._split(rest + piece, is_last)
                if len(rest) > MAX_CELL_BYTES:
                    raise too_large(str(self.path))
                if records and is_first:
                    if self.layout.preamble:
                        records.pop(0)
                    self._take_header(records.pop(0))
                    is_first = False
                if self.layout.n_behind:
                    records = [self._cut(record, self.layout.n_behind) for record in records]
                if records:
                    yield records

    def cells(self, records: list[str]) -> pa.Table:
        """The cells of some rows as text, null where empty. Raises DataError for a row that cannot be read."""
        content = ("\n".join(records) + "\n").encode()
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(content),
                pa.csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=self.names),
                pa.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._broken_row() or DataError(f"is not a table ({error})", where=str(self.path)) from error
        if len(table) != len(records):
            problem, remedy = "has quotes that can be read in two ways", "quote its cells plainly"
            raise self._broken_row() or DataError(problem, where=str(self.path), remedy=remedy)
        if any((pc.max(pc.binary_length(cells)).as_py() or 0) > MAX_CELL_BYTES for cells in table.columns):
            raise too_large(str(self.path))
        return table

    @contextlib.contextmanager
    def _text(self, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
        with (
            decompressed(self.path, self.compression) as file,
            io.TextIOWrapper(file, self.encoding, errors, newline="") as text,
        ):
            yield text

    def _split(self, text: str, is_last: bool) -> tuple[list[str], str]:
        """The whole rows in `text`, and what is left behind them: the last row, which may go on."""
        end = len(text) if is_last else 1 + max(text.rfind("\n", 0, -1), text.rfind("\r", 0, -1))
        whole, rest = text[:end], text[end:]
        if '"' not in whole:  # each line is a row
            lines = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            return [line for line in lines if line], rest
        lines = io.StringIO(whole, newline="").readlines()
        records, start, last = [], 0, 0
        try:
            with _long_fields():
                rows = csv.reader(lines, delimiter=self.delimiter)
                for row in rows:
                    if row:
                        records.append("".join(lines[start : rows.line_num]).rstrip("\r\n"))
                        last = start
                    start = rows.line_num
        except csv.Error as error:
            raise self._broken_row() or DataError(f"is not a table ({error})", where=str(self.path)) from error
        if not is_last:
            return records[:-1], "".join(lines[last:]) + rest
        if records and self._is_unclosed(records[-1]) and (broken := self._broken_row()):
            raise broken  # the quote swallowed the rest of the file
        return records, rest

    def _is_unclosed(self, record: str) -> bool:
        try:
            with _long_fields():
                list(csv.reader([record], delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            return _UNCLOSED in str(error)
        return False

    def _take_header(self, header: str) -> None:
        names = next(csv.reader([header], delimiter=self.delimiter))
        n_behind = len(names) - len(self.names)
        if n_behind < 0 or named(names[: len(self.names)]) != self.names:
            problem = "has a header that cannot be read"
            raise DataError(problem, where=str(self.path), remedy="quote its names plainly")
        self.header = self._cut(header, n_behind)

    def _cut(self, record: str, n_cells: int) -> str:
        """A row as the file spells it without its last cells, which are empty. Raises DataError where they are not."""
        for _ in range(n_cells):
            left = record.rstrip(" ").removesuffix('""').rstrip(" ")
            if not left.endswith(self.delimiter):
                problem, remedy = "has rows that do not end in a delimiter like the others", "mend them"
                raise self._broken_row() or DataError(problem, where=str(self.path), remedy=remedy)
            record = left.removesuffix(self.delimiter)
        return record

    def _broken_row(self) -> DataError | None:
        """The error for the first row that is not as wide as the others, or whose quote is never closed."""
        n_names, n_behind, line = len(self.names), self.layout.n_behind, 1
        n_before = 2 if self.layout.preamble else 1  # lines that are no rows
        with self._text("replace") as text, _long_fields():
            rows = csv.reader(text, delimiter=self.delimiter, strict=True)
            try:
                for row in rows:
                    if row and n_before:
                        n_before -= 1
                    elif row and (len(row) != n_names + n_behind or any(cell.strip(" ") for cell in row[n_names:])):
                        fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                        names = f"{n_names}, with a delimiter behind them" if n_behind else f"{n_names}"
                        problem = f"line {line} has {fields} where the header names {names}"
                        remedy = "mend the line, or quote cells that contain the delimiter"
                        return DataError(problem, where=str(self.path), remedy=remedy)
                    line = rows.line_num + 1
            except csv.Error as error:
                if _UNCLOSED in str(error):
                    problem = f"a quote opened in line {line} is never closed"
                    return DataError(problem, where=str(self.path), remedy="close it")
        return None


class CsvTable:
    """The table in a CSV file, or one part of a table that is in several.

    path: of the file. n_rows: rows below the header. row_bytes: mean length of a row in characters. header: the names
    as the file spells them. dialect: known once `decide` was called.
    """

    dialect: Dialect

    def __init__(
        self, file: CsvFile, survey: Survey, keep: bool, progress: Callable[[int], None] | None, n_before: int = 0
    ) -> None:
        """survey: of the table, which looks at all cells. keep: hold them for `cells`, and find how many digits numbers
        have. progress: called with the number of rows seen. n_before: of them, in parts before this one. Raises as
        `CsvFile.records` does."""
        self._file, self.path = file, file.path
        self.names = file.names
        self.n_rows, n_chars, kept = 0, 0, []
        for records in file.records():
            cells = file.cells(records)
            survey.look(cells)
            if keep:
                kept.append(cells)
            self.n_rows += len(records)
            n_chars += sum(map(len, records))
            if progress is not None:
                progress(n_before + self.n_rows)
        self.header = file.header
        self.row_bytes = max(1.0, n_chars / max(1, self.n_rows))
        self._kept = self._together(kept) if keep else None

    def decide(self, types: Types, columns: Mapping[str, Spelling]) -> None:
        """Take what the columns of the table are. columns: those of `types`, or with the digits that numbers have."""
        file, self._types = self._file, types
        self.dialect = Dialect(
            kind="csv",
            delimiter=file.delimiter,
            encoding=file.encoding,
            decimal=self._types.decimal,
            compression=file.compression,
            truths=self._types.truths,
            newline=file.layout.newline,
            columns=columns,
            preamble=file.layout.preamble,
            notes=file.layout.notes,
        )

    def cells(self) -> pa.Table:
        """All rows as text."""
        if self._kept is not None:
            return self._kept
        return self._together(map(self._file.cells, self._file.records()))

    def _together(self, blocks: Iterable[pa.Table]) -> pa.Table:
        return pa.concat_tables([pa.table({name: pa.array([], pa.string()) for name in self.names}), *blocks])

    def typed(self, cells: pa.Table) -> pd.DataFrame:
        """Rows, as `cells` gives them, in their dtypes."""
        return self._types.convert(cells)

    def check_alike(self, theirs: CsvFile) -> None:
        """Refuse another part of the table that has other columns or another delimiter. Raises DataError naming it."""
        mine = self._file
        where, remedy = str(theirs.path), "give parts of one table"
        if mine.names != theirs.names:
            lacking = [name for name in mine.names if name not in theirs.names]
            further = [name for name in theirs.names if name not in mine.names]
            said = f"lacks the column {lacking[0]!r}" if lacking else "has its columns in another order"
            said = f"has a column {further[0]!r}" if further and not lacking else said
            raise DataError(f"{said}, unlike {self.path.name}", where=where, remedy=remedy)
        if mine.layout.delimiter != theirs.layout.delimiter or mine.layout.n_behind != theirs.layout.n_behind:
            problem = f"is delimited otherwise than {self.path.name}"
            raise DataError(problem, where=where, remedy="write all parts alike")

    def parts(self, rows: int) -> Iterator[list[str]]:
        """At most so many rows at a time, as the file spells them."""
        for records in self._file.records():
            yield from (records[start : start + rows] for start in range(0, len(records), rows))

    def pick(self, part: list[str], rows: npt.NDArray[np.int64]) -> list[str]:
        """Some of the rows of a part."""
        return [part[row] for row in rows.tolist()]

    def frame(self, parts: Sequence[list[str]]) -> pd.DataFrame:
        """The rows of some parts."""
        return self._types.convert(pa.concat_tables(map(self._file.cells, parts)))

    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow types, with what pandas needs to give back its own."""
        empty = self._types.convert(pa.table({name: pa.array([], pa.string()) for name in self.names}))
        schema = pa.Schema.from_pandas(empty, preserve_index=False)
        for index, name in enumerate(self.names):
            if self._types.columns[name].dtype == "text":
                schema = schema.set(index, pa.field(name, pa.string()))
        return schema


def open_csv(
    paths: Sequence[tuple[Path, str]],
    known: Mapping[str, Known],
    keep: bool,
    progress: Callable[[int], None] | None,
) -> list[CsvTable]:
    """The parts of the table in some CSV files, each in the first encoding that holds to its end.

    paths: of the files, and their compression. known: what is known of columns before. keep, progress: as for
    `CsvTable`. Raises DataError for parts that do not belong together, and where none has rows.
    """
    tables: list[CsvTable] = []
    survey: Survey | None = None
    for path, compression in paths:
        for encoding in csv_encodings(csv_head(path, compression), str(path)):
            try:
                file = CsvFile(path, compression, encoding)
                if survey is None or not tables:
                    survey = Survey(file.names, file.delimiter, known)
                else:
                    tables[0].check_alike(file)
                looked = copy.deepcopy(survey) if len(paths) > 1 else survey
                table = CsvTable(file, looked, keep, progress, sum(one.n_rows for one in tables))
            except UnicodeDecodeError:
                continue
            survey = looked
            break
        else:
            raise AssertionError("the last encoding holds every byte")
        tables.append(table)
    if not any(one.n_rows for one in tables):
        problem, remedy = "has a header and no rows", "give a table with rows"
        raise DataError(problem, where=str(paths[0][0]), remedy=remedy)
    assert survey is not None
    types = survey.types()
    columns = types.with_places(pa.concat_tables([one.cells() for one in tables])) if keep else types.columns
    for table in tables:
        table.decide(types, columns)
    return tables


def csv_names(path: Path, compression: str) -> list[str]:
    """The names of the columns, from the beginning of the file alone. Raises DataError as `csv_layout` does."""
    head = csv_head(path, compression)
    *likely, last = csv_encodings(head, str(path))
    for encoding in likely:
        with contextlib.suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder(encoding)().decode(head)  # the last character may be cut
            return csv_layout(head, encoding, str(path)).names
    return csv_layout(head, last, str(path)).names


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """Inside the block, Python's reader takes cells as long as a table may have."""
    limit = csv.field_size_limit(2 * MAX_CELL_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
