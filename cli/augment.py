"""`gantools augment`: a table back, balanced."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    about,
    beside,
    check_output_file,
    check_output_folder,
    check_table_name,
    debug_option,
    device_option,
    force_option,
    json_option,
    parse_kinds,
    parse_settings,
    print_json,
    refuse_training_options,
    seed_option,
    train_config,
    training_options,
)
from .show import TrainingProgress, print_table, training_facts, training_line

if TYPE_CHECKING:
    from gantools.evaluate.verdict import Verdict
    from gantools.workflow.augment import AugmentResult


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COL", help="The column with the classes.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="[default: DATA with '.balanced' in its name]",
)
@click.option(
    "--strategy",
    default="auto",
    show_default=True,
    metavar="WHAT",
    help="auto, minority, not-majority, all, a ratio (0.5: half the majority's rows), or counts: '{\"yes\": 500}'.",
)
@training_options()
@click.option("--save", type=click.Path(path_type=Path), metavar="DIR", help="Keep the trained generator in DIR.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="Use the generator saved in DIR."
)
@click.option("--synthetic-only", is_flag=True, help="Write the synthetic rows alone.")
@click.option("--report", type=click.Path(path_type=Path), metavar="OUT.html", help="Write a report for the browser.")
@click.option(
    "--no-verdict", is_flag=True, help="Do not measure whether the synthetic rows help (about half the time)."
)
@seed_option
@device_option
@force_option
@json_option
@debug_option
@click.pass_context
def augment(
    context: click.Context,
    *,
    data: Path,
    target: str,
    output: Path | None,
    strategy: str,
    model: str,
    settings: tuple[str, ...],
    steps: int | None,
    budget: float | None,
    kinds: tuple[str, ...],
    save: Path | None,
    source: Path | None,
    synthetic_only: bool,
    report: Path | None,
    no_verdict: bool,
    seed: int,
    device: str,
    force: bool,
    as_json: bool,
) -> None:
    """Balance the table DATA (CSV or Parquet) with synthetic rows.

    The output holds the rows of DATA first, unchanged, then the synthetic ones, with the same columns and types and a
    last column 'is_synthetic'. Real rows are held back to say whether the synthetic ones help.
    """
    if save is not None and source is not None:
        raise click.UsageError("--save and --from exclude each other", context)
    if source is not None:
        refuse_training_options(context, "generator")
    started = time.monotonic()
    destination = output or beside(data, "balanced")
    check_table_name(destination, source=data)
    check_output_file(destination, option="--output", force=force, source=data)
    if report is not None:
        check_output_file(report, option="--report", force=force, source=data)
        if report.absolute() == destination.absolute():
            raise click.UsageError("--report and --output name the same file", context)
    if save is not None:
        check_output_folder(save, option="--save", force=force)

    from gantools.data.table import read_table, write_table

    kinds_given = parse_kinds(kinds)
    options = parse_settings(settings)
    config = train_config(steps=steps, budget=budget, seed=seed, device=device)
    frame, dialect = read_table(data)

    from gantools.augment.balance import parse_strategy
    from gantools.augment.synthesizer import Synthesizer
    from gantools.workflow.augment import augment_table

    wanted = parse_strategy(strategy)
    with TrainingProgress() as progress, about(data):
        result = augment_table(
            frame,
            target,
            strategy=wanted,
            model=model,
            options=options,
            train=config,
            kinds=kinds_given,
            synthesizer=None if source is None else Synthesizer.load(source, device=device),
            with_verdict=not no_verdict,
            seed=seed,
            progress=progress,
        )

    if report is not None:
        from gantools.evaluate.report import to_html, write_html

        page = to_html(result.verdict, result.balance, result.schema, result.training, title=f"{data.name}, balanced")
    if save is not None:
        result.synthesizer.save(save)
    if report is not None:
        write_html(page, report)
    if synthetic_only:
        write_table(result.synthetic, destination, dialect)
    else:
        write_table(result.balance.frame, destination, dialect, n_copied=len(frame))

    seconds = time.monotonic() - started
    if as_json:
        print_json(_payload(result, target, destination, save, report, seconds))
    else:
        _show(result, destination, save, report)


def _counts(result: AugmentResult) -> list[dict[str, Any]]:
    before, after = result.balance.counts_before, result.balance.counts_after
    return [{"label": label, "before": before.get(label, 0), "after": after[label]} for label in after]


def _payload(
    result: AugmentResult, target: str, destination: Path, save: Path | None, report: Path | None, seconds: float
) -> dict[str, Any]:
    return {
        "output": destination,
        "target": target,
        "classes": _counts(result),
        "n_synthetic": len(result.synthetic),
        "n_copies_redrawn": result.balance.n_copies_redrawn,
        "n_copies_left": result.balance.n_copies_left,
        "training": training_facts(result.training),
        "verdict": result.verdict.to_json() if result.verdict else None,
        "notes": [*result.schema.notes(), *result.balance.notes, *result.notes],
        "saved": save,
        "report": report,
        "seconds": round(seconds, 1),
    }


def _show(result: AugmentResult, destination: Path, save: Path | None, report: Path | None) -> None:
    print_table(
        ["class", "before", "after", "synthetic"],
        [(row["label"], row["before"], row["after"], row["after"] - row["before"]) for row in _counts(result)],
        right=(1, 2, 3),
    )
    for note in (*result.schema.notes(), *result.balance.notes):
        click.echo(f"Note: {note}")
    click.echo(
        f"Copies of real rows: {result.balance.n_copies_redrawn} drawn again, {result.balance.n_copies_left} left."
    )
    click.echo(f"Training: {training_line(result.training)}")
    for line in result.training.health:
        click.echo(f"Health: {line}")
    if result.verdict is not None:
        _show_verdict(result.verdict)
    for note in result.notes:
        click.echo(note)
    click.echo()
    click.echo(f"Balanced table: {destination}")
    if report is not None:
        click.echo(f"Report: {report}")
    if save is not None:
        click.echo(f"Generator: {save}")


def _show_verdict(verdict: Verdict) -> None:
    figures = ("average_precision", "balanced_accuracy", "macro_f1")
    rows = [
        (method, *("-" if scores is None else f"{scores[figure]:.3f}" for figure in figures))
        for method, scores in verdict.scores.items()
    ]
    if rows:
        click.echo()
        title = f"Trained on {verdict.n_train} rows, tested on {verdict.n_holdout} held-out real rows"
        print_table(
            ["balanced by", *(figure.replace("_", " ") for figure in figures)], rows, title=title, right=(1, 2, 3)
        )
    click.echo(verdict.sentence)
    for note in verdict.notes:
        click.echo(f"Note: {note}")
