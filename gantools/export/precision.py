"""A graph with nets of lower precision. What surrounds them (encoding, memories, distances, calibration) stays as it
is: there a small error decides flags, and little time is spent.

    fp16   weights and products of the nets in half precision; on a CPU that cannot, onnxruntime computes in float32
    int8   weights of the nets in 8 bits, what they are multiplied with rounded to 8 bits in each run
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gantools.errors import ExportError
from gantools.export.proof import Tolerance

NETS = ("detector.", "gan.")  # where in a module the learned nets are
PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")
QUANTIZED = ("MatMul", "Gemm", "Conv")  # that onnxruntime has kernels of 8 bits for

# Flags must be the same in any precision; how far the rest may be off depends on it.
LOOSE = {
    "fp16": Tolerance(score=0.02, ranks=10**9, blamed=0.2, cells=0.05, step=0.01, heat=0.05),
    "int8": Tolerance(score=0.2, ranks=10**9, blamed=0.5, cells=0.5, step=0.05, heat=0.3),
}


def reduced(proto: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The graph in "fp16" or "int8". Raises ExportError where it has no nets that can be."""
    products = [node for graph in _graphs(proto.graph) for node in graph.node if _is_product(node)]
    if precision == "int8":
        products = [node for node in products if node.op_type in QUANTIZED]
    if not products:
        raise ExportError(f"has no layers that {precision} would change", where="precision", remedy="use fp32")
    return _halved(proto) if precision == "fp16" else _quantized(proto, [node.name for node in products])


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


def _quantized(proto: onnx.ModelProto, products: list[str]) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it recommends steps that are done already
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            path = Path(folder) / "model.onnx"
            quantize_dynamic(
                proto, path, nodes_to_quantize=products, weight_type=QuantType.QInt8,
                op_types_to_quantize=list(QUANTIZED), extra_options={"EnableSubgraph": True},
            )  # fmt: skip
            made = onnx.load(path)
    finally:
        logging.disable(before)
    return made
