"""Whether synthetic rows give away the real rows that they were learned from.

Every figure is held against what fresh real rows would give, which nobody learned from: a holdout where there is one,
else each real row against the others. Whether single rows can be recognised as learned from (membership) or a cell of
theirs be guessed better than that of fresh rows (attributes) cannot be said without a holdout.

The attack on membership is the ratio of distances to synthetic and to reference rows, as in Hilprecht et al. 2019,
'Monte Carlo and Reconstruction Membership Inference Attacks against Generative Models', and van Breugel et al. 2023,
'Membership Inference Attacks against Synthetic Data through Overfitting Detection'; its advantage is true less false
positive rate (Yeom et al. 2018, 'Privacy Risk in Machine Learning').
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor

from gantools.evaluate.neighbours import near_copies_of, nearest
from gantools.evaluate.table_rows import Floats, Rows, Space
from gantools.words import listed, percent

MAX_ASKED = 8_000  # synthetic and fresh rows each whose nearest real row is sought
MAX_RECORDS = 50_000  # real rows among which it is sought
MAX_ATTACKED = 5_000  # rows learned from, and fresh ones, that the attack on membership is tried on
MAX_GUESSED = 1_000  # the same of the attack on attributes
MAX_COLUMNS = 40  # columns that are guessed
LEAST_ROWS = 20
N_BINS = 40  # of distances that are shown
CLOSE = 0.1  # of a standard deviation: a number guessed so well is right

# Levels above which a warning is given; each must also be beyond chance by SURE standard errors.
SURE = 4.0
EXACT_LEVEL = 0.005  # share of exact copies beyond that of fresh rows
NEAR_LEVEL = 0.05  # share of near copies
CLOSER_LEVEL = 0.55  # share of rows that are closer to rows learned from than to fresh ones
ADVANTAGE_LEVEL = 0.1  # of the attack on membership
GUESS_LEVEL = 0.1  # by which a cell of a row learned from is guessed better than one of a fresh row


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close some rows are to the real ones.

    exact: share that equal a real row in all columns. near: share of the others that are near copies
    (`neighbours.near_copies_of`). q05, median: of the distances to the closest real row (DCR), in standard deviations.
    ratio: the median of the distances to the closest over those to the second closest real row (NNDR); near 0 where
    rows sit on real ones, near 1 where they lie among them.
    """

    n: int
    exact: float
    near: float
    q05: float
    median: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances to the closest real row: shares of the synthetic and of fresh real rows between these edges, the last
    bin with what lies beyond."""

    edges: tuple[float, ...]
    synthetic: tuple[float, ...]
    fresh: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """An attack that tells rows learned from and fresh rows apart by the synthetic rows alone.

    n: rows of either sort. auc: 0.5 cannot. advantage: true less false positive rate, 0 where nothing is given away.
    error: its standard error.
    """

    n: int
    auc: float
    advantage: float
    error: float


@dataclass(frozen=True, slots=True)
class AttributeGuess:
    """How often a column's cell is guessed right from the nearest synthetic row by the other columns.

    learned: of rows learned from. fresh: of fresh rows, which is what anybody learns from the data as a whole. error:
    the standard error of the difference.
    """

    column: str
    learned: float
    fresh: float
    error: float

    @property
    def gain(self) -> float:
        """How much better those of rows learned from are guessed."""
        return self.learned - self.fresh


@dataclass(frozen=True, slots=True)
class TablePrivacy:
    """What the synthetic rows give away, and warnings in words.

    n_real, n_synthetic, n_holdout: rows of the tables. fresh: the closeness of fresh real rows. chance: share of these
    that are near copies. closer: share of synthetic rows that are closer to a row learned from than to as many fresh
    ones, half where nothing is copied; closer_error: its standard error. None of these, membership and attributes
    without a holdout. distances: to the closest real row, as a histogram.
    """

    n_real: int
    n_synthetic: int
    n_holdout: int
    synthetic: Closeness
    fresh: Closeness
    chance: float
    closer: float | None = None
    closer_error: float | None = None
    distances: Distances | None = None
    membership: Membership | None = None
    attributes: tuple[AttributeGuess, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """One sentence for each figure above its level, the gravest first."""
        return list(self._warnings())

    @property
    def unsaid(self) -> str:
        """What cannot be said, and why; empty where all can."""
        if self.n_holdout:
            return ""
        return (
            "Without a holdout it cannot be said whether rows that were learned from can be recognised, or cells of "
            "theirs guessed better than those of fresh rows; a holdout is real rows that the generator did not see"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "warnings": self.warnings, "unsaid": self.unsaid}

    def _warnings(self) -> Iterator[str]:
        made, fresh = self.synthetic, self.fresh
        error = np.sqrt(max(fresh.exact, 1 / fresh.n) / made.n + max(fresh.exact, 1 / fresh.n) / fresh.n)
        if made.exact - fresh.exact > max(EXACT_LEVEL, SURE * error):
            yield (
                f"{percent(made.exact)} of the synthetic rows are exact copies of real rows, "
                f"{percent(fresh.exact)} of fresh real rows would be"
            )
        if self.closer is not None and self.closer - 0.5 > max(CLOSER_LEVEL - 0.5, SURE * (self.closer_error or 0)):
            yield (
                f"{percent(self.closer)} of the synthetic rows are closer to a row that was learned from than to as "
                "many fresh real rows; without copying it is half of them"
            )
        if made.near > max(NEAR_LEVEL, self.chance + SURE * np.sqrt(self.chance / made.n)):
            yield (
                f"{percent(made.near)} of the synthetic rows are near copies of real rows, about "
                f"{percent(self.chance)} of fresh real rows would be"
            )
        one = self.membership
        if one is not None and one.advantage > max(ADVANTAGE_LEVEL, SURE * one.error):
            yield (
                "an attacker who has the synthetic rows can tell whether a row was learned from: the attack finds "
                f"{percent(one.advantage)} more of those than of fresh rows (ROC AUC {one.auc:.2f})"
            )
        told = [guess for guess in self.attributes if guess.gain > max(GUESS_LEVEL, SURE * guess.error)]
        if told:
            yield (
                f"of rows learned from {listed([guess.column for guess in told])} can be guessed better than of fresh "
                f"rows, '{told[0].column}' right in {percent(told[0].learned)} against {percent(told[0].fresh)}"
            )


def table_privacy(
    real: Rows, synthetic: Rows, holdout: Rows | None, space: Space, seed: int = 0
) -> TablePrivacy | None:  # fmt: skip
    """What the synthetic rows give away of the real rows, which they were learned from.

    holdout: real rows that they were not learned from. None with fewer than `LEAST_ROWS` rows in a table.
    """
    if min(len(rows) for rows in (real, synthetic, holdout or real)) < LEAST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    records, asked = real.some(MAX_RECORDS, rng), synthetic.some(MAX_ASKED, rng)
    new = None if holdout is None else holdout.some(MAX_ASKED, rng)
    x, y = space(records), space(asked)
    z = y[:0] if new is None else space(new)
    two, closest = nearest(torch.cat([y, z]), x, 2)
    is_near, chance = near_copies_of(x, two[:, 0], closest[:, 0])
    there = real.keys()

    def closeness(rows: Rows, at: slice) -> Closeness:
        exact = np.isin(rows.keys(), there)
        return _closeness(two[at], exact.mean(), (is_near[at].numpy() & ~exact).mean())

    made = closeness(asked, slice(0, len(y)))
    made = replace(made, exact=float(np.isin(synthetic.keys(), there).mean()))
    if holdout is None or new is None:
        places = torch.from_numpy(np.sort(rng.choice(len(x), min(len(x), MAX_ASKED), replace=False)))
        own = nearest(x[places], x, 3)[0][:, 1:]  # without the row itself, the first
        counts = np.unique(there, return_counts=True)[1]
        fresh = _closeness(own, counts[counts > 1].sum() / len(there), chance)
        shares = _distances(two[:, 0], own[:, 0])
        return TablePrivacy(len(real), len(synthetic), 0, made, fresh, chance, distances=shares)
    fresh = closeness(new, slice(len(y), None))
    closer, error = _closer(x, y, space(holdout.some(MAX_RECORDS, rng)), rng)
    return TablePrivacy(
        len(real), len(synthetic), len(holdout), made, fresh, chance, closer, error,
        _distances(two[: len(y), 0], two[len(y) :, 0]),
        _membership(real, synthetic, holdout, space, rng), _attributes(real, synthetic, holdout, space, rng),
    )  # fmt: skip


def _closeness(two: Tensor, exact: float, near: float) -> Closeness:
    """two: [N, 2] distances to the nearest two."""
    ratio = torch.where(two[:, 1] > 0, two[:, 0] / two[:, 1].clamp(min=1e-12), torch.ones(len(two)))
    distance = two[:, 0]
    q05, median = float(distance.quantile(0.05)), float(distance.median())
    return Closeness(len(two), float(exact), float(near), q05, median, float(ratio.median()))


def _distances(synthetic: Tensor, fresh: Tensor) -> Distances:
    top = max(float(torch.cat([synthetic, fresh]).quantile(0.99)), 1e-6)
    edges = np.linspace(0, top, N_BINS + 1)
    shares = [np.histogram(side.clamp(max=top).numpy(), edges)[0] / len(side) for side in (synthetic, fresh)]
    return Distances(tuple(edges.tolist()), tuple(shares[0].tolist()), tuple(shares[1].tolist()))


def _closer(x: Tensor, y: Tensor, z: Tensor, rng: np.random.Generator) -> tuple[float, float]:
    """Share of y closer to x than to as many of z, ties for half, and its standard error."""
    n = min(len(x), len(z))
    sides = [side[np.sort(rng.choice(len(side), n, replace=False))] for side in (x, z)]
    one, other = (nearest(y, side, 1)[0][:, 0] for side in sides)
    wins = (one < other).double() + 0.5 * (one == other).double()
    return float(wins.mean()), float(wins.std() / np.sqrt(len(wins)))


def _membership(
    real: Rows, synthetic: Rows, holdout: Rows, space: Space, rng: np.random.Generator
) -> Membership | None:
    """The attack: a row is taken for learned from where synthetic rows are closer to it than reference rows are."""
    order = rng.permutation(len(holdout))
    half = min(len(holdout) // 2, len(real), MAX_ATTACKED)
    if half < LEAST_ROWS:
        return None
    fresh, reference = holdout.take(order[:half]), space(holdout.take(order[half:]).some(MAX_RECORDS, rng))
    learned = real.take(rng.choice(len(real), half, replace=False))
    made = space(synthetic.some(MAX_RECORDS, rng))
    points = torch.cat([space(learned), space(fresh)])
    tiny = 1e-6
    score = (nearest(points, reference, 1)[0][:, 0] + tiny).log() - (nearest(points, made, 1)[0][:, 0] + tiny).log()
    truth = np.repeat([1, 0], half)
    # the threshold is found on one half and used on the other, both ways
    turn = np.tile(np.arange(half) % 2, 2)
    advantages = []
    for side in (0, 1):
        false, true, limits = roc_curve(truth[turn == side], score.numpy()[turn == side])
        limit = limits[int((true - false).argmax())]
        flagged, positive = score.numpy()[turn != side] >= limit, truth[turn != side] == 1
        advantages.append(flagged[positive].mean() - flagged[~positive].mean())
    error = float(np.sqrt(0.5 / half))
    return Membership(half, float(roc_auc_score(truth, score.numpy())), float(np.mean(advantages)), error)


def _attributes(
    real: Rows, synthetic: Rows, holdout: Rows, space: Space, rng: np.random.Generator
) -> tuple[AttributeGuess, ...]:
    """Each column guessed from the nearest synthetic row by the others, the largest gain first."""
    n = min(len(real), len(holdout), MAX_GUESSED)
    sides = [side.take(rng.choice(len(side), n, replace=False)) for side in (real, holdout)]
    made = synthetic.some(MAX_RECORDS, rng)
    points, places = torch.cat([space(side) for side in sides]), space(made)
    truth = np.concatenate([side.matrix() for side in sides])
    given = made.matrix()
    z = np.nan_to_num(space.deviations(made.numbers), nan=np.inf)
    true_z = np.concatenate([np.nan_to_num(space.deviations(side.numbers), nan=np.inf) for side in sides])
    found = []
    for place, column in enumerate(real.columns[:MAX_COLUMNS]):
        others = torch.from_numpy(space.column_of != place)
        nearest_row = nearest(points[:, others], places[:, others], 1)[1][:, 0].numpy()
        if place < len(real.numeric):
            right = _alike(z[nearest_row, place], true_z[:, place])
        else:
            one, other = given[nearest_row, place], truth[:, place]
            right = (one == other) | (np.isnan(one) & np.isnan(other))
        learned, fresh = right[:n], right[n:]
        error = float(np.sqrt((learned.var() + fresh.var()) / n))
        found.append(AttributeGuess(column.name, float(learned.mean()), float(fresh.mean()), error))
    return tuple(sorted(found, key=lambda guess: -guess.gain))


def _alike(one: Floats, other: Floats) -> Any:
    """Whether numbers in standard deviations are as good as equal; infinite ones stand for missing cells."""
    with np.errstate(invalid="ignore"):
        return (one == other) | (np.abs(one - other) <= CLOSE)
