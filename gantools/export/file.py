"""`export_model`: build, prove, describe, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from gantools.errors import ConfigError, ExportError
from gantools.export.folders import write
from gantools.export.graph import Graph, build, describe
from gantools.export.precision import LOOSE, reduced
from gantools.export.proof import STRICT, THREADS, Parity
from gantools.export.runtime import Exported, kind_class, open_session
from gantools.words import count

if TYPE_CHECKING:
    from gantools.train.saved import Saved

Precision = Literal["fp32", "fp16", "int8"]
WHOLE_FILE = 2**31 - 2**20  # bytes that one protobuf message holds
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class ExportedFile:
    """What was written.

    parity: how the file differs from the library, figures by name. comparison: the same in a sentence. seconds: how
    long all of it took.
    """

    path: Path
    graph: Graph
    precision: Precision
    parity: Parity
    comparison: str
    n_bytes: int
    seconds: float


def export_model(
    model: Saved,
    path: Path | str,
    *,
    precision: Precision = "fp32",
    noise_inside: bool = False,
    plain_inputs: bool = False,
    reverse: bool = False,
    shape: tuple[int, int] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ExportedFile:
    """Write a trained model as one self-contained ONNX file.

    precision: of weights and arithmetic; "fp16" and "int8" (weights alone) make smaller files, and are refused where
    they change a flag. noise_inside: a generator draws its noise itself, so that no two runs are alike. plain_inputs:
    `threshold`, `explain` and `truncation` have no default but must be given, for runtimes that know no inputs with a
    default. reverse: the file translates from the second domain to the first, of a translator that knows both
    directions. shape: height and width of the pictures that a translator's graph takes, for runtimes that compile it
    anew for each; None for any. progress: called with what is being done.

    Raises ExportError, and leaves no file, when the model cannot be exported or the file differs from the library,
    ConfigError for an option.
    """
    started = time.perf_counter()
    if precision not in PRECISIONS:
        raise ConfigError(f"there is no precision {precision!r}", where="precision", remedy=", ".join(PRECISIONS))
    path, tell = Path(path), progress or (lambda _: None)
    with on_cpu(model):
        tell("Tracing")
        graph = build(model, noise_inside=noise_inside, plain_inputs=plain_inputs, reverse=reverse, shape=shape)
        if precision != "fp32":
            graph = replace(graph, proto=reduced(graph.proto, precision))
        describe(graph, {}, precision)
        tell("Comparing with the library")
        file = kind_class(graph.kind)(open_session(graph.serialized(), "cpu", threads=THREADS))
        parity = file.prove(model, STRICT if precision == "fp32" else LOOSE[precision])
    describe(graph, parity, precision)
    data = graph.serialized()
    if len(data) > WHOLE_FILE:
        raise ExportError(f"{len(data):,} bytes are more than one ONNX file holds", remedy="train a smaller model")
    tell("Writing")
    write(path, data)
    seconds = time.perf_counter() - started
    return ExportedFile(path, graph, precision, parity, _compared(file, parity), len(data), seconds)


@contextmanager
def on_cpu(model: Saved) -> Iterator[None]:
    """The model on the CPU for the while: there it is traced and compared with its file."""
    device = str(model.device_)
    model.to("cpu")
    try:
        yield
    finally:
        model.to(device)


def _compared(file: Exported, parity: Mapping[str, Any]) -> str:
    if parity.get("noise") == "inside":
        return "The file draws its noise itself, so it was run but not compared with the library."
    tried = count(parity["rows"], "row") if "rows" in parity else count(parity.get("images", 0), "image")
    return f"Compared with the library on {tried}: {file.differences(parity)}."
