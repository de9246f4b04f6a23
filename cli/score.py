"""`gantools score`: a table back with what does not belong in it."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
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
    training_options,
)
from .show import TrainingProgress, duration, print_table, training_facts, training_line

if TYPE_CHECKING:
    from gantools.workflow.score import ScoreResult

# How many of the most abnormal rows people are shown.
ROWS_SHOWN = 10


class Share(click.ParamType[float]):
    """A share between 0 and 1, as 0.01 or 1%."""

    name = "share"

    def __init__(self, *, below: float = 1.0, zero: bool = False) -> None:
        """below: what it must be below. zero: whether 0 is one."""
        self.below, self.zero = below, zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a number."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is not a share; write 0.01 or 1%.", param, ctx)
        if not (0 < share < self.below or (self.zero and share == 0)):
            self.fail(f"{value!r} does not lie between 0 and {self.below:g}; 0.01 is 1 row in 100.", param, ctx)
        return share


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--train", "normal", type=click.Path(path_type=Path), metavar="NORMAL", help="A table of normal rows to learn from."
)
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="Use the scorer saved in DIR.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="[default: DATA with '.scored' in its name]",
)
@click.option(
    "--false-alarms",
    type=Share(),
    metavar="SHARE",
    help="Share of normal rows that may be called anomalies.  [default: 0.01, or the best F1 with --labels]",
)
@click.option("--explain", is_flag=True, help="Add a column 'reason' for the rows that are called anomalies.")
@click.option("--labels", metavar="COL", help="The column that marks known anomalies (1 or yes); never learned from.")
@click.option(
    "--contamination",
    type=Share(below=0.5, zero=True),
    metavar="SHARE",
    help="Share of anomalies among the rows learned from.  [default: 0 with --train, 0.05 without]",
)
@click.option("--tail", is_flag=True, help="Extrapolate, for false alarms rarer than the held-out rows can tell.")
@training_options("denoiser")
@click.option("--save", type=click.Path(path_type=Path), metavar="DIR", help="Keep the trained scorer in DIR.")
@click.option("--report", type=click.Path(path_type=Path), metavar="OUT.html", help="Write a report for the browser.")
@seed_option
@device_option
@force_option
@json_option
@debug_option
@click.pass_context
def score(
    context: click.Context,
    *,
    data: Path,
    normal: Path | None,
    source: Path | None,
    output: Path | None,
    false_alarms: float | None,
    explain: bool,
    labels: str | None,
    contamination: float | None,
    tail: bool,
    model: str,
    settings: tuple[str, ...],
    steps: int | None,
    budget: float | None,
    kinds: tuple[str, ...],
    save: Path | None,
    report: Path | None,
    seed: int,
    device: str,
    force: bool,
    as_json: bool,
) -> None:
    """Say for every row of the table DATA (CSV or Parquet) how far it is from normal.

    The output holds the rows of DATA, unchanged, and behind them 'anomaly_score' (about 0.7 for a usual row, far out
    the number of standard deviations), 'p_value' (share of normal rows at least as far from normal) and 'is_anomaly'.
    Without --train and --from what is normal is learned from DATA itself.
    """
    if normal is not None and source is not None:
        raise click.UsageError("--train and --from exclude each other", context)
    if save is not None and source is not None:
        raise click.UsageError("--save and --from exclude each other", context)
    if source is not None:
        refuse_training_options(context, "scorer", contamination="--contamination", tail="--tail")
    started = time.monotonic()
    destination = output or beside(data, "scored")
    check_table_name(destination, source=data)
    for path, option in ((destination, "--output"), (report, "--report")):
        if path is not None:
            check_output_file(path, option=option, force=force, source=data)
            if normal is not None:
                check_output_file(path, option=option, force=force, source=normal)
    if report is not None and report.absolute() == destination.absolute():
        raise click.UsageError("--report and --output name the same file", context)
    if save is not None:
        check_output_folder(save, option="--save", force=force)
    kinds_given = parse_kinds(kinds)
    options = parse_settings(settings)

    from gantools.data.table import reading

    for table in (data, normal):
        if table is not None:  # told before the slow imports
            with reading(table):
                pass

    from gantools.workflow.score import Options, score_table

    scorer = None
    if source is not None:
        from gantools.score.scorer import AnomalyScorer

        scorer = AnomalyScorer.load(source, device=device)
    with TrainingProgress() as progress:
        result = score_table(
            data,
            destination,
            train=normal,
            scorer=scorer,
            training=Options(model, options, kinds_given, steps, budget, contamination, tail),
            false_alarms=false_alarms,
            labels=labels,
            explain=explain,
            seed=seed,
            device=device,
            progress=progress,
            on_rows=progress.rows,
        )
    if save is not None:
        result.scorer.save(save)
    if report is not None:
        from gantools.evaluate.report import scores_to_html, write_html

        page = scores_to_html(
            result.tally,
            result.top,
            result.schema,
            result.words(),
            threshold=result.threshold.value,
            drift=result.drift,
            training=None if source is not None else result.scorer.report_,
            title=f"{data.name}, scored",
        )
        write_html(page, report)

    seconds = time.monotonic() - started
    if as_json:
        print_json(_payload(result, destination, source, save, report, seconds))
    else:
        _show(result, destination, source, save, report, seconds)


def _top(result: ScoreResult) -> list[dict[str, Any]]:
    """The most abnormal rows, counted from 1."""
    names = ("anomaly_score", "p_value", "is_anomaly", "reason")
    rows = zip(result.top.index.tolist(), *(result.top[name].tolist() for name in names), strict=True)
    return [{"row": row + 1, **dict(zip(names, cells, strict=True))} for row, *cells in rows]


def _payload(
    result: ScoreResult,
    destination: Path,
    source: Path | None,
    save: Path | None,
    report: Path | None,
    seconds: float,
) -> dict[str, Any]:
    threshold, tally, detection = result.threshold, result.tally, result.detection
    return {
        "output": destination,
        "n_rows": tally.n_rows,
        "n_anomalous": tally.n_anomalous,
        "n_unscored": tally.n_unscored,
        "threshold": threshold.value,
        "false_alarms": threshold.asked,
        "finest_false_alarms": threshold.finest,
        "can_be_resolved": threshold.can_be_resolved,
        "best_f1": threshold.f1,
        "contamination": result.contamination,
        "n_learned": result.n_learned,
        "n_source": result.n_source,
        "n_marked": result.n_marked,
        "n_held_out": len(result.scorer.calibration_.scores),
        "detection": None if detection is None else asdict(detection),
        "drift": None if result.drift is None else result.drift.to_json(),
        "most_abnormal": _top(result),
        "training": None if source is not None else training_facts(result.scorer.report_),
        "notes": [*result.column_notes(), *result.notes],
        "saved": save,
        "report": report,
        "seconds": round(seconds, 1),
    }


def _show(
    result: ScoreResult,
    destination: Path,
    source: Path | None,
    save: Path | None,
    report: Path | None,
    seconds: float,
) -> None:
    title = "The most abnormal rows"
    rows = [
        (row["row"], f"{row['anomaly_score']:.3g}", f"{row['p_value']:.2g}", _yes(row["is_anomaly"]), row["reason"])
        for row in _top(result)[:ROWS_SHOWN]
    ]
    print_table(["row", "score", "p-value", "anomaly", "reason"], rows, title=title, right=(0, 1, 2))
    for note in result.column_notes():
        click.echo(f"Note: {note}")
    for line in result.words():
        click.echo(line)
    if source is None:
        click.echo(f"Training: {training_line(result.scorer.report_)}")
        for line in result.scorer.report_.health:
            click.echo(f"Health: {line}")
    if result.drift is not None and not result.drift.drifted:
        click.echo("No drift: the rows look like those that were learned from.")
    for line in result.drift_words():
        click.echo(f"Drift: {line}", err=True)
    click.echo(f"Time: {duration(seconds)} in all.")
    click.echo()
    click.echo(f"Scored table: {destination}")
    if report is not None:
        click.echo(f"Report: {report}")
    if save is not None:
        click.echo(f"Scorer: {save}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
