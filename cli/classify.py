"""`gantools classify`: the class of each row."""

from __future__ import annotations

from typing import Any

import click

from .options import device_option, output_options, parts_options, path_option, table_argument
from .show import run_and_show


@click.command()
@table_argument
@path_option("--from", "source", may_be_address=True, metavar="DIR", help="The classifier saved in DIR.")
@path_option("--onnx", may_be_address=True, metavar="FILE", help="In place of --from: an exported classifier.")
@path_option(
    "--output",
    "-o",
    may_be_address=True,
    metavar="OUT",
    help="A file, or a folder of parts.  [default: DATA with '.classified' in its name]",
)
@device_option
@parts_options
@output_options
def classify(*, as_json: bool, **given: Any) -> None:
    """Predict the class of each row of DATA, a table, with a classifier that 'gantools augment --classifier' has saved.

    The output holds the rows of DATA, unchanged, with these columns behind: 'predicted', 'probability_<label>' for each
    class (calibrated), and 'is_flagged', whether the row is predicted to be of another class than most training rows.
    Where DATA has the label's column, the command says how good the predictions are. A folder of CSV or Parquet files,
    or a pattern, is one table in parts, and so is the output, unless OUT is named as a file is. Tables and classifiers
    may have addresses, such as s3://bucket/in.
    """
    from gantools.workflow.classify import Request, run

    run_and_show(run, Request(**given), as_json)
