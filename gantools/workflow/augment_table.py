"""Balancing a table: hold back, train, judge, train on everything, balance, write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gantools.augment.balance import FLAG, BalanceResult, Strategy, balance, rows_to_make
from gantools.augment.synthesizer import Synthesizer
from gantools.classify.goals import Goal
from gantools.classify.table_classifier import TableClassifier
from gantools.data.tables import read_table, write_table
from gantools.data.tables.dialect import Dialect
from gantools.data.tables.schema import Schema, check_there, infer_schema
from gantools.errors import DataError
from gantools.evaluate.recommendation import recommended_classifier
from gantools.evaluate.table_fidelity import TableFidelity, table_fidelity
from gantools.evaluate.table_utility import usual_repeats, verdict
from gantools.evaluate.verdict import Verdict, holdback
from gantools.report.balanced_table import balanced_table
from gantools.words import count, listed
from gantools.workflow.augment import Request
from gantools.workflow.augmenting import (
    AugmentResult,
    Part,
    Trainings,
    check_strategy,
    match_label,
    plan,
    reached,
    scaled_strategy,
    strategy_of,
)
from gantools.workflow.classifying import classifier_shown, figures_table
from gantools.workflow.contract import Item
from gantools.workflow.opening import about
from gantools.workflow.reporting import run_facts
from gantools.workflow.stages import Stages
from gantools.workflow.tables import check_target, given_back, kinds_of, refuse_synthetic, without

JUDGING, MEASURING = 0.12, 0.02  # of the time
MAKING = (0.02, 0.15)  # the same: at least, and at most
SECONDS_A_ROW = 5e-4  # that making synthetic rows takes, about


@dataclass(frozen=True, kw_only=True)
class TableResult(AugmentResult):
    """balance: the balanced frame, counts and copies. fidelity: how synthetic columns compare with real ones.
    read_notes: what was noticed in reading the table. classifier: the recommended one, where it was asked for.
    n_held_out: rows that were put aside. tested: how good that classifier is on them."""

    balance: BalanceResult
    fidelity: TableFidelity | None
    read_notes: tuple[str, ...]
    classifier: TableClassifier | None = None
    n_held_out: int = 0
    tested: dict[str, float] | None = None
    samples = "rows"
    whole = "table"

    @property
    def synthetic(self) -> pd.DataFrame:
        """The synthetic rows alone."""
        return synthetic_rows(self.balance)

    def write_table(
        self, page: Callable[[], str], real: pd.DataFrame, held_out: pd.DataFrame, aside: np.ndarray, dialect: Dialect
    ) -> None:
        """Write all that was asked for. page: gives the report. real: the rows that were balanced, with all columns.
        held_out: those that were put aside. aside: of each row of the file whether it is one of these."""
        request = self.request

        def write_data() -> None:
            assert request.output is not None
            if self.classifier is not None and request.classifier is not None:
                self.classifier.save(request.classifier)
            if request.synthetic_only:
                write_table(given_back(self.synthetic, real.head(0), request.drop), request.output, dialect)
            else:
                complete = given_back(self.balance.frame, real, request.drop)
                write_table(complete, request.output, dialect, n_copied=len(real), among=~aside)
            if request.holdout_file is not None:
                write_table(held_out, request.holdout_file, dialect, n_copied=len(held_out), among=aside)

        self.write(page, write_data)

    def _more_json(self) -> dict[str, Any]:
        return {
            "target": self.request.target,
            "n_synthetic": len(self.synthetic),
            "n_copies_redrawn": self.balance.n_copies_redrawn,
            "n_copies_left": self.balance.n_copies_left,
            "fidelity": None if self.fidelity is None else self.fidelity.to_json(),
            "classifier": self.classifier
            and {"folder": self.request.classifier, **self.classifier.facts(), "tested": self.tested},
            "holdout": self.request.holdout and {"file": self.request.holdout_file, "rows": self.n_held_out},
        }

    def _data_notes(self) -> list[str]:
        return [*self.read_notes, *super()._data_notes()]

    def _made_shown(self) -> Iterator[Item]:
        redrawn, left = self.balance.n_copies_redrawn, self.balance.n_copies_left
        yield f"Copies of real rows: {redrawn} drawn again, {left} left."

    def _quality_shown(self) -> Iterator[Item]:
        if self.classifier is not None:
            yield from classifier_shown(self.classifier)
        if self.tested is not None:
            yield figures_table(self.tested, "The same on the {} rows that were put aside and that nothing has seen")
        if self.request.holdout is not None:
            yield f"Put aside: {count(self.n_held_out, 'row')} in {self.request.holdout_file}"


def run(request: Request, trained: Synthesizer | None, stages: Stages) -> TableResult:
    """Balance a table. trained: a generator in place of training one."""
    kinds, strategy = kinds_of(request.kinds), strategy_of(request)
    config = request.train_config(Synthesizer.default_train())
    target, goal = str(request.target), Goal.read(request.goal)
    everything, dialect = read_table(request.data, kinds, None if trained is None else trained.schema_)
    with about(request.data):
        check_there([target], list(everything.columns))
        aside = put_aside(everything[target], request)
        held_out, everything = everything[aside], everything[~aside].reset_index(drop=True)
        frame = without(everything, request.drop, target)
        schema = _schema(frame, target, kinds, trained, dialect)
        strategy = spelled_strategy(frame, schema, strategy)
        if request.classifier is not None:
            goal.check(len(schema[target].levels))
        n_wanted = sum(rows_to_make(frame[target], strategy).values())
        making = 0.0 if request.budget_s is None else n_wanted * SECONDS_A_ROW / request.budget_s
        stages.plan(plan(request, trained, min(max(making, MAKING[0]), MAKING[1]), JUDGING, MEASURING))
        trainings = Trainings(request, config, Synthesizer)
        judged, notes = reached(request, trained, lambda: _judged(frame, schema, strategy, kinds, trainings, stages))
        if request.classifier is not None and (judged is None or judged.held_out is None):
            problem = judged.sentence if judged is not None else " ".join(notes)
            raise DataError(f"no classifier can be recommended: {problem.removeprefix('No verdict: ')}")
        generator = trained or trainings.fit(
            frame, target, stage=stages[Part.TRAIN], seed=request.seed, schema=schema, rules=request.rules
        )
        stages[Part.MAKE].begin()
        balanced = balance(frame, target, strategy=strategy, synthesizer=generator, seed=request.seed)
    stages[Part.MEASURE].begin()
    classifier = None
    if request.classifier is not None and judged is not None:
        rows = balanced.frame.drop(columns=FLAG)
        classifier = recommended_classifier(frame, schema, judged, goal, lambda: rows, seed=request.seed)
    tested = None
    if classifier is not None and len(held_out):
        tested = classifier.figures(without(held_out, request.drop, target))
    result = TableResult(
        request=request, balance=balanced, schema=schema, generator=generator, verdict=judged, notes=tuple(notes),
        fidelity=table_fidelity(frame, synthetic_rows(balanced), schema), read_notes=dialect.notes, stages=stages,
        classifier=classifier, n_held_out=len(held_out), tested=tested,
    )  # fmt: skip

    def page() -> str:
        return balanced_table(
            f"{request.data.name}, balanced", balanced, schema, verdict=judged, fidelity=result.fidelity,
            training=generator.history_, facts=run_facts(request),
        )  # fmt: skip

    result.write_table(page, everything, held_out, aside, dialect)
    return result


def put_aside(labels: pd.Series, request: Request) -> np.ndarray:
    """Of each row whether it is put aside: the same share of every class."""
    aside = np.zeros(len(labels), dtype=bool)
    if request.holdout is not None:
        codes = pd.factorize(labels)[0].astype(np.int64)
        labelled = np.flatnonzero(codes >= 0)
        _, held = holdback(codes[labelled], holdout=request.holdout, seed=request.seed, max_held=len(labels))
        aside[labelled[held]] = True
    return aside


def synthetic_rows(balanced: BalanceResult) -> pd.DataFrame:
    frame = balanced.frame
    return frame[frame[FLAG].to_numpy(dtype=bool)].reset_index(drop=True)


def _schema(
    frame: pd.DataFrame, target: str, kinds: Mapping[str, Any] | None, trained: Synthesizer | None, dialect: Dialect
) -> Schema:
    """What the columns are. Raises DataError for a table that cannot be balanced."""
    refuse_synthetic(frame)
    if trained is not None:
        check_fits(frame, target, trained.schema_)
        return trained.schema_
    schema = infer_schema(frame, target, kinds, dialect=dialect)
    check_target(schema)
    return schema


def _judged(
    frame: pd.DataFrame, schema: Schema, strategy: Strategy, kinds: Mapping[str, Any] | None, trainings: Trainings,
    stages: Stages,
) -> Verdict:  # fmt: skip
    target = str(schema.target)
    repeats = repeats_of(trainings.request, frame[target])

    def balancer(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        # The schema, too, must come from these rows alone: levels and bounds of the others are knowledge of them.
        own = infer_schema(rows, target, kinds)
        generator = trainings.fit(
            rows,
            target,
            stage=stages[Part.TRAIN_TO_JUDGE],
            seed=seed,
            n_alike=repeats,
            schema=own,
            rules=trainings.request.rules,
        )
        stages[Part.MAKE_TO_JUDGE].begin()
        asked = scaled_strategy(strategy, rows[target], len(rows) / len(frame))
        balanced = balance(rows, target, strategy=asked, synthesizer=generator, seed=seed)
        return balanced.frame.drop(columns=FLAG)

    seed, stage = trainings.request.seed, stages[Part.JUDGE]
    return verdict(frame, target, {"gantools": balancer}, schema=schema, seed=seed, n_repeats=repeats, stage=stage)


def repeats_of(request: Request, labels: pd.Series) -> int:
    """How often the verdict is reached: as asked for, else more than once where few rare rows are held back each time
    and nothing limits the time."""
    if request.repeats is not None:
        return request.repeats
    is_free = request.steps is None and request.budget_s is None
    return usual_repeats(labels) if is_free else 1


def spelled_strategy(frame: pd.DataFrame, schema: Schema, strategy: Strategy) -> Strategy:
    """The strategy with its labels as the table spells them: JSON has text where the table may have numbers.

    Raises ConfigError for a strategy that does not fit the labels or asks for nothing.
    """
    levels = schema[str(schema.target)].levels
    if isinstance(strategy, Mapping):
        strategy = {match_label(levels, str(label), "strategy"): count for label, count in strategy.items()}
    check_strategy(frame[str(schema.target)], len(levels), strategy, "rows")
    return strategy


def check_fits(frame: pd.DataFrame, target: str, schema: Schema) -> None:
    """Refuse a table that the loaded generator does not make rows of. Raises DataError naming the columns."""
    if target != schema.target:
        problem = f"the generator was trained for the target '{schema.target}'"
        raise DataError(problem, where=f"column '{target}'", remedy="name that one, or train a generator anew")
    lacking = [name for name in schema.names if name not in frame.columns]
    further = [str(name) for name in frame.columns if name not in schema.names]
    found = [f"the generator knows {_columns(lacking)}, the table does not"] if lacking else []
    found += [f"the table has {_columns(further)}, the generator does not"] if further else []
    if found:
        raise DataError("; ".join(found), remedy="use the generator of this table, or leave columns out with `drop`")


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {listed(names)}"
