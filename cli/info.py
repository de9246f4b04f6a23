"""`gantools info`: what a table or a folder of images holds, or what a saved or exported model is."""

from __future__ import annotations

from typing import Any

import click

from .options import debug_option, drop_option, json_option, kind_option, table_argument, target_option
from .show import run_and_show


@click.command()
@table_argument
@target_option
@kind_option
@drop_option
@json_option
@debug_option
def info(*, as_json: bool, **given: Any) -> None:
    """Show what the columns of the table DATA are taken for, or what images the folder or .npz file DATA holds.

    DATA may also be the folder of a saved generator, scorer or translator, or an exported .onnx file: then what it was
    trained on and how it is called is shown.
    """
    from gantools.workflow.info import Request, run

    run_and_show(run, Request(**given), as_json)
