"""`export_model`: trace, prove, describe, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

from gantools.errors import ConfigError, ExportError
from gantools.export.folders import write
from gantools.export.graph import Graph, Model, build, described
from gantools.export.precision import LOOSE, reduced
from gantools.export.proof import STRICT, Parity, prove
from gantools.export.runtime import open_session
from gantools.score.image_scorer import ImageScorer
from gantools.score.table_scorer import AnomalyScorer

Precision = Literal["fp32", "fp16", "int8"]
WHOLE_FILE = 2**31 - 2**20  # bytes that one protobuf message holds
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class ExportedFile:
    """What was written. parity: how the file compares with the library. seconds: that all of it took."""

    path: Path
    graph: Graph
    precision: Precision
    parity: Parity
    n_bytes: int
    seconds: float


def export_model(
    model: Model,
    path: Path | str,
    *,
    precision: Precision = "fp32",
    noise_inside: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ExportedFile:
    """Write a trained model as one self-contained ONNX file.

    precision: of weights and arithmetic; "fp16" and "int8" (dynamic quantisation) make smaller files, and are refused
    where a verdict changes. noise_inside: a generator draws its noise itself, so that no two runs are alike. progress:
    called with what is being done.

    Raises ExportError, and leaves no file, when the model cannot be exported or the file differs from the library.
    """
    started = time.perf_counter()
    if precision not in PRECISIONS:
        raise ConfigError(f"there is no precision {precision!r}", where="precision", remedy=", ".join(PRECISIONS))
    tell: Callable[[str], Any] = progress or (lambda _: None)
    tell("Tracing")
    with on_cpu(model):
        return _exported(model, Path(path), precision, noise_inside, tell, started)


@contextmanager
def on_cpu(model: Model) -> Iterator[None]:
    """The model on the CPU for the while: there it is traced, and there the library is compared with."""
    module = model.head_ if isinstance(model, AnomalyScorer | ImageScorer) else model.gan_
    device = next(chain(module.parameters(), module.buffers())).device
    model.to("cpu")
    try:
        yield
    finally:
        model.to(str(device))


def _exported(
    model: Model, path: Path, precision: Precision, noise_inside: bool, tell: Callable[[str], Any], started: float
) -> ExportedFile:
    graph = build(model, noise_inside=noise_inside)
    if precision != "fp32":
        graph = replace(graph, proto=reduced(graph.proto, precision))
    described(graph, {}, precision)
    tell("Comparing with the library")
    allowed = STRICT if precision == "fp32" else LOOSE[precision]
    parity = prove(open_session(graph.serialized(), "cpu"), model, allowed)
    described(graph, parity, precision)
    data = graph.serialized()
    if len(data) > WHOLE_FILE:
        raise ExportError(f"{len(data):,} bytes are more than one ONNX file holds", remedy="train a smaller model")
    tell("Writing")
    write(path, data)
    return ExportedFile(path, graph, precision, parity, len(data), time.perf_counter() - started)
