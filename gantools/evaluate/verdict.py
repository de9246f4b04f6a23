"""How the verdict on synthetic samples is reached, for tables and images alike.

1. Real samples are held back first, stratified by class. Every method balances the other samples alone: the balancers
   under test, and built-in ones such as random repetition. `threshold` makes no samples: it divides each class's
   probability, as found without balancing, by the class's share of the training samples, which for two classes is a
   threshold at the rarer one's share.
2. Classifiers are trained on each method's samples and predict the held-back ones. The figures are means over the
   classifiers: average precision (mean over all classes but the largest), balanced accuracy and macro F1 (both at the
   classifiers' own threshold).
3. Methods are ranked by the mean of average precision and balanced accuracy: balancing is meant to raise the second and
   must not cost more of the first. The synthetic samples are compared with the BEST of the built-in methods.
4. The held-back samples are resampled (stratified bootstrap, the same samples for both methods). Where the 90 %
   interval of the difference lies above zero the synthetic samples helped, where it lies below they did not, otherwise
   there is no clear difference. Nor is there one below `MIN_DIFFERENCE`, which nobody would notice, or with fewer than
   `MIN_RARE` held-back samples outside the largest class.

The interval covers the chance of which samples were held back, not that of training the same method again.

Balancing ruins probabilities (van den Goorbergh et al. 2022, 'The harm of class imbalance corrections for risk
prediction models'), so each method also has its Brier score and its calibration error, as they come and once the shares
of the classes it was trained on are divided out and the real ones put in their place. The advice is to leave the data
as they are where no method is clearly better, else the simplest method within one standard error of the best; its
intervals are adjusted for the number of methods that are compared (Bonferroni).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from gantools.data.tables.formatting import format_cell
from gantools.stages import Stage
from gantools.words import listed

Helped = Literal["yes", "no", "unclear"]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Balancer = TypeVar("Balancer")
Balanced = TypeVar("Balanced")

FIGURES = ("average_precision", "balanced_accuracy", "macro_f1")  # higher is better
CALIBRATION = ("brier", "calibration_error", "brier_recalibrated", "calibration_error_recalibrated")  # 0 is best
Judged = Mapping[str, Mapping[str, float]]  # by method or by classifier, the figures of it
METHODS = {  # the built-in methods in words, the simplest first
    "none": "no balancing",
    "threshold": "a moved threshold",
    "weights": "class weights",
    "repetition": "repetition",
    "smote": "SMOTE",
    "classical": "classical augmentation",
}
MAX_HELD = 20_000  # samples held back
FEW_RARE = 100  # held-back samples outside the largest class below which a note says that repeating helps
MIN_RARE = 10  # held-back samples outside the largest class below which no difference is called clear
MIN_DIFFERENCE = 0.005  # of the figure that methods are ranked by, below which no difference is called clear
INTERVAL = 0.90
N_BINS = 10  # of predictions, by which calibration is judged


@dataclass(frozen=True, slots=True)
class Words:
    """What the sentences call one sample, and where the samples are from."""

    sample: str
    source: str

    @property
    def samples(self) -> str:
        return f"{self.sample}s"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the classifiers of each method predicted for the samples held back, of all repeats.

    truth: [N], classes by their place in `labels`. probabilities: method -> classifier -> [N, classes], with the shares
    of the classes that were trained on divided out.
    """

    labels: Sequence[Any]
    truth: Ints
    probabilities: Mapping[str, Mapping[str, Floats]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures of every method on held-out real samples, and one sentence on what they mean.

    scores: per method the figures of `FIGURES`, each in [0, 1] and higher is better, and those of `CALIBRATION`, of
    which 0 is best; None where the method cannot be used on this data (the notes say why). Empty when no verdict could
    be reached.
    n_train, n_holdout: real samples the methods worked on, and real ones held back (of one repeat).
    helped: whether the synthetic samples beat the best other method; "unclear" also when there is no verdict.
    judged: the method the sentence is about. best_alternative: the best built-in method.
    difference, interval: the mean of average precision and balanced accuracy of `judged` less that of
    `best_alternative`, and its 90 % interval. notes: what else a reader must know, one sentence each. recommended: no
    balancing, or the simplest method within one standard error of the best. advice: what to do, how sure that is and
    what it costs. classifiers: per method and classifier the same figures as in `scores`. classifier: the one that is
    best with the recommended method, where thresholds may be moved. held_out: the predictions that all of this was
    found from.
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
    recommended: str = ""
    advice: str = ""
    classifiers: Mapping[str, Judged] = field(default_factory=dict)
    classifier: str = ""
    held_out: HeldOut | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain values for `json.dumps`."""
        values = asdict(replace(self, held_out=None))
        del values["held_out"]
        values["interval"] = None if self.interval is None else list(self.interval)
        values["notes"] = list(self.notes)
        return values


class Bench(ABC, Generic[Balancer, Balanced]):
    """One split of the real samples: balances the training side, and tests classifiers on the side held back.

    Tables and images have a subclass each, whose `Balanced` are training samples together with synthetic ones.
    classifiers: their names. problem: why they cannot be trained, or nothing. notes: what a reader of the verdict must
    know.
    """

    classifiers: tuple[str, ...]
    problem = ""

    def __init__(self, codes: Ints, n_classes: int, seed: int, stage: Stage | None = None) -> None:
        """codes: [N], the class of each training sample. stage: that of `predict`."""
        self.codes, self.n_classes, self.seed, self.stage = codes, n_classes, seed, stage or Stage()
        self.rng = np.random.default_rng(seed)
        self.counts: Ints = np.bincount(codes, minlength=n_classes)
        self.notes: list[str] = []

    @abstractmethod
    def balance(self, balancer: Balancer, name: str) -> tuple[Balanced, Ints]:
        """What a balancer makes of the training samples, and how many of each class there are then.

        Raises DataError where it returns what does not fit.
        """

    @abstractmethod
    def built_in(self, n_to_make: Ints) -> dict[str, Balanced | None]:
        """Each built-in method's samples, so many more of each class; None where a method cannot be used."""

    @abstractmethod
    def predict(self, methods: Mapping[str, Balanced]) -> dict[str, list[Floats]]:
        """Class probabilities [held-back samples, classes] of each classifier, in the order of `classifiers`, trained
        on each method's samples."""

    def draw_again(self, n_to_draw: Ints) -> Ints:
        """Places of training samples of each class, drawn at random with replacement."""
        drawn = [self.rng.choice(np.flatnonzero(self.codes == code), n) for code, n in enumerate(n_to_draw) if n]
        return np.concatenate([np.arange(0), *drawn])


def reach_verdict(
    make_bench: Callable[[Ints, Ints, int], Bench[Balancer, Balanced]],
    codes: Ints,
    labels: Sequence[Any],
    balancers: Mapping[str, Balancer],
    words: Words,
    *,
    seed: int,
    holdout: float,
    max_held: int,
    n_repeats: int = 1,
) -> Verdict:
    """Compare balancers with the built-in methods on held-back samples.

    make_bench: function of the places of the training samples, those of the held-back ones, and a seed. codes: [N], the
    class of each real sample, positions in `labels`. balancers: name -> what `Bench.balance` takes; the sentence is
    about "gantools" where present, else the first one. The built-in methods make as many samples of each class as that
    one did; without balancers classes grow to the largest.
    """
    judged = "gantools" if "gantools" in balancers else next(iter(balancers), "")
    notes = _single_sample_notes(codes, labels, words)
    rounds: list[dict[str, Predictions | None]] = []
    for repeat in range(n_repeats):
        train, held = holdback(codes, holdout=holdout, seed=seed + repeat, max_held=max_held)
        bench = make_bench(train, held, seed + repeat)
        if problem := bench.problem or _class_problem(codes, held, words):
            return Verdict({}, len(train), len(held), f"No verdict: {problem}.", "unclear")
        goal: Ints = np.full(len(labels), bench.counts.max())
        made: dict[str, Balanced] = {}
        seen: dict[str, Ints] = {}
        for name, balancer in balancers.items():
            made[name], counts = bench.balance(balancer, name)
            goal = counts if name == judged else goal
            seen[name] = counts
        methods = {**bench.built_in(np.maximum(goal - bench.counts, 0)), **made}
        found = bench.predict({name: samples for name, samples in methods.items() if samples is not None})
        rounds.append(_predictions(codes[held], bench.counts, goal, seen, methods, found))
        notes += bench.notes
    reached = _conclude(rounds, judged, balancers, len(train), len(held), tuple(dict.fromkeys(notes)), seed, words)
    return _with_classifiers(reached, rounds, bench.classifiers, labels)


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


def _predictions(
    truth: Ints,
    real: Ints,
    goal: Ints,
    seen: Mapping[str, Ints],
    methods: Mapping[str, Any],
    found: Mapping[str, list[Floats]],
) -> dict[str, Predictions | None]:
    """What each method's classifiers predict, the moved threshold's right behind no balancing.

    real, goal: samples of each class before balancing and after. seen: those after, for methods that do not reach
    `goal`.
    """
    largest = int(real.argmax())
    each: dict[str, Predictions | None] = {}
    for name in methods:
        counts = real if name == "none" else seen.get(name, goal)
        if name == "weights":
            counts = np.minimum(real, 1)
        each[name] = Predictions(truth, found[name], largest, counts, real) if name in found else None
        if name == "none":
            even: Ints = np.ones_like(real)
            moved = [with_shares(p, real, even) for p in found[name]]
            each["threshold"] = Predictions(truth, moved, largest, even, real)
    return each


def with_shares(probabilities: Floats, before: Ints, after: Ints) -> Floats:
    """Class probabilities [N, classes] of a classifier trained on so many samples of each class, as if on others.

    Saerens et al. 2002, 'Adjusting the Outputs of a Classifier to New a Priori Probabilities'.
    """
    ratio = np.divide(after, before, out=np.zeros(len(before)), where=before > 0)
    changed = probabilities * ratio
    total = changed.sum(axis=1, keepdims=True)
    shared: Floats = np.full_like(changed, 1 / changed.shape[1])
    np.divide(changed, total, out=shared, where=total > 0)
    return shared


class Predictions:
    """What the classifiers trained by one method predict for the held-back samples, and the figures that follow."""

    def __init__(
        self, truth: Ints, predictions: Sequence[Floats], largest: int, trained_on: Ints | None = None,
        real: Ints | None = None,
    ) -> None:  # fmt: skip
        """truth: [N] classes. predictions: of each classifier [N, classes]. largest: the class of most samples.

        trained_on, real: samples of each class that the classifiers learned from, and that there really are; None
        where they are the same.
        """
        self.truth = truth
        self.predictions = predictions
        self.largest = largest
        self.trained_on, self.real = trained_on, real

    @property
    def recalibrated(self) -> list[Floats]:
        """The probabilities with the shares that were trained on divided out, and the real ones in their place."""
        if self.trained_on is None or self.real is None:
            return list(self.predictions)
        return [with_shares(p, self.trained_on, self.real) for p in self.predictions]

    def of_classifier(self, k: int) -> Predictions:
        """What one classifier alone predicts."""
        return Predictions(self.truth, [self.predictions[k]], self.largest, self.trained_on, self.real)

    def balanced(self) -> Predictions:
        """The same predictions where every class counts alike."""
        if self.real is None:
            return self
        moved = [with_shares(p, self.real, np.ones_like(self.real)) for p in self.recalibrated]
        return Predictions(self.truth, moved, self.largest)

    def figures(self) -> dict[str, float]:
        """Those of `FIGURES` and of `CALIBRATION`, means over the classifiers."""
        once = np.ones((1, len(self.truth)))
        precision, accuracy = self._resampled(once)
        f1 = [f1_score(self.truth, p.argmax(axis=1), average="macro", zero_division=0) for p in self.predictions]
        found = [float(precision[0]), float(accuracy[0]), float(np.mean(f1))]
        for predictions in (self.predictions, self.recalibrated):
            found += [
                float(np.mean([judged(self.truth, p) for p in predictions])) for judged in (brier, miscalibration)
            ]
        return dict(zip((*FIGURES, *CALIBRATION), found, strict=True))

    def roc_auc(self) -> float:
        """The ROC AUC of each class against the others, a mean over classes and classifiers. Needs two classes."""
        each = [
            roc_auc_score(self.truth == code, predicted[:, code])
            for predicted in self.predictions
            for code in np.unique(self.truth)
        ]
        return float(np.mean(each))

    def mean_figure(self, weights: Floats) -> Floats:
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


def _conclude(
    rounds: list[dict[str, Predictions | None]],
    judged: str,
    balancers: Collection[str],
    n_train: int,
    n_holdout: int,
    notes: tuple[str, ...],
    seed: int,
    words: Words,
) -> Verdict:
    """The verdict over all repeats. rounds: of each repeat, the predictions by every method."""
    figures: dict[str, dict[str, float] | None] = {}
    for name in rounds[0]:
        each = [predictions.figures() for methods in rounds if (predictions := methods[name]) is not None]
        is_usable = len(each) == len(rounds)
        means = (
            {key: float(np.mean([one[key] for one in each])) for key in (*FIGURES, *CALIBRATION)} if is_usable else None
        )
        figures[name] = means
    found = {name: one for name, one in figures.items() if one is not None}
    if judged not in found:
        nothing = f"No synthetic {words.samples} were evaluated."
        return Verdict(figures, n_train, n_holdout, nothing, "unclear", notes=notes)
    built_in = {name: one for name, one in found.items() if name not in balancers}
    best = max(built_in, key=lambda name: mean_figure(built_in[name]))
    draws = _bootstrapped(rounds, list(found), seed, n_holdout / (n_train + n_holdout))
    low, high = interval(draws[judged] - draws[best])
    one = next(predictions for predictions in rounds[0].values() if predictions is not None)
    n_rare = int((one.truth != one.largest).sum()) * len(rounds)
    recommended = _recommended(found, draws) if n_rare >= MIN_RARE else ""
    advice = _advice(recommended, judged, found, draws, words) if recommended else ""
    difference = mean_figure(found[judged]) - mean_figure(found[best])
    helped: Helped = "unclear"
    if n_rare < MIN_RARE:
        outside = f"Only {n_rare} held-out {words.samples} are outside the largest class"
        notes = (*notes, f"{outside}: too few to tell methods apart.")
    elif low > 0 and difference >= MIN_DIFFERENCE:
        helped = "yes"
    elif high < 0 and difference <= -MIN_DIFFERENCE:
        helped = "no"
    elif n_rare < FEW_RARE:
        outside = f"With {n_rare} held-out {words.samples} outside the largest class only large differences show"
        notes = (*notes, f"{outside}; repeating the verdict shows smaller ones.")
    sentence = _sentence(found[judged], built_in, best, helped, tested_on(n_holdout, len(rounds)), words)
    return Verdict(
        figures, n_train, n_holdout, sentence, helped, judged, best, difference, (low, high), notes, recommended, advice
    )


def _with_classifiers(
    verdict: Verdict,
    rounds: Sequence[Mapping[str, Predictions | None]],
    classifiers: Sequence[str],
    labels: Sequence[Any],
) -> Verdict:
    """The verdict with what each classifier did by itself."""
    usable = [name for name in rounds[0] if all(methods[name] is not None for methods in rounds)]
    found: dict[str, dict[str, dict[str, float]]] = {}
    ranks: dict[str, float] = {}  # of the classifiers with the recommended method
    held: dict[str, dict[str, Floats]] = {}
    for name in usable:
        every = [predictions for methods in rounds if (predictions := methods[name]) is not None]
        found[name], held[name] = {}, {}
        for k, classifier in enumerate(classifiers):
            each = [predictions.of_classifier(k) for predictions in every]
            figures = [one.figures() for one in each]
            found[name][classifier] = {key: float(np.mean([one[key] for one in figures])) for key in figures[0]}
            if name == (verdict.recommended or "none"):
                ranks[classifier] = float(np.mean([mean_figure(one.balanced().figures()) for one in each]))
            held[name][classifier] = np.concatenate([one.recalibrated[0] for one in each])
    truth = np.concatenate([next(one.truth for one in methods.values() if one is not None) for methods in rounds])
    return replace(
        verdict,
        classifiers=found,
        classifier=max(ranks, key=lambda name: ranks[name], default=""),
        held_out=HeldOut(labels, truth, held),
    )


def _bootstrapped(
    rounds: Sequence[Mapping[str, Predictions | None]], names: Sequence[str], seed: int, share: float
) -> dict[str, Floats]:
    """Method -> its mean figure for each of B draws of the held-back samples, which are the same for all methods.

    share: of the samples that is held back each time.
    """
    each: dict[str, list[Floats]] = {name: [] for name in names}
    for k, methods in enumerate(rounds):
        usable = {name: one for name in names if (one := methods[name]) is not None}
        weights = resampled(next(iter(usable.values())).truth, seed + k)
        for name, predictions in usable.items():
            each[name].append(predictions.mean_figure(weights))
    shortest = min(len(draws) for several in each.values() for draws in several)
    return {name: over_repeats([draws[:shortest] for draws in several], share) for name, several in each.items()}


def over_repeats(draws: Sequence[Floats], share: float) -> Floats:
    """The mean over repeats of B draws each, spread as far as repeats that share samples leave it uncertain.

    share: of the samples that each repeat holds back, about how far any two of them go together (Nadeau and Bengio
    2003, 'Inference for the Generalization Error').
    """
    together: Floats = np.mean(draws, axis=0)
    middle = together.mean(axis=0)
    wider: Floats = middle + np.sqrt(1 + (len(draws) - 1) * share) * (together - middle)
    return wider


def resampled(truth: Ints, seed: int) -> Floats:
    """[B, N] how often each sample is in each of B stratified bootstrap samples."""
    rng = np.random.default_rng(seed)
    n_classes = len(np.unique(truth))
    n_draws = int(np.clip(4e7 / (len(truth) * n_classes), 100, 1000))
    weights = np.zeros((n_draws, len(truth)))
    for code in np.unique(truth):
        rows = np.flatnonzero(truth == code)
        drawn = rng.integers(0, len(rows), (n_draws, len(rows))) + np.arange(n_draws)[:, None] * len(rows)
        weights[:, rows] = np.bincount(drawn.ravel(), minlength=n_draws * len(rows)).reshape(n_draws, len(rows))
    return weights


def interval(draws: Floats, n_comparisons: int = 1) -> tuple[float, float]:
    """Between which values a difference lies, so that as many comparisons hold together."""
    outside = (1 - INTERVAL) / 2 / max(n_comparisons, 1)
    low, high = np.quantile(draws, [outside, 1 - outside])
    return float(low), float(high)


def mean_figure(figures: Mapping[str, float]) -> float:
    """What methods are ranked by: the mean of average precision and balanced accuracy."""
    return (figures["average_precision"] + figures["balanced_accuracy"]) / 2


def _recommended(figures: Mapping[str, Mapping[str, float]], draws: Mapping[str, Floats]) -> str:
    """No balancing where no method is clearly better; else the simplest within one standard error of the best.

    The best of several is ahead by chance more often than one would be, so what is clear is stricter the more there
    are. One standard error is the rule of Breiman et al. 1984, 'Classification and Regression Trees'. Methods without a
    rank are the least simple.
    """
    best = max(figures, key=lambda name: mean_figure(figures[name]))
    simplest_first = [name for name in (*METHODS, *figures) if name in figures]
    ahead = {name: mean_figure(figures[best]) - mean_figure(figures[name]) for name in simplest_first}
    return near_best(ahead, {name: draws[best] - draws[name] for name in ahead}, MIN_DIFFERENCE)


def near_best(ahead: Mapping[str, float], draws: Mapping[str, Floats], least: float) -> str:
    """The first method that is near the best one.

    ahead: by how much the best one is better than each, the simplest first; the best one itself is among them, with 0.
    draws: the same of each bootstrap draw. least: a difference that counts. "none" is near unless the best one is
    clearly better; others are within one standard error.
    """
    for name, difference in ahead.items():
        close = interval(draws[name], len(ahead) - 1)[0] <= 0 if name == "none" else difference <= draws[name].std()
        if close or difference < least:
            return name
    raise ValueError("the best method is not among them")


def tested_on(n_holdout: int, n_repeats: int) -> str:
    """How many samples were held back, in words."""
    return f"{n_holdout:,}" if n_repeats == 1 else f"{n_repeats} times {n_holdout:,}"


def _advice(
    name: str,
    judged: str,
    figures: Mapping[str, Mapping[str, float]],
    draws: Mapping[str, Floats],
    words: Words,
) -> str:
    """Two sentences on the recommended method: what to do and what that gains; how synthetic samples stand beside it,
    or what balanced ones cost."""
    todo = {
        "none": f"leave the {words.source} as it is",
        "threshold": f"train on the {words.source} as it is and divide each predicted probability by the share of its "
        "class; for two classes, move the threshold to the share of the rarer one",
        "weights": f"train on the {words.source} as it is, with class weights",
    }.get(name, f"train on {words.samples} balanced by {METHODS.get(name, name)}")

    def gain(other: str, over: str) -> str:
        ahead = mean_figure(figures[other]) - mean_figure(figures[over])
        low, high = interval(draws[other] - draws[over], len(figures) - 1)
        return f"{ahead:+.3f} (adjusted 90 % interval {low:+.3f} to {high:+.3f})"

    best = max(figures, key=lambda other: mean_figure(figures[other]))
    if name == "none":
        gained = "no other method was better"
        if best != name:
            gained = f"no other method was clearly better, {METHODS.get(best, best)} by {gain(best, name)}"
    else:
        of = "the mean of average precision and balanced accuracy"
        gained = f"over no balancing that changes {of} by {gain(name, 'none')}"
    said = f"{todo[0].upper()}{todo[1:]}: {gained}."
    if name == "none" and best == judged:
        return said
    if name in ("none", "threshold", "weights") and name != judged:
        is_worse = interval(draws[judged] - draws[name], len(figures) - 1)[1] < 0
        stand = "worse" if is_worse else "not clearly better"
        return f"{said} Synthetic {words.samples} are {stand} than that: {gain(judged, name)}."
    brier_scores = f"{_short(figures[name]['brier'])} against {_short(figures['none']['brier'])} without balancing"
    recalibrated = _short(figures[name]["brier_recalibrated"])
    return (
        f"{said} Recalibrate the probabilities before you rely on them: their Brier score is {brier_scores}, "
        f"{recalibrated} once recalibrated."
    )


def _sentence(
    figures: Mapping[str, float],
    built_in: Mapping[str, Mapping[str, float]],
    best: str,
    helped: Helped,
    tested: str,
    words: Words,
) -> str:
    """One sentence with the figures of the synthetic samples and, per figure, of the best alternative."""
    parts: list[str] = []
    behind = False
    for figure, called in (("average_precision", "average precision"), ("balanced_accuracy", "balanced accuracy")):
        rival = max(built_in, key=lambda name: built_in[name][figure])
        ours, theirs = figures[figure], built_in[rival][figure]
        behind |= ours < theirs
        phrase = "" if parts else " for the best alternative"
        parts.append(f"{called} {_short(ours)} against {_short(theirs)}{phrase} ({METHODS[rival]})")
    on = f"on {tested} held-out {words.samples}"
    if helped == "yes":
        opening = "helped on the whole" if behind else "helped"
        return f"The synthetic {words.samples} {opening}: {', '.join(parts)}, {on}."
    if helped == "no":
        instead = f"leave the {words.source} as it is" if best == "none" else f"use {METHODS[best]} instead"
        return f"The synthetic {words.samples} did not help: {', '.join(parts)}, {on}; {instead}."
    return f"No clear difference: {', '.join(parts)}, {on}."


def _short(figure: float) -> str:
    return f"{figure:.3f}".removeprefix("0")


def brier(truth: Ints, probabilities: Floats) -> float:
    """The Brier score of class probabilities [N, classes]: 0 is best; for two classes as scikit-learn has it."""
    hit = np.zeros_like(probabilities)
    hit[np.arange(len(truth)), truth] = 1
    return float(0.5 * ((probabilities - hit) ** 2).sum(axis=1).mean())


def miscalibration(truth: Ints, probabilities: Floats) -> float:
    """The expected calibration error of class probabilities [N, classes]: 0 is best.

    Of each class, how far the mean probability and the share of samples lie apart in bins of equally many samples; the
    mean over bins and classes. After Nixon et al. 2019, 'Measuring Calibration in Deep Learning'.
    """
    errors = []
    for code in np.unique(truth):
        order = np.argsort(probabilities[:, code], kind="stable")
        bins = np.array_split(order, min(N_BINS, len(order)))
        errors += [abs(probabilities[rows, code].mean() - (truth[rows] == code).mean()) for rows in bins]
    return float(np.mean(errors))


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


def _class_problem(codes: Ints, held: Ints, words: Words) -> str:
    """Why the samples held back cannot tell methods apart, or nothing."""
    if len(np.unique(codes)) < 2:
        return f"the {words.source} has a single class"
    if len(np.unique(codes[held])) < 2:
        return f"fewer than two classes have the two {words.samples} that are needed to hold one back"
    return ""


def _single_sample_notes(codes: Ints, labels: Sequence[Any], words: Words) -> list[str]:
    """A sentence on the classes of a single sample, where there are such."""
    alone = [label for label, n in zip(labels, np.bincount(codes, minlength=len(labels)), strict=True) if n == 1]
    if not alone:
        return []
    named = listed(map(format_cell, alone), quote="")
    return [f"Classes with a single {words.sample} keep it for training and are not evaluated: {named}."]
