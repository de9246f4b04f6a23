"""`export`: a trained model as one ONNX file, raw inputs to raw outputs.

    scorer of a table    one input per column and `threshold` -> anomaly_score, p_value, is_anomaly, contribution
    scorer of images     image, threshold -> anomaly_score, p_value, is_anomaly, heatmap
    generator of rows    noise, label -> one output per column
    generator of images  noise, label -> image

`threshold` and `explain` are inputs with a default. Unless `explain` is true, `contribution` is NaN and costs nothing:
it stands in a branch of its own. Where a column has the name of one of these, an underscore is put behind the latter.
The file is written only once `proof` has found it equal to the library.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper

import gantools
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.synthesizer import Synthesizer
from gantools.errors import ExportError
from gantools.export.columns import Port, input_ports, label_port, output_ports
from gantools.export.compose import (
    BATCH,
    OPSET,
    add_branch,
    add_levels,
    dim,
    draw_noise,
    free_names,
    name_sizes,
    rename_initializer,
    set_default,
    spell_levels,
    traced,
    traced_name,
)
from gantools.export.modules import ImageMaking, ImageScoring, TableMaking, TableScoring, example
from gantools.export.runtime import INNER, REMEMBERED
from gantools.score.explain import Explainer
from gantools.score.image_scorer import ImageScorer
from gantools.score.table_scorer import AnomalyScorer

IR = 10
ROWS_TRACED = 3
UNKNOWN = 2**31 - 1  # the code of a label that there is none of: looking it up fails

Model = AnomalyScorer | ImageScorer | Synthesizer | ImageSynthesizer


@dataclass(frozen=True)
class Graph:
    """An exported model in memory.

    proto: the ONNX model. kind: as checkpoints name it. inputs, outputs: the columns; a generator's inputs are its
    label. names: what the inputs and outputs are called that are no columns, by what they are.
    """

    proto: onnx.ModelProto
    kind: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    names: Mapping[str, str]
    described: dict[str, Any] = field(default_factory=dict)

    def serialized(self) -> bytes:
        return self.proto.SerializeToString()  # type: ignore[no-any-return]


def build(model: Model, *, noise_inside: bool = False) -> Graph:
    """The graph of a trained model, not yet proven. noise_inside: a generator draws its noise itself.

    Raises ExportError for a model that cannot be exported.
    """
    if isinstance(model, AnomalyScorer):
        graph = _table_scorer(model)
    elif isinstance(model, ImageScorer):
        graph = _image_scorer(model)
    elif isinstance(model, Synthesizer):
        graph = _table_generator(model)
    else:
        graph = _image_generator(model)
    if noise_inside:
        if "noise" not in graph.names:
            raise ExportError("only a generator has noise", where="noise_inside", remedy="leave it out")
        width = graph.described["noise_width"]
        draw_noise(graph.proto, graph.names["noise"], width, graph.inputs[0].name)
    return graph


# --- the four kinds ---


def _table_scorer(scorer: AnomalyScorer) -> Graph:
    schema, head = scorer.schema_, scorer.head_
    encoder = head.views.encoder
    ports = input_ports(schema, {name: encoder.values(j) for j, name in enumerate(schema.numeric)})
    names = free_names(
        ("threshold", "explain", "anomaly_score", "p_value", "is_anomaly", "contribution", "suspects", "alike"), ports
    )
    given = [example(port, ROWS_TRACED) for port in ports]
    module = TableScoring(head, scorer.calibration_, ports).eval()
    inner = [f"{INNER}raw/{k}" for k in range(4)]
    outputs = [names[name] for name in ("anomaly_score", "p_value", "is_anomaly")]
    inputs = [names["threshold"], *(traced_name(port) for port in ports)]
    proto = traced(module, (torch.zeros(1, dtype=torch.float64), *given), inputs, [*outputs, *inner], fixed=1)
    add_levels(proto, ports)
    set_default(proto, names["threshold"], np.array([scorer.threshold_]))
    explainer = Explainer(head, scorer.remembered_).eval()
    with torch.no_grad():
        score, _, _, *start = module(torch.zeros(1, dtype=torch.float64), *given)
    asked = [names[name] for name in ("contribution", "suspects", "alike")]
    reasons = traced(explainer, (*start, score), [*inner, outputs[0]], asked, prefix=f"{INNER}explain/")
    add_branch(proto, reasons, names["explain"], outputs[0], explainer.n_columns)
    for name, array in zip(REMEMBERED, (scorer.remembered_.numbers, scorer.remembered_.codes), strict=True):
        rename_initializer(proto, array, name)
    tail = scorer.calibration_.to_tensors()["tail"].tolist()
    del proto.graph.output[3:7]
    name_sizes(proto, {names["threshold"]: (1,)})
    return Graph(proto, "table-scorer", tuple(ports), (), names, {
        "threshold": scorer.threshold_, "false_alarms": scorer.false_alarms, "contamination": scorer.contamination,
        "schema": schema.to_json(), "tail": tail,
        "held_out": scorer.calibration_.scores.tolist(), "drift": scorer.drift_.to_json(),
        "contribution_columns": [port.name for port in ports],
        **_origin(scorer.model, scorer.described()),
    })  # fmt: skip


def _image_scorer(scorer: ImageScorer) -> Graph:
    names = {n: n for n in ("image", "threshold", "anomaly_score", "p_value", "is_anomaly", "heatmap")}
    layout = scorer.encoder_.layout
    module = ImageScoring(scorer.head_, scorer.encoder_, scorer.calibration_, scorer.pixel_threshold_).eval()
    image = torch.zeros(ROWS_TRACED, layout.size + 5, layout.size + 9, layout.channels, dtype=torch.uint8)
    sizes = {0: dim(BATCH), 1: dim("height", 1 << 14), 2: dim("width", 1 << 14)}
    proto = traced(
        module, (torch.zeros(1, dtype=torch.float64), image), ["threshold", "image"],
        ["anomaly_score", "p_value", "is_anomaly", "heatmap"], fixed=1, shapes=[sizes],
    )  # fmt: skip
    set_default(proto, "threshold", np.array([scorer.threshold_]))
    name_sizes(
        proto,
        {
            "threshold": (1,), "image": (BATCH, "height", "width", layout.channels),
            "heatmap": (BATCH, "height", "width"),
        },
    )  # fmt: skip
    return Graph(proto, "image-scorer", (), (), names, {
        "tail": scorer.calibration_.to_tensors()["tail"].tolist(), "held_out": scorer.calibration_.scores.tolist(),
        "threshold": scorer.threshold_, "pixel_threshold": scorer.pixel_threshold_,
        "false_alarms": scorer.false_alarms, "contamination": scorer.contamination,
        "schema": scorer.schema_.to_json(), "encoder": scorer.encoder_.to_json(), "features": scorer.features,
        **_origin(scorer.model, scorer.described()),
    })  # fmt: skip


def _table_generator(maker: Synthesizer) -> Graph:
    schema = maker.schema_
    ports = output_ports(schema)
    label = label_port(schema[str(schema.target)])
    names = free_names(("noise", "label"), ports)
    rows = maker.row_generator()
    module = TableMaking(rows, schema, ports, label).eval()
    made = [*(port for port in ports if port.name != schema.target), *(p for p in ports if p.name == schema.target)]
    given = torch.zeros(ROWS_TRACED, rows.noise_width), example(label, ROWS_TRACED)
    label = Port(names["label"], label.type, label.levels, label.unseen, label.has_missing)
    proto = traced(module, given, [names["noise"], traced_name(label)], [traced_name(port) for port in made])
    counts = maker.class_counts_
    add_levels(proto, [label], unknown=UNKNOWN, left_out=[code for code, n in enumerate(counts) if not n])
    spell_levels(proto, ports)
    name_sizes(proto, {names["noise"]: (BATCH, rows.noise_width)})
    return Graph(proto, "table-generator", (label,), tuple(ports), names, {
        "schema": schema.to_json(), "class_counts": list(counts), "noise_width": rows.noise_width,
        **_origin(maker.model, maker.described()),
    })  # fmt: skip


def _image_generator(maker: ImageSynthesizer) -> Graph:
    names = {name: name for name in ("noise", "label", "image")}
    label = Port("label", "string", maker.schema_.classes, has_missing=False)
    gan, layout = maker.gan_, maker.encoder_.layout
    module = ImageMaking(gan, maker.encoder_, label).eval()
    given = torch.zeros(ROWS_TRACED, gan.noise_width), example(label, ROWS_TRACED)
    proto = traced(module, given, ["noise", traced_name(label)], ["image"])
    counts = maker.class_counts_
    add_levels(proto, [label], unknown=UNKNOWN, left_out=[code for code, n in enumerate(counts) if not n])
    name_sizes(proto, {"noise": (BATCH, gan.noise_width), "image": (BATCH, layout.size, layout.size, layout.channels)})
    return Graph(proto, "image-generator", (label,), (), names, {
        "schema": maker.schema_.to_json(), "class_counts": list(counts), "noise_width": gan.noise_width,
        "encoder": maker.encoder_.to_json(), **_origin(maker.model, maker.described()),
    })  # fmt: skip


def _origin(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": model, "data": config["data"], "trained_with": config["versions"]}


# --- describing ---


def described(graph: Graph, parity: Mapping[str, Any], precision: str) -> None:
    """Write what the graph is into its metadata, each entry under `gantools.`: text, or JSON."""
    proto = graph.proto
    proto.producer_name, proto.producer_version = "gantools", gantools.__version__
    proto.ir_version = IR
    proto.graph.name = graph.kind
    entries = {
        "kind": graph.kind,
        "version": gantools.__version__,
        "inputs": [port.to_json() for port in graph.inputs],
        "outputs": [port.to_json() for port in graph.outputs],
        "names": dict(graph.names),
        "precision": precision,
        "parity": dict(parity),
        "opset": OPSET,
        "ir": IR,
        "exported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "exported_with": {"onnx": onnx.__version__, "torch": torch.__version__},
        **graph.described,
    }
    del proto.metadata_props[:]
    helper.set_model_props(
        proto,
        {f"gantools.{k}": v if isinstance(v, str) else json.dumps(v, allow_nan=True) for k, v in entries.items()},
    )
