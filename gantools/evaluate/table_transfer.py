"""Whether synthetic rows can stand in for real ones: classifiers trained on them, tested on real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from gantools.data.tables.schema import Schema
from gantools.evaluate.table_utility import row_limit, scores
from gantools.evaluate.verdict import holdback

FIGURES = ("roc_auc", "average_precision", "macro_f1")
LEVEL = 0.05  # that the ROC AUC may fall behind that of real rows
SHARE_HELD = 0.25  # of the real rows where there is no holdout
MAX_HELD = 20_000
MIN_ROWS = 100  # real rows that are learned from at least, where there are so many


@dataclass(frozen=True, slots=True)
class Transfer:
    """Classifiers trained on synthetic rows and on real rows, both tested on the same real rows.

    synthetic, real: roc_auc (of each class against the others), average_precision (mean over all classes but the
    largest) and macro_f1, means over logistic regression and gradient boosting; higher is better. held_out: whether the
    rows that were tested on come from a table of their own. problem: why there are no figures, or nothing. n_rare:
    rows that were tested on outside their largest class.
    """

    n_synthetic: int = 0
    n_real: int = 0
    n_tested: int = 0
    held_out: bool = False
    synthetic: Mapping[str, float] | None = None
    real: Mapping[str, float] | None = None
    problem: str = ""
    n_rare: int = 0

    @property
    def error(self) -> float:
        """The standard error of that, at most: both ROC AUCs have that of Hanley and McNeil 1982, 'The Meaning and Use
        of the Area under a Receiver Operating Characteristic Curve'."""
        if self.real is None:
            return 0.0
        auc, n, m = self.real["roc_auc"], max(self.n_rare, 1), max(self.n_tested - self.n_rare, 1)
        above, below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        variance = (auc * (1 - auc) + (n - 1) * (above - auc**2) + (m - 1) * (below - auc**2)) / (n * m)
        return float(np.sqrt(2 * max(variance, 0.0)))

    @property
    def is_worse(self) -> bool:
        """Whether it loses more than `LEVEL`, and more than chance."""
        return self.lost is not None and self.lost > max(LEVEL, 2 * self.error)

    @property
    def lost(self) -> float | None:
        """What the ROC AUC loses with synthetic rows in place of real ones."""
        if self.synthetic is None or self.real is None:
            return None
        return self.real["roc_auc"] - self.synthetic["roc_auc"]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "lost": self.lost, "error": self.error}


def transfer(
    real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame | None, schema: Schema, seed: int = 0
) -> Transfer:
    """Train on synthetic rows, test on real ones; and the same with real rows for comparison.

    schema: with a target, which misses no label. holdout: real rows to test on; None to hold back a share of `real`.
    """
    target = str(schema.target)
    held_out = holdout is not None
    if holdout is None:
        codes = pd.factorize(real[target])[0].astype(np.int64)
        train, held = holdback(codes, holdout=SHARE_HELD, seed=seed, max_held=MAX_HELD)
        real, holdout = real.iloc[train], real.iloc[held]
    most = row_limit(real.shape[1])
    made, tested = _some(synthetic, most, seed), _some(holdout, most, seed)
    learned = _some(real, min(most, max(len(made), MIN_ROWS)), seed)  # not more, or their number would be what helps
    problem = ""
    if tested[target].nunique() < 2:
        problem = "the real rows to test on have a single class"
    elif made[target].nunique() < 2:
        problem = "the synthetic rows have a single class, so nothing can be learned from them"
    if problem:
        return Transfer(len(made), len(learned), len(tested), held_out, problem=problem)
    one, other = (
        {name: figures[name] for name in FIGURES}
        for figures in (scores(table, tested, target, schema=schema, seed=seed) for table in (made, learned))
    )
    n_rare = len(tested) - int(tested[target].value_counts().max())
    return Transfer(len(made), len(learned), len(tested), held_out, one, other, n_rare=n_rare)


def _some(table: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    if len(table) <= most:
        return table
    return table.iloc[np.sort(np.random.default_rng(seed).choice(len(table), most, replace=False))]
