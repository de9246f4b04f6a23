"""Rows of real and synthetic tables as matrices that can be compared, and as points whose distances mean something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from gantools.data.tables.raw import MISSING, labels_to_codes, to_raw
from gantools.data.tables.schema import Column, Schema

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REACH = 5.0  # standard deviations up to which distance is linear; beyond it grows with the logarithm
TAILS = (0.5, 99.5)  # percentiles; cells beyond them count for neither mean nor standard deviation
MOST_LEVELS = 32  # levels of a column that are exactly equally far apart; more are nearly so


@dataclass(frozen=True, eq=False)
class Rows:
    """A table's columns as matrices; identifiers, constants and columns without a value are left out.

    numeric, categorical: the columns, the target last among the categorical ones. numbers: [N, len(numeric)], NaN where
    missing, moments in microseconds. codes: [N, len(categorical)], places in the column's levels, negative for a
    missing cell (`MISSING`) and for a level that the real table does not have (`UNSEEN`). target: whether there is one.
    """

    numeric: tuple[Column, ...]
    categorical: tuple[Column, ...]
    numbers: Floats
    codes: Ints
    target: str | None

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema) -> Rows:
        """The rows of a table that has the schema's columns.

        schema: without pools of levels, so that each level counts. Raises DataError that names the column where one is
        lacking or holds what it cannot, or where a label is missing or none that the schema knows.
        """
        raw = to_raw(frame, schema)
        codes = raw.codes
        names = schema.categorical
        if schema.target is not None:
            codes = np.column_stack([codes, labels_to_codes(frame[schema.target], schema)])
            names = (*names, schema.target)
        numeric = tuple(schema[name] for name in schema.numeric)
        return cls(numeric, tuple(schema[name] for name in names), raw.numbers, codes, schema.target)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, those of numbers first."""
        return (*self.numeric, *self.categorical)

    @property
    def label(self) -> Ints | None:
        """[N] the class of each row as a place in the target's levels; None without a target."""
        return None if self.target is None else self.codes[:, -1]

    def take(self, places: npt.NDArray[Any]) -> Rows:
        """The rows at these places, or where a mask is true."""
        return replace(self, numbers=self.numbers[places], codes=self.codes[places])

    def some(self, most: int, rng: np.random.Generator) -> Rows:
        """At most so many rows, drawn at random, in their order."""
        return self if len(self) <= most else self.take(np.sort(rng.choice(len(self), most, replace=False)))

    def halves(self, seed: int) -> tuple[Rows, Rows]:
        """The rows in two halves, drawn at random."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(np.sort(order[: len(self) // 2])), self.take(np.sort(order[len(self) // 2 :]))

    def matrix(self) -> Floats:
        """[N, columns]: numbers and, as numbers, codes; NaN where missing."""
        return np.column_stack([self.numbers, np.where(self.codes == MISSING, np.nan, self.codes)])

    def keys(self) -> npt.NDArray[np.uint64]:
        """[N] a number for each row that is the same for equal rows, and for no others but by a freak of chance."""
        frame = pd.DataFrame(self.matrix() + 0.0)  # adding 0 makes -0.0 the same as 0.0
        return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


class Space:
    """Rows as points. A number counts in standard deviations, and any two levels are one standard deviation apart.

    A missing number stands at the mean and is besides that as far from a present one as two levels are.
    """

    def __init__(self, real: Rows, seed: int = 0) -> None:
        """real: the rows whose means and standard deviations are taken."""
        values = np.where(np.isnan(real.numbers).all(axis=0), 0.0, real.numbers)
        ends = np.nanpercentile(values, TAILS, axis=0) if values.size else np.zeros((2, values.shape[1]))
        inner = np.where((values >= ends[0]) & (values <= ends[1]), values, np.nan)
        if values.size:
            self.mean = np.nanmean(inner, axis=0)
            spread = np.nanstd(inner, axis=0)
            self.spread = np.where(spread > 0, spread, np.maximum(np.nanstd(values, axis=0), 1e-300))
        else:
            self.mean, self.spread = np.zeros(values.shape[1]), np.ones(values.shape[1])
        rng = np.random.default_rng(seed)
        self.levels = [_points_of_levels(len(column.levels), rng) for column in real.categorical]
        widths = [2] * len(real.numeric) + [points.shape[1] for points in self.levels]
        self.column_of = np.repeat(np.arange(len(widths)), widths)  # [D] which column each coordinate belongs to

    def __call__(self, rows: Rows) -> Tensor:
        """[N, D] float32."""
        deviations = self.deviations(rows.numbers)
        missing = np.isnan(deviations)
        blocks = [np.stack([np.nan_to_num(deviations), missing], axis=2).reshape(len(rows), -1)]
        for place, points in enumerate(self.levels):
            blocks.append(points[rows.codes[:, place]])  # the last two are those of UNSEEN (-2) and MISSING (-1)
        return torch.from_numpy(np.concatenate(blocks, axis=1).astype(np.float32))

    def deviations(self, numbers: Floats) -> Floats:
        """Numbers in standard deviations from the mean, those far out drawn nearer. NaN where missing."""
        z = (numbers - self.mean) / self.spread
        size = np.maximum(np.abs(z), 1e-12)
        squashed: Floats = np.where(size <= REACH, z, np.sign(z) * (REACH + np.log(size / REACH)))
        return squashed


def _points_of_levels(n: int, rng: np.random.Generator) -> Floats:
    """[n + 2, D] a point for each level, one for levels never seen, and one for missing cells, all a unit apart."""
    if n + 2 <= MOST_LEVELS:
        return np.asarray(np.eye(n + 2) / np.sqrt(2), dtype=np.float64)
    drawn = rng.standard_normal((n + 2, MOST_LEVELS))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True) / np.sqrt(2), dtype=np.float64)


def drawn_alike(sizes: Sequence[int], most: int) -> int:
    """As many rows as all of these tables have, `most` at most."""
    return min(*sizes, most)
