"""Exported files, run with onnxruntime: a session with the right providers, and what every exported model has.

Nothing here needs torch. What one kind of model adds is in `kinds`.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy.typing as npt
import onnxruntime as ort

from gantools import registry
from gantools.data.tables.schema import Column
from gantools.errors import ExportError
from gantools.export.columns import Port

if TYPE_CHECKING:
    import onnx

    from gantools.export.graph import Graph
    from gantools.export.proof import Parity, Tolerance

QUIET = 3  # onnxruntime's severity of errors: its warnings are about inputs with a default, which are meant
DEVICES = ("auto", "cpu", "cuda", "tensorrt")
LONGEST_NUMBER = 3  # digits of a GPU's
PREFIX = "gantools."
INNER = "gantools/"  # begins the names of values inside a graph, so that no column has the name of one of them
TEXTS = ("kind", "version", "precision", "exported", "model", "data", "features")  # entries that are no JSON
NEEDED: Mapping[str, type] = {
    **dict.fromkeys(("kind", "version", "model", "precision", "data", "exported"), str),
    **dict.fromkeys(("inputs", "outputs"), list),
    **dict.fromkeys(("names", "parity", "exported_with", "trained_with"), dict),
    **dict.fromkeys(("opset", "ir"), int),
}  # entries that every file has, and their types
UNLIMITED = 2**31 - 1


# --- sessions ---


def open_session(
    model: Path | str | bytes,
    device: str = "auto",
    *,
    threads: int | None = None,
) -> ort.InferenceSession:
    """A session of an exported file, or of its bytes.

    device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ... or "tensorrt". Where a GPU was asked for and
    cannot be used the session runs on the CPU, and a RuntimeWarning says so. threads: of one run on the CPU; None takes
    all cores. A service that runs several requests side by side does best with 1.

    Raises ExportError for a file that cannot be opened, and where two builds of onnxruntime are installed.
    """
    check_one_onnxruntime()
    name, _, number = device.partition(":")
    if name not in DEVICES or not (number.isdigit() or not number) or len(number) > LONGEST_NUMBER:
        raise ExportError(f"there is no device {device!r}", where="device", remedy=f"use {', '.join(DEVICES)}")
    wanted = ("cuda" if n_gpus() else "cpu") if name == "auto" else name
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the cores alone
    providers: list[Any] = ["CPUExecutionProvider"]
    if wanted != "cpu":
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        if n_gpus():
            ort.set_default_logger_severity(QUIET)
        place = {"device_id": number or "0"}
        providers.insert(0, ("CUDAExecutionProvider", place))
        if wanted == "tensorrt":
            providers.insert(0, ("TensorrtExecutionProvider", place))
    source = model if isinstance(model, bytes) else str(model)
    if not isinstance(model, bytes) and Path(model).exists() and not Path(model).is_file():
        raise ExportError("is not a regular file", where=str(model), remedy="name an exported model")
    try:
        # falling back to the CPU from the CPU is of no use, and is printed
        session = ort.InferenceSession(source, options, providers=providers, enable_fallback=wanted != "cpu")
    except Exception as error:  # onnxruntime's errors share no base class
        where = "" if isinstance(model, bytes) else str(model)
        if where and not Path(where).is_file():
            raise ExportError("there is no such file", where=where, remedy="name an exported model") from error
        reason = str(error).strip().splitlines()[0].rsplit(" : ", 1)[-1]
        raise ExportError(f"is no model that can be run: {reason}", where=where, remedy="export it again") from error
    used = session.get_providers()[0]
    if wanted != "cpu" and used == "CPUExecutionProvider":
        warnings.warn(_fell_back(wanted), RuntimeWarning, stacklevel=2)
    return session


def _fell_back(wanted: str) -> str:
    there = ort.get_available_providers()
    if "CUDAExecutionProvider" not in there:
        why = "this build of onnxruntime has no GPU support; install onnxruntime-gpu in its place"
    elif not n_gpus():
        why = "there is no NVIDIA GPU, or no driver for it"
    else:
        why = (
            "its CUDA libraries could not be loaded; `python -c 'import onnxruntime as o; o.print_debug_info()'` tells"
        )
    return f"{wanted} was asked for, but the model runs on the CPU: {why}"


def check_one_onnxruntime() -> None:
    """Raise ExportError where two builds of onnxruntime are installed: they overwrite one another's files."""
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    if len(builds) > 1:
        raise ExportError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite one another's files",
            where="onnxruntime",
            remedy="pip uninstall both, then install the one for this machine",
        )


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def n_gpus() -> int:
    """NVIDIA GPUs that the driver offers; 0 where there is no driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


# --- models ---


class Exported:
    """A model in an exported file: a session and what the metadata say. Open one with `load_exported`.

    Each kind of trained model has a subclass in `kinds`, which is all that export knows about it. `build` and `prove`
    make a graph of a trained model and compare the two, with torch. The methods of the estimator run the file, without
    torch. The rest is what model cards and servers have to know.

    path: the file, None where the model came as bytes. content: these bytes. described: the metadata. names: what the
    inputs and outputs that are no columns are called, by what they are.
    inputs, outputs: those that are columns. takes, defaults, gives: all inputs, those that may be left out, all
    outputs, as onnxruntime describes them (name, type, shape).
    """

    kind: ClassVar[str]
    modality: ClassVar[str]
    purpose: ClassVar[str] = ""  # what the model does, as a sentence
    needed: ClassVar[tuple[str, ...]] = ()  # what `names` must have
    usage: ClassVar[str] = ""  # how inputs are given, as a sentence
    refuses_unknown: ClassVar[bool] = False  # whether a level that is not listed stops the run
    choices: ClassVar[tuple[str, ...]] = ()  # what `build` can be told besides the model, by name
    content: bytes | None = None

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        self.session, self.path = session, path
        self.described = describe(session)
        self.names: dict[str, str] = self.described["names"]
        self.inputs, self.outputs = (
            [Port.from_json(port) for port in self.described[side]] for side in ("inputs", "outputs")
        )
        self.takes, self.gives = session.get_inputs(), session.get_outputs()
        self.defaults = session.get_overridable_initializers()
        named = {*self.names.values(), *(port.name for port in (*self.inputs, *self.outputs))}
        there = {value.name for value in (*self.takes, *self.gives, *self.defaults)}
        if not there <= named or not set(self.needed) <= set(self.names):
            raise ExportError("its metadata do not fit its graph", remedy="export it again")

    # -- from a trained model --------------------------------------------------------------------------------------

    @classmethod
    def build(cls, model: Any) -> Graph:
        """The graph of a trained model, not yet proven. Raises ExportError for a model that cannot be exported.

        A kind with `choices` takes them, too, each with a default.
        """
        raise NotImplementedError

    def prove(self, model: Any, allowed: Tolerance) -> Parity:
        """How this file differs from the model it was made from: figures by name.

        Raises ExportError where anything differs by more than is allowed.
        """
        raise NotImplementedError

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self, feed: Mapping[str, Any], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """The named outputs for these inputs. Raises ExportError where the inputs do not fit."""
        try:
            return cast("list[npt.NDArray[Any]]", self.session.run(list(outputs), dict(feed)))
        except Exception as error:  # onnxruntime's errors share no base class
            reason = str(error).strip().splitlines()[0].rsplit(" : ", 1)[-1]
            where = str(self.path or "the exported model")
            raise ExportError(f"cannot be run on these inputs: {reason}", where=where) from error

    def proto(self) -> onnx.ModelProto:
        """The graph with all that it holds."""
        import onnx

        if self.content is not None:
            return onnx.load_from_string(self.content)
        if self.path is None:
            raise ExportError("its file is not known", where="the exported model", remedy="open it with load_exported")
        return onnx.load(self.path)

    # -- what it says of itself ------------------------------------------------------------------------------------

    @property
    def columns(self) -> Mapping[str, Column]:
        """The training table's column behind each input and output that is one, by the latter's name."""
        return {}

    @property
    def largest_batch(self) -> int:
        """How many rows or images are best run at a time, at most."""
        return UNLIMITED

    def main_outputs(self) -> list[str]:
        """The names of the outputs that most callers want."""
        return [value.name for value in self.gives]

    def levels(self, port: Port) -> Sequence[Any]:
        """The levels that an input or output is known to have; none where it is a number."""
        return port.levels or ()

    def training_data(self) -> Iterable[str]:
        """What the model learned from, in phrases."""
        yield f"digest: `{self.described['data']}`" if self.described["data"] else "digest: not recorded"

    def limits(self) -> Iterable[str]:
        """What a user has to know before trusting the model, in sentences."""
        yield "Results may differ in the last digits between machines and batch sizes, as floating-point sums do."

    def differences(self, parity: Mapping[str, Any]) -> str:
        """What `prove` found, in words."""
        figures = {name.replace("_", " "): value for name, value in parity.items() if isinstance(value, float)}
        return ", ".join(f"{name} {value:.2g}" for name, value in figures.items())


def describe(session: ort.InferenceSession) -> dict[str, Any]:
    """What an exported file says of itself. Raises ExportError where something is lacking."""
    entries = session.get_modelmeta().custom_metadata_map
    ours = {name.removeprefix(PREFIX): text for name, text in entries.items() if name.startswith(PREFIX)}
    if lacking := [name for name in NEEDED if name not in ours]:
        raise ExportError(f"its metadata lack {', '.join(lacking)}", remedy="export it again")
    try:
        found = {name: text if name in TEXTS else json.loads(text) for name, text in ours.items()}
    except ValueError as error:
        raise ExportError("its metadata cannot be read", remedy="export it again") from error
    if any(not isinstance(found[name], of) for name, of in NEEDED.items()):
        raise ExportError("its metadata cannot be read", remedy="export it again")
    return found


def load_exported(model: Path | str | bytes, device: str = "auto", *, threads: int | None = None) -> Exported:
    """An exported file, or its bytes, ready to run. Raises ExportError; device, threads: as for `open_session`."""
    session = open_session(model, device, threads=threads)
    where = "" if isinstance(model, bytes) else str(model)
    try:
        kind = session.get_modelmeta().custom_metadata_map.get(f"{PREFIX}kind")
    except UnicodeDecodeError as error:
        raise ExportError("its metadata cannot be read", where=where, remedy="export it again") from error
    if kind is None:
        problem = "is not a model that gantools exported"
        raise ExportError(problem, where=where, remedy="export one with `gantools export`")
    try:
        found = kind_class(kind)(session, Path(where) if where else None)
    except ExportError as error:
        raise ExportError(error.problem, where=where, remedy=error.remedy) from error
    except Exception as error:  # metadata that were changed fail in any way
        raise ExportError("its metadata cannot be read", where=where, remedy="export it again") from error
    found.content = model if isinstance(model, bytes) else None
    return found


def kind_class(kind: str) -> type[Exported]:
    """The class of a kind of exported models. Raises ExportError where there is none."""
    found = registry.runtime(kind)
    if found is None:
        remedy = "install the package that brings it, or a newer gantools"
        raise ExportError(f"nothing here can export or run models of the kind {kind!r}", remedy=remedy)
    return found
