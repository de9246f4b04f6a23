"""What workflows on tables share: kinds of columns as text, and targets that are none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from gantools.data.tables.schema import Kind, Schema
from gantools.errors import ConfigError, DataError


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


def check_target(schema: Schema) -> None:
    """Refuse a target that cannot be a class: a single label, or more labels than half the rows. Raises DataError."""
    where = f"column '{schema.target}'"
    n_labels = len(schema[str(schema.target)].levels)
    if n_labels < 2:
        raise DataError("all rows have one class", where=where, remedy="give rows of at least two classes")
    if 2 * n_labels > schema.n_rows:
        problem = f"has {n_labels} different labels in {schema.n_rows} rows, so it is no class"
        raise DataError(problem, where=where, remedy="name the column of the classes, or put measurements into ranges")
