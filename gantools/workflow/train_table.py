"""Training a generator of rows."""

from __future__ import annotations

from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables import read_table
from gantools.data.tables.schema import infer_schema
from gantools.workflow.contract import given
from gantools.workflow.opening import about
from gantools.workflow.stages import Stages
from gantools.workflow.tables import check_target, kinds_of, without
from gantools.workflow.train import STAGE, GeneratorResult, Request
from gantools.workflow.training import resumable


def run(request: Request, stages: Stages) -> GeneratorResult:
    """Train on a table and save the generator."""
    kinds, target = kinds_of(request.kinds), str(request.target)
    stages.plan({STAGE: 1.0})
    config = request.train_config(Synthesizer.default_train(), tensorboard=request.tensorboard)
    frame, dialect = read_table(request.data, kinds)
    generator = Synthesizer(**given(request, "model", "options"), train=config)
    with about(request.data):
        frame = without(frame, request.drop, target)
        schema = infer_schema(frame, target, kinds, dialect=dialect)
        check_target(schema)
        stage = stages[STAGE]
        with resumable(request.save, generator, stage):
            generator.fit(
                frame, target, schema=schema, rules=request.rules, folder=request.save, resume=request.resume,
                progress=stage.trained,
            )  # fmt: skip
    return GeneratorResult(
        saved=request.save, model=generator.model, target=target, report=generator.report_,
        notes=(*dialect.notes, *generator.schema_.notes()),
    )  # fmt: skip
