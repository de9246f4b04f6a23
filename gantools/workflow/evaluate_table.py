"""Judging a synthetic table: read, compare, write the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gantools.augment.balance import FLAG
from gantools.data.tables import read_table
from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.errors import DataError
from gantools.evaluate.table_evaluation import Sample, evaluate_table
from gantools.report.evaluated_table import evaluated_table
from gantools.words import count, listed
from gantools.workflow.evaluate import Request
from gantools.workflow.evaluating import EvaluateResult
from gantools.workflow.opening import about
from gantools.workflow.reporting import run_facts
from gantools.workflow.stages import Stages
from gantools.workflow.tables import check_target, kinds_of, refuse_synthetic, without

STAGE = "Comparing"
ALL_LEVELS = 2**62  # each level counts, however rare


class TableResult(EvaluateResult):
    """Of tables."""

    sample = "row"


def run(request: Request, stages: Stages) -> TableResult:
    """Judge a synthetic table."""
    stages.plan({STAGE: 1.0})
    kinds = kinds_of(request.kinds)
    frame, dialect = read_table(request.real, kinds)
    notes = list(dialect.notes)
    with about(request.real):
        refuse_synthetic(frame)
        frame = without(frame, request.drop, request.target)
        schema = infer_schema(frame, request.target, kinds, max_levels=ALL_LEVELS, dialect=dialect)
        if request.target is not None:
            check_target(schema)
        if not (schema.numeric or schema.categorical):
            raise DataError("has no column to compare", remedy="name what columns are with `kinds`")
        real = Sample.of(frame, schema)
    notes += [note for column in schema.columns if (note := _left_out(column.name, schema))]
    made, _ = read_table(request.synthetic, kinds, schema)
    with about(request.synthetic):
        made, said = _synthetic_alone(made)
        synthetic = _sample(made, schema, request.real)
    notes += [*said, *_further(made, schema, request)]
    holdout = None
    if request.holdout is not None:
        more, _ = read_table(request.holdout, kinds, schema)
        with about(request.holdout):
            refuse_synthetic(more)
            holdout = _sample(more, schema, request.real)
    evaluation = evaluate_table(real, synthetic, holdout, seed=request.seed, stage=stages[STAGE])
    result = TableResult(
        request=request, evaluation=evaluation, n_real=len(real), n_synthetic=len(synthetic),
        n_holdout=0 if holdout is None else len(holdout), notes=tuple(notes), stages=stages,
    )  # fmt: skip
    result.write(
        lambda: evaluated_table(
            request.synthetic.name + ", judged", result.sizes, evaluation, schema, notes=notes, facts=run_facts(request)
        )
    )
    return result


def _synthetic_alone(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows that are marked as synthetic, all where none is, and what to say about it. Raises DataError."""
    if FLAG not in frame.columns:
        return frame, []
    where = f"column '{FLAG}'"
    flags = frame[FLAG]
    if flags.isna().any() or not set(map(str, flags.unique())) <= {"True", "False", "0", "1"}:
        raise DataError("holds something other than true and false", where=where, remedy="mend or drop it")
    chosen = flags.map(str).isin(["True", "1"]).to_numpy(dtype=bool)
    if not chosen.any():
        raise DataError("marks no row as synthetic", where=where, remedy="give a table with synthetic rows")
    said = (
        f"The {count(int(chosen.sum()), 'row')} where '{FLAG}' is true are judged, the {(~chosen).sum():,} others not"
    )
    return frame.drop(columns=FLAG)[chosen].reset_index(drop=True), [f"{said}."]


def _sample(frame: pd.DataFrame, schema: Schema, real: Path) -> Sample:
    """A table with the schema's columns. Raises DataError for one without them, or with other types in them."""
    names = set(map(str, frame.columns))
    wanted = [*schema.numeric, *schema.categorical, *([] if schema.target is None else [schema.target])]
    lacking = [name for name in wanted if name not in names]
    if lacking:
        which = f"the column{'s' if len(lacking) > 1 else ''} {listed(lacking)}"
        remedy = "give a table with the same columns, or leave those out with `drop`"
        raise DataError(f"lacks {which} of {real.name}", remedy=remedy)
    if not len(frame):
        raise DataError("has no rows", remedy="give a table with rows")
    return Sample.of(frame, schema)


def _left_out(name: str, schema: Schema) -> str:
    """Why a column is not compared, where it is not."""
    column = schema[name]
    if name == schema.target or name in (*schema.numeric, *schema.categorical):
        return ""
    why = "it is always the same" if column.kind is Kind.CONSTANT else "it looks like an identifier"
    return f"Column '{name}' is not compared: {why}."


def _further(frame: pd.DataFrame, schema: Schema, request: Request) -> list[str]:
    known = {*schema.names, *request.drop}
    further = [str(name) for name in frame.columns if str(name) not in known]
    if not further:
        return []
    what = "a column" if len(further) == 1 else "columns"
    return [f"The synthetic table has {what} that the real one lacks, not compared: {listed(further)}."]
