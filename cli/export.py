"""`gantools export`: a trained model as one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantools.errors import CheckpointError, ConfigError

from .common import (
    check_apart,
    check_output_file,
    check_output_place,
    checkpoint_kind,
    debug_option,
    force_option,
    json_option,
    print_json,
)
from .show import TrainingProgress, duration

DEFAULT_FOLDER = Path("exports")
BESIDE = {"triton": "Triton model repository", "mlflow": "MLflow model", "card": "Model card"}


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT.onnx", help="[default: exports/DIR.onnx]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Of weights and arithmetic; fp16 and int8 are refused where they change a verdict.",
)
@click.option("--noise-inside", is_flag=True, help="Generators: draw the noise in the graph, anew in each run.")
@click.option(
    "--triton", type=click.Path(path_type=Path), metavar="DIR", help="Add an entry to a Triton model repository."
)
@click.option("--mlflow", type=click.Path(path_type=Path), metavar="DIR", help="Write an MLflow model folder.")
@click.option("--card", type=click.Path(path_type=Path), metavar="OUT.md", help="Write a model card.")
@force_option
@json_option
@debug_option
def export(
    *,
    folder: Path,
    output: Path | None,
    precision: str,
    noise_inside: bool,
    triton: Path | None,
    mlflow: Path | None,
    card: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the generator or scorer saved in DIR as one self-contained ONNX file.

    onnxruntime alone runs it, on raw cells or raw images: encoding, nets, calibration and threshold are inside. The
    file is compared with the library on real rows before it is written, and not written where they differ.
    """
    kind = checkpoint_kind(folder)
    named = folder if folder.name not in ("", "..") else folder.resolve()
    destination = output or DEFAULT_FOLDER / f"{named.name}.onnx"
    if destination.suffix != ".onnx":
        raise ConfigError(f"{destination} does not end in .onnx", where="--output", remedy="name an .onnx file")
    if output is not None or DEFAULT_FOLDER.exists():  # else it is made when the file is written
        check_output_file(destination, option="--output", force=force)
    check_apart(destination, folder, option="--output")
    if card is not None:
        check_output_file(card, option="--card", force=force)
    for path, option in ((triton, "--triton"), (mlflow, "--mlflow")):
        if path is not None:
            _check_folder(path, option, force=force or option == "--triton")
    if noise_inside and kind.endswith("scorer"):
        raise ConfigError("a scorer has no noise", where="--noise-inside", remedy="leave it out")

    from gantools.export.file import export_model

    model = _loaded(folder, kind)
    with TrainingProgress() as progress:
        found = export_model(
            model, destination, precision=precision, noise_inside=noise_inside,  # type: ignore[arg-type]
            progress=lambda stage: progress.rows(stage, 0, None),
        )  # fmt: skip
    beside = _write_beside(destination, triton, mlflow, card)
    if as_json:
        print_json({
            "output": destination, "kind": found.graph.kind, "precision": found.precision, "bytes": found.n_bytes,
            "parity": found.parity, "seconds": round(found.seconds, 1), **beside,
        })  # fmt: skip
        return
    click.echo(found.comparison)
    click.echo(f"Time: {duration(found.seconds)} in all.")
    click.echo()
    click.echo(f"ONNX file: {destination} ({found.n_bytes / 1e6:.1f} MB)")
    for name, path in beside.items():
        click.echo(f"{BESIDE[name]}: {path}")


def _check_folder(path: Path, option: str, *, force: bool) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file", where=option, remedy="give the name of a folder")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise ConfigError(f"{path} is not empty", where=option, remedy="give another name, or --force to overwrite it")
    check_output_place(path, option=option)


def _loaded(folder: Path, kind: str) -> Any:
    if kind == "table-scorer":
        from gantools.score.table_scorer import AnomalyScorer

        return AnomalyScorer.load(folder, device="cpu")
    if kind == "image-scorer":
        from gantools.score.image_scorer import ImageScorer

        return ImageScorer.load(folder, device="cpu")
    if kind == "image-generator":
        from gantools.augment.image_synthesizer import ImageSynthesizer

        return ImageSynthesizer.load(folder, device="cpu")
    if kind == "table-generator" or not folder.is_dir():
        from gantools.augment.synthesizer import Synthesizer

        return Synthesizer.load(folder, device="cpu")
    raise CheckpointError("is no saved model", where=str(folder), remedy="name a folder that gantools saved")


def _write_beside(file: Path, triton: Path | None, mlflow: Path | None, card: Path | None) -> dict[str, Path]:
    written: dict[str, Path] = {}
    if triton is not None:
        from gantools.export.triton import write_triton

        write_triton(file, triton)
        written["triton"] = triton
    if mlflow is not None:
        from gantools.export.mlflow import write_mlflow

        write_mlflow(file, mlflow)
        written["mlflow"] = mlflow
    if card is not None:
        from gantools.export.card import write_card

        write_card(file, card)
        written["card"] = card
    return written
