"""What one column of a table is: its kind, and what is known of its values."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gantools.data.tables.spelling import Spelling

Level = str | int | float | bool


class Kind(StrEnum):
    """What a column is to a model."""

    CONTINUOUS = "continuous"
    INTEGER = "integer"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"


NUMERIC_KINDS = (Kind.CONTINUOUS, Kind.INTEGER, Kind.DATETIME)
CATEGORICAL_KINDS = (Kind.CATEGORICAL, Kind.BOOLEAN)


def level_named(levels: Sequence[Level], value: Any) -> int | None:
    """The place of the level that a value is or spells: "yes", "1", "1.0" and "true" all find theirs; None for none."""
    text = str(value)
    for place, level in enumerate(levels):
        if str(level) == text:
            return place
    for place, level in enumerate(levels):
        if isinstance(level, bool):
            if str(level).lower() == text.strip().lower():
                return place
        elif isinstance(level, (int, float)):
            with suppress(ValueError):
                if float(text) == float(level):
                    return place
    return None


_NOTES = {
    "constant": "always the same value; synthetic rows repeat it",
    "missing_everywhere": "has no value at all; synthetic rows leave it empty",
    "present_or_missing": "has a single value, missing in some rows; treated as a category",
    "identifier": "looks like an identifier; not learned, synthetic rows get fresh ones",
    "row_names": "has no name and differs in every row, so it numbers the rows; not learned, synthetic rows get fresh "
    "ones",
    "unnamed": "has no name in the header; it is learned like the others",
    "many_levels": "has {n_distinct} levels; the {n_kept} most frequent are learned, the other {n_pooled} are pooled "
    "and drawn at random",
    "large_integers": "has whole numbers too large to compute with; treated as {kind}",
    "nearly_numbers": "holds numbers but for cells such as {misfits}, so it is treated as text; mend or empty those "
    "cells for numbers",
    "unreadable": "holds values that cannot be learned from ({misfits}); synthetic rows leave it empty",
    "ambiguous_date": "may be dates, but day first or month first cannot be told; treated as text",
}
_NOTED = ("n_distinct", "n_pooled", "kind", "misfits")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    name: as the table has it.
    kind: what it is to a model.
    dtype: the pandas dtype to give back, named as gantools.data.tables.dtypes does.
    missing: share of missing cells, 0 to 1.
    missing_is_none: a missing cell of an object column is None, not NaN.
    n_distinct: distinct values, missing ones apart.
    levels: of a categorical, boolean or constant column, most frequent first; of the target, in ascending order.
    n_pooled: how many rarer levels were pooled.
    pooled: the most frequent of those, at most `inference.MAX_POOLED`.
    categories: those that a pandas categorical declares, None for any other column.
    ordered: whether it declares them ordered.
    categories_dtype: their dtype, "" for any other column.
    low: the smallest number, or whole-number identifier; microseconds for datetimes and lengths of time.
    high: the largest, likewise. Of text identifiers, the last number that "synthetic-" ones among them have.
    decimals: every value is a multiple of 10**-decimals; None when it is of none up to 6, and for datetimes.
    step: every datetime or length of time is a multiple of so many microseconds; None when it is of none of STEPS_US.
    format: how a datetime that came as text is written.
    rule: the named rule that made the column what it is, "" when none did.
    spelling: how a CSV file spelled it, None where it came from elsewhere.
    misfits: some cells of a column of numbers that are none.
    label: the name of a data frame's column that is no text, None for any other.
    """

    name: str
    kind: Kind
    dtype: str
    missing: float = 0.0
    missing_is_none: bool = False
    n_distinct: int = 0
    levels: tuple[Level, ...] = ()
    n_pooled: int = 0
    pooled: tuple[Level, ...] = ()
    categories: tuple[Level, ...] | None = None
    ordered: bool = False
    categories_dtype: str = ""
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    step: int | None = None
    format: str | None = None
    rule: str = ""
    spelling: Spelling | None = None
    misfits: tuple[str, ...] = ()
    label: Level | None = None

    @property
    def note(self) -> str:
        """One sentence for the user about how it was read and the rule that was applied; "" when there is nothing to
        say."""
        said = [self.spelling.note] if self.spelling is not None and self.spelling.note else []
        if self.rule in _NOTES:
            values = {name: getattr(self, name) for name in _NOTED} | {"misfits": ", ".join(map(repr, self.misfits))}
            said.append(_NOTES[self.rule].format(n_kept=len(self.levels), dtype=self.dtype, **values))
        return f"column '{self.name}' {'; '.join(said)}" if said else ""
