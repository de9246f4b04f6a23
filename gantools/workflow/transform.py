"""`gantools transform`: pictures made of pictures by a trained translator."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gantools.data.images.folder import MANIFEST, has_manifest
from gantools.data.images.picture import Picture, check_fits, find_pictures, read_mask, read_picture, write_picture
from gantools.errors import ConfigError, DataError
from gantools.files import write_folder
from gantools.stages import Stage
from gantools.words import count, listed
from gantools.workflow.contract import Item, Watch, noted, plain, refuse_together
from gantools.workflow.opening import MODALITIES, saved_model
from gantools.workflow.places import beside, check_apart, check_file, check_folder, folder_beside, named
from gantools.workflow.stages import Stages

STAGE, STAGE_TILES = "Transforming", "Tiles of one picture"
HEAD = ("file", "source")
OPAQUE = 128  # of 255, the opacity below which a pixel is a hole


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to transform, and by what.

    data: a picture or a folder of pictures. source, onnx: a saved translator, or an exported one. output: a file or a
    folder; None for `data` with ".transformed" in its name. mask: where holes are, white on black: a file for one
    picture, a folder with masks of the same names for a folder; None for what is transparent. reverse: from the second
    domain to the first.
    """

    data: Path
    source: Path | None = None
    onnx: Path | None = None
    output: Path | None = None
    mask: Path | None = None
    reverse: bool = False
    device: str = "auto"
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class TransformResult:
    """What was made. pictures: name -> width and height of what was made. skipped: (name, why)."""

    output: Path
    pictures: dict[str, tuple[int, int]]
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain({
            "output": self.output,
            "n_pictures": len(self.pictures),
            "pictures": [{"file": name, "width": w, "height": h} for name, (w, h) in self.pictures.items()],
            "skipped": [{"file": name, "why": why} for name, why in self.skipped],
            "notes": self.notes,
        })  # fmt: skip
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        yield from noted(self.notes)
        if self.skipped:
            yield f"Note: skipped are {listed((f'{name} ({why})' for name, why in self.skipped), quote='')}"
        yield f"{count(len(self.pictures), 'picture')}: {self.output}"


def run(request: Request, watch: Watch | None = None) -> TransformResult:
    """Transform a picture or a folder of pictures, one at a time, and write what is made.

    Raises CheckpointError or ExportError where there is no translator, ConfigError for a bad option, DataError for
    pictures that cannot be read. Then nothing is written.
    """
    refuse_together(request, "source", "onnx")
    place = request.source or request.onnx
    if place is None:
        raise ConfigError("no translator was given", remedy="give `source`, or `onnx`")
    data = request.data
    if not data.exists():
        raise DataError("does not exist", where=str(data), remedy="check the path")
    output = request.output or (folder_beside if data.is_dir() else beside)(named(data), "transformed")
    _check_places(request, output, place)
    model = saved_model(place, "transform", request.device, MODALITIES["image"], exported=request.onnx is not None)
    _check_meaning(request, model)
    job = Job(request, model, watch or Watch())
    if not data.is_dir():
        made = job.one(data, output)
        return TransformResult(output=output, pictures={output.name: made}, notes=tuple(job.notes()))
    return job.folder(output)


def _check_places(request: Request, output: Path, model: Path) -> None:
    """Refuse places where nothing can or must be written, and masks that do not belong to the data.

    model: where the translator is. Raises ConfigError or DataError.
    """
    data, mask = request.data, request.mask
    if not data.is_dir():
        check_file(output, "output", force=request.force, inputs=(data, mask))
        if output.suffix.lower() != data.suffix.lower():
            problem = f"{output} does not end in {data.suffix}, and the format stays as it is"
            raise ConfigError(problem, where="output", remedy=f"end it in {data.suffix}")
    else:
        check_apart(output, "output", data, mask, model)
        is_ours = partial(has_manifest, head=HEAD)
        check_folder(output, "output", force=request.force, what="pictures that gantools wrote", is_ours=is_ours)
    if mask is not None:
        if not mask.exists():
            raise DataError("does not exist", where=f"mask {mask}", remedy="check the path")
        if mask.is_dir() != data.is_dir():
            what = "a folder of masks" if data.is_dir() else "the file of its mask"
            raise ConfigError(f"{mask} does not suit {data}", where="mask", remedy=f"give {what}")


def _check_meaning(request: Request, model: Any) -> None:
    """Refuse options that mean nothing for this model, before any picture is read. Raises ConfigError."""
    if request.mask is not None and not model.fills_holes_:
        raise ConfigError("has no effect on a translator that fills no holes", where="mask", remedy="leave it out")
    if request.reverse and request.onnx is None and model.n_directions_ < 2:  # a file says itself which one it knows
        raise ConfigError("this translator knows one direction", where="reverse", remedy="leave it out")


@dataclass
class Job:
    """Pictures transformed by one model, one in memory at a time. said: what there is to say -> pictures' names."""

    request: Request
    model: Any
    watch: Watch
    said: dict[str, list[str]] = field(default_factory=dict)

    def folder(self, output: Path) -> TransformResult:
        """Every picture of the folder, into one that is there when all are."""
        data, mask = self.request.data, self.request.mask
        names = find_pictures(data)
        masks = {} if mask is None else {_stem(name): mask / name for name in find_pictures(mask)}
        made: dict[str, tuple[int, int]] = {}
        skipped: list[tuple[str, str]] = []
        stage = self.begun()
        with write_folder(output) as folder:
            for done, name in enumerate(names):
                stage.done(done, len(names), "pictures")
                if mask is not None and _stem(name) not in masks:
                    raise DataError(
                        f"there is no mask for {name}", where=f"mask {mask}", remedy="give one of that name"
                    )
                try:
                    picture = self.read(data / name)
                except DataError as error:
                    skipped.append((name, error.problem))
                    continue
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                made[name] = self.make(picture, name, place, masks.get(_stem(name)), self.tiles_told)
            if not made:
                first, why = skipped[0]
                problem = f"none of its {count(len(names), 'picture')} can be used; the first, {first}, {why}"
                raise DataError(problem, where=str(data), remedy="mend or remove them")
            stage.done(len(names), len(names), "pictures")
            with (folder / MANIFEST).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([HEAD, *((name, data / name) for name in made)])
        return TransformResult(output=output, pictures=made, skipped=tuple(skipped), notes=tuple(self.notes()))

    def begun(self) -> Stage:
        """The only stage, which begins now."""
        stages = Stages(self.watch)
        stages.plan({STAGE: 1.0})
        stages[STAGE].begin()
        return stages[STAGE]

    def one(self, path: Path, output: Path) -> tuple[int, int]:
        """One picture."""
        stage = self.begun()

        def told(done: int, total: int) -> None:
            stage.done(done, total, "tiles")

        return self.make(self.read(path), path.name, output, self.request.mask, told)

    def tiles_told(self, done: int, total: int) -> None:
        """Of one picture among many so many tiles are done."""
        if total > 1:
            self.watch.done(STAGE_TILES, done, total, "tiles")

    def read(self, path: Path) -> Picture:
        """The picture in a file, as the model takes it. Raises DataError where it cannot be used."""
        model = self.model
        schema = model.target_schema_ if self.request.reverse else model.schema_
        picture = read_picture(path, channels=schema.channels, white=schema.white)
        height, width = (side * model.scale_ for side in picture.pixels.shape[:2])
        check_fits(picture, height, width, path)
        return picture

    def make(
        self, picture: Picture, name: str, output: Path, mask: Path | None, on_tile: Callable[[int, int], None]
    ) -> tuple[int, int]:
        """Write what is made of a picture, and return its width and height."""
        for note in picture.notes:
            self.said.setdefault(note, []).append(name)
        given = {} if not self.model.fills_holes_ else {"mask": self.hole(picture, name, mask)}
        made = self.model.transform(picture.pixels, **given, reverse=self.request.reverse, on_tile=on_tile)
        if given and picture.alpha is not None and mask is None:  # what was transparent is filled
            picture = replace(picture, alpha=None)
        write_picture(picture, made, output)
        return made.shape[1], made.shape[0]

    def hole(self, picture: Picture, name: str, mask: Path | None) -> Any:
        """Where a picture has holes. Raises DataError where that is everywhere or not said."""
        where = str(mask or (self.request.data / name if self.request.data.is_dir() else self.request.data))
        if mask is not None:
            hole = read_mask(mask, picture.pixels.shape[:2])
            if not hole.any():
                self.said.setdefault(f"its mask {mask.name} is black, so that nothing is filled", []).append(name)
        elif picture.alpha is not None and (picture.alpha < OPAQUE).any():
            hole = picture.alpha < OPAQUE
        else:
            remedy = "give `mask`, or make transparent what is to be filled"
            raise DataError("says nowhere what is to be filled", where=where, remedy=remedy)
        if hole.all():
            raise DataError("leaves nothing of the picture to go by", where=where, remedy="let some of it be known")
        return np.ascontiguousarray(hole)

    def notes(self) -> Iterator[str]:
        """What there is to say of the pictures."""
        for note, names in self.said.items():
            yield f"{listed(names, 3, quote='')}: {note}"


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
