"""`gantools train`: a generator, saved for later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    about,
    check_apart,
    check_grids,
    check_image_target,
    check_output_folder,
    debug_option,
    device_option,
    force_option,
    holds_images,
    image_options,
    json_option,
    on_interrupt,
    parse_kinds,
    parse_settings,
    print_json,
    refuse_for_images,
    refuse_for_tables,
    require_target,
    seed_option,
    train_config,
    training_options,
)
from .show import TrainingProgress, training_facts, training_line

if TYPE_CHECKING:
    from gantools.data.images.schema import ImageSchema
    from gantools.data.tables.schema import Schema
    from gantools.train.monitor import TrainingReport

STAGE = "Training"


@dataclass(frozen=True)
class _Asked:
    """The options that tables and images share."""

    data: Path
    save: Path
    resume: bool
    tensorboard: bool
    model: str | None
    settings: tuple[str, ...]
    steps: int | None
    budget: float | None
    seed: int
    device: str
    force: bool
    as_json: bool

    def training(self) -> dict[str, Any]:
        """What `train_config` takes."""
        names = ("steps", "budget", "seed", "device", "tensorboard")
        return {name: getattr(self, name) for name in names}


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", metavar="COL", help="The column with the classes; for images 'folder', or left out.")
@click.option("--save", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the generator goes.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in DIR.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard events, to DIR.tensorboard.")
@training_options("tabular", "lean")
@image_options
@seed_option
@device_option
@force_option
@json_option
@debug_option
@click.pass_context
def train(
    context: click.Context,
    /,
    *,
    target: str | None,
    kinds: tuple[str, ...],
    size: int | None,
    fit: str,
    grids: Path | None,
    **shared: Any,
) -> None:
    """Train a generator on DATA, a table or a folder of images, and save it in a folder.

    Whole checkpoints are written as training goes on: after an interruption, the same command with --resume continues
    from the last one. 'gantools generate DIR' makes rows or images, 'gantools augment --from DIR' balances with them.
    Pictures of what a generator of images makes go to DIR.grids, where --grids says nothing else.
    """
    asked = _Asked(**shared)
    if holds_images(asked.data):
        refuse_for_images(context)
        check_image_target(asked.data, target)
        _train_images(asked, size, fit, grids)
    else:
        refuse_for_tables(context)
        _train_table(asked, require_target(context, asked.data, target), kinds)


def _train_table(asked: _Asked, target: str, kinds: tuple[str, ...]) -> None:
    check_output_folder(asked.save, option="--save", force=asked.force, resume=asked.resume)

    from gantools.data.tables import read_table

    kinds_given = parse_kinds(kinds)
    options = parse_settings(asked.settings)
    config = train_config(**asked.training())
    frame, _ = read_table(asked.data)

    from gantools.augment.synthesizer import Synthesizer
    from gantools.data.tables.schema import infer_schema
    from gantools.workflow.augment import check_target

    with about(asked.data):
        schema = infer_schema(frame, target, kinds_given)
        check_target(schema)
    synthesizer = Synthesizer(asked.model or "tabular", options, config)
    with about(asked.data), TrainingProgress() as progress, _resumable(asked.save):
        synthesizer.fit(
            frame,
            target,
            schema=schema,
            folder=asked.save,
            resume=asked.resume,
            progress=lambda state: progress(STAGE, state),
        )
        if synthesizer.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        synthesizer.save(asked.save)
    _tell(asked, synthesizer.model, target, schema, synthesizer.report_)


def _train_images(asked: _Asked, size: int | None, fit: str, grids: Path | None) -> None:
    check_output_folder(asked.save, option="--save", force=asked.force, resume=asked.resume)
    pictures = grids or asked.save.with_name(f"{asked.save.resolve().name}.grids")
    check_grids(pictures)
    for path, option in ((asked.save, "--save"), (pictures, "--grids")):
        check_apart(path, asked.data, option=option)
    check_apart(pictures, asked.save, option="--grids")
    options = parse_settings(asked.settings)

    from gantools.augment.image_synthesizer import ImageSynthesizer
    from gantools.workflow.augment_images import check_model, load_set, open_source

    config = train_config(**asked.training(), like=ImageSynthesizer.default_train())
    synthesizer = ImageSynthesizer(asked.model or "lean", options, config)
    check_model(synthesizer.model, options, size)
    with TrainingProgress() as progress:
        source = open_source(asked.data, on_read=progress.images)
        images = load_set(source, size, fit, on_read=progress.images)  # type: ignore[arg-type]  # click's choice
        with _resumable(asked.save):
            synthesizer.fit(
                images,
                folder=asked.save,
                resume=asked.resume,
                grids=pictures,
                progress=lambda state: progress(STAGE, state),
            )
            if synthesizer.report_.stopped == "interrupted":
                raise KeyboardInterrupt
    _tell(asked, synthesizer.model, "folder", source.schema, synthesizer.report_, pictures)


def _resumable(save: Path) -> Any:
    return on_interrupt(f"go on with --resume where {save} holds a checkpoint")


def _tell(
    asked: _Asked,
    model: str,
    target: str,
    schema: Schema | ImageSchema,
    report: TrainingReport,
    grids: Path | None = None,
) -> None:
    if asked.as_json:
        training = training_facts(report)
        told = {"saved": asked.save, "model": model, "target": target, "training": training, "notes": schema.notes()}
        print_json(told if grids is None else {**told, "grids": grids})
        return
    for note in schema.notes():
        click.echo(f"Note: {note}")
    click.echo(f"Training: {training_line(report)}")
    for line in report.health:
        click.echo(f"Health: {line}")
    if grids is not None and grids.is_dir():  # a training without a look leaves none
        click.echo(f"Pictures while training: {grids}")
    click.echo(f"Generator: {asked.save}")
