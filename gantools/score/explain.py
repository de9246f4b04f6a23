"""Why a row is odd: what each column contributes to its score, and in words.

A column's contribution is what the score loses when the column's cell is replaced by that of the remembered row which
is most like the rest of the row. So a cell that is common in itself but not with its neighbours is found out, and cells
that only went along with it are not blamed. Contributions are never negative and add up to the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gantools.data.raw import MISSING, UNSEEN, Raw
from gantools.data.schema import Column, Kind, Schema
from gantools.score.gauge import Gauge, score_of
from gantools.score.memory import Memory

SUSPECTS = 16  # columns per row whose cells are tried; the others contribute nothing
ALIKE = 20  # remembered rows that say what is usual in rows like it
USUAL = (0.01, 0.99)  # quantiles that bound what is usual in all rows
NAMED = 2  # columns a reason names at most
WORTH_NAMING = 0.5  # contribution of a further column, against the first one's


@dataclass(frozen=True)
class Explanation:
    """contribution: [N, n_columns] float64, numbers first, then categories, adding up to the score. alike: [N, k,
    ALIKE] int64, for each row's suspects the remembered rows most like its rest. suspects: [N, k] int64 columns.
    """

    contribution: np.ndarray
    suspects: np.ndarray
    alike: np.ndarray


def explain(gauge: Gauge, numbers: Tensor, codes: Tensor, remembered: Raw) -> Explanation:
    """Explain raw rows, as `RowViews` takes them. remembered: the rows of the gauge's memory, raw."""
    n_numeric, n_columns = numbers.shape[1], numbers.shape[1] + codes.shape[1]
    n, k = len(numbers), min(SUSPECTS, n_columns)
    known_numbers = torch.from_numpy(remembered.numbers).to(numbers.device)
    known_codes = torch.from_numpy(remembered.codes).to(codes.device)
    score = score_of(gauge(numbers, codes))
    contribution = torch.zeros((n, n_columns), dtype=torch.float64, device=numbers.device)
    n_alike = min(ALIKE, len(remembered))
    suspects = torch.zeros((n, k), dtype=torch.int64, device=numbers.device)
    alike = torch.zeros((n, k, n_alike), dtype=torch.int64, device=numbers.device)
    views = gauge.views(numbers, codes)
    blame = _blame(gauge, views[0])
    for row in range(n):
        parts = _by_column(gauge, [view[row] for view in views], n_columns)  # [M, n_columns]
        without = parts.sum(1, keepdim=True) - parts
        nearest = without.topk(n_alike, 0, largest=False).indices  # [n_alike, n_columns]
        # The cell that is far from what rows like the rest have, and the one that the generator restores worst.
        cost = torch.stack([parts[nearest[:, c], c].mean() for c in range(n_columns)])
        suspicion = torch.maximum(_ranks(cost), _ranks(blame[row]))
        suspects[row] = suspicion.topk(k).indices
        alike[row] = nearest[:, suspects[row]].T
    at = torch.arange(k, device=numbers.device)
    tried_numbers = numbers.repeat_interleave(k, 0).reshape(n, k, -1)
    tried_codes = codes.repeat_interleave(k, 0).reshape(n, k, -1)
    for row in range(n):
        is_number = suspects[row] < n_numeric
        c, donor = suspects[row][is_number], alike[row, is_number, 0]
        tried_numbers[row, at[is_number], c] = known_numbers[donor, c]
        c, donor = suspects[row][~is_number] - n_numeric, alike[row, ~is_number, 0]
        tried_codes[row, at[~is_number], c] = known_codes[donor, c]
    tried = [
        score_of(gauge(a, b))
        for a, b in zip(tried_numbers.flatten(0, 1).split(1024), tried_codes.flatten(0, 1).split(1024), strict=True)
    ]
    relief = (score.unsqueeze(1) - torch.cat(tried).reshape(n, k)).clamp(min=0.0) if n else contribution[:, :k]
    contribution.scatter_(1, suspects, relief)
    nothing = contribution.sum(1, keepdim=True) <= 0
    contribution = torch.where(nothing, blame.double(), contribution)
    contribution = contribution / contribution.sum(1, keepdim=True) * score.unsqueeze(1)
    return Explanation(contribution.cpu().numpy(), suspects.cpu().numpy(), alike.cpu().numpy())


def _by_column(gauge: Gauge, views: list[Tensor], n_columns: int) -> Tensor:
    """Squared distance of a row to each remembered row, per column, over both views: [M, n_columns]."""
    parts = views[0].new_zeros((cast(Memory, gauge.memories[0]).n_rows, n_columns))
    for view, column, memory in zip(views, gauge.views.column_of(), gauge.memories, strict=True):
        memory = cast(Memory, memory)
        away = (view - memory.centre - memory.rows()).square()
        parts.index_add_(1, column.to(view.device), away)
    return parts


def _blame(gauge: Gauge, standard: Tensor) -> Tensor:
    """How much worse than usual the generator restores each column, at its worst level: [N, n_columns], above 0."""
    errors = gauge.detector.errors(standard) / gauge.usual_error.unsqueeze(2)
    column = gauge.views.column_of()[0].to(standard.device)
    worst = errors.mean(0).amax(0)
    return standard.new_full((len(standard), int(column.max()) + 1), 1e-9).index_add_(1, column, worst)


def _ranks(x: Tensor) -> Tensor:
    return x.argsort().argsort()


def words(explanation: Explanation, raw: Raw, cells: pd.DataFrame, schema: Schema, remembered: Raw) -> list[str]:
    """A sentence per row: "capital_gain 99999 where 0 to 7688 is usual".

    raw, cells: the rows explained, as numbers and as they were given (for levels never seen).
    """
    columns = [schema[name] for name in (*schema.numeric, *schema.categorical)]
    said = []
    for row in range(len(explanation.contribution)):
        share = explanation.contribution[row]
        first = np.argsort(-share, kind="stable")[:NAMED]
        named = [c for c in first if share[c] > 0 and share[c] >= WORTH_NAMING * share[first[0]]]
        parts = []
        for c in named:
            place = np.flatnonzero(explanation.suspects[row] == c)
            alike = explanation.alike[row, place[0]] if len(place) else np.arange(len(remembered))
            parts.append(_phrase(columns[c], c, row, raw, cells, remembered, alike, len(schema.numeric)))
        said.append("; ".join(parts))
    return said


def _phrase(
    column: Column, c: int, row: int, raw: Raw, cells: pd.DataFrame, remembered: Raw, alike: np.ndarray, n_numeric: int
) -> str:
    if c < n_numeric:
        known = remembered.numbers[:, c]
        value = raw.numbers[row, c]
        if np.isnan(value):
            lacking = np.isnan(known).mean()
            return f"{column.name} missing where " + (
                "it never is" if not lacking else f"it is {_usual_numbers(column, known[alike])} in rows like it"
            )
        low, high = np.nanquantile(known, USUAL) if not np.isnan(known).all() else (np.nan, np.nan)
        if low <= value <= high:
            return f"{column.name} {_spelt(column, value)} where rows like it have " + _usual_numbers(
                column, known[alike]
            )
        return f"{column.name} {_spelt(column, value)} where " + f"{_range(column, low, high)} is usual"
    c -= n_numeric
    known, value = remembered.codes[:, c], raw.codes[row, c]
    if value == UNSEEN:
        return f"{column.name} {cells[column.name].iloc[row]!r}, which was never seen"
    shown = "missing" if value == MISSING else repr(_level(column, int(value)))
    if value == len(column.levels):
        shown = f"{cells[column.name].iloc[row]!r} (rare)"
    found, count = np.unique(known[alike], return_counts=True)
    usual = [code for code in found[np.argsort(-count, kind="stable")] if code != value][:3]
    if not usual:
        share = (known == value).mean()
        return f"{column.name} {shown}, as {share:.0%} of rows have"
    named = " or ".join("nothing" if code == MISSING else repr(_level(column, int(code))) for code in usual)
    return f"{column.name} {shown} where rows like it have {named}"


def _level(column: Column, code: int) -> object:
    return column.levels[code] if code < len(column.levels) else "another rare one"


def _usual_numbers(column: Column, values: np.ndarray) -> str:
    present = values[~np.isnan(values)]
    return _range(column, present.min(), present.max()) if len(present) else "none"


def _range(column: Column, low: float, high: float) -> str:
    first, last = _spelt(column, low, -1), _spelt(column, high, 1)
    return first if first == last else f"{first} to {last}"


def _spelt(column: Column, value: float, towards: int = 0) -> str:
    """towards: round a bound of a range outwards to whole numbers where the column has whole numbers."""
    if column.kind == Kind.DATETIME:
        moment = pd.Timestamp(int(value), unit="us")
        return str(moment.date()) if moment == moment.normalize() or towards else str(moment.round("s"))
    if column.kind == Kind.INTEGER:
        return str(int(np.floor(value) if towards < 0 else np.ceil(value) if towards > 0 else round(value)))
    return f"{value:.4g}"
