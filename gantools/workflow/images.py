"""What workflows on images share: labelled images opened and loaded, models and strategies checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from gantools import registry
from gantools.augment.balance import Strategy
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.config import build, check
from gantools.data.images.folder import check_class_names, has_manifest
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import ImageSource, open_images
from gantools.encode.images import FITS, ImageEncoder, ImageLayout, ImageSet, check_size, fitting_size
from gantools.errors import DataError
from gantools.workflow import augmenting
from gantools.workflow.augmenting import first_of, match_label
from gantools.workflow.contract import Watch, given
from gantools.workflow.training import TrainingRequest

STAGE_CHECK = "Checking the images"
STAGE_READ = "Reading the images"

LARGEST_UNASKED = 64  # pixels of each side, where no size is asked for


def check_model(request: TrainingRequest) -> None:
    """Refuse a model, options of it, or a size that are not possible, before images are read. Raises ConfigError."""
    name = ImageSynthesizer(**given(request, "model")).model
    build(registry.get(name, "generate", "image").Options, request.options)
    if request.size is not None:
        check_size(request.size)
    check(request.fit is None or request.fit in FITS, "fit", "must be one of " + ", ".join(FITS))


def open_labelled(data: Path, watch: Watch, known: ImageSchema | None = None) -> ImageSource:
    """Labelled images that may be balanced. known: what a loaded generator was trained on. Raises DataError."""
    if data.is_dir() and has_manifest(data):
        remedy = "use the folder of the originals"
        raise DataError("gantools wrote this folder, and synthetic images are in it", where=str(data), remedy=remedy)
    source = open_images(
        data, labelled=True, known=known, on_read=lambda done: watch.done(STAGE_CHECK, done, None, "images")
    )
    check_class_names(source.schema.classes, str(data))
    if known is not None and known.classes != source.schema.classes:
        problem = f"its classes are {first_of(source.schema.classes)}, the generator's {first_of(known.classes)}"
        raise DataError(problem, where=str(data), remedy="use a generator of these classes, or train one")
    return source


def load_set(
    source: ImageSource, request: TrainingRequest, watch: Watch, encoder: ImageEncoder | None = None
) -> ImageSet:
    """The images at the size asked for. encoder: that of a loaded generator, whose size it is then."""
    if encoder is None:
        size = request.size or fitting_size(source.schema, LARGEST_UNASKED)
        encoder = ImageEncoder(ImageLayout(source.schema.channels, size), request.fit or FITS[0])
    return ImageSet.load(source, encoder, lambda done: watch.done(STAGE_READ, done, len(source), "images"))


def check_strategy(source: ImageSource, strategy: Strategy) -> None:
    """Refuse a strategy that does not fit the classes or asks for nothing. Raises ConfigError."""
    classes = source.schema.classes
    for name in strategy if isinstance(strategy, Mapping) else ():
        match_label(classes, str(name), "strategy")
    labels = class_names(source.schema, torch.from_numpy(source.label))
    augmenting.check_strategy(labels, len(classes), strategy, "images")


def class_names(schema: ImageSchema, label: Tensor) -> pd.Series[str]:
    """The class of each image by its name."""
    return pd.Series([schema.classes[code] for code in label.tolist()], name="folder")
