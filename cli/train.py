"""`gantools train`: a generator, saved for later."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    data_argument,
    device_option,
    grids_option,
    output_options,
    path_option,
    seed_option,
    target_option,
    training_options,
)
from .show import run_and_show


@click.command()
@data_argument
@target_option
@path_option("--save", required=True, metavar="DIR", help="Where the generator goes.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in DIR.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard events, to DIR.tensorboard.")
@training_options("tabular", "lean")
@grids_option
@seed_option
@device_option
@output_options
def train(*, as_json: bool, **given: Any) -> None:
    """Train a generator on DATA, a table or a folder of images, and save it in a folder.

    Whole checkpoints are written as training goes on: after an interruption, the same command with --resume continues
    from the last one. 'gantools generate DIR' makes rows or images, 'gantools augment --from DIR' balances with them.
    Pictures of what a generator of images makes go to DIR.grids, where --grids says nothing else.
    """
    from gantools.workflow.train import Request, run

    run_and_show(run, Request(**given), as_json)
