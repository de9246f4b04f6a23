"""`gantools train`: a generator, saved for later."""

from __future__ import annotations

from pathlib import Path

import click

from .common import (
    about,
    check_output_folder,
    debug_option,
    device_option,
    force_option,
    json_option,
    on_interrupt,
    parse_kinds,
    parse_settings,
    print_json,
    seed_option,
    train_config,
    training_options,
)
from .show import TrainingProgress, training_facts, training_line

STAGE = "Training"


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COL", help="The column with the classes.")
@click.option("--save", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the generator goes.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in DIR.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard events, to DIR.tensorboard.")
@training_options()
@seed_option
@device_option
@force_option
@json_option
@debug_option
def train(
    *,
    data: Path,
    target: str,
    save: Path,
    resume: bool,
    tensorboard: bool,
    model: str,
    settings: tuple[str, ...],
    steps: int | None,
    budget: float | None,
    kinds: tuple[str, ...],
    seed: int,
    device: str,
    force: bool,
    as_json: bool,
) -> None:
    """Train a generator on the table DATA and save it in a folder.

    Whole checkpoints are written as training goes on: after an interruption, the same command with --resume continues
    from the last one. 'gantools generate DIR' makes rows, 'gantools augment --from DIR' balances with them.
    """
    check_output_folder(save, option="--save", force=force, resume=resume)

    from gantools.data.table import read_table

    kinds_given = parse_kinds(kinds)
    options = parse_settings(settings)
    config = train_config(steps=steps, budget=budget, seed=seed, device=device, tensorboard=tensorboard)
    frame, _ = read_table(data)

    from gantools.augment.synthesizer import Synthesizer
    from gantools.data.schema import infer_schema
    from gantools.workflow.augment import check_target

    with about(data):
        schema = infer_schema(frame, target, kinds_given)
        check_target(schema)
    synthesizer = Synthesizer(model, options, config)
    with (
        about(data),
        TrainingProgress() as progress,
        on_interrupt(f"go on with --resume where {save} holds a checkpoint"),
    ):
        synthesizer.fit(
            frame, target, schema=schema, folder=save, resume=resume, progress=lambda state: progress(STAGE, state)
        )
        if synthesizer.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        synthesizer.save(save)

    report = synthesizer.report_
    if as_json:
        print_json(
            {
                "saved": save,
                "model": model,
                "target": target,
                "training": training_facts(report),
                "notes": schema.notes(),
            }
        )
        return
    for note in schema.notes():
        click.echo(f"Note: {note}")
    click.echo(f"Training: {training_line(report)}")
    for line in report.health:
        click.echo(f"Health: {line}")
    click.echo(f"Generator: {save}")
