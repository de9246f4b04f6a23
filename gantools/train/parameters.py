"""Parameters of the estimators that keep scikit-learn's contract: how they are checked, and those of training.

scikit-learn checks parameters by constraints that are private to it. We declare ours in the same way, for then wrong
values are named in its words, and its own checks of an estimator hold. This is the only module that knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from gantools.config import PRECISIONS, TrainConfig


def whole_number(least: int) -> Interval:
    """Whole numbers from `least` on."""
    return Interval(Integral, least, None, closed="left")


def share(below: float = 1, zero: bool = False) -> Interval:
    """Numbers from 0 (where `zero`) or above it to below `below`."""
    return Interval(Real, 0, below, closed="left" if zero else "neither")


def one_of(words: tuple[str, ...]) -> StrOptions:
    return StrOptions(set(words))


# Fields of TrainConfig that such estimators have as parameters of the same names, and their model and seed.
TRAINING: dict[str, Any] = {
    "model": [str],
    "options": [Mapping, None],
    "random_state": ["random_state"],
    "steps": [whole_number(1), None],
    "budget_s": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [whole_number(2)],
    "device": [str],
    "devices": [whole_number(1)],
    "precision": [one_of(PRECISIONS)],
}


def train_config(estimator: Any) -> TrainConfig:
    """The training configuration that an estimator's parameters describe; its seed is drawn from `random_state`."""
    names = ("steps", "budget_s", "batch_size", "device", "devices", "precision")
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    given = {name: getattr(estimator, name) for name in names}
    return TrainConfig(**{**given, "batch_size": int(estimator.batch_size)}, seed=seed)
