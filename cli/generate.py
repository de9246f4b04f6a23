"""`gantools generate`: rows or images from a saved generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import device_option, output_options, path_option, seed_option
from .show import run_and_show


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@path_option("--onnx", metavar="FILE", help="In place of DIR: an exported generator.")
@click.option(
    "--rows",
    "-n",
    "n",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="How many rows or images.",
)
@click.option(
    "--where",
    metavar="COL=LABEL",
    help="This class only; COL is the column the generator was trained for, 'folder' for images.",
)
@path_option(
    "--output", "-o", metavar="OUT",
    help="CSV or Parquet, for images a folder.  [default: DIR.generated.csv, DIR.generated]",
)  # fmt: skip
@click.option(
    "--refine/--no-refine",
    default=None,
    help="Rows: let the generator's classifier choose among more than are wanted; four times faster without.  "
    "[default: refine]",
)
@seed_option
@device_option
@output_options
def generate(*, as_json: bool, **given: Any) -> None:
    """Make synthetic rows or images with the generator saved in DIR.

    Without --where the classes come in the proportions of what it was trained on. Images go into a folder with a
    sub-folder for each class, beside manifest.csv.
    """
    from gantools.workflow.generate import Request, run

    run_and_show(run, Request(**given), as_json)
