"""Whether synthetic rows lie where real ones do, and whether they reach everywhere that real ones are.

Density and coverage: Naeem et al. 2020, 'Reliable Fidelity and Diversity Metrics for Generative Models'.
Alpha-precision and beta-recall: Alaa et al. 2022, 'How Faithful is your Synthetic Data? Sample-level Metrics for
Evaluating and Auditing Generative Models', with rows as `Space` places them in place of a trained embedding.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantools.evaluate.image_quality import N_NEIGHBOURS, neighbourhoods
from gantools.evaluate.neighbours import nearest
from gantools.evaluate.table_rows import Rows, Space, drawn_alike

MAX_ROWS = 5_000  # of each side that are compared
LEAST_ROWS = 20  # below which nothing is said
LEVELS = np.linspace(0, 1, 31)  # of alpha and beta


@dataclass(frozen=True, slots=True)
class Reach:
    """How the rows of one table lie among real ones. Each figure is 1 at best, but beta_recall, which fresh real rows
    bring to about a half.

    precision: share of them that lie where real rows are. recall: share of real rows that lie where they are. density:
    as precision, above 1 where they crowd. coverage: share of real rows that have one of them as a neighbour.
    alpha_precision, beta_recall: 1 less twice the mean gap between the share asked for and the share that is found.
    spread: the median distance of one of them to its nearest, in that of real rows; far below 1 where they repeat.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    alpha_precision: float
    beta_recall: float
    spread: float


@dataclass(frozen=True, slots=True)
class Support:
    """n: rows on either side that were compared. synthetic: their figures. fresh: those of fresh real rows, which is as
    good as it gets."""

    n: int
    synthetic: Reach
    fresh: Reach

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def support(real: Rows, synthetic: Rows, fresh: Rows, space: Space, seed: int = 0) -> Support | None:
    """Where the synthetic rows lie among the real ones, beside where fresh real rows do.

    None with fewer than `LEAST_ROWS` rows on a side.
    """
    rng = np.random.default_rng(seed)
    n = drawn_alike((len(real), len(synthetic), len(fresh)), MAX_ROWS)
    if n < LEAST_ROWS:
        return None
    x, y, z = (space(rows.some(n, rng)) for rows in (real, synthetic, fresh))
    return Support(n, _reach(x, y), _reach(x, z))


def _reach(x: Tensor, y: Tensor) -> Reach:
    own, other = (nearest(side, side, 1, exclude_self=True)[0][:, 0] for side in (x, y))
    spread = float(other.median()) / max(float(own.median()), 1e-12) if len(own) else 1.0
    return Reach(*neighbourhoods(x, y, N_NEIGHBOURS), *_alpha_beta(x, y, own), min(spread, 1e6))


def _alpha_beta(x: Tensor, y: Tensor, own: Tensor) -> tuple[float, float]:
    """Integrated alpha-precision and beta-recall of y against x; own: the distance of each of x to its nearest."""
    levels = torch.from_numpy(LEVELS).float()
    found = (y - x.mean(0)).norm(dim=1), (x - x.mean(0)).norm(dim=1)
    # share of y within the ball that holds a share alpha of x
    precision = (found[0][:, None] <= found[1].quantile(levels)).float().mean(0)
    # share of x that has a neighbour in the ball of a share beta of y, as near as its own neighbour
    distance, place = nearest(x, y, 1)
    from_middle = (y - y.mean(0)).norm(dim=1)
    inside = from_middle[place[:, 0]][:, None] <= from_middle.quantile(levels)
    recall = ((distance[:, 0] <= own)[:, None] & inside).float().mean(0)
    return _integrated(precision, levels), _integrated(recall, levels)


def _integrated(shares: Tensor, levels: Tensor) -> float:
    return float(1 - 2 * torch.trapezoid((shares - levels).abs(), levels))
