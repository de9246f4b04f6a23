"""What workflows on tables share: columns that are named, kinds as text, columns left out, targets that are none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gantools.data.tables.reader import column_names
from gantools.data.tables.schema import Kind, Schema, check_there
from gantools.errors import ConfigError, DataError
from gantools.words import listed, meant
from gantools.workflow.opening import about


def kinds_of(kinds: Mapping[str, str] | None) -> dict[str, Kind] | None:
    """Column -> kind, from words. Raises ConfigError for a kind that does not exist, with the nearest one."""
    return None if kinds is None else {column: _kind(word) for column, word in kinds.items()}


def _kind(word: str) -> Kind:
    known = [kind.value for kind in Kind]
    word = word.strip().lower()
    if word in known:
        return Kind(word)
    near = difflib.get_close_matches(word, known, n=1)
    remedy = f"choose from {', '.join(known)}"
    if near:
        remedy = f"did you mean {near[0]!r}? {remedy}"
    raise ConfigError(f"unknown kind {word!r}", where="kinds", remedy=remedy)


def check_columns(request: Any, source: Path) -> None:
    """Refuse a request that names columns which the table to learn from, `source`, does not have.

    Only the names are read. Raises DataError for the table, its target and its marks, which may also be in the data
    alone, ConfigError for columns to drop; each with the nearest name.
    """
    names, kinds = column_names(source), kinds_of(request.kinds) or {}
    target, labels = getattr(request, "target", None), getattr(request, "labels", None)
    by = getattr(request, "by", None)
    with about(source):
        check_there([*(one for one in (target, by) if one is not None), *kinds], names)
        if labels is not None and labels not in names and labels not in column_names(request.data):
            remedy = meant(labels, names, "name the column that marks known anomalies")
            raise DataError("there is no such column", where=f"column '{labels}'", remedy=remedy)
    _check_drop(request.drop, names, target, labels, by)


def _check_drop(drop: Sequence[str], names: Sequence[str], *needed: str | None) -> None:
    for name in drop:
        if name in needed:
            raise ConfigError(
                f"'{name}' is what the rows are labelled or grouped by", where="drop", remedy="leave it out"
            )
        if name not in names:
            remedy = meant(name, names, f"the columns are {listed(names, 10)}")
            raise ConfigError(f"there is no column '{name}'", where="drop", remedy=remedy)


def without(frame: pd.DataFrame, drop: Sequence[str], *needed: str | None) -> pd.DataFrame:
    """The table without the columns that nothing is to be learned from.

    needed: columns that cannot be dropped. Raises ConfigError for one of these, and for a column that is not there.
    """
    names = {str(name): name for name in frame.columns}
    _check_drop(drop, list(names), *needed)
    left = frame.drop(columns=[names[name] for name in drop])
    if not left.shape[1]:
        raise ConfigError("no column is left", where="drop", remedy="keep some")
    return left


def refuse_synthetic(frame: pd.DataFrame) -> None:
    """Refuse a table that holds synthetic rows, where real ones are wanted. Raises DataError."""
    from gantools.augment.balance import FLAG

    if FLAG in frame.columns:
        remedy = f"keep the rows where it is false and drop it; or rename the column '{FLAG}'"
        raise DataError("the table holds synthetic rows already", where=f"column '{FLAG}'", remedy=remedy)


def given_back(made: pd.DataFrame, real: pd.DataFrame, drop: Sequence[str]) -> pd.DataFrame:
    """A table that was made from a real one without the columns `drop`, with these where they were.

    made: rows of the real table first, or new rows alone, with an index of their own. real: as many rows as are real,
    which may be none. The new rows have no cells there.
    """
    n_new = len(made) - len(real)
    found = made.copy(deep=False)
    for place, name in enumerate(real.columns):
        if str(name) in drop:
            found.insert(place, name, _lengthened(real[name], n_new).set_axis(made.index))
    return found


def _lengthened(cells: pd.Series, n_more: int) -> pd.Series:
    """Cells with so many missing ones behind them; whole numbers and truths stay what they are."""
    if n_more and isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "iub":
        cells = cells.convert_dtypes()
    return cells.reset_index(drop=True).reindex(range(len(cells) + n_more))


def check_target(schema: Schema) -> None:
    """Refuse a target that cannot be a class: a single label, or more labels than half the rows. Raises DataError."""
    where = f"column '{schema.target}'"
    n_labels = len(schema[str(schema.target)].levels)
    if n_labels < 2:
        raise DataError("all rows have one class", where=where, remedy="give rows of at least two classes")
    if 2 * n_labels > schema.n_rows:
        problem = f"has {n_labels} different labels in {schema.n_rows} rows, so it is no class"
        raise DataError(
            problem, where=where, remedy="name the column of the classes, or fill a range of numbers with `rare`"
        )
