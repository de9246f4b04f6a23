"""Exported models: what their metadata say, JSON rows and pictures to tensors, and tensors back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from pictures import BadPicture, written

MISSING_INT = -(2**63)
MOST = {"int64": 2**63 - 1, "float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SINCE_1970 = "microseconds since 1970-01-01 UTC"
ERRORS_ONLY = 3  # onnxruntime warns of inputs with a default, which are meant


class BadRow(Exception):
    """A row that the model cannot take. The message names the column and says what to do."""


class ModelError(Exception):
    """A file that is no model for this service. The message names the file."""


class Column:
    """A column as the graph takes or gives it.

    type: "float32", "float64", "int64" or "string". levels: of a category. unit: of whole numbers that are times.
    """

    def __init__(self, port: Mapping[str, Any]) -> None:
        self.name: str = port["name"]
        self.type: str = port["type"]
        self.levels: tuple[Any, ...] | None = None if port["levels"] is None else tuple(port["levels"])
        self.unit: str = port["unit"]
        self.has_missing: bool = port["has_missing"]
        text = port["missing"] if self.has_missing else ""
        self.missing: Any = {"string": text, "int64": MISSING_INT}.get(self.type, math.nan)
        self.dtype: Any = object if self.type == "string" else self.type
        self.is_truth = self.type == "int64" and self.levels is not None and set(self.levels) <= {0, 1}
        self._known = frozenset(self.levels) if self.type == "string" and self.levels else frozenset()

    def cell(self, value: Any) -> Any:
        """A JSON value as the tensor holds it. Raises BadRow."""
        if value is None:
            if not self.has_missing:
                raise BadRow(f"column '{self.name}' has no missing cells in this model: give a value")
            return self.missing
        if self.type == "string":
            return value if value.__class__ is str and value in self._known else self._text(value)
        if value.__class__ is int and -MOST["int64"] <= value <= MOST["int64"]:
            return value
        return self._number(value)

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise BadRow(f"column '{self.name}' is text, but the cell is {_said(value)}: write it in quotes")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadRow(f"column '{self.name}' holds half of a surrogate pair: send valid Unicode") from None
        return f"{value}?" if self.has_missing and value == self.missing else value  # null is missing, and this is not

    def _number(self, value: Any) -> int | float:
        """Whatever is no whole number of 64 bits."""
        if isinstance(value, bool):
            if self.is_truth:
                return int(value)
        elif isinstance(value, str):
            if self.unit == SINCE_1970:
                return self._time(value)
        elif isinstance(value, int | float):
            if value != value or abs(value) > MOST[self.type]:
                raise BadRow(f"column '{self.name}' cannot hold {_said(value)}: give a smaller number, or null")
            if self.type != "int64":
                return float(value)
            if value != math.floor(value):
                raise BadRow(f"column '{self.name}' is a whole number, but the cell is {_said(value)}: round it")
            return int(value)
        what = "a time as ISO 8601 text or microseconds since 1970" if self.unit == SINCE_1970 else "a number"
        raise BadRow(f"column '{self.name}' is {what}, but the cell is {_said(value)}: give {what}, or null")

    def _time(self, value: str) -> int:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise BadRow(
                f"column '{self.name}' is a time, but the cell is {_said(value)}: write it as 2024-12-31T23:59:00"
            ) from None
        past = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
        return (past.days * 86400 + past.seconds) * 1_000_000 + past.microseconds

    def to_json(self, values: np.ndarray) -> list[Any]:
        """Values of the graph as JSON holds them: what is missing as None, points in time as text."""
        if self.unit == SINCE_1970:
            texts = np.datetime_as_string(values.view("datetime64[us]")).tolist()
            return [None if text == "NaT" else text for text in texts]
        if self.type == "int64":
            return [None if value == MISSING_INT else value for value in values.tolist()]
        if self.type == "string":
            return [None if value == self.missing and self.has_missing else value for value in values.tolist()]
        return [None if value != value else value for value in values.tolist()]

    def described(self) -> dict[str, Any]:
        """For people who write requests."""
        kind = "truth" if self.is_truth else "text" if self.type == "string" else "number"
        if self.type == "int64" and kind == "number":
            kind = "time" if self.unit == SINCE_1970 else "whole number"
        found: dict[str, Any] = {"name": self.name, "kind": kind, "type": self.type, "may_be_null": self.has_missing}
        if self.levels is not None:
            found["levels"] = list(self.levels)
        if self.unit:
            found["unit"] = self.unit
        return found


def _named(columns: Sequence[str]) -> str:
    """The beginning of a sentence about columns, cut short."""
    if len(columns) == 1:
        return f"column '{columns[0][:40]}' is"
    names = ", ".join(f"'{name[:40]}'" for name in columns[:20])
    return f"columns {names}{', ...' if len(columns) > 20 else ''} are"


def _said(value: Any) -> str:
    """A JSON value in a message, cut short."""
    kind = {dict: "an object", list: "a list", bool: "true" if value is True else "false"}.get(type(value))
    if kind:
        return kind
    text = repr(value) if isinstance(value, str | float) or abs(value) < 10**40 else "a very large number"
    return text if len(text) <= 43 else text[:40] + "..."


class _Model:
    kind: str

    def __init__(self, path: str, threads: int = 1) -> None:
        """threads: of one run. Raises ModelError."""
        self.path = path
        if not Path(path).is_file():
            raise ModelError(f"{path}: there is no such file; name a model written by `gantools export`")
        options = ort.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class
            raise ModelError(f"{path}: onnxruntime cannot open it: {str(error).splitlines()[0]}") from error
        entries = self.session.get_modelmeta().custom_metadata_map
        kind = entries.get("gantools.kind")
        if kind != self.kind:
            what = f"a model of the kind '{kind}'" if kind else "no model of gantools"
            raise ModelError(f"{path}: it is {what}, and one of the kind '{self.kind}' is needed here")
        self.entries = entries
        try:
            self.read()
        except ModelError:
            raise
        except Exception as error:  # metadata that were changed fail in any way
            raise ModelError(f"{path}: its metadata cannot be read; export it again") from error

    def read(self) -> None:
        """Take from the metadata what is needed."""
        self.names: dict[str, str] = json.loads(self.entries["gantools.names"])
        self.inputs = [Column(port) for port in json.loads(self.entries["gantools.inputs"])]
        self.outputs = [Column(port) for port in json.loads(self.entries["gantools.outputs"])]

    def loaded(self) -> dict[str, Any]:
        return {
            "file": Path(self.path).name, "model": self.entries["gantools.model"],
            "exported": self.entries["gantools.exported"], "version": self.entries["gantools.version"],
        }  # fmt: skip


class Scorer(_Model):
    """An exported scorer of tables. A row is a tuple of cells in the order of `inputs`."""

    kind = "table-scorer"

    def read(self) -> None:
        super().read()
        self.threshold = float(self.entries["gantools.threshold"])
        self.blamed: list[str] = json.loads(self.entries["gantools.contribution_columns"])
        self._columns = tuple((column.name, column.cell) for column in self.inputs)
        self._names = frozenset(column.name for column in self.inputs)
        # Identifiers and constants of the training table are no inputs; a row may bring them all the same.
        table = {column["name"] for column in json.loads(self.entries["gantools.schema"])["columns"]}
        self.ignored = frozenset(table - self._names)
        self._asked = [self.names[name] for name in ("anomaly_score", "p_value", "is_anomaly")]
        self._explained = [*self._asked, self.names["contribution"]]
        settings = {"threshold": np.array([self.threshold]), "explain": np.array(False)}
        self._settings = {self.names[what]: value for what, value in settings.items()}

    def rows(self, objects: Sequence[Any]) -> list[tuple[Any, ...]]:
        """JSON objects as rows. Raises BadRow naming the row and the column."""
        found = []
        for index, row in enumerate(objects):
            try:
                if row.__class__ is not dict or row.keys() != self._names:
                    self._check_names(row)
                found.append(tuple([cell(row[name]) for name, cell in self._columns]))
            except BadRow as error:
                raise BadRow(f"row {index}: {error}") from None
        return found

    def _check_names(self, row: Any) -> None:
        if not isinstance(row, dict):
            raise BadRow("it is no object: send an object with a value per column")
        if left_out := [name for name, _ in self._columns if name not in row]:
            raise BadRow(f"{_named(left_out)} left out: give a value, or null where it is missing")
        if unknown := [name for name in row if name not in self._names and name not in self.ignored]:
            raise BadRow(f"{_named(unknown)} unknown to the model: leave out what GET /schema does not list")

    def score(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Per row: anomaly_score, p_value, is_anomaly by the model's own threshold."""
        parts = self.session.run(self._asked, self._feed(rows))
        return list(zip(*(part.tolist() for part in parts), strict=True))

    def explain(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """As `score`, and what each column contributes to the score, in the order of `blamed`."""
        feed = {**self._feed(rows), self.names["explain"]: np.array(True)}
        parts = self.session.run(self._explained, feed)
        return list(zip(*(part.tolist() for part in parts), strict=True))

    def _feed(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, np.ndarray]:
        cells = {
            column.name: np.array(cells, dtype=column.dtype)
            for column, cells in zip(self.inputs, zip(*rows, strict=True), strict=True)
        }
        return {**self._settings, **cells}

    def answer(self, found: Sequence[Any], threshold: float | None) -> dict[str, Any]:
        """What a client is told of a row. threshold: None for the model's own."""
        score, p_value, flagged = found[:3]
        if threshold is not None:
            flagged = not score <= threshold  # as the graph compares: NaN is not normal
        told = {"anomaly_score": _finite(score), "p_value": _finite(p_value), "is_anomaly": flagged}
        if len(found) > 3:
            told["contributions"] = dict(zip(self.blamed, map(_finite, found[3]), strict=True))
        return told

    def described(self) -> dict[str, Any]:
        return {
            "columns": [column.described() for column in self.inputs], "ignored": sorted(self.ignored),
            "threshold": self.threshold,
        }  # fmt: skip


class Generator(_Model):
    """An exported generator of tables. A row is its noise [noise_width] and its label."""

    kind = "table-generator"

    def read(self) -> None:
        super().read()
        if self.names["noise"] not in {value.name for value in self.session.get_inputs()}:
            raise ModelError(f"{self.path}: it draws its noise itself, so a seed says nothing; export it the usual way")
        self.noise_width = int(self.entries["gantools.noise_width"])
        (self.label,) = self.inputs
        counts = json.loads(self.entries["gantools.class_counts"])
        self.labels = [level for level, n in zip(self.label.levels or (), counts, strict=True) if n]
        self._made = [column.name for column in self.outputs]

    def rows(self, label: Any, n: int, seed: int) -> list[tuple[np.ndarray, Any]]:
        """n rows to make, the same for the same seed. Raises BadRow for a label that the model has not learned."""
        known = ", ".join(map(repr, self.labels[:20]))
        if label is None:
            raise BadRow(f"'label' is left out: give one of {known}")
        value = self.label.cell(label)
        if value not in self.labels:
            raise BadRow(f"there is no label {_said(label)}: give one of {known}")
        noise = np.random.default_rng(seed).standard_normal((n, self.noise_width), dtype=np.float32)
        return [(row, value) for row in noise]

    def make(self, rows: Sequence[tuple[np.ndarray, Any]]) -> list[dict[str, Any]]:
        """Rows as JSON objects."""
        noise, labels = zip(*rows, strict=True)
        feed = {self.names["noise"]: np.stack(noise), self.label.name: np.array(labels, dtype=self.label.dtype)}
        parts = self.session.run(self._made, feed)
        cells = [column.to_json(part) for column, part in zip(self.outputs, parts, strict=True)]
        return [dict(zip(self._made, row, strict=True)) for row in zip(*cells, strict=True)]

    def described(self) -> dict[str, Any]:
        return {"labels": self.labels, "columns": [column.described() for column in self.outputs]}


class Translator(_Model):
    """An exported translator of pictures."""

    kind = "image-translator"

    def read(self) -> None:
        super().read()
        if "mask" in self.names:
            raise ModelError(f"{self.path}: it fills holes, and this service takes pictures without a mask")
        self.channels = int(json.loads(self.entries["gantools.schema"])["channels"])
        self.scale = int(self.entries["gantools.scale"])
        self.shape: list[int] | None = json.loads(self.entries["gantools.shape"])
        self.made_channels = int(json.loads(self.entries["gantools.target_schema"])["channels"])

    def check(self, picture: np.ndarray) -> None:
        """Raises BadPicture for a picture that the graph does not take."""
        if self.shape is not None and [*picture.shape[:2]] != self.shape:
            height, width = self.shape
            raise BadPicture(f"the model takes pictures {width} pixels wide and {height} high: send such a picture")

    def translate(self, jobs: Sequence[tuple[np.ndarray, str]]) -> list[tuple[bytes, str]]:
        """Pictures [H, W, channels] and the formats of their files to what is made of them, as files."""
        asked = [self.names["transformed"]]
        return [
            written(self.session.run(asked, {self.names["image"]: picture[None]})[0][0], form) for picture, form in jobs
        ]

    def described(self) -> dict[str, Any]:
        return {
            "channels": self.channels, "made_channels": self.made_channels, "scale": self.scale, "shape": self.shape,
        }  # fmt: skip


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None
