"""Judging synthetic images: read, compare, write the report."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from gantools.config import check
from gantools.data.images.folder import MANIFEST, has_manifest
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import ImageSource, open_images
from gantools.encode.images import FITS, ImageEncoder, ImageLayout, ImageSet, check_size, fitting_size
from gantools.errors import DataError
from gantools.evaluate.image_evaluation import evaluate_images
from gantools.nn.features import Features, inception_features, perceptual_features
from gantools.report.evaluated_images import evaluated_images
from gantools.train.devices import resolve_device
from gantools.train.image_classifier import classifier_features
from gantools.words import listed
from gantools.workflow.evaluate import Request
from gantools.workflow.evaluating import EvaluateResult
from gantools.workflow.examples import examples_of
from gantools.workflow.images import LARGEST_UNASKED, STAGE_CHECK, STAGE_READ
from gantools.workflow.reporting import run_facts
from gantools.workflow.stages import Stages

STAGE = "Comparing"


class ImageResult(EvaluateResult):
    """Of images."""

    sample = "image"


def run(request: Request, stages: Stages) -> ImageResult:
    """Judge synthetic images."""
    stages.plan({STAGE: 1.0})
    check(request.fit is None or request.fit in FITS, "fit", "must be one of " + ", ".join(FITS))
    if request.size is not None:
        check_size(request.size)
    device = resolve_device(request.device)
    source = _opened(request.real, stages, None, is_synthetic=False)
    classes = source.schema.classes
    chosen = request.features or ("classifier" if classes else "perceptual")
    check(chosen != "classifier" or bool(classes), "features", "needs classes for a classifier; choose perceptual")
    made = _opened(request.synthetic, stages, source.schema, is_synthetic=True)
    more = None
    if request.holdout is not None:
        more = _opened(request.holdout, stages, source.schema, is_synthetic=False)
    size = request.size or fitting_size(source.schema, LARGEST_UNASKED)
    encoder = ImageEncoder(ImageLayout(source.schema.channels, size), request.fit or FITS[0])
    real, synthetic = (_loaded(one, encoder, stages) for one in (source, made))
    holdout = None if more is None else _loaded(more, encoder, stages)
    features: Features
    if chosen == "classifier":
        features = classifier_features(real.images, real.label, len(classes), seed=request.seed, device=device)
    else:
        features = (perceptual_features if chosen == "perceptual" else inception_features)(device)
    made_label = _labels(synthetic, classes)
    evaluation = evaluate_images(
        real.images, real.label, synthetic.images, made_label, classes, features,
        None if holdout is None else (holdout.images, _labels(holdout, classes)),
        seed=request.seed, device=device, stage=stages[STAGE],
    )  # fmt: skip
    result = ImageResult(
        request=request, evaluation=evaluation, n_real=len(real), n_synthetic=len(synthetic),
        n_holdout=0 if holdout is None else len(holdout), stages=stages,
        notes=(*source.schema.notes(), *evaluation.quality.notes),
    )  # fmt: skip

    def page() -> str:
        both = (synthetic.images, made_label), (real.images, real.label)
        return evaluated_images(
            f"{request.synthetic.name}, judged", result.sizes, evaluation, examples_of(*both, classes, features),
            notes=result.notes, facts=run_facts(request),
        )  # fmt: skip

    result.write(page)
    return result


def _opened(path: Path, stages: Stages, known: ImageSchema | None, *, is_synthetic: bool) -> ImageSource:
    """The images of a place; of a folder that holds originals and synthetic images, those that are asked for.

    known: of the real images. Raises DataError for classes that those do not have.
    """
    labelled, channels = (None, None) if known is None else (bool(known.classes), known.channels)
    source = open_images(
        path, labelled=labelled, channels=channels,
        on_read=lambda done: stages.watch.done(STAGE_CHECK, done, None, "images"),
    )  # fmt: skip
    if path.is_dir() and has_manifest(path):
        with (path / MANIFEST).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            marked = {row["file"] for row in csv.DictReader(file) if row["is_synthetic"] == "True"}
        if not is_synthetic and marked:
            remedy = "give the folder of the originals"
            raise DataError(
                "gantools wrote this folder, and synthetic images are in it", where=str(path), remedy=remedy
            )
        places = np.array([place for place, name in enumerate(source.names) if name in marked], np.int64)
        source = source.subset(places) if is_synthetic and len(places) else source
    strange = [] if known is None else [name for name in source.schema.classes if name not in known.classes]
    if strange:
        remedy = "name the folders of both alike"
        raise DataError(f"has classes that the real images lack: {listed(strange)}", where=str(path), remedy=remedy)
    return source


def _loaded(source: ImageSource, encoder: ImageEncoder, stages: Stages) -> ImageSet:
    return ImageSet.load(source, encoder, lambda done: stages.watch.done(STAGE_READ, done, len(source), "images"))


def _labels(images: ImageSet, classes: tuple[str, ...]) -> torch.Tensor:
    """The labels as positions in the real images' classes."""
    if not classes:
        return images.label
    place = torch.tensor([classes.index(name) for name in images.schema.classes])
    return place[images.label]
