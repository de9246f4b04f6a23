"""A model card of an exported file: what it is, what it takes and gives, how far to trust it, how to call it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from gantools.data.tables.schema import Column
from gantools.export.bases import code, span
from gantools.export.columns import Port
from gantools.export.folders import write
from gantools.export.runtime import Exported, load_exported
from gantools.words import percent

LEVELS_NAMED = 8  # of a column
TYPES = {"float": "float32", "double": "float64", "string": "text"}  # others are called as onnxruntime calls them
SIZES = {"batch": "N", "height": "H", "width": "W"}
CHANNELS = {1: "grey", 3: "colour (red, green, blue)", 4: "colour and opacity"}
PRECISION = {"fp32": "float32", "fp16": "float16", "int8": "8-bit integers"}
INPUTS = {
    "threshold": "a score above it is flagged",
    "explain": "true to get contributions, which takes longer",
    "truncation": "how far images may lie from the middle of their class: 1 as they come, 0 not at all",
    "noise": "independent draws from a standard normal distribution",
    "image": "bytes, {channels}, of {size}, the same for all of a call",
    "mask": "above 0 where a hole is to be filled",
}
OUTPUTS = {
    "anomaly_score": "how abnormal it is; higher is more abnormal",
    "p_value": "share of normal data that scores at least as high; small is abnormal",
    "class": "the label that is decided on",
    "probability": "of each class, in the order of the classes above; calibrated",
    "is_flagged": "whether the class is another one than most rows have",
    "is_anomaly": "whether the score is above the threshold",
    "contribution": "what each column adds to the score, in the order of the inputs; NaN unless `explain` is true",
    "suspects": "indices of the columns that add most; empty unless `explain` is true",
    "alike": "indices of remembered rows that differ mostly in the suspect column; empty unless `explain` is true",
    "heatmap": "how abnormal each pixel is; above 1 is rare in normal images",
    "image": "bytes, {channels}",
    "transformed": "bytes, {made}",
}
DEFAULTS = (
    "Inputs with a default may be left out, and can be given, with onnxruntime for Python, C, C++, C# and Java. "
    "onnxruntime-node does not see them, so that what is given has no effect; onnxruntime-web refuses them; so does "
    "Triton in a model with batches. For these export the model again with `--plain-inputs`."
)
MEASURES = {
    "rows": "rows compared",
    "images": "images compared",
    "batches": "batch sizes",
    "sizes": "image sizes, height × width",
    "score_relative": "largest relative difference of a score",
    "score_relative_of_most": "the same, of 99 % of the scores",
    "p_value_ranks": "largest difference of a p-value, in ranks",
    "flags_differing": "flags that differ",
    "decisions_differing": "rows that are decided otherwise",
    "probability_difference": "largest difference of a probability",
    "blamed_differing": "share of rows with another column blamed most",
    "heat_relative": "largest difference in a heat map, relative to its maximum",
    "cells_differing": "share of cells that differ",
    "number_relative": "largest difference of a number, relative to its column's range",
    "bytes_differing": "share of bytes that differ by more than one",
    "largest_byte": "largest difference of a byte",
    "bytes": "bytes compared",
    "bytes_unlike": "bytes that differ",
    "bytes_beyond_rounding": "of these, bytes that are not on the border between two",
}


def write_card(file: Path | str, path: Path | str) -> Path:
    """Write the model card of an exported file as Markdown, and return its path.

    Raises ExportError for a file that is no export, and where the card cannot be written.
    """
    file, path = Path(file), Path(path)
    write(path, card(load_exported(file, "cpu", threads=1), file).encode())
    return path


def card(model: Exported, file: Path) -> str:
    """The text of the card. file: where `model` was read from."""
    described = model.described
    parts = [
        [f"# {file.stem}", "", model.purpose],
        _table(("", ""), _about(model, file)),
        ["## Data", "", *_listed(model.training_data())],
        ["## Inputs", "", model.usage, "", *_inputs(model)],
        ["## Outputs", "", *_outputs(model)],
        ["## Threshold", "", _threshold(described)] if "threshold" in described else [],
        ["## Compared with the library", "", *_parity(described["parity"])],
        ["## Limits", "", *_listed(model.limits())],
        ["## How to call it", "", "```python", *_snippet(model, file.name), "```"],
        ["## Versions", "", *_listed(_versions(described))],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _about(model: Exported, file: Path) -> list[tuple[str, str]]:
    described = model.described
    data = file.read_bytes()
    return [
        ("Kind", model.kind),
        ("Model", f"`{described['model']}`"),
        ("Precision of the nets", PRECISION.get(described["precision"], described["precision"])),
        ("File", f"`{file.name}`, {len(data) / 1e6:.2f} MB"),
        ("SHA-256", f"`{hashlib.sha256(data).hexdigest()}`"),
        ("Exported", str(described["exported"])),
    ]


def _versions(described: Mapping[str, Any]) -> Iterable[str]:
    yield f"gantools {described['version']}"
    for what, versions in (("trained", described["trained_with"]), ("exported", described["exported_with"])):
        yield f"{what} with " + ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"ONNX opset {described['opset']}, IR version {described['ir']}; runs with onnxruntime 1.20 or later"


# --- inputs and outputs ---


def _inputs(model: Exported) -> list[str]:
    ports = {port.name: port for port in model.inputs}
    rows = []
    for value in (*model.takes, *model.defaults):
        port = ports.get(value.name)
        if port is None:
            rows.append((code(value.name), _type(value), "", _said(INPUTS, value, model) + _usual(value, model)))
            continue
        missing = "not allowed" if model.refuses_unknown else _missing(port)
        rows.append((code(value.name), _type(value), missing, _values(model, port) + _others(model, port)))
    lines = _table(("name", "type", "missing", "values"), rows)
    return [*lines, "", DEFAULTS] if model.defaults else lines


def _usual(value: ort.NodeArg, model: Exported) -> str:
    """What a setting is where nobody wants another."""
    numbers = {model.names.get(what): model.described.get(what, 0.0) for what in ("threshold", "truncation")}
    usual = {**{name: f"{number:.6g}" for name, number in numbers.items()}, model.names.get("explain"): "false"}.get(
        value.name
    )
    if usual is None:
        return ""
    is_default = any(value.name == other.name for other in model.defaults)
    return f"; default {usual}" if is_default else f"; must be given, usually {usual}"


def _outputs(model: Exported) -> list[str]:
    ports = {port.name: port for port in model.outputs}
    rows = []
    for value in model.gives:
        port = ports.get(value.name)
        words = ("", _said(OUTPUTS, value, model)) if port is None else (_missing(port), _values(model, port))
        rows.append((code(value.name), _type(value), *words))
    return _table(("name", "type", "missing", "what it is"), rows)


def _type(value: ort.NodeArg) -> str:
    of = value.type.removeprefix("tensor(").removesuffix(")")
    sizes = ", ".join(_size(size) for size in value.shape)
    return f"{TYPES.get(of, of)} [{sizes}]" if sizes else f"{TYPES.get(of, of)}, one value"


def _size(size: Any) -> str:
    """4*height -> 4H."""
    factor, _, name = str(size).rpartition("*")
    return factor + SIZES.get(name, name)


def _missing(port: Port) -> str:
    if not port.has_missing:
        return "cannot be given"
    return code(json.dumps(port.missing)) if port.type == "string" else code(port.to_json()["missing"])


def _values(model: Exported, port: Port) -> str:
    """The levels of a column, or its unit and range."""
    if not port.is_number:
        levels = model.levels(port)
        if port.is_text:
            return ", ".join(["any text", *(f"such as {code(level)}" for level in levels[:1])])
        named = ", ".join(code(level) for level in levels[:LEVELS_NAMED])
        more = len(levels) - LEVELS_NAMED
        return f"{named} and {more} more" if more > 0 else named
    column = model.columns.get(port.name)
    words = [port.unit] if port.unit else []
    if column is not None and column.low is not None and column.high is not None:
        if not port.unit:
            words.append(f"{span(column.low, column.high)} in training")
        elif "since" in port.unit:
            words.append(f"{_moments(column)} in training")
    return "; ".join(words)


def _others(model: Exported, port: Port) -> str:
    """What becomes of a level that is not listed."""
    if port.is_number or port.is_text:
        return ""
    if model.refuses_unknown:
        return "; any other stops the run"
    column = model.columns.get(port.name)
    pooled = column is not None and column.n_pooled
    return "; any other counts as one of the rare ones" if pooled else "; any other counts as unknown"


def _moments(column: Column) -> str:
    """The range of dates, to the second."""
    ends = (np.datetime64(int(end or 0), "us").astype("datetime64[s]") for end in (column.low, column.high))
    return " to ".join(map(str, ends))


def _said(words: Mapping[str, str], value: ort.NodeArg, model: Exported) -> str:
    what = next((what for what, name in model.names.items() if name == value.name), value.name)
    channels = _channels(model.described, "encoder", "schema")
    made = _channels(model.described, "target_schema")
    size = "this size" if model.described.get("shape") else "any size"
    return words.get(what, "").format(channels=channels, made=made, size=size)


def _channels(described: Mapping[str, Any], *entries: str) -> str:
    """In words, those of the first of these entries that has channels."""
    found = (described[name]["channels"] for name in entries if "channels" in described.get(name, {}))
    return CHANNELS.get(next(found, 0), "")


# --- how far to trust it ---


def _threshold(described: Mapping[str, Any]) -> str:
    n = len(described["held_out"])
    rate, finest = described["false_alarms"], 1 / (n + 1)
    said = (
        f"A score above {described['threshold']:.6g} is flagged. The threshold is set for {percent(rate)} false alarms "
        f"among normal data, counted on {n:,} that were held out from training."
    )
    if described["tail"]:
        return said + " Beyond these the distribution of scores is extrapolated."
    if finest > rate:
        said += " These are too few to resolve that rate: only what is more abnormal than all of them is flagged."
    return said + f" No p-value is below {finest:.2g}."


def _parity(parity: Mapping[str, Any]) -> list[str]:
    if parity.get("noise") == "inside":
        return ["The file draws its noise itself, so it was run but not compared."]
    rows = [
        (MEASURES.get(name, name.replace("_", " ")), f"{value:.2g}" if isinstance(value, float) else _plain(value))
        for name, value in parity.items()
    ]
    return ["Before the file was written, it was run on the same inputs as the library.", "", *_table(("", ""), rows)]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(" × ".join(map(str, each)) if isinstance(each, list) else str(each) for each in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


# --- how to call it ---


def _snippet(model: Exported, name: str) -> list[str]:
    ports = {port.name: port for port in model.inputs}
    wanted = model.main_outputs()
    named = f"[{', '.join(map(_text, wanted))}]"
    return [
        "import numpy as np",
        "import onnxruntime",
        "",
        "onnxruntime.set_default_logger_severity(3)  # no warnings about inputs with a default",
        f'session = onnxruntime.InferenceSession({_text(name)}, providers=["CPUExecutionProvider"])',
        "inputs = {",
        *(f"    {_text(value.name)}: {_example(model, value, ports.get(value.name))}," for value in model.takes),
        "}",
        f"names = {named if len(wanted) < len(model.gives) else '[output.name for output in session.get_outputs()]'}",
        "print(dict(zip(names, session.run(names, inputs))))",
    ]


def _example(model: Exported, value: ort.NodeArg, port: Port | None) -> str:
    """An input of one sample that might have been in the training data."""
    if port is not None and not port.is_number:
        levels = model.levels(port)
        if port.type == "string":
            return f"np.array([{_text(levels[0] if levels else '')}], dtype=object)"
        return f"np.array([{levels[0]!r}], dtype=np.{port.type})"
    if port is not None:
        column = model.columns.get(port.name)
        middle = 0.0 if column is None else ((column.low or 0.0) + (column.high or 0.0)) / 2
        cell = round(middle) if port.type == "int64" else float(f"{middle:.6g}")
        return f"np.array([{cell!r}], dtype=np.{port.type})"
    if value.name == model.names.get("threshold"):
        return f"np.array([{model.described['threshold']!r}])"
    if value.name == model.names.get("explain"):
        return "np.array(False)"
    if value.name == model.names.get("truncation"):
        return f"np.array([{model.described['truncation']!r}], dtype=np.float32)"
    sizes = ", ".join(str(size) if isinstance(size, int) else "1" if size == "batch" else "64" for size in value.shape)
    if value.type == "tensor(uint8)":
        return f"np.zeros(({sizes}), dtype=np.uint8)"
    return f"np.random.default_rng().standard_normal(({sizes}), dtype=np.float32)"


# --- Markdown ---


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" for line in lines]


def _listed(sentences: Iterable[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def _text(value: Any) -> str:
    """Text as Python writes it."""
    return json.dumps(str(value), ensure_ascii=False)
