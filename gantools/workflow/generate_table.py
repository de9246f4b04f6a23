"""Making rows with a saved generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd

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
    n = request.n
    assert n is not None
    check_memory(CELL_BYTES * n * len(generator.schema_.columns), "n", count(n, "row"))
    maker = Maker.of(request, generator)
    frame = maker.rows(n, request.seed)
    write_table(frame, output, _dialect(generator.schema_.dialect, output))
    return maker.result(output, frame[maker.target].value_counts().to_dict())


@dataclass(frozen=True)
class Maker:
    """Makes rows as they are asked for.

    target: the column of the classes. label: of all rows, where only one is asked for. where: what they must be
    besides. share: of the rows made without a condition, those that fulfil it, about. notes: what people should know.
    """

    generator: Any
    target: str
    refine: bool | None = None
    label: Any = None
    where: Mapping[str, Any] | None = None
    share: float | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request, generator: Any) -> Maker:
        """What the request asks for. Raises ConfigError for a condition that no row can fulfil."""
        schema = generator.schema_
        target = str(schema.target)
        if any(named_value(text)[0] != target for text in request.where) and hasattr(generator, "outlook"):
            where = read_where(request.where, schema)
            refuse_together(request, "where", "refine")
            share, notes = generator.outlook(where, seed=request.seed).share, []
            if share * schema.n_rows < FEW_ROWS:
                notes.append(
                    f"Fewer than {FEW_ROWS} of the {count(schema.n_rows, 'row')} that were learned from can be "
                    "expected to be like that: what is made says little about real ones."
                )
            return cls(generator, target, where=where, share=share, notes=tuple(notes))
        label = request.label(target)
        if label is not None:
            label = match_label(schema[target].levels, label, "where")
        return cls(generator, target, request.refine, label)

    def rows(self, n: int, seed: int) -> pd.DataFrame:
        """n rows."""
        if self.where is not None:
            frame = self.generator.sample(n, seed=seed, where=self.where)
        else:
            counts = n if self.label is None else {self.label: n}
            frame = self.generator.sample(counts, seed=seed, **given(self, "refine"))
        return cast(pd.DataFrame, frame)

    def result(self, output: Path, made: Mapping[Any, int]) -> GenerateResult:
        """What was made. made: label -> rows."""
        return GenerateResult(
            output=output, target=self.target, samples="rows", whole="table", counts=made, share=self.share,
            notes=self.notes,
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
