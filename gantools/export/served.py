"""An exported file behind MLflow's `predict`. A copy of this module lies in the folder and runs without gantools.

    rows are scored         data frame -> data frame with anomaly_score, p_value, is_anomaly; with explain=True also
                            `contribution/<column>`
    rows are classified     data frame -> data frame with class, `probability/<label>` and is_flagged
    images are scored       array [N, H, W, C] of bytes -> anomaly_score, p_value, is_anomaly [N], heatmap [N, H, W]
    rows are generated      data frame with the column of the label -> data frame of rows
    images are generated    the same -> array [N, S, S, C] of bytes
    pictures are translated array [N, H, W, C] of bytes -> array [N, s * H, s * W, C'] of bytes; where holes are filled
                            {"image": the same, "mask": [N, H, W]}, or the two arrays, above 0 or true in holes

What a file takes and gives is decided by its metadata: inputs and outputs that are columns make a data frame, and so do
outputs of one number each; all else is arrays.

A data frame has the columns of the training table, in their own types; missing cells are NaN, None or NaT. Dates that a
generator makes are dates in UTC, whatever they were in the training table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pandas as pd

Array = npt.NDArray[Any]

MISSING = -(2**63)  # a missing cell of an int64 column
LIMIT = 2.0**63  # that whole numbers stay below
FLOAT32_MAX = float(np.finfo(np.float32).max)
CHUNK = 1024  # rows run at a time: their distances to the memory stay small
EXPLAINED = 256
PIXELS_AT_ONCE = 2**17  # of images that are run at a time, in the size that nets see
QUIET = 3  # onnxruntime's severity of errors
EXPLANATION = ("contribution", "suspects", "alike")  # outputs that are there only where `explain` is true
WIDE = ("contribution", "probability")  # outputs of several numbers a row, which become a column each
ARRAYS = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
TENSORS: dict[str, Any] = {
    **ARRAYS, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(bool)": bool, "tensor(string)": object,
}  # fmt: skip


class Served:
    """An exported model with MLflow's `predict`."""

    def __init__(self, path: str, device: str = "cpu") -> None:
        """path: of the file. device: "cpu" or "cuda"."""
        options = ort.SessionOptions()
        options.log_severity_level = QUIET
        providers = ["CPUExecutionProvider"]
        if device != "cpu":
            if hasattr(ort, "preload_dlls"):
                ort.preload_dlls()
            providers.insert(0, "CUDAExecutionProvider")
        self.session = ort.InferenceSession(path, options, providers=providers)
        entries = self.session.get_modelmeta().custom_metadata_map
        self.names: dict[str, str] = json.loads(entries["gantools.names"])
        self.inputs: list[dict[str, Any]] = json.loads(entries["gantools.inputs"])
        self.outputs: list[dict[str, Any]] = json.loads(entries["gantools.outputs"])
        self.threshold = json.loads(entries.get("gantools.threshold", "0"))
        self.truncation = json.loads(entries.get("gantools.truncation", "1"))
        counts = json.loads(entries.get("gantools.class_counts", "[]"))
        self.classes = [level for level, n in zip(self.inputs[0]["levels"], counts, strict=True) if n] if counts else []
        self.noise_width = json.loads(entries.get("gantools.noise_width", "0"))
        self.wide = {what: json.loads(entries.get(f"gantools.{what}_columns", "[]")) for what in WIDE}
        columns = json.loads(entries["gantools.schema"]).get("columns", [])
        self.columns: dict[str, dict[str, Any]] = {column["name"]: column for column in columns}
        self.size: int | None = json.loads(entries.get("gantools.encoder", "{}")).get("size")
        self.scale: int = json.loads(entries.get("gantools.scale", "1"))

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """What the model makes of data, see above.

        params: threshold (a score above it is flagged) and explain of a scorer; seed of a generator, below 0 for other
        noise at each call, and truncation of one that takes it. Raises ValueError for data that lack a column or have
        cells of another type.
        """
        given = dict(params or {})
        feed, index = self._feed(data)
        feed |= self._noise(len(next(iter(feed.values()))), given)
        explain = "explain" in self.names and bool(given.get("explain", False))
        left_out = EXPLANATION[1:] if explain else EXPLANATION
        what = {name: what for what, name in self.names.items() if what not in left_out}
        named = [value.name for value in self.session.get_outputs() if value.name in what]
        asked = [port["name"] for port in self.outputs] or named
        always = self._settings(given, explain)
        parts = self._in_parts(feed, asked, EXPLAINED if explain else self._at_once(feed), always)
        if self.outputs:
            spelt = {port["name"]: self._spelt(cells, port) for port, cells in zip(self.outputs, parts, strict=True)}
            return pd.DataFrame(spelt, index=index)
        found = {what[name]: array for name, array in zip(asked, parts, strict=True)}
        if any(array.ndim > 1 for name, array in found.items() if name not in WIDE):
            return found if len(found) > 1 else next(iter(found.values()))
        columns: dict[str, Array] = {}
        for name, array in found.items():
            spread = {f"{name}/{part}": array[:, k] for k, part in enumerate(self.wide.get(name, ()))}
            columns |= spread if array.ndim > 1 else {name: array}
        return pd.DataFrame(columns, index=index)

    # -- inputs ----------------------------------------------------------------------------------------------------

    def _feed(self, data: Any) -> tuple[dict[str, Array], Any]:
        """The inputs of the graph that are data, and the index of a data frame."""
        if not self.inputs:
            settings = {self.names.get(what) for what in ("noise", "threshold", "explain", "truncation")}
            values = [value for value in self.session.get_inputs() if value.name not in settings]
            arrays = _arrays(data, [value.name for value in values])
            return {
                value.name: np.asarray(array).astype(ARRAYS[value.type], copy=False)
                for value, array in zip(values, arrays, strict=True)
            }, None
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
        if lacking := [port["name"] for port in self.inputs if port["name"] not in frame.columns]:
            raise ValueError(f"these columns are missing: {', '.join(lacking)}")
        feed = {port["name"]: self._cells(frame[port["name"]], port) for port in self.inputs}
        if self.classes:
            [(name, labels)] = feed.items()
            if unknown := [label for label in labels.tolist() if label not in self.classes]:
                known = ", ".join(map(repr, self.classes))
                raise ValueError(f"column '{name}' has {unknown[0]!r}, which is no class: the classes are {known}")
        return feed, frame.index

    def _settings(self, given: Mapping[str, Any], explain: bool) -> dict[str, Array]:
        """The inputs that are no data."""
        found = {}
        if "threshold" in self.names:
            found[self.names["threshold"]] = np.array([float(given.get("threshold", self.threshold))])
        if "explain" in self.names:
            found[self.names["explain"]] = np.array(explain)
        if "truncation" in self.names:
            truncation = float(given.get("truncation", self.truncation))
            found[self.names["truncation"]] = np.array([truncation], np.float32)
        return found

    def _noise(self, n: int, given: Mapping[str, Any]) -> dict[str, Array]:
        """The noise of n samples; none where the graph takes none."""
        name = self.names.get("noise", "")
        if all(value.name != name for value in self.session.get_inputs()):
            return {}
        seed = int(given.get("seed", -1))
        rng = np.random.default_rng(seed if seed >= 0 else None)
        return {name: rng.standard_normal((n, self.noise_width), dtype=np.float32)}

    def _at_once(self, feed: Mapping[str, Array]) -> int:
        """How many rows or images are run at a time."""
        if self.size is not None:
            return max(1, min(CHUNK, PIXELS_AT_ONCE // self.size**2))
        shape = next(iter(feed.values())).shape
        return max(1, min(CHUNK, PIXELS_AT_ONCE // max(1, shape[1] * shape[2]))) if len(shape) > 2 else CHUNK

    def _in_parts(
        self, feed: dict[str, Array], asked: list[str], size: int, always: Mapping[str, Array]
    ) -> list[Array]:
        """The outputs `asked`, `size` rows at a time. always: inputs that are not of rows."""
        n = len(next(iter(feed.values())))
        if not n:
            return self._nothing(feed, asked)
        parts = []
        for start in range(0, n, size):
            part = {name: cells[start : start + size] for name, cells in feed.items()}
            parts.append(self.session.run(asked, {**part, **always}))
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _nothing(self, feed: dict[str, Array], asked: list[str]) -> list[Array]:
        """The outputs where there is no sample: some runtimes are killed by such a run."""
        sizes: dict[Any, int] = {}
        for value in self.session.get_inputs():
            if value.name in feed:
                sizes |= dict(zip(value.shape, feed[value.name].shape, strict=True))
        sizes |= {f"{self.scale}*{name}": self.scale * size for name, size in sizes.items()}
        given = {value.name: value for value in self.session.get_outputs()}
        shapes = [
            [size if isinstance(size, int) else sizes.get(size, 0) for size in given[name].shape] for name in asked
        ]
        return [np.zeros(shape, TENSORS[given[name].type]) for name, shape in zip(asked, shapes, strict=True)]

    # -- cells -----------------------------------------------------------------------------------------------------

    def _cells(self, column: pd.Series, port: Mapping[str, Any]) -> Array:
        """A column as the graph takes it."""
        missing = column.isna().to_numpy()
        if missing.any() and not port["has_missing"]:
            raise ValueError(f"column '{port['name']}' has a missing cell, which this model cannot tell from a level")
        if port["type"] == "string":
            mark = port["missing"]
            return np.array(
                [mark if gone else _text(cell, mark) for cell, gone in zip(column, missing, strict=True)], object
            )
        if port["unit"]:
            return self._moments(column, port)
        if column.dtype.kind in "ib" and port["type"] == "int64":
            return np.where(missing, MISSING, column.to_numpy(np.int64, na_value=0))
        if column.dtype.kind == "O":
            # True and False beside a missing cell: `to_numeric` takes 1 and 0.
            column = column.map(lambda cell: int(cell) if isinstance(cell, bool) else cell)
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        odd = ~np.isfinite(numbers) & ~missing
        if port["type"] == "int64":
            odd |= ~missing & ((np.abs(numbers) >= LIMIT) | (numbers != np.rint(numbers)))
        if port["levels"] is not None:  # a level never seen may be anything
            numbers = np.where(odd, _unlike(port["levels"]), numbers)
        elif odd.any():
            cell = column.to_numpy()[odd.argmax()]
            what = "whole number of 64 bits" if port["type"] == "int64" else "finite number"
            raise ValueError(f"column '{port['name']}' has {cell!r}, which is no {what}")
        if port["type"] == "float32":
            return numbers.clip(-FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
        if port["type"] == "float64":
            return numbers
        return np.where(missing, MISSING, np.where(missing, 0, numbers).astype(np.int64))

    def _moments(self, column: pd.Series, port: Mapping[str, Any]) -> Array:
        """Dates and lengths of time in microseconds; whole numbers are taken for such."""
        if column.dtype.kind in "iu":
            return column.to_numpy(np.int64, na_value=MISSING)
        if "since" not in port["unit"]:
            return pd.to_timedelta(column).to_numpy("timedelta64[us]").view(np.int64)
        spelt = self.columns.get(port["name"], {}).get("format")
        text = column.dtype.kind not in "mM" and spelt is not None
        read = pd.to_datetime(column, utc=True, format=spelt.replace("%-", "%") if text and spelt else None)
        return read.dt.tz_localize(None).to_numpy("datetime64[us]").view(np.int64)

    def _spelt(self, cells: Array, port: Mapping[str, Any]) -> Any:
        """An output of the graph as a column: dates as dates, missing cells as such."""
        if port["type"] == "string":
            return [None if port["has_missing"] and cell == port["missing"] else cell for cell in cells.tolist()]
        if port["type"] != "int64":
            return cells
        missing = cells == MISSING
        if port["unit"]:
            step = self.columns.get(port["name"], {}).get("step") or 1
            whole = np.where(missing, MISSING, np.rint(np.where(missing, 0, cells) / step).astype(np.int64) * step)
            return whole.view("datetime64[us]" if "since" in port["unit"] else "timedelta64[us]")
        if missing.any():
            return np.where(missing, np.nan, cells)
        return cells.astype(bool) if self.columns.get(port["name"], {}).get("dtype") == "bool" else cells


def _arrays(data: Any, names: list[str]) -> list[Any]:
    """The arrays of these inputs: the only one as it is, several by name or in order."""
    if isinstance(data, Mapping):
        if lacking := [name for name in names if name not in data]:
            raise ValueError(f"these arrays are missing: {', '.join(lacking)}")
        return [data[name] for name in names]
    if len(names) == 1:
        return [data]
    if not isinstance(data, list | tuple) or len(data) != len(names):
        raise ValueError(f"give {len(names)} arrays: {', '.join(names)}")
    return list(data)


def _text(cell: Any, missing: str) -> str:
    """A cell of text that is not missing, told from the mark of one that is. Whole numbers have no decimal point."""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    return f"{text}?" if text == missing else text


def _unlike(levels: list[float]) -> int:
    """The first whole number that is none of these levels, in float32 either."""
    near = {float(np.float32(level)) for level in levels if abs(level) <= len(levels) + 1}
    return next(number for number in range(len(near) + 1) if number not in near)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Served:
    """What MLflow calls. model_config: {"device": "cuda"} for a GPU."""
    return Served(path, (model_config or {}).get("device", "cpu"))
