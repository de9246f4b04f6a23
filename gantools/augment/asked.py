"""What rows are asked for beyond their label: values, ranges and missing cells of any column, as what cells may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from gantools.data.tables.column import NUMERIC_KINDS, Column, Kind, level_named
from gantools.data.tables.raw import Codes, Raw, read_number
from gantools.data.tables.rules import Rule
from gantools.data.tables.schema import Schema
from gantools.encode.table import Allowed, TableEncoder
from gantools.errors import ConfigError, DataError
from gantools.words import listed, meant


@dataclass(frozen=True)
class Asked:
    """What rows must be.

    allowed: for all rows alike. labels: codes of the labels that they may have; None for all. bounds: by the place of
    a number column, between what its values must lie once they are rounded. pools: by the place of a categorical
    column, the codes of those levels of its pool that are asked for.
    """

    allowed: Allowed
    labels: tuple[int, ...] | None = None
    bounds: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    pools: Mapping[int, Codes] = field(default_factory=dict)

    @classmethod
    def of(cls, where: Mapping[str, Any], schema: Schema, encoder: TableEncoder) -> Asked:
        """Read what is asked for.

        where: by column a value, None for a missing cell, or several: of a category a list of values, of a number the
        ends of a range, both of which belong to it, None for an end that is open. Values may be spelled as text.
        Raises ConfigError that names the column where there is no such value.
        """
        asked = cls(Allowed.everything(encoder.layout))
        for name, wanted in where.items():
            if name not in schema.names:
                remedy = meant(name, schema.names, f"the columns are {listed(schema.names)}")
                raise ConfigError(f"there is no column {name!r}", where="where", remedy=remedy)
            column = schema[name]
            if name == schema.target:
                asked = replace(asked, labels=_levels(column, wanted)[0])
            elif name in schema.numeric:
                asked = asked._with_number(schema.numeric.index(name), column, wanted, encoder)
            elif name in schema.categorical:
                asked = asked._with_levels(schema.categorical.index(name), column, wanted, encoder)
            else:
                raise ConfigError(f"the column is {column.kind} and is not learned", where=_at(column))
        for rule in schema.rules:
            if rule.sort == "decides" and not where.keys().isdisjoint(rule.columns):
                asked = asked._through(rule, schema, encoder)
        return asked

    def _through(self, rule: Rule, schema: Schema, encoder: TableEncoder) -> Asked:
        """What is asked of a column that another one decides, asked of that one in its place, and what that leaves of
        the first: all the same rows, but fewer candidates miss them."""
        name, other = rule.columns
        values = np.array(rule.values)
        levels, lower, upper = (each.clone() for each in (self.allowed.levels, self.allowed.lower, self.allowed.upper))

        def block(name: str) -> slice:
            return encoder.layout.parts[schema.categorical.index(name)]

        of = levels[:, block(name)]
        if other not in schema.numeric:
            of &= levels[0, block(other)][torch.from_numpy(values.astype(np.int64))]
            left = np.unique(values[of[0].cpu().numpy()]).astype(np.int64)
            levels[:, block(other)] = False
            levels[:, block(other).start + torch.from_numpy(left)] = True
        else:
            place = schema.numeric.index(other)
            low, high = self.bounds.get(place, (-math.inf, math.inf))
            of &= torch.from_numpy((values >= low) & (values <= high))
            left = values[of[0].cpu().numpy()]
            if len(left):
                lower[:, place], upper[:, place] = _interval(place, left.min(), left.max(), encoder)
        levels[:, block(name)] = of
        if not len(left):
            raise ConfigError(f"no row can be like that: {rule.sentence}", where="where")
        return replace(self, allowed=Allowed(lower, upper, levels))

    def _with_number(self, place: int, column: Column, wanted: Any, encoder: TableEncoder) -> Asked:
        missing = float(encoder.missing_mass[place])
        lower, upper = self.allowed.lower.clone(), self.allowed.upper.clone()
        if wanted is None:
            if not missing:
                raise ConfigError("no cell of it was missing in the training data", where=_at(column))
            upper[:, place] = missing
            return replace(self, allowed=replace(self.allowed, upper=upper))
        low, high = _range(column, wanted)
        lower[:, place], upper[:, place] = _interval(place, low, high, encoder)
        allowed = replace(self.allowed, lower=lower, upper=upper)
        return replace(self, allowed=allowed, bounds={**self.bounds, place: (low, high)})

    def _with_levels(self, place: int, column: Column, wanted: Any, encoder: TableEncoder) -> Asked:
        width, (has_pool, has_missing) = encoder.layout.blocks[place], encoder.extra[place]
        chosen = torch.zeros(width, dtype=torch.bool)
        known, pooled, wants_missing = _levels_and_more(column, wanted)
        if wants_missing and not has_missing:
            raise ConfigError("no cell of it was missing in the training data", where=_at(column))
        chosen[list(known)] = True
        if pooled:
            chosen[len(column.levels)] = has_pool
        if wants_missing:
            chosen[width - 1] = True
        levels = self.allowed.levels.clone()
        levels[:, encoder.layout.parts[place]] = chosen
        pools = {**self.pools, place: np.array(pooled, dtype=np.int64)} if pooled else self.pools
        return replace(self, allowed=replace(self.allowed, levels=levels), pools=pools)

    def settled(self, raw: Raw, schema: Schema, rng: np.random.Generator) -> Raw:
        """The rows with what rounding and pools have left open: numbers within their bounds, levels as asked for."""
        numbers, codes = raw.numbers.copy(), raw.codes.copy()
        ruled = {name for rule in schema.rules for name in rule.columns}
        for place, (low, high) in self.bounds.items():
            if schema.numeric[place] not in ruled:
                numbers[:, place] = numbers[:, place].clip(low, high)
        for place, pool in self.pools.items():
            is_pooled = codes[:, place] >= len(schema[schema.categorical[place]].levels)
            codes[is_pooled, place] = rng.choice(pool, int(is_pooled.sum()))
        return Raw(numbers, codes)

    def holds(self, raw: Raw, encoder: TableEncoder) -> npt.NDArray[np.bool_]:
        """Which of these rows are as asked for: a rule may have changed a cell that was."""
        holds = np.ones(len(raw), dtype=bool)
        for place, (low, high) in self.bounds.items():
            holds &= (raw.numbers[:, place] >= low) & (raw.numbers[:, place] <= high)
        for place, (part, (_, has_missing)) in enumerate(zip(encoder.layout.parts, encoder.extra, strict=True)):
            allowed = self.allowed.levels[0, part].cpu().numpy()
            code = raw.codes[:, place]
            last = len(allowed) - 1 - has_missing  # levels of the pool have codes beyond it
            holds &= np.where(code < 0, has_missing and allowed[-1], allowed[code.clip(0, last)])
        return holds


def known_cells(raw: Raw, encoder: TableEncoder) -> Allowed:
    """What the cells of rows with holes may be: a known cell what it is, a missing one any value but missing."""
    layout, device = encoder.layout, encoder.knots.device
    numbers, codes = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in (raw.numbers, raw.codes))
    lower, upper = encoder.intervals(numbers)
    is_hole = torch.isnan(numbers)
    for place, cells in enumerate(layout.cells):
        borders = torch.tensor(cells, device=device)
        middle = ((lower[:, place] + upper[:, place]) / 2).contiguous()
        cell = (torch.searchsorted(borders, middle, right=True) - 1).clamp(0, len(cells) - 2)
        known = ~is_hole[:, place]
        lower[:, place] = torch.where(known, borders[cell], encoder.missing_mass[place].float())
        upper[:, place] = torch.where(known, borders[cell + 1], torch.ones_like(middle))
    levels = torch.ones(len(codes), layout.n_levels, dtype=torch.bool, device=device)
    position = encoder.positions(codes)
    for place, (part, (_, has_missing)) in enumerate(zip(layout.parts, encoder.extra, strict=True)):
        if has_missing:
            levels[:, part.stop - 1] = False
        known = (codes[:, place] >= 0) & (position[:, place] >= 0)
        at = position[:, place] - layout.n_numeric - part.start
        own = at.clamp(min=0).unsqueeze(1) == torch.arange(part.stop - part.start, device=device)
        levels[:, part] = torch.where(known.unsqueeze(1), own, levels[:, part])
    return Allowed(lower, upper, levels)


def read_where(texts: Sequence[str], schema: Schema) -> dict[str, Any]:
    """`COL=VALUE` texts as `Asked.of` takes them: "age=30..40" for a range, "city=" for a missing cell, and several
    values of a category in texts of their own. Raises ConfigError for a text that is none."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"{text!r} names no column", where="where", remedy="write COL=VALUE")
        found.setdefault(name, []).append(value)
    where: dict[str, Any] = {}
    for name, values in found.items():
        is_number = name in schema.names and name != schema.target and schema[name].kind in NUMERIC_KINDS
        if not is_number:
            where[name] = [None if value == "" else value for value in values]
        elif len(values) > 1:
            raise ConfigError("is given twice", where=f"where {name}", remedy="ask for one value or one range of it")
        else:
            low, dots, high = values[0].partition("..")
            where[name] = (low or None, high or None) if dots else values[0] or None
    return where


def _range(column: Column, wanted: Any) -> tuple[float, float]:
    """The ends of what is asked for, on the column's grid."""
    ends = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    if len(ends) != 2:
        raise ConfigError("a range has two ends", where=_at(column), remedy="give the smallest and the largest value")
    assert column.low is not None and column.high is not None
    try:
        low, high = (math.nan if end is None else read_number(end, column) for end in ends)
    except DataError as error:
        given = dict.fromkeys(end for end in ends if end is not None)
        problem = f"{listed(given)} cannot be read ({error.problem})"
        raise ConfigError(problem, where=_at(column), remedy="write values as the table does") from error
    if low > high:
        raise ConfigError("the range ends before it begins", where=_at(column))
    if high < column.low or low > column.high:
        problem = f"no row that was learned from has such a value: they lie between {_shown(column)}"
        raise ConfigError(problem, where=_at(column))
    low = column.low if math.isnan(low) else max(low, column.low)
    high = column.high if math.isnan(high) else min(high, column.high)
    grid = column.step or (10.0**-column.decimals if column.decimals is not None else 0.0)
    grid = 1.0 if column.kind is Kind.INTEGER else grid
    if grid:
        inside = math.ceil(low / grid - 1e-9) * grid, math.floor(high / grid + 1e-9) * grid
        if inside[0] > inside[1]:
            raise ConfigError("no value of the column lies in that range", where=_at(column))
        low, high = inside
    return low, high


def _shown(column: Column) -> str:
    ends = (column.low or 0.0, column.high or 0.0)
    if column.kind is Kind.DATETIME:
        return " and ".join(str(pd.Timestamp(end, unit="us")) for end in ends)
    return " and ".join(f"{end:.10g}" for end in ends)


def _levels_and_more(column: Column, wanted: Any) -> tuple[tuple[int, ...], list[int], bool]:
    """Codes of kept levels, codes of levels of the pool, and whether a missing cell is asked for."""
    values = wanted if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
    known, pooled = [], []
    for value in values:
        if value is None:
            continue
        whole = (*column.levels, *column.pooled)
        place = level_named(whole, value)
        if place is None:
            remedy = meant(str(value), map(str, whole), f"it has {listed(whole)}")
            raise ConfigError(f"has no value {str(value)!r}", where=_at(column), remedy=remedy)
        if place < len(column.levels):
            known.append(place)
        else:
            pooled.append(place + 1)
    return tuple(known), pooled, any(value is None for value in values)


def _levels(column: Column, wanted: Any) -> tuple[tuple[int, ...], list[int]]:
    known, pooled, missing = _levels_and_more(column, wanted)
    if missing:
        raise ConfigError("every row has a label", where=_at(column))
    return known, pooled


def _interval(place: int, low: float, high: float, encoder: TableEncoder) -> tuple[float, float]:
    """The probabilities of a number column between which values from low to high lie."""
    ends = torch.zeros(2, encoder.layout.n_numeric, dtype=torch.float64)
    ends[0, place], ends[1, place] = low, high
    lower, upper = encoder.intervals(ends.to(encoder.knots.device))
    start, end = float(lower[0, place]), float(upper[1, place])
    if end <= start:  # one value among many, or values between two that are there
        start, end = _cell_around(encoder.layout.cells[place], (start + end) / 2)
    return max(start, float(encoder.missing_mass[place])), end


def _cell_around(borders: Sequence[float], probability: float) -> tuple[float, float]:
    place = int(np.searchsorted(borders, probability, side="right")) - 1
    place = min(max(place, 0), len(borders) - 2)
    return borders[place], borders[place + 1]


def _at(column: Column) -> str:
    return f"where {column.name}"
