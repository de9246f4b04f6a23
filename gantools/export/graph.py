"""The graph of a trained model, and its description.

    scorer of a table      one input per column and `threshold` -> anomaly_score, p_value, is_anomaly, contribution
    classifier of a table  one input per column -> class, probability, is_flagged
    scorer of images       image, threshold -> anomaly_score, p_value, is_anomaly, heatmap
    generator of rows      noise, label -> one output per column
    generator of images    noise, label and, of models that have it, truncation -> image
    translator             image, and mask where it fills holes -> transformed

`threshold`, `explain` and `truncation` are inputs with a default, or plain ones that must be given. Unless `explain` is
true, `contribution` is NaN and costs nothing: it stands in a branch of its own. Where a column has the name of one of
these, an underscore is put behind the latter.
How a kind becomes a graph is in `kinds`.
"""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import onnx
import torch
from onnx import helper

from gantools.errors import ExportError
from gantools.export.columns import Port
from gantools.export.compose import OPSET, draw_noise, drop_defaults
from gantools.export.runtime import PREFIX, kind_class

if TYPE_CHECKING:
    from gantools.train.saved import Saved

IR = 10
SETTINGS = {"threshold", "explain", "truncation"}  # inputs that may have a default


@dataclass(frozen=True)
class Graph:
    """An exported model in memory.

    proto: the ONNX model.
    kind: as checkpoints name it.
    inputs, outputs: those that are columns; a generator's input is its label.
    names: what the inputs and outputs that are no columns are called, by what they are.
    facts: what the metadata hold besides.
    """

    proto: onnx.ModelProto
    kind: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    names: Mapping[str, str]
    facts: Mapping[str, Any]

    def serialized(self) -> bytes:
        return self.proto.SerializeToString()  # type: ignore[no-any-return]


def build(
    model: Saved,
    *,
    noise_inside: bool = False,
    plain_inputs: bool = False,
    reverse: bool = False,
    shape: tuple[int, int] | None = None,
) -> Graph:
    """The graph of a trained model, not yet proven. noise_inside: a generator draws its noise itself. plain_inputs: no
    input has a default. reverse: a translator's other direction. shape: height and width of the pictures that a
    translator takes.

    Raises ExportError for a model that cannot be exported, ConfigError for a direction that it does not know.
    """
    kind = kind_class(model.kind)
    asked: dict[str, Any] = {"reverse": reverse, "shape": shape}
    chosen = {name: value for name, value in asked.items() if value}
    for name in chosen:
        if name not in kind.choices:
            what = {"reverse": "a direction", "shape": "pictures of a shape"}[name]
            raise ExportError(f"only a translator of pictures has {what}", where=name, remedy="leave it out")
    graph = kind.build(model, **chosen)
    run = model.described()
    origin = {"model": run["model"], "data": run["data"], "trained_with": run["versions"]}
    if noise_inside:
        if "noise" not in graph.names:
            raise ExportError("only a generator has noise", where="noise_inside", remedy="leave it out")
        draw_noise(graph.proto, graph.names["noise"], graph.facts["noise_width"])
    if plain_inputs:
        if SETTINGS.isdisjoint(graph.names):
            raise ExportError("this model has no input with a default", where="plain_inputs", remedy="leave it out")
        drop_defaults(graph.proto)
    return replace(graph, facts={**graph.facts, **origin})


def describe(graph: Graph, parity: Mapping[str, Any], precision: str) -> None:
    """Write what the graph is into its metadata, each entry under `gantools.`: text, or JSON."""
    proto = graph.proto
    version = _version()
    proto.producer_name, proto.producer_version = "gantools", version
    proto.ir_version = IR
    proto.graph.name = graph.kind
    entries = {
        "kind": graph.kind,
        "version": version,
        "inputs": [port.to_json() for port in graph.inputs],
        "outputs": [port.to_json() for port in graph.outputs],
        "names": dict(graph.names),
        "precision": precision,
        "parity": dict(parity),
        "opset": OPSET,
        "ir": IR,
        "exported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "exported_with": {"onnx": onnx.__version__, "torch": torch.__version__},
        **graph.facts,
    }
    del proto.metadata_props[:]
    helper.set_model_props(
        proto, {PREFIX + k: v if isinstance(v, str) else json.dumps(v, allow_nan=True) for k, v in entries.items()}
    )


def _version() -> str:
    try:
        return importlib.metadata.version("gantools")
    except importlib.metadata.PackageNotFoundError:  # a source tree that is not installed
        return "0+unknown"
