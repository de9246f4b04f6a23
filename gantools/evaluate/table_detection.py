"""Whether a classifier can tell synthetic rows from real ones, and by which columns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from gantools.evaluate.table_rows import Floats, Ints, Rows, drawn_alike

MAX_ROWS = 15_000  # of each side
MAX_CELLS = 1_000_000  # the same for wide tables: rows times columns
LEAST_ROWS = 30
N_FOLDS = 3
MAX_TRIED = 2_000  # rows on which columns are tried
MAX_COLUMNS = 100  # that are tried
TELLING = 0.01  # of the ROC AUC that is lost with a column, from which it gives rows away
MAX_CATEGORIES = 200  # levels of a column that the classifier tells apart


@dataclass(frozen=True, slots=True)
class Detection:
    """How well gradient boosting tells synthetic rows from real ones that it has not seen.

    n: rows on either side. auc: 0.5 not at all, 1 always. columns: those that give the rows away, with what the ROC AUC
    loses when their cells are exchanged between rows, the most telling first. n_untried: columns that were not tried.
    """

    n: int
    auc: float
    columns: tuple[tuple[str, float], ...]
    n_untried: int = 0

    @property
    def score(self) -> float:
        """2 (1 - AUC), at most 1: 1 cannot be told apart, 0 always."""
        return min(1.0, 2 * (1 - self.auc))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "score": self.score}


def detection(real: Rows, synthetic: Rows, seed: int = 0) -> Detection | None:
    """Cross-validated detection on as many real as synthetic rows; None with fewer than `LEAST_ROWS` of either."""
    rng = np.random.default_rng(seed)
    n_columns = max(len(real.columns), 1)
    n = drawn_alike((len(real), len(synthetic)), int(np.clip(MAX_CELLS // n_columns, 2_000, MAX_ROWS)))
    if n < LEAST_ROWS:
        return None
    sides = [_matrix(rows.some(n, rng)) for rows in (real, synthetic)]
    x, y = np.concatenate(sides), np.repeat([0, 1], n)
    tried = range(min(n_columns, MAX_COLUMNS))
    found, lost = np.zeros(len(y)), np.zeros(len(tried))
    is_level = np.arange(x.shape[1]) >= len(real.numeric)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed % 2**32)
    for train, held in folds.split(x, y):
        model = HistGradientBoostingClassifier(
            categorical_features=is_level if is_level.any() else None, early_stopping=False,
            random_state=seed % 2**32,
        ).fit(_binnable(x[train]), y[train])  # fmt: skip
        found[held] = model.predict_proba(x[held])[:, 1]
        some = held if len(held) <= MAX_TRIED else rng.choice(held, MAX_TRIED, replace=False)
        lost += [_lost(model, x[some], y[some], column, rng) / N_FOLDS for column in tried]
    names = [column.name for column in real.columns]
    order = np.argsort(-lost, kind="stable")
    telling = tuple((names[i], float(lost[i])) for i in order if lost[i] >= TELLING)
    return Detection(n, float(roc_auc_score(y, found)), telling, n_columns - len(tried))


def _matrix(rows: Rows) -> Floats:
    """The rows as boosting takes them: of columns with very many levels the rarer ones are one."""
    x = rows.matrix()
    first = len(rows.numeric)
    for place, column in enumerate(rows.categorical, first):
        most = min(len(column.levels), MAX_CATEGORIES)
        x[:, place] = np.where((x[:, place] < 0) | (x[:, place] >= most), most, x[:, place])
    return x


def _binnable(x: Floats) -> Floats:
    """Boosting cannot bin a column that is missing everywhere."""
    return np.where(np.isnan(x).all(axis=0), 0.0, x)


def _lost(
    model: HistGradientBoostingClassifier, x: Floats, y: Ints, column: int, rng: np.random.Generator
) -> float:  # fmt: skip
    """What the ROC AUC loses when the cells of one column are exchanged between rows."""
    before = roc_auc_score(y, model.predict_proba(x)[:, 1])
    exchanged = x.copy()
    exchanged[:, column] = rng.permutation(exchanged[:, column])
    return float(before - roc_auc_score(y, model.predict_proba(exchanged)[:, 1]))
