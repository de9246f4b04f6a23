"""`gantools generate`: rows or images from a saved generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantools.errors import ConfigError, ExportError

from .common import (
    check_apart,
    check_output_file,
    check_output_place,
    check_table_name,
    checkpoint_kind,
    debug_option,
    device_option,
    force_option,
    json_option,
    print_json,
    refuse_for_images,
    refuse_given,
    seed_option,
)
from .show import print_table

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--onnx", type=click.Path(path_type=Path), metavar="FILE", help="In place of DIR: an exported generator.")
@click.option(
    "-n", "--rows", type=click.IntRange(min=1), required=True, metavar="N", help="How many rows or images, exactly."
)
@click.option(
    "--where",
    metavar="COL=LABEL",
    help="This class only; COL is the column the generator was trained for, 'folder' for images.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="CSV or Parquet, for images a folder.  [default: DIR.generated.csv, DIR.generated]",
)
@click.option(
    "--refine/--no-refine",
    default=True,
    help="Rows: let the generator's classifier choose among more than are wanted; four times faster without.",
)
@seed_option
@device_option
@force_option
@json_option
@debug_option
@click.pass_context
def generate(
    context: click.Context,
    *,
    folder: Path | None,
    onnx: Path | None,
    rows: int,
    where: str | None,
    output: Path | None,
    refine: bool,
    seed: int,
    device: str,
    force: bool,
    as_json: bool,
) -> None:
    """Make synthetic rows or images with the generator saved in DIR.

    Without --where the classes come in the proportions of what it was trained on. Images go into a folder with a
    sub-folder for each class, beside manifest.csv.
    """
    if (folder is None) == (onnx is None):
        raise click.UsageError("give either DIR or --onnx FILE", context)
    if onnx is not None:
        refuse_given(context, "has no effect on an exported generator", refine="--refine")
        _generate_exported(onnx, rows, where, output, seed, device, force, as_json)
        return
    assert folder is not None
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if checkpoint_kind(folder) == "image-generator":
        refuse_for_images(context)
        _generate_images(
            folder, rows, where, output or named.with_name(f"{named.name}.generated"), seed, device, force, as_json
        )
        return
    destination = output or named.with_name(f"{named.name}.generated.csv")
    check_table_name(destination)
    check_output_file(destination, option="--output", force=force)

    from gantools.augment.synthesizer import Synthesizer
    from gantools.data.tables import write_table

    synthesizer = Synthesizer.load(folder, device=device)
    target = str(synthesizer.schema_.target)
    counts: int | dict[Any, int] = rows
    if where is not None:
        from gantools.workflow.augment import match_label

        counts = {match_label(synthesizer.schema_, _label_text(where, target), "--where"): rows}
    frame = synthesizer.sample(counts, seed=seed, refine=refine)
    write_table(frame, destination)

    _tell_rows(frame, target, destination, as_json)


def _tell_rows(frame: pd.DataFrame, target: str, destination: Path, as_json: bool) -> None:
    made = frame[target].value_counts()
    if as_json:
        classes = [{"label": label, "rows": count} for label, count in made.items()]
        print_json({"output": destination, "target": target, "n_rows": len(frame), "classes": classes})
        return
    print_table([target, "rows"], made.items(), right=(1,))
    click.echo(f"Synthetic table: {destination}")


def _generate_exported(
    file: Path, n: int, where: str | None, output: Path | None, seed: int, device: str, force: bool, as_json: bool
) -> None:
    from gantools.export.kinds.image_generator import ExportedImageGenerator
    from gantools.export.kinds.table_generator import ExportedGenerator
    from gantools.export.runtime import load_exported

    model = load_exported(file, device)
    if isinstance(model, ExportedGenerator):
        destination = output or file.with_suffix(".generated.csv")
        check_table_name(destination)
        check_output_file(destination, option="--output", force=force)

        from gantools.data.tables import write_table
        from gantools.workflow.augment import match_label

        target = str(model.schema_.target)
        of_rows: int | dict[Any, int] = n
        if where is not None:
            of_rows = {match_label(model.schema_, _label_text(where, target), "--where"): n}
        frame = model.sample(of_rows, seed=seed)
        write_table(frame, destination)
        _tell_rows(frame, target, destination, as_json)
    elif isinstance(model, ExportedImageGenerator):
        from gantools.data.images.folder import check_image_folder

        destination = output or file.with_suffix(".generated")
        check_image_folder(destination, force=force)
        check_output_place(destination, option="--output")
        _write_images(model, model.class_counts, n, where, destination, seed, as_json)
    else:
        raise ExportError("is no generator", where=str(file), remedy="give an exported generator with --onnx")


def _generate_images(
    folder: Path, n: int, where: str | None, destination: Path, seed: int, device: str, force: bool, as_json: bool
) -> None:
    from gantools.data.images.folder import check_image_folder

    check_apart(destination, folder, option="--output")
    check_image_folder(destination, force=force)
    check_output_place(destination, option="--output")

    from gantools.augment.image_synthesizer import ImageSynthesizer

    synthesizer = ImageSynthesizer.load(folder, device=device)
    _write_images(synthesizer, synthesizer.class_counts_, n, where, destination, seed, as_json)


def _write_images(
    maker: Any, class_counts: Sequence[int], n: int, where: str | None, destination: Path, seed: int, as_json: bool
) -> None:
    """maker: has `schema_` and `sample` as ImageSynthesizer has them."""
    from gantools.workflow.augment_images import generate_images, match_class, proportional

    classes = maker.schema_.classes
    if where is None:
        counts = dict(zip(classes, proportional(n, tuple(class_counts)), strict=True))
    else:
        counts = {match_class(classes, _label_text(where, "folder"), "--where"): n}
    counts = {name: count for name, count in counts.items() if count}
    generate_images(maker, counts, destination, seed)
    if as_json:
        made = [{"label": name, "images": count} for name, count in counts.items()]
        print_json({"output": destination, "target": "folder", "n_images": n, "classes": made})
        return
    print_table(["folder", "images"], counts.items(), right=(1,))
    click.echo(f"Synthetic images: {destination}")


def _label_text(where: str, target: str) -> str:
    if not where.startswith(f"{target}="):
        raise ConfigError(
            f"{where!r} does not name {target!r}",
            where="--where",
            remedy=f"this generator can only be asked for values of it: write --where {target}=LABEL",
        )
    return where[len(target) + 1 :]
