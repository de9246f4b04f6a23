"""Making more rows than memory holds: a folder of parts, each made from a seed of its own and written whole.

Part k is the same whatever was made before it, so that what was interrupted goes on: parts that are there stay. The
folder also holds `_asked.json`, what was asked for, and at the end `_SUCCESS`, as Spark writes it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gantools.data.tables import read_table, write_table
from gantools.errors import ConfigError
from gantools.files import whole_folder, write_file
from gantools.workflow.contract import Watch
from gantools.workflow.generate import GenerateResult, Request
from gantools.workflow.generate_table import Maker
from gantools.workflow.places import check_writable

STAGE = "Generating"
ASKED, SUCCESS = "_asked.json", "_SUCCESS"


def check_place(folder: Path, request: Request, asked: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but parts of this very run. Raises ConfigError."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file", where="output", remedy="give the name of a folder")
    there = {one.name for one in folder.iterdir()} if folder.is_dir() else set[str]()
    if not there:
        check_writable(folder, "output")
        return
    if not request.resume:
        raise ConfigError(
            f"{folder} is not empty", where="output", remedy="give another name, or `resume` to go on with it"
        )
    if _begun(folder) != asked:
        problem = f"{folder} was not begun with this generator, `n`, `part_rows`, `seed` and `where`"
        raise ConfigError(problem, where="resume", remedy="ask for the same, or give another folder")


def _begun(folder: Path) -> Any:
    """What was asked for when the folder was begun, None where it does not say."""
    with suppress(OSError, ValueError):
        return json.loads((folder / ASKED).read_text(encoding="utf-8"))
    return None


def _digest(request: Request) -> str:
    """Of the generator's file."""
    place = request.onnx or whole_folder(request.folder or Path()) / "weights.safetensors"
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(request: Request, generator: Any, output: Path, watch: Watch) -> GenerateResult:
    """Make rows and write them as a folder of parts."""
    assert request.n is not None and request.part_rows is not None
    maker = Maker.of(request, generator)
    dialect = generator.schema_.dialect
    suffix = ".csv" if dialect is not None and dialect.kind == "csv" else ".parquet"
    asked = {
        "generator": _digest(request), "n": request.n, "part_rows": request.part_rows, "seed": request.seed,
        "where": list(request.where), "refine": request.refine,
    }  # fmt: skip
    check_place(output, request, asked)
    output.mkdir(exist_ok=True)
    with write_file(output / ASKED) as file:
        file.write(json.dumps(asked).encode())
    starts = range(0, request.n, request.part_rows)
    seeds = np.random.SeedSequence(request.seed).generate_state(len(starts), np.uint64) >> 1
    made: Counter[Any] = Counter()
    for k, (start, seed) in enumerate(zip(starts, seeds.tolist(), strict=True)):
        n, place = min(request.part_rows, request.n - start), output / f"part-{k:05}{suffix}"
        if place.is_file():
            frame = read_table(place, like=generator.schema_)[0]
        else:
            frame = maker.rows(n, seed)
            write_table(frame, place, dialect)
        made.update(frame[maker.target].value_counts().to_dict())
        watch.done(STAGE, start + n, request.n, "rows")
    (output / SUCCESS).touch()
    return maker.result(output, made)
