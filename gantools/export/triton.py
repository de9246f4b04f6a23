"""An exported file as an entry of a model repository of Triton, NVIDIA's inference server.

    <folder>/<name>/config.pbtxt
    <folder>/<name>/1/model.onnx

Triton leaves the first size, of the batch, out of each tensor; one that has no other size is written as [1] and
reshaped, so that a request gives a column as [N, 1]. Requests that wait are joined, images only with those of their own
size.

An input with a default (`threshold`, `explain`, `truncation`) has no batch, and Triton's onnxruntime backend refuses
optional inputs in a model with batches: they are left out there, and their defaults hold. So is `contribution`, which
is NaN unless `explain` is true. With `max_batch=0`, and always where these are plain inputs, requests are not joined, a
request gives a column as [N], and these are there. What `suspects` and `alike` point to is in the file alone; they are
always left out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from gantools.errors import ExportError
from gantools.export.folders import whole
from gantools.export.runtime import Exported, load_exported

MAX_BATCH = 1024
MAX_BATCH_SIZE = 2**31 - 1  # what the configuration can hold
QUEUE_DELAY_US = 1000  # that a request waits for others, at most
TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(int64)": "TYPE_INT64",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(bool)": "TYPE_BOOL",
    "tensor(string)": "TYPE_STRING",
}
OWN = ("config.pbtxt", "1/model.onnx")


def write_triton(file: Path | str, folder: Path | str, max_batch: int = MAX_BATCH, name: str | None = None) -> Path:
    """Write an entry of a model repository, whole or not at all, and return its folder.

    file: an exported model. folder: the repository. max_batch: rows or images that one run takes at most; fewer images
    where so many would need too much memory; 0 for an entry without batches. name: of the entry, the file's by default;
    an entry of that name is replaced.

    Raises ExportError for a file that is no export, for a name that is none, and where it cannot be written.
    """
    file, folder = Path(file), Path(folder)
    name = file.stem if name is None else name
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
        raise ExportError(f"{name!r} cannot be the name of a folder", where="name", remedy="use letters and digits")
    if not 0 <= max_batch <= MAX_BATCH_SIZE:
        raise ExportError(f"{max_batch} is no size of a batch", where="max_batch", remedy="give 0 or more")
    text = configuration(load_exported(file, "cpu", threads=1), name, max_batch)
    with whole(folder / name, OWN) as entry:
        (entry / "1").mkdir()
        (entry / "config.pbtxt").write_text(text, encoding="utf-8")
        shutil.copyfile(file, entry / "1" / "model.onnx")
    return folder / name


def configuration(model: Exported, name: str, max_batch: int = MAX_BATCH) -> str:
    """The text of `config.pbtxt`. max_batch: as for `write_triton`."""
    settings = {model.names.get(what) for what in ("threshold", "explain", "truncation")}
    if any(value.name in settings for value in model.takes):
        max_batch = 0  # a plain setting belongs to a request, not to a row
    max_batch = min(max_batch, model.largest_batch)
    left_out = {model.names.get(what) for what in ("suspects", "alike")}
    if max_batch:
        left_out.add(model.names.get("contribution"))
    inputs = [_value(value, max_batch) for value in model.takes]
    if not max_batch:
        inputs += [_value(value, max_batch, optional=True) for value in model.defaults]
    outputs = [_value(value, max_batch) for value in model.gives if value.name not in left_out]
    lines = [
        f"# Exported by gantools {model.described['version']}: {model.kind}.",
        f"name: {_quoted(name)}",
        'platform: "onnxruntime_onnx"',
        'backend: "onnxruntime"',
        f"max_batch_size: {max_batch}",
        *_listed("input", inputs),
        *_listed("output", outputs),
        *_listed("instance_group", [["count: 1", "kind: KIND_AUTO"]]),
    ]
    if max_batch > 1:
        sizes = ", ".join(str(size) for size in sorted({max(1, max_batch // 4), max_batch}))
        lines += [
            "dynamic_batching {",
            f"  preferred_batch_size: [ {sizes} ]",
            f"  max_queue_delay_microseconds: {QUEUE_DELAY_US}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def _value(value: ort.NodeArg, max_batch: int, optional: bool = False) -> list[str]:
    """The fields of an input or output."""
    sizes = [size if isinstance(size, int) else -1 for size in value.shape[1 if max_batch else 0 :]]
    lines = [f"name: {_quoted(value.name)}", f"data_type: {TYPES[value.type]}"]
    lines.append(f"dims: [ {', '.join(str(size) for size in sizes or [1])} ]")
    if max_batch and not sizes:
        lines.append("reshape: { shape: [ ] }")
    if optional:
        lines.append("optional: true")
    return lines


def _listed(field: str, entries: Sequence[Sequence[str]]) -> list[str]:
    found = [f"{field} ["]
    for k, lines in enumerate(entries):
        end = "  }," if k + 1 < len(entries) else "  }"
        found += ["  {", *(f"    {line}" for line in lines), end]
    return [*found, "]"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
