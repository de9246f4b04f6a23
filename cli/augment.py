"""`gantools augment`: a table or a folder of images back, balanced."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    about,
    beside,
    check_apart,
    check_grids,
    check_image_target,
    check_output_file,
    check_output_folder,
    check_output_place,
    check_table_name,
    debug_option,
    device_option,
    folder_beside,
    force_option,
    holds_images,
    image_options,
    json_option,
    parse_kinds,
    parse_settings,
    print_json,
    refuse_for_images,
    refuse_for_tables,
    refuse_training_options,
    require_target,
    seed_option,
    train_config,
    training_options,
)
from .show import TrainingProgress, print_table, training_facts, training_line

if TYPE_CHECKING:
    from gantools.augment.balance import BalanceResult
    from gantools.augment.balance_images import ImageBalance
    from gantools.evaluate.image_quality import Quality
    from gantools.evaluate.verdict import Verdict
    from gantools.train.monitor import TrainingReport
    from gantools.workflow.augment import AugmentResult
    from gantools.workflow.augment_images import ImageAugmentResult


@dataclass(frozen=True)
class _Asked:
    """The options that tables and images share."""

    data: Path
    output: Path | None
    strategy: str
    model: str | None
    settings: tuple[str, ...]
    steps: int | None
    budget: float | None
    save: Path | None
    source: Path | None
    synthetic_only: bool
    report: Path | None
    no_verdict: bool
    seed: int
    device: str
    force: bool
    as_json: bool
    started: float


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", metavar="COL", help="The column with the classes; for images 'folder', or left out.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="A file, or for images a folder.  [default: DATA with '.balanced' in its name]",
)
@click.option(
    "--strategy",
    default="auto",
    show_default=True,
    metavar="WHAT",
    help="auto, minority, not-majority, all, a ratio (0.5: half the majority's rows), or counts: '{\"yes\": 500}'.",
)
@training_options("tabular", "lean")
@image_options
@click.option(
    "--features",
    type=click.Choice(["classifier", "perceptual", "inception"]),
    default="classifier",
    show_default=True,
    help="Images: what quality is measured by, a net trained on them, EfficientNet-Lite0 or Inception v3.",
)
@click.option("--save", type=click.Path(path_type=Path), metavar="DIR", help="Keep the trained generator in DIR.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="Use the generator saved in DIR."
)
@click.option("--synthetic-only", is_flag=True, help="Write what is synthetic alone.")
@click.option("--report", type=click.Path(path_type=Path), metavar="OUT.html", help="Write a report for the browser.")
@click.option(
    "--no-verdict", is_flag=True, help="Do not measure whether what is synthetic helps (about half the time)."
)
@seed_option
@device_option
@force_option
@json_option
@debug_option
@click.pass_context
def augment(
    context: click.Context,
    /,
    *,
    target: str | None,
    kinds: tuple[str, ...],
    size: int | None,
    fit: str,
    features: str,
    grids: Path | None,
    **shared: Any,
) -> None:
    """Balance DATA with synthetic rows or images, and say on real ones held back whether they help.

    Of a table (CSV or Parquet) the output holds the rows of DATA first, unchanged, then the synthetic ones, with the
    same columns and types and a last column 'is_synthetic'.

    Of images (a folder with a sub-folder for each class, or an .npz file) the output is a folder with a sub-folder for
    each class: the images of DATA, untouched (hard links where there can be, and PNG files of an .npz), the synthetic
    ones as synthetic_000001.png and so on, and manifest.csv, which tells them apart.
    """
    asked = _Asked(**shared, started=time.monotonic())
    if asked.save is not None and asked.source is not None:
        raise click.UsageError("--save and --from exclude each other", context)
    if asked.source is not None:
        refuse_training_options(context, "generator", size="--size", fit="--fit", grids="--grids")
    if holds_images(asked.data):
        refuse_for_images(context)
        check_image_target(asked.data, target)
        _augment_images(asked, size, fit, features, grids)
    else:
        refuse_for_tables(context)
        _augment_table(asked, require_target(context, asked.data, target), kinds)


def _check_outputs(asked: _Asked, destination: Path) -> None:
    """Refuse places where the report or the generator cannot or must not go."""
    if asked.report is not None:
        check_output_file(asked.report, option="--report", force=asked.force, source=asked.data)
        if asked.report.absolute() == destination.absolute():
            raise click.UsageError("--report and --output name the same file")
    if asked.save is not None:
        check_output_folder(asked.save, option="--save", force=asked.force)


# Tables -------------------------------------------------------------------------------------------------------------


def _augment_table(asked: _Asked, target: str, kinds: tuple[str, ...]) -> None:
    destination = asked.output or beside(asked.data, "balanced")
    check_table_name(destination, source=asked.data)
    check_output_file(destination, option="--output", force=asked.force, source=asked.data)
    _check_outputs(asked, destination)

    from gantools.data.tables import read_table, write_table

    kinds_given = parse_kinds(kinds)
    options = parse_settings(asked.settings)
    config = train_config(steps=asked.steps, budget=asked.budget, seed=asked.seed, device=asked.device)
    frame, dialect = read_table(asked.data)

    from gantools.augment.balance import parse_strategy
    from gantools.augment.synthesizer import Synthesizer
    from gantools.workflow.augment import augment_table

    wanted = parse_strategy(asked.strategy)
    with TrainingProgress() as progress, about(asked.data):
        result = augment_table(
            frame,
            target,
            strategy=wanted,
            model=asked.model or "tabular",
            options=options,
            train=config,
            kinds=kinds_given,
            synthesizer=None if asked.source is None else Synthesizer.load(asked.source, device=asked.device),
            with_verdict=not asked.no_verdict,
            seed=asked.seed,
            progress=progress,
        )

    if asked.report is not None:
        from gantools.evaluate.table_fidelity import table_fidelity
        from gantools.report.balanced_table import balanced_table
        from gantools.report.page import write_html

        page = balanced_table(
            f"{asked.data.name}, balanced",
            result.balance,
            result.schema,
            verdict=result.verdict,
            fidelity=table_fidelity(frame, result.synthetic, result.schema),
            training=result.training,
        )
    if asked.save is not None:
        result.synthesizer.save(asked.save)
    if asked.report is not None:
        write_html(page, asked.report)
    if asked.synthetic_only:
        write_table(result.synthetic, destination, dialect)
    else:
        write_table(result.balance.frame, destination, dialect, n_copied=len(frame))

    if asked.as_json:
        print_json(_table_payload(asked, result, target, destination))
    else:
        _show_table(asked, result, destination)


def _table_payload(asked: _Asked, result: AugmentResult, target: str, destination: Path) -> dict[str, Any]:
    return {
        "output": destination,
        "target": target,
        "classes": _counts(result.balance),
        "n_synthetic": len(result.synthetic),
        "n_copies_redrawn": result.balance.n_copies_redrawn,
        "n_copies_left": result.balance.n_copies_left,
        **_shared_payload(asked, result.training, result.verdict),
        "notes": [*result.schema.notes(), *result.balance.notes, *result.notes],
    }


def _show_table(asked: _Asked, result: AugmentResult, destination: Path) -> None:
    _show_classes(result.balance)
    for note in (*result.schema.notes(), *result.balance.notes):
        click.echo(f"Note: {note}")
    click.echo(
        f"Copies of real rows: {result.balance.n_copies_redrawn} drawn again, {result.balance.n_copies_left} left."
    )
    _show_training(result.training)
    if result.verdict is not None:
        _show_verdict(result.verdict, "rows")
    for note in result.notes:
        click.echo(note)
    click.echo()
    click.echo(f"Balanced table: {destination}")
    _show_places(asked)


# Images -------------------------------------------------------------------------------------------------------------


def _augment_images(asked: _Asked, size: int | None, fit: str, features: str, grids: Path | None) -> None:
    from gantools.data.images.folder import check_image_folder

    destination = asked.output or folder_beside(asked.data, "balanced")
    check_apart(destination, asked.data, option="--output")
    check_image_folder(destination, force=asked.force)
    check_output_place(destination, option="--output")
    _check_outputs(asked, destination)
    check_grids(grids)
    for path, option in ((asked.save, "--save"), (grids, "--grids"), (asked.report, "--report")):
        if path is not None:
            check_apart(path, destination, option=option)
            check_apart(path, asked.data, option=option)
    options = parse_settings(asked.settings)

    from gantools.augment.balance import parse_strategy
    from gantools.augment.image_synthesizer import ImageSynthesizer
    from gantools.workflow.augment_images import augment_images

    config = train_config(
        steps=asked.steps,
        budget=asked.budget,
        seed=asked.seed,
        device=asked.device,
        like=ImageSynthesizer.default_train(),
    )
    wanted = parse_strategy(asked.strategy)
    with TrainingProgress() as progress:
        result = augment_images(
            asked.data,
            destination,
            strategy=wanted,
            model=asked.model or "lean",
            options=options,
            train=config,
            size=size,
            fit=fit,  # type: ignore[arg-type]  # one of click's choices
            synthesizer=None if asked.source is None else ImageSynthesizer.load(asked.source, device=asked.device),
            with_verdict=not asked.no_verdict,
            synthetic_only=asked.synthetic_only,
            features=features,  # type: ignore[arg-type]
            grids=grids,
            with_examples=asked.report is not None,
            seed=asked.seed,
            progress=progress,
            on_read=progress.images,
        )
    if asked.save is not None:
        result.synthesizer.save(asked.save)
    if asked.report is not None:
        from gantools.report.balanced_images import balanced_images
        from gantools.report.page import write_html

        page = balanced_images(
            f"{asked.data.name}, balanced",
            result.balance,
            result.schema,
            verdict=result.verdict,
            training=result.training,
            quality=result.quality,
            copies=result.copies,
            repeats=result.repeats,
            examples=result.examples,
        )
        write_html(page, asked.report)

    if asked.as_json:
        print_json(_images_payload(asked, result, destination, grids))
    else:
        _show_images(asked, result, destination, grids)


def _images_payload(asked: _Asked, result: ImageAugmentResult, destination: Path, grids: Path | None) -> dict[str, Any]:
    copies = result.copies
    return {
        "output": destination,
        "target": "folder",
        "classes": _counts(result.balance),
        "n_synthetic": len(result.balance.label),
        "n_generated": int(result.balance.is_generated.sum()),
        "n_written": result.n_written,
        "size": result.synthesizer.encoder_.layout.size,
        "copies": None if copies is None else {**copies.to_json(), "files": result.repeats},
        "quality": None if result.quality is None else result.quality.to_json(),
        **_shared_payload(asked, result.training, result.verdict),
        "skipped": [{"file": name, "why": why} for name, why in result.schema.skipped],
        "notes": [*result.schema.notes(), *result.balance.notes, *result.notes],
        "grids": grids,
    }


def _show_images(asked: _Asked, result: ImageAugmentResult, destination: Path, grids: Path | None) -> None:
    _show_classes(result.balance)
    for note in (*result.schema.notes(), *result.balance.notes):
        click.echo(f"Note: {note}")
    size, n = result.synthesizer.encoder_.layout.size, len(result.balance.label)
    n_generated = int(result.balance.is_generated.sum())
    sources = f"{n_generated} drawn by the generator, {n - n_generated} real ones, varied"
    click.echo(f"Synthetic images are {size} x {size} pixels: {sources}.")
    _show_training(result.training)
    if result.copies is not None:
        click.echo(result.copies.sentence)
    if result.verdict is not None:
        _show_verdict(result.verdict, "images")
    if result.quality is not None:
        each = [("all", result.quality.overall), *result.quality.by_class.items()]
        click.echo()
        print_table(
            ["class", "FID", "KID", "precision", "recall", "density", "coverage", "real", "synthetic"],
            [(name, *_quality_cells(one), one.n_real, one.n_synthetic) for name, one in each],
            title=f"Quality of fresh images of the generator, measured by: {result.quality.features}",
            right=range(1, 9),
        )
        for note in result.quality.notes:
            click.echo(f"Note: {note}")
    for note in result.notes:
        click.echo(note)
    click.echo()
    click.echo(f"Balanced folder: {destination}")
    if grids is not None and grids.is_dir():  # a training without a look leaves none
        click.echo(f"Pictures while training: {grids}")
    _show_places(asked)


def _quality_cells(one: Quality) -> list[str]:
    figures = (one.fid, one.kid, one.precision, one.recall, one.density, one.coverage)
    return ["-" if figure is None else f"{figure:.3f}" for figure in figures]


# Both ---------------------------------------------------------------------------------------------------------------


def _counts(balance: BalanceResult | ImageBalance) -> list[dict[str, Any]]:
    before, after = balance.counts_before, balance.counts_after
    return [{"label": label, "before": before.get(label, 0), "after": after[label]} for label in after]


def _shared_payload(asked: _Asked, training: TrainingReport, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "training": training_facts(training),
        "verdict": verdict.to_json() if verdict else None,
        "saved": asked.save,
        "report": asked.report,
        "seconds": round(time.monotonic() - asked.started, 1),
    }


def _show_classes(balance: BalanceResult | ImageBalance) -> None:
    print_table(
        ["class", "before", "after", "synthetic"],
        [(row["label"], row["before"], row["after"], row["after"] - row["before"]) for row in _counts(balance)],
        right=(1, 2, 3),
    )


def _show_training(training: TrainingReport) -> None:
    click.echo(f"Training: {training_line(training)}")
    for line in training.health:
        click.echo(f"Health: {line}")


def _show_places(asked: _Asked) -> None:
    if asked.report is not None:
        click.echo(f"Report: {asked.report}")
    if asked.save is not None:
        click.echo(f"Generator: {asked.save}")


def _show_verdict(verdict: Verdict, samples: str) -> None:
    figures = ("average_precision", "balanced_accuracy", "macro_f1")
    rows = [
        (method, *("-" if scores is None else f"{scores[figure]:.3f}" for figure in figures))
        for method, scores in verdict.scores.items()
    ]
    if rows:
        click.echo()
        title = f"Trained on {verdict.n_train} {samples}, tested on {verdict.n_holdout} held-out real {samples}"
        print_table(
            ["balanced by", *(figure.replace("_", " ") for figure in figures)], rows, title=title, right=(1, 2, 3)
        )
    click.echo(verdict.sentence)
    for note in verdict.notes:
        click.echo(f"Note: {note}")
