"""Numbers that differ from a value that is told apart by less than float32 can hold are this value.

0.1 + 0.2 is not 0.3, and a column may have 0.3 in most rows: such a value owns an interval of probabilities, and a
neighbour of it is as rare as the value is frequent. An exported file takes float32 and cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from gantools.data.tables.raw import Raw
from gantools.data.tables.schema import Column, Kind, Schema

HELD = 1e-5  # share of a column's spread that float32 may move a value by

Floats = npt.NDArray[np.float64]


def float32_holds(values: Floats) -> bool:
    """Whether float32 keeps the values apart that a model tells apart, and moves none of them by more than HELD of
    their spread."""
    distinct = np.unique(values)
    if not len(distinct):
        return True
    with np.errstate(over="ignore"):
        short = distinct.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(np.std(values)) or max(1.0, float(np.abs(distinct).max()))
    moved = np.abs(short.astype(np.float64) - distinct).max()
    return bool(np.isfinite(short).all() and (np.diff(short) > 0).all() and moved <= HELD * spread)


def told_apart(raw: Raw, schema: Schema, values: Mapping[str, Floats]) -> Raw:
    """The rows, with each number that has the float32 of one of its column's values in place of that value.

    values: per number column those that the model tells apart, ascending; nothing of a column of which it tells none
    apart. Whole numbers of an integer type, dates and columns whose values float32 does not hold are left as they are.
    """
    numbers = raw.numbers
    for j, name in enumerate(schema.numeric):
        known = values.get(name, np.empty(0))
        if _is_exact(schema[name]) or not len(known) or not float32_holds(known):
            continue
        short = known.astype(np.float32)
        with np.errstate(over="ignore"):
            given = numbers[:, j].astype(np.float32)
        place = np.searchsorted(short, given).clip(max=len(short) - 1)
        moved = (short[place] == given) & (known[place] != numbers[:, j])
        if moved.any():
            numbers = numbers.copy(order="F") if numbers is raw.numbers else numbers
            numbers[moved, j] = known[place[moved]]
    return raw if numbers is raw.numbers else Raw(numbers, raw.codes)


def _is_exact(column: Column) -> bool:
    is_length = "timedelta" in column.dtype or "duration" in column.dtype
    is_whole = column.kind is Kind.INTEGER and not any(word in column.dtype.lower() for word in ("float", "double"))
    return column.kind is Kind.DATETIME or is_length or (is_whole and "decimal" not in column.dtype)
