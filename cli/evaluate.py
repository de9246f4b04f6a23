"""`gantools evaluate`: whether synthetic data of any tool look real, help and leak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    FITS,
    device_option,
    drop_option,
    kind_option,
    output_options,
    path_option,
    report_option,
    seed_option,
    target_option,
)
from .show import run_and_show


@click.command()
@click.argument("real", type=click.Path(path_type=Path))
@click.argument("synthetic", type=click.Path(path_type=Path))
@target_option
@path_option(
    "--holdout",
    metavar="MORE_REAL",
    help="Real data that the generator did not see. Without them some of privacy cannot be measured.",
)
@report_option
@kind_option
@drop_option
@click.option("--size", type=int, metavar="N", help="Images: pixels of each side.  [default: up to 64]")
@click.option("--fit", type=FITS, help="Images: what is done with those not square.  [default: resize]")
@click.option(
    "--features",
    type=click.Choice(["classifier", "perceptual", "inception"]),
    help="Images: what they are compared by, a net trained on the real ones, EfficientNet-Lite0 or Inception v3.  "
    "[default: classifier where there are classes, else perceptual]",
)
@click.option(
    "--pairs",
    is_flag=True,
    help="Pictures: compare each of SYNTHETIC, made by 'transform' or any tool, with the one of the same name in REAL.",
)
@path_option("--inputs", metavar="DIR", help="With --pairs: what the pictures were made from, under the same names.")
@seed_option
@device_option
@output_options
def evaluate(*, as_json: bool, **given: Any) -> None:
    """Judge SYNTHETIC data, made by any tool, by the REAL data that they were made from.

    Do they look real (column by column, in pairs, to a classifier that tries to tell them apart)? Do they help (what
    learns from them, tested on real data)? Do they leak (copies, attacks on membership and attributes)? What is wrong
    is said first and in words, such as 'leaks', 'collapsed' or 'independent columns'.

    Both are tables (CSV, Parquet, or folders of such parts) with the same columns, or folders of images. Of a table
    with a column 'is_synthetic', as augment writes it, the rows where that is true are judged.

    With --pairs, pictures that were restored or translated are judged one by one by the true ones: PSNR, SSIM and a
    perceptual distance, and whether they are nearer to the truth than --inputs.
    """
    from gantools.workflow.evaluate import Request, run

    run_and_show(run, Request(**given), as_json)
