"""Making more rows than memory holds: a folder of parts, each made from a seed of its own and written whole.

Part k is the same whoever makes it and whatever was made before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantools.data.tables import read_table, write_table
from gantools.workflow.contract import Watch
from gantools.workflow.generate import GenerateResult, Request, loaded
from gantools.workflow.generate_table import Maker
from gantools.workflow.in_parts import collected, digest_of
from gantools.workflow.workers import done

STAGE = "Generating"


@dataclass(frozen=True)
class _Part:
    """Rows to make, and where they go."""

    n: int
    seed: int
    place: Path


@dataclass(frozen=True)
class _Making:
    """Makes parts, and counts the labels in each."""

    maker: Maker

    @classmethod
    def begin(cls, request: Request) -> _Making:
        """In a process of its own."""
        return cls(Maker.of(request, loaded(request)))

    def __call__(self, part: _Part) -> Mapping[Any, int]:
        maker, schema = self.maker, self.maker.generator.schema_
        if part.place.is_file():
            frame = read_table(part.place, like=schema)[0]
        else:
            frame = maker.rows(part.n, part.seed)
            write_table(frame, part.place, schema.dialect)
        counts: dict[Any, int] = frame[maker.target].value_counts().to_dict()
        return counts


def run(request: Request, generator: Any, output: Path, watch: Watch) -> GenerateResult:
    """Make rows and write them as a folder of parts."""
    assert request.n is not None and request.part_rows is not None
    work = _Making(Maker.of(request, generator))
    dialect = generator.schema_.dialect
    suffix = ".csv" if dialect is not None and dialect.kind == "csv" else ".parquet"
    asked = {
        "generator": digest_of(request.folder, request.onnx), "n": request.n, "part_rows": request.part_rows,
        "seed": request.seed, "where": list(request.where), "refine": request.refine,
    }  # fmt: skip
    starts = range(0, request.n, request.part_rows)
    seeds = np.random.SeedSequence(request.seed).generate_state(len(starts), np.uint64) >> 1
    made: Counter[Any] = Counter()
    names = [f"part-{k:05}{suffix}" for k in range(len(starts))]
    with collected(output, asked, set(names), request, force=request.force) as folder:
        parts = [
            _Part(min(request.part_rows, request.n - start), seed, folder / name)
            for name, start, seed in zip(names, starts, seeds.tolist(), strict=True)
        ]
        begin = (lambda: work) if request.is_here else partial(_Making.begin, request)
        for counts in done(begin, parts, request.engine, request.workers):
            made.update(counts)
            watch.done(STAGE, sum(made.values()), request.n, "rows")
    return work.maker.result(output, made)
