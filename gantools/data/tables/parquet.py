"""A Parquet file, read in record batches whose dtypes are those of the whole file.

Arrow's types decide, and whether a column has missing cells anywhere. A dictionary column (a pandas category) has the
categories of its batch; of the whole table when that is read.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from gantools.address import address_of
from gantools.data.tables.dialect import MAX_CELL_BYTES, Dialect, check_names, too_large
from gantools.errors import DataError

_BATCH_ROWS = 2**16


class ParquetTable:
    """The table in a Parquet file.

    path: of the file. names: of the columns; an index that has a name is one. row_bytes: mean size of a row,
    uncompressed. with_missing: columns of whole numbers or truths, which pandas has other dtypes for where a cell is
    missing.
    """

    header = ""  # only a CSV file has one

    def __init__(self, path: Path, *, may_be_empty: bool = False) -> None:
        """may_be_empty: take a file without rows. Raises DataError when the file is no table, or not a whole one."""
        self.path, self._widened = path, list[pa.Field]()
        with self._opened() as file:
            metadata = file.metadata
            _refuse_large_cells(metadata, str(path))
            self._schema: pa.Schema = file.schema_arrow
            self.names = [name for name in self._schema.names if not re.fullmatch(r"__index_level_\d+__", name)]
            check_names(self.names, str(path))
            self.n_rows: int = metadata.num_rows
            if not self.n_rows and not may_be_empty:
                raise DataError("has no rows", where=str(path), remedy="give a table with rows")
            self.dialect = Dialect(kind="parquet", compression=_codec(metadata))
            self.dialect = replace(self.dialect, arrow=arrow_text(self.arrow_schema()))
            self.with_missing = [name for name in self.names if self._has_missing(file, name)]
        groups = range(metadata.num_row_groups)
        n_bytes = sum(metadata.row_group(group).total_byte_size for group in groups)
        self.row_bytes = max(1.0, n_bytes / max(1, self.n_rows))

    def cells(self) -> pa.Table:
        """All rows as Arrow has them, an index of pandas included."""
        with self._opened() as file:
            return self._in_types(file.read())

    def typed(self, cells: pa.Table) -> pd.DataFrame:
        """Rows, as `cells` gives them, in their dtypes."""
        return self._frame(cells)

    def take_types(self, schema: pa.Schema) -> None:
        """Read columns in the types of `schema`, which may be wider ones: those of a table of which this is a part."""
        for field in schema:
            place = self._schema.get_field_index(field.name)
            if self._schema.field(place).type != field.type:
                self._schema = self._schema.set(place, field)
                self._widened = [*self._widened, field]

    def _in_types(self, table: pa.Table) -> pa.Table:
        for field in self._widened:
            place = table.schema.get_field_index(field.name)
            table = table.set_column(place, field, table.column(place).cast(field.type))
        return table

    def table(self) -> pa.Table:
        """All rows, as the file has them."""
        with self._opened() as file:
            return file.read(columns=self.names).select(self.names)

    def parts(self, rows: int) -> Iterator[pa.Table]:
        """At most so many rows at a time, as the file has them."""
        with self._opened() as file:
            for batch in file.iter_batches(rows, use_threads=False):
                if len(batch):
                    yield self._in_types(pa.Table.from_batches([batch]))

    def pick(self, part: pa.Table, rows: npt.NDArray[np.int64]) -> pa.Table:
        """Some of the rows of a part."""
        return part if len(rows) == len(part) else part.take(pa.array(rows))

    def frame(self, parts: Sequence[pa.Table]) -> pd.DataFrame:
        """The rows of some parts."""
        return self._frame(parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries())

    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow types, with what pandas needs to give back its own."""
        return with_columns(self._schema, self.names)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        """The file, read through small buffers: a column of a row group may be larger than memory."""
        address = address_of(self.path)
        with (
            self._errors(),
            self.path.open("rb") if address is None else address.opened() as source,
            pq.ParquetFile(source, buffer_size=2**20, pre_buffer=False) as file,
        ):
            yield file

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever Arrow and pandas raise for the file within the block, as a DataError."""
        try:
            yield
        except (DataError, OSError, MemoryError):
            raise
        except pa.ArrowException as error:
            problem = f"is not a whole Parquet file ({error})"
            raise DataError(problem, where=str(self.path), remedy="write it again") from error
        except Exception as error:  # damaged metadata of pandas, zones and dates that it does not know
            problem = f"has metadata or values that cannot be used ({type(error).__name__}: {error})"
            raise DataError(problem, where=str(self.path), remedy="write it again, with plain values") from error

    def _has_missing(self, file: pq.ParquetFile, name: str) -> bool:
        """Whether a column of whole numbers or truths, which pandas has other dtypes for then, lacks a cell."""
        kind = self._schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            return False
        metadata = file.metadata
        index = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == name)
        known = [metadata.row_group(group).column(index).statistics for group in range(metadata.num_row_groups)]
        if all(found is not None and found.has_null_count for found in known):
            return any(found.null_count for found in known)
        batches = file.iter_batches(_BATCH_ROWS, columns=[name], use_threads=False)
        return any(batch.column(0).null_count for batch in batches)

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        """Some rows in the dtypes that pandas wrote them with, else in those that it has for the whole column."""
        with self._errors():
            frame: pd.DataFrame = table.to_pandas()
        if not isinstance(frame.index, pd.RangeIndex):
            is_named = any(name in self.names for name in frame.index.names)
            frame = frame.reset_index(drop=not is_named)
        frame = frame[self.names]
        for name in self.with_missing:
            dtype = frame[name].dtype
            kind = self._schema.field(name).type
            if pa.types.is_boolean(kind) and isinstance(dtype, np.dtype):
                frame[name] = frame[name].astype(object)
            elif pa.types.is_integer(kind) and isinstance(dtype, np.dtype):  # floating point would not hold all of them
                whole = pd.arrays.IntegerArray(*_values_and_mask(table.column(name)))
                frame[name] = pd.Series(whole, index=frame.index)
        return frame


def common_types(tables: Sequence[ParquetTable]) -> pa.Schema:
    """The types of the columns in all parts of a table: whole numbers in one part and fractions in another are
    fractions. Raises DataError naming the first part that has other columns, or types that nothing holds together."""
    first, *others = tables
    schema = first.arrow_schema().remove_metadata()
    for other in others:
        theirs = other.arrow_schema().remove_metadata()
        lacking = [name for name in schema.names if name not in theirs.names]
        further = [name for name in theirs.names if name not in schema.names]
        said = f"lacks the column '{lacking[0]}'" if lacking else f"has a column '{further[0]}'" if further else ""
        if said:
            remedy = "give parts of one table"
            raise DataError(f"{said}, unlike {first.path.name}", where=str(other.path), remedy=remedy)
        for name in schema.names:
            pair = schema.field(name), theirs.field(name)
            try:
                both = pa.unify_schemas([pa.schema([field]) for field in pair], promote_options="permissive")
            except pa.ArrowException as error:
                problem = f"has column '{name}' as {pair[1].type}, and the parts before it as {pair[0].type}"
                raise DataError(problem, where=str(other.path), remedy="give parts of one table") from error
            schema = schema.set(schema.get_field_index(name), both.field(0))
    return schema


def with_columns(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """A schema with these of its columns alone, in what pandas needs to give back its own too."""
    metadata = dict(schema.metadata or {})
    if b"pandas" in metadata:
        known = json.loads(metadata[b"pandas"])
        known["index_columns"] = []
        known["columns"] = [entry for entry in known["columns"] if entry["field_name"] in names]
        metadata[b"pandas"] = json.dumps(known).encode()
    return pa.schema([schema.field(name) for name in names], metadata)


def arrow_text(schema: pa.Schema) -> str:
    """An Arrow schema as text; `arrow_of` gives it back."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def arrow_of(text: str) -> pa.Schema:
    """The schema that `arrow_text` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def _values_and_mask(cells: pa.ChunkedArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    mask = pc.is_null(cells).to_numpy()
    return pc.fill_null(cells, pa.scalar(0, cells.type)).to_numpy().copy(), mask.copy()


def _refuse_large_cells(metadata: pq.FileMetaData, where: str) -> None:
    """Refuse, before any is read, a column whose cells take more than a MiB each on average."""
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(index)
            if chunk.total_uncompressed_size > max(MAX_CELL_BYTES, chunk.num_values * 2**20):
                raise too_large(where, chunk.path_in_schema)


def _codec(metadata: pq.FileMetaData) -> str:
    if not metadata.num_row_groups or not metadata.num_columns:
        return "snappy"
    found = str(metadata.row_group(0).column(0).compression).lower()
    return "" if found == "uncompressed" else found
