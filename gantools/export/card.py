"""A model card of an exported file: what it is, what it takes and gives, how far to trust it, how to call it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from gantools.export.folders import Opened, Value, opened, write
from gantools.export.runtime import REMEMBERED

N_LEVELS = 8  # named of a column
TYPES = {"float": "float32", "double": "float64", "string": "text"}  # others are called as onnxruntime calls them
SIZES = {"batch": "N", "height": "H", "width": "W"}
CHANNELS = {1: "grey", 3: "colour (red, green, blue)", 4: "colour and opacity"}
PRECISION = {"fp32": "float32", "fp16": "float16", "int8": "8-bit integers"}
PURPOSE = {
    "table-scorer": "Tells how abnormal rows of a table are. It has learned from rows that were taken for normal.",
    "image-scorer": "Tells how abnormal images are, and where. It has learned from images that were taken for normal.",
    "table-generator": "Makes rows of a table, of the class that is asked for.",
    "image-generator": "Makes images, of the class that is asked for.",
}
GIVEN_AT_ONCE = {
    "table": "N rows are given at once. A missing cell is written as the column *missing* says.",
    "image": "N images are given at once.",
}
GIVEN = {
    "threshold": "a score above it is an anomaly; default {threshold}",
    "explain": "true to get contributions, which take longer; default false",
    "noise": "independent draws from a standard normal distribution",
    "image": "bytes, {channels}, of any one size",
}
FOUND = {
    "anomaly_score": "how abnormal it is; higher is more so",
    "p_value": "share of normal ones that score as high: small is abnormal",
    "is_anomaly": "whether the score is above the threshold",
    "contribution": "what each column adds to the score, in the order of the inputs; NaN unless `explain` is true",
    "suspects": "places of the columns that add most; empty unless `explain` is true",
    "alike": "remembered rows that are alike but for a suspect, by their place in the file",
    "heatmap": "how abnormal each pixel is; above 1 is rare in normal images",
    "image": "bytes, {channels}",
}
MEASURED = {
    "rows": "rows that were compared",
    "images": "images that were compared",
    "batches": "sizes of batches",
    "sizes": "sizes of images, height and width",
    "score_relative": "largest difference of a score, relative to it",
    "p_value_ranks": "largest difference of a p-value, in ranks",
    "verdicts_otherwise": "verdicts that differ",
    "blamed_otherwise": "share of rows in which another column is blamed most",
    "heat_relative": "largest difference in a heat map, relative to its largest value",
    "cells_otherwise": "share of cells that differ",
    "number_relative": "largest difference of a number, relative to its column's range",
    "bytes_otherwise": "share of bytes that differ",
    "largest_byte": "largest difference of a byte",
}


def write_card(file: Path | str, path: Path | str) -> Path:
    """Write the model card of an exported file as Markdown, and return its path.

    Raises ExportError for a file that is no export, and where the card cannot be written.
    """
    file, path = Path(file), Path(path)
    write(path, card(opened(file), file).encode())
    return path


def card(model: Opened, file: Path) -> str:
    """The text of the card. file: the exported file that `model` is the reading of."""
    described = model.described
    kind = described["kind"]
    parts = [
        [f"# {file.stem}", "", PURPOSE[kind]],
        _table(("", ""), _about(model, file)),
        ["## Data", "", *_listed(_data(described))],
        ["## Inputs", "", GIVEN_AT_ONCE["table" if kind.startswith("table") else "image"], "", *_inputs(model)],
        ["## Outputs", "", *_outputs(model)],
        ["## Threshold", "", *_threshold(described)] if "threshold" in described else [],
        ["## Compared with the library", "", *_parity(described["parity"])],
        ["## Limits", "", *_listed(_limits(model, file))],
        ["## How to call it", "", "```python", *_snippet(model, file.name), "```"],
        ["## Versions", "", *_listed(_versions(described))],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


# --- what it is ---


def _about(model: Opened, file: Path) -> list[tuple[str, str]]:
    described = model.described
    data = file.read_bytes()
    return [
        ("Kind", described["kind"]),
        ("Model", f"`{described['model']}`"),
        ("Precision of the nets", PRECISION.get(described["precision"], described["precision"])),
        ("File", f"`{file.name}`, {len(data) / 1e6:.2f} MB"),
        ("SHA-256", f"`{hashlib.sha256(data).hexdigest()}`"),
        ("Exported", str(described["exported"])),
    ]


def _data(described: Mapping[str, Any]) -> Iterable[str]:
    schema = described["schema"]
    if "columns" in schema:
        yield f"{schema['n_rows']:,} rows, {len(schema['columns'])} columns"
        if unused := [column["name"] for column in schema["columns"] if column["kind"] in ("constant", "identifier")]:
            yield "columns that were not learned from, always the same or identifiers: " + ", ".join(
                _code(name) for name in unused
            )
    else:
        width, height = (_range(schema[side][0], schema[side][2]) for side in ("width", "height"))
        yield f"{schema['n_images']:,} images, {width} pixels wide, {height} high"
        yield f"brought to {described['encoder']['size']} pixels a side ({described['encoder']['fit']})"
    if "class_counts" in described:
        levels = described["inputs"][0]["levels"]
        counts = zip(levels, described["class_counts"], strict=True)
        yield "classes: " + ", ".join(f"{_code(level)} {count:,}" for level, count in counts)
    if described.get("contamination"):
        yield f"the oddest {described['contamination']:.2%} were set aside before learning"
    yield f"digest: `{described['data']}`" if described["data"] else "digest: not recorded"


def _versions(described: Mapping[str, Any]) -> Iterable[str]:
    yield f"gantools {described['version']}"
    for what, versions in (("trained", described["trained_with"]), ("exported", described["exported_with"])):
        yield f"{what} with " + ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"ONNX opset {described['opset']}, IR version {described['ir']}; onnxruntime 1.20 or later runs it"


# --- inputs and outputs ---


def _inputs(model: Opened) -> list[str]:
    described = model.described
    ports = {port["name"]: port for port in described["inputs"]}
    rows = []
    for value in (*model.inputs, *model.defaults):
        if value.name in ports:
            rows.append((_code(value.name), _type(value), _missing(ports[value.name], described), _values(
                ports[value.name], described
            )))  # fmt: skip
        else:
            rows.append((_code(value.name), _type(value), "", _said(GIVEN, value, described)))
    return _table(("name", "type", "missing", "values"), rows)


def _outputs(model: Opened) -> list[str]:
    described = model.described
    ports = {port["name"]: port for port in described["outputs"]}
    rows = []
    for value in model.outputs:
        if value.name in ports:
            port = ports[value.name]
            rows.append((_code(value.name), _type(value), _missing(port, described), _values(port, described)))
        else:
            rows.append((_code(value.name), _type(value), "", _said(FOUND, value, described)))
    return _table(("name", "type", "missing", "what it is"), rows)


def _type(value: Value) -> str:
    of = value.type.removeprefix("tensor(").removesuffix(")")
    sizes = ", ".join(SIZES.get(str(size), str(size)) for size in value.shape)
    return f"{TYPES.get(of, of)} [{sizes}]" if sizes else f"{TYPES.get(of, of)}, one value"


def _missing(port: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    if port in described["inputs"] and "class_counts" in described:
        return "not allowed"
    if not port["has_missing"]:
        return "cannot be told"
    return _code(json.dumps(port["missing"])) if port["type"] == "string" else _code(port["missing"])


def _values(port: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    """The levels of a column, or its unit and range."""
    column = _column(port, described)
    levels = port["levels"]
    if levels is None:
        known = column.get("low") is not None
        if port["unit"]:
            moments = known and "since" in port["unit"]
            return f"{port['unit']}; {_moments(column)} in training" if moments else str(port["unit"])
        return f"{_range(column['low'], column['high'])} in training" if known else ""
    if "class_counts" in described and port in described["inputs"]:
        levels = [level for level, n in zip(levels, described["class_counts"], strict=True) if n]
        return _levels(levels) + "; any other stops the run"
    others = ""
    if "class_counts" not in described:
        others = "; any other counts as one of the rare ones" if column.get("n_pooled") else "; any other is unknown"
    return _levels(levels) + others


def _range(low: float, high: float) -> str:
    return f"{low:.15g}" if low == high else f"{low:.15g} to {high:.15g}"


def _moments(column: Mapping[str, Any]) -> str:
    """The range of dates, to the second."""
    first, last = (np.datetime64(int(column[end]), "us").astype("datetime64[s]") for end in ("low", "high"))
    return f"{first} to {last}"


def _levels(levels: Sequence[Any]) -> str:
    named = ", ".join(_code(level) for level in levels[:N_LEVELS])
    more = len(levels) - N_LEVELS
    return f"{named} and {more} more" if more > 0 else named


def _said(words: Mapping[str, str], value: Value, described: Mapping[str, Any]) -> str:
    what = next((what for what, name in described["names"].items() if name == value.name), value.name)
    channels = described.get("encoder", {}).get("channels")
    return words.get(what, "").format(
        threshold=f"{described.get('threshold', 0.0):.6g}", channels=CHANNELS.get(channels, "")
    )


def _column(port: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    columns = {column["name"]: column for column in described["schema"].get("columns", [])}
    found: Mapping[str, Any] = columns.get(port["name"], {})
    return found


# --- how far to trust it ---


def _threshold(described: Mapping[str, Any]) -> list[str]:
    n = len(described["held_out"])
    said = (
        f"A score above {described['threshold']:.6g} is an anomaly. It is set so that {described['false_alarms']:.2%}"
    )
    said += f" of normal ones are false alarms, as counted on {n:,} that the nets had not learned from."
    if not described["tail"] and 1 / (n + 1) > described["false_alarms"]:
        said += " These are too few to tell that rate: what is odder than all of them is an anomaly."
    if described["tail"]:
        said += " Beyond these the distribution of scores is extrapolated."
    else:
        said += f" No p-value is below {1 / (n + 1):.2g}."
    return [said]


def _parity(parity: Mapping[str, Any]) -> list[str]:
    if parity.get("noise") == "inside":
        return ["The file draws its noise itself, so that it was run but not compared."]
    rows = [
        (MEASURED.get(name, name), f"{value:.2g}" if isinstance(value, float) else _plain(value))
        for name, value in parity.items()
    ]
    return [
        "Before the file was written it was run beside the library on the same inputs.",
        "",
        *_table(("", ""), rows),
    ]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(" × ".join(map(str, each)) if isinstance(each, list) else str(each) for each in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _limits(model: Opened, file: Path) -> Iterable[str]:
    described = model.described
    kind = described["kind"]
    if kind == "table-scorer":
        yield (
            f"**{_n_remembered(file):,} rows of the training table are part of the file**, as they were; whoever has "
            "the file can read them. Guard it as you guard the table."
        )
    if kind == "image-scorer":
        yield (
            "What nets and filters see in patches of training images is part of the file. Nobody has tried whether the "
            "images can be told from it."
        )
    if kind.endswith("scorer"):
        yield "Do not score what it has learned from: it is remembered, and scores too low. Judge new ones."
        yield "The threshold holds for data like those it has learned from. Where these change, so do false alarms."
    else:
        yield "Nothing here has measured whether what it makes repeats what it has learned from."
    if kind.startswith("table"):
        yield "The levels and ranges of columns are in the file's metadata."
    if kind == "table-scorer":
        yield "A level that was never seen in training is told from all others; which one it is makes no difference."
    if kind == "table-generator" and any(c["kind"] == "identifier" for c in described["schema"]["columns"]):
        yield "Identifiers are not made."
    yield "Results may differ in the last digits between machines and sizes of batches: nets compute in floating point."


def _n_remembered(file: Path) -> int:
    tensors = onnx.load(file).graph.initializer
    return next((int(tensor.dims[0]) for tensor in tensors if tensor.name in REMEMBERED), 0)


# --- how to call it ---


def _snippet(model: Opened, name: str) -> list[str]:
    described = model.described
    ports = {port["name"]: port for port in described["inputs"]}
    lines = []
    for value in model.inputs:
        port = ports.get(value.name)
        lines.append(f"    {_text(value.name)}: {_noise(value) if port is None else _example(port, described)},")
    said = described["names"]
    wanted = [said.get(what, what) for what in ("anomaly_score", "p_value", "is_anomaly")]
    if described["kind"] == "image-scorer":
        wanted.append(said["heatmap"])
    if described["kind"].endswith("scorer"):
        names = f"names = [{', '.join(_text(name) for name in wanted)}]"
    else:
        names = "names = [output.name for output in session.get_outputs()]"
    return [
        "import numpy as np",
        "import onnxruntime",
        "",
        "onnxruntime.set_default_logger_severity(3)  # it warns of inputs with a default, which are meant",
        f'session = onnxruntime.InferenceSession({_text(name)}, providers=["CPUExecutionProvider"])',
        "given = {",
        *lines,
        "}",
        names,
        "print(dict(zip(names, session.run(names, given))))",
    ]


def _noise(value: Value) -> str:
    """An example of an input that is no column: noise, or an image."""
    sizes = ", ".join(str(size) if isinstance(size, int) else "1" if size == "batch" else "64" for size in value.shape)
    if value.type == "tensor(uint8)":
        return f"np.zeros(({sizes}), dtype=np.uint8)"
    return f"np.random.default_rng().standard_normal(({sizes}), dtype=np.float32)"


def _example(port: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    """A column of one cell that might have been in the training table."""
    if port["levels"]:
        possible = port["levels"]
        if "class_counts" in described:
            possible = [level for level, n in zip(possible, described["class_counts"], strict=True) if n]
        cell = possible[0]
    elif port["type"] == "string":
        return 'np.array([""], dtype=object)'
    else:
        column = _column(port, described)
        middle = ((column.get("low") or 0.0) + (column.get("high") or 0.0)) / 2
        cell = round(middle) if port["type"] == "int64" else float(f"{middle:.6g}")
    if port["type"] == "string":
        return f"np.array([{_text(cell)}], dtype=object)"
    return f"np.array([{cell!r}], dtype=np.{port['type']})"


# --- Markdown ---


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" for line in lines]


def _listed(sentences: Iterable[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def _code(value: Any) -> str:
    """A value as it stands in a table, whatever is in it."""
    text = " ".join(str(value).split()).replace("|", "\\|") or " "
    mark = "``" if "`" in text else "`"
    return f"{mark} {text} {mark}" if mark == "``" else f"{mark}{text}{mark}"


def _text(value: Any) -> str:
    """Text as Python writes it."""
    return json.dumps(str(value), ensure_ascii=False)
