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
   difference. Nor is there one below `MIN_DIFFERENCE`, which nobody would notice, or with fewer than `MIN_RARE`
   held-back rows outside the largest class.

The interval covers the chance of which rows were held back, not that of training the same method again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from gantools.errors import DataError
from gantools.evaluate.verdict import Floats, Ints, Judged, Verdict, Words, conclude, holdback, holdout_notes, plain

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema

Balancer = Callable[[pd.DataFrame, int], pd.DataFrame]

JUDGES = ("logistic regression", "histogram gradient boosting")
WORDS = Words({"none": "no balancing", "repetition": "repetition", "smote": "SMOTE"})

MAX_ROWS = 20_000  # real rows a judge trains on, and held-back rows it is judged on
MAX_CELLS = 2_000_000  # the same for wide tables: rows times columns
MAX_NEIGHBOUR_ROWS = 5_000  # rows of one class among which SMOTE looks for neighbours
MAX_LEVELS = 50  # levels of a text column that the judges tell apart; the rarer ones are one level


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
    notes = holdout_notes(codes, labels, WORDS)
    rounds: list[dict[str, Judged | None]] = []
    for repeat in range(n_repeats):
        if repeat:
            train, held = holdback(codes, holdout=holdout, seed=seed + repeat, max_held=_row_limit(frame.shape[1]))
            features = _Features(frame.iloc[train], target, schema)
        bench = _Bench(frame, target, labels, codes, train, held, features, seed + repeat)
        methods: dict[str, Judged | None] = {}
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
    return conclude(rounds, judged, len(train), len(held), tuple(dict.fromkeys(notes)), seed, WORDS)


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
    return Judged(y_held, predictions, int(np.bincount(y_held).argmax())).figures()


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

    def judge(self, made: _Made | None) -> Judged | None:
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
        return Judged(self.y_held, predictions, int(self.counts.argmax()))

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
            self.notes.append(f"SMOTE cannot be used: class {plain(self.labels[smallest])} has a single training row.")
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
