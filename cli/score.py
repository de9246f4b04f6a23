"""`gantools score`: what does not belong in a table or among images."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantools.errors import CheckpointError, ConfigError, ExportError

from .common import (
    beside,
    check_apart,
    check_output_file,
    check_output_folder,
    check_output_place,
    check_table_name,
    checkpoint_kind,
    debug_option,
    device_option,
    folder_beside,
    force_option,
    json_option,
    parse_kinds,
    parse_settings,
    print_json,
    refuse_given,
    refuse_training_options,
    seed_option,
    training_options,
)
from .show import TrainingProgress, duration, print_table, training_facts, training_line

if TYPE_CHECKING:
    from gantools.workflow.score import ScoreResult
    from gantools.workflow.score_images import ImageScoreResult

# How many of the most abnormal rows or images people are shown.
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


@dataclass(frozen=True)
class _Asked:
    """The options that tables and images share."""

    data: Path
    normal: Path | None
    source: Path | None
    onnx: Path | None
    output: Path | None
    false_alarms: float | None
    explain: bool
    labels: str | None
    contamination: float | None
    tail: bool
    model: str | None
    settings: tuple[str, ...]
    steps: int | None
    budget: float | None
    save: Path | None
    report: Path | None
    seed: int
    device: str
    force: bool
    as_json: bool
    started: float

    @property
    def saved(self) -> Path | None:
        """The trained scorer that was given, a folder or an exported file."""
        return self.source or self.onnx


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--train",
    "normal",
    type=click.Path(path_type=Path),
    metavar="NORMAL",
    help="A table of normal rows, or a folder of normal images, to learn from.",
)
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="Use the scorer saved in DIR.")
@click.option("--onnx", type=click.Path(path_type=Path), metavar="FILE", help="Use the scorer exported to FILE.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="A table.  [default: DATA with '.scored' in its name]",
)
@click.option(
    "--false-alarms",
    type=Share(),
    metavar="SHARE",
    help="Share of what is normal that may be called anomalous.  [default: 0.01, or the best F1 with --labels]",
)
@click.option("--explain", is_flag=True, help="Add a column 'reason' for what is called anomalous; maps of images.")
@click.option(
    "--labels",
    metavar="COL",
    help="The column that marks known anomalies (1 or yes); of images 'folder': class folders called good, ok or "
    "normal are normal, all others anomalies. Anomalies are never learned from.",
)
@click.option(
    "--contamination",
    type=Share(below=0.5, zero=True),
    metavar="SHARE",
    help="Share of anomalies among what is learned from.  [default: 0 with --train, 0.05 without]",
)
@click.option("--tail", is_flag=True, help="Extrapolate, for false alarms rarer than what is held out can tell.")
@training_options("denoiser", "restorer")
@click.option("--size", type=int, metavar="N", help="Images: pixels of each side.  [default: as they are, up to 256]")
@click.option(
    "--fit",
    type=click.Choice(["resize", "crop", "pad"]),
    default="resize",
    show_default=True,
    help="Images: what is done with those that are not square.",
)
@click.option(
    "--features",
    type=click.Choice(["own", "perceptual"]),
    default="own",
    show_default=True,
    help="Images: what patches are compared by, their edges or EfficientNet-Lite0 (better on photos).",
)
@click.option(
    "--maps",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images: draw where anomalous ones are odd.  [default: OUT with '.maps' for its suffix, with --explain]",
)
@click.option(
    "--maps-for",
    "maps_of",
    type=click.Choice(["anomalous", "all"]),
    default="anomalous",
    show_default=True,
    help="Images: which of them maps are drawn of.",
)
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
    /,
    *,
    kinds: tuple[str, ...],
    size: int | None,
    fit: str,
    features: str,
    maps: Path | None,
    maps_of: str,
    **shared: Any,
) -> None:
    """Say of every row or image of DATA how far it is from normal.

    Of a table (CSV or Parquet) the output holds the rows, unchanged, and behind them 'anomaly_score' (about 0.7 for a
    usual row, far out the number of standard deviations), 'p_value' (share of normal rows at least as far from normal)
    and 'is_anomaly'. Without --train and --from what is normal is learned from DATA itself.

    Of images (a folder, with sub-folders or without, or an .npz file) the output is a table with a line for each:
    'file' and the same three. Maps are two PNG files for an image, in its size: NAME.overlay.png shows where it is
    odd, and of the 16-bit grey values of NAME.heat.png those above 16384 are anomalous.
    """
    from gantools.data.images.source import is_images

    asked = _Asked(**shared, started=time.monotonic())
    option = "--from" if asked.source is not None else "--onnx"
    if asked.source is not None and asked.onnx is not None:
        raise click.UsageError("--from and --onnx exclude each other", context)
    if asked.normal is not None and asked.saved is not None:
        raise click.UsageError(f"--train and {option} exclude each other", context)
    if asked.save is not None and asked.saved is not None:
        raise click.UsageError(f"--save and {option} exclude each other", context)
    if asked.saved is not None:
        more = {"contamination": "--contamination", "tail": "--tail"}
        more |= {"size": "--size", "fit": "--fit", "features": "--features"}
        refuse_training_options(context, "scorer", option, **more)
    if is_images(asked.data):
        refuse_given(context, "has no meaning for images", kinds="--kind")
        if maps is None and not asked.explain:
            refuse_given(context, "has no effect without --maps or --explain", maps_of="--maps-for")
        _score_images(asked, size, fit, features, maps, maps_of)
    else:
        options = {
            "size": "--size",
            "fit": "--fit",
            "features": "--features",
            "maps": "--maps",
            "maps_of": "--maps-for",
        }
        refuse_given(context, "has no meaning for tables", **options)
        _score_table(asked, kinds)


def _check_outputs(asked: _Asked, destination: Path) -> None:
    """Refuse places where the result, the report or the scorer cannot or must not go."""
    for path, option in ((destination, "--output"), (asked.report, "--report")):
        if path is not None:
            check_output_file(path, option=option, force=asked.force, source=asked.data)
            if asked.normal is not None:
                check_output_file(path, option=option, force=asked.force, source=asked.normal)
    if asked.report is not None and asked.report.resolve() == destination.resolve():
        raise click.UsageError("--report and --output name the same file")
    if asked.save is not None:
        check_output_folder(asked.save, option="--save", force=asked.force)


# Tables -------------------------------------------------------------------------------------------------------------


def _score_table(asked: _Asked, kinds: tuple[str, ...]) -> None:
    destination = asked.output or beside(asked.data, "scored")
    check_table_name(destination, source=asked.data)
    _check_outputs(asked, destination)
    kinds_given = parse_kinds(kinds)
    options = parse_settings(asked.settings)

    from gantools.data.tables.dialect import read_errors

    for table in (asked.data, asked.normal):
        if table is not None:  # told before the slow imports
            with read_errors(table):
                pass

    from gantools.workflow.score import Options, score_table

    scorer: Any = None
    if asked.source is not None:
        _check_kind(asked.source, "image-scorer", "images, and DATA is a table")
        from gantools.score.table_scorer import AnomalyScorer

        scorer = AnomalyScorer.load(asked.source, device=asked.device)
    elif asked.onnx is not None:
        scorer = _exported(asked.onnx, "table-scorer", asked.device)
    with TrainingProgress() as progress:
        result = score_table(
            asked.data,
            destination,
            train=asked.normal,
            scorer=scorer,
            training=Options(
                model=asked.model or "denoiser",
                options=options,
                kinds=kinds_given,
                steps=asked.steps,
                budget_s=asked.budget,
                contamination=asked.contamination,
                tail=asked.tail,
            ),
            false_alarms=asked.false_alarms,
            labels=asked.labels,
            explain=asked.explain,
            seed=asked.seed,
            device=asked.device,
            progress=progress,
            on_rows=progress.rows,
        )
    if asked.save is not None:
        _learner(result).save(asked.save)
    if asked.report is not None:
        from gantools.report.page import write_html
        from gantools.report.scored_table import scored_table

        page = scored_table(
            f"{asked.data.name}, scored",
            result.words(),
            result.tally,
            result.top,
            result.schema,
            threshold=result.threshold.value,
            drift=result.drift,
            training=None if asked.saved is not None else _learner(result).report_,
        )
        write_html(page, asked.report)

    if asked.as_json:
        print_json(_table_payload(asked, result, destination))
    else:
        _show_table(asked, result, destination)


def _table_payload(asked: _Asked, result: ScoreResult, destination: Path) -> dict[str, Any]:
    return {
        "output": destination,
        "n_rows": result.tally.n_rows,
        **_shared_payload(asked, result),
        "drift": None if result.drift is None else result.drift.to_json(),
        "most_abnormal": _top_rows(result),
        "notes": [*result.column_notes(), *result.notes],
    }


def _top_rows(result: ScoreResult) -> list[dict[str, Any]]:
    """The most abnormal rows, counted from 1."""
    return [{"row": row + 1, **told} for row, told in zip(result.top.index.tolist(), _told(result), strict=True)]


def _show_table(asked: _Asked, result: ScoreResult, destination: Path) -> None:
    _show_top("row", "rows", _top_rows(result))
    for note in result.column_notes():
        click.echo(f"Note: {note}")
    _show_words(asked, result)
    if result.drift is not None and not result.drift.drifted:
        click.echo("No drift: the rows look like those that were learned from.")
    for line in result.drift_words():
        click.echo(f"Drift: {line}", err=True)
    _show_places(asked, destination)


# Images -------------------------------------------------------------------------------------------------------------


def _score_images(asked: _Asked, size: int | None, fit: str, features: str, maps: Path | None, maps_of: str) -> None:
    from gantools.data.images.source import is_images

    destination = asked.output or _named(folder_beside(asked.data, "scored"), ".csv")
    check_table_name(destination)
    _check_outputs(asked, destination)
    if asked.labels not in (None, "folder"):
        problem = f"the classes of {asked.data} are its sub-folders (the labels of an .npz file), not {asked.labels!r}"
        raise ConfigError(problem, where="--labels", remedy="write --labels folder")
    if asked.normal is not None and not asked.normal.exists():
        raise ConfigError(f"{asked.normal} does not exist", where="--train", remedy="check the path")
    if asked.normal is not None and not is_images(asked.normal):
        problem = f"{asked.normal} holds no images, and {asked.data} does"
        raise ConfigError(problem, where="--train", remedy="give a folder of normal images, or an .npz file")
    if maps is None and asked.explain:
        maps = destination.with_suffix(".maps")
    if maps is not None:
        _check_maps(asked, maps, destination)
    options = parse_settings(asked.settings)

    from gantools.workflow.score_images import Options, score_images

    scorer: Any = None
    if asked.source is not None:
        _check_kind(asked.source, "table-scorer", "tables, and DATA holds images")
        from gantools.score.image_scorer import ImageScorer

        scorer = ImageScorer.load(asked.source, device=asked.device)
    elif asked.onnx is not None:
        scorer = _exported(asked.onnx, "image-scorer", asked.device)
    with TrainingProgress() as progress:
        result = score_images(
            asked.data,
            destination,
            train=asked.normal,
            scorer=scorer,
            training=Options(
                model=asked.model or "restorer",
                options=options,
                size=size,
                fit=fit,  # type: ignore[arg-type]  # one of click's choices
                features=features,  # type: ignore[arg-type]
                steps=asked.steps,
                budget_s=asked.budget,
                contamination=asked.contamination,
                tail=asked.tail,
            ),
            false_alarms=asked.false_alarms,
            by_folder=asked.labels is not None,
            explain=asked.explain,
            maps=maps,
            maps_of=maps_of,  # type: ignore[arg-type]
            seed=asked.seed,
            device=asked.device,
            progress=progress,
            on_images=progress.images,
        )
    if asked.save is not None:
        _learner(result).save(asked.save)
    if asked.report is not None:
        from gantools.report.page import write_html
        from gantools.report.scored_images import scored_images

        page = scored_images(
            f"{asked.data.resolve().name}, scored",
            result.words(),
            result.tally,
            result.top,
            result.pictures,
            threshold=result.threshold.value,
            training=None if asked.saved is not None else _learner(result).report_,
        )
        write_html(page, asked.report)

    if asked.as_json:
        print_json(_images_payload(asked, result, destination, maps))
    else:
        _show_images(asked, result, destination, maps)


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _check_maps(asked: _Asked, maps: Path, destination: Path) -> None:
    """Refuse a folder where maps cannot or must not be written."""
    from gantools.report.overlay import is_map_folder

    for other in (asked.data, asked.normal, asked.save):
        if other is not None:
            check_apart(maps, other, option="--maps")
    for path, option in ((destination, "--output"), (asked.report, "--report")):
        if path is not None:
            check_apart(path, maps, option=option)
    if maps.exists() and not maps.is_dir():
        raise ConfigError(f"{maps} is a file", where="--maps", remedy="give the name of a folder")
    if maps.is_dir() and any(maps.iterdir()):
        if not asked.force:
            raise ConfigError(
                f"{maps} is not empty", where="--maps", remedy="give another name, or --force to replace it"
            )
        if not is_map_folder(maps):
            raise ConfigError(f"{maps} holds something else than maps", where="--maps", remedy="give another name")
    check_output_place(maps, option="--maps")


def _images_payload(asked: _Asked, result: ImageScoreResult, destination: Path, maps: Path | None) -> dict[str, Any]:
    return {
        "output": destination,
        "n_images": result.n_scored,
        **_shared_payload(asked, result),
        "pixel_threshold": result.scorer.pixel_threshold_,
        "unread": [{"file": name, "why": why} for name, why in result.unread],
        "most_abnormal": _top_images(result),
        "notes": [*result.data_notes, *result.notes],
        "maps": maps,
        "n_maps": result.n_maps,
    }


def _top_images(result: ImageScoreResult) -> list[dict[str, Any]]:
    return [{"file": file, **told} for file, told in zip(result.top["file"].tolist(), _told(result), strict=True)]


def _show_images(asked: _Asked, result: ImageScoreResult, destination: Path, maps: Path | None) -> None:
    _show_top("file", "images", _top_images(result))
    for note in result.data_notes:
        click.echo(f"Note: {note}")
    _show_words(asked, result)
    _show_places(asked, destination)
    if maps is not None:
        click.echo(f"Maps of {result.n_maps:,} image{'' if result.n_maps == 1 else 's'}: {maps}")


# Both ---------------------------------------------------------------------------------------------------------------


def _check_kind(folder: Path, wrong: str, why: str) -> None:
    """Refuse a scorer of the other kind of data. Raises CheckpointError."""
    if checkpoint_kind(folder) == wrong:
        raise CheckpointError(f"holds a scorer of {why}", where=str(folder), remedy="give another with --from")


def _exported(file: Path, kind: str, device: str) -> Any:
    """The scorer in an exported file. Raises ExportError for one of another kind."""
    from gantools.export.runtime import load_exported

    model = load_exported(file, device)
    if model.kind != kind:
        article = "an" if model.kind.startswith("i") else "a"
        problem = f"is {article} {model.kind.replace('-', ' ')}, and DATA wants a {kind.replace('-', ' ')}"
        raise ExportError(problem, where=str(file), remedy="give another file with --onnx")
    return model


def _learner(result: ScoreResult | ImageScoreResult) -> Any:
    """The scorer of a result that learned in this run."""
    return result.scorer


def _told(result: ScoreResult | ImageScoreResult) -> list[dict[str, Any]]:
    """What is said of each of the most abnormal rows or images."""
    names = ("anomaly_score", "p_value", "is_anomaly", "reason")
    columns = (result.top[name].tolist() for name in names)
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _shared_payload(asked: _Asked, result: ScoreResult | ImageScoreResult) -> dict[str, Any]:
    threshold, detection = result.threshold, result.detection
    return {
        "n_anomalous": result.tally.n_anomalous,
        "n_unscored": result.tally.n_unscored,
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
        "training": None if asked.saved is not None else training_facts(_learner(result).report_),
        "saved": asked.save,
        "report": asked.report,
        "seconds": round(time.monotonic() - asked.started, 1),
    }


def _show_top(what: str, many: str, top: Iterable[dict[str, Any]]) -> None:
    rows = [
        (told[what], f"{told['anomaly_score']:.3g}", f"{told['p_value']:.2g}", _yes(told["is_anomaly"]), told["reason"])
        for told in list(top)[:ROWS_SHOWN]
    ]
    right = (0, 1, 2) if what == "row" else (1, 2)
    print_table([what, "score", "p-value", "anomaly", "reason"], rows, title=f"The most abnormal {many}", right=right)


def _show_words(asked: _Asked, result: ScoreResult | ImageScoreResult) -> None:
    for line in result.words():
        click.echo(line)
    if asked.saved is None:
        click.echo(f"Training: {training_line(_learner(result).report_)}")
        for line in _learner(result).report_.health:
            click.echo(f"Health: {line}")


def _show_places(asked: _Asked, destination: Path) -> None:
    click.echo(f"Time: {duration(time.monotonic() - asked.started)} in all.")
    click.echo()
    click.echo(f"Scored table: {destination}")
    if asked.report is not None:
        click.echo(f"Report: {asked.report}")
    if asked.save is not None:
        click.echo(f"Scorer: {asked.save}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
