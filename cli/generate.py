"""`gantools generate`: rows from a saved generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantools.errors import ConfigError

from .common import (
    check_output_file,
    check_table_name,
    debug_option,
    device_option,
    force_option,
    json_option,
    print_json,
    seed_option,
)
from .show import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-n", "--rows", type=click.IntRange(min=1), required=True, metavar="N", help="How many rows, exactly.")
@click.option(
    "--where", metavar="COL=LABEL", help="Rows of this class only; COL is the column the generator was trained for."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="CSV or Parquet.  [default: DIR.generated.csv]",
)
@click.option(
    "--refine/--no-refine",
    default=True,
    help="Let the generator's classifier choose among more rows than are wanted; four times faster without.",
)
@seed_option
@device_option
@force_option
@json_option
@debug_option
def generate(
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
    """Make synthetic rows with the generator saved in DIR.

    Without --where the classes come in the proportions of the training table.
    """
    named = folder if folder.name not in ("", "..") else folder.resolve()
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


def _label_text(where: str, target: str) -> str:
    if not where.startswith(f"{target}="):
        raise ConfigError(
            f"{where!r} does not name the column {target!r}",
            where="--where",
            remedy=f"this generator can only be asked for values of it: write --where {target}=LABEL",
        )
    return where[len(target) + 1 :]
