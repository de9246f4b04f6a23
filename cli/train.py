"""`gantools train`: a generator or a translator of pictures, saved for later."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    data_argument,
    device_option,
    grids_option,
    output_options,
    path_option,
    rules_option,
    seed_option,
    target_option,
    training_options,
)
from .show import run_and_show


@click.command()
@data_argument
@target_option
@path_option("--save", required=True, metavar="DIR", help="Where the trained model goes.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in DIR.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard events, to DIR.tensorboard.")
@click.option(
    "--pairs",
    type=click.Choice(["side-by-side"]),
    help="Translators: each picture holds both of a pair, left and right.",
)
@click.option(
    "--degrade",
    multiple=True,
    metavar="HOW",
    help="Translators: what is done to clean pictures, to be undone: noise=25 or noise=5-50, rain, blur=1-3, "
    "jpeg=10-50, holes=0.1-0.4, smaller=4, grey (repeatable).",
)
@click.option(
    "--caption",
    metavar="COL",
    help="Generators of images: told by text in place of classes, a column of metadata.csv or metadata.jsonl in DATA.",
)
@click.option(
    "--condition",
    multiple=True,
    metavar="COL",
    help="Generators of images: the same by a column of numbers or categories (repeatable).",
)
@path_option(
    "--embeddings",
    metavar="FILE",
    help="Generators of images: the same by vectors, the rows of an .npy file in the order of the metadata.",
)
@rules_option
@training_options(
    "autoregressive", "lean", "up to 64; of translators' crops 64 to 128", "resize; for translators crops"
)
@grids_option
@seed_option
@device_option
@output_options
def train(*, as_json: bool, **given: Any) -> None:
    """Train a generator on DATA, a table or a folder of images, or a translator of pictures, and save it in a folder.

    A translator (--model unet, srgan, inpaint, pix2pix or cyclegan) learns from pairs (folders A and B below DATA, with
    the same names), from two sets (trainA and trainB), or from clean pictures that it degrades itself. At the end it is
    compared with the plain method on pictures that were held back.

    A generator of images learns from a sub-folder for each class; with --caption, --condition or --embeddings it learns
    from descriptions of the images instead, which file_name in metadata.csv or metadata.jsonl assigns to them.

    Whole checkpoints are written as training goes on: after an interruption, the same command with --resume continues
    from the last one. 'gantools generate DIR' makes rows or images, 'gantools augment --from DIR' balances with them,
    'gantools transform --from DIR' has a translator make pictures of pictures. What a model of images makes while it
    learns is put into DIR.grids, where --grids says nothing else.
    """
    from gantools.workflow.train import Request, run

    run_and_show(run, Request(**given), as_json)
