"""The verdict on a table: do the synthetic rows help classifiers on real rows that nothing has seen?

It is reached as `verdict` says. The built-in methods are no balancing (`none`), no balancing with a moved threshold
(`threshold`), class weights (`weights`), random repetition (`repetition`) and SMOTE or, with text columns, SMOTENC
(`smote`). The classifiers are logistic regression and histogram gradient boosting.
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
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gantools.data.tables.dates import parse
from gantools.data.tables.formatting import format_cell
from gantools.errors import DataError
from gantools.evaluate.verdict import Bench, Floats, Ints, Predictions, Verdict, Words, reach_verdict
from gantools.stages import Stage
from gantools.words import percent

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema

Balancer = Callable[[pd.DataFrame, int], pd.DataFrame]

MAX_ROWS = 20_000  # real rows that classifiers are trained on, and held-back rows that they are tested on
MAX_CELLS = 2_000_000  # the same for wide tables: rows times columns
MAX_NEIGHBOUR_ROWS = 5_000  # rows of one class among which SMOTE looks for neighbours
PROBE_ROWS = 1_000  # that tell how long classifiers are trained
MAX_LEVELS = 50  # levels of a text column that the classifiers tell apart; the rarer ones are one level


def verdict(
    frame: pd.DataFrame,
    target: str,
    balancers: Mapping[str, Balancer],
    *,
    schema: Schema | None = None,
    seed: int = 0,
    holdout: float = 0.25,
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

    def make_bench(train: Ints, held: Ints, bench_seed: int) -> _Bench:
        rows = frame.iloc[train].reset_index(drop=True)
        return _Bench(rows, codes[train], frame.iloc[held], target, labels, schema, bench_seed, stage)

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


def scores(
    train: pd.DataFrame, held: pd.DataFrame, target: str, *, schema: Schema | None = None, seed: int = 0
) -> dict[str, float]:
    """The verdict's figures and `roc_auc` for classifiers trained on `train` (real or synthetic rows), on the real rows
    `held`, which have two classes at least.

    Uses all rows of both. The largest class, which average precision leaves out, is the one of `held`.
    """
    labels = list(pd.unique(pd.concat([train[target], held[target]])))
    features = _Features(train, target, schema)
    y_train, y_held = _codes(train[target], labels), _codes(held[target], labels)
    matrix = features.matrix(train)
    encoder = features.encoder(matrix)
    predictions = _predict(features, encoder, matrix, y_train, features.matrix(held), len(labels), seed)
    found = Predictions(y_held, predictions, int(np.bincount(y_held).argmax()))
    return found.figures() | {"roc_auc": found.roc_auc()}


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
            kind = _kind(train[name]) if column is None else _TYPES.get(str(column.kind), "")
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
_TYPES = {
    "continuous": "number",
    "integer": "number",
    "datetime": "time",
    "categorical": "level",
    "boolean": "level",
}


class _Set(NamedTuple):
    """Rows as a matrix, and their classes. weighted: whether classifiers are to weight all classes alike."""

    matrix: Floats
    codes: Ints
    weighted: bool = False


class _Bench(Bench[Balancer, _Set]):
    """One split of a table. Of large tables classifiers see a share of every class, so that they stay quick."""

    def __init__(
        self,
        train: pd.DataFrame,
        codes: Ints,
        held: pd.DataFrame,
        target: str,
        labels: list[Any],
        schema: Schema | None,
        seed: int,
        stage: Stage | None = None,
    ) -> None:
        super().__init__(codes, len(labels), seed, stage)
        self.train, self.target, self.labels = train, target, labels
        self.features = _Features(train, target, schema)
        if not self.features.kinds:
            self.problem = "the table has no column to predict the target from"
        self.real, self.held = self.features.matrix(train), self.features.matrix(held)
        self.share = min(1.0, row_limit(len(self.features.kinds)) / max(len(train), 1))
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
        wanted: Ints = np.rint(n_to_make * self.share).astype(np.int64)
        drawn = self.draw_again(wanted)
        return {
            "none": self._extended(self.real[:0], self.codes[:0]),
            "weights": self._extended(self.real[:0], self.codes[:0])._replace(weighted=True),
            "repetition": self._extended(self.real[drawn], self.codes[drawn]),
            "smote": self._interpolated(wanted),
        }

    def predict(self, methods: Mapping[str, _Set]) -> dict[str, list[Floats]]:
        seconds = self.stage.begin()
        encoder = self.features.encoder(self.real[self.seen])
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
    features: _Features,
    encoder: ColumnTransformer,
    matrix: Floats,
    codes: Ints,
    held: Floats,
    n_classes: int,
    seed: int,
    weighted: bool = False,
) -> list[Floats]:
    """Class probabilities [held-back rows, n_classes] of each classifier. weighted: with class weights."""
    present = np.unique(codes)
    if len(present) == 1:
        sure = np.zeros((len(held), n_classes))
        sure[:, present[0]] = 1
        return [sure]
    # One tree per class and round: with fewer rounds many classes take about the same time.
    weight = "balanced" if weighted else None
    boosting = HistGradientBoostingClassifier(
        max_iter=100 if len(present) <= 3 else max(10, 300 // len(present)),
        categorical_features=features.is_level if features.is_level.any() else None,
        early_stopping=False,
        class_weight=weight,
        random_state=seed % 2**32,
    )
    predictions = []
    # One thread: at these sizes more gain little, and cost much where other work shares the cores.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is the same for all methods
        logistic = LogisticRegression(max_iter=300, class_weight=weight).fit(encoder.transform(matrix), codes)
        # Boosting cannot bin a column that is missing in every row it is given.
        binned = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
        fitted = ((logistic, encoder.transform(held)), (boosting.fit(binned, codes), held))
        for classifier, rows in fitted:
            probabilities = np.zeros((len(held), n_classes))
            probabilities[:, classifier.classes_] = classifier.predict_proba(rows)
            predictions.append(probabilities)
    return predictions


def row_limit(n_columns: int) -> int:
    """Rows of a table of so many columns that classifiers are trained on and tested on."""
    return int(np.clip(MAX_CELLS // max(n_columns, 1), 2_000, MAX_ROWS))


def _codes(labels: pd.Series[Any], known: list[Any]) -> Ints:
    """The position of each label among `known`; -1 for any other."""
    codes, uniques = pd.factorize(labels)
    position = {label: i for i, label in enumerate(known)}
    found = np.array([position.get(label, -1) for label in uniques] + [-1], dtype=np.int64)
    return found[codes]


def _kind(column: pd.Series[Any]) -> str:
    """What a column without a schema is taken for: number, time or level."""
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
