"""The classifiers that judge a way of balancing: plain scikit-learn ones, as people use them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gantools.classify.figures import Floats, Ints

LOGISTIC, FOREST, BOOSTING = "logistic regression", "random forest", "gradient boosting"
JUDGES = (LOGISTIC, FOREST, BOOSTING)
N_TREES = 50  # of the forest
LEAST_IN_LEAF = 5  # rows in a leaf of the forest ...
MOST_LEAVES = 4000  # ... and about so many leaves to a tree at the most
FLOAT32_MAX = float(np.finfo(np.float32).max)
ROUNDS, FEWEST_ROUNDS = 300, 10  # of boosting, over all classes and for one


@dataclass(frozen=True, eq=False)
class Judge:
    """A trained classifier. encoder: what logistic regression sees of the matrix."""

    name: str
    classifier: Any
    encoder: ColumnTransformer

    def probabilities(self, matrix: Floats, n_classes: int) -> Floats:
        """Class probabilities [N, n_classes] of rows [N, columns]."""
        with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):  # sums of very large numbers
            rows = self.encoder.transform(matrix) if self.name == LOGISTIC else as_seen(self.name, matrix)
            found = np.zeros((len(matrix), n_classes))
            found[:, self.classifier.classes_] = self.classifier.predict_proba(rows)
        return found


def train_judges(
    matrix: Floats,
    codes: Ints,
    is_level: np.ndarray[Any, np.dtype[np.bool_]],
    encoder: ColumnTransformer,
    seed: int,
    weighted: bool = False,
    names: Sequence[str] = JUDGES,
) -> list[Judge]:
    """Each classifier trained on rows of two classes at least.

    matrix: [N, columns] float64, NaN where a number is missing. codes: [N] classes. is_level: of each column, whether
    it holds codes of levels. encoder: of `plain_encoder`. weighted: with class weights.
    """
    n_present = len(np.unique(codes))
    weight = "balanced" if weighted else None
    seed %= 2**32  # scikit-learn takes no larger ones
    classifiers: dict[str, Any] = {
        LOGISTIC: LogisticRegression(max_iter=300, class_weight=weight),
        FOREST: RandomForestClassifier(
            N_TREES, min_samples_leaf=max(LEAST_IN_LEAF, len(codes) // MOST_LEAVES), class_weight=weight,
            random_state=seed,
        ),
        # One tree per class and round: with fewer rounds many classes take about the same time.
        BOOSTING: HistGradientBoostingClassifier(
            max_iter=ROUNDS // 3 if n_present <= 3 else max(FEWEST_ROUNDS, ROUNDS // n_present),
            categorical_features=is_level if is_level.any() else None, early_stopping=False, class_weight=weight,
            random_state=seed,
        ),
    }  # fmt: skip
    # A column that is missing in every row cannot be binned.
    seen = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
    judges = []
    # One thread: at these sizes more gain little, and cost much where other work shares the cores.
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is the same for all methods
        for name in names:
            rows = encoder.transform(matrix) if name == LOGISTIC else as_seen(name, seen)
            judges.append(Judge(name, classifiers[name].fit(rows, codes), encoder))
    return judges


def as_seen(name: str, matrix: Floats) -> Floats:
    """The matrix as trees take it: those of a forest hold numbers of 32 bits."""
    return matrix.clip(-FLOAT32_MAX, FLOAT32_MAX) if name == FOREST else matrix


def plain_encoder(real: Floats, is_level: np.ndarray[Any, np.dtype[np.bool_]]) -> ColumnTransformer:
    """For logistic regression: numbers imputed and scaled plus a mark where missing, levels one-hot (sparse)."""
    numbers, levels = np.flatnonzero(~is_level), np.flatnonzero(is_level)
    scaled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    return ColumnTransformer(
        [
            ("numbers", scaled, numbers),
            ("missing", FunctionTransformer(np.isnan), numbers[np.isnan(real[:, numbers]).any(axis=0)]),
            ("levels", OneHotEncoder(handle_unknown="ignore"), levels),
        ],
        sparse_threshold=1.0,
    ).fit(real)
