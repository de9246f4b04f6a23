"""Table rows <-> network inputs: one fitted, invertible, exportable module.

Every number goes through one idea, the *randomised probability integral transform*. The fitted distribution function of
a column may jump: a value that many rows share (the zeros of a zero-inflated column, the levels of a small integer, the
missing cells, which are the atom below all numbers) owns an interval of probabilities. A number is encoded as a
probability drawn from its interval, so that every encoded column is exactly continuous, a discriminator cannot tell
real rows by their being on a lattice, and the inverse (a step wherever the distribution jumps) gives spikes and missing
cells back with the right mass. The probability is then carried to the real line by the logit. (Brockwell 2007,
'Universal residuals', for the transform; the use as an encoding of mixed columns for a GAN is ours.)

Categories become one-hot blocks: the levels, then one place for the pooled rarer levels if there are any, then one for
missing cells if there are any. A level that was never seen encodes as a block of zeros and is decoded as missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gantools.data.tables.raw import MISSING, Raw
from gantools.data.tables.schema import Kind, Schema

N_KNOTS = 128  # quantile knots of a column; atoms come on top of them
ATOM_SHARE = 1 / N_KNOTS  # a value with at least this share of the rows owns an interval of its own
FEW_VALUES = 256  # distinct values of a column up to which a fine encoder gives each an interval of its own
TAIL_ROWS = 8  # beyond the outermost knots of a fine encoder, and of a value that is a cell by itself
TAIL_MASS = 2e-4  # the least probability beyond them
MOST_CELLS = 128  # of a number column
LOGIT_SCALE = math.pi / math.sqrt(3)  # standard deviation of the logistic distribution: encoded columns have variance 1


@dataclass(frozen=True)
class Layout:
    """Where things stand in an encoded row: first `n_numeric` scores, then one block of levels per categorical column.

    blocks: the width of each block. cells: for each number column, the borders of the intervals of probability that a
    model which draws numbers in two steps, an interval and a place in it, draws from: ascending, from 0 to 1; empty
    where no model asks for them.
    """

    n_numeric: int
    blocks: tuple[int, ...]
    cells: tuple[tuple[float, ...], ...] = ()

    @property
    def width(self) -> int:
        return self.n_numeric + sum(self.blocks)

    @property
    def n_levels(self) -> int:
        return sum(self.blocks)

    @property
    def parts(self) -> tuple[slice, ...]:
        """Where each block lies among the levels."""
        ends = tuple(accumulate(self.blocks))
        return tuple(slice(end - width, end) for end, width in zip(ends, self.blocks, strict=True))


@dataclass(frozen=True)
class EncodedTable:
    """A whole table, ready to draw batches from: the form that stays on the device during training.

    lower, upper: [N, n_numeric] float32, the interval of probabilities that each number owns.
    position: [N, n_blocks] int64, the place of each category in the encoded row, -1 for a level never seen.
    """

    lower: Tensor
    upper: Tensor
    position: Tensor

    def to(self, device: torch.device | str) -> EncodedTable:
        return EncodedTable(self.lower.to(device), self.upper.to(device), self.position.to(device))


@dataclass(frozen=True)
class Allowed:
    """What the cells of rows may be, for all rows alike (a first dimension of 1) or for each of N.

    lower, upper: [N, n_numeric], the interval of probabilities that each number must lie in. levels: [N, n_levels]
    bool, the places of each category that it may have.
    """

    lower: Tensor
    upper: Tensor
    levels: Tensor

    @classmethod
    def everything(cls, layout: Layout, n: int = 1) -> Allowed:
        """No cell is asked for."""
        shape = n, layout.n_numeric
        return cls(torch.zeros(shape), torch.ones(shape), torch.ones(n, layout.n_levels, dtype=torch.bool))

    def __getitem__(self, rows: slice | Tensor) -> Allowed:
        """What some of the rows may be; what holds for all holds for these."""
        if len(self.levels) == 1:
            return self
        return Allowed(self.lower[rows], self.upper[rows], self.levels[rows])

    def to(self, device: torch.device | str) -> Allowed:
        return Allowed(self.lower.to(device), self.upper.to(device), self.levels.to(device))


class TableEncoder(nn.Module):
    """Fitted on one table, encodes and decodes rows of tables like it. Build it with `TableEncoder.fit`."""

    knots: Tensor  # [n_numeric, K] values, non-decreasing; the first stands for missing cells where the column has any
    mass: Tensor  # [n_numeric, K] cumulative probability at each knot, non-decreasing from 0 to 1
    grid: Tensor  # [n_numeric] spacing of the values (1 for integers, 0.01 for two decimals), 0 where there is none
    low: Tensor  # [n_numeric] smallest value seen
    high: Tensor  # [n_numeric] largest value seen
    missing_mass: Tensor  # [n_numeric] probability below which a cell is missing
    starts: Tensor  # [n_blocks] int64, where each block begins in the encoded row

    def __init__(self, layout: Layout, n_knots: int, extra: Sequence[tuple[bool, bool]]) -> None:
        """extra: per block, whether it has a place for pooled levels and one for missing cells."""
        super().__init__()
        self.layout = layout
        self.extra = tuple((bool(p), bool(m)) for p, m in extra)
        c = layout.n_numeric
        for name, shape in (
            ("knots", (c, n_knots)),
            ("mass", (c, n_knots)),
            ("grid", (c,)),
            ("low", (c,)),
            ("high", (c,)),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("missing_mass", torch.zeros(c, dtype=torch.float64))
        starts = layout.n_numeric + np.cumsum((0, *layout.blocks))[:-1]
        self.register_buffer("starts", torch.as_tensor(starts, dtype=torch.int64).reshape(-1), persistent=False)

    # -- fitting ---------------------------------------------------------------------------------------------------

    @classmethod
    def fit(cls, raw: Raw, schema: Schema, weight: np.ndarray | None = None, *, fine: bool = False) -> TableEncoder:
        """Learn the distribution of every column.

        raw: the rows. weight: [N] relative weight of each row, all equal by default; rows of rare classes are given
        more so that the encoding resolves the region they live in. fine: as generators need it, who must give back what
        they were shown: every value of a column of few values owns an interval, tails are resolved further, and the
        layout has cells.
        """
        weight = np.full(len(raw.numbers), 1 / max(1, len(raw.numbers))) if weight is None else weight / weight.sum()
        columns = [schema[name] for name in schema.categorical]
        extra = [(column.n_pooled > 0, column.missing > 0) for column in columns]
        blocks = tuple(len(column.levels) + sum(e) for column, e in zip(columns, extra, strict=True))
        fitted = [_distribution(raw.numbers[:, j], weight, fine) for j in range(raw.numbers.shape[1])]
        n_knots = max((len(v) for v, _, _ in fitted), default=2)
        cells = tuple(_cells(*each, len(raw.numbers)) for each in fitted) if fine else ()
        encoder = cls(Layout(len(fitted), blocks, cells), n_knots, extra)
        for j, (values, mass, missing) in enumerate(fitted):
            column = schema[schema.numeric[j]]
            pad = n_knots - len(values)
            encoder.knots[j] = torch.as_tensor(np.pad(values, (0, pad), mode="edge"))
            encoder.mass[j] = torch.as_tensor(np.pad(mass, (0, pad), mode="edge"))
            encoder.low[j], encoder.high[j] = float(values[0]), float(values[-1])
            encoder.missing_mass[j] = missing
            if column.kind in (Kind.INTEGER, Kind.DATETIME):
                encoder.grid[j] = 1.0
            elif column.decimals is not None:
                encoder.grid[j] = 10.0**-column.decimals
        return encoder

    def to_json(self) -> dict[str, Any]:
        """The shape of the encoder; with its weights it can be built again."""
        return {
            "n_numeric": self.layout.n_numeric,
            "blocks": self.layout.blocks,
            "cells": self.layout.cells,
            "n_knots": self.knots.shape[1],
            "extra": self.extra,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TableEncoder:
        """An encoder of that shape, its weights still to be loaded."""
        cells = tuple(tuple(map(float, borders)) for borders in document.get("cells", ()))
        layout = Layout(int(document["n_numeric"]), tuple(document["blocks"]), cells)
        return cls(layout, int(document["n_knots"]), [(p, m) for p, m in document["extra"]])

    # -- raw -> encoded --------------------------------------------------------------------------------------------

    def intervals(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """numbers: [N, n_numeric] float64, NaN = missing. Returns the interval of probabilities of each, float32."""
        missing = torch.isnan(numbers)
        known = torch.where(missing, self.low, numbers)
        lower = interpolate(known, self.knots, self.mass, closed=False).maximum(self.missing_mass)
        upper = interpolate(known, self.knots, self.mass, closed=True)
        lower = torch.where(missing, 0.0, lower)
        upper = torch.where(missing, self.missing_mass, upper)
        return lower.float(), upper.float()

    def positions(self, codes: Tensor) -> Tensor:
        """The place of each category in the encoded row, or -1. codes: [N, n_blocks] int64, as `to_raw` gives them."""
        if not self.layout.blocks:
            return codes
        n_known = self.n_known().to(codes.device)
        has_missing = torch.tensor([m for _, m in self.extra], device=codes.device)
        place = self.starts + codes.clamp(min=0)
        valid = (codes >= 0) & (codes < n_known)
        place = torch.where((codes == MISSING) & has_missing, self.starts + n_known, place)
        return torch.where(valid | ((codes == MISSING) & has_missing), place, -1)

    def values(self, column: int) -> np.ndarray:
        """The values of a number column between which its distribution is known, ascending."""
        return np.unique(self.knots[column].cpu().numpy())

    def n_known(self) -> Tensor:
        """Places of each block that are not for missing cells: [n_blocks] int64."""
        widths = [b - int(m) for b, (_, m) in zip(self.layout.blocks, self.extra, strict=True)]
        return torch.tensor(widths, dtype=torch.int64)

    def encode(self, raw: Raw, chunk: int = 65536) -> EncodedTable:
        """The whole table at once, in chunks of rows so that memory stays bounded."""
        device = self.knots.device
        numbers, codes = (torch.from_numpy(np.require(array, requirements="W")) for array in (raw.numbers, raw.codes))
        lower, upper, position = [], [], []
        for start in range(0, max(1, len(numbers)), chunk):
            a, b = self.intervals(numbers[start : start + chunk].to(device))
            lower.append(a)
            upper.append(b)
            position.append(self.positions(codes[start : start + chunk].to(device)))
        return EncodedTable(torch.cat(lower), torch.cat(upper), torch.cat(position))

    def scores(self, probability: Tensor) -> Tensor:
        """Probabilities to the real line."""
        return scores_of(probability)

    def draw(self, table: EncodedTable, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Encoded rows for a batch.

        rows: [B] int64. generator: draws each number from its interval; without one it is the middle. Returns [B,
        width] float32.
        """
        lower, upper = table.lower[rows], table.upper[rows]
        share = 0.5 if generator is None else torch.rand(lower.shape, device=lower.device, generator=generator)
        return self._assemble(lower + share * (upper - lower), table.position[rows])

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Raw rows to encoded rows, deterministic (the middle of each interval). Returns [N, width] float32."""
        lower, upper = self.intervals(numbers)
        return self._assemble((lower + upper) / 2, self.positions(codes))

    def _assemble(self, probability: Tensor, position: Tensor) -> Tensor:
        scores = self.scores(probability)
        if not self.layout.blocks:
            return scores
        levels = scores.new_zeros(scores.shape[0], self.layout.width + 1)  # the last place is for levels never seen
        levels = levels.scatter(1, torch.where(position < 0, self.layout.width, position), 1.0)
        return torch.cat([scores, levels[:, self.layout.n_numeric : self.layout.width]], 1)

    # -- encoded -> raw --------------------------------------------------------------------------------------------

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows [N, width] to raw ones: numbers [N, n_numeric] (float64, NaN = missing), codes [N, n_blocks]."""
        return self.numbers(x[:, : self.layout.n_numeric]), self.codes(x)

    def numbers(self, scores: Tensor) -> Tensor:
        """[N, n_numeric] scores to numbers: on the column's grid, within its bounds, NaN where missing."""
        probability = probabilities_of(scores).double()
        value = interpolate(probability, self.mass, self.knots, closed=False)
        step = torch.where(self.grid > 0, self.grid, 1.0)
        value = torch.where(self.grid > 0, torch.round(value / step) * step, value)
        value = value.clamp(self.low, self.high)
        return torch.where(probability < self.missing_mass, torch.nan, value)

    def codes(self, x: Tensor) -> Tensor:
        """The strongest place of each block as a level code; MISSING for the missing place and for a block of zeros."""
        out = []
        start = self.layout.n_numeric
        for width, (_, has_missing) in zip(self.layout.blocks, self.extra, strict=True):
            top, code = x[:, start : start + width].max(1)
            unknown = top <= 0
            if has_missing:
                unknown = unknown | (code == width - 1)
            out.append(torch.where(unknown, MISSING, code))
            start += width
        return torch.stack(out, 1) if out else x.new_zeros((x.shape[0], 0), dtype=torch.int64)


def scores_of(probability: Tensor) -> Tensor:
    """Probabilities of a column's distribution to the real line, of variance 1 where they are evenly distributed."""
    return torch.logit(probability, eps=1e-4) / LOGIT_SCALE


def probabilities_of(scores: Tensor) -> Tensor:
    """The probabilities that `scores_of` carried to the real line."""
    return torch.sigmoid(scores * LOGIT_SCALE)


def _places_before(x: Tensor, at: Tensor, closed: bool) -> Tensor:
    """How many places of its column are certainly at (where closed) or before each x: [N, C] int64."""
    if not torch.compiler.is_exporting():
        return torch.searchsorted(at, x.T.to(at.dtype).contiguous(), right=closed).T
    # ONNX has no search; counting takes few operations, and they are what a graph's time goes to
    return count((at <= x.unsqueeze(2)) if closed else (at < x.unsqueeze(2)))


def count(truths: Tensor) -> Tensor:
    """How many are true along the last dimension, at most 2**24: int64. Summed as float32, which is fast in a graph."""
    return truths.float().sum(truths.dim() - 1).long()  # not -1, which onnxruntime gets wrong where there are no rows


def interpolate(x: Tensor, at: Tensor, value: Tensor, *, closed: bool) -> Tensor:
    """Piecewise-linear functions with jumps, one per column; exports to ONNX.

    x: [N, C]. at: [C, K], non-decreasing; equal neighbours make a jump. value: [C, K], the function at those places.
    closed: at a jump take the value after it rather than the one before it. Outside `at` the end values hold.
    Returns [N, C].
    """
    n_columns, n_places = at.shape
    offset = torch.arange(n_columns, device=x.device) * n_places
    flat_at, flat_value = at.reshape(-1), value.reshape(-1)
    position = _places_before(x, at, closed)
    left = offset + (position - 1).clamp(0, n_places - 1)
    right = offset + position.clamp(max=n_places - 1)
    x0, x1 = _taken(flat_at, left), _taken(flat_at, right)
    y0, y1 = _taken(flat_value, left), _taken(flat_value, right)
    share = ((x - x0) / torch.where(x1 > x0, x1 - x0, 1.0)).clamp(0.0, 1.0)
    return torch.where(x1 > x0, y0 + share * (y1 - y0), y1 if not closed else y0)


def _taken(values: Tensor, index: Tensor) -> Tensor:
    """values[index], in a form that a graph has a fast operation for. values: [M]. index: [N, C]."""
    return values.index_select(0, index.flatten()).reshape(index.shape)


def _distribution(column: np.ndarray, weight: np.ndarray, fine: bool = False) -> tuple[np.ndarray, np.ndarray, float]:
    """The distribution function of one column as knots: (values, cumulative mass, mass of the missing cells).

    An atom stands as two knots of equal value, at the mass before and after it; between atoms the function is linear
    between quantiles. The masses run from the missing mass to 1.
    """
    known = ~np.isnan(column)
    missing = float(weight[~known].sum())
    values, index, counts = np.unique(column[known], return_inverse=True, return_counts=True)
    if len(values) == 0:
        return np.zeros(2), np.array([missing, 1.0]), missing
    share = np.bincount(index, weights=weight[known], minlength=len(values)) / max(weight[known].sum(), 1e-300)
    upper = np.minimum(np.cumsum(share), 1.0)
    lower = upper - share
    is_atom = ((share >= ATOM_SHARE) | (fine and len(values) <= FEW_VALUES)) & (counts >= 3)
    middle = (lower + upper) / 2
    at = np.linspace(0, 1, N_KNOTS)
    if fine:
        tail = 0.5 ** np.arange(1, 64)
        tail = tail[(tail < at[1]) & (tail >= max(TAIL_ROWS / known.sum(), TAIL_MASS))]
        at = np.sort(np.concatenate([at, tail, 1 - tail]))
    quantiles = np.searchsorted(middle, at).clip(0, len(values) - 1)
    keep = np.unique(np.concatenate([[0, len(values) - 1], np.flatnonzero(is_atom), quantiles]))
    before = np.where(is_atom, lower, middle)[keep]
    after = np.where(is_atom, upper, middle)[keep]
    before[0], after[-1] = 0.0, 1.0
    knots = np.repeat(values[keep], 2)
    mass = np.stack([before, after], 1).reshape(-1)
    mass = missing + (1 - missing) * np.maximum.accumulate(mass)
    first_of_pair = np.arange(len(knots)) % 2 == 0
    distinct = first_of_pair | (np.diff(mass, prepend=-1.0) > 0)  # a knot that is no atom stands once
    return knots[distinct], mass[distinct], missing


def _cells(values: np.ndarray, mass: np.ndarray, missing: float, n_rows: int) -> tuple[float, ...]:
    """Borders of about 4 n^(2/5) intervals of probability, ascending from 0 to 1, which fall upon knots of the column.

    Missing cells and values of at least `TAIL_ROWS` rows have an interval to themselves. So many intervals tell a
    distribution from another one best (Mann and Wald 1942, 'On the Choice of the Number of Class Intervals').
    """
    n = int(np.clip(round(4 * n_rows**0.4), 16, MOST_CELLS))
    is_jump = (np.diff(values) == 0) & (np.diff(mass) >= TAIL_ROWS / n_rows)
    knots = np.unique(np.concatenate([[0.0, missing, 1.0], mass]))
    even = np.linspace(0, 1, n + 1)
    after = np.searchsorted(knots, even).clip(1, len(knots) - 1)
    nearest = np.where(even - knots[after - 1] < knots[after] - even, knots[after - 1], knots[after])
    borders = np.concatenate([[0.0, missing, 1.0], mass[:-1][is_jump], mass[1:][is_jump], nearest])
    return tuple(map(float, np.unique(borders.astype(np.float32))))
