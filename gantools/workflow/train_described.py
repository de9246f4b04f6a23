"""Training a generator of images that is told a description of each."""

from __future__ import annotations

import pandas as pd

from gantools.augment.described_synthesizer import DescribedSynthesizer
from gantools.data.images.metadata import FILES, read_metadata
from gantools.data.images.source import open_images
from gantools.errors import ConfigError
from gantools.workflow.contract import given
from gantools.workflow.described import read_vectors
from gantools.workflow.images import STAGE_CHECK, check_model, load_set
from gantools.workflow.stages import Stages
from gantools.workflow.train import STAGE, GeneratorResult, Request
from gantools.workflow.training import resumable


def run(request: Request, stages: Stages) -> GeneratorResult:
    """Train on images and their descriptions, and save the generator."""
    stages.plan({STAGE: 1.0})
    config = request.train_config(DescribedSynthesizer.default_train(), tensorboard=request.tensorboard)
    generator = DescribedSynthesizer(**given(request, "model", "options"), train=config)
    check_model(request)
    if request.target is not None:
        problem = "has no meaning where images are told apart by descriptions"
        raise ConfigError(problem, where="target", remedy="leave it out")
    if not request.data.is_dir():
        raise ConfigError("descriptions belong to a folder of images", where=str(request.data), remedy="give a folder")
    source = open_images(
        request.data, labelled=False, on_read=lambda done: stages.watch.done(STAGE_CHECK, done, None, "images")
    )
    columns = [*([request.caption] if request.caption else []), *dict.fromkeys(request.condition)]
    if request.caption in request.condition:
        raise ConfigError("names the caption again", where="condition", remedy="leave one of the two out")
    frame = pd.DataFrame(index=range(len(source)))
    if columns or any((request.data / name).exists() for name in FILES):
        frame = read_metadata(request.data, source.names, columns)
    vectors = None
    if request.embeddings is not None:
        vectors = read_vectors(request.embeddings, len(source), None)[frame.index.to_numpy()]
    images = load_set(source, request, stages.watch)
    stage = stages[STAGE]
    with resumable(request.save, generator, stage):
        generator.fit(
            images, frame.reset_index(drop=True), caption=request.caption, vectors=vectors, folder=request.save,
            resume=request.resume, grids=request.grids, progress=stage.trained,
        )  # fmt: skip
    told = [*columns, *(["embeddings"] if vectors is not None else [])]
    return GeneratorResult(
        saved=request.save, model=generator.model, target=", ".join(told), report=generator.report_,
        notes=(*source.schema.notes(), *images.encoder.notes(source.schema)), grids=request.grids,
    )  # fmt: skip
