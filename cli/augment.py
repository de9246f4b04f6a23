"""`gantools augment`: a table or a folder of images back, balanced."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    data_argument,
    device_option,
    grids_option,
    output_options,
    path_option,
    report_option,
    rules_option,
    seed_option,
    target_option,
    training_options,
)
from .show import run_and_show


@click.command()
@data_argument
@target_option
@path_option(
    "--output",
    "-o",
    metavar="OUT",
    help="A file, for images a folder.  [default: DATA with '.balanced' in its name]",
)
@click.option(
    "--strategy",
    default="auto",
    show_default=True,
    metavar="WHAT",
    help="auto, minority, not-majority, all, a ratio (0.5: half the majority's rows), or counts: '{\"yes\": 500}'.",
)
@click.option(
    "--rare",
    metavar="RANGE",
    help="Tables whose target is a number: fill the range of it that few rows lie in: above=500000, below=10 or "
    "10..20.",
)
@rules_option
@training_options("autoregressive", "lean")
@grids_option
@click.option(
    "--features",
    type=click.Choice(["classifier", "perceptual", "inception"]),
    help="Images: what quality is measured by, a net trained on them, EfficientNet-Lite0 or Inception v3.  "
    "[default: classifier]",
)
@click.option(
    "--vary",
    metavar="CHANGES",
    help="Images: how real ones are changed to fill classes: all, or some of rotate, shift, scale, shear, light "
    "and mirror, as in rotate,light. A class is mirrored only where that leaves it looking the same.  [default: all]",
)
@path_option("--save", metavar="DIR", help="Keep the trained generator in DIR.")
@path_option("--from", "source", metavar="DIR", help="Use the generator saved in DIR.")
@click.option("--synthetic-only", is_flag=True, help="Write only what is synthetic.")
@report_option
@click.option(
    "--no-verdict",
    "verdict",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Do not measure whether what is synthetic helps (about half the time).",
)
@click.option(
    "--repeats",
    type=int,
    metavar="N",
    help="Reach the verdict N times, each time with other data held back and another generator: surer where rare "
    "examples are few, and N times as long.  [default: 3 for tables with few rare rows, without --budget and --steps; "
    "else 1]",
)
@path_option(
    "--classifier",
    metavar="DIR",
    help="Tables: save the classifier that the verdict recommends in DIR, trained on all rows and calibrated.",
)
@click.option(
    "--goal",
    default="balanced-accuracy",
    show_default=True,
    metavar="GOAL",
    help="What its decisions are made for: balanced-accuracy, f1, recall=0.9 (of the rarer class) or cost=10:1 (of a "
    "missed one against a false alarm).",
)
@click.option(
    "--holdout",
    type=float,
    metavar="SHARE",
    help="Tables: first put this share of every class aside, to test on, in a file with '.holdout' in its name.",
)
@seed_option
@device_option
@output_options
def augment(*, as_json: bool, **given: Any) -> None:
    """Balance DATA with synthetic rows or images, and say on real ones held back whether they help.

    Of a table (CSV, Parquet, or a folder of such parts) the output holds the rows of DATA first, unchanged, then the
    synthetic ones, with the same columns and types and a last column 'is_synthetic'.

    Of images (a folder with a sub-folder for each class, or an .npz file) the output is a folder with a sub-folder for
    each class: the images of DATA, untouched (hard links where there can be, and PNG files of an .npz), the synthetic
    ones as synthetic_000001.png and so on, and manifest.csv, which says which are which.
    """
    from gantools.workflow.augment import Request, run

    run_and_show(run, Request(**given), as_json)
