"""`gantools generate`: rows or images from a saved generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantools.errors import ConfigError

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
    seed_option,
)
from .show import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
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
    folder: Path,
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
    from gantools.data.table import write_table

    synthesizer = Synthesizer.load(folder, device=device)
    target = str(synthesizer.schema_.target)
    counts: int | dict[Any, int] = rows
    if where is not None:
        from gantools.workflow.augment import match_label

        counts = {match_label(synthesizer.schema_, _label_text(where, target), "--where"): rows}
    frame = synthesizer.sample(counts, seed=seed, refine=refine)
    write_table(frame, destination)

    made = frame[target].value_counts()
    if as_json:
        classes = [{"label": label, "rows": count} for label, count in made.items()]
        print_json({"output": destination, "target": target, "n_rows": len(frame), "classes": classes})
        return
    print_table([target, "rows"], made.items(), right=(1,))
    click.echo(f"Synthetic table: {destination}")


def _generate_images(
    folder: Path, n: int, where: str | None, destination: Path, seed: int, device: str, force: bool, as_json: bool
) -> None:
    from gantools.data.image_folder import check_image_folder

    check_apart(destination, folder, option="--output")
    check_image_folder(destination, force=force)
    check_output_place(destination, option="--output")

    from gantools.augment.images import ImageSynthesizer
    from gantools.workflow.augment_images import generate_images, match_class, proportional

    synthesizer = ImageSynthesizer.load(folder, device=device)
    classes = synthesizer.schema_.classes
    if where is None:
        counts = dict(zip(classes, proportional(n, synthesizer.gan_.spec.class_counts), strict=True))
    else:
        counts = {match_class(classes, _label_text(where, "folder"), "--where"): n}
    counts = {name: count for name, count in counts.items() if count}
    generate_images(synthesizer, counts, destination, seed)
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
