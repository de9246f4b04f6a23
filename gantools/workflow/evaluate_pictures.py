"""Judging pictures by the true ones of the same names: restored or translated, by any tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from gantools.data.images.pairs import by_stem
from gantools.data.images.source import Bytes, ImageSource, open_images
from gantools.errors import DataError
from gantools.evaluate.pictures import FIGURES, PictureFigures, PicturesEvaluation
from gantools.evaluate.restoration import PerceptualDistance
from gantools.report.evaluated_pictures import Shown, evaluated_pictures
from gantools.report.page import write_html
from gantools.words import listed
from gantools.workflow.contract import Item, Table, noted, plain
from gantools.workflow.evaluate import Request
from gantools.workflow.reporting import run_facts
from gantools.workflow.stages import Stages

STAGE = "Comparing"
N_SHOWN = 12  # of the worst, in the report
HEAD = ("PSNR (dB)", "of luminance", "SSIM", "perceptual distance")  # of `FIGURES`


@dataclass(frozen=True, kw_only=True)
class PicturesResult:
    """What was found. notes: what else to know."""

    request: Request
    evaluation: PicturesEvaluation
    notes: tuple[str, ...]
    stages: Stages = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        request = self.request
        found: dict[str, Any] = plain(
            {
                "real": request.real,
                "synthetic": request.synthetic,
                "inputs": request.inputs,
                **self.evaluation.to_json(),
                "report": request.report,
                "seconds": round(self.stages.now, 1),
                "notes": self.notes,
            }
        )
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        evaluation = self.evaluation
        yield evaluation.sentence
        yield ""
        sides = (("made", "the pictures"), ("inputs", "their inputs"))[: 2 if evaluation.inputs else 1]
        rows = [(words, *(f"{evaluation.mean(name, side):.3f}" for name in FIGURES)) for side, words in sides]
        worst = [evaluation.made[k] for k in evaluation.worst(5)]
        rows += [(one.name, *(f"{getattr(one, name):.3f}" for name in FIGURES)) for one in worst]
        title = f"Means, and the worst pictures; the perceptual distance goes by {evaluation.measured_by}"
        yield Table(("", *HEAD), tuple(rows), title=title, right=(1, 2, 3, 4))
        yield from noted(self.notes)
        if self.request.report is not None:
            yield f"Report: {self.request.report}"


def run(request: Request, stages: Stages) -> PicturesResult:
    """Judge pictures by those of the same names."""
    stages.plan({STAGE: 1.0})
    stage = stages[STAGE]
    stage.begin()
    truth = open_images(request.real, labelled=False)
    made = open_images(request.synthetic, labelled=False, known=truth.schema)
    inputs = None if request.inputs is None else open_images(request.inputs, labelled=False, known=truth.schema)
    pairs, notes = _pairs(truth, made)
    of_inputs = None if inputs is None else by_stem(inputs)
    distance = PerceptualDistance()
    figures: list[PictureFigures] = []
    before: list[PictureFigures] = []
    for k, (name, place, other) in enumerate(pairs):
        true, ours = truth.read(place), made.read(other)
        if ours.shape[:2] != true.shape[:2]:
            sizes = [f"{one.shape[1]} x {one.shape[0]}" for one in (ours, true)]
            problem = f"is {sizes[0]} pixels, and {truth.names[place]} of {request.real.name} is {sizes[1]}"
            remedy = "give pictures of one size"
            raise DataError(problem, where=str(request.synthetic / made.names[other]), remedy=remedy)
        figures.append(PictureFigures.of(made.names[other], ours, true, distance))
        if inputs is not None and of_inputs is not None:
            if name not in of_inputs:
                problem = f"has no picture {name} that {made.names[other]} was made from"
                raise DataError(problem, where=str(request.inputs), remedy="give the inputs under the same names")
            first = _in_size(inputs.read(of_inputs[name]), true)
            before.append(PictureFigures.of(name, first, true, distance))
        stage.done(k + 1, len(pairs), "pictures")
    evaluation = PicturesEvaluation.of(figures, before, distance.name, request.seed)
    result = PicturesResult(request=request, evaluation=evaluation, notes=tuple(notes), stages=stages)
    if request.report is not None:
        shown = []
        for k in evaluation.worst(N_SHOWN):
            name, place, other = pairs[k]
            given = None if inputs is None or of_inputs is None else inputs.read(of_inputs[name])
            shown.append(Shown(evaluation.made[k], truth.read(place), made.read(other), given))
        title = f"{request.synthetic.name}, judged"
        page = evaluated_pictures(title, evaluation, shown, notes=result.notes, facts=run_facts(request))
        write_html(page, request.report)
    return result


def _pairs(truth: ImageSource, made: ImageSource) -> tuple[list[tuple[str, int, int]], list[str]]:
    """(name, place among the true pictures, place among those made) of each pair, and what is to be said of others."""
    one, other = by_stem(truth), by_stem(made)
    shared = [name for name in one if name in other]
    if not shared:
        problem = f"holds no picture with a name of one in {truth.path.name}"
        raise DataError(problem, where=str(made.path), remedy="give pictures under the names of the true ones")
    unread = [f"{name} ({why})" for source in (truth, made) for name, why in source.schema.skipped]
    notes = [f"Left out, because they cannot be read: {listed(unread, 10, quote='')}."] if unread else []
    for source, there, lacking in ((truth, one, other), (made, other, one)):
        alone = [name for name in there if name not in lacking]
        if alone:
            has, was = ("has", "was") if len(alone) == 1 else ("have", "were")
            notes.append(f"{listed(alone)} of {source.path.name} {has} no partner and {was} left out.")
    return [(name, one[name], other[name]) for name in shared], notes


def _in_size(pixels: Bytes, like: Bytes) -> Bytes:
    """A picture enlarged or reduced to the size of another by cubic interpolation."""
    if pixels.shape[:2] == like.shape[:2]:
        return pixels
    size = like.shape[1], like.shape[0]
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in np.moveaxis(pixels, 2, 0)]
    return np.stack([np.asarray(plane) for plane in planes], 2)


def check_folders(request: Request) -> None:
    """Refuse what are no folders of pictures. Raises DataError."""
    for place in (request.real, request.synthetic, request.inputs):
        if place is not None and not place.is_dir():
            problem = "is not a folder" if place.exists() else "does not exist"
            raise DataError(problem, where=str(place), remedy="give folders of pictures")
