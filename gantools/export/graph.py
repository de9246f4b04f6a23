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

import hashlib
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import gantools
from gantools.augment.images import ImageSynthesizer
from gantools.augment.synthesizer import Synthesizer
from gantools.data.raw import MISSING
from gantools.errors import ExportError
from gantools.export.columns import Port, input_ports, label_port, output_ports
from gantools.export.modules import ImageMaking, ImageScoring, TableMaking, TableScoring, example
from gantools.export.runtime import INNER, REMEMBERED
from gantools.score.explain import Explainer
from gantools.score.images import ImageScorer
from gantools.score.scorer import AnomalyScorer

OPSET, ML_OPSET, IR = 20, 3, 10
BATCH = "batch"
ROWS_TRACED = 3
WHOLE_FILE = 2**31 - 2**20  # bytes that one protobuf message holds
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
            raise ExportError("only a generator has noise", where="--noise-inside", remedy="leave it out")
        _draw_noise(graph)
    return graph


# --- the four kinds ---


def _table_scorer(scorer: AnomalyScorer) -> Graph:
    schema, gauge = scorer.schema_, scorer.gauge_
    encoder = gauge.views.encoder
    ports = input_ports(schema, {name: encoder.values(j) for j, name in enumerate(schema.numeric)})
    names = _free_names(
        ("threshold", "explain", "anomaly_score", "p_value", "is_anomaly", "contribution", "suspects", "alike"), ports
    )
    given = [example(port, ROWS_TRACED) for port in ports]
    module = TableScoring(gauge, scorer.calibration_, ports).eval()
    inner = [f"{INNER}raw/{k}" for k in range(4)]
    outputs = [names[name] for name in ("anomaly_score", "p_value", "is_anomaly")]
    inputs = [names["threshold"], *(_traced_name(port) for port in ports)]
    proto = _traced(module, (torch.zeros(1, dtype=torch.float64), *given), inputs, [*outputs, *inner], fixed=1)
    _add_levels(proto, ports)
    _set_default(proto, names["threshold"], np.array([scorer.threshold_]))
    explainer = Explainer(gauge, scorer._remembered).eval()
    with torch.no_grad():
        score, _, _, *start = module(torch.zeros(1, dtype=torch.float64), *given)
    asked = [names[name] for name in ("contribution", "suspects", "alike")]
    reasons = _traced(explainer, (*start, score), [*inner, outputs[0]], asked, prefix=f"{INNER}explain/")
    _add_branch(proto, reasons, names["explain"], outputs[0], explainer.n_columns)
    for name, array in zip(REMEMBERED, (scorer._remembered.numbers, scorer._remembered.codes), strict=True):
        _rename_initializer(proto, array, name)
    tail = scorer.calibration_.to_tensors()["tail"].tolist()
    del proto.graph.output[3:7]
    _name_sizes(proto, {names["threshold"]: (1,)})
    return Graph(proto, "table-scorer", tuple(ports), (), names, {
        "threshold": scorer.threshold_, "false_alarms": scorer.false_alarms, "contamination": scorer.contamination,
        "schema": schema.to_json(), "tail": tail,
        "held_out": scorer.calibration_.scores.tolist(), "drift": scorer.drift_.to_json(),
        "contribution_columns": [port.name for port in ports],
        **_origin(scorer.model, scorer._described),
    })  # fmt: skip


def _image_scorer(scorer: ImageScorer) -> Graph:
    names = {n: n for n in ("image", "threshold", "anomaly_score", "p_value", "is_anomaly", "heatmap")}
    layout = scorer.encoder_.layout
    module = ImageScoring(scorer.gauge_, scorer.encoder_, scorer.calibration_, scorer.pixel_threshold_).eval()
    image = torch.zeros(ROWS_TRACED, layout.size + 5, layout.size + 9, layout.channels, dtype=torch.uint8)
    sizes = {0: _dim(BATCH), 1: _dim("height", 1 << 14), 2: _dim("width", 1 << 14)}
    proto = _traced(
        module, (torch.zeros(1, dtype=torch.float64), image), ["threshold", "image"],
        ["anomaly_score", "p_value", "is_anomaly", "heatmap"], fixed=1, shapes=[sizes],
    )  # fmt: skip
    _set_default(proto, "threshold", np.array([scorer.threshold_]))
    _name_sizes(
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
        **_origin(scorer.model, scorer._described),
    })  # fmt: skip


def _table_generator(maker: Synthesizer) -> Graph:
    schema = maker.schema_
    ports = output_ports(schema)
    label = label_port(schema[str(schema.target)])
    names = _free_names(("noise", "label"), ports)
    rows = maker.row_generator()
    module = TableMaking(rows, schema, ports, label).eval()
    made = [*(port for port in ports if port.name != schema.target), *(p for p in ports if p.name == schema.target)]
    given = torch.zeros(ROWS_TRACED, rows.noise_width), example(label, ROWS_TRACED)
    label = Port(names["label"], label.type, label.levels, label.unseen, label.has_missing)
    proto = _traced(module, given, [names["noise"], _traced_name(label)], [_traced_name(port) for port in made])
    counts = maker.gan_.spec.class_counts
    _add_levels(proto, [label], unknown=UNKNOWN, left_out=[code for code, n in enumerate(counts) if not n])
    _spell_levels(proto, ports)
    _name_sizes(proto, {names["noise"]: (BATCH, rows.noise_width)})
    return Graph(proto, "table-generator", (label,), tuple(ports), names, {
        "schema": schema.to_json(), "class_counts": list(counts), "noise_width": rows.noise_width,
        **_origin(maker.model, maker._config(maker.fingerprint_)),
    })  # fmt: skip


def _image_generator(maker: ImageSynthesizer) -> Graph:
    names = {name: name for name in ("noise", "label", "image")}
    label = Port("label", "string", maker.schema_.classes, has_missing=False)
    gan, layout = maker.gan_, maker.encoder_.layout
    module = ImageMaking(gan, maker.encoder_, label).eval()
    given = torch.zeros(ROWS_TRACED, gan.noise_width), example(label, ROWS_TRACED)
    proto = _traced(module, given, ["noise", _traced_name(label)], ["image"])
    counts = gan.spec.class_counts
    _add_levels(proto, [label], unknown=UNKNOWN, left_out=[code for code, n in enumerate(counts) if not n])
    _name_sizes(proto, {"noise": (BATCH, gan.noise_width), "image": (BATCH, layout.size, layout.size, layout.channels)})
    return Graph(proto, "image-generator", (label,), (), names, {
        "schema": maker.schema_.to_json(), "class_counts": list(counts), "noise_width": gan.noise_width,
        "encoder": maker.encoder_.to_json(), **_origin(maker.model, maker._config(maker.fingerprint_)),
    })  # fmt: skip


def _origin(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": model, "data": config["data"], "trained_with": config["versions"]}


def _free_names(wanted: Sequence[str], ports: Sequence[Port]) -> dict[str, str]:
    """What inputs and outputs are called that are no columns. Raises ExportError for a column that cannot be one."""
    for port in ports:
        if not port.name or port.name.startswith(INNER):
            problem = "has no name" if not port.name else f"begins with '{INNER}', as what is inside a graph does"
            raise ExportError(problem, where=f"column '{port.name}'", remedy="rename it and train again")
    taken = {port.name for port in ports}
    found = {}
    for name in wanted:
        free = name
        while free in taken:
            free += "_"
        found[name] = free
    return found


# --- tracing ---


def _dim(name: str, most: int = 1 << 24) -> Any:
    return torch.export.Dim(name, min=1, max=most)


def _traced(
    module: nn.Module,
    given: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    fixed: int = 0,
    shapes: Sequence[Mapping[int, Any]] | None = None,
    prefix: str = INNER,
) -> onnx.ModelProto:
    """The module as a graph, whose batch, the first dimension, may have any size. fixed: so many of the first inputs
    have a size that stays. shapes: the sizes that may change of the others. prefix: of the names of all values but
    inputs and outputs."""
    batch = _dim(BATCH)
    dynamic = [None] * fixed + [{0: batch} if shapes is None else shapes[k] for k in range(len(given) - fixed)]
    takes_list = isinstance(module, TableScoring)
    asked: Any = (dynamic[0], tuple(dynamic[1:])) if takes_list else tuple(dynamic)
    with _quietly(), torch.no_grad():
        try:
            program = torch.export.export(module, tuple(given), dynamic_shapes=asked, strict=False)
            exported = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, verbose=False,
                input_names=[f"in{k}" for k in range(len(inputs))],
                output_names=[f"out{k}" for k in range(len(outputs))],
            )  # fmt: skip
        except Exception as error:  # torch raises whatever met it
            problem = (
                f"PyTorch cannot trace it: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}"
            )
            raise ExportError(
                problem, where=type(module).__name__, remedy="report it, with the model's name"
            ) from error
    proto = cast(Any, exported).model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]  # paths and stack traces of the machine that exported
        node.doc_string, node.name = "", prefix + node.name
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    called = {f"in{k}": name for k, name in enumerate(inputs)} | {f"out{k}": name for k, name in enumerate(outputs)}
    _rename(proto.graph, lambda name: called.get(name, prefix + name))
    return cast(onnx.ModelProto, proto)


@contextmanager
def _quietly() -> Any:
    """torch.onnx talks of its own affairs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


# --- composing ---


def _traced_name(port: Port) -> str:
    """What stands for a column in the traced graph: of text, its codes."""
    return f"{INNER}code/{port.name}" if port.type == "string" else port.name


def _add_levels(
    proto: onnx.ModelProto, ports: Sequence[Port], unknown: int | None = None, left_out: Sequence[int] = ()
) -> None:
    """Put the text in front of the codes that the graph takes. unknown: the code of an unknown level, also of the
    levels left_out."""
    graph = proto.graph
    nodes = []
    for port in ports:
        if port.type != "string":
            continue
        known = [(text, code) for code, text in enumerate(port.levels or ()) if code not in left_out]
        if port.has_missing and unknown is None:
            known.append(("", MISSING))
        nodes.append(
            helper.make_node(
                "LabelEncoder", [port.name], [_traced_name(port)], domain="ai.onnx.ml",
                keys_strings=[text for text, _ in known], values_int64s=[code for _, code in known],
                default_int64=port.unseen if unknown is None else unknown,
            )
        )  # fmt: skip
        for value in graph.input:
            if value.name == _traced_name(port):
                value.name = port.name
                value.type.tensor_type.elem_type = TensorProto.STRING
    _put_in_front(graph, nodes)
    if nodes:
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))


def _spell_levels(proto: onnx.ModelProto, ports: Sequence[Port]) -> None:
    """Put the levels behind the codes that the graph gives, and the outputs in the order of the ports."""
    graph = proto.graph
    given = {value.name: value for value in graph.output}
    outputs = []
    has_text = any(entry.domain == "ai.onnx.ml" for entry in proto.opset_import)
    for port in ports:
        traced = _traced_name(port)
        if port.is_number:
            outputs.append(given[traced])
            continue
        levels = port.levels or ()
        code = f"{INNER}code/{port.name}"
        if port.type != "string":  # numbers are looked up in a tensor, the missing one last
            _rename(graph, partial(_instead, {port.name: code}))
            table = np.array([*levels, port.missing], dtype=port.type)
            graph.initializer.append(numpy_helper.from_array(table, f"{INNER}levels/{port.name}"))
            graph.node.append(helper.make_node("Gather", [f"{INNER}levels/{port.name}", code], [port.name]))
            element = helper.np_dtype_to_tensor_dtype(np.dtype(port.type))
        else:
            graph.node.append(
                helper.make_node(
                    "LabelEncoder", [code], [port.name], domain="ai.onnx.ml",
                    keys_int64s=list(range(len(levels))), values_strings=list(levels), default_string="",
                )
            )  # fmt: skip
            has_text, element = True, TensorProto.STRING
        outputs.append(helper.make_tensor_value_info(port.name, element, [BATCH]))
    del graph.output[:]
    graph.output.extend(outputs)
    if has_text and all(entry.domain != "ai.onnx.ml" for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))


def _set_default(proto: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    """Give an input the value that it has where nobody feeds it."""
    proto.graph.initializer.append(numpy_helper.from_array(value, name))


def _add_branch(proto: onnx.ModelProto, branch: onnx.ModelProto, asked: str, rows: str, n_columns: int) -> None:
    """Add `branch`, whose inputs are values of the graph, as what happens only where the input `asked` is true.

    rows: a value [N] of the graph. What both graphs hold, weights and the memory, is held once.
    """
    graph, inner = proto.graph, branch.graph
    held = {_content(tensor): tensor.name for tensor in graph.initializer}
    same: dict[str, str] = {}
    for tensor in inner.initializer:
        content = _content(tensor)
        if content in held:
            same[tensor.name] = held[content]
        else:
            held[content] = tensor.name
            graph.initializer.append(tensor)
    del inner.initializer[:]
    outputs = [value.name for value in inner.output]
    ends_of = {name: f"{INNER}explain/{name}" for name in outputs}  # inside the branch they are values like any other
    _rename(inner, lambda name: ends_of.get(name, same.get(name, name)))
    then = helper.make_graph(
        list(inner.node), "explained", [],
        [helper.make_tensor_value_info(v.name, v.type.tensor_type.elem_type, None) for v in inner.output],
    )  # fmt: skip
    nodes, ends = [], []
    for name, value, shape in zip(outputs, inner.output, ((n_columns,), (0,), (0, 0)), strict=True):
        element = value.type.tensor_type.elem_type
        empty = np.array([np.nan], np.float64) if element == TensorProto.DOUBLE else np.array([0], np.int64)
        end, size = f"{INNER}plain/{name}", f"{INNER}plain/{name}/size"
        nodes += [
            helper.make_node(
                "Constant", [], [f"{size}/rest"], value=numpy_helper.from_array(np.array(shape, dtype=np.int64))
            ),
            helper.make_node("Shape", [rows], [f"{size}/rows"]),
            helper.make_node("Concat", [f"{size}/rows", f"{size}/rest"], [size], axis=0),
            helper.make_node("ConstantOfShape", [size], [end], value=numpy_helper.from_array(empty)),
        ]
        ends.append(helper.make_tensor_value_info(end, element, None))
    otherwise = helper.make_graph(nodes, "not_explained", [], ends)
    graph.node.append(helper.make_node("If", [asked], outputs, then_branch=then, else_branch=otherwise))
    graph.input.append(helper.make_tensor_value_info(asked, TensorProto.BOOL, []))
    _set_default(proto, asked, np.array(False))
    sizes: dict[str, tuple[Any, ...]] = dict(
        zip(outputs, ((BATCH, n_columns), (BATCH, "suspects"), (BATCH, "suspects", "alike")), strict=True)
    )
    for name, value in zip(outputs, inner.output, strict=True):
        graph.output.append(helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, sizes[name]))


def _rename_initializer(proto: onnx.ModelProto, array: np.ndarray, name: str) -> None:
    """Give the initializer that holds this array a name by which it can be found in the file."""
    wanted = _content(numpy_helper.from_array(np.ascontiguousarray(array)))
    found = next((tensor.name for tensor in proto.graph.initializer if _content(tensor) == wanted), None)
    _rename(proto.graph, lambda old: name if old == found else old)


def _rename(graph: onnx.GraphProto, new: Callable[[str], str]) -> None:
    """Give every value of the graph and of its branches another name, its end points included."""
    for node in graph.node:
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                if name:  # "" is an input that is left out
                    names[k] = new(name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, new)
    for value in (*graph.initializer, *graph.input, *graph.output):
        value.name = new(value.name)


def _instead(called: Mapping[str, str], name: str) -> str:
    return called.get(name, name)


def _content(tensor: onnx.TensorProto) -> tuple[Any, ...]:
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind not in "fiub":
        return (tensor.name,)
    return (array.dtype.str, array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest())


def _put_in_front(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def _draw_noise(graph: Graph) -> None:
    """Let the graph draw its noise, anew in each run."""
    proto, name = graph.proto, graph.names["noise"]
    width = graph.described["noise_width"]
    label = graph.inputs[0].name
    inputs = [value for value in proto.graph.input if value.name != name]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([width], np.int64), f"{INNER}noise/width"))
    _put_in_front(proto.graph, [
        helper.make_node("Shape", [label], [f"{INNER}noise/rows"]),
        helper.make_node("Concat", [f"{INNER}noise/rows", f"{INNER}noise/width"], [f"{INNER}noise/size"], axis=0),
        helper.make_node("ConstantOfShape", [f"{INNER}noise/size"], [f"{INNER}noise/zeros"]),
        helper.make_node("RandomNormalLike", [f"{INNER}noise/zeros"], [name], dtype=TensorProto.FLOAT),
    ])  # fmt: skip


def _name_sizes(proto: onnx.ModelProto, sizes: Mapping[str, tuple[Any, ...]]) -> None:
    """Say of each input and output which of its sizes may change, under names that mean something."""
    for value in (*proto.graph.input, *proto.graph.output):
        if value.type.tensor_type.HasField("shape") and value.name not in sizes:
            dims = value.type.tensor_type.shape.dim
            if len(dims) == 1:
                dims[0].dim_param = BATCH
            continue
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for size in sizes.get(value.name, (BATCH,)):
            dim = shape.dim.add()
            if isinstance(size, str):
                dim.dim_param = size
            else:
                dim.dim_value = size


# --- describing and writing ---


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


def write(data: bytes, path: Path) -> None:
    """Write a file whole or not at all. Raises ExportError when it cannot be written."""
    aside = path.with_name(path.name + ".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ExportError(
            f"cannot be written: {error.strerror}", where=str(path), remedy="choose another file"
        ) from error


Progress = Callable[[str], None]
