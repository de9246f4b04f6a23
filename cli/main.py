"""The entry point: the `gantools` group and its commands."""

from __future__ import annotations

import click

from .augment import augment
from .classify import classify
from .errors import CommandGroup
from .evaluate import evaluate
from .export import export
from .generate import generate
from .info import info
from .models import models
from .options import debug_option
from .score import score
from .train import train
from .transform import transform


@click.group(cls=CommandGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gantools", message="%(prog)s %(version)s")
@debug_option
@click.pass_context
def main(context: click.Context) -> None:
    """Balance a table or a folder of images, find what does not belong in it, or make pictures of pictures.

    \b
    Start with:
      gantools info customers.csv                      what the columns are
      gantools augment customers.csv --target churned  the table back, balanced
      gantools augment photos --target folder          the folder back, its classes balanced
      gantools classify new.csv --from classifier      the table back, with the class of each row
      gantools score customers.csv --explain           the table back, with scores and reasons
      gantools transform photos --from model           each picture as a trained translator makes it
      gantools evaluate real.csv synthetic.csv         whether synthetic data look real, help and leak
      gantools export model                            a trained model as one ONNX file
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (augment, classify, score, transform, evaluate, train, generate, export, info, models):
    main.add_command(command)
