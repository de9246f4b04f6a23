"""Training a generator of images."""

from __future__ import annotations

from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.workflow.contract import given
from gantools.workflow.images import check_model, load_set, open_labelled
from gantools.workflow.stages import Stages
from gantools.workflow.train import STAGE, GeneratorResult, Request
from gantools.workflow.training import resumable


def run(request: Request, stages: Stages) -> GeneratorResult:
    """Train on images and save the generator."""
    stages.plan({STAGE: 1.0})
    config = request.train_config(ImageSynthesizer.default_train(), tensorboard=request.tensorboard)
    generator = ImageSynthesizer(**given(request, "model", "options"), train=config)
    check_model(request)
    source = open_labelled(request.data, stages.watch)
    images = load_set(source, request, stages.watch)
    stage = stages[STAGE]
    with resumable(request.save, generator, stage):
        generator.fit(
            images, folder=request.save, resume=request.resume, grids=request.grids,
            progress=stage.trained,
        )  # fmt: skip
    return GeneratorResult(
        saved=request.save, model=generator.model, target="folder", report=generator.report_,
        notes=(*source.schema.notes(), *images.encoder.notes(source.schema)), grids=request.grids,
    )  # fmt: skip
