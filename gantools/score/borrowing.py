"""What is known of groups without torch: the units of each, and which borrow from all.

Numbers are moved and stretched from what is normal in their group to what is normal in all; `groups` learns how.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gantools.data.tables.raw import Raw
from gantools.data.tables.schema import Column, Kind

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

FEW_ROWS = 32  # of a group, below which rows of all groups are remembered beside its own
BORROWS = "borrows"  # the column that says of each row whether its group does


def groups_of(raw: Raw, n_groups: int) -> Counts:
    """The group of each row [N], which its last code says; n_groups for one that was not learned."""
    codes = raw.codes[:, -1]
    found: Counts = np.where((codes >= 0) & (codes < n_groups), codes, n_groups)
    return found


def borrows(raw: Raw, counts: Counts) -> npt.NDArray[np.bool_]:
    """Of each row [N], whether its group is small or was not learned, so that what is normal in all groups counts as
    well. counts: [G], rows that were learned from of each group."""
    found: npt.NDArray[np.bool_] = np.append(counts, 0)[groups_of(raw, len(counts))] < FEW_ROWS
    return found


@dataclass(frozen=True, eq=False)
class GroupUnits:
    """How numbers of each group are counted in units of all.

    centre, spread: [G + 1, C], of each group and column, the last of a group that was not learned. of_all: [2, C], the
    same of all. A column that is left alone has equal ones throughout. counts: [G], rows of each group.
    """

    centre: Floats
    spread: Floats
    of_all: Floats
    counts: Counts

    @property
    def n_groups(self) -> int:
        return len(self.counts)

    @property
    def is_alone(self) -> npt.NDArray[np.bool_]:
        """[C], the columns that are left alone."""
        found: npt.NDArray[np.bool_] = (self.centre == self.of_all[0]).all(0) & (self.spread == self.of_all[1]).all(0)
        return found

    def learned_from(self, others: GroupUnits) -> GroupUnits:
        """The same units of all, with the centres and spreads that others, of fewer rows, have found."""
        kept = self.is_alone | others.is_alone
        centre, spread = np.where(kept, self.centre, others.centre), np.where(kept, self.spread, others.spread)
        return GroupUnits(centre, spread, self.of_all, self.counts)

    def to_all(self, raw: Raw) -> Raw:
        """The rows, with numbers in units of all."""
        group = groups_of(raw, self.n_groups)
        moved = np.flatnonzero(~self.is_alone)
        if not len(moved):
            return raw
        numbers = raw.numbers.copy(order="F")
        for j in moved.tolist():
            middle, width = self.of_all[:, j]
            numbers[:, j] = (numbers[:, j] - self.centre[group, j]) / self.spread[group, j] * width + middle
        return Raw(numbers, raw.codes)

    def to_group(self, values: Floats, group: int, j: int, column: Column) -> Floats:
        """Numbers of column j, in units of all, as they are in the group, and as finely as the column has them."""
        if self.is_alone[j]:
            return values
        middle, width = self.of_all[:, j]
        found: Floats = (values - middle) / width * self.spread[group, j] + self.centre[group, j]
        digits = 0 if column.kind is Kind.INTEGER else column.decimals
        return found if digits is None else np.round(found, digits)
