"""A graph with nets of lower precision. What surrounds them (encoding, memories, distances, calibration) stays as it
is: there a small error decides flags, and little time is spent.

    fp16   weights and products of the nets in half precision; on a CPU that cannot, onnxruntime computes in float32
    int8   weights of the nets in 8 bits; the arithmetic stays in float32, so that a file is smaller and not faster
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gantools.errors import ExportError
from gantools.export.proof import Tolerance

NETS = ("detector.", "gan.", "translator.")  # where in a module the learned nets are
PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")

# Flags must be the same in any precision; how far the rest may be off depends on it.
LOOSE = {
    "fp16": Tolerance(score=0.02, ranks=10**9, blamed=0.2, cells=0.05, step=0.01, heat=0.05, grey=8, greys=0.5),
    "int8": Tolerance(score=0.2, ranks=10**9, blamed=0.5, cells=0.5, step=0.05, heat=0.3, grey=64, greys=1.0),
}


def reduced(proto: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The graph in "fp16" or "int8". Raises ExportError where it has no nets that can be."""
    products = [node for graph in _graphs(proto.graph) for node in graph.node if _is_product(node)]
    if not products:
        raise ExportError(f"has no layers that {precision} would change", where="precision", remedy="use fp32")
    return _halved(proto) if precision == "fp16" else _quantized(proto, products)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and those of its branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _is_product(node: onnx.NodeProto) -> bool:
    """Whether it multiplies with weights of a net."""
    return node.op_type in PRODUCTS and any(net in name for net in NETS for name in node.input[1:2])


def _halved(proto: onnx.ModelProto) -> onnx.ModelProto:
    weights = set()
    for graph in _graphs(proto.graph):
        nodes: list[onnx.NodeProto] = []
        for node in graph.node:
            if not _is_product(node):
                nodes.append(node)
                continue
            weights |= set(node.input[1:])
            given, wanted = node.input[0], node.output[0]
            node.input[0], node.output[0] = f"{wanted}/half", f"{wanted}/product"
            nodes += [
                helper.make_node("Cast", [given], [node.input[0]], to=TensorProto.FLOAT16),
                node,
                helper.make_node("Cast", [node.output[0]], [wanted], to=TensorProto.FLOAT),
            ]
        held = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(held)
    for tensor in proto.graph.initializer:
        if tensor.name in weights and tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    return proto


def _quantized(proto: onnx.ModelProto, products: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """Weights in 8 bits, scaled back for each output of its product. What they are multiplied with stays as it is: a
    range that is found in each run would let a row's score depend on the rows beside it."""
    products_of = {node.input[1]: node for node in products}
    kept, nodes = [], []
    for tensor in proto.graph.initializer:
        if tensor.name not in products_of or tensor.data_type != TensorProto.FLOAT:
            kept.append(tensor)
            continue
        weights = numpy_helper.to_array(tensor)
        axes = _summed(products_of[tensor.name], weights.ndim)
        scale = np.abs(weights).max(axes, keepdims=True) / 127
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        small, scales, large = (f"{tensor.name}/{part}" for part in ("int8", "scale", "float"))
        whole = np.rint(weights / scale).astype(np.int8)
        kept += [numpy_helper.from_array(whole, small), numpy_helper.from_array(scale, scales)]
        nodes += [
            helper.make_node("Cast", [small], [large], to=TensorProto.FLOAT),
            helper.make_node("Mul", [large, scales], [tensor.name]),
        ]
    rest = list(proto.graph.node)
    del proto.graph.initializer[:], proto.graph.node[:]
    proto.graph.initializer.extend(kept)
    proto.graph.node.extend([*nodes, *rest])
    return proto


def _summed(node: onnx.NodeProto, n_axes: int) -> tuple[int, ...]:
    """The axes of its weights over which a product sums."""
    if node.op_type == "MatMul":
        return (max(0, n_axes - 2),)
    if node.op_type == "Gemm":
        return (int(any(attribute.name == "transB" and attribute.i for attribute in node.attribute)),)
    of_outputs = 0 if node.op_type == "Conv" else 1
    return tuple(axis for axis in range(n_axes) if axis != of_outputs)
