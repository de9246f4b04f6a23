"""Making rows with a saved generator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gantools.augment.asked import read_where
from gantools.config import check_memory
from gantools.data.tables import read_table, write_table
from gantools.data.tables.dialect import Dialect
from gantools.words import count
from gantools.workflow.augmenting import match_label
from gantools.workflow.contract import given, refuse_together
from gantools.workflow.generate import FillResult, GenerateResult, Request, named_value
from gantools.workflow.opening import about

FEW_ROWS = 10  # learned from, below which a condition is a rare one
CELL_BYTES = 8  # of memory for each cell, at least


def run(request: Request, generator: Any, output: Path) -> GenerateResult:
    """Make rows and write them as a table."""
    target, n = str(generator.schema_.target), request.n
    assert n is not None
    check_memory(CELL_BYTES * n * len(generator.schema_.columns), "n", count(n, "row"))
    counts: int | dict[Any, int] = n
    share, notes = None, []
    if any(named_value(text)[0] != target for text in request.where) and hasattr(generator, "outlook"):
        where = read_where(request.where, generator.schema_)
        refuse_together(request, "where", "refine")
        share = generator.outlook(where, seed=request.seed).share
        if share * generator.schema_.n_rows < FEW_ROWS:
            notes.append(
                f"Fewer than {FEW_ROWS} of the {count(generator.schema_.n_rows, 'row')} that were learned from can be "
                "expected to be like that: what is made says little about real ones."
            )
        frame = generator.sample(n, seed=request.seed, where=where)
    else:
        if (label := request.label(target)) is not None:
            counts = {match_label(generator.schema_[target].levels, label, "where"): n}
        frame = generator.sample(counts, seed=request.seed, **given(request, "refine"))
    write_table(frame, output, _dialect(generator.schema_.dialect, output))
    made = frame[target].value_counts().to_dict()
    return GenerateResult(
        output=output, target=target, samples="rows", whole="table", counts=made, share=share, notes=notes
    )  # fmt: skip


def fill(request: Request, generator: Any, output: Path) -> FillResult:
    """Fill the missing cells of a table and write it."""
    assert request.fill is not None
    schema = generator.schema_
    frame, dialect = read_table(request.fill, like=schema)
    with about(request.fill):
        filled = generator.fill(frame, likely=request.likely, seed=request.seed)
    write_table(filled, output, dialect)
    before, after = (part.isna().sum() for part in (frame, filled))
    return FillResult(
        output=output, n_rows=len(frame), cells={str(k): int(n) for k, n in (before - after).items() if n},
        left={str(k): int(n) for k, n in after.items() if n}, likely=request.likely,
    )  # fmt: skip


def _dialect(learned: Dialect | None, output: Path) -> Dialect | None:
    """How to write rows: as the training file is written, but tabs in a `.tsv` file."""
    if learned is not None and learned.kind == "csv" and output.name.lower().endswith(".tsv"):
        return replace(learned, delimiter="\t", preamble="")
    return learned
