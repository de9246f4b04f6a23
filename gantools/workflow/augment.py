"""The whole of `gantools augment` as one function: hold back, train, judge, train on everything, balance.

Stands at the end of the flow: imports data, augment, train, evaluate; only the command line imports it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gantools.augment.balance import FLAG, BalanceResult, Strategy, balance, rows_to_make
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.errors import ConfigError, DataError, TrainingError
from gantools.evaluate.table_utility import verdict
from gantools.evaluate.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from gantools.train.monitor import Progress, TrainingReport

# Shares of --budget for the verdict's generator and for the final one: equal, so that the verdict speaks for what the
# user gets. The rest is for the judges, reading and writing.
VERDICT_SHARE = 0.45
FINAL_SHARE = 0.45
# Without a verdict the final generator gets this much.
ALONE_SHARE = 0.95

# Names of the two trainings, as progress reports them.
STAGE_VERDICT = "Training for the verdict"
STAGE_FINAL = "Training on all rows"


@dataclass(frozen=True)
class AugmentResult:
    """What `augment_table` found and made.

    balance: the balanced frame, counts and copies. verdict: None where none was asked for or none was possible
    (`notes` says why). synthesizer: the trained generator of the synthetic rows.
    """

    balance: BalanceResult
    schema: Schema
    synthesizer: Synthesizer
    verdict: Verdict | None
    notes: tuple[str, ...]

    @property
    def training(self) -> TrainingReport:
        """How the training of `synthesizer` went."""
        return self.synthesizer.report_

    @property
    def synthetic(self) -> pd.DataFrame:
        """The synthetic rows alone."""
        frame = self.balance.frame
        return frame[frame[FLAG].to_numpy(dtype=bool)].reset_index(drop=True)


def augment_table(
    frame: pd.DataFrame,
    target: str,
    *,
    strategy: Strategy = "auto",
    model: str = "tabular",
    options: Mapping[str, Any] | None = None,
    train: TrainConfig | None = None,
    kinds: Mapping[str, Kind] | None = None,
    synthesizer: Synthesizer | None = None,
    with_verdict: bool = True,
    seed: int = 0,
    progress: Callable[[str, Progress], None] | None = None,
) -> AugmentResult:
    """Balance `frame` with synthetic rows and say whether they help.

    The verdict's generator is trained on the rows that are not held back, then the final one on all rows, each with
    its own share of `train.budget_s`. strategy: imbalanced-learn's `sampling_strategy`. kinds: what columns are where
    the guess is wrong. synthesizer: an already trained generator; no verdict is possible then, because it may have
    seen any row. progress: called with the name of the stage and its state.

    Raises DataError for a table that cannot be balanced, ConfigError for a bad option, TrainingError where no usable
    generator came out, KeyboardInterrupt where training was interrupted.
    """
    config = train or TrainConfig(seed=seed)
    if FLAG in frame.columns:
        remedy = f"keep the rows where it is false, drop it, and balance those; or rename the column '{FLAG}'"
        raise DataError("the table holds synthetic rows already", where=f"column '{FLAG}'", remedy=remedy)
    notes: list[str] = []
    if synthesizer is not None:
        if with_verdict:
            notes.append(
                "No verdict: the loaded generator may have been trained on any of these rows, so none can be held back."
            )
        check_fits(frame, target, synthesizer.schema_)
        strategy = check_strategy(frame, synthesizer.schema_, strategy)
        result = balance(frame, target, strategy=strategy, synthesizer=synthesizer, seed=seed)
        return AugmentResult(result, synthesizer.schema_, synthesizer, None, tuple(notes))

    schema = infer_schema(frame, target, kinds)
    check_target(schema)
    strategy = check_strategy(frame, schema, strategy)

    def trained(rows: pd.DataFrame, described: Schema, stage: str, share: float, stage_seed: int) -> Synthesizer:
        budget_s = None if config.budget_s is None else config.budget_s * share
        maker = Synthesizer(model, options, replace(config, budget_s=budget_s, seed=stage_seed))
        maker.fit(
            rows, target, schema=described, progress=None if progress is None else lambda state: progress(stage, state)
        )
        if maker.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        return maker

    judged: Verdict | None = None
    if with_verdict:

        def balancer(rows: pd.DataFrame, repeat_seed: int) -> pd.DataFrame:
            # The schema, too, must come from these rows alone: levels and bounds of the others are knowledge of them.
            maker = trained(rows, infer_schema(rows, target, kinds), STAGE_VERDICT, VERDICT_SHARE, repeat_seed)
            asked = scaled_strategy(strategy, rows[target], len(rows) / len(frame))
            result = balance(rows, target, strategy=asked, synthesizer=maker, seed=repeat_seed)
            return result.frame.drop(columns=FLAG)

        try:
            judged = verdict(frame, target, {"gantools": balancer}, schema=schema, seed=seed)
        except (DataError, TrainingError) as error:
            notes.append(f"No verdict: {error}.")

    final = trained(frame, schema, STAGE_FINAL, FINAL_SHARE if with_verdict else ALONE_SHARE, config.seed)
    result = balance(frame, target, strategy=strategy, synthesizer=final, seed=seed)
    return AugmentResult(result, schema, final, judged, tuple(notes))


def check_target(schema: Schema) -> None:
    """Refuse a target that cannot be a class: a single label, or more labels than half the rows. Raises DataError."""
    where = f"column '{schema.target}'"
    n_labels = len(schema[str(schema.target)].levels)
    if n_labels < 2:
        raise DataError("all rows have one class", where=where, remedy="give rows of at least two classes")
    if 2 * n_labels > schema.n_rows:
        problem = f"has {n_labels} different labels in {schema.n_rows} rows, so it is no class"
        raise DataError(problem, where=where, remedy="name the column of the classes, or put measurements into ranges")


def check_strategy(frame: pd.DataFrame, schema: Schema, strategy: Strategy) -> Strategy:
    """The strategy with its labels as the table spells them: JSON has text where the table may have numbers.

    Raises ConfigError for a strategy that does not fit the labels or asks for nothing.
    """
    if isinstance(strategy, Mapping):
        strategy = {match_label(schema, str(label), "strategy"): count for label, count in strategy.items()}
    n_labels = len(schema[str(schema.target)].levels)
    if isinstance(strategy, float) and n_labels != 2:
        remedy = """give counts, such as '{"label": 500}'"""
        raise ConfigError(f"a ratio needs two classes, and there are {n_labels}", where="strategy", remedy=remedy)
    if not rows_to_make(frame[str(schema.target)], strategy):
        problem = "every class has as many rows as asked for already"
        raise ConfigError(problem, where="strategy", remedy="""ask for more, such as '{"label": 500}'""")
    return strategy


def check_fits(frame: pd.DataFrame, target: str, schema: Schema) -> None:
    """Refuse a table that the loaded generator does not make rows of. Raises DataError naming the columns."""
    if target != schema.target:
        problem = f"the generator was trained for the target '{schema.target}'"
        raise DataError(problem, where=f"column '{target}'", remedy="name that one, or train a generator anew")
    lacking = [name for name in schema.names if name not in frame.columns]
    further = [str(name) for name in frame.columns if name not in schema.names]
    if lacking or further:
        problem = f"the generator knows {_named(lacking)}, the table does not" if lacking else ""
        problem += "; " if lacking and further else ""
        problem += f"the table has {_named(further)}, the generator does not" if further else ""
        raise DataError(problem, remedy="use the generator of this table")


def _named(columns: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in columns[:5])
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return f"the column{'s' if len(columns) > 1 else ''} {shown}{more}"


def scaled_strategy(strategy: Strategy, labels: pd.Series[Any], share: float) -> Strategy:
    """The same wish for a part of the table: asked counts shrink by `share`, but never under what is there."""
    if not isinstance(strategy, Mapping):
        return strategy
    there = labels.value_counts()
    return {label: max(math.ceil(count * share), int(there.get(label, 0))) for label, count in strategy.items()}


def match_label(schema: Schema, text: str, option: str) -> Any:
    """The label of the schema's target that `text` spells: 'yes', '1', '1.0' and 'true' all find theirs.

    Raises ConfigError naming `option` and the labels where there is none.
    """
    levels = schema[str(schema.target)].levels
    for level in levels:
        if str(level) == text:
            return level
    for level in levels:
        if isinstance(level, bool):
            if str(level).lower() == text.strip().lower():
                return level
        elif isinstance(level, (int, float)):
            try:
                if float(text) == float(level):
                    return level
            except ValueError:
                continue
    names = [str(level) for level in levels]
    near = difflib.get_close_matches(text, names, n=1)
    listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    remedy = f"did you mean {near[0]!r}? the labels are {listed}" if near else f"the labels are {listed}"
    raise ConfigError(f"column {schema.target!r} has no label {text!r}", where=option, remedy=remedy)
