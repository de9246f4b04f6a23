"""`gantools export`: a trained model as one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import PictureShape, output_options, path_option
from .show import run_and_show


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@path_option("--output", "-o", metavar="OUT.onnx", help="[default: exports/DIR.onnx]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Of weights and arithmetic; fp16 and int8 are refused where they change a flag.",
)
@click.option("--noise-inside", is_flag=True, help="Generators: draw the noise in the graph, anew in each run.")
@click.option(
    "--plain-inputs",
    is_flag=True,
    help="Threshold and explain of a scorer, truncation of a generator must be given in each run, for onnxruntime in "
    "Node and browsers.",
)
@click.option("--reverse", is_flag=True, help="Translators: from the second kind of pictures to the first.")
@click.option(
    "--shape",
    type=PictureShape(),
    metavar="HEIGHTxWIDTH",
    help="Translators: take pictures of one shape, for runtimes that compile the graph anew for each.",
)
@path_option("--triton", metavar="DIR", help="Add an entry to a Triton model repository.")
@path_option("--mlflow", metavar="DIR", help="Write an MLflow model folder.")
@path_option("--card", metavar="OUT.md", help="Write a model card.")
@output_options
def export(*, as_json: bool, **given: Any) -> None:
    """Write the generator, scorer or translator saved in DIR as one self-contained ONNX file.

    onnxruntime alone runs it, on raw cells or raw images: encoding, nets, calibration and threshold are inside. The
    file is compared with the library before it is written, on real rows or on pictures, and not written where they
    differ.
    """
    from gantools.workflow.export import Request, run

    run_and_show(run, Request(**given), as_json)
