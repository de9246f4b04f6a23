"""Whether pairs of columns still have to do with each other what they have in the real table.

Likeness of a pair is SDMetrics': of two numbers CorrelationSimilarity, of all others ContingencySimilarity, numbers
counted in ten bins of equal width. Association is Cramér's V without its bias (Bergsma 2013, 'A Bias-Correction for
Cramér's V and Tschuprow's T'), numbers counted in ten bins of equal counts: it says how much one column tells of the
other, whatever the shape of the relation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from gantools.evaluate.table_rows import Floats, Ints, Rows

N_BINS = 10
MAX_COLUMNS = 60  # columns whose pairs are compared
ASSOCIATED = 0.1  # association of the real columns from which it counts whether it is kept


@dataclass(frozen=True, slots=True)
class PairLikeness:
    """Two columns. likeness: 1 alike, 0 nothing in common; None where a correlation is not defined.

    real, synthetic: the correlations of two numbers, else None. association_real, association_synthetic: 0 independent,
    1 one says all of the other.
    """

    one: str
    other: str
    likeness: float | None
    real: float | None
    synthetic: float | None
    association_real: float
    association_synthetic: float

    @property
    def kept(self) -> float:
        """Share of the association that is there, at most 1."""
        return min(1.0, self.association_synthetic / max(self.association_real, 1e-12))


@dataclass(frozen=True, slots=True)
class PairsLikeness:
    """All pairs. n_left_out: columns beyond `MAX_COLUMNS`, whose pairs were not compared."""

    pairs: tuple[PairLikeness, ...]
    n_left_out: int = 0

    @property
    def mean(self) -> float | None:
        """The mean likeness of the pairs."""
        known = [pair.likeness for pair in self.pairs if pair.likeness is not None]
        return float(np.mean(known)) if known else None

    @property
    def associated(self) -> list[PairLikeness]:
        """The pairs that have to do with each other in the real table, the closest first."""
        found = [pair for pair in self.pairs if pair.association_real >= ASSOCIATED]
        return sorted(found, key=lambda pair: -pair.association_real)

    @property
    def kept(self) -> float | None:
        """Share of the association of these that is there; None where no pair has any."""
        return _kept(self.associated)

    def kept_by_column(self) -> dict[str, float]:
        """The same of each column's pairs, the least first; only columns that have such a pair."""
        found: dict[str, list[PairLikeness]] = {}
        for pair in self.associated:
            for name in (pair.one, pair.other):
                found.setdefault(name, []).append(pair)
        shares = {name: kept for name, pairs in found.items() if (kept := _kept(pairs)) is not None}
        return dict(sorted(shares.items(), key=lambda item: item[1]))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "mean": self.mean,
            "kept": self.kept,
            "n_left_out": self.n_left_out,
            "pairs": [asdict(pair) for pair in self.pairs],
        }


def pairs_likeness(real: Rows, synthetic: Rows) -> PairsLikeness:
    """Compare each pair of columns; of a wide table of the first `MAX_COLUMNS` columns, the target among them."""
    n_numeric = len(real.numeric)
    places = list(range(len(real.columns)))
    chosen = places if len(places) <= MAX_COLUMNS else [*places[: MAX_COLUMNS - 1], places[-1]]
    wide: dict[int, _Coded] = {}
    equal: dict[int, _Coded] = {}
    for place in chosen:
        if place < n_numeric:
            sides = real.numbers[:, place], synthetic.numbers[:, place]
            wide[place] = _binned(*sides, _equal_width(sides[0]))
            equal[place] = _binned(*sides, _equal_count(sides[0]))
        else:
            n_levels = len(real.categorical[place - n_numeric].levels)
            # levels, then one for those never seen, then one for missing cells
            codes = [side.codes[:, place - n_numeric] % (n_levels + 2) for side in (real, synthetic)]
            wide[place] = equal[place] = _Coded(codes[0], codes[1], n_levels + 2)
    names = [column.name for column in real.columns]
    found = []
    for a, b in combinations(chosen, 2):
        one, other = _tables(equal[a], equal[b])
        figures: tuple[float | None, float | None, float | None]
        if b < n_numeric:
            figures = _correlations(real.numbers[:, [a, b]], synthetic.numbers[:, [a, b]])
        else:
            counted = _tables(wide[a], wide[b])
            gaps = np.abs(counted[0] / len(real) - counted[1] / max(len(synthetic), 1))
            figures = float(1 - gaps.sum() / 2), None, None
        found.append(PairLikeness(names[a], names[b], *figures, association(one), association(other)))
    return PairsLikeness(tuple(found), len(places) - len(chosen))


def association(table: Floats) -> float:
    """Cramér's V of a table of counts without its bias, 0 to 1. Bergsma 2013, equation 6."""
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    n = table.sum()
    if n < 2 or min(table.shape, default=0) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float((np.square(table - expected) / expected).sum() / n)
    r, k = table.shape
    phi = max(0.0, phi - (r - 1) * (k - 1) / (n - 1))
    most = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(phi / most))) if most > 0 else 0.0


def _kept(pairs: list[PairLikeness]) -> float | None:
    whole = sum(pair.association_real for pair in pairs)
    return sum(min(pair.association_real, pair.association_synthetic) for pair in pairs) / whole if whole else None


def _equal_width(real: Floats) -> Floats:
    """The inner edges of bins between the real bounds."""
    known = real[~np.isnan(real)]
    return np.histogram_bin_edges(known, N_BINS)[1:-1] if len(known) else np.zeros(0)


def _equal_count(real: Floats) -> Floats:
    known = real[~np.isnan(real)]
    return np.unique(np.quantile(known, np.arange(1, N_BINS) / N_BINS)) if len(known) else np.zeros(0)


class _Coded(NamedTuple):
    """A column of both tables as places among `n` bins or levels."""

    real: Ints
    synthetic: Ints
    n: int


def _binned(real: Floats, synthetic: Floats, edges: Floats) -> _Coded:
    """Missing cells have a bin of their own."""
    n = len(edges) + 2
    one, other = (np.where(np.isnan(side), n - 1, np.searchsorted(edges, side, "right")) for side in (real, synthetic))
    return _Coded(one, other, n)


def _tables(a: _Coded, b: _Coded) -> tuple[Floats, Floats]:
    """How often values of two columns meet, in the real and in the synthetic table: [a.n, b.n] each."""

    def count(one: Ints, other: Ints) -> Floats:
        return np.bincount(one * b.n + other, minlength=a.n * b.n).reshape(a.n, b.n).astype(np.float64)

    return count(a.real, b.real), count(a.synthetic, b.synthetic)


def _correlations(real: Floats, synthetic: Floats) -> tuple[float | None, float | None, float | None]:
    """Likeness, and the correlation on either side, of rows that have both cells."""
    found: list[float | None] = []
    for side in (real, synthetic):
        known = side[~np.isnan(side).any(axis=1)]
        if len(known) < 2 or (known == known[:1]).all(axis=0).any():
            found.append(None)
        else:
            found.append(float(np.asarray(np.corrcoef(known.T))[0, 1]))
    one, other = found
    return (None if one is None or other is None else 1 - abs(one - other) / 2), one, other
