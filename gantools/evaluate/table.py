"""The verdict on a table: do the synthetic rows help classifiers on real rows that nothing has seen?

How it is reached:

1. Real rows are held back first, stratified by class. Every method works on the other rows alone: no balancing
   (`none`), random repetition (`repetition`), SMOTE or, with text columns, SMOTENC (`smote`), and the balancers given.
2. Two judges, logistic regression and histogram gradient boosting, are trained on each method's rows and predict the
   held-back rows. Figures are means over the judges: average precision (mean over all classes but the largest),
   balanced accuracy and macro F1 (both at the judges' own threshold).
3. The ruling figure is the mean of average precision and balanced accuracy: balancing is bought for the second and must
   not be paid for with the first. The synthetic rows are compared with the BEST of the other methods by that figure.
4. The held-back rows are resampled (bootstrap, stratified, the same rows for both methods). Where the 90 % interval of
   the difference lies above zero the rows helped, where it lies below they did not, otherwise there is no clear
   difference. Nor is there one below `MIN_DIFFERENCE`, which nobody would notice, or with fewer than `MIN_RARE_ROWS`
   held-back rows outside the largest class.

The interval covers the chance of which rows were held back, not that of training the same method again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gantools.data.dates import parse
from gantools.errors import DataError

if TYPE_CHECKING:
    from gantools.data.schema import Schema

Balancer = Callable[[pd.DataFrame, int], pd.DataFrame]
Helped = Literal["yes", "no", "unclear"]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

JUDGES = ("logistic regression", "histogram gradient boosting")
FIGURES = ("average_precision", "balanced_accuracy", "macro_f1")
NAMES = {"none": "no balancing", "repetition": "repetition", "smote": "SMOTE"}

MAX_ROWS = 20_000  # real rows a judge trains on, and held-back rows it is judged on
MAX_CELLS = 2_000_000  # the same for wide tables: rows times columns
MAX_NEIGHBOUR_ROWS = 5_000  # rows of one class among which SMOTE looks for neighbours
MAX_LEVELS = 50  # levels of a text column that the judges tell apart; the rarer ones are one level
MIN_RARE_ROWS = 10  # held-back rows outside the largest class below which no difference is called clear
MIN_DIFFERENCE = 0.005  # of the ruling figure, below which no difference is called clear
INTERVAL = 0.90


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures of every method on held-out real rows, and one sentence on what they mean.

    scores: per method the figures of `FIGURES`, each in [0, 1] and higher is better; None where the method cannot be
    used on this table (the notes say why). Empty when no verdict could be reached.
    n_train, n_holdout: real rows the methods worked on, and real rows held back (of one repeat).
    helped: whether the synthetic rows beat the best other method; "unclear" also when there is no verdict.
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


def verdict(
    frame: pd.DataFrame,
    target: str,
    balancers: Mapping[str, Balancer],
    *,
    schema: Schema | None = None,
    seed: int = 0,
    holdout: float = 0.25,
    n_repeats: int = 1,
) -> Verdict:
    """Judge the balancers against no balancing, random repetition and SMOTE on held-out real rows.

    frame: the real rows, `target` among its columns; rows without a label are left out. Never changed.
    balancers: name -> function of (training rows, seed) that returns those rows, first and untouched, followed by the
    rows it made (columns it adds are ignored). The sentence is about "gantools" where present, else the first one.
    The built-in methods make as many rows per class as that one did; without balancers classes grow to the largest.
    schema: kinds of the columns; identifiers and constants are kept from the judges. Without it the dtypes decide.
    holdout: share of the rows of each class to hold back, in (0, 1); a class with two or more rows always has one on
    either side, a class with a single row stays with the training rows.
    n_repeats: how many times to split, balance and judge anew; figures are means. Each repeat costs the same.

    Raises DataError when `target` is not a column. A table that cannot be judged gives a Verdict without scores whose
    sentence says why; what a balancer raises is passed on.
    """
    if target not in frame.columns:
        raise DataError("there is no such column", where=f"column {target!r}", remedy="name a column of the table")
    frame = frame[frame[target].notna()].reset_index(drop=True)
    labels = list(pd.unique(frame[target]))
    codes = _codes(frame[target], labels)
    train, held = holdback(codes, holdout=holdout, seed=seed, max_held=_row_limit(frame.shape[1]))
    features = _Features(frame.iloc[train], target, schema)
    problem = _problem(codes, held, features)
    if problem:
        return Verdict({}, len(train), len(held), f"No verdict: {problem}.", "unclear")

    judged = "gantools" if "gantools" in balancers else next(iter(balancers), "")
    notes = _holdout_notes(codes, labels)
    rounds: list[dict[str, _Judged | None]] = []
    for repeat in range(n_repeats):
        if repeat:
            train, held = holdback(codes, holdout=holdout, seed=seed + repeat, max_held=_row_limit(frame.shape[1]))
            features = _Features(frame.iloc[train], target, schema)
        bench = _Bench(frame, target, labels, codes, train, held, features, seed + repeat)
        methods: dict[str, _Judged | None] = {}
        goal: Ints | None = None
        for name in sorted(balancers, key=lambda name: name != judged):
            made = bench.made_by(balancers[name](frame.iloc[train].reset_index(drop=True), seed + repeat), name)
            goal = bench.counts + made.counts if name == judged else goal
            methods[name] = bench.judge(made)
        if goal is None:
            goal = np.full(len(labels), bench.counts.max())
        n_to_make = np.maximum(goal - bench.counts, 0)
        rounds.append(
            {
                "none": bench.judge(bench.nothing()),
                "repetition": bench.judge(bench.repeated(n_to_make)),
                "smote": bench.judge(bench.interpolated(n_to_make)),
                **{name: methods[name] for name in balancers},
            }
        )
        notes += bench.notes
    return _conclude(rounds, judged, len(train), len(held), tuple(dict.fromkeys(notes)), seed)


def scores(
    train: pd.DataFrame, held: pd.DataFrame, target: str, *, schema: Schema | None = None, seed: int = 0
) -> dict[str, float]:
    """The verdict's figures for judges trained on `train` (real or synthetic rows) and judged on the real rows `held`.

    Uses all rows of both. The largest class, which average precision leaves out, is the one of `held`.
    """
    labels = list(pd.unique(pd.concat([train[target], held[target]])))
    features = _Features(train, target, schema)
    y_train, y_held = _codes(train[target], labels), _codes(held[target], labels)
    predictions = _predict(features, features.matrix(train), y_train, features.matrix(held), len(labels), seed)
    return _Judged(y_held, predictions, int(np.bincount(y_held).argmax())).figures()


def holdback(codes: Ints, *, holdout: float = 0.25, seed: int = 0, max_held: int = MAX_ROWS) -> tuple[Ints, Ints]:
    """Split row numbers into training and held-back ones, stratified by class.

    codes: [N], the class of each row. Classes with two or more rows are on both sides, single rows only in training.
    Returns both row numbers ascending; at most about `max_held` are held back, the rest train.
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(codes)
    share = min(holdout, max_held / max(len(codes), 1))
    n_held = np.where(counts > 1, np.clip(np.rint(counts * share).astype(np.int64), 1, np.maximum(counts - 1, 1)), 0)
    held = np.zeros(len(codes), dtype=bool)
    for code in np.flatnonzero(n_held):
        held[rng.choice(np.flatnonzero(codes == code), n_held[code], replace=False)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


class _Features:
    """Turns any table with the training rows' columns into one matrix: numbers, dates as seconds, levels as codes.

    NaN is a missing number or date. A missing level is a level of its own; the levels beyond the most frequent
    `MAX_LEVELS` share one, as do levels never seen in the training rows when there are such; otherwise those are -1.
    """

    def __init__(self, train: pd.DataFrame, target: str, schema: Schema | None) -> None:
        kinds = {} if schema is None else {column.name: column for column in schema.columns}
        self.kinds: dict[str, str] = {}
        self.formats: dict[str, str | None] = {}
        self.levels: dict[str, pd.Index[Any]] = {}
        for name in train.columns:
            if name == target or name == "is_synthetic":
                continue
            column = kinds.get(str(name))
            kind = _kind(train[name]) if column is None else _JUDGED_AS.get(str(column.kind), "")
            if not kind or train[name].isna().all():
                continue
            self.kinds[name] = kind
            self.formats[name] = None if column is None else column.format
            if kind == "level":
                codes, texts = _texts(train[name])
                order = np.argsort(-np.bincount(codes, minlength=len(texts)), kind="stable")
                kept = [texts[i] for i in order[:MAX_LEVELS]]
                self.levels[name] = pd.Index([*kept, _OTHER] if len(order) > MAX_LEVELS else kept, dtype=object)
        self.is_level = np.array([kind == "level" for kind in self.kinds.values()], dtype=bool)

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """[N, columns] float64 of any frame that has the training rows' columns."""
        columns = [self._column(frame[name], name, kind) for name, kind in self.kinds.items()]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def _column(self, column: pd.Series[Any], name: str, kind: str) -> Floats:
        if kind == "level":
            codes, texts = _texts(column)
            known = self.levels[name].get_indexer(pd.Index(texts, dtype=object))
            if self.levels[name][-1] == _OTHER:
                known = np.where(known < 0, len(self.levels[name]) - 1, known)
            return known[codes].astype(np.float64)
        return _seconds(column, self.formats[name]) if kind == "time" else _numbers(column)

    def filled(self, matrix: Floats) -> Floats:
        """The matrix with missing numbers replaced by their medians, as SMOTE needs it."""
        missing = np.isnan(matrix)
        if not missing.any():
            return matrix
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column that is missing everywhere has no median
            middle = np.nan_to_num(np.nanmedian(matrix, axis=0))
        return np.where(missing, middle, matrix)

    def encoder(self, real: Floats) -> ColumnTransformer:
        """For logistic regression: numbers imputed and scaled plus a mark where missing, levels one-hot (sparse)."""
        numbers, levels = np.flatnonzero(~self.is_level), np.flatnonzero(self.is_level)
        scaled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
        return ColumnTransformer(
            [
                ("numbers", scaled, numbers),
                ("missing", FunctionTransformer(np.isnan), numbers[np.isnan(real[:, numbers]).any(axis=0)]),
                ("levels", OneHotEncoder(handle_unknown="ignore"), levels),
            ],
            sparse_threshold=1.0,
        ).fit(real)


_OTHER = "(other)"
_MISSING = "(missing)"
_JUDGED_AS = {
    "continuous": "number",
    "integer": "number",
    "datetime": "time",
    "categorical": "level",
    "boolean": "level",
}


@dataclass(frozen=True, slots=True)
class _Made:
    """Rows a method made: their matrix and classes, and how many it made per class before thinning."""

    matrix: Floats
    codes: Ints
    counts: Ints
    replaces: bool = False  # the rows stand for the real ones instead of following them


class _Judged:
    """The judges' predictions for the held-back rows of one method, and the figures that follow from them."""

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
        """[B] mean of average precision and balanced accuracy for each row of weights [B, held-back rows]."""
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


class _Bench:
    """One split of a table: makes the built-in methods' rows and judges any method's."""

    def __init__(
        self,
        frame: pd.DataFrame,
        target: str,
        labels: list[Any],
        codes: Ints,
        train: Ints,
        held: Ints,
        features: _Features,
        seed: int,
    ) -> None:
        self.target, self.labels, self.features, self.seed = target, labels, features, seed
        self.rng = np.random.default_rng(seed)
        self.real, self.y = features.matrix(frame.iloc[train]), codes[train]
        self.held, self.y_held = features.matrix(frame.iloc[held]), codes[held]
        self.counts: Ints = np.bincount(self.y, minlength=len(labels))
        self.notes: list[str] = []
        # Judges see this share of every class of the real rows and of what a method made, so large tables stay quick.
        limit = _row_limit(len(features.kinds))
        self.share = min(1.0, limit / len(train))
        self.seen = self._thinned(self.y)
        if self.share < 1:
            self.notes.append(
                f"The judges saw {len(self.seen):,} of the {len(train):,} training rows, and that share of those made."
            )

    def _thinned(self, codes: Ints) -> Ints:
        """Row numbers of a share of every class, at least one row of each."""
        if self.share == 1:
            return np.arange(len(codes))
        kept = []
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            kept.append(self.rng.choice(rows, max(1, round(len(rows) * self.share)), replace=False))
        return np.sort(np.concatenate(kept)) if kept else np.arange(0)

    def judge(self, made: _Made | None) -> _Judged | None:
        """The judges' predictions after training on the real rows and the made ones."""
        if made is None:
            return None
        if made.replaces:
            matrix, codes = made.matrix, made.codes
        else:
            matrix, codes = (
                np.concatenate([self.real[self.seen], made.matrix]),
                np.concatenate([self.y[self.seen], made.codes]),
            )
        encoder = self.features.encoder(self.real[self.seen])
        predictions = _predict(self.features, matrix, codes, self.held, len(self.labels), self.seed, encoder)
        return _Judged(self.y_held, predictions, int(self.counts.argmax()))

    def made_by(self, balanced: pd.DataFrame, name: str) -> _Made:
        """The rows that a balancer added to the training rows; all it returned where those do not come first."""
        codes = _codes(balanced[self.target], self.labels)
        if (codes < 0).any():
            raise DataError("it made rows with labels that the table does not have", where=f"balancer {name!r}")
        n = len(self.y)
        replaces = len(codes) < n or not np.array_equal(codes[:n], self.y)
        rows = balanced if replaces else balanced.iloc[n:]
        codes = codes if replaces else codes[n:]
        counts: Ints = np.bincount(codes, minlength=len(self.labels)) - (self.counts if replaces else 0)
        kept = self._thinned(codes)
        return _Made(self.features.matrix(rows.iloc[kept]), codes[kept], counts, replaces)

    def nothing(self) -> _Made:
        return _Made(self.real[:0], self.y[:0], np.zeros_like(self.counts))

    def _to_make(self, n_to_make: Ints) -> Ints:
        wanted: Ints = np.rint(n_to_make * self.share).astype(np.int64)
        return wanted

    def repeated(self, n_to_make: Ints) -> _Made:
        """Rows of the growing classes drawn again at random."""
        wanted = self._to_make(n_to_make)
        rows = [self.rng.choice(np.flatnonzero(self.y == code), wanted[code]) for code in np.flatnonzero(wanted)]
        chosen = np.concatenate(rows) if rows else np.arange(0)
        return _Made(self.real[chosen], self.y[chosen], n_to_make)

    def interpolated(self, n_to_make: Ints) -> _Made | None:
        """Rows of the growing classes by SMOTE (SMOTENC with text columns); None where a class has a single row."""
        wanted = self._to_make(n_to_make)
        growing = np.flatnonzero(wanted)
        if not len(growing):
            return self.nothing()
        smallest = growing[self.counts[growing].argmin()]
        if self.counts[smallest] < 2:
            self.notes.append(f"SMOTE cannot be used: class {_plain(self.labels[smallest])} has a single training row.")
            return None
        kept = []
        for code in np.flatnonzero(self.counts):
            rows = np.flatnonzero(self.y == code)
            kept.append(rows if len(rows) <= MAX_NEIGHBOUR_ROWS else self.rng.choice(rows, MAX_NEIGHBOUR_ROWS, False))
        rows = np.concatenate(kept)
        y = self.y[rows]
        matrix, goal = self.features.filled(self.real)[rows], np.bincount(y, minlength=len(self.labels)) + wanted
        options: dict[str, Any] = {
            "sampling_strategy": {int(code): int(goal[code]) for code in growing},
            "k_neighbors": int(min(5, np.bincount(y)[growing].min() - 1)),
            "random_state": self.seed,
        }
        is_level = self.features.is_level
        if not is_level.any():
            sampler: Any = SMOTE(**options)
        elif is_level.all():
            sampler = SMOTEN(**options)
        else:
            sampler = SMOTENC(np.flatnonzero(is_level).tolist(), **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class growing past the largest is meant
            grown, codes = sampler.fit_resample(matrix, y)
        return _Made(np.asarray(grown, dtype=np.float64)[len(rows) :], np.asarray(codes)[len(rows) :], n_to_make)


def average_precision(score: Floats, positive: np.ndarray[Any, np.dtype[np.bool_]], weights: Floats) -> Floats:
    """Average precision under many weightings of the rows at once.

    score: [N], higher means positive; equal scores count as one threshold. positive: [N]. weights: [B, N], >= 0, such
    as how often each row is in a bootstrap sample. Returns [B]; equals scikit-learn's `average_precision_score` with
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


def _predict(
    features: _Features,
    matrix: Floats,
    codes: Ints,
    held: Floats,
    n_classes: int,
    seed: int,
    encoder: ColumnTransformer | None = None,
) -> list[Floats]:
    """Class probabilities [held-back rows, n_classes] of each judge."""
    encoder = features.encoder(matrix) if encoder is None else encoder
    present = np.unique(codes)
    if len(present) == 1:
        sure = np.zeros((len(held), n_classes))
        sure[:, present[0]] = 1
        return [sure] * len(JUDGES)
    # One tree per class and round: fewer rounds for many classes keep the judge's time about the same.
    boosting = HistGradientBoostingClassifier(
        max_iter=100 if len(present) <= 3 else max(10, 300 // len(present)),
        categorical_features=features.is_level if features.is_level.any() else None,
        early_stopping=False,
        random_state=seed,
    )
    predictions = []
    # One thread: at these sizes more gain little, and cost much where other work shares the cores.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a judge that is nearly there judges all methods alike
        logistic = LogisticRegression(max_iter=300).fit(encoder.transform(matrix), codes)
        # Boosting cannot bin a column that is missing in every row it is given.
        binned = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
        fitted = ((logistic, encoder.transform(held)), (boosting.fit(binned, codes), held))
        for judge, rows in fitted:
            probabilities = np.zeros((len(held), n_classes))
            probabilities[:, judge.classes_] = judge.predict_proba(rows)
            predictions.append(probabilities)
    return predictions


def _conclude(
    rounds: list[dict[str, _Judged | None]],
    judged: str,
    n_train: int,
    n_holdout: int,
    notes: tuple[str, ...],
    seed: int,
) -> Verdict:
    """The verdict over all repeats."""
    usable = [name for name in rounds[0] if all(methods[name] is not None for methods in rounds)]
    figures: dict[str, dict[str, float] | None] = dict.fromkeys(rounds[0])
    for name in usable:
        each = [judgement.figures() for methods in rounds if (judgement := methods[name]) is not None]
        figures[name] = {figure: float(np.mean([one[figure] for one in each])) for figure in FIGURES}
    found = {name: one for name, one in figures.items() if one is not None}
    others = [name for name in NAMES if name in found]
    if judged not in found:
        return Verdict(figures, n_train, n_holdout, "No synthetic rows were judged.", "unclear", notes=notes)
    best = max(others, key=lambda name: _ruling(found[name]))
    differences = [_differences(methods[judged], methods[best], seed + i) for i, methods in enumerate(rounds)]
    shortest = min(map(len, differences))
    pooled = np.mean([one[:shortest] for one in differences], axis=0)
    low, high = (float(q) for q in np.quantile(pooled, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]))
    one = next(judgement for judgement in rounds[0].values() if judgement is not None)
    n_rare = int((one.truth != one.largest).sum()) * len(rounds)
    difference = _ruling(found[judged]) - _ruling(found[best])
    helped: Helped = "unclear"
    if n_rare < MIN_RARE_ROWS:
        notes = (*notes, f"Only {n_rare} held-out rows are outside the largest class: too few to tell methods apart.")
    elif low > 0 and difference >= MIN_DIFFERENCE:
        helped = "yes"
    elif high < 0 and difference <= -MIN_DIFFERENCE:
        helped = "no"
    return Verdict(
        figures,
        n_train,
        n_holdout,
        _sentence(found, judged, best, helped, n_holdout),
        helped,
        judged,
        best,
        difference,
        (low, high),
        notes,
    )


def _differences(judged: _Judged | None, best: _Judged | None, seed: int) -> Floats:
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


def _sentence(found: Mapping[str, Mapping[str, float]], judged: str, best: str, helped: Helped, n_holdout: int) -> str:
    """One sentence with the figures of the synthetic rows and, per figure, of the best alternative."""
    parts: list[str] = []
    behind = False
    for figure, words in (("average_precision", "average precision"), ("balanced_accuracy", "balanced accuracy")):
        rival = max((name for name in NAMES if name in found), key=lambda name: found[name][figure])
        ours, theirs = found[judged][figure], found[rival][figure]
        behind |= ours < theirs
        phrase = "" if parts else " for the best alternative"
        parts.append(f"{words} {_short(ours)} against {_short(theirs)}{phrase} ({NAMES[rival]})")
    on = f"on {n_holdout:,} held-out rows"
    if helped == "yes":
        opening = "The synthetic rows helped on the whole" if behind else "The synthetic rows helped"
        return f"{opening}: {', '.join(parts)}, {on}."
    if helped == "no":
        instead = "leave the table as it is" if best == "none" else f"use {NAMES[best]} instead"
        return f"The synthetic rows did not help: {', '.join(parts)}, {on}; {instead}."
    return f"No clear difference: {', '.join(parts)}, {on}."


def _short(figure: float) -> str:
    return f"{figure:.3f}".removeprefix("0")


def _plain(label: object) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def _row_limit(n_columns: int) -> int:
    return int(np.clip(MAX_CELLS // max(n_columns, 1), 2_000, MAX_ROWS))


def _problem(codes: Ints, held: Ints, features: _Features) -> str:
    """Why the table cannot be judged, or nothing."""
    if not features.kinds:
        return "the table has no column to judge by besides the target"
    if len(np.unique(codes)) < 2:
        return "the table has a single class"
    if len(np.unique(codes[held])) < 2:
        return "fewer than two classes have the two rows that are needed to hold one back"
    return ""


def _holdout_notes(codes: Ints, labels: list[Any]) -> list[str]:
    alone = np.flatnonzero(np.bincount(codes, minlength=len(labels)) == 1)
    if not len(alone):
        return []
    named = ", ".join(_plain(labels[code]) for code in alone[:5]) + (", ..." if len(alone) > 5 else "")
    return [f"{len(alone)} class(es) have a single row, which stays with the training rows and is not judged: {named}."]


def _codes(labels: pd.Series[Any], known: list[Any]) -> Ints:
    """The position of each label among `known`; -1 for any other."""
    codes, uniques = pd.factorize(labels)
    position = {label: i for i, label in enumerate(known)}
    found = np.array([position.get(label, -1) for label in uniques] + [-1], dtype=np.int64)
    return found[codes]


def _kind(column: pd.Series[Any]) -> str:
    """How a column without a schema is judged: number, time or level."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "level"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    if _dtype_kind(column) in "mM":
        return "time"
    if pd.api.types.is_object_dtype(dtype):
        seen = pd.api.types.infer_dtype(column, skipna=True)
        if seen in ("integer", "floating", "mixed-integer-float", "decimal"):
            return "number"
        if seen in ("datetime", "datetime64", "date"):
            return "time"
    return "level"


def _numbers(column: pd.Series[Any]) -> Floats:
    if _dtype_kind(column) == "m":
        return _seconds(column, None)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column, errors="coerce")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    values[~np.isfinite(values)] = np.nan
    clipped: Floats = np.clip(values, -1e100, 1e100)  # the square of a greater number is not a number any more
    return clipped


def _seconds(column: pd.Series[Any], text_format: str | None) -> Floats:
    """Lengths of time, or moments since the epoch. text_format: how moments that are text are written."""
    if _dtype_kind(column) == "m":
        return np.asarray(column.dt.total_seconds(), dtype=np.float64)
    if text_format and _dtype_kind(column) != "M":
        moments = parse(column, text_format)
    else:
        moments = pd.to_datetime(column, errors="coerce", utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)


def _dtype_kind(column: pd.Series[Any]) -> str:
    """ "M" for moments, "m" for lengths of time, whatever holds them."""
    return str(getattr(column.dtype, "kind", "O"))


def _texts(column: pd.Series[Any]) -> tuple[Ints, list[str]]:
    """Codes of the cells and the text of each code; missing cells are a text of their own. 1 and 1.0 are one level."""
    codes, uniques = pd.factorize(column)
    texts = [str(int(u)) if isinstance(u, float) and u.is_integer() else str(u) for u in uniques]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(texts), codes)
        texts.append(_MISSING)
    return codes.astype(np.int64), texts
