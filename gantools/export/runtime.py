"""Exported files, run with onnxruntime: a session with the right providers, and the library's own methods on top.

Nothing here needs torch.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pandas as pd

from gantools.data.images.schema import ImageSchema
from gantools.data.tables.raw import Raw, labelled_rows, to_raw
from gantools.data.tables.schema import Schema
from gantools.errors import DataError, ExportError
from gantools.export.columns import Port, to_cells, to_feed
from gantools.score.assessed import Assessed
from gantools.score.drift import Reference
from gantools.score.reasons import Explanation, words
from gantools.score.threshold import Calibration

Feed = Mapping[str, npt.NDArray[Any]]

CHUNK_ROWS = 1024  # rows run at a time: their distances to the memory stay small
EXPLAINED_ROWS = 256
PIXELS_AT_ONCE = 2**17  # of images that are run at a time
IMAGES_READ = 64  # before those of one size are run together
QUIET = 3  # onnxruntime's severity of errors: its warnings are about inputs with a default, which are meant
DEVICES = ("auto", "cpu", "cuda", "tensorrt")
PREFIX = "gantools."
INNER = "gantools/"  # begins the names of values inside a graph, so that no column is called as one of them
REMEMBERED = (f"{INNER}remembered/numbers", f"{INNER}remembered/codes")  # what the words of reasons are found in
TEXTS = ("kind", "version", "precision", "exported", "model", "data", "features")  # entries that are no JSON


# --- sessions ---


def open_session(
    model: Path | str | bytes,
    device: str = "auto",
    *,
    threads: int | None = None,
    fixed_batch: bool = False,
    profile: bool = False,
) -> ort.InferenceSession:
    """A session of an exported file, or of its bytes.

    device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ... or "tensorrt". Where a GPU was asked for and
    cannot be used the session runs on the CPU, and a RuntimeWarning says so. threads: of one run on the CPU; None takes
    all cores. A service that runs several requests side by side does best with 1. fixed_batch: record the work of the
    first run on the GPU as a CUDA graph and repeat it, which is right only for runs of one size whose tensors stay
    where they are (`Bound`). profile: write onnxruntime's profile.

    Raises ExportError for a file that cannot be opened, and where two builds of onnxruntime are installed.
    """
    check_one_onnxruntime()
    name, _, number = device.partition(":")
    if name not in DEVICES or not (number.isdigit() or not number):
        raise ExportError(f"there is no device {device!r}", where="device", remedy=f"use {', '.join(DEVICES)}")
    wanted = ("cuda" if n_gpus() else "cpu") if name == "auto" else name
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the cores alone
    options.enable_profiling = profile
    providers: list[Any] = ["CPUExecutionProvider"]
    if wanted != "cpu":
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        if n_gpus():
            ort.set_default_logger_severity(QUIET)
        place = {"device_id": number or "0"}
        providers.insert(0, ("CUDAExecutionProvider", place | ({"enable_cuda_graph": "1"} if fixed_batch else {})))
        if wanted == "tensorrt":
            providers.insert(0, ("TensorrtExecutionProvider", place))
    source = model if isinstance(model, bytes) else str(model)
    try:
        session = ort.InferenceSession(source, options, providers=providers)
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


class Bound:
    """A session whose tensors stay on the device: what goes in is copied there, what comes out is read when wanted.

    With `open_session(..., fixed_batch=True)` the work is recorded once and repeated, so every run must have the sizes
    of the first.
    """

    def __init__(self, session: ort.InferenceSession, feed: Feed, outputs: Sequence[str]) -> None:
        """feed: an example of each input, of the sizes to come. outputs: the names of those wanted."""
        self.session, self.outputs = session, list(outputs)
        device = "cpu" if session.get_providers()[0] == "CPUExecutionProvider" else "cuda"
        self._binding = session.io_binding()
        self._given: dict[str, ort.OrtValue] = {}
        for name, array in feed.items():
            if array.dtype.kind in "OUS":
                raise ExportError("text cannot lie on a GPU", where=f"input '{name}'", remedy="use session.run")
            self._given[name] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, 0)
            self._binding.bind_ortvalue_input(name, self._given[name])
        for name in self.outputs:
            self._binding.bind_output(name, device)

    def __call__(self, feed: Feed) -> list[ort.OrtValue]:
        """Run with new values, of the sizes of the example. The outputs stay on the device; `.numpy()` reads one."""
        for name, array in feed.items():
            self._given[name].update_inplace(np.ascontiguousarray(array))
        self.session.run_with_iobinding(self._binding)
        return cast("list[ort.OrtValue]", self._binding.get_outputs())


# --- models ---


class Exported:
    """An exported model: a session and what its metadata say. Open it with `load_exported`."""

    kind: str

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        self.session, self.path = session, path
        self.described = describe(session)
        self.names: dict[str, str] = self.described["names"]
        self.inputs = [Port.from_json(port) for port in self.described["inputs"]]

    def facts(self) -> dict[str, Any]:
        """What `gantools info --json` says of the file."""
        return {name: value for name, value in self.described.items() if name not in ("held_out", "drift", "schema")}

    def run(self, feed: Mapping[str, Any], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """The named outputs for these inputs."""
        try:
            return cast("list[npt.NDArray[Any]]", self.session.run(list(outputs), dict(feed)))
        except Exception as error:  # onnxruntime's errors share no base class
            reason = str(error).strip().splitlines()[0].rsplit(" : ", 1)[-1]
            where = str(self.path or "the exported model")
            raise ExportError(f"cannot be run on these inputs: {reason}", where=where) from error


def kind_of(entries: Mapping[str, str]) -> str:
    """What kind of model metadata are of. Raises ExportError for a file of another origin."""
    if f"{PREFIX}kind" not in entries:
        raise ExportError("is not a model that gantools exported", remedy="export one with `gantools export`")
    return entries[f"{PREFIX}kind"]


def describe(session: ort.InferenceSession) -> dict[str, Any]:
    """What an exported file says of itself. Raises ExportError for a file of another origin."""
    entries = session.get_modelmeta().custom_metadata_map
    kind_of(entries)
    ours = {name.removeprefix(PREFIX): text for name, text in entries.items() if name.startswith(PREFIX)}
    try:
        return {name: text if name in TEXTS else json.loads(text) for name, text in ours.items()}
    except ValueError as error:
        raise ExportError("its metadata cannot be read", remedy="export it again") from error


class ExportedCalibrated(Exported):
    """What both scorers share."""

    threshold_: float
    calibration_: Calibration

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        super().__init__(session, path)
        self.threshold_ = float(self.described["threshold"])
        self.false_alarms = float(self.described["false_alarms"])
        self.contamination = float(self.described["contamination"])
        held = np.array(self.described["held_out"], dtype=np.float64)
        self.calibration_ = Calibration.from_tensors({"scores": held, "tail": self.described["tail"]})

    def set_false_alarms(self, rate: float) -> Any:
        """Set the threshold for another share of false alarms."""
        self.false_alarms = rate
        floor = self.calibration_.finest if isinstance(self, ExportedImageScorer) else 0.0
        self.threshold_ = self.calibration_.threshold(max(rate, floor))
        return self

    @property
    def _threshold(self) -> dict[str, npt.NDArray[np.float64]]:
        return {self.names["threshold"]: np.array([self.threshold_])}


class ExportedScorer(ExportedCalibrated):
    """A table scorer from a file, with the methods of `AnomalyScorer` that scoring needs."""

    kind = "table-scorer"
    modality = "table"

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        super().__init__(session, path)
        self.schema_ = Schema.from_json(self.described["schema"])
        self.drift_ = Reference.from_json(self.described["drift"], self.schema_)
        self._remembered: Raw | None = None

    def check_fits(self, frame: pd.DataFrame) -> None:
        """Refuse a table that this scorer was not made for. Raises DataError naming the columns."""
        to_raw(frame.head(1000), self.schema_)

    def anomaly_score(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """How abnormal rows are: [N] float64."""
        return self.assess(frame)["anomaly_score"].to_numpy()

    def assess(
        self, frame: pd.DataFrame, explain: bool | Literal["flagged"] = False, exclude_self: bool = False
    ) -> pd.DataFrame:
        """As `AnomalyScorer.assess`. exclude_self is refused: an exported file has forgotten which rows it knows."""
        if exclude_self:
            raise ExportError("an exported scorer cannot judge the rows that it has learned from", where="exclude_self")
        raw = to_raw(frame, self.schema_)
        names = [self.names[name] for name in ("anomaly_score", "p_value", "is_anomaly")]
        parts = [self.run({**feed, **self._threshold}, names) for feed in self._feeds(raw, frame, CHUNK_ROWS)] or [
            [np.zeros(0), np.zeros(0), np.zeros(0, bool)]
        ]
        score, p, flagged = (np.concatenate(each) for each in zip(*parts, strict=True))
        found = pd.DataFrame({"anomaly_score": score, "p_value": p, "is_anomaly": flagged}, index=frame.index)
        if explain:
            rows = np.flatnonzero(flagged) if explain == "flagged" else np.arange(len(frame))
            reason = np.full(len(frame), "", dtype=object)
            mine, cells = raw.take(rows), frame.iloc[rows]
            said: list[str] = []
            for start, explained in self._explained(mine, cells):
                part = np.arange(start, start + len(explained.contribution))
                said += words(explained, mine.take(part), cells.iloc[part], self.schema_, self._known())
            reason[rows] = said
            found["reason"] = pd.Series(reason, index=frame.index, dtype=pd.Series([""]).dtype)
        return found

    def explain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column contributes to the score of rows: [N, columns]; the columns of a row add up to its score."""
        raw = to_raw(frame, self.schema_)
        names = [port.name for port in self.inputs]
        parts = [explained.contribution for _, explained in self._explained(raw, frame)]
        found = pd.DataFrame(np.concatenate(parts) if parts else np.empty((0, len(names))), columns=names)
        return found.set_index(frame.index).reindex(columns=list(self.schema_.names), fill_value=0.0)

    def _explained(self, raw: Raw, frame: pd.DataFrame) -> Iterator[tuple[int, Explanation]]:
        names = [self.names[name] for name in ("contribution", "suspects", "alike")]
        asked = {self.names["explain"]: np.array(True)}
        for k, feed in enumerate(self._feeds(raw, frame, EXPLAINED_ROWS)):
            yield k * EXPLAINED_ROWS, Explanation(*self.run({**feed, **asked}, names))

    def _feeds(self, raw: Raw, frame: pd.DataFrame, size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        feed = to_feed(raw, frame, self.inputs)
        for start in range(0, len(raw), size):
            yield {name: cells[start : start + size] for name, cells in feed.items()}

    def _known(self) -> Raw:
        """The remembered rows, which the file holds for its explanations."""
        if self._remembered is None:
            import onnx

            if self.path is None:
                raise ExportError("reasons need the file, not its bytes alone", where="explain")
            held = {tensor.name: tensor for tensor in onnx.load(self.path).graph.initializer}
            # a table may have columns of one kind only
            arrays = {name: onnx.numpy_helper.to_array(held[name]) for name in REMEMBERED if name in held}
            nothing = np.empty((len(next(iter(arrays.values()))), 0))
            numbers, codes = (arrays.get(name, nothing) for name in REMEMBERED)
            self._remembered = Raw(numbers.astype(np.float64), codes.astype(np.int64))
        return self._remembered


class Images(Protocol):
    """Where images come from, as `gantools.data.images.source.ImageSource`."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> npt.NDArray[np.uint8]: ...


class ExportedImageScorer(ExportedCalibrated):
    """An image scorer from a file, with the methods of `ImageScorer` that scoring needs."""

    kind = "image-scorer"
    modality = "image"

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        super().__init__(session, path)
        self.schema_ = ImageSchema.from_json(self.described["schema"])
        self.pixel_threshold_ = float(self.described["pixel_threshold"])

    def anomaly_score(self, images: Images) -> npt.NDArray[np.float64]:
        """How abnormal images are: [N] float64."""
        return np.array([found.anomaly_score for found in self.assess(images)])

    def assess(self, images: Images) -> Iterator[Assessed]:
        """As `ImageScorer.assess`."""
        for start in range(0, len(images), IMAGES_READ):
            read = [images.read(index) for index in range(start, min(len(images), start + IMAGES_READ))]
            for _, group in groupby(enumerate(read, start), key=lambda one: one[1].shape):
                places, alike = zip(*group, strict=True)
                found = zip(places, *self.score(np.stack(alike)), strict=True)
                yield from (Assessed(k, float(s), float(p), bool(odd), heat) for k, s, p, odd, heat in found)

    def score(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], ...]:
        """Scores, p-values, verdicts [N] and heat maps [N, H, W] of images [N, H, W, C] of one size."""
        names = [self.names[name] for name in ("anomaly_score", "p_value", "is_anomaly", "heatmap")]
        at_once = max(1, PIXELS_AT_ONCE // max(1, images.shape[1] * images.shape[2]))
        parts = [
            self.run({"image": images[start : start + at_once], **self._threshold}, names)
            for start in range(0, len(images), at_once)
        ]
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


class ExportedMaker(Exported):
    """What both generators share."""

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        super().__init__(session, path)
        self.class_counts: tuple[int, ...] = tuple(self.described["class_counts"])
        self.noise_width = int(self.described["noise_width"])

    @property
    def draws_noise(self) -> bool:
        """Whether the graph draws its noise itself."""
        return all(value.name != self.names["noise"] for value in self.session.get_inputs())

    def _asked(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """The inputs for noise [N, noise_width] and label codes [N]."""
        port = self.inputs[0]
        levels = np.array(port.levels, dtype=object if port.type == "string" else port.type)
        asked = {port.name: levels[label]}
        return asked if self.draws_noise else {**asked, self.names["noise"]: noise}


class ExportedGenerator(ExportedMaker):
    """A table generator from a file."""

    kind = "table-generator"
    modality = "table"

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        super().__init__(session, path)
        self.schema_ = Schema.from_json(self.described["schema"])
        self.outputs = [Port.from_json(port) for port in self.described["outputs"]]

    def sample(self, counts: Mapping[Any, int] | int, *, seed: int = 0) -> pd.DataFrame:
        """The rows of `Synthesizer.sample(counts, seed=seed, refine=False)`, by the exported file."""
        from gantools.augment.rows import noise_in_chunks
        from gantools.augment.synthesizer import wanted_labels

        levels = self.schema_[str(self.schema_.target)].levels
        label = wanted_labels(counts, levels, self.class_counts, np.random.default_rng(seed))
        parts = [
            self.cells(noise.numpy(), label[rows])
            for rows, noise in noise_in_chunks(len(label), self.noise_width, seed)
        ]
        cells = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return self.to_frame(cells, label)

    def generate(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Rows in the training table's dtypes, without identifiers. noise: [N, noise_width]. label: [N] codes."""
        return self.to_frame(self.cells(noise, label), label)

    def cells(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """What the graph gives for each column."""
        names = [port.name for port in self.outputs]
        return dict(zip(names, self.run(self._asked(noise, label), names), strict=True))

    def to_frame(self, cells: Mapping[str, npt.NDArray[Any]], label: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Columns of the graph as a table in the training table's dtypes, identifiers made fresh."""
        schema = self.schema_
        ports = {port.name: port for port in self.outputs}
        columns = {name: to_cells(cells[name], port, schema[name]) for name, port in ports.items()}
        n = len(label)
        numbers = np.empty((n, len(schema.numeric)), order="F")
        codes = np.empty((n, len(schema.categorical)), dtype=np.int64, order="F")
        for index, name in enumerate(schema.numeric):
            numbers[:, index] = _floats(columns[name])
        for index, name in enumerate(schema.categorical):
            code = columns[name].to_numpy()
            codes[:, index] = np.where(code >= len(schema[name].levels), code + 1, code)  # a level of the pool
        return labelled_rows(Raw(numbers, codes), label, schema, np.random.default_rng(0))


class ExportedImageGenerator(ExportedMaker):
    """An image generator from a file."""

    kind = "image-generator"
    modality = "image"

    def __init__(self, session: ort.InferenceSession, path: Path | None) -> None:
        super().__init__(session, path)
        self.schema_ = ImageSchema.from_json(self.described["schema"])

    def sample(self, counts: Mapping[str, int], *, seed: int = 0) -> tuple[Any, Any]:
        """New images [N, C, size, size] uint8, exactly so many of each class, and their labels [N]."""
        import torch

        from gantools.augment.image_synthesizer import CHUNK_IMAGES, wanted_classes

        label = wanted_classes(counts, self.schema_.classes, self.class_counts)
        random = torch.Generator().manual_seed(seed)
        images = []
        for part in torch.split(label, CHUNK_IMAGES):
            noise = torch.randn((len(part), self.noise_width), generator=random)
            images.append(torch.from_numpy(self.generate(noise.numpy(), part.numpy())).movedim(3, 1))
        return torch.cat(images), label

    def generate(self, noise: npt.NDArray[np.float32], label: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Images [N, S, S, C]. noise: [N, noise_width]. label: [N] codes."""
        return self.run(self._asked(noise, label), [self.names["image"]])[0]


KINDS: tuple[type[Exported], ...] = (ExportedScorer, ExportedImageScorer, ExportedGenerator, ExportedImageGenerator)


def load_exported(model: Path | str | bytes, device: str = "auto", *, threads: int | None = None) -> Exported:
    """An exported file, or its bytes, ready to run. Raises ExportError; device, threads: as for `open_session`."""
    session = open_session(model, device, threads=threads)
    path = None if isinstance(model, bytes) else Path(model)
    try:
        kind = kind_of(session.get_modelmeta().custom_metadata_map)
        return next(one for one in KINDS if one.kind == kind)(session, path)
    except ExportError as error:
        raise ExportError(error.problem, where=str(path or ""), remedy=error.remedy) from error
    except (KeyError, TypeError, ValueError, StopIteration, DataError) as error:
        raise ExportError("its metadata cannot be read", where=str(path or ""), remedy="export it again") from error


def _floats(cells: pd.Series) -> npt.NDArray[np.float64]:
    """Numbers, or points in time as microseconds with NaN for a missing one."""
    if cells.dtype.kind in "mM":
        ticks = cells.to_numpy().view(np.int64)
        return np.where(np.isnat(cells.to_numpy()), np.nan, ticks)
    return cells.to_numpy(dtype=np.float64)
