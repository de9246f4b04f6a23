"""`gantools info`: what a table or a folder of images holds, or what a saved generator or scorer was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantools.errors import ConfigError

from .common import (
    about,
    check_image_target,
    checkpoint_kind,
    debug_option,
    json_option,
    kind_option,
    parse_kinds,
    print_json,
    refuse_for_images,
    refuse_given,
)
from .show import TrainingProgress, percent, print_table, training_facts, training_line

if TYPE_CHECKING:
    from gantools.data.images.schema import ImageSchema
    from gantools.data.tables.schema import Column, Schema
    from gantools.train.monitor import TrainingReport

# How many levels of a column the table names.
LEVELS_SHOWN = 4


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", metavar="COL", help="The column with the classes.")
@kind_option
@json_option
@debug_option
@click.pass_context
def info(context: click.Context, *, data: Path, target: str | None, kinds: tuple[str, ...], as_json: bool) -> None:
    """Show what the columns of the table DATA are taken for, or what images the folder or .npz file DATA holds.

    DATA may also be the folder of a saved generator or scorer, or an exported .onnx file: then what it was trained on
    and how it is called is shown.
    """
    from gantools.data.images.source import is_images

    if data.suffix == ".onnx":
        refuse_given(context, "has no meaning for an exported model", target="--target", kinds="--kind")
        _info_exported(data, as_json)
    elif is_images(data):
        refuse_for_images(context)
        check_image_target(data, target)
        _info_images(data, as_json)
    elif data.is_dir():
        if target is not None or kinds:
            raise ConfigError(
                "describes a table, and this is a folder",
                where="--target" if target is not None else "--kind",
                remedy="leave it out",
            )
        of_kind = {
            "table-scorer": _info_scorer,
            "image-generator": _info_image_generator,
            "image-scorer": _info_image_scorer,
        }
        of_kind.get(checkpoint_kind(data), _info_generator)(data, as_json)
    else:
        _info_table(data, target, kinds, as_json)


def _info_table(data: Path, target: str | None, kinds: tuple[str, ...], as_json: bool) -> None:
    from gantools.data.tables import read_table
    from gantools.data.tables.schema import infer_schema

    kinds_given = parse_kinds(kinds)
    frame, dialect = read_table(data)
    with about(data):
        schema = infer_schema(frame, target, kinds_given)
    counts = [] if target is None else list(frame[target].value_counts().items())
    if as_json:
        classes = [{"label": label, "rows": count} for label, count in counts]
        print_json(
            {
                "data": data,
                "format": dialect.kind,
                "n_rows": schema.n_rows,
                "schema": schema.to_json(),
                "classes": classes,
                "notes": schema.notes(),
            }
        )
        return
    click.echo(f"{data}: {schema.n_rows} rows, {len(schema.columns)} columns ({dialect.kind})")
    _print_schema(schema)
    if counts:
        print_table(
            [str(target), "rows", "share"],
            [(label, count, percent(count / schema.n_rows)) for label, count in counts],
            right=(1, 2),
        )


def _info_generator(folder: Path, as_json: bool) -> None:
    from gantools.augment.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(folder, device="cpu")
    schema, report = synthesizer.schema_, synthesizer.report_
    if as_json:
        print_json(
            {
                "folder": folder,
                "model": synthesizer.model,
                "options": synthesizer.options or {},
                "target": schema.target,
                "n_rows": schema.n_rows,
                "training": training_facts(report),
                "schema": schema.to_json(),
                "notes": schema.notes(),
            }
        )
        return
    click.echo(f"{folder}: model {_named_model(synthesizer.model, synthesizer.options)}")
    click.echo(f"Trained on {schema.n_rows} rows for the target {schema.target!r}: {training_line(report)}")
    for line in report.health:
        click.echo(f"Health: {line}")
    _print_schema(schema)


def _info_scorer(folder: Path, as_json: bool) -> None:
    from gantools.score.table_scorer import AnomalyScorer

    scorer = AnomalyScorer.load(folder, device="cpu")
    schema, report, calibration = scorer.schema_, scorer.report_, scorer.calibration_
    if as_json:
        print_json(
            {
                "folder": folder,
                "model": scorer.model,
                "options": scorer.options or {},
                "n_rows": schema.n_rows,
                "n_held_out": len(calibration.scores),
                "threshold": scorer.threshold_,
                "false_alarms": scorer.false_alarms,
                "finest_false_alarms": calibration.finest,
                "contamination": scorer.contamination,
                "training": training_facts(report),
                "schema": schema.to_json(),
                "notes": schema.notes(),
            }
        )
        return
    click.echo(f"{folder}: scorer {_named_model(scorer.model, scorer.options)}")
    click.echo(f"Trained on {schema.n_rows} rows: {training_line(report)}")
    click.echo(
        f"Threshold {scorer.threshold_:.4g}, set for {percent(scorer.false_alarms)} false alarms; "
        f"{len(calibration.scores)} held-out rows can tell rates down to {calibration.finest:.2g}"
    )
    for line in report.health:
        click.echo(f"Health: {line}")
    _print_schema(schema)


def _info_exported(file: Path, as_json: bool) -> None:
    from gantools.export.runtime import load_exported

    model = load_exported(file, "cpu")
    told = {name: value for name, value in model.described.items() if name not in ("held_out", "drift", "schema")}
    if as_json:
        print_json({"file": file, **told})
        return
    click.echo(f"{file}: {model.kind.replace('-', ' ')} '{told['model']}', exported {told['exported']}")
    if "threshold" in told:
        click.echo(f"Threshold {told['threshold']:.4g}, set for {percent(told['false_alarms'])} false alarms")
    defaults = {value.name for value in model.session.get_overridable_initializers()}
    values = [
        *(("input", value) for value in model.session.get_inputs()),
        *(("may be left out", value) for value in model.session.get_overridable_initializers()),
        *(("output", value) for value in model.session.get_outputs()),
    ]
    rows = [
        (value.name, role, value.type.removeprefix("tensor(").rstrip(")"), " x ".join(map(str, value.shape)) or "one")
        for role, value in values
        if role != "input" or value.name not in defaults
    ]
    print_table(["name", "", "type", "size"], rows)
    parity = ", ".join(
        f"{name.replace('_', ' ')} {value:.2g}" for name, value in told["parity"].items() if isinstance(value, float)
    )
    click.echo(f"Compared with the library when it was exported: {parity or 'not, it draws its noise itself'}")


def _info_images(data: Path, as_json: bool) -> None:
    from gantools.data.images.source import open_images

    with TrainingProgress() as progress:
        schema = open_images(data, on_read=lambda done: progress.images("Checking the images", done, None)).schema
    if as_json:
        print_json({"data": data, "n_images": schema.n_images, **_image_facts(schema)})
        return
    formats = ", ".join(f"{n} {name}" for name, n in schema.formats.items())
    click.echo(f"{data}: {schema.n_images} images ({formats})")
    _print_image_schema(schema)


def _info_image_generator(folder: Path, as_json: bool) -> None:
    from gantools.augment.image_synthesizer import ImageSynthesizer

    synthesizer = ImageSynthesizer.load(folder, device="cpu")
    schema, report, encoder = synthesizer.schema_, synthesizer.report_, synthesizer.encoder_
    if as_json:
        print_json(
            {
                "folder": folder,
                "model": synthesizer.model,
                "options": synthesizer.options,
                "target": "folder",
                "size": encoder.layout.size,
                "fit": encoder.fit,
                "n_images": schema.n_images,
                "training": training_facts(report),
                **_image_facts(schema),
            }
        )
        return
    click.echo(f"{folder}: model {_named_model(synthesizer.model, synthesizer.options)}")
    click.echo(f"Makes images of {_size(encoder.layout.size)}")
    _print_image_training(schema, report)


def _info_image_scorer(folder: Path, as_json: bool) -> None:
    from gantools.score.image_scorer import ImageScorer

    scorer = ImageScorer.load(folder, device="cpu")
    schema, report, calibration = scorer.schema_, scorer.report_, scorer.calibration_
    if as_json:
        print_json(
            {
                "folder": folder,
                "model": scorer.model,
                "options": scorer.options or {},
                "size": scorer.encoder_.layout.size,
                "fit": scorer.encoder_.fit,
                "features": scorer.features,
                "n_images": schema.n_images,
                "n_held_out": len(calibration.scores),
                "threshold": scorer.threshold_,
                "pixel_threshold": scorer.pixel_threshold_,
                "false_alarms": scorer.false_alarms,
                "finest_false_alarms": calibration.finest,
                "contamination": scorer.contamination,
                "training": training_facts(report),
                **_image_facts(schema),
            }
        )
        return
    click.echo(f"{folder}: scorer {_named_model(scorer.model, scorer.options)}, features: {scorer.features}")
    click.echo(f"Sees images at {_size(scorer.encoder_.layout.size)}")
    click.echo(
        f"Threshold {scorer.threshold_:.4g}, set for {percent(scorer.false_alarms)} false alarms; "
        f"{len(calibration.scores)} held-out images can tell rates down to {calibration.finest:.2g}"
    )
    _print_image_training(schema, report)


def _print_image_training(schema: ImageSchema, report: TrainingReport) -> None:
    click.echo(f"Trained on {schema.n_images} images: {training_line(report)}")
    for line in report.health:
        click.echo(f"Health: {line}")
    _print_image_schema(schema)


def _print_image_schema(schema: ImageSchema) -> None:
    what = {1: "grey", 3: "colour", 4: "colour and opacity"}[schema.channels]
    width, height = (
        str(low) if low == high else f"{low} to {high} (median {median})"
        for low, median, high in (schema.width, schema.height)
    )
    click.echo(f"{what.capitalize()}, {width} pixels wide, {height} high")
    if schema.classes:
        counts = zip(schema.classes, schema.counts, strict=True)
        print_table(
            ["folder", "images", "share"],
            [(name, n, percent(n / schema.n_images)) for name, n in counts],
            right=(1, 2),
        )
    for note in schema.notes():
        click.echo(f"Note: {note}")


def _image_facts(schema: ImageSchema) -> dict[str, Any]:
    counts = zip(schema.classes, schema.counts, strict=True)
    return {
        "schema": schema.to_json(),
        "classes": [{"label": name, "images": n} for name, n in counts],
        "notes": schema.notes(),
    }


def _size(side: int) -> str:
    return f"{side} x {side} pixels"


def _named_model(model: str, options: Mapping[str, Any] | None) -> str:
    given = ", ".join(f"{key}={value}" for key, value in (options or {}).items())
    return f"{model} with {given}" if given else model


def _print_schema(schema: Schema) -> None:
    print_table(
        ["column", "kind", "type", "missing", "distinct", "values"],
        [
            (
                f"{column.name} (target)" if column.name == schema.target else column.name,
                column.kind.value,
                column.dtype,
                percent(column.missing),
                column.n_distinct,
                _values(column),
            )
            for column in schema.columns
        ],
        right=(3, 4),
    )
    for note in schema.notes():
        click.echo(f"Note: {note}")


def _values(column: Column) -> str:
    if column.levels:
        shown = ", ".join(_clipped(level) for level in column.levels[:LEVELS_SHOWN])
        more = len(column.levels) - LEVELS_SHOWN
        pooled = f" and {column.n_pooled} pooled" if column.n_pooled else ""
        return (f"{shown}, and {more} more" if more > 0 else shown) + pooled
    if column.low is None or column.high is None:
        return ""
    if column.kind.value == "datetime":
        import pandas as pd

        low, high = (pd.Timestamp(round(value), unit="us") for value in (column.low, column.high))
        return f"{low} to {high}"
    return f"{column.low:.6g} to {column.high:.6g}"


def _clipped(level: Any) -> str:
    text = str(level)
    return text if len(text) <= 30 else f"{text[:29]}…"
