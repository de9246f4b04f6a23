"""An exported file behind MLflow's `predict`. A copy of this module lies in the folder and runs without gantools.

    rows are scored      data frame -> data frame with anomaly_score, p_value, is_anomaly; with explain=True also
                         `contribution/<column>`
    images are scored    array [N, H, W, C] of bytes -> anomaly_score, p_value, is_anomaly [N], heatmap [N, H, W]
    rows are made        data frame with the column of the label -> data frame of rows
    images are made      the same -> array [N, S, S, C] of bytes

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
CHUNK = 1024  # rows run at a time: their distances to the memory stay small
EXPLAINED = 256
PIXELS_AT_ONCE = 2**17  # of images that are run at a time, in the size that nets see
QUIET = 3  # onnxruntime's severity of errors


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
        self.kind: str = entries["gantools.kind"]
        self.names: dict[str, str] = json.loads(entries["gantools.names"])
        self.inputs: list[dict[str, Any]] = json.loads(entries["gantools.inputs"])
        self.outputs: list[dict[str, Any]] = json.loads(entries["gantools.outputs"])
        self.threshold = json.loads(entries.get("gantools.threshold", "null"))
        self.noise_width = json.loads(entries.get("gantools.noise_width", "null"))
        self.size: int = json.loads(entries.get("gantools.encoder", '{"size": 1}'))["size"]
        self.contributing: list[str] = json.loads(entries.get("gantools.contribution_columns", "[]"))
        columns = json.loads(entries["gantools.schema"]).get("columns", [])
        self.columns: dict[str, dict[str, Any]] = {column["name"]: column for column in columns}

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """What the model makes of data, see above.

        params: threshold (a score above it is an anomaly) and explain of a scorer; seed of a generator, below 0 for
        other noise at each call. Raises ValueError for data that lack a column or have cells of another type.
        """
        given = dict(params or {})
        if self.kind == "image-scorer":
            return self._images_scored(np.asarray(data), given)
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
        if lacking := [port["name"] for port in self.inputs if port["name"] not in frame.columns]:
            raise ValueError(f"these columns are missing: {', '.join(lacking)}")
        feed = {port["name"]: self._cells(frame[port["name"]], port) for port in self.inputs}
        if self.kind == "table-scorer":
            return self._rows_scored(feed, given).set_index(frame.index)
        noise = self._noise(len(frame), given)
        if self.kind == "table-generator":
            made = self._in_parts({**feed, **noise}, [port["name"] for port in self.outputs], CHUNK)
            found = {port["name"]: self._spelt(cells, port) for port, cells in zip(self.outputs, made, strict=True)}
            return pd.DataFrame(found, index=frame.index)
        return self._in_parts({**feed, **noise}, [self.names["image"]], self._images_at_once)[0]

    # -- the kinds -------------------------------------------------------------------------------------------------

    def _rows_scored(self, feed: dict[str, Array], given: Mapping[str, Any]) -> pd.DataFrame:
        names = ["anomaly_score", "p_value", "is_anomaly"]
        explain = bool(given.get("explain", False))
        always = {**self._threshold(given), self.names["explain"]: np.array(explain)}
        asked = [self.names[name] for name in (*names, *(["contribution"] if explain else []))]
        found = self._in_parts(feed, asked, EXPLAINED if explain else CHUNK, always)
        frame = pd.DataFrame(dict(zip(names, found, strict=False)))
        if explain:
            frame[[f"contribution/{name}" for name in self.contributing]] = found[3]
        return frame

    def _images_scored(self, images: Array, given: Mapping[str, Any]) -> dict[str, Array]:
        names = ["anomaly_score", "p_value", "is_anomaly", "heatmap"]
        feed = {self.names["image"]: images.astype(np.uint8, copy=False)}
        asked = [self.names[name] for name in names]
        return dict(zip(names, self._in_parts(feed, asked, self._images_at_once, self._threshold(given)), strict=True))

    @property
    def _images_at_once(self) -> int:
        return max(1, PIXELS_AT_ONCE // self.size**2)

    def _threshold(self, given: Mapping[str, Any]) -> dict[str, Array]:
        return {self.names["threshold"]: np.array([float(given.get("threshold", self.threshold))])}

    def _noise(self, n: int, given: Mapping[str, Any]) -> dict[str, Array]:
        """The noise of n samples; none where the file draws its own."""
        name = self.names["noise"]
        if all(value.name != name for value in self.session.get_inputs()):
            return {}
        seed = int(given.get("seed", -1))
        rng = np.random.default_rng(seed if seed >= 0 else None)
        return {name: rng.standard_normal((n, self.noise_width), dtype=np.float32)}

    def _in_parts(
        self, feed: dict[str, Array], asked: list[str], size: int, always: Mapping[str, Array] | None = None
    ) -> list[Array]:
        """The outputs `asked`, `size` rows at a time. always: inputs that are not of rows."""
        n = len(next(iter(feed.values())))
        parts = []
        for start in range(0, max(n, 1), size):
            part = {name: cells[start : start + size] for name, cells in feed.items()}
            parts.append(self.session.run(asked, {**part, **(always or {})}))
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    # -- cells -----------------------------------------------------------------------------------------------------

    def _cells(self, column: pd.Series, port: Mapping[str, Any]) -> Array:
        """A column as the graph takes it."""
        missing = column.isna().to_numpy()
        if port["type"] == "string":
            return np.array(["" if gone else str(cell) for cell, gone in zip(column, missing, strict=True)], object)
        if port["unit"]:
            return self._moments(column, port)
        if column.dtype.kind in "iub" and port["type"] == "int64":
            return np.where(missing, MISSING, column.to_numpy(np.int64, na_value=0))
        if column.dtype.kind == "O":
            # True and False beside a missing cell: `to_numeric` takes 1 and 0.
            column = column.map(lambda cell: int(cell) if isinstance(cell, bool) else cell)
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        odd = np.isnan(numbers) & ~missing
        if port["levels"] is not None:  # a level never seen may be anything
            numbers = np.where(odd, max((*port["levels"], 0)) + 1, numbers)
        elif odd.any():
            cell = column.to_numpy()[odd.argmax()]
            raise ValueError(f"column '{port['name']}' has {cell!r}, which is no number")
        if port["type"] != "int64":
            return numbers.astype(port["type"])
        return np.where(missing, MISSING, np.rint(np.where(missing, 0, numbers)).astype(np.int64))

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
            return [None if port["has_missing"] and cell == "" else cell for cell in cells.tolist()]
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


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Served:
    """What MLflow calls. model_config: {"device": "cuda"} for a GPU."""
    return Served(path, (model_config or {}).get("device", "cpu"))
