"""`gantools generate`: rows or images from a saved generator."""

from __future__ import annotations

from typing import Any

import click

from .options import Place, Seeds, device_option, output_options, parts_options, path_option, seed_option
from .show import run_and_show


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=Place(may_be_address=True))
@path_option("--onnx", may_be_address=True, metavar="FILE", help="In place of DIR: an exported generator.")
@click.option(
    "--rows",
    "-n",
    "n",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many rows or images; with --interpolate or --style-mix how many steps, 9 by default.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="COL=VALUE",
    help="Only such rows: of a table any column, as in 'city=Bern', 'age=30..40', or 'city=' for a missing cell; of "
    "images the class, as in 'folder=cats', or with descriptions any of their columns, as in 'caption=a red circle' "
    "(repeatable).",
)
@path_option("--fill", metavar="DATA", help="Rows: fill the missing cells of this table, in place of -n.")
@click.option(
    "--likely",
    is_flag=True,
    help="With --fill: what is most likely in each cell, in place of a draw as likely as it is.",
)
@path_option(
    "--embeddings", metavar="FILE", help="Images by vectors: the rows of an .npy file, each for as many as -n says."
)
@path_option(
    "--output", "-o", may_be_address=True, metavar="OUT",
    help="CSV or Parquet, for images a folder, a PNG with --interpolate or --style-mix.  [default: DIR.generated.csv, "
    "DIR.generated, DIR.generated.png, DATA.filled.csv]",
)  # fmt: skip
@click.option(
    "--part-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Rows: write OUT as a folder of parts of so many rows each, for more rows than memory holds.",
)
@parts_options
@click.option(
    "--refine/--no-refine",
    default=None,
    help="Rows: let the generator's classifier choose among more than are wanted; three times faster without.  "
    "[default: no-refine where the generator has a likelihood]",
)
@click.option(
    "--seeds",
    type=Seeds(),
    metavar="S,S,...",
    help="Images: make these again, in place of -n; manifest.csv has the seed of every image. Every class, or that of "
    "--where.",
)
@click.option(
    "--interpolate",
    type=click.IntRange(min=0, max=2**63 - 1),
    nargs=2,
    metavar="A B",
    help="Images: one picture with a row for each class, from the image with seed A to that with seed B.",
)
@click.option(
    "--style-mix",
    type=click.IntRange(min=0, max=2**63 - 1),
    nargs=2,
    metavar="A B",
    help="Images, by stylegan: the same, one layer's style after the other, the finest first.",
)
@click.option(
    "--truncation",
    type=float,
    metavar="PSI",
    help="Images, by stylegan: how far they may lie from the middle of their class, 1 as they come, 0 not at all. "
    "Below 1 fewer fail, and they vary less.",
)
@seed_option
@device_option
@output_options
def generate(*, as_json: bool, **given: Any) -> None:
    """Make synthetic rows or images with the generator saved in DIR.

    Without --where the classes, or the descriptions of images, come as they did in what it was trained on. Images go
    into a folder with a sub-folder for each class, beside manifest.csv. One of -n, --fill, --seeds, --interpolate and
    --style-mix says what to make.
    """
    from gantools.workflow.generate import Request, run

    run_and_show(run, Request(**given), as_json)
