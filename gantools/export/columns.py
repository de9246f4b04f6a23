"""What each raw column of a table is in an exported graph: a named tensor [N] of float32, float64, int64 or text.

    whole numbers   int64 where the table had an integer dtype; what is missing is the smallest int64
    dates, lengths  int64 microseconds (dates since 1970-01-01 UTC), as numpy's datetime64[us] holds them; NaT is the
                    smallest int64, which means missing here too
    other numbers   float32, missing is NaN; float64 where float32 would make one of two values that the model tells
                    apart, or move a value noticeably against the column's spread
    truths          int64, 0 or 1
    text            string, missing is ""; where "" is itself a level of the column, another mark

A generator's numbers are float64, for that is what their column holds; otherwise outputs are as inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.dtypes import dtype_of
from gantools.data.tables.raw import MISSING, UNSEEN, Raw
from gantools.data.tables.schema import NUMERIC_KINDS, Column, Kind, Schema
from gantools.errors import DataError
from gantools.score.spikes import float32_holds

Type = Literal["float32", "float64", "int64", "string"]
MISSING_INT = -(2**63)
MAX_INT = 2**63 - 1
MISSING_TEXT = "<missing>"  # where "" is a level
WHOLE_LIMIT = 2.0**63  # the largest whole number of int64, as float64 has it
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Port:
    """A column as an input or output of a graph.

    name: of the column. type: of the tensor. levels: of a category, in the order of its codes, as the tensor holds
    them; none of a column of text. unseen: the code of a level that is not among them. has_missing: whether a missing
    cell can be told. unit: "microseconds since 1970-01-01 UTC", "microseconds" or "". has_missing is False in files of
    older versions alone, where "" is a level, and of descriptions, which have no missing cells.
    """

    name: str
    type: Type
    levels: tuple[Any, ...] | None = None
    unseen: int = UNSEEN
    has_missing: bool = True
    unit: str = ""

    @property
    def is_number(self) -> bool:
        return self.levels is None

    @property
    def is_text(self) -> bool:
        """Whether the cells are text of any kind, and not levels."""
        return self.levels == ()

    @property
    def missing(self) -> Any:
        """What a missing cell is in the tensor."""
        if self.type == "string":
            return _apart("", self.levels or (), MISSING_TEXT)
        return MISSING_INT if self.type == "int64" else float("nan")

    def to_json(self) -> dict[str, Any]:
        missing = None if not self.has_missing else "NaN" if self.type.startswith("float") else self.missing
        return {**asdict(self), "missing": missing}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Port:
        values = {name: document[name] for name in ("name", "type", "unseen", "has_missing", "unit")}
        levels = document["levels"]
        return cls(**values, levels=None if levels is None else tuple(levels))


def input_ports(schema: Schema, values: Mapping[str, npt.NDArray[np.float64] | None] | None = None) -> list[Port]:
    """The inputs of a scorer or classifier: numbers first, then categories, in the order of `Raw`.

    values: per number column, values that the model tells apart, ascending; None where it tells apart what float64
    does.
    """
    numbers = [_number(schema[name], None if values is None else values[name]) for name in schema.numeric]
    return numbers + [_category(schema[name]) for name in schema.categorical]


def output_ports(schema: Schema) -> list[Port]:
    """The outputs of a generator, in the schema's order; identifiers and columns without a value are left out."""
    found = []
    for column in schema.columns:
        if column.kind in NUMERIC_KINDS:
            port = _number(column, None)
            found.append(Port(port.name, "int64" if port.type == "int64" else "float64", unit=port.unit))
        elif column.kind is Kind.CONSTANT:
            if column.low is None and column.levels:
                found.append(_category(column))
        elif column.kind is not Kind.IDENTIFIER:
            found.append(_category(column, column.levels + column.pooled))
    return found


def label_port(column: Column) -> Port:
    """The label as an input of a generator."""
    return _category(column)


def _number(column: Column, values: npt.NDArray[np.float64] | None) -> Port:
    if column.kind is Kind.DATETIME:
        return Port(column.name, "int64", unit="microseconds since 1970-01-01 UTC")
    if "timedelta" in column.dtype or "duration" in column.dtype:
        return Port(column.name, "int64", unit="microseconds")
    ends = [abs(end) for end in (column.low, column.high) if end is not None]
    if column.kind is Kind.INTEGER and _is_integer(column.dtype) and max(ends, default=0.0) < WHOLE_LIMIT:
        return Port(column.name, "int64")
    return Port(column.name, "float32" if values is not None and float32_holds(values) else "float64")


def _is_integer(dtype: str) -> bool:
    if dtype in ("date", "decimal"):
        return False
    return bool(pd.api.types.is_integer_dtype(dtype_of(dtype)))


def _category(column: Column, levels: Sequence[Any] | None = None) -> Port:
    given = column.levels if levels is None else tuple(levels)
    unseen = len(column.levels) if column.n_pooled else UNSEEN
    if given and all(isinstance(level, bool) for level in given):
        return Port(column.name, "int64", tuple(int(level) for level in given), unseen)
    if given and all(isinstance(level, int) and abs(level) < 2**63 for level in given):
        return Port(column.name, "int64", given, unseen)
    if given and all(isinstance(level, int | float) for level in given):
        exact = tuple(float(level) for level in given)
        held = len({float(np.float32(level)) for level in exact}) == len(exact)
        return Port(column.name, "float32" if held else "float64", exact, unseen)
    return Port(column.name, "string", tuple(str(level) for level in given), unseen)


# --- between raw matrices and the tensors of a graph ---


def to_feed(raw: Raw, frame: pd.DataFrame, ports: Sequence[Port]) -> dict[str, npt.NDArray[Any]]:
    """The tensors that stand for rows, by column. frame: the same rows as they came, for levels never seen.

    Numbers beyond float32 become its largest one, for which the library takes them, too. Raises DataError for what the
    tensor of a column cannot hold.
    """
    numbers = [port for port in ports if port.is_number]
    feed: dict[str, npt.NDArray[Any]] = {}
    for index, port in enumerate(numbers):
        feed[port.name] = _number_cells(raw.numbers[:, index], port)
    for index, port in enumerate(port for port in ports if not port.is_number):
        feed[port.name] = _level_cells(raw.codes[:, index], port, frame[port.name])
    return feed


def in_chunks(feed: Mapping[str, npt.NDArray[Any]], n_rows: int, size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """The tensors of rows, so many rows at a time."""
    for start in range(0, n_rows, size):
        yield {name: cells[start : start + size] for name, cells in feed.items()}


def _number_cells(values: npt.NDArray[np.float64], port: Port) -> npt.NDArray[Any]:
    if port.type == "float64":
        return values
    if port.type == "float32":
        return values.clip(-FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
    missing = np.isnan(values)
    whole = np.rint(np.where(missing, 0, values))
    fits = np.abs(whole) <= WHOLE_LIMIT
    if not port.unit:
        fits &= missing | (whole == values)
    if not fits.all():
        problem = f"has {values[~fits][0]:.17g}, and the exported file takes whole numbers of 64 bits there"
        raise DataError(problem, where=f"column '{port.name}'", remedy="score with the saved model, or round it")
    is_end = np.abs(whole) == WHOLE_LIMIT
    ends = np.where(whole < 0, -MAX_INT, MAX_INT)  # which become the limit again as float64
    return np.where(missing, MISSING_INT, np.where(is_end, ends, np.where(is_end, 0, whole).astype(np.int64)))


def _level_cells(codes: npt.NDArray[np.int64], port: Port, cells: pd.Series) -> npt.NDArray[Any]:
    levels = cast("tuple[Any, ...]", port.levels)
    if not port.has_missing and (codes == MISSING).any():
        problem = "has a missing cell, which this exported file would take for the empty text"
        raise DataError(problem, where=f"column '{port.name}'", remedy="export the saved model again")
    dtype: Any = object if port.type == "string" else port.type
    table = np.empty(len(levels) + 1, dtype=dtype)
    table[: len(levels)] = levels
    table[-1] = port.missing
    known = (codes >= 0) & (codes < len(levels))
    out = table[np.where(known, codes, len(levels))]
    other = np.flatnonzero(~known & (codes != MISSING))
    if len(other):
        out[other] = [_as_given(cell, port) for cell in cells.iloc[other]]
    return out


def _as_given(cell: Any, port: Port) -> Any:
    """A level that the model has not seen, in the tensor's type, told from all levels and from a missing cell."""
    levels = cast("tuple[Any, ...]", port.levels)
    if port.type != "string":
        return unlike(levels)
    text = str(cell).encode("utf-8", "replace").decode()  # Python's text may hold what UTF-8 does not
    return _apart(text, (*levels, port.missing))


def unlike(levels: Sequence[float]) -> int:
    """The first whole number that is none of these levels, in float32 either."""
    near = {float(np.float32(level)) for level in levels if abs(level) <= len(levels) + 1}
    return next(number for number in range(len(near) + 1) if number not in near)


def _apart(text: str, taken: Sequence[str], instead: str | None = None) -> str:
    """The text, or `instead`, with as many question marks as tell it from those that are taken."""
    if text in taken and instead is not None:
        text = instead
    while text in taken:
        text += "?"
    return text


def to_cells(values: npt.NDArray[Any], port: Port, column: Column) -> pd.Series:
    """An output of a graph as a column that `to_raw` reads: numbers, points in time, or levels."""
    if port.type == "int64" and port.is_number:
        missing = values == MISSING_INT
        if port.unit:
            return pd.Series(values.view("datetime64[us]" if column.kind is Kind.DATETIME else "timedelta64[us]"))
        return pd.Series(np.where(missing, np.nan, values))
    if port.is_number:
        return pd.Series(values)
    place = {level: index for index, level in enumerate(cast("tuple[Any, ...]", port.levels))}
    return pd.Series([place.get(value, MISSING) for value in values.tolist()], dtype=np.int64)
