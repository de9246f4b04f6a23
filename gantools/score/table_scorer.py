"""`AnomalyScorer`: scikit-learn's outlier contract over a memory of normal rows and an adversarially trained denoiser.

describe -> encode -> two views -> train a detector per fold -> head -> calibrate on the rows each fold held out
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from gantools import registry
from gantools.config import TrainConfig, build, to_json
from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Column, Kind, Schema, infer_schema
from gantools.encode.table import Layout, TableEncoder
from gantools.encode.views import RowViews
from gantools.errors import CheckpointError, DataError
from gantools.models.base import DataSpec, Detector
from gantools.score.drift import Reference
from gantools.score.explain import explain
from gantools.score.reasons import Explanation, words
from gantools.score.row_memory import RowMemory
from gantools.score.table_head import CHUNK_ROWS, N_DISTANCES, TableHead, score_of
from gantools.score.threshold import Calibration, best_f1
from gantools.train.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from gantools.train.data import FoldRows
from gantools.train.loop import Snapshot, one_thread, resolve_device, train
from gantools.train.monitor import Progress, TrainingReport
from gantools.train.resume import digest, resumable, versions

EXPLAINED_ROWS = 256  # explained at a time
CALIBRATION_ROWS = 20_000  # at most so many held-out rows are calibrated on
MIN_ROWS = 3  # one to remember, one to compare it with and one to hold out
TRIMS = 2  # times that the oddest rows of contaminated data are set aside and the rest looked at again

Part = TypeVar("Part")
Result = TypeVar("Result")


class AnomalyScorer(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns what is normal and scores what is not.

    model: a registered detector, see `gantools models`. options: of that model. memory: how many normal rows are
    remembered and compared with. false_alarms: share of normal rows that may be called anomalies. contamination: share
    of the training rows that may be anomalies; the oddest so many are set aside before anything is learned. tail:
    extrapolate the scores of held-out rows, for rates of false alarms that they cannot resolve by counting.
    random_state: seed or RandomState; one seed gives one result on one machine. steps: of training, the model's own
    recommendation by default. budget_s: seconds after which training stops. batch_size: rows per step. device: "auto",
    "cpu", "cuda", ...

    X may be an array or a data frame with numbers, text, categories, booleans, dates and missing cells.

    Attributes: `schema_`, `head_` (TableHead), `calibration_` (Calibration), `threshold_`, `offset_`, `report_`
    (TrainingReport), `drift_` (Reference), `train_score_` ([N] scores of the training rows by nets that did not see
    them), `n_features_in_`, `feature_names_in_`.

        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> scorer = AnomalyScorer(steps=20, random_state=0).fit(X[:50])
        >>> bool(scorer.anomaly_score(X[50:]).min() > scorer.anomaly_score(X[:50]).max())
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [str],
        "options": [Mapping, None],
        "memory": [Interval(Integral, 2, None, closed="left")],
        "false_alarms": [Interval(Real, 0, 1, closed="neither")],
        "contamination": [Interval(Real, 0, 0.5, closed="left")],
        "tail": ["boolean"],
        "random_state": ["random_state"],
        "steps": [Interval(Integral, 1, None, closed="left"), None],
        "budget_s": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "device": [str],
    }

    kind: ClassVar[str] = "table-scorer"
    schema_: Schema
    head_: TableHead
    calibration_: Calibration
    threshold_: float
    report_: TrainingReport
    drift_: Reference
    train_score_: np.ndarray

    def __init__(
        self,
        *,
        model: str = "denoiser",
        options: Mapping[str, Any] | None = None,
        memory: int = 5000,
        false_alarms: float = 0.01,
        contamination: float = 0.0,
        tail: bool = False,
        random_state: int | np.random.RandomState | None = None,
        steps: int | None = None,
        budget_s: float | None = None,
        batch_size: int = 256,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.options = options
        self.memory = memory
        self.false_alarms = false_alarms
        self.contamination = contamination
        self.tail = tail
        self.random_state = random_state
        self.steps = steps
        self.budget_s = budget_s
        self.batch_size = batch_size
        self.device = device

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        schema: Schema | None = None,
        folder: Path | str | None = None,
        resume: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> AnomalyScorer:
        """Learn what rows X look like when nothing is wrong.

        y: ignored. schema: what the columns are, inferred when not given. folder: write checkpoints there while
        training and the finished scorer at the end. resume: go on from the folder's last checkpoint. progress: called
        now and then. Ctrl-C ends the training, and what has been learned is kept.

        Raises DataError for data that cannot be learned from, ConfigError for options, CheckpointError for the folder,
        TrainingError when nothing usable came out.
        """
        self._validate_params()
        cls = cast("type[Detector]", registry.get(self.model, "score"))
        options = build(cls.Options, self.options)
        config = self._train_config()
        frame = self._frame(X, reset=True)
        if len(frame) < MIN_ROWS:
            raise DataError(f"n_samples={len(frame)} rows are too few", remedy=f"give at least {MIN_ROWS}")
        schema = schema or infer_schema(frame, None)
        self.schema_ = watching_constants(schema)
        if not self.schema_.numeric and not self.schema_.categorical:
            raise DataError("no column is left to learn from", remedy="every one is empty or an identifier")
        raw = to_raw(frame, self.schema_)
        device = resolve_device(self.device)
        with one_thread():
            kept = self._trimmed(raw, config.seed, device)
            views, standard, ranked = _viewed(raw.take(kept), self.schema_, device)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                detector = cls(DataSpec(Layout(standard.shape[1], ()), (len(kept),)), options)
            rows = FoldRows.deal(standard.cpu(), detector.n_folds, config.seed)
            described = self._config(config, detector, views, digest(raw.numbers, raw.codes))
            start = resumable(folder, described, "detector.") if resume and folder is not None else None
            outcome = train(
                detector, rows, (), config, resume=start, on_progress=progress,
                on_checkpoint=partial(_keep, Path(folder), described, self.schema_) if folder is not None else None,
            )  # fmt: skip
            self.report_, self._metrics = outcome.report, outcome.metrics
            self._described = described
            detector = cast(Detector, outcome.model)
            chosen = _some(len(kept), self.memory, config.seed)
            self.head_ = TableHead(views.cpu(), detector, len(chosen)).eval().to(device)
            held_out = self._calibrate(raw.take(kept), standard, ranked, rows.fold.to(device), chosen, config.seed)
        self.train_score_ = np.empty(len(raw))
        self.train_score_[kept] = held_out
        aside = np.setdiff1d(np.arange(len(raw)), kept)
        self.train_score_[aside] = self._scores(raw.take(aside))
        self.drift_ = Reference.fit(raw.take(kept), self.schema_)
        self.threshold_ = self.calibration_.threshold(self.false_alarms)
        if folder is not None and self.report_.stopped != "interrupted":
            self.save(folder)
        return self

    def _train_config(self) -> TrainConfig:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return TrainConfig(
            steps=self.steps, budget_s=self.budget_s, batch_size=int(self.batch_size), seed=seed, device=self.device
        )

    def _trimmed(self, raw: Raw, seed: int, device: torch.device) -> np.ndarray:
        """The rows to learn from: all but the share `contamination` that is furthest from the rest."""
        kept = np.arange(len(raw))
        n_kept = max(MIN_ROWS, round(len(raw) * (1 - self.contamination)))
        if n_kept >= len(raw):
            return kept
        for _ in range(TRIMS):
            views, standard, ranked = _viewed(raw.take(kept), self.schema_, device)
            chosen = _some(len(kept), self.memory, seed)
            standard_all, ranked_all = _all_views(views, raw)
            is_remembered = _among(len(raw), kept[chosen]).to(device)
            odd = np.zeros(len(raw))
            for remembered, everything in ((standard[chosen], standard_all), (ranked[chosen], ranked_all)):
                memory = RowMemory.of(remembered)
                parts = zip(torch.split(everything, CHUNK_ROWS), torch.split(is_remembered, CHUNK_ROWS), strict=True)
                measured = torch.cat([memory(*part) for part in parts])[:, :N_DISTANCES]
                inner = measured[torch.from_numpy(kept).to(device)]
                odd += ((measured - inner.mean(0)) / inner.std(0).clamp(min=1e-6)).amax(1).cpu().double().numpy()
            kept = np.sort(np.argsort(odd, kind="stable")[:n_kept])
        return kept

    def _calibrate(
        self, raw: Raw, standard: Tensor, ranked: Tensor, fold: Tensor, chosen: np.ndarray, seed: int
    ) -> np.ndarray:
        """Fill the memory, learn what is usual and calibrate. Returns the scores [N] of the rows, as far as possible by
        nets that did not see them."""
        self._remembered = raw.take(chosen)
        self.head_.remember(standard[chosen], ranked[chosen])
        judged = torch.from_numpy(_some(len(raw), CALIBRATION_ROWS, seed + 1)).to(standard.device)
        is_remembered = _among(len(raw), chosen)
        with torch.no_grad():
            of_judged = is_remembered.to(standard.device)[judged]
            abnormality = self.head_.calibrate(standard[judged], ranked[judged], fold[judged], of_judged)
            held_out = score_of(abnormality).cpu().numpy()
            self.calibration_ = Calibration.fit(held_out, tail=bool(self.tail))
        if len(judged) == len(raw):
            return held_out
        scores = self._scores(raw, is_remembered)
        scores[judged.cpu().numpy()] = held_out
        return scores

    # -- scoring ---------------------------------------------------------------------------------------------------

    def anomaly_score(self, X: Any) -> np.ndarray:
        """How abnormal rows X are: [N] float64, above 0, about 0.7 for a usual row, higher = more abnormal."""
        return self._scores(self._raw(X))

    def p_value(self, X: Any) -> np.ndarray:
        """The share of held-out normal rows at least as abnormal as rows X: [N] float64."""
        return self.calibration_.p_value(self.anomaly_score(X))

    def score_samples(self, X: Any) -> np.ndarray:
        """scikit-learn's sense: the negative of `anomaly_score`."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples(X) - offset_`: negative for anomalies."""
        return self.score_samples(X) - self.offset_

    @property
    def offset_(self) -> float:
        return -self.threshold_

    def predict(self, X: Any) -> np.ndarray:
        """1 for normal rows, -1 for anomalies: [N] int64."""
        return np.where(self.anomaly_score(X) > self.threshold_, -1, 1)

    def fit_predict(self, X: Any, y: Any = None, **options: Any) -> np.ndarray:
        """Learn from rows X and judge each of them by the others: 1 for normal rows, -1 for anomalies, [N] int64.

        `predict(X)` after `fit(X)` would find every row in the memory. options: as for `fit`.
        """
        self.fit(X, y, **options)
        return np.where(self.train_score_ > self.threshold_, -1, 1)

    def explain(self, X: Any) -> pd.DataFrame:
        """What each column contributes to the score of rows X: [N, columns]; the columns of a row add up to its score.

        Every cell that may matter is tried against a usual one, so this takes about ten times as long as scoring.
        """
        frame = self._frame(X, reset=False)
        raw = to_raw(frame, self.schema_)
        columns = (*self.schema_.numeric, *self.schema_.categorical)
        parts = [explained.contribution for _, explained in self._explained(raw, np.arange(len(raw)))]
        contribution = np.concatenate(parts) if parts else np.empty((0, len(columns)))
        found = pd.DataFrame(contribution, columns=list(columns), index=frame.index)
        return found.reindex(columns=list(self.schema_.names), fill_value=0.0)

    def assess(
        self, frame: pd.DataFrame, explain: bool | Literal["flagged"] = False, exclude_self: bool = False
    ) -> pd.DataFrame:
        """Scores, p-values and verdicts of rows, and the reasons in words, in one go.

        explain: give the reason of every row, or of flagged ones only (others have ""). exclude_self: the rows are of
        the table that was learned from; a row that equals a remembered one is then measured against the others. Returns
        `anomaly_score`, `p_value`, `is_anomaly` and, where asked for, `reason`, with the index of `frame`.
        """
        named = self._frame(frame, reset=False)
        raw = to_raw(named, self.schema_)
        may_be_remembered = torch.ones(len(raw), dtype=torch.bool) if exclude_self else None
        score = self._scores(raw, may_be_remembered)
        flagged = score > self.threshold_
        found = pd.DataFrame(
            {"anomaly_score": score, "p_value": self.calibration_.p_value(score), "is_anomaly": flagged},
            index=named.index,
        )
        if explain:
            reason = np.full(len(named), "", dtype=object)
            rows = np.flatnonzero(flagged) if explain == "flagged" else np.arange(len(named))
            for mine, explained in self._explained(raw, rows, may_be_remembered):
                reason[mine] = words(explained, raw.take(mine), named.iloc[mine], self.schema_, self._remembered)
            found["reason"] = pd.Series(reason, index=named.index, dtype=pd.Series([""]).dtype)
        return found

    def tune(self, X: Any, y: Any) -> AnomalyScorer:
        """Set the threshold where F1 is best on labelled rows.

        y: [N], true or 1 for anomalies, false or 0 for normal rows; or -1 and 1, as `predict` has it. Raises DataError.
        """
        is_anomaly = _marks(y)
        score = self.anomaly_score(X)
        if len(is_anomaly) != len(score):
            raise DataError(f"has {len(is_anomaly)} labels for {len(score)} rows", where="y")
        self.threshold_, _ = best_f1(score[~is_anomaly], score[is_anomaly])
        return self

    @property
    def remembered_(self) -> Raw:
        """The rows that the scorer remembers."""
        return self._remembered

    def score_raw(self, raw: Raw) -> np.ndarray:
        """How abnormal raw rows are: [N] float64."""
        return self._scores(raw)

    def explain_raw(self, raw: Raw, rows: np.ndarray) -> Iterator[tuple[np.ndarray, Explanation]]:
        """The rows at these indices, some at a time, and why they are odd."""
        return self._explained(raw, rows)

    def described(self) -> dict[str, Any]:
        """What a checkpoint's config.json says of the run."""
        return self._described

    def check_fits(self, frame: pd.DataFrame) -> None:
        """Refuse a table that this scorer was not made for. Raises DataError naming the columns."""
        self._check_columns(frame)
        to_raw(_renamed(frame.head(1000)), self.schema_)

    def _check_columns(self, frame: pd.DataFrame) -> None:
        there = {str(name) for name in frame.columns}
        needed = (*self.schema_.numeric, *self.schema_.categorical)
        lacking = [name for name in needed if name not in there]
        if lacking:
            shown = ", ".join(f"'{name}'" for name in lacking[:8]) + (", ..." if len(lacking) > 8 else "")
            problem = f"lacks {len(lacking)} of the {len(needed)} columns that the scorer knows: {shown}"
            raise DataError(problem, remedy="score tables with the columns of the training table")

    def _scores(self, raw: Raw, exclude_self: Tensor | None = None) -> np.ndarray:
        """exclude_self: [N] bool, which of the rows may be remembered ones."""

        def scored(part: slice) -> np.ndarray:
            mine = None if exclude_self is None else exclude_self[part].to(self._device)
            return score_of(self.head_(*_tensors(raw, part, self._device), mine)).cpu().numpy()

        found = list(self._in_parallel(scored, _chunks(len(raw), CHUNK_ROWS)))
        return np.concatenate(found) if found else np.zeros(0)

    def _explained(
        self, raw: Raw, rows: np.ndarray, exclude_self: Tensor | None = None
    ) -> Iterator[tuple[np.ndarray, Explanation]]:
        """The rows at these indices, some at a time, and why they are odd."""

        def explained(mine: np.ndarray) -> Explanation:
            mine_excluded = None if exclude_self is None else exclude_self[mine].to(self._device)
            return explain(self.head_, *_tensors(raw, mine, self._device), self._remembered, mine_excluded)

        parts = [rows[part] for part in _chunks(len(rows), EXPLAINED_ROWS)]
        return zip(parts, self._in_parallel(explained, parts), strict=True)

    @property
    def _device(self) -> torch.device:
        return self.head_.group_scale.device

    def _in_parallel(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        """`work(part)` of all parts, in order and without gradients.

        On a CPU parts side by side with one thread each beat threads within a part, which wait for one another.
        """
        workers = min(torch.get_num_threads() if self._device.type == "cpu" else 1, len(parts))
        done = torch.no_grad()(work)
        with one_thread():
            if workers <= 1:
                yield from map(done, parts)
            else:
                with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                    yield from pool.map(done, parts)

    def _raw(self, X: Any) -> Raw:
        return to_raw(self._frame(X, reset=False), self.schema_)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """X as a data frame with text names; checked as scikit-learn checks."""
        if not reset:
            check_is_fitted(self, "head_")
        if isinstance(X, pd.DataFrame):
            if reset:
                validate_data(self, X=X, reset=True, skip_check_array=True)
            else:
                self._check_columns(X)
            return _renamed(X)
        least = MIN_ROWS if reset else 1
        array = validate_data(
            self, X=X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=least
        )
        names = list(self.schema_.names) if not reset else [f"x{index}" for index in range(array.shape[1])]
        return pd.DataFrame(array, columns=names).infer_objects()

    # -- keeping ---------------------------------------------------------------------------------------------------

    def to(self, device: str) -> AnomalyScorer:
        """Score on another device ("auto", "cpu", "cuda", ...)."""
        self.head_.to(resolve_device(device))
        return self

    def save(self, folder: Path | str) -> None:
        """Write the scorer as a checkpoint folder. Raises CheckpointError when it cannot be written."""
        check_is_fitted(self, "head_")
        config = {
            **self._described,
            "parameters": {name: getattr(self, name) for name in SAVED_PARAMETERS},
            "threshold": self.threshold_,
            "drift": self.drift_.to_json(),
            "report": self.report_.to_json(),
            "n_remembered": len(self._remembered),
            "names": [str(name) for name in getattr(self, "feature_names_in_", ())],
        }
        weights = {f"head.{name}": value for name, value in self.head_.state_dict().items()}
        weights |= {f"calibration.{k}": torch.from_numpy(v) for k, v in self.calibration_.to_tensors().items()}
        weights |= {
            "remembered.numbers": torch.from_numpy(self._remembered.numbers),
            "remembered.codes": torch.from_numpy(self._remembered.codes),
            "train_score": torch.from_numpy(self.train_score_),
        }
        save_checkpoint(folder, Checkpoint(config, self.schema_.to_json(), weights, self._metrics))

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> AnomalyScorer:
        """Read a folder that `save` or `fit` wrote, on whichever device it was made. Raises CheckpointError."""
        checkpoint = load_checkpoint(folder, "table-scorer")
        config, weights = checkpoint.config, checkpoint.weights
        if "threshold" not in config:
            remedy = "go on with its training, or train again"
            raise CheckpointError("its training was interrupted", where=str(folder), remedy=remedy)
        try:
            scorer = cls(model=config["model"], options=config["options"], device=device, **config["parameters"])
            scorer.schema_ = Schema.from_json(checkpoint.schema)
            views = RowViews.from_json(config["encoder"])
            detector_class = cast("type[Detector]", registry.get(scorer.model, "score"))
            spec = DataSpec(Layout(views.widths[0], ()), (1,))
            detector = detector_class(spec, build(detector_class.Options, scorer.options))
            scorer.head_ = TableHead(views, detector, config["n_remembered"]).eval()
            load_weights(scorer.head_, weights, "head.", str(folder))
            scorer._remembered = Raw(weights["remembered.numbers"].numpy(), weights["remembered.codes"].numpy())
            scorer.train_score_ = weights["train_score"].numpy()
            scorer.calibration_ = Calibration.from_tensors(
                {name: weights[f"calibration.{name}"].numpy() for name in ("scores", "tail")}
            )
            scorer.drift_ = Reference.from_json(config["drift"], scorer.schema_)
            scorer.threshold_ = float(config["threshold"])
            scorer.report_ = TrainingReport.from_json(config["report"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"its configuration lacks {error}", where=str(folder), remedy="train again"
            ) from error
        scorer._metrics = checkpoint.metrics
        scorer._described = {name: config[name] for name in DESCRIBED}
        scorer.n_features_in_ = len(scorer.schema_.names)
        if config["names"]:
            scorer.feature_names_in_ = np.array(config["names"], dtype=object)
        return scorer.to(device)

    def _config(self, train: TrainConfig, detector: Detector, views: RowViews, fingerprint: str) -> dict[str, Any]:
        return {
            "kind": "table-scorer",
            "model": self.model,
            "options": dataclasses.asdict(detector.options),
            "train": to_json(train),
            "encoder": views.to_json(),
            "data": fingerprint,
            "versions": versions(),
        }


SAVED_PARAMETERS = ("memory", "false_alarms", "contamination", "tail", "steps", "budget_s", "batch_size")
DESCRIBED = ("kind", "model", "options", "train", "encoder", "data", "versions")


def watching_constants(schema: Schema) -> Schema:
    """The same table with constant columns as numbers or categories: another value there is worth an alarm."""

    def watched(column: Column) -> Column:
        if column.kind != Kind.CONSTANT or not column.levels:
            return column
        value = column.levels[0]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            kind = Kind.INTEGER if float(value).is_integer() else Kind.CONTINUOUS
            return dataclasses.replace(column, kind=kind, levels=(), low=float(value), high=float(value))
        return dataclasses.replace(column, kind=Kind.CATEGORICAL)

    return dataclasses.replace(schema, columns=tuple(watched(column) for column in schema.columns))


def _keep(folder: Path, config: dict[str, Any], schema: Schema, snapshot: Snapshot) -> None:
    """Write a checkpoint of a training that goes on."""
    weights = {f"detector.{name}": value for name, value in snapshot.weights.items()}
    save_checkpoint(
        folder, Checkpoint(config, schema.to_json(), weights, snapshot.metrics, snapshot.state, snapshot.counters)
    )


def _viewed(raw: Raw, schema: Schema, device: torch.device) -> tuple[RowViews, Tensor, Tensor]:
    """Views fitted on the rows, and the rows in both of them, on the device."""
    views = RowViews.fit(TableEncoder.fit(raw, schema), raw).to(device)
    return views, *_all_views(views, raw)


@torch.no_grad()
def _all_views(views: RowViews, raw: Raw) -> tuple[Tensor, Tensor]:
    device = views.mean.device
    parts = [views(*_tensors(raw, part, device)) for part in _chunks(len(raw), 16384)]
    standard, ranked = zip(*parts, strict=True)
    return torch.cat(standard), torch.cat(ranked)


def _tensors(raw: Raw, part: slice | np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    numbers, codes = (torch.from_numpy(np.array(array[part])) for array in (raw.numbers, raw.codes))
    return numbers.to(device), codes.to(device)


def _chunks(n: int, size: int) -> list[slice]:
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def _some(n: int, most: int, seed: int) -> np.ndarray:
    """Indices of at most so many of n rows, drawn at random, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _marks(y: Any) -> np.ndarray:
    """Which rows labels mark as anomalies: [N] bool."""
    cells = pd.Series(np.asarray(y).ravel())
    given = pd.to_numeric(cells, errors="coerce")
    if given.isin([0, 1]).all():
        return np.asarray(given == 1)
    if given.isin([-1, 1]).all():
        return np.asarray(given == -1)
    odd = cells[~given.isin([-1, 0, 1])]
    problem = f"has {odd.tolist()[0]!r}" if len(odd) else "has -1, 0 and 1"
    raise DataError(problem, where="y", remedy="mark anomalies with 1 and normal rows with 0")


def _among(n: int, rows: np.ndarray) -> Tensor:
    """[n] bool, which of n rows are among those at the indices."""
    found = torch.zeros(n, dtype=torch.bool)
    found[torch.from_numpy(rows)] = True
    return found


def _renamed(frame: pd.DataFrame) -> pd.DataFrame:
    if all(isinstance(name, str) for name in frame.columns):
        return frame
    return frame.set_axis([str(name) for name in frame.columns], axis=1)
