"""`gantools transform`: pictures made of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import device_option, output_options, path_option
from .show import run_and_show


@click.command()
@click.argument("data", metavar="PICTURES", type=click.Path(path_type=Path))
@path_option("--from", "source", metavar="DIR", help="The translator saved in DIR.")
@path_option("--onnx", metavar="FILE", help="In place of --from: an exported translator.")
@path_option(
    "--output", "-o", metavar="OUT", help="A file or a folder.  [default: PICTURES with '.transformed' in its name]"
)
@path_option(
    "--mask",
    metavar="PATH",
    help="Where holes are, white on black: a file, or a folder with masks of the same names.  "
    "[default: what is transparent]",
)
@click.option("--reverse", is_flag=True, help="From the second kind of pictures to the first (cyclegan).")
@device_option
@output_options
def transform(*, as_json: bool, **given: Any) -> None:
    """Make of PICTURES, a file or a folder, what a trained translator makes of them.

    Larger pictures, ones without noise, rain or holes, in colour or of another kind: as 'gantools train' was told.
    Names, formats, colour profiles and transparency stay; the originals are not touched. Pictures may have any size:
    large ones are cut into tiles that leave no seam.
    """
    from gantools.workflow.transform import Request, run

    run_and_show(run, Request(**given), as_json)
