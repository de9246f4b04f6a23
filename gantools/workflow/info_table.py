"""What a table holds: its columns, as they are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gantools.data.tables import read_table
from gantools.data.tables.raw import to_raw
from gantools.data.tables.rules import find_rules
from gantools.data.tables.schema import Column, Schema, infer_schema
from gantools.words import percent
from gantools.workflow.contract import Item, Table, Watch, noted
from gantools.workflow.info import InfoResult, Request
from gantools.workflow.opening import about
from gantools.workflow.tables import kinds_of, without

LEVELS_SHOWN = 4
LONGEST_LEVEL = 30  # characters


def run(request: Request, _: Watch) -> InfoResult:
    """Read a table and say what its columns are taken for."""
    kinds = kinds_of(request.kinds)
    frame, dialect = read_table(request.data, kinds)
    with about(request.data):
        kept = without(frame, request.drop, request.target)
        schema = infer_schema(kept, request.target, kinds, dialect=dialect)
        schema = replace(schema, rules=find_rules(to_raw(kept, schema), schema))
    notes = [*dialect.notes, *schema.notes()]
    counts = {} if request.target is None else frame[request.target].value_counts().to_dict()
    facts = {
        "data": request.data,
        "format": dialect.kind,
        "n_rows": schema.n_rows,
        "schema": schema.to_json(),
        "classes": [{"label": label, "rows": n} for label, n in counts.items()],
        "notes": notes,
    }
    items: list[Item] = [f"{request.data} ({dialect.kind})", *shown(schema), *noted(notes)]
    if counts:
        rows = tuple((label, n, percent(n / schema.n_rows)) for label, n in counts.items())
        items.append(Table((str(request.target), "rows", "share"), rows, right=(1, 2)))
    return InfoResult(facts, tuple(items))


def shown(schema: Schema) -> Iterator[Item]:
    """The columns as a table."""
    yield f"{schema.n_rows} rows, {len(schema.columns)} columns"
    rows = tuple(
        (
            f"{column.name} (target)" if column.name == schema.target else column.name,
            column.kind.value,
            column.dtype,
            percent(column.missing),
            column.n_distinct,
            _values(column),
        )
        for column in schema.columns
    )
    yield Table(("column", "kind", "type", "missing", "distinct", "values"), rows, right=(3, 4))


def _values(column: Column) -> str:
    if column.levels:
        some = ", ".join(_clipped(str(level)) for level in column.levels[:LEVELS_SHOWN])
        more = len(column.levels) - LEVELS_SHOWN
        pooled = f" and {column.n_pooled} pooled" if column.n_pooled else ""
        return (f"{some}, and {more} more" if more > 0 else some) + pooled
    if column.low is None or column.high is None:
        return ""
    if column.kind.value == "datetime":
        import pandas as pd

        low, high = (pd.Timestamp(round(value), unit="us") for value in (column.low, column.high))
        return f"{low} to {high}"
    return f"{column.low:.6g} to {column.high:.6g}"


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_LEVEL else f"{text[: LONGEST_LEVEL - 1]}…"
