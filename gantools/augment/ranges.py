"""A range of a number that few rows lie in, treated as a rare class: rows are made whose number lies in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gantools.augment.balance import FLAG, BalanceResult, Strategy, joined, rows_to_make
from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables.schema import Schema, own_names
from gantools.errors import ConfigError, DataError
from gantools.words import percent

RARE, OTHER = "in the range", "outside it"  # the classes that a generator is told
WRITTEN = "above=500000, below=10 or 10..20"
LEAST_ROWS = 10  # in the range, to learn from


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both of which belong to it; None for an end that is open."""

    low: float | None = None
    high: float | None = None

    @classmethod
    def read(cls, text: str) -> Range:
        """The range that is meant by "above=500000", "below=10" or "10..20". Raises ConfigError."""
        word, _, value = text.strip().lower().partition("=")
        low, dots, high = text.partition("..")
        try:
            if word in ("above", "below"):
                return cls(float(value), None) if word == "above" else cls(None, float(value))
            if dots and float(low) <= float(high):
                return cls(float(low), float(high))
        except ValueError:
            pass
        raise ConfigError(f"{text!r} is no range", where="rare", remedy=f"write {WRITTEN}")

    def __str__(self) -> str:
        if self.low is None:
            return f"up to {self.high:g}"
        return f"from {self.low:g} on" if self.high is None else f"{self.low:g} to {self.high:g}"

    def holds(self, numbers: pd.Series) -> np.ndarray:
        """Of each number whether it lies in the range; a missing one does not."""
        values = pd.to_numeric(numbers, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        low, high = -np.inf if self.low is None else self.low, np.inf if self.high is None else self.high
        return (values >= low) & (values <= high)

    def labels(self, numbers: pd.Series) -> pd.Series:
        """The class of each number, `RARE` or `OTHER`."""
        return pd.Series(np.where(self.holds(numbers), RARE, OTHER), index=numbers.index, dtype=object)


@dataclass(frozen=True)
class RangeTask:
    """The range of a column of a table. label: the name of the column of classes that generators are given besides."""

    target: str
    range: Range
    label: str

    @classmethod
    def of(cls, frame: pd.DataFrame, target: str, rare: Range) -> RangeTask:
        """Raises DataError for a column of no numbers, or with too few rows in the range or outside it."""
        where = f"column '{target}'"
        if not pd.api.types.is_numeric_dtype(frame[target]) or pd.api.types.is_bool_dtype(frame[target]):
            raise DataError("holds no numbers, so it has no range", where=where, remedy="leave `rare` out for classes")
        if frame[target].isna().any():
            problem = f"{int(frame[target].isna().sum())} numbers are missing"
            raise DataError(problem, where=where, remedy="fill or drop those rows")
        n_rare = int(rare.holds(frame[target]).sum())
        if n_rare < LEAST_ROWS or len(frame) - n_rare < LEAST_ROWS:
            problem = f"{n_rare} of {len(frame)} rows lie in the range {rare}"
            raise DataError(
                problem, where=where, remedy=f"give a range with at least {LEAST_ROWS} rows in and outside it"
            )
        if 2 * n_rare > len(frame):
            problem = f"{percent(n_rare / len(frame))} of the rows lie in the range {rare}, so it is not rare"
            raise DataError(problem, where=where, remedy="give a narrower one")
        label = f"{target} range"
        while label in frame.columns:
            label += "_"
        return cls(target, rare, label)

    def labelled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows with their class behind."""
        return frame.assign(**{self.label: self.range.labels(frame[self.target])})

    def balance(
        self,
        frame: pd.DataFrame,
        synthesizer: Synthesizer,
        schema: Schema,
        *,
        strategy: Strategy = "auto",
        seed: int = 0,
    ) -> BalanceResult:
        """Fill the range with synthetic rows, as `balance` fills a class.

        synthesizer: trained on `labelled` rows; it must have a likelihood. strategy: "auto" for as many rows as lie
        outside, or a ratio. Raises ConfigError for another one.
        """
        labels = self.range.labels(frame[self.target])
        to_make = rows_to_make(labels, strategy)
        if set(to_make) - {RARE}:
            raise ConfigError("asks for rows outside the range", where="strategy", remedy="use auto or a ratio")
        where = {self.target: (self.range.low, self.range.high)}
        rows = synthesizer.sample(to_make, seed=seed, where=where).drop(columns=self.label)
        flagged = [part.assign(**{FLAG: flag}) for part, flag in ((frame, False), (rows[list(frame.columns)], True))]
        whole = own_names(joined(*flagged), schema)
        before = {name: int((labels == name).sum()) for name in (OTHER, RARE)}
        after = {name: n + to_make.get(name, 0) for name, n in before.items()}
        return BalanceResult(whole, before, after, 0, 0, ())
