"""What classifiers see of a table: one matrix of numbers, moments as seconds, and codes of levels."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gantools.classify.figures import Floats, Ints
from gantools.data.tables.dates import parse
from gantools.data.tables.raw import UNSEEN, is_time, to_raw

if TYPE_CHECKING:
    from gantools.data.tables.schema import Schema

MAX_LEVELS = 50  # levels of a text column that the classifiers tell apart; the rarer ones are one level
LARGEST = 1e100  # the square of a greater number is not a number any more
MICROSECONDS = 1e6  # in a second

_OTHER = "(other)"
_MISSING = "(missing)"
_TYPES = {
    "continuous": "number",
    "integer": "number",
    "datetime": "time",
    "categorical": "level",
    "boolean": "level",
}


class Features:
    """Turns any table with the training rows' columns into one matrix: numbers, dates as seconds, levels as codes.

    NaN is a missing number or date. A missing level is a level of its own; the levels beyond the most frequent
    `MAX_LEVELS` share one, as do levels never seen in the training rows when there are such; otherwise those are -1.
    kinds: of each column that is used, "number", "time" or "level".
    """

    def __init__(self, train: pd.DataFrame, target: str, schema: Schema | None) -> None:
        """schema: kinds of the columns; identifiers and constants are left out. Without it the dtypes decide."""
        kinds = {} if schema is None else {column.name: column for column in schema.columns}
        self.kinds: dict[str, str] = {}
        self.formats: dict[str, str | None] = {}
        self.levels: dict[str, pd.Index[Any]] = {}
        for name in train.columns:
            if name == target or name == "is_synthetic":
                continue
            column = kinds.get(str(name))
            kind = _kind(train[name]) if column is None else _TYPES.get(str(column.kind), "")
            if not kind or train[name].isna().all():
                continue
            self.kinds[name] = kind
            self.formats[name] = None if column is None else column.format
            if kind == "level":
                codes, texts = _texts(train[name])
                order = np.argsort(-np.bincount(codes, minlength=len(texts)), kind="stable")
                kept = [texts[i] for i in order[:MAX_LEVELS]]
                self.levels[name] = pd.Index([*kept, _OTHER] if len(order) > MAX_LEVELS else kept, dtype=object)
        self.is_level = np.array([kind == "level" for kind in self.kinds.values()], dtype=bool)

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """[N, columns] float64 of any frame that has the training rows' columns."""
        columns = [self._column(frame[name], name, kind) for name, kind in self.kinds.items()]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def code_of(self, name: str, text: str) -> int:
        """The code of a level of a text column."""
        levels = self.levels[name]
        if text in levels:
            return int(levels.get_indexer(pd.Index([text], dtype=object))[0])
        return len(levels) - 1 if levels[-1] == _OTHER else -1

    def _column(self, column: pd.Series[Any], name: str, kind: str) -> Floats:
        if kind == "level":
            codes, texts = _texts(column)
            known = self.levels[name].get_indexer(pd.Index(texts, dtype=object))
            if self.levels[name][-1] == _OTHER:
                known = np.where(known < 0, len(self.levels[name]) - 1, known)
            return known[codes].astype(np.float64)
        return _seconds(column, self.formats[name]) if kind == "time" else _numbers(column)

    def filled(self, matrix: Floats) -> Floats:
        """The matrix with missing numbers replaced by their medians, as SMOTE needs it."""
        missing = np.isnan(matrix)
        if not missing.any():
            return matrix
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column that is missing everywhere has no median
            middle = np.nan_to_num(np.nanmedian(matrix, axis=0))
        return np.where(missing, middle, matrix)


class RawFeatures(nn.Module):
    """The same matrix from raw rows, as `to_raw` reads them: a module, which exports with a classifier.

    columns: how many the matrix has.
    """

    codes: Tensor  # [codes of all text columns] float64, what each raw code stands for
    starts: Tensor  # [text columns] int64, where the codes of each begin; the first is of a level never seen
    lasts: Tensor  # [text columns] int64, the largest raw code of each
    units: Tensor  # [number columns] float64, what numbers are divided by
    numeric: Tensor  # [number columns] int64, their places in `Raw.numbers`
    categorical: Tensor  # [text columns] int64, their places in `Raw.codes`
    order: Tensor  # [columns] int64, places of the matrix's columns among numbers and then text columns

    def __init__(self, n_numbers: int, n_levels: int, n_codes: int) -> None:
        """n_numbers, n_levels: columns of either kind. n_codes: raw codes of all text columns."""
        super().__init__()
        self.columns = n_numbers + n_levels
        self.register_buffer("codes", torch.zeros(n_codes, dtype=torch.float64))
        self.register_buffer("units", torch.ones(n_numbers, dtype=torch.float64))
        for name, size in {
            "starts": n_levels,
            "lasts": n_levels,
            "numeric": n_numbers,
            "categorical": n_levels,
            "order": self.columns,
        }.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))

    @classmethod
    def of(cls, features: Features, schema: Schema) -> Self:
        numbers = [name for name, kind in features.kinds.items() if kind != "level"]
        levels = [name for name, kind in features.kinds.items() if kind == "level"]
        codes: list[int] = []
        starts, lasts = [], []
        for name in levels:
            column = schema[name]
            texts = [_text(level) for level in column.levels]
            known = [features.code_of(name, text) for text in texts]
            rest = features.code_of(name, _OTHER)
            starts.append(len(codes))
            lasts.append(len(known))
            codes += [rest, features.code_of(name, _MISSING), *known, rest]
        found = cls(len(numbers), len(levels), len(codes))
        names = [*numbers, *levels]
        units = [MICROSECONDS if is_time(schema[name]) else 1.0 for name in numbers]
        for buffer, values in {
            "codes": codes,
            "units": units,
            "starts": starts,
            "lasts": lasts,
            "numeric": [schema.numeric.index(name) for name in numbers],
            "categorical": [schema.categorical.index(name) for name in levels],
            "order": [names.index(name) for name in features.kinds],
        }.items():
            found.get_buffer(buffer).copy_(torch.tensor(values))
        return found

    def sizes(self) -> dict[str, int]:
        """What `__init__` takes."""
        return {"n_numbers": len(self.numeric), "n_levels": len(self.categorical), "n_codes": len(self.codes)}

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """numbers: [N, n_numeric] float64. codes: [N, n_categorical] int64. Returns [N, columns] float64."""
        number = (numbers[:, self.numeric] / self.units).clamp(-LARGEST, LARGEST)
        code = codes[:, self.categorical].clamp(min=UNSEEN).minimum(self.lasts)
        return torch.cat([number, self.codes[self.starts + code - UNSEEN]], 1)[:, self.order]


class ReadFeatures(Features):
    """The features of rows that a schema reads, in exactly the way in which a saved classifier reads them."""

    def __init__(self, train: pd.DataFrame, target: str, schema: Schema) -> None:
        super().__init__(train, target, schema)
        self.schema = schema
        self.module = RawFeatures.of(self, schema)

    def matrix(self, frame: pd.DataFrame) -> Floats:
        raw = to_raw(frame, self.schema)
        matrix: Floats = self.module(torch.from_numpy(raw.numbers), torch.from_numpy(raw.codes)).numpy()
        return matrix


def _kind(column: pd.Series[Any]) -> str:
    """What a column without a schema is taken for: number, time or level."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "level"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    if _dtype_kind(column) in "mM":
        return "time"
    if pd.api.types.is_object_dtype(dtype):
        seen = pd.api.types.infer_dtype(column, skipna=True)
        if seen in ("integer", "floating", "mixed-integer-float", "decimal"):
            return "number"
        if seen in ("datetime", "datetime64", "date"):
            return "time"
    return "level"


def _numbers(column: pd.Series[Any]) -> Floats:
    if _dtype_kind(column) == "m":
        return _seconds(column, None)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column, errors="coerce")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    values[~np.isfinite(values)] = np.nan
    clipped: Floats = np.clip(values, -LARGEST, LARGEST)
    return clipped


def _seconds(column: pd.Series[Any], text_format: str | None) -> Floats:
    """Lengths of time, or moments since the epoch. text_format: how moments that are text are written."""
    if _dtype_kind(column) == "m":
        return np.asarray(column.dt.total_seconds(), dtype=np.float64)
    if text_format and _dtype_kind(column) != "M":
        moments = parse(column, text_format)
    else:
        moments = pd.to_datetime(column, errors="coerce", utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / MICROSECONDS)


def _dtype_kind(column: pd.Series[Any]) -> str:
    """ "M" for moments, "m" for lengths of time, whatever holds them."""
    return str(getattr(column.dtype, "kind", "O"))


def _texts(column: pd.Series[Any]) -> tuple[Ints, list[str]]:
    """Codes of the cells and the text of each code; missing cells are a text of their own. 1 and 1.0 are one level."""
    codes, uniques = pd.factorize(column)
    texts = [_text(level) for level in uniques]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(texts), codes)
        texts.append(_MISSING)
    return codes.astype(np.int64), texts


def _text(level: Any) -> str:
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)
