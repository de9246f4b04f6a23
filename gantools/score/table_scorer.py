"""`AnomalyScorer`: scikit-learn's outlier contract over a memory of normal rows and an adversarially trained denoiser.

describe -> encode -> two views -> train a detector per fold -> head -> calibrate on the rows each fold held out
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from gantools import registry
from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Column, Kind, Schema, as_pandas, infer_schema
from gantools.encode.group_views import GroupViews
from gantools.encode.table import Layout, TableEncoder
from gantools.encode.views import RowViews, units_since_1970
from gantools.errors import DataError
from gantools.models.base import TableDetector
from gantools.score.base import Scorer, detector_for, drawn
from gantools.score.borrowing import BORROWS, FEW_ROWS, GroupUnits, borrows, groups_of
from gantools.score.calibrated import Floats, Indices
from gantools.score.drift import Reference
from gantools.score.explain import explain
from gantools.score.groups import group_units, rows_of_groups, some_of_each, with_groups_last
from gantools.score.reasons import Explanation, words
from gantools.score.row_memory import RowMemory
from gantools.score.spikes import told_apart
from gantools.score.table_head import CHUNK_ROWS, N_DISTANCES, TINY, GroupedHead, TableHead, score_of
from gantools.train.devices import one_thread, resolve_device
from gantools.train.loop import OnProgress
from gantools.train.resume import digest
from gantools.train.samplers import ByFold, Examples, HeldOut
from gantools.train.stores import Tensors

EXPLAINED_ROWS = 256  # explained at a time
CALIBRATION_ROWS = 20_000  # at most so many held-out rows are calibrated on
SPREAD = (0.5, 0.84)  # quantiles that are a standard deviation apart
MICROSECONDS = 1e6  # a second has, of which dates are numbers
MOST = 0.9  # of rows are no odder than one that has others close by can be
ALONE = 0.8  # share of rows that have others closer by than one that is set aside
CALIBRATION_ROWS_OF_GROUPS = 250_000  # in all, as many of each group
MOST_OF_GROUP = 256  # rows that are remembered of a group
GROUP_BYTES = 2**26  # that the memories of all groups may take
FLOAT_BYTES = 4
UNIT_FOLDS = 4  # parts of the rows calibrated on, of which nothing is learned of their groups while they are judged
MIN_ROWS = 3  # one to remember, one to compare it with and one to hold out
PASSES = 3  # of a memory over all rows take as long as calibrating, which has two memories and the nets
HELD_OUT_ROWS = 512  # per fold, that the detector is judged on while it trains

Part = TypeVar("Part")
Result = TypeVar("Result")


@registry.kind("table-scorer")
class AnomalyScorer(Scorer):
    """Learns what is normal and scores what is not.

    model: a registered detector, see `gantools models`. options: of that model. memory: how many normal rows are
    remembered and compared with. by: the column of groups, such as machines, each of which has a normal of its own;
    groups that are small, or were not learned, borrow from all. false_alarms: share of normal rows that may be called
    anomalies. contamination: share of the training rows that are anomalies; the oddest so many are set aside before
    anything is learned. "auto": those that lie further out than the tail of the others goes, which is none of most
    tables; and nothing is learned from the oddest 5 %, though they count for the rate of false alarms. tail:
    extrapolate the scores of held-out rows, for rates of false alarms that they cannot resolve by counting.
    random_state: seed or RandomState; one seed gives one result on one machine. budget_s: seconds that `fit` may take.
    steps, batch_size, device, devices, precision: of the training, see `TrainConfig`.

    X may be an array or a data frame with numbers, text, categories, booleans, dates and missing cells; polars' frames
    and Arrow's tables are taken too.

    Attributes: `schema_`, `head_` (TableHead), `calibration_` (Calibration), `threshold_`, `offset_`, `report_`
    (TrainingReport), `drift_` (Reference), `train_score_` ([N] scores of the training rows by nets that did not see
    them), `contamination_` (share of the rows that was taken for anomalies), `remembered_` (Raw, the rows of the
    memory), `units_` (GroupUnits, by which numbers of groups are made alike; None without `by`), `n_features_in_`,
    `feature_names_in_`.

        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> scorer = AnomalyScorer(steps=20, random_state=0).fit(X[:50])
        >>> bool(scorer.anomaly_score(X[50:]).min() > scorer.anomaly_score(X[:50]).max())
        True
    """

    modality = "table"
    noun = "a scorer of rows"

    schema_: Schema
    head_: TableHead
    drift_: Reference
    remembered_: Raw
    units_: GroupUnits | None

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Scorer._parameter_constraints, "by": [str, None]}

    def __init__(
        self,
        *,
        model: str = "denoiser",
        options: Mapping[str, Any] | None = None,
        memory: int = 5000,
        by: str | None = None,
        false_alarms: float = 0.01,
        contamination: float | Literal["auto"] = 0.0,
        tail: bool = False,
        random_state: int | np.random.RandomState | None = None,
        steps: int | None = None,
        budget_s: float | None = None,
        batch_size: int = 256,
        device: str = "auto",
        devices: int = 1,
        precision: str = "auto",
    ) -> None:
        self.model = model
        self.options = options
        self.memory = memory
        self.by = by
        self.false_alarms = false_alarms
        self.contamination = contamination
        self.tail = tail
        self.random_state = random_state
        self.steps = steps
        self.budget_s = budget_s
        self.batch_size = batch_size
        self.device = device
        self.devices = devices
        self.precision = precision

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
        progress: OnProgress | None = None,
    ) -> Self:
        """Learn what rows X look like when nothing is wrong.

        y: ignored. schema: what the columns are, inferred when not given. folder: write checkpoints there while
        training and the finished scorer at the end. resume: go on from the folder's last checkpoint. progress: called
        now and then. Ctrl-C ends the training, and what has been learned is kept.

        Raises DataError for data that cannot be learned from, ConfigError for options, CheckpointError for the folder,
        TrainingError when nothing usable came out.
        """
        began = time.perf_counter()
        self._validate_params()
        config = self._train_config()
        frame = self._frame(X, reset=True)
        if len(frame) < MIN_ROWS:
            raise DataError(f"n_samples={len(frame)} rows are too few", remedy=f"give at least {MIN_ROWS}")
        self.schema_ = watching_constants(schema or infer_schema(frame, None))
        if self.by is not None:
            self.schema_ = with_groups_last(self.schema_, frame, self.by)
        if not self._learned.numeric and not self._learned.categorical:
            raise DataError("no column is left to learn from", remedy="every one is empty or an identifier")
        raw = to_raw(frame, self.schema_)
        self.fingerprint_ = digest(raw.numbers, raw.codes)
        self.units_ = None if self.by is None else self._units(raw)
        given, raw = raw, raw if self.units_ is None else self.units_.to_all(raw)
        device = resolve_device(self.device)
        with one_thread():
            kept, beyond = self._trimmed(len(raw), MIN_ROWS, partial(self._oddness, raw, config.seed, device))
            self._views, standard, ranked = self._viewed(raw.take(kept), device)
            detector = cast(TableDetector, self._new_detector(Layout(standard.shape[1], ()), config.seed))
            folds = ByFold.of(len(kept), detector.n_folds, config.seed)
            examples = Examples(Tensors(standard.cpu()), folds, HeldOut(HELD_OUT_ROWS))
            chosen = drawn(len(kept), self.memory, config.seed)
            some = standard[:CHUNK_ROWS]
            n_parts = PASSES * len(kept) / (len(chosen) + len(some))  # a memory looks at its own rows first
            config = self._in_time(config, began, lambda: RowMemory.of(standard[chosen])(some), n_parts)
            model = self._run(detector, examples, config, folder=folder, resume=resume, progress=progress)
            self.head_ = self._new_head(self._views.cpu(), cast(TableDetector, model), len(chosen)).eval().to(device)
            held_out, judged = self._held_out(
                raw.take(kept), given.take(kept), standard, ranked, folds.fold.to(device), chosen, config.seed
            )
        self.train_score_ = np.empty(len(raw))
        self.train_score_[kept] = held_out
        aside = np.setdiff1d(np.arange(len(raw)), kept)
        self.train_score_[aside] = self.score_raw(given.take(aside))
        counted = self._counted(len(raw), kept, beyond, judged, config.seed)
        self._calibrate_on(self.train_score_[np.concatenate(counted)])
        self.train_score_ = _shared(self.train_score_, given)
        self.contamination_ = len(beyond) / len(raw)
        running = tuple(self.schema_.numeric[index] for index in self._views.runs_on)
        self.drift_ = Reference.fit(given.take(np.setdiff1d(np.arange(len(raw)), beyond)), self.schema_, running)
        self._keep(folder)
        return self

    @property
    def _learned(self) -> Schema:
        """The columns that are learned from: all but that of the groups."""
        if self.by is None:
            return self.schema_
        return dataclasses.replace(self.schema_, columns=self.schema_.columns[:-1])

    def _units(self, raw: Raw) -> GroupUnits:
        """What numbers of each group are in units of all; dates are the same for all."""
        schema, n_groups = self._learned, len(self.schema_.columns[-1].levels)
        dates = [j for j, name in enumerate(schema.numeric) if schema[name].kind is Kind.DATETIME]
        known = np.flatnonzero(raw.codes[:, -1] >= 0)
        return group_units(raw.numbers[known], raw.codes[known, -1], n_groups, np.array(dates, dtype=np.int64))

    def _viewed(self, raw: Raw, device: torch.device) -> tuple[Any, Tensor, Tensor]:
        """Views fitted on the rows, and the rows in both of them, on the device."""
        views, standard, ranked = _viewed(raw, self._learned, device)
        if self.units_ is None:
            return views, standard, ranked
        n_groups = self.units_.n_groups
        group = torch.from_numpy(groups_of(raw, n_groups)).to(device)
        grouped = GroupViews.of(views, standard, group, n_groups)
        return grouped, *_all_views(grouped, raw)

    def _new_head(self, views: Any, detector: TableDetector, n_remembered: int) -> TableHead:
        if self.units_ is None:
            return TableHead(views, detector, n_remembered)
        n_groups = self.units_.n_groups
        held = FLOAT_BYTES * sum(views.widths) * (n_groups + 1)
        most = max(FEW_ROWS, min(MOST_OF_GROUP, GROUP_BYTES // held, int(self.units_.counts.max())))
        return GroupedHead(views, detector, n_remembered, min(most, n_remembered))

    def _oddness(self, raw: Raw, seed: int, device: torch.device, known: Indices) -> Floats:
        """How odd rows [N] are to a memory of those at the given places, in both views."""
        views, standard, ranked = self._viewed(raw.take(known), device)
        chosen = drawn(len(known), self.memory, seed)
        standard_all, ranked_all = _all_views(
            views, told_apart(raw, self._learned, _values(views.encoder, self._learned))
        )
        is_remembered = _among(len(raw), known[chosen]).to(device)
        found = []
        for remembered, everything in ((standard[chosen], standard_all), (ranked[chosen], ranked_all)):
            memory = RowMemory.of(remembered)
            parts = zip(torch.split(everything, CHUNK_ROWS), torch.split(is_remembered, CHUNK_ROWS), strict=True)
            found.append(torch.cat([memory(*part) for part in parts])[:, :N_DISTANCES])
        measured = torch.stack(found).cpu()  # [2, N, N_DISTANCES]
        return _far(measured, known) if self.contamination == "auto" else _odd(measured, known)

    def _held_out(
        self, raw: Raw, given: Raw, standard: Tensor, ranked: Tensor, fold: Tensor, chosen: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fill the memory and learn what is usual. Returns the scores [N] of the rows, and which of them are by nets
        that did not see them: all, or of very many some."""
        self.remembered_ = raw.take(chosen)
        self.head_.remember(standard[chosen], ranked[chosen])
        group = self.head_.group_of(torch.from_numpy(np.array(raw.codes)).to(standard.device))
        if group is None:
            judged = drawn(len(raw), CALIBRATION_ROWS, seed + 1)
        else:
            chosen, places = self._remember_groups(standard, ranked, group, chosen, seed)
            judged = some_of_each(group.cpu().numpy(), CALIBRATION_ROWS_OF_GROUPS, seed + 1)
            standard, ranked = self._as_new(given, standard, group, judged)
        is_remembered = _among(len(raw), chosen)
        with torch.no_grad():
            mine = torch.from_numpy(judged).to(standard.device)
            of_judged = is_remembered.to(standard.device)[mine]
            if group is not None:
                at = torch.full((len(raw),), -1, device=standard.device)
                at[torch.from_numpy(chosen).to(at.device)] = torch.from_numpy(places).to(at.device)
                of_judged = at[mine]
            of_group = None if group is None else group[mine]
            abnormality = self.head_.calibrate(standard[mine], ranked[mine], fold[mine], of_judged, of_group)
            held_out = score_of(abnormality).cpu().numpy()
        if len(judged) == len(raw):
            return held_out, judged
        scores = self._score_alike(raw, is_remembered)
        scores[judged] = held_out
        return scores, judged

    def _as_new(self, given: Raw, standard: Tensor, group: Tensor, judged: np.ndarray) -> tuple[Tensor, Tensor]:
        """Both views of rows in groups, of those at `judged` as if nothing had been learned of their groups from them.

        given: the rows in units of their groups. standard: the same rows in the standard view.
        """
        views = cast(GroupViews, self._views)
        bare = standard[:, : views.views.widths[0]]
        both = [standard.new_zeros(len(standard), width) for width in views.widths]
        for k in range(UNIT_FOLDS):
            mine = judged[k::UNIT_FOLDS]
            rest = np.delete(np.arange(len(given)), mine)
            rest_there = torch.from_numpy(rest).to(standard.device)
            learned = GroupViews.of(
                views.views, bare[rest_there], group[rest_there], views.n_groups, views.n_residuals > 0
            )
            alike = cast(GroupUnits, self.units_).learned_from(self._units(given.take(rest))).to_all(given.take(mine))
            place = torch.from_numpy(mine).to(standard.device)
            for into, found in zip(both, _all_views(learned, alike), strict=True):
                into[place] = found
        return both[0], both[1]

    def _remember_groups(
        self, standard: Tensor, ranked: Tensor, group: Tensor, shared: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fill the memories of the groups; those of small ones with rows of all, too. Returns the rows of their own
        that they remember, and where."""
        head = cast(GroupedHead, self.head_)
        own, others = rows_of_groups(group.cpu().numpy(), head.n_groups, head.most, shared, seed)
        rows, of, place = (torch.from_numpy(each).to(standard.device) for each in np.concatenate([own, others], 1))
        with torch.no_grad():
            head.remember_groups(standard[rows], ranked[rows], of, place)
        return own[0], own[2]

    # -- scoring ---------------------------------------------------------------------------------------------------

    def anomaly_score(self, X: Any) -> Floats:
        return self.score_raw(to_raw(self._frame(X, reset=False), self.schema_))

    def explain(self, X: Any) -> pd.DataFrame:
        """What each column contributes to the score of rows X: [N, columns]; the columns of a row add up to its score.

        Every cell that may matter is tried against a usual one, so this takes about ten times as long as scoring.
        """
        frame = self._frame(X, reset=False)
        raw = to_raw(frame, self.schema_)
        columns = (*self._learned.numeric, *self._learned.categorical)
        parts = [explained.contribution for _, explained in self.explain_raw(raw, np.arange(len(raw)))]
        contribution = np.concatenate(parts) if parts else np.empty((0, len(columns)))
        found = pd.DataFrame(contribution, columns=list(columns), index=frame.index)
        return found.reindex(columns=list(self.schema_.names), fill_value=0.0)

    def assess(
        self, frame: pd.DataFrame, explain: bool | Literal["flagged"] = False, exclude_self: bool = False
    ) -> pd.DataFrame:
        """Scores, p-values and flags of rows, and the reasons in words, in one go.

        explain: give the reason of every row, or of flagged ones only (others have ""). exclude_self: the rows are of
        the table that was learned from; a row that equals a remembered one is then measured against the others. Returns
        `anomaly_score`, `p_value`, `is_anomaly` and, where asked for, `reason`, with the index of `frame`.
        """
        named = self._frame(frame, reset=False)
        raw = to_raw(named, self.schema_)
        units = self.units_
        may_be_remembered = torch.ones(len(raw), dtype=torch.bool) if exclude_self else None
        score = self.score_raw(raw, may_be_remembered)
        flagged = score > self.threshold_
        found = pd.DataFrame(
            {"anomaly_score": score, "p_value": self.calibration_.p_value(score), "is_anomaly": flagged},
            index=named.index,
        )
        if units is not None:
            found[BORROWS] = borrows(raw, units.counts)
        if explain:
            reason = np.full(len(named), "", dtype=object)
            rows = np.flatnonzero(flagged) if explain == "flagged" else np.arange(len(named))
            for mine, explained in self.explain_raw(raw, rows, may_be_remembered):
                reason[mine] = words(explained, raw.take(mine), named.iloc[mine], self.schema_, self.remembered_, units)
            found["reason"] = pd.Series(reason, index=named.index, dtype=pd.Series([""]).dtype)
        return found

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

    def score_raw(self, raw: Raw, exclude_self: Tensor | None = None) -> Floats:
        """The scores [N] of raw rows. exclude_self: [N] bool, which of them may be remembered ones."""
        return self._score_alike(self._in_units_of_all(raw), exclude_self)

    def _score_alike(self, raw: Raw, exclude_self: Tensor | None = None) -> Floats:
        """The same of rows whose numbers are in units of all groups."""
        raw = self._told_apart(raw)

        def scored(part: slice) -> np.ndarray:
            mine = None if exclude_self is None else exclude_self[part].to(self.device_)
            return score_of(self.head_(*_tensors(raw, part, self.device_), mine)).cpu().numpy()

        found = list(self._in_parallel(scored, _chunks(len(raw), CHUNK_ROWS)))
        return np.concatenate(found) if found else np.zeros(0)

    def explain_raw(
        self, raw: Raw, rows: np.ndarray, exclude_self: Tensor | None = None
    ) -> Iterator[tuple[np.ndarray, Explanation]]:
        """The raw rows at these indices, some at a time, and why they are abnormal."""
        raw = self._told_apart(self._in_units_of_all(raw))

        def explained(mine: np.ndarray) -> Explanation:
            mine_excluded = None if exclude_self is None else exclude_self[mine].to(self.device_)
            return explain(self.head_, *_tensors(raw, mine, self.device_), self.remembered_, mine_excluded)

        parts = [rows[part] for part in _chunks(len(rows), EXPLAINED_ROWS)]
        return zip(parts, self._in_parallel(explained, parts), strict=True)

    def _in_units_of_all(self, raw: Raw) -> Raw:
        return raw if self.units_ is None else self.units_.to_all(raw)

    def _told_apart(self, raw: Raw) -> Raw:
        values = {name: one for name, one in self.told_apart_values().items() if one is not None}
        return told_apart(raw, self._learned, values)

    def told_apart_values(self) -> dict[str, np.ndarray | None]:
        """Per number column, the values that are told apart; None where a value is another one in each group."""
        values: dict[str, np.ndarray | None] = {**_values(self.head_.views.encoder, self._learned)}
        if self.units_ is not None:
            values |= {self._learned.numeric[j]: None for j in np.flatnonzero(~self.units_.is_alone).tolist()}
        return values

    def _in_parallel(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        """`work(part)` of all parts, in order and without gradients.

        On a CPU parts side by side with one thread each beat threads within a part, which wait for one another.
        """
        workers = min(torch.get_num_threads() if self.device_.type == "cpu" else 1, len(parts))
        done = torch.no_grad()(work)
        with one_thread():
            if workers <= 1:
                yield from map(done, parts)
            else:
                with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                    yield from pool.map(done, parts)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """X as a data frame with text names; checked as scikit-learn checks."""
        if not reset:
            check_is_fitted(self, "head_")
        X = as_pandas(X)
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

    def _shape(self) -> dict[str, Any]:
        return {"encoder": self._views.to_json()}

    def _values(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        found, tensors = super()._values()
        own = {
            "drift": self.drift_.to_json(),
            "n_remembered": len(self.remembered_),
            "names": [str(name) for name in getattr(self, "feature_names_in_", ())],
        }
        numbers, codes = (torch.from_numpy(each) for each in (self.remembered_.numbers, self.remembered_.codes))
        tensors |= {"remembered.numbers": numbers, "remembered.codes": codes}
        if self.units_ is not None:
            own["remembered_of_group"] = cast(GroupedHead, self.head_).most
            tensors |= {f"units.{k}": torch.from_numpy(v) for k, v in vars(self.units_).items()}
        return found | own, tensors

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        scorer = cls._from_parameters(config)
        scorer.schema_ = Schema.from_json(schema)
        views = (RowViews if scorer.by is None else GroupViews).from_json(config["encoder"])
        detector = cast(TableDetector, detector_for(scorer, Layout(views.widths[0], ())))
        most = config.get("remembered_of_group")
        scorer.units_ = None
        if most is None:
            scorer.head_ = TableHead(views, detector, config["n_remembered"])
        else:
            scorer.head_ = GroupedHead(cast(GroupViews, views), detector, config["n_remembered"], most)
        return scorer

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super()._restore(config, tensors)
        self.remembered_ = Raw(tensors["remembered.numbers"].numpy(), tensors["remembered.codes"].numpy())
        if self.by is not None:
            self.units_ = GroupUnits(**{
                field.name: tensors[f"units.{field.name}"].numpy() for field in dataclasses.fields(GroupUnits)
            })  # fmt: skip
        self.drift_ = Reference.from_json(config["drift"], self.schema_)
        self.n_features_in_ = len(self.schema_.names)
        if config["names"]:
            self.feature_names_in_ = np.array(config["names"], dtype=object)

    def _facts(self) -> dict[str, Any]:
        groups = {} if self.units_ is None else {"n_groups": self.units_.n_groups}
        return {"n_rows": self.schema_.n_rows, **groups, **super()._facts()}


def _odd(measured: Tensor, known: Indices) -> Floats:
    """How odd rows [N] are by their distances [2, N, N_DISTANCES], against the means of known ones."""
    odd = np.zeros(measured.shape[1])
    for each in measured:
        usual = each[known]
        odd += ((each - usual.mean(0)) / usual.std(0).clamp(min=TINY)).amax(1).double().numpy()
    return odd


def _far(measured: Tensor, known: Indices) -> Floats:
    """How far out rows [N] are by these distances.

    Against quantiles, for anomalies must not hide themselves; and not at the sharpest scale, which knows rare rows but
    no far ones. A row with others close by is never very far out: a group is not odd for being small.
    """
    half, most = (torch.from_numpy(np.quantile(measured[:, known], share, axis=1, keepdims=True)) for share in SPREAD)
    far = ((measured - half) / (most - half).clamp(min=TINY))[:, :, 1:].amax((0, 2)).double().numpy()
    sharp = measured[0, :, 0].numpy()
    is_alone = sharp > np.quantile(sharp[known], ALONE)
    return np.where(is_alone, far, np.minimum(far, np.quantile(far[known], MOST)))


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


def _viewed(raw: Raw, schema: Schema, device: torch.device) -> tuple[RowViews, Tensor, Tensor]:
    """Views fitted on the rows, and the rows in both of them, on the device."""
    per_second = [
        MICROSECONDS if schema[name].kind is Kind.DATETIME else units_since_1970(raw.numbers[:, j])
        for j, name in enumerate(schema.numeric)
    ]
    encoder = TableEncoder.fit(raw, schema)
    raw = told_apart(raw, schema, _values(encoder, schema))
    views = RowViews.fit(encoder, raw, per_second).to(device)
    return views, *_all_views(views, raw)


def _values(encoder: TableEncoder, schema: Schema) -> dict[str, np.ndarray]:
    """Per number column, the values that the encoder tells apart."""
    return {name: encoder.values(j) for j, name in enumerate(schema.numeric)}


@torch.no_grad()
def _all_views(views: RowViews | GroupViews, raw: Raw) -> tuple[Tensor, Tensor]:
    device = views.mean.device
    parts = [views(*_tensors(raw, part, device)) for part in _chunks(len(raw), 16384)]
    standard, ranked = zip(*parts, strict=True)
    return torch.cat(standard), torch.cat(ranked)


def _shared(score: Floats, raw: Raw) -> Floats:
    """The scores [N], with their mean for rows that are equal: they were held out from different nets."""
    cells = np.ascontiguousarray(
        np.hstack([raw.numbers + 0.0, raw.codes.astype(np.float64)])
    )  # + 0.0 turns -0.0 to 0.0
    group = np.unique(cells.view(f"V{cells.itemsize * cells.shape[1]}").ravel(), return_inverse=True)[1]
    return (np.bincount(group, score) / np.bincount(group))[group]


def _tensors(raw: Raw, part: slice | np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    numbers, codes = (torch.from_numpy(np.array(array[part])) for array in (raw.numbers, raw.codes))
    return numbers.to(device), codes.to(device)


def _chunks(n: int, size: int) -> list[slice]:
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def _among(n: int, rows: np.ndarray) -> Tensor:
    """[n] bool, which of n rows are among those at the indices."""
    found = torch.zeros(n, dtype=torch.bool)
    found[torch.from_numpy(rows)] = True
    return found


def _renamed(frame: pd.DataFrame) -> pd.DataFrame:
    if all(isinstance(name, str) for name in frame.columns):
        return frame
    return frame.set_axis([str(name) for name in frame.columns], axis=1)
