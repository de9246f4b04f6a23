"""`gantools score`: what does not belong in a table or among images."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    Share,
    device_option,
    output_options,
    parts_options,
    path_option,
    report_option,
    seed_option,
    table_argument,
    training_options,
)
from .show import run_and_show


@click.command()
@table_argument
@path_option(
    "--train",
    "normal",
    may_be_address=True,
    metavar="NORMAL",
    help="A table of normal rows, or a folder of normal images, to learn from.",
)
@click.option(
    "--by",
    metavar="COL",
    help="Tables: the column of groups, such as machines or customers, each of which has a normal of its own.",
)
@path_option("--from", "source", may_be_address=True, metavar="DIR", help="Use the scorer saved in DIR.")
@path_option("--onnx", may_be_address=True, metavar="FILE", help="Use the scorer exported to FILE.")
@path_option(
    "--output",
    "-o",
    may_be_address=True,
    metavar="OUT",
    help="A table, or a folder of its parts.  [default: DATA with '.scored' in its name]",
)
@click.option(
    "--false-alarms",
    type=Share(),
    metavar="SHARE",
    help="Share of what is normal that may be flagged.  [default: 0.01, or the best F1 with --labels]",
)
@click.option("--explain", is_flag=True, help="Add a column 'reason' for what is flagged; heat maps of images.")
@click.option(
    "--labels",
    metavar="COL",
    help="The column that marks known anomalies (1 or yes); of images 'folder': class folders called good, ok or "
    "normal are normal, all others anomalies. Anomalies are never learned from.",
)
@click.option(
    "--contamination",
    type=Share(below=0.5, zero=True),
    metavar="SHARE",
    help="Share of anomalies among what is learned from.  [default: 0 with --train, without what lies far beyond the "
    "rest]",
)
@click.option("--tail", is_flag=True, help="Extrapolate, for false alarms too rare to be counted in held-out data.")
@training_options("denoiser", "restorer", "as they are, up to 256")
@click.option(
    "--features",
    type=click.Choice(["own", "perceptual"]),
    help="Images: what patches are compared by, their edges or EfficientNet-Lite0 (better on photos).  [default: own]",
)
@path_option(
    "--maps",
    metavar="DIR",
    help="Images: draw where those flagged are abnormal.  [default: OUT with '.maps' for its suffix, with --explain]",
)
@click.option(
    "--maps-for",
    "maps_of",
    type=click.Choice(["anomalous", "all"]),
    help="Images: which of them maps are drawn of.  [default: anomalous]",
)
@path_option("--save", metavar="DIR", help="Keep the trained scorer in DIR.")
@report_option
@seed_option
@device_option
@parts_options
@output_options
def score(*, as_json: bool, **given: Any) -> None:
    """Say of every row or image of DATA how far it is from normal.

    Of a table (CSV or Parquet) the output holds the rows, unchanged, and behind them 'anomaly_score' (about 0.7 for a
    usual row, far out the number of standard deviations), 'p_value' (share of normal rows at least as far from normal)
    and 'is_anomaly'; with --by also 'borrows', whether the row's group is too small or too new to be judged by itself
    alone. Without --train and --from what is normal is learned from DATA itself. A folder of CSV or Parquet files, or
    a pattern such as 'in/*.csv', is one table in parts; the output is then a folder with the same parts, unless OUT is
    named as a file is. Tables and scorers may have addresses, such as s3://bucket/in.

    Of images (a folder, with sub-folders or without, or an .npz file) the output is a table with a line for each:
    'file' and the same three. Maps are two PNG files for an image, in its size: NAME.overlay.png shows where it is
    abnormal, and of the 16-bit grey values of NAME.heat.png those above 16384 are anomalous.
    """
    from gantools.workflow.score import Request, run

    run_and_show(run, Request(**given), as_json)
