"""Making images of what is described."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gantools.augment.latent import check_truncation, seeds_of_run
from gantools.config import check_memory
from gantools.data.images.folder import new_image_folder
from gantools.data.images.metadata import FILE_NAME, FILES
from gantools.encode.descriptions import Descriptions
from gantools.errors import ConfigError
from gantools.words import count, listed, meant
from gantools.workflow.contract import Item, noted
from gantools.workflow.described import read_vectors
from gantools.workflow.generate import GenerateResult, Request, named_value

N_SHOWN = 10  # descriptions that people are shown


@dataclass(frozen=True, kw_only=True)
class DescribedResult(GenerateResult):
    """Images of descriptions. described: what each shows. notes: what the user should know."""

    described: pd.DataFrame
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        found = super().to_json()
        del found["classes"]
        return {**found, "notes": list(self.notes)}

    def shown(self) -> Iterator[Item]:
        yield from noted(self.notes)
        different = self.described.drop_duplicates()
        for row in different.head(N_SHOWN).to_dict("records"):
            yield ", ".join(f"{name}={value}" for name, value in row.items())
        if len(different) > N_SHOWN:
            yield f"and {len(different) - N_SHOWN:,} other descriptions"
        yield f"Synthetic {self.whole}: {self.output}"


def run(request: Request, generator: Any, output: Path) -> DescribedResult:
    """Make images, as many as asked for of each vector where there are such, and write them into a folder."""
    for name in ("seeds", "interpolate", "style_mix"):
        if getattr(request, name) is not None:
            raise ConfigError("has no meaning for images with descriptions", where=name, remedy="use `n` and `seed`")
    check_truncation(request.truncation, generator.truncates)
    told: Descriptions = generator.descriptions_
    assert request.n is not None
    n, given = request.n, None
    if request.embeddings is not None:
        if not told.width:
            raise ConfigError("this generator takes no vectors", where="embeddings", remedy="leave it out")
        given = read_vectors(request.embeddings, None, told.width).repeat(n, 0)
        n = len(given)
    layout = generator.encoder_.layout
    check_memory(n * layout.channels * layout.size**2, "n", count(n, "image"))
    frame, drawn = told.drawn(n, np.random.default_rng(request.seed))
    notes = _ask(frame, told, request)
    images, _ = generator.sample(
        frame, drawn if given is None else given, seed=request.seed, truncation=request.truncation
    )
    with new_image_folder(output) as folder:
        files = [
            folder.generated(image, "", seed)
            for image, seed in zip(images.movedim(1, 3).numpy(), seeds_of_run(request.seed, n), strict=True)
        ]
        table = pd.concat([pd.Series(files, name=FILE_NAME), frame], axis=1)
        table.to_csv(folder.folder / FILES[0], index=False)
    return DescribedResult(
        output=output, target="description", samples="images", whole="images", counts={"all": n}, described=frame,
        notes=tuple(notes),
    )  # fmt: skip


def _ask(frame: pd.DataFrame, told: Descriptions, request: Request) -> list[str]:
    """Put what is asked for into every description. Returns what the user should know of it."""
    notes = []
    for text in request.where:
        column, value = named_value(text)
        if column not in told.columns:
            known = listed(told.columns)
            remedy = meant(column, told.columns, f"images are described by {known}")
            raise ConfigError(f"{text!r} names no column of the descriptions", where="where", remedy=remedy)
        asked: Any = value
        if column in told.numbers:
            try:
                asked = float(value)
            except ValueError as error:
                raise ConfigError(f"{value!r} is no number", where="where", remedy=f"write {column}=1.5") from error
        elif column in told.levels and value not in told.levels[column]:
            levels = told.levels[column]
            remedy = meant(value, levels, f"its values are {listed(levels)}")
            raise ConfigError(f"{column!r} was never {value!r}", where="where", remedy=remedy)
        elif column == told.caption:
            if not value.strip():
                raise ConfigError("the caption is empty", where="where", remedy="say what is to be seen")
            unknown = told.unknown([value])
            if unknown:
                notes.append(f"words that no caption had in training: {listed(unknown)}; they say nothing to it")
            if len(value.split()) > told.n_words:
                notes.append(f"of the caption the first {told.n_words} words are read, as many as the longest had")
        frame[column] = asked
    return notes
