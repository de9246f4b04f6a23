"""Graphs from torch modules, and what is put around them: text levels, defaults, a branch, noise, names of sizes."""

from __future__ import annotations

import hashlib
import inspect
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from gantools.data.tables.raw import MISSING
from gantools.encode.descriptions import UNKNOWN as UNKNOWN_WORD
from gantools.errors import ExportError
from gantools.export.columns import Port
from gantools.export.runtime import INNER

OPSET, ML_OPSET = 20, 3
BATCH = "batch"
ROWS = f"{INNER}rows"  # how many rows a run is given, a value of a graph
ROWS_TRACED = 3
RESHAPING = {"Cast", "Expand", "Identity", "Reshape", "Squeeze", "Unsqueeze"}  # operators that keep every number
UNKNOWN = 2**31 - 1  # the code of an unknown label: looking it up fails


def free_names(wanted: Sequence[str], ports: Sequence[Port]) -> dict[str, str]:
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


def dim(name: str, most: int = 1 << 24) -> Any:
    return torch.export.Dim(name, min=1, max=most)


def traced(
    module: nn.Module,
    given: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    fixed: int = 0,
    shapes: Sequence[Mapping[int, Any]] | None = None,
    prefix: str = INNER,
) -> onnx.ModelProto:
    """The module as a graph, whose batch, the first dimension, may have any size.

    fixed: so many of the first inputs have a size that stays (none that the module takes with a `*`). shapes: the sizes
    that may change of the others. prefix: of the names of all values but inputs and outputs.
    """
    batch = dim(BATCH)
    dynamic = [None] * fixed + [{0: batch} if shapes is None else shapes[k] for k in range(len(given) - fixed)]
    takes_any_number = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(module.forward).parameters.values())
    asked: Any = (*dynamic[:fixed], tuple(dynamic[fixed:])) if takes_any_number else tuple(dynamic)
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
    """Without the remarks of torch.onnx, which tell a user nothing."""
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


def traced_name(port: Port) -> str:
    """What stands for a column in the traced graph: of text, its codes."""
    return f"{INNER}code/{port.name}" if port.type == "string" else port.name


def joined(front: onnx.ModelProto, rest: onnx.ModelProto) -> onnx.ModelProto:
    """`rest` behind `front`, whose outputs are inputs of it. The other inputs of `rest` stand first."""
    graph = rest.graph
    given = {value.name for value in front.graph.output}
    inputs = [*(value for value in graph.input if value.name not in given), *front.graph.input]
    del graph.input[:]
    graph.input.extend(inputs)
    graph.initializer.extend(front.graph.initializer)
    _put_in_front(graph, front.graph.node)
    return rest


def count_rows(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    """Let the graph count its rows, ROWS, and fail where these inputs are not of one length.

    What uses them would not always fail: rows are spread over columns, and an empty column is passed over.
    """
    rows = f"{INNER}lengths"
    lengths = {name: f"{rows}/{k}" for k, name in enumerate(names)}
    _hold(proto, one=[1], none=[0])
    _put_in_front(proto.graph, [
        *(helper.make_node("Shape", [name], [length], start=0, end=1) for name, length in lengths.items()),
        helper.make_node("Concat", list(lengths.values()), [rows], axis=0),
        helper.make_node("ReduceMin", [rows], [f"{rows}/least"], keepdims=1),
        helper.make_node("ReduceMax", [rows], [f"{rows}/most"], keepdims=1),
        helper.make_node("Sub", [f"{rows}/most", f"{rows}/least"], [f"{rows}/apart"]),
        helper.make_node("Add", [f"{rows}/apart", f"{INNER}one"], [f"{rows}/size"]),
        # a runtime names the node that fails: nothing has another size than one
        helper.make_node(
            "Reshape", [f"{INNER}none", f"{rows}/size"], [f"{rows}/zero"], name=f"{INNER}inputs of different lengths"
        ),
        helper.make_node("Add", [f"{rows}/least", f"{rows}/zero"], [ROWS]),
    ])  # fmt: skip


def _hold(proto: onnx.ModelProto, **numbers: list[int]) -> None:
    """Whole numbers as constants of the graph."""
    held = {tensor.name for tensor in proto.graph.initializer}
    for name, value in numbers.items():
        if INNER + name not in held:
            proto.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), INNER + name))


def pad_to_one(proto: onnx.ModelProto, names: Sequence[str]) -> dict[str, str]:
    """Let the graph run on a row of zeros where it is given none: older runtimes are killed by a choice among nothing.

    names: of inputs, which have other sizes than rows, too. Returns what they are called behind this. `cut` takes the
    row away again, and `count_rows` comes after both.
    """
    padded = {name: f"{INNER}padded/{name.removeprefix(INNER)}" for name in names}
    given = {value.name: value for value in proto.graph.input}
    for node in proto.graph.node:
        _rename_uses(node, padded)
    _hold(proto, one=[1], none=[0])
    lacking = f"{INNER}lacking_rows"
    nodes = [
        helper.make_node("Sub", [f"{INNER}one", ROWS], [f"{lacking}/difference"]),
        helper.make_node("Max", [f"{lacking}/difference", f"{INNER}none"], [lacking]),
    ]
    for name, new in padded.items():
        n_sizes = len(given[name].type.tensor_type.shape.dim)
        sizes = [f"{INNER}none"] * n_sizes + [lacking] + [f"{INNER}none"] * (n_sizes - 1)
        nodes.append(helper.make_node("Concat", sizes, [f"{new}/by"], axis=0))
        nodes.append(helper.make_node("Pad", [name, f"{new}/by"], [new]))
    _put_in_front(proto.graph, nodes)
    return padded


def take_rows(proto: onnx.ModelProto, name: str) -> None:
    """Let the graph take ROWS rows of its input `name`. `count_rows` comes after this."""
    taken = f"{INNER}taken/{name}"
    for node in proto.graph.node:
        _rename_uses(node, {name: taken})
    _hold(proto, none=[0])
    _put_in_front(proto.graph, [helper.make_node("Slice", [name, f"{INNER}none", ROWS, f"{INNER}none"], [taken])])


def cut(proto: onnx.ModelProto, names: Sequence[str]) -> dict[str, str]:
    """Give of these outputs no more rows than the graph was given. Returns what they are called before this."""
    whole = {name: f"{INNER}whole/{name}" for name in names}
    for node in proto.graph.node:
        _rename_uses(node, whole)
        node.output[:] = [whole.get(name, name) for name in node.output]
    for name, old in whole.items():
        proto.graph.node.append(
            helper.make_node("Slice", [old, f"{INNER}none", ROWS, f"{INNER}none"], [name])
        )  # fmt: skip
    return whole


def any_size(proto: onnx.ModelProto, inputs: Sequence[str], output: str, multiple: int, scale: int) -> None:
    """Let a graph whose pictures have sides that are multiples of a number take pictures of any size.

    inputs: [N, H, W, ...] each; their edges are repeated up to a multiple. output: [N, scale * H, scale * W, ...], of
    which what was made of the rest is cut off again.
    """
    if multiple == 1:
        return
    made = f"{INNER}filled/{output}"
    filled = {name: f"{INNER}filled/{name}" for name in inputs}
    for node in proto.graph.node:
        _rename_uses(node, {**filled, output: made})
        node.output[:] = [made if name == output else name for name in node.output]
    sides, lacking = f"{INNER}sides", f"{INNER}sides/lacking"
    _hold(proto, none=[0], multiple=[multiple], scale=[scale], axes=[1, 2], start=[0, 0])
    nodes = [
        helper.make_node("Shape", [inputs[0]], [sides], start=1, end=3),
        helper.make_node("Neg", [sides], [f"{sides}/below"]),
        helper.make_node("Mod", [f"{sides}/below", f"{INNER}multiple"], [lacking]),
        helper.make_node("Mul", [sides, f"{INNER}scale"], [f"{sides}/made"]),
    ]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in proto.graph.input}
    for name, new in filled.items():
        none = f"{INNER}none"
        rest = [none] * (ranks[name] - 3)
        by = [none] * ranks[name] + [none, lacking, *rest]
        nodes += [
            helper.make_node("Concat", by, [f"{new}/by"], axis=0),
            helper.make_node("Pad", [name, f"{new}/by"], [new], mode="edge"),
        ]
    _put_in_front(proto.graph, nodes)
    proto.graph.node.append(
        helper.make_node("Slice", [made, f"{INNER}start", f"{sides}/made", f"{INNER}axes"], [output])
    )  # fmt: skip


def _rename_uses(node: onnx.NodeProto, new: Mapping[str, str]) -> None:
    node.input[:] = [new.get(name, name) for name in node.input]
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                _rename_uses(inner, new)


def add_levels(
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
            known.append((port.missing, MISSING))
        nodes.append(
            helper.make_node(
                "LabelEncoder", [port.name], [traced_name(port)], domain="ai.onnx.ml",
                keys_strings=[text for text, _ in known], values_int64s=[code for _, code in known],
                default_int64=port.unseen if unknown is None else unknown,
            )
        )  # fmt: skip
        for value in graph.input:
            if value.name == traced_name(port):
                value.name = port.name
                value.type.tensor_type.elem_type = TensorProto.STRING
    _put_in_front(graph, nodes)
    if nodes:
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))


def add_caption(proto: onnx.ModelProto, port: Port, codes: Mapping[str, int], n_words: int) -> None:
    """Put the text of captions [N] in front of the codes of their words [N, n_words], as `Descriptions` makes them."""
    graph = proto.graph
    inside = f"{INNER}caption"
    _hold(proto, **{"caption/least": [0], "caption/most": [n_words], "caption/across": [1]})
    graph.initializer.append(numpy_helper.from_array(np.array([n_words], np.int64), f"{inside}/room"))
    zero = helper.make_tensor("value", TensorProto.INT64, [1], [0])
    _put_in_front(graph, [
        helper.make_node("StringSplit", [port.name], [f"{inside}/words", f"{inside}/counts"]),
        helper.make_node(
            "LabelEncoder", [f"{inside}/words"], [f"{inside}/codes"], domain="ai.onnx.ml",
            keys_strings=["", *codes], values_int64s=[0, *codes.values()], default_int64=UNKNOWN_WORD,
        ),
        helper.make_node("Shape", [port.name], [f"{inside}/rows"]),
        helper.make_node("Concat", [f"{inside}/rows", f"{inside}/room"], [f"{inside}/shape"], axis=0),
        helper.make_node("ConstantOfShape", [f"{inside}/shape"], [f"{inside}/behind"], value=zero),
        helper.make_node("Concat", [f"{inside}/codes", f"{inside}/behind"], [f"{inside}/long"], axis=1),
        helper.make_node(
            "Slice", [f"{inside}/long", f"{inside}/least", f"{inside}/most", f"{inside}/across"], [traced_name(port)]
        ),
    ])  # fmt: skip
    for value in graph.input:
        if value.name == traced_name(port):
            value.CopyFrom(helper.make_tensor_value_info(port.name, TensorProto.STRING, [BATCH]))
    if all(entry.domain != "ai.onnx.ml" for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))


def add_label(proto: onnx.ModelProto, label: Port, class_counts: Sequence[int]) -> None:
    """Put the text in front of the codes of a generator's label. A run fails for a label without training examples."""
    add_levels(proto, [label], unknown=UNKNOWN, left_out=[code for code, n in enumerate(class_counts) if not n])
    codes = {traced_name(label)}
    for node in proto.graph.node:
        if codes.isdisjoint(node.input):
            continue
        if node.op_type.startswith("Gather"):
            node.name = f"{INNER}unknown label in '{label.name}'"  # a runtime names the node that fails
        elif node.op_type in RESHAPING:
            codes.update(node.output)


def spell_levels(proto: onnx.ModelProto, ports: Sequence[Port]) -> None:
    """Put the levels behind the codes that the graph gives, and the outputs in the order of the ports."""
    graph = proto.graph
    given = {value.name: value for value in graph.output}
    outputs = []
    has_text = any(entry.domain == "ai.onnx.ml" for entry in proto.opset_import)
    for port in ports:
        traced = traced_name(port)
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
                    keys_int64s=list(range(len(levels))), values_strings=list(levels), default_string=port.missing,
                )
            )  # fmt: skip
            has_text, element = True, TensorProto.STRING
        outputs.append(helper.make_tensor_value_info(port.name, element, [BATCH]))
    del graph.output[:]
    graph.output.extend(outputs)
    if has_text and all(entry.domain != "ai.onnx.ml" for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))


def set_default(proto: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    """Give an input the value that it has where nobody feeds it."""
    proto.graph.initializer.append(numpy_helper.from_array(value, name))


def drop_defaults(proto: onnx.ModelProto) -> None:
    """Make plain inputs of those that have a default."""
    inputs = {value.name for value in proto.graph.input}
    rest = [tensor for tensor in proto.graph.initializer if tensor.name not in inputs]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(rest)


def add_branch(proto: onnx.ModelProto, branch: onnx.ModelProto, asked: str, rows: str, n_columns: int) -> None:
    """Add `branch`, whose inputs are values of the graph, as what happens only where the input `asked` is true.

    rows: a value [N] of the graph. What both graphs hold, weights and the memory, is held once.
    """
    graph, inner = proto.graph, branch.graph
    fed = {value.name for value in graph.input}  # a default is no constant
    held = {_content(tensor): tensor.name for tensor in graph.initializer if tensor.name not in fed}
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
    set_default(proto, asked, np.array(False))
    sizes: dict[str, tuple[Any, ...]] = dict(
        zip(outputs, ((BATCH, n_columns), (BATCH, "suspects"), (BATCH, "suspects", "alike")), strict=True)
    )
    for name, value in zip(outputs, inner.output, strict=True):
        graph.output.append(helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, sizes[name]))


def rename_initializer(proto: onnx.ModelProto, array: np.ndarray, name: str) -> None:
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


def draw_noise(proto: onnx.ModelProto, name: str, width: int) -> None:
    """Let the graph draw its input `name`, noise [N, width], anew in each run."""
    inputs = [value for value in proto.graph.input if value.name != name]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([width], np.int64), f"{INNER}noise/width"))
    _put_in_front(proto.graph, [
        helper.make_node("Shape", [inputs[0].name], [f"{INNER}noise/rows"], start=0, end=1),
        helper.make_node("Concat", [f"{INNER}noise/rows", f"{INNER}noise/width"], [f"{INNER}noise/size"], axis=0),
        helper.make_node("ConstantOfShape", [f"{INNER}noise/size"], [f"{INNER}noise/zeros"]),
        helper.make_node("RandomNormalLike", [f"{INNER}noise/zeros"], [name], dtype=TensorProto.FLOAT),
    ])  # fmt: skip


def times(factor: int, size: str) -> str:
    """The name of a size that is so many times another one."""
    return size if factor == 1 else f"{factor}*{size}"


def name_sizes(proto: onnx.ModelProto, sizes: Mapping[str, tuple[Any, ...]]) -> None:
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
