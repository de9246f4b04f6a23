"""How a verdict is reached, whatever is judged: figures of each method on held-back samples, compared by bootstrap.

The ruling figure is the mean of average precision and balanced accuracy: balancing is bought for the second and must
not be paid for with the first. A method is compared with the best of the others by it, on the same resampled samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from sklearn.metrics import f1_score

Helped = Literal["yes", "no", "unclear"]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

FIGURES = ("average_precision", "balanced_accuracy", "macro_f1")
MAX_HELD = 20_000  # samples held back
MIN_RARE = 10  # held-back samples outside the largest class below which no difference is called clear
MIN_DIFFERENCE = 0.005  # of the ruling figure, below which no difference is called clear
INTERVAL = 0.90


@dataclass(frozen=True, slots=True)
class Words:
    """What the sentences call things. methods: name of each built-in method -> its words."""

    methods: Mapping[str, str]
    samples: str = "rows"
    whole: str = "table"  # where the samples are from


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures of every method on held-out real rows, and one sentence on what they mean.

    scores: per method the figures of `FIGURES`, each in [0, 1] and higher is better; None where the method cannot be
    used on this data (the notes say why). Empty when no verdict could be reached.
    n_train, n_holdout: real samples the methods worked on, and real ones held back (of one repeat).
    helped: whether the synthetic samples beat the best other method; "unclear" also when there is no verdict.
    judged: the method the sentence is about. best_alternative: the best other method by the ruling figure.
    difference, interval: the ruling figure of `judged` less that of `best_alternative`, and its 90 % interval.
    notes: what else a reader must know, one sentence each.
    """

    scores: Mapping[str, Mapping[str, float] | None]
    n_train: int
    n_holdout: int
    sentence: str
    helped: Helped
    judged: str = ""
    best_alternative: str = ""
    difference: float | None = None
    interval: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain values for `json.dumps`."""
        values = asdict(self)
        values["interval"] = None if self.interval is None else list(self.interval)
        values["notes"] = list(self.notes)
        return values


def holdback(codes: Ints, *, holdout: float = 0.25, seed: int = 0, max_held: int = MAX_HELD) -> tuple[Ints, Ints]:
    """Split sample numbers into training and held-back ones, stratified by class.

    codes: [N], the class of each sample. Classes with two or more are on both sides, single samples only in training.
    Returns both ascending; at most about `max_held` are held back, the rest train.
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(codes)
    share = min(holdout, max_held / max(len(codes), 1))
    n_held = np.where(counts > 1, np.clip(np.rint(counts * share).astype(np.int64), 1, np.maximum(counts - 1, 1)), 0)
    held = np.zeros(len(codes), dtype=bool)
    for code in np.flatnonzero(n_held):
        held[rng.choice(np.flatnonzero(codes == code), n_held[code], replace=False)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


class Judged:
    """The judges' predictions for the held-back samples of one method, and the figures that follow from them."""

    def __init__(self, truth: Ints, predictions: Sequence[Floats], largest: int) -> None:
        self.truth = truth
        self.predictions = predictions
        self.largest = largest

    def figures(self) -> dict[str, float]:
        once = np.ones((1, len(self.truth)))
        precision, accuracy = self._resampled(once)
        f1 = [f1_score(self.truth, p.argmax(axis=1), average="macro", zero_division=0) for p in self.predictions]
        return dict(zip(FIGURES, (float(precision[0]), float(accuracy[0]), float(np.mean(f1))), strict=True))

    def ruling(self, weights: Floats) -> Floats:
        """[B] mean of average precision and balanced accuracy for each row of weights [B, held-back samples]."""
        blocks = np.array_split(weights, max(1, weights.size // 1_000_000))
        return np.concatenate([np.mean(self._resampled(block), axis=0) for block in blocks])

    def _resampled(self, weights: Floats) -> tuple[Floats, Floats]:
        present = np.unique(self.truth)
        precisions, accuracies = [], []
        for predicted in self.predictions:
            hat = predicted.argmax(axis=1)
            for code in present:
                positive = self.truth == code
                accuracies.append(weights @ (positive & (hat == code)) / (weights @ positive))
                if code != self.largest:
                    precisions.append(average_precision(predicted[:, code], positive, weights))
        return np.mean(precisions, axis=0), np.mean(accuracies, axis=0)


def conclude(
    rounds: list[dict[str, Judged | None]],
    judged: str,
    n_train: int,
    n_holdout: int,
    notes: tuple[str, ...],
    seed: int,
    words: Words,
) -> Verdict:
    """The verdict over all repeats.

    rounds: of each repeat, the judgement of every method, None where it cannot be used. judged: the method that the
    sentence is about.
    """
    usable = [name for name in rounds[0] if all(methods[name] is not None for methods in rounds)]
    figures: dict[str, dict[str, float] | None] = dict.fromkeys(rounds[0])
    for name in usable:
        each = [judgement.figures() for methods in rounds if (judgement := methods[name]) is not None]
        figures[name] = {figure: float(np.mean([one[figure] for one in each])) for figure in FIGURES}
    found = {name: one for name, one in figures.items() if one is not None}
    others = [name for name in words.methods if name in found]
    if judged not in found:
        nothing = f"No synthetic {words.samples} were judged."
        return Verdict(figures, n_train, n_holdout, nothing, "unclear", notes=notes)
    best = max(others, key=lambda name: _ruling(found[name]))
    differences = [_differences(methods[judged], methods[best], seed + i) for i, methods in enumerate(rounds)]
    shortest = min(map(len, differences))
    pooled = np.mean([one[:shortest] for one in differences], axis=0)
    low, high = (float(q) for q in np.quantile(pooled, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]))
    one = next(judgement for judgement in rounds[0].values() if judgement is not None)
    n_rare = int((one.truth != one.largest).sum()) * len(rounds)
    difference = _ruling(found[judged]) - _ruling(found[best])
    helped: Helped = "unclear"
    if n_rare < MIN_RARE:
        outside = f"Only {n_rare} held-out {words.samples} are outside the largest class"
        notes = (*notes, f"{outside}: too few to tell methods apart.")
    elif low > 0 and difference >= MIN_DIFFERENCE:
        helped = "yes"
    elif high < 0 and difference <= -MIN_DIFFERENCE:
        helped = "no"
    return Verdict(
        figures,
        n_train,
        n_holdout,
        _sentence(found, judged, best, helped, n_holdout, words),
        helped,
        judged,
        best,
        difference,
        (low, high),
        notes,
    )


def _differences(judged: Judged | None, best: Judged | None, seed: int) -> Floats:
    """[B] paired bootstrap of the ruling figure: the judged method less the best other one."""
    assert judged is not None
    assert best is not None
    rng = np.random.default_rng(seed)
    truth = judged.truth
    n_classes = len(np.unique(truth))
    n_draws = int(np.clip(4e7 / (len(truth) * n_classes), 100, 1000))
    weights = np.zeros((n_draws, len(truth)))
    for code in np.unique(truth):
        rows = np.flatnonzero(truth == code)
        drawn = rng.integers(0, len(rows), (n_draws, len(rows))) + np.arange(n_draws)[:, None] * len(rows)
        weights[:, rows] = np.bincount(drawn.ravel(), minlength=n_draws * len(rows)).reshape(n_draws, len(rows))
    return judged.ruling(weights) - best.ruling(weights)


def _ruling(figures: Mapping[str, float]) -> float:
    return (figures["average_precision"] + figures["balanced_accuracy"]) / 2


def _sentence(
    found: Mapping[str, Mapping[str, float]], judged: str, best: str, helped: Helped, n_holdout: int, words: Words
) -> str:
    """One sentence with the figures of the synthetic samples and, per figure, of the best alternative."""
    parts: list[str] = []
    behind = False
    for figure, called in (("average_precision", "average precision"), ("balanced_accuracy", "balanced accuracy")):
        rival = max((name for name in words.methods if name in found), key=lambda name: found[name][figure])
        ours, theirs = found[judged][figure], found[rival][figure]
        behind |= ours < theirs
        phrase = "" if parts else " for the best alternative"
        parts.append(f"{called} {_short(ours)} against {_short(theirs)}{phrase} ({words.methods[rival]})")
    on = f"on {n_holdout:,} held-out {words.samples}"
    if helped == "yes":
        opening = "helped on the whole" if behind else "helped"
        return f"The synthetic {words.samples} {opening}: {', '.join(parts)}, {on}."
    if helped == "no":
        instead = f"leave the {words.whole} as it is" if best == "none" else f"use {words.methods[best]} instead"
        return f"The synthetic {words.samples} did not help: {', '.join(parts)}, {on}; {instead}."
    return f"No clear difference: {', '.join(parts)}, {on}."


def _short(figure: float) -> str:
    return f"{figure:.3f}".removeprefix("0")


def average_precision(score: Floats, positive: np.ndarray[Any, np.dtype[np.bool_]], weights: Floats) -> Floats:
    """Average precision under many weightings of the samples at once.

    score: [N], higher means positive; equal scores count as one threshold. positive: [N]. weights: [B, N], >= 0, such
    as how often each is in a bootstrap sample. Returns [B]; equals scikit-learn's `average_precision_score` with
    `sample_weight`.
    """
    order = np.argsort(-score, kind="stable")
    last_of_score = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    ordered = weights[:, order]
    above = np.cumsum(ordered, axis=1)[:, last_of_score]
    hits = np.cumsum(ordered * positive[order], axis=1)[:, last_of_score]
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    averaged: Floats = (gained * precision).sum(axis=1) / hits[:, -1]
    return averaged


def plain(label: object) -> str:
    """A label as sentences spell it, without what numpy wraps around it."""
    return repr(label.item() if isinstance(label, np.generic) else label)


def holdout_notes(codes: Ints, labels: Sequence[Any], words: Words) -> list[str]:
    """A sentence on the classes that cannot be judged, where there are such. labels: of each code."""
    alone = np.flatnonzero(np.bincount(codes, minlength=len(labels)) == 1)
    if not len(alone):
        return []
    named = ", ".join(plain(labels[code]) for code in alone[:5]) + (", ..." if len(alone) > 5 else "")
    stays = f"a single {words.samples.removesuffix('s')}, which stays with the training {words.samples}"
    return [f"{len(alone)} class(es) have {stays} and is not judged: {named}."]
