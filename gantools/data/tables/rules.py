"""What holds in every row of a table: found in the rows that are learned from, kept in those that are made.

    decides     a category decides another column: the city the country
    sum         a column is the sum of two or three others
    order       one number or moment never lies above another
    one-hot     exactly one of several columns of noughts and ones is one

A rule is found where it holds without an exception and could not well hold by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from gantools.words import listed

if TYPE_CHECKING:
    from gantools.data.tables.raw import Raw
    from gantools.data.tables.schema import Schema

LEAST_ROWS = 100  # in which a rule is looked for
UNLIKELY = 30.0  # rows that would break a rule if its columns had nothing to do with each other, at the least
ROWS_PER_LEVEL = 10  # of a category that decides another column, on average
MOST_NUMBERS = 40  # columns of numbers among which sums and orders are looked for
FIRST_ROWS = 64  # on which most candidates fail

Sort = Literal["decides", "sum", "order", "one-hot"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    columns: the one that decides and the one that is decided; the sum and its parts; the lower and the higher; those of
    which one is one. values: of what is decided, for each level of what decides, in the order of the levels: a number,
    or the place of a level.
    """

    sort: Sort
    columns: tuple[str, ...]
    values: tuple[float, ...] = ()

    @property
    def sentence(self) -> str:
        """The rule in words."""
        first, *others = self.columns
        if self.sort == "decides":
            return f"column '{first}' decides '{others[0]}'"
        if self.sort == "sum":
            return f"column '{first}' is the sum of {listed(others)}"
        if self.sort == "order":
            return f"column '{first}' is never above '{others[0]}'"
        return f"exactly one of the columns {listed(self.columns)} is one"

    def to_json(self) -> dict[str, Any]:
        return {"sort": self.sort, "columns": list(self.columns), "values": list(self.values)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(document["sort"], tuple(document["columns"]), tuple(map(float, document["values"])))


def find_rules(raw: Raw, schema: Schema) -> tuple[Rule, ...]:
    """The rules that hold in all rows of a table, in an order in which they can be kept one after the other."""
    if len(raw) < LEAST_ROWS:
        return ()
    one_hot = list(_one_hot(raw, schema))
    taken = {name for rule in one_hot for name in rule.columns}
    decides = list(_decisions(raw, schema, taken))
    taken |= {rule.columns[1] for rule in decides}
    sums = list(_sums(raw, schema, taken))
    taken |= {rule.columns[0] for rule in sums}
    return (*one_hot, *decides, *_orders(raw, schema, taken), *sums)


def _one_hot(raw: Raw, schema: Schema) -> Iterator[Rule]:
    """Runs of at least three neighbouring columns, exactly one of which is one in each row."""
    flags = [(column.name, _flags(raw, schema, column.name)) for column in schema.features]
    start = 0
    while start < len(flags):
        total = np.zeros(len(raw))
        for end in range(start, len(flags)):
            part = flags[end][1]
            if part is None:
                break
            total += part
            if total.max() > 1:
                break
            if end - start >= 2 and total.min() == 1:
                yield Rule("one-hot", tuple(name for name, _ in flags[start : end + 1]))
                start = end
                break
        start += 1


def is_one(level: Any) -> bool:
    """Whether a level of two stands for one."""
    return str(level).lower() in ("1", "1.0", "true")


def _flags(raw: Raw, schema: Schema, name: str) -> np.ndarray | None:
    """A column of noughts and ones, or false and true; None for any other."""
    if name in schema.numeric:
        values = raw.numbers[:, schema.numeric.index(name)]
        return values if np.isin(values, (0, 1)).all() else None
    if name not in schema.categorical or len(levels := schema[name].levels) != 2:
        return None
    codes = raw.codes[:, schema.categorical.index(name)]
    ones = [place for place, level in enumerate(levels) if is_one(level)]
    noughts = [level for level in levels if str(level).lower() in ("0", "0.0", "false")]
    return (codes == ones[0]).astype(float) if ones and noughts and (codes >= 0).all() else None


def _decisions(raw: Raw, schema: Schema, taken: set[str]) -> Iterator[Rule]:
    """Which categories decide another column; none is decided twice, nor by one that is decided itself."""
    decided = set(taken)
    for place, name in enumerate(schema.categorical):
        code, n_levels = raw.codes[:, place], len(schema[name].levels)
        if name in decided or schema[name].n_pooled or (code < 0).any() or n_levels * ROWS_PER_LEVEL > len(raw):
            continue
        for other in (*schema.numeric, *schema.categorical):
            if other == name or other in decided:
                continue
            if other in schema.numeric:
                cell = raw.numbers[:, schema.numeric.index(other)]
            elif schema[other].n_pooled:
                continue
            else:
                cell = raw.codes[:, schema.categorical.index(other)].astype(float)
                cell = np.where(cell < 0, np.nan, cell)
            values = _decided(code, cell, n_levels)
            if values is not None:
                decided.add(other)
                yield Rule("decides", (name, other), values)


def _decided(code: np.ndarray, cell: np.ndarray, n_levels: int) -> tuple[float, ...] | None:
    """The cell of each level where it decides them."""
    if np.isnan(cell).any():
        return None
    values = np.zeros(n_levels)
    values[code] = cell
    if (values[code] != cell).any():
        return None
    counts = np.unique(cell, return_counts=True)[1]
    by_chance = len(cell) * (1 - (counts / len(cell)).max())
    return tuple(map(float, values)) if by_chance >= UNLIKELY else None


def _sums(raw: Raw, schema: Schema, taken: set[str]) -> Iterator[Rule]:
    """Columns that are the sum of two or three others; no part of a sum is a sum itself."""
    names = [name for name in schema.numeric[:MOST_NUMBERS] if name not in taken and schema[name].kind != "datetime"]
    x = {name: raw.numbers[:, schema.numeric.index(name)] for name in names}
    x = {name: cells for name, cells in x.items() if not np.isnan(cells).any() and np.ptp(cells) > 0}
    sums: set[str] = set()
    parts: set[str] = set()
    for total in sorted(x, key=lambda name: -np.abs(x[name]).mean()):
        if total in parts:
            continue
        rest = [name for name in x if name != total and name not in sums]
        for k in (2, 3):
            matches = (some for some in _candidates(x, total, rest, k) if _is_sum(x[total], [x[name] for name in some]))
            if (found := next(matches, None)) is not None:
                sums.add(total)
                parts |= set(found)
                yield Rule("sum", (total, *found))
                break


def _candidates(x: Mapping[str, np.ndarray], total: str, rest: Sequence[str], k: int) -> Iterator[tuple[str, ...]]:
    """Sets of k columns whose sum is the total in the first row."""
    places = np.array(list(combinations(range(len(rest)), k)), dtype=np.int64).reshape(-1, k)
    first = np.array([x[name][0] for name in rest])
    off = np.abs(first[places].sum(1) - x[total][0])
    for some in places[off <= 1e-9 * np.abs(x[total]).max()]:
        yield tuple(rest[place] for place in some)


def _is_sum(total: np.ndarray, parts: Sequence[np.ndarray]) -> bool:
    close = 1e-9 * np.abs(total).max()
    first = total[:FIRST_ROWS] - sum(part[:FIRST_ROWS] for part in parts)
    if (np.abs(first) > close).any() or any((part != 0).sum() < UNLIKELY for part in parts):
        return False
    return bool((np.abs(total - sum(parts)) <= close).all())


def _orders(raw: Raw, schema: Schema, taken: set[str]) -> Iterator[Rule]:
    """Pairs of numbers, or of moments, one of which is never above the other, the lowest first."""
    names = [name for name in schema.numeric[:MOST_NUMBERS] if name not in taken]
    x = {name: raw.numbers[:, schema.numeric.index(name)] for name in names}
    order = sorted(names, key=lambda name: np.nanmean(x[name]) if not np.isnan(x[name]).all() else 0.0)
    shuffled = np.random.default_rng(0).permutation(len(raw))
    below: dict[str, set[str]] = {}
    for high_place, high in enumerate(order):
        below[high] = set()
        for low in reversed(order[:high_place]):
            if low in below[high] or (schema[low].kind == "datetime") != (schema[high].kind == "datetime"):
                continue
            with np.errstate(invalid="ignore"):
                if (x[low] > x[high]).any() or (x[low] > x[high][shuffled]).sum() < UNLIKELY:
                    continue
            below[high] |= {low} | below[low]
            yield Rule("order", (low, high))
