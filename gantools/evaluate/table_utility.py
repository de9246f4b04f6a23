"""The verdict on a table: do the synthetic rows help classifiers on real rows that nothing has seen?

It is reached as `verdict` says. The built-in methods are no balancing (`none`), no balancing with a moved threshold
(`threshold`), class weights (`weights`), random repetition (`repetition`) and SMOTE or, with text columns, SMOTENC
(`smote`). The classifiers are logistic regression, a random forest and gradient boosting.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from sklearn.compose import ColumnTransformer

from gantools.classify.features import Features
from gantools.classify.judges import JUDGES, plain_encoder, train_judges
from gantools.data.tables.formatting import format_cell
from gantools.errors import DataError
from gantools.evaluate.verdict import FEW_RARE, Bench, Floats, Ints, Predictions, Verdict, Words, reach_verdict
from gantools.stages import Stage
from gantools.words import percent

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema

Balancer = Callable[[pd.DataFrame, int], pd.DataFrame]

REPEATS = 3  # of the verdict where few rare rows are held back
HOLDOUT = 0.25  # share of every class that is held back
BUILT_IN = ("none", "weights", "repetition", "smote")  # methods that rows are made by here
MAX_ROWS = 20_000  # real rows that classifiers are trained on, and held-back rows that they are tested on
MAX_CELLS = 2_000_000  # the same for wide tables: rows times columns
MAX_NEIGHBOUR_ROWS = 5_000  # rows of one class among which SMOTE looks for neighbours
PROBE_ROWS = 1_000  # that tell how long classifiers are trained


def verdict(
    frame: pd.DataFrame,
    target: str,
    balancers: Mapping[str, Balancer],
    *,
    schema: Schema | None = None,
    seed: int = 0,
    holdout: float = HOLDOUT,
    n_repeats: int = 1,
    stage: Stage | None = None,
) -> Verdict:
    """Compare the balancers with no balancing, random repetition and SMOTE on held-out real rows.

    frame: the real rows, `target` among its columns; rows without a label are left out. Never changed.
    balancers: name -> function of (training rows, seed) that returns those rows, first and untouched, followed by the
    rows it made (columns it adds are ignored). The sentence is about "gantools" where present, else the first one.
    The built-in methods make as many rows of each class as that one did; without balancers classes grow to the largest.
    schema: kinds of the columns; identifiers and constants are kept from the classifiers. Without it the dtypes decide.
    holdout: share of the rows of each class to hold back, in (0, 1); a class with two or more rows always has one on
    either side, a class with a single row stays with the training rows.
    n_repeats: how many times to split, balance and train anew; figures are means. Each repeat costs the same.
    stage: that of training and asking the classifiers; where its time is short, they are trained on fewer rows.

    Raises DataError when `target` is not a column. A table on which methods cannot be compared gives a Verdict without
    scores whose sentence says why; what a balancer raises is passed on.
    """
    if target not in frame.columns:
        raise DataError("there is no such column", where=f"column {target!r}", remedy="name a column of the table")
    frame = frame[frame[target].notna()].reset_index(drop=True)
    labels = list(pd.unique(frame[target]))
    codes = _codes(frame[target], labels)

    def make_bench(train: Ints, held: Ints, bench_seed: int) -> TableBench:
        rows = frame.iloc[train].reset_index(drop=True)
        features = Features(rows, target, schema)
        return TableBench(rows, codes[train], frame.iloc[held], target, labels, features, bench_seed, stage)

    return reach_verdict(
        make_bench,
        codes,
        labels,
        balancers,
        Words("row", "table"),
        seed=seed,
        holdout=holdout,
        max_held=row_limit(frame.shape[1]),
        n_repeats=n_repeats,
    )


def usual_repeats(labels: pd.Series[Any]) -> int:
    """How often a verdict is best reached, where time allows: `REPEATS` times where few rare rows are held back."""
    counts = labels.value_counts()
    return REPEATS if HOLDOUT * (counts.sum() - counts.max()) < FEW_RARE else 1


def scores(
    train: pd.DataFrame, held: pd.DataFrame, target: str, *, schema: Schema | None = None, seed: int = 0
) -> dict[str, float]:
    """The verdict's figures and `roc_auc` for classifiers trained on `train` (real or synthetic rows), on the real rows
    `held`, which have two classes at least.

    Uses all rows of both. The largest class, which average precision leaves out, is the one of `held`.
    """
    labels = list(pd.unique(pd.concat([train[target], held[target]])))
    features = Features(train, target, schema)
    y_train, y_held = _codes(train[target], labels), _codes(held[target], labels)
    matrix = features.matrix(train)
    encoder = plain_encoder(matrix, features.is_level)
    predictions = _predict(features, encoder, matrix, y_train, features.matrix(held), len(labels), seed)
    found = Predictions(y_held, predictions, int(np.bincount(y_held).argmax()))
    return found.figures() | {"roc_auc": found.roc_auc()}


class _Set(NamedTuple):
    """Rows as a matrix, and their classes. weighted: whether classifiers are to weight all classes alike."""

    matrix: Floats
    codes: Ints
    weighted: bool = False


class TableBench(Bench[Balancer, _Set]):
    """One split of a table. Of large tables classifiers see a share of every class, so that they stay quick."""

    classifiers = JUDGES

    def __init__(
        self,
        train: pd.DataFrame,
        codes: Ints,
        held: pd.DataFrame,
        target: str,
        labels: list[Any],
        features: Features,
        seed: int,
        stage: Stage | None = None,
        most_rows: int | None = None,
    ) -> None:
        """most_rows: that classifiers see; None for as many as `row_limit` says."""
        super().__init__(codes, len(labels), seed, stage)
        self.train, self.target, self.labels, self.features = train, target, labels, features
        if not self.features.kinds:
            self.problem = "the table has no column to predict the target from"
        self.real, self.held = self.features.matrix(train), self.features.matrix(held)
        self.share = min(1.0, (most_rows or row_limit(len(self.features.kinds))) / max(len(train), 1))
        self.seen = self._thinned(codes, self.share)
        if self.share < 1:
            self.notes.append(
                f"The classifiers were trained on {len(self.seen):,} of the {len(train):,} training rows, and on the "
                "same share of the synthetic ones."
            )

    def _thinned(self, codes: Ints, share: float) -> Ints:
        """Places of a share of every class, at least one row of each."""
        if share == 1:
            return np.arange(len(codes))
        kept = []
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            kept.append(self.rng.choice(rows, max(1, round(len(rows) * share)), replace=False))
        return np.sort(np.concatenate(kept)) if kept else np.arange(0)

    def balance(self, balancer: Balancer, name: str) -> tuple[_Set, Ints]:
        balanced = balancer(self.train.copy(), self.seed)
        codes = _codes(balanced[self.target], self.labels)
        if (codes < 0).any():
            raise DataError("it made rows with labels that the table does not have", where=f"balancer {name!r}")
        n, counts = len(self.codes), np.bincount(codes, minlength=self.n_classes)
        if len(codes) < n or not np.array_equal(codes[:n], self.codes):  # other rows in place of the training rows
            kept = self._thinned(codes, self.share)
            return _Set(self.features.matrix(balanced.iloc[kept]), codes[kept]), counts
        kept = n + self._thinned(codes[n:], self.share)
        return self._extended(self.features.matrix(balanced.iloc[kept]), codes[kept]), counts

    def built_in(self, n_to_make: Ints) -> dict[str, _Set | None]:
        return {name: self.made_by(name, n_to_make) for name in BUILT_IN}

    def made_by(self, name: str, n_to_make: Ints) -> _Set | None:
        """What the built-in method of this name gives classifiers to learn from; None where it cannot be used."""
        wanted: Ints = np.rint(n_to_make * self.share).astype(np.int64)
        if name == "repetition":
            drawn = self.draw_again(wanted)
            return self._extended(self.real[drawn], self.codes[drawn])
        if name == "smote":
            return self._interpolated(wanted)
        return self._extended(self.real[:0], self.codes[:0])._replace(weighted=name == "weights")

    def predict(self, methods: Mapping[str, _Set]) -> dict[str, list[Floats]]:
        seconds = self.stage.begin()
        encoder = plain_encoder(self.real[self.seen], self.features.is_level)
        if seconds is not None:
            methods = self._affordable(methods, encoder, seconds)
        found = {}
        for name, (matrix, codes, weighted) in methods.items():
            found[name] = _predict(
                self.features, encoder, matrix, codes, self.held, self.n_classes, self.seed, weighted
            )
            self.stage.done(len(found), len(methods), "methods")
        return found

    def _affordable(
        self, methods: Mapping[str, _Set], encoder: ColumnTransformer, seconds: float
    ) -> Mapping[str, _Set]:
        """As many rows of every method, class by class, as classifiers can be trained on in so many seconds, as far as
        a few of them tell."""
        n_rows = sum(len(samples.codes) for samples in methods.values())
        matrix, codes, _ = max(methods.values(), key=lambda samples: len(samples.codes))
        if len(codes) <= 2 * PROBE_ROWS:
            return methods
        began = time.perf_counter()
        some = self._thinned(codes, PROBE_ROWS / len(codes))
        _predict(self.features, encoder, matrix[some], codes[some], self.held, self.n_classes, self.seed)
        took = time.perf_counter() - began
        share = max((seconds - took) / (took * n_rows / len(some)), PROBE_ROWS / len(codes))
        if share >= 1:
            return methods
        self.notes.append(
            f"For want of time the classifiers were trained on {percent(share)} of the training rows of every class."
        )
        kept = {name: self._thinned(samples.codes, share) for name, samples in methods.items()}
        return {
            name: _Set(samples.matrix[kept[name]], samples.codes[kept[name]], samples.weighted)
            for name, samples in methods.items()
        }

    def _extended(self, matrix: Floats, codes: Ints) -> _Set:
        """The training rows that classifiers see, and these behind them."""
        return _Set(np.concatenate([self.real[self.seen], matrix]), np.concatenate([self.codes[self.seen], codes]))

    def _interpolated(self, wanted: Ints) -> _Set | None:
        """So many rows of each class by SMOTE (SMOTENC with text columns); None where a class has a single row."""
        growing = np.flatnonzero(wanted)
        if not len(growing):
            return self._extended(self.real[:0], self.codes[:0])
        smallest = growing[self.counts[growing].argmin()]
        if self.counts[smallest] < 2:
            label = format_cell(self.labels[smallest])
            self.notes.append(f"SMOTE cannot be used: class {label} has a single training row.")
            return None
        kept = []
        for code in np.flatnonzero(self.counts):
            rows = np.flatnonzero(self.codes == code)
            kept.append(rows if len(rows) <= MAX_NEIGHBOUR_ROWS else self.rng.choice(rows, MAX_NEIGHBOUR_ROWS, False))
        rows = np.concatenate(kept)
        y = self.codes[rows]
        matrix, goal = self.features.filled(self.real)[rows], np.bincount(y, minlength=self.n_classes) + wanted
        options: dict[str, Any] = {
            "sampling_strategy": {int(code): int(goal[code]) for code in growing},
            "k_neighbors": int(min(5, np.bincount(y)[growing].min() - 1)),
            "random_state": self.seed % 2**32,  # scikit-learn takes no larger ones
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
        return self._extended(np.asarray(grown, dtype=np.float64)[len(rows) :], np.asarray(codes)[len(rows) :])


def _predict(
    features: Features,
    encoder: ColumnTransformer,
    matrix: Floats,
    codes: Ints,
    held: Floats,
    n_classes: int,
    seed: int,
    weighted: bool = False,
) -> list[Floats]:
    """Class probabilities [held-back rows, n_classes] of each of `JUDGES`. weighted: with class weights."""
    present = np.unique(codes)
    if len(present) == 1:
        sure = np.zeros((len(held), n_classes))
        sure[:, present[0]] = 1
        return [sure] * len(JUDGES)
    judges = train_judges(matrix, codes, features.is_level, encoder, seed, weighted)
    return [judge.probabilities(held, n_classes) for judge in judges]


def row_limit(n_columns: int) -> int:
    """Rows of a table of so many columns that classifiers are trained on and tested on."""
    return int(np.clip(MAX_CELLS // max(n_columns, 1), 2_000, MAX_ROWS))


def _codes(labels: pd.Series[Any], known: list[Any]) -> Ints:
    """The position of each label among `known`; -1 for any other."""
    codes, uniques = pd.factorize(labels)
    position = {label: i for i, label in enumerate(known)}
    found = np.array([position.get(label, -1) for label in uniques] + [-1], dtype=np.int64)
    return found[codes]
