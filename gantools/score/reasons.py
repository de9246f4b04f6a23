"""Why a row is abnormal, in words: its cells against what is usual and against the rows most like it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from gantools.data.tables.formatting import format_apart, format_cell, format_value
from gantools.data.tables.raw import MISSING, UNSEEN, Raw
from gantools.data.tables.schema import Column, Schema
from gantools.score.borrowing import GroupUnits, groups_of

USUAL = (0.01, 0.99)  # quantiles that bound what is usual in all rows
MOSTLY = (0.2, 0.8)  # quantiles that bound what most rows like it have
NAMED = 2  # columns a reason names at most
WORTH_NAMING = 0.5  # contribution of a further column, against the first one's
MOST_LEVELS = 3  # that a reason says rows like it have
NEVER, SELDOM = "missing where it never is", "missing where it seldom is"
UNUSUAL = "unusual together with the rest"


@dataclass(frozen=True)
class Explanation:
    """contribution: [N, n_columns] float64, numbers first, then categories, adding up to the score. suspects: [N, k]
    int64 columns whose cells were tried. alike: [N, k, ALIKE] int64, for each suspect the remembered rows most like the
    rest of the row, nearest first.
    """

    contribution: npt.NDArray[np.float64]
    suspects: npt.NDArray[np.int64]
    alike: npt.NDArray[np.int64]


def words(
    explanation: Explanation,
    raw: Raw,
    cells: pd.DataFrame,
    schema: Schema,
    remembered: Raw,
    units: GroupUnits | None = None,
) -> list[str]:
    """A sentence per row: "capital_gain 99999 where 0 to 7688 is usual".

    raw, cells: the rows explained, as numbers and as they were given (for levels never seen). units: where rows are in
    groups; the numbers remembered are then in units of all.
    """
    return _Phrases(raw, cells, schema, remembered, units).of(explanation)


def named_first(reasons: Iterable[str], columns: Sequence[str]) -> dict[str, int]:
    """How many reasons blame each column first, the column blamed most often first; those never blamed are left out."""
    longest_first = sorted(columns, key=len, reverse=True)  # "age" and "age at entry" may both be columns
    found = Counter(
        next((name for name in longest_first if reason.startswith(f"{name} ")), None) for reason in reasons if reason
    )
    return {name: n for name, n in found.most_common() if name is not None}


class _Phrases:
    """What is unusual about cells, against the remembered rows."""

    def __init__(
        self, raw: Raw, cells: pd.DataFrame, schema: Schema, remembered: Raw, units: GroupUnits | None
    ) -> None:
        self.units, self.group = units, None if units is None else groups_of(raw, units.n_groups)
        self.raw, self.cells, self.remembered = raw, cells, remembered
        self.columns = [schema[name] for name in (*schema.numeric, *schema.categorical)]
        self.n_numeric = len(schema.numeric)
        self.usual: dict[int, tuple[float, float]] = {}  # of the numeric columns that were named

    def of(self, explanation: Explanation) -> list[str]:
        said = []
        order = np.argsort(-explanation.contribution, axis=1, kind="stable")[:, :NAMED]
        for row, first in enumerate(order):
            share = explanation.contribution[row, first]
            parts = []
            for c in first[(share > 0) & (share >= WORTH_NAMING * share[0])]:
                place = np.flatnonzero(explanation.suspects[row] == c)
                alike = explanation.alike[row, place[0]] if len(place) else explanation.alike[row, 0]
                phrase = self._number if c < self.n_numeric else self._category
                parts.append(f"{self.columns[c].name} {phrase(int(c), row, alike)}")
            said.append("; ".join(parts))
        return said

    def _number(self, c: int, row: int, alike: npt.NDArray[np.int64]) -> str:
        column, value, known = self.columns[c], float(self.raw.numbers[row, c]), self.remembered.numbers[:, c]
        near = self._of_group(known[alike], c, row)
        near = np.sort(near[~np.isnan(near)])
        if np.isnan(value):
            if not np.isnan(known).any():
                return NEVER if not column.missing else SELDOM
            return f"missing where rows like it have {_range(near[0], near[-1], column)}" if len(near) else UNUSUAL
        if c not in self.usual:
            present = np.sort(known[~np.isnan(known)])
            self.usual[c] = _quantiles(present, *USUAL) if len(present) else (np.nan, np.nan)
        low, high = self._of_group(np.array(self.usual[c]), c, row).tolist()
        if np.isnan(low):
            return f"{format_value(value, column)} where it is always missing"
        if not low <= value <= high:
            shown = format_apart(value, low if value < low else high, column)
            return f"{shown} where {_range(low, high, column)} is usual"
        shown = format_value(value, column)
        if not len(near):
            return f"{shown} where rows like it have none"
        if not near[0] <= value <= near[-1]:
            shown = format_apart(value, near[0] if value < near[0] else near[-1], column)
            return f"{shown} where rows like it have {_range(near[0], near[-1], column)}"
        low, high = _quantiles(near, *MOSTLY)
        if not low <= value <= high:
            shown = format_apart(value, low if value < low else high, column)
            return f"{shown} where rows like it mostly have {_range(low, high, column)}"
        return f"{shown} {UNUSUAL}"

    def _of_group(self, values: npt.NDArray[np.float64], c: int, row: int) -> npt.NDArray[np.float64]:
        """Numbers of a column that are remembered, as they are in the row's group."""
        if self.units is None or self.group is None:
            return values
        return self.units.to_group(values, int(self.group[row]), c, self.columns[c])

    def _category(self, c: int, row: int, alike: npt.NDArray[np.int64]) -> str:
        column, c = self.columns[c], c - self.n_numeric
        known, value = self.remembered.codes[:, c], self.raw.codes[row, c]
        given = format_cell(self.cells[column.name].iloc[row]) if value != MISSING else "missing"
        if value == UNSEEN:
            return f"{given}, which was never seen"
        if value == MISSING and not (known == MISSING).any():
            return NEVER if not column.missing else SELDOM
        if value == len(column.levels):
            given = f"{given} (rare)"
        found, count = np.unique(known[alike], return_counts=True)
        others = [code for code in found[np.argsort(-count, kind="stable")] if code != value][:MOST_LEVELS]
        if not others:
            return f"{given} {UNUSUAL}"
        return f"{given} where rows like it have " + " or ".join(_level(column, int(code)) for code in others)


def _level(column: Column, code: int) -> str:
    if code == MISSING:
        return "none"
    return format_cell(column.levels[code]) if code < len(column.levels) else "another rare one"


def _quantiles(ordered: npt.NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    """Values of the column that bound these shares, outwards."""
    last = len(ordered) - 1
    return float(ordered[int(np.floor(low * last))]), float(ordered[int(np.ceil(high * last))])


def _range(low: float, high: float, column: Column) -> str:
    first, last = format_value(low, column), format_value(high, column)
    return first if first == last else f"{first} to {last}"
