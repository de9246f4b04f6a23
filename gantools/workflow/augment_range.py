"""Balancing a table whose target is a number: a range that few rows lie in is filled with synthetic ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gantools.augment.balance import FLAG
from gantools.augment.ranges import RARE, Range, RangeTask
from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables import read_table
from gantools.data.tables.schema import Schema, check_there, infer_schema
from gantools.errors import DataError
from gantools.evaluate.range_utility import RangeVerdict, error_text, range_verdict
from gantools.evaluate.table_fidelity import table_fidelity
from gantools.report.balanced_table import balanced_table
from gantools.workflow.augment import Request
from gantools.workflow.augment_table import (
    JUDGING,
    MAKING,
    MEASURING,
    TableResult,
    put_aside,
    repeats_of,
    synthetic_rows,
)
from gantools.workflow.augmenting import Part, Trainings, plan, strategy_of
from gantools.workflow.contract import Item, Table, noted
from gantools.workflow.opening import about
from gantools.workflow.reporting import run_facts
from gantools.workflow.stages import Stages
from gantools.workflow.tables import kinds_of, refuse_synthetic, without

SHOWN = {"rmse_rare": "RMSE in the range", "mae_rare": "MAE in the range", "rmse": "RMSE of all", "mae": "MAE of all"}


@dataclass(frozen=True, kw_only=True)
class RangeResult(TableResult):
    """range_verdict: whether the synthetic rows help to predict numbers in the range; None where none was asked for."""

    range_verdict: RangeVerdict | None

    def _more_json(self) -> dict[str, Any]:
        verdict = None if self.range_verdict is None else self.range_verdict.to_json()
        return {**super()._more_json(), "rare": self.request.rare, "verdict": verdict}

    def _made_shown(self) -> Iterator[Item]:
        return iter(())

    def _verdict_shown(self) -> Iterator[Item]:
        verdict = self.range_verdict
        if verdict is None:
            return
        yield ""
        title = f"Trained on {verdict.n_train} rows, tested on {verdict.n_holdout} held-out real rows"
        rows = tuple(
            (method, *(error_text(scores[figure]) for figure in SHOWN)) for method, scores in verdict.scores.items()
        )
        yield Table(("balanced by", *SHOWN.values()), rows, title=title, right=tuple(range(1, 1 + len(SHOWN))))
        yield verdict.sentence
        if verdict.advice:
            yield f"Advice: {verdict.advice}"
        yield from noted(verdict.notes)


def run(request: Request, _: None, stages: Stages) -> RangeResult:
    """Balance a table by a range of its numeric target."""
    kinds, strategy, rare = kinds_of(request.kinds), strategy_of(request), Range.read(str(request.rare))
    config = request.train_config(Synthesizer.default_train())
    target = str(request.target)
    everything, dialect = read_table(request.data, kinds)
    with about(request.data):
        check_there([target], list(everything.columns))
        RangeTask.of(everything, target, rare)
        aside = put_aside(rare.labels(everything[target]), request)
        held_out, everything = everything[aside], everything[~aside].reset_index(drop=True)
        frame = without(everything, request.drop, target)
        refuse_synthetic(frame)
        task = RangeTask.of(frame, target, rare)
        schema = infer_schema(frame, None, kinds, dialect=dialect)
        stages.plan(plan(request, None, MAKING[0], JUDGING, MEASURING))
        trainings = Trainings(request, config, Synthesizer)

        def trained(rows: pd.DataFrame, part: Part, seed: int, n_alike: int = 1) -> Synthesizer:
            labelled = task.labelled(rows)
            own = _schema(labelled, task, kinds)
            generator: Synthesizer = trainings.fit(
                labelled, task.label, stage=stages[part], seed=seed, n_alike=n_alike, schema=own, rules=request.rules
            )
            return generator

        labels = rare.labels(frame[target])
        repeats = repeats_of(request, labels)

        def balancer(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
            generator = trained(rows, Part.TRAIN_TO_JUDGE, seed, repeats)
            stages[Part.MAKE_TO_JUDGE].begin()
            return task.balance(rows, generator, schema, strategy=strategy, seed=seed).frame.drop(columns=FLAG)

        judged = None
        if request.verdict:
            judged = range_verdict(
                frame, task, balancer, schema=schema, seed=request.seed, n_repeats=repeats, stage=stages[Part.JUDGE]
            )
        generator = trained(frame, Part.TRAIN, request.seed)
        stages[Part.MAKE].begin()
        balanced = task.balance(frame, generator, schema, strategy=strategy, seed=request.seed)
    stages[Part.MEASURE].begin()
    made = synthetic_rows(balanced)
    fidelity = table_fidelity(task.labelled(frame), task.labelled(made), generator.schema_)
    result = RangeResult(
        request=request, balance=balanced, schema=schema, generator=generator, verdict=None, range_verdict=judged,
        notes=(f"Rows of '{target}' {rare} are called {RARE!r}.",), fidelity=fidelity, read_notes=dialect.notes,
        stages=stages, n_held_out=len(held_out),
    )  # fmt: skip

    def page() -> str:
        return balanced_table(
            f"{request.data.name}, balanced", balanced, schema, labels=task.range.labels(balanced.frame[target]),
            range_verdict=judged, fidelity=fidelity,
            training=generator.history_, facts=run_facts(request),
        )  # fmt: skip

    result.write_table(page, everything, held_out, aside, dialect)
    return result


def _schema(labelled: pd.DataFrame, task: RangeTask, kinds: Mapping[str, Any] | None) -> Schema:
    """What the columns of labelled rows are. Raises DataError for a target that is not learned as a number."""
    schema = infer_schema(labelled, task.label, kinds)
    if task.target not in schema.numeric:
        problem = f"is {schema[task.target].kind}, and only a number has a range"
        raise DataError(problem, where=f"column '{task.target}'", remedy=f"say `kinds` {task.target}=continuous")
    return schema
