"""The verdict where the target is a number: do synthetic rows help to predict it in a range that few rows lie in?

Rows are held back first, the same share of those in the range and outside. Ridge regression, a random forest and
gradient boosting learn from what each method makes of the others, and predict the held-back ones. Methods: no
balancing, weights that let both parts count alike, repetition of the rows in the range, and gantools. They are ranked
by the root mean squared error in the range, a mean over the three; the error over all rows says what that costs.
Intervals are as in `verdict`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gantools.augment.ranges import RangeTask
from gantools.classify.features import Features
from gantools.classify.figures import Floats
from gantools.classify.judges import FOREST, LEAST_IN_LEAF, MOST_LEAVES, N_TREES, as_seen, plain_encoder
from gantools.evaluate.verdict import (
    METHODS,
    MIN_RARE,
    Helped,
    holdback,
    interval,
    near_best,
    over_repeats,
    resampled,
    tested_on,
)
from gantools.stages import Stage

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema

Balancer = Callable[[pd.DataFrame, int], pd.DataFrame]

MAX_ROWS = 20_000  # real rows that are learned from, and that are tested on
FIGURES = ("rmse_rare", "mae_rare", "rmse", "mae")  # 0 is best
LEAST_SHARE = 0.01  # of the error, below which no difference is called clear


@dataclass(frozen=True)
class RangeVerdict:
    """Errors of every method on held-out real rows, and one sentence on what they mean.

    scores: per method the figures of `FIGURES`, in the target's unit: root mean squared and mean absolute error of the
    rows in the range, and of all. n_rare: held-back rows in the range, of all repeats. helped, difference, interval:
    the error of gantools in the range less that of the best other method; below 0 is better.
    """

    scores: Mapping[str, Mapping[str, float]]
    n_train: int
    n_holdout: int
    n_rare: int
    sentence: str
    helped: Helped
    best_alternative: str = ""
    difference: float | None = None
    interval: tuple[float, float] | None = None
    recommended: str = ""
    advice: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain values for `json.dumps`."""
        return {**asdict(self), "interval": None if self.interval is None else list(self.interval)}


def range_verdict(
    frame: pd.DataFrame,
    task: RangeTask,
    balancer: Balancer,
    *,
    schema: Schema,
    seed: int = 0,
    holdout: float = 0.25,
    n_repeats: int = 1,
    stage: Stage | None = None,
) -> RangeVerdict:
    """Compare the balancer with the built-in methods. balancer: function of (training rows, seed) that returns those
    rows first and synthetic ones behind. schema: of `frame`, the real rows."""
    stage = stage or Stage()
    is_rare = task.range.holds(frame[task.target])
    errors: list[dict[str, Floats]] = []
    rare: list[np.ndarray] = []
    for repeat in range(n_repeats):
        train, held = holdback(is_rare.astype(np.int64), holdout=holdout, seed=seed + repeat, max_held=MAX_ROWS)
        rows = frame.iloc[train].reset_index(drop=True)
        made = balancer(rows, seed + repeat).iloc[len(rows) :]
        stage.begin()
        errors.append(_errors(rows, made, frame.iloc[held], task, schema, seed + repeat))
        rare.append(is_rare[held])
    return _concluded(errors, rare, len(train), len(held), seed)


def _errors(
    rows: pd.DataFrame, made: pd.DataFrame, held: pd.DataFrame, task: RangeTask, schema: Schema, seed: int
) -> dict[str, Floats]:
    """Method -> the errors [classifiers, held-back rows] of what has learned by it."""
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(len(rows))[:MAX_ROWS])
    made = made.iloc[np.sort(rng.permutation(len(made))[: len(made) * len(kept) // len(rows)])]
    rows = rows.iloc[kept]
    features = Features(rows, task.target, schema)
    x, x_made, x_held = (features.matrix(part) for part in (rows, made, held))
    y, y_made, truth = (part[task.target].to_numpy(dtype=np.float64) for part in (rows, made, held))
    is_rare = task.range.holds(rows[task.target])
    again = rng.choice(np.flatnonzero(is_rare), len(made)) if len(made) else np.arange(0)
    evened = np.where(is_rare, len(rows) / is_rare.sum(), len(rows) / (~is_rare).sum()) / 2
    learned = {
        "none": (x, y, None),
        "weights": (x, y, evened),
        "repetition": (np.concatenate([x, x[again]]), np.concatenate([y, y[again]]), None),
        "gantools": (np.concatenate([x, x_made]), np.concatenate([y, y_made]), None),
    }
    encoder = plain_encoder(x, features.is_level)
    found = {}
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (matrix, target, weight) in learned.items():
            forest = RandomForestRegressor(
                N_TREES, min_samples_leaf=max(LEAST_IN_LEAF, len(target) // MOST_LEAVES), random_state=seed % 2**32
            )
            boosting = HistGradientBoostingRegressor(
                categorical_features=features.is_level if features.is_level.any() else None, early_stopping=False,
                random_state=seed % 2**32,
            )  # fmt: skip
            seen = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
            ridge = Ridge().fit(encoder.transform(matrix), target, sample_weight=weight)
            forest.fit(as_seen(FOREST, seen), target, sample_weight=weight)
            boosting.fit(seen, target, sample_weight=weight)
            guesses = [
                ridge.predict(encoder.transform(x_held)), forest.predict(as_seen(FOREST, x_held)),
                boosting.predict(x_held),
            ]  # fmt: skip
            found[name] = np.stack([guess - truth for guess in guesses])
    return found


def _concluded(
    errors: list[dict[str, Floats]], rare: list[np.ndarray], n_train: int, n_holdout: int, seed: int
) -> RangeVerdict:
    n_rare = int(sum(part.sum() for part in rare))
    scores = {}
    for name in errors[0]:
        each = [_figures(found[name], part) for found, part in zip(errors, rare, strict=True)]
        scores[name] = {figure: float(np.mean([one[figure] for one in each])) for figure in FIGURES}
    draws: dict[str, list[Floats]] = {name: [] for name in scores}
    for repeat, (found, part) in enumerate(zip(errors, rare, strict=True)):
        weights = resampled(np.zeros(int(part.sum()), dtype=np.int64), seed + repeat)
        for name, off in found.items():
            squares = (off[:, part] ** 2) @ weights.T / weights.sum(1)
            draws[name].append(np.sqrt(squares).mean(axis=0))
    share = n_holdout / (n_train + n_holdout)
    drawn = {name: over_repeats(parts, share) for name, parts in draws.items()}
    ours = scores["gantools"]["rmse_rare"]
    best = min((name for name in scores if name != "gantools"), key=lambda name: scores[name]["rmse_rare"])
    difference = ours - scores[best]["rmse_rare"]
    low, high = interval(drawn["gantools"] - drawn[best])
    noticeable = LEAST_SHARE * scores[best]["rmse_rare"]
    helped: Helped = "unclear"
    notes: tuple[str, ...] = ()
    if n_rare < MIN_RARE:
        notes = (f"Only {n_rare} held-out rows lie in the range: too few to tell methods apart.",)
    elif high < 0 and difference <= -noticeable:
        helped = "yes"
    elif low > 0 and difference >= noticeable:
        helped = "no"
    opening = {
        "yes": "The synthetic rows helped",
        "no": "The synthetic rows did not help",
        "unclear": "No clear difference",
    }
    rival, whole, rival_whole = (
        error_text(scores[name][figure]) for name, figure in ((best, "rmse_rare"), ("gantools", "rmse"), (best, "rmse"))
    )
    sentence = (
        f"{opening[helped]}: root mean squared error in the range {error_text(ours)} against {rival} for the best "
        f"alternative ({METHODS[best]}), over all rows {whole} against {rival_whole}, "
        f"on {tested_on(n_holdout, len(errors))} held-out rows."
    )
    recommended = _recommended(scores, drawn) if n_rare >= MIN_RARE else ""
    return RangeVerdict(
        scores, n_train, n_holdout, n_rare, sentence, helped, best, difference, (low, high), recommended,
        _advice(recommended, scores, drawn) if recommended else "", notes,
    )  # fmt: skip


def _figures(off: Floats, rare: np.ndarray) -> dict[str, float]:
    """off: errors [classifiers, rows]. rare: [rows]."""
    inside = off[:, rare]
    return {
        "rmse_rare": float(np.sqrt((inside**2).mean(1)).mean()), "mae_rare": float(np.abs(inside).mean()),
        "rmse": float(np.sqrt((off**2).mean(1)).mean()), "mae": float(np.abs(off).mean()),
    }  # fmt: skip


def _recommended(scores: Mapping[str, Mapping[str, float]], drawn: Mapping[str, Floats]) -> str:
    """As in `verdict`: no balancing, or the simplest method within one standard error of the best."""
    best = min(scores, key=lambda name: scores[name]["rmse_rare"])
    least = scores[best]["rmse_rare"]
    behind = {name: scores[name]["rmse_rare"] - least for name in scores}  # the simplest first
    return near_best(behind, {name: drawn[name] - drawn[best] for name in behind}, LEAST_SHARE * least)


def _advice(name: str, scores: Mapping[str, Mapping[str, float]], drawn: Mapping[str, Floats]) -> str:
    """What to do, how sure that is, and what it costs."""
    if name == "none":
        return "Leave the table as it is: no other method was clearly better in the range."
    todo = {
        "weights": "Train on the table as it is, with weights that let rows in the range count as much as the others"
    }
    said = todo.get(name, f"Train on rows balanced by {METHODS.get(name, name)}")
    low, high = interval(drawn[name] - drawn["none"], len(scores) - 1)
    change = scores[name]["rmse_rare"] - scores["none"]["rmse_rare"]
    whole = scores[name]["rmse"] - scores["none"]["rmse"]
    return (
        f"{said}: over no balancing that changes the error in the range by {_signed(change)} (adjusted 90 % interval "
        f"{_signed(low)} to {_signed(high)}), and the error over all rows by {_signed(whole)}."
    )


def error_text(error: float) -> str:
    """An error with four digits."""
    rounded = float(f"{error:.4g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def _signed(change: float) -> str:
    return f"{'-' if change < 0 else '+'}{error_text(abs(change))}"
