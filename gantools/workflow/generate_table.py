"""Making rows with a saved generator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gantools.config import check_memory
from gantools.data.tables import write_table
from gantools.data.tables.dialect import Dialect
from gantools.words import count
from gantools.workflow.augmenting import match_label
from gantools.workflow.contract import given
from gantools.workflow.generate import GenerateResult, Request

CELL_BYTES = 8  # of memory for each cell, at least


def run(request: Request, generator: Any, output: Path) -> GenerateResult:
    """Make rows and write them as a table."""
    target, n = str(generator.schema_.target), request.n
    assert n is not None
    check_memory(CELL_BYTES * n * len(generator.schema_.columns), "n", count(n, "row"))
    counts: int | dict[Any, int] = n
    if (label := request.label(target)) is not None:
        counts = {match_label(generator.schema_[target].levels, label, "where"): n}
    frame = generator.sample(counts, seed=request.seed, **given(request, "refine"))
    write_table(frame, output, _dialect(generator.schema_.dialect, output))
    made = frame[target].value_counts().to_dict()
    return GenerateResult(output=output, target=target, samples="rows", whole="table", counts=made)


def _dialect(learned: Dialect | None, output: Path) -> Dialect | None:
    """How to write rows: as the training file is written, but tabs in a `.tsv` file."""
    if learned is not None and learned.kind == "csv" and output.name.lower().endswith(".tsv"):
        return replace(learned, delimiter="\t", preamble="")
    return learned
