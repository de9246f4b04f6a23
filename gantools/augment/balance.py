"""Class counts -> rows to make -> a balanced table, in which no copy of a real row passes as synthetic."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from imblearn.utils import check_sampling_strategy

from gantools.augment.small import MIN_ROWS
from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables.schema import own_names, text_names
from gantools.errors import ConfigError, DataError

STRATEGIES = ("auto", "minority", "not minority", "not majority", "all")
REDRAWS = 5  # rounds of drawing anew for rows that are copies of real ones
FLAG = "is_synthetic"

Strategy = str | float | Mapping[Any, int]


@dataclass(frozen=True)
class BalanceResult:
    """A balanced table.

    frame: original rows first and untouched, then synthetic ones; columns as before, and `is_synthetic` last.
    counts_before, counts_after: label -> rows. n_copies_redrawn: synthetic rows that were exact copies of real ones and
    were replaced. n_copies_left: those that still are, after `REDRAWS` rounds. notes: what else the user should know.
    """

    frame: pd.DataFrame
    counts_before: dict[Any, int]
    counts_after: dict[Any, int]
    n_copies_redrawn: int
    n_copies_left: int
    notes: tuple[str, ...]

    @property
    def n_synthetic(self) -> int:
        """Synthetic rows in `frame`."""
        return sum(self.counts_after.values()) - sum(self.counts_before.values())

    def to_json(self) -> dict[str, Any]:
        """All of it but the rows, as plain values for `json.dumps`."""
        return {
            "classes": class_counts(self.counts_before, self.counts_after),
            "n_synthetic": self.n_synthetic,
            "n_copies_redrawn": self.n_copies_redrawn,
            "n_copies_left": self.n_copies_left,
            "notes": list(self.notes),
        }


def class_counts(before: Mapping[Any, int], after: Mapping[Any, int]) -> list[dict[str, Any]]:
    """How many samples each class had and has, as plain values for `json.dumps`."""
    return [{"label": label, "before": before.get(label, 0), "after": n} for label, n in after.items()]


def balance(
    frame: pd.DataFrame, target: str, *, strategy: Strategy = "auto", synthesizer: Synthesizer, seed: int = 0
) -> BalanceResult:
    """Fill the rarer classes of `frame` with synthetic rows.

    strategy: imbalanced-learn's `sampling_strategy`: "auto" (every class but the largest), "minority", "not minority",
    "not majority", "all", a ratio for two classes, or label -> rows wanted in the end. Raises ConfigError for a
    strategy that does not fit the labels.
    """
    frame, target = text_names(frame), str(target)
    if FLAG in frame.columns:
        raise DataError("exists already", where=f"column '{FLAG}'", remedy="rename or drop it")
    if target not in frame.columns:
        raise DataError("lacks the column of the labels", where=f"column '{target}'")
    before = {label: int(n) for label, n in frame[target].value_counts().items()}
    to_make = rows_to_make(frame[target], strategy)
    notes = []
    rows, redrawn, left = fresh_rows(synthesizer, frame, to_make, seed)
    counts = dict(zip(synthesizer.schema_[target].levels, synthesizer.gan_.spec.condition.class_counts, strict=True))
    small = [f"{label!r} ({counts[label]})" for label in to_make if counts[label] < MIN_ROWS]
    if small:
        notes.append(
            f"Too few rows to learn from: {', '.join(small)}. Their synthetic rows are real ones moved towards "
            "another of the same class."
        )
    if left:
        notes.append(f"{left} synthetic rows equal real ones: the table has too few distinct rows to avoid it.")
    flagged = [
        part.assign(**{FLAG: flag}) for part, flag in ((frame, False), (rows[list(frame.columns)], True)) if len(part)
    ]
    whole = own_names(joined(*flagged), synthesizer.schema_)
    after = {label: n + to_make.get(label, 0) for label, n in before.items()}
    return BalanceResult(whole, before, after, redrawn, left, tuple(notes))


def joined(real: pd.DataFrame, made: pd.DataFrame | None = None) -> pd.DataFrame:
    """Real rows and synthetic ones below, in the real ones' dtypes, or in wider ones that hold all cells of both."""
    if made is None:
        return real.reset_index(drop=True)
    whole = pd.concat([real, made], ignore_index=True)
    for name in real.columns:
        dtype, wider = real[name].dtype, whole[name]
        if wider.dtype == dtype:
            continue
        if made[name].dtype == dtype or made[name].isna().all():  # concat widens where a part is all missing
            with contextlib.suppress(ValueError, TypeError):
                whole[name] = wider.astype(dtype)
        elif pd.api.types.is_bool_dtype(dtype) != pd.api.types.is_bool_dtype(made[name].dtype):
            whole[name] = pd.concat([real[name].astype(object), made[name].astype(object)], ignore_index=True)
    return whole


def rows_to_make(labels: pd.Series, strategy: Strategy) -> dict[Any, int]:
    """Label -> how many rows to make. Raises ConfigError for a strategy that does not fit the labels."""
    if labels.isna().any():
        raise DataError(
            f"{int(labels.isna().sum())} labels are missing",
            where=f"column '{labels.name}'",
            remedy="fill or drop those rows",
        )
    codes, levels = pd.factorize(labels, sort=True)
    place = {level: code for code, level in enumerate(levels)}
    given: Any = strategy
    if isinstance(strategy, Mapping):
        unknown = [label for label in strategy if label not in place]
        if unknown:
            remedy = f"the labels are {', '.join(map(repr, list(levels)[:20]))}"
            raise ConfigError(f"there is no label {unknown[0]!r}", where="strategy", remedy=remedy)
        given = {place[label]: int(n) for label, n in strategy.items()}
        short = [label for label, n in strategy.items() if n < int((codes == place[label]).sum())]
        if short:
            raise ConfigError(
                f"asks for fewer rows of {short[0]!r} than there are", where="strategy", remedy="ask for more"
            )
    elif isinstance(strategy, str) and strategy not in STRATEGIES:
        raise ConfigError(f"{strategy!r} is unknown", where="strategy", remedy="use one of " + ", ".join(STRATEGIES))
    try:
        wanted = check_sampling_strategy(given, codes, "over-sampling")
    except ValueError as error:
        raise ConfigError(str(error).rstrip("."), where="strategy") from error
    return {levels[code]: int(n) for code, n in wanted.items() if n > 0}


def fresh_rows(
    synthesizer: Synthesizer, real: pd.DataFrame, counts: Mapping[Any, int], seed: int
) -> tuple[pd.DataFrame, int, int]:
    """Synthetic rows that are no copies of real ones.

    Returns (rows, how many copies were redrawn, how many are left).
    """
    real = text_names(real)
    rows = text_names(synthesizer.sample(counts, seed=seed, to_balance=real))
    target = str(synthesizer.schema_.target)
    kinds = synthesizer.schema_
    compared = [*kinds.numeric, *kinds.categorical]
    known = np.unique(_fingerprints(real, compared))
    redrawn = 0
    copies = np.flatnonzero(np.isin(_fingerprints(rows, compared), known))
    for attempt in range(REDRAWS):
        if not len(copies):
            break
        labels = rows[target].iloc[copies]
        wanted = labels.value_counts(sort=False).to_dict()
        again = text_names(synthesizer.sample(wanted, seed=seed + 1_000_003 * (attempt + 1), to_balance=real))
        order = np.argsort(_places(labels, again[target]), kind="stable")  # rows come label by label
        fresh = ~np.isin(_fingerprints(again, compared), known)
        put, take = copies[order][fresh], np.flatnonzero(fresh)
        if len(take):
            for name in compared:
                column = rows[name].copy()
                column.iloc[put] = again[name].iloc[take].array
                rows[name] = column
        redrawn += len(take)
        copies = np.setdiff1d(copies, put)
    return rows, redrawn, len(copies)


def _places(labels: pd.Series, order: pd.Series) -> np.ndarray:
    """Each label's place in the order in which labels first stand in `order`."""
    first = {label: place for place, label in enumerate(order.drop_duplicates())}
    return labels.map(first).to_numpy(dtype=np.int64)


def _fingerprints(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    return np.asarray(pd.util.hash_pandas_object(frame[columns], index=False))


def parse_strategy(text: str) -> Strategy:
    """`sampling_strategy` as written on a command line: a name, a ratio, or JSON such as '{"yes": 500}'.

    Raises ConfigError for anything else. JSON's keys are text; a caller matches them to labels.
    """
    name = text.strip().replace("not-", "not ")
    if name in STRATEGIES:
        return name
    try:
        value = json.loads(name)
        value = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    except (ValueError, OverflowError, RecursionError):
        value = None
    if isinstance(value, bool) or not isinstance(value, (int, float, dict)):
        remedy = "use " + ", ".join(STRATEGIES) + """, a ratio such as 0.5, or '{"label": rows}'"""
        raise ConfigError(f"{text!r} is no strategy", where="strategy", remedy=remedy)
    if isinstance(value, dict):
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63 for n in value.values()):
            raise ConfigError("every label needs a whole number of rows, below 2**63", where="strategy")
        return value
    return float(value)
