"""What pictures are described by, a caption, columns of a table or vectors, as tensors that a net can be told.

Words are what stands between blanks; a word that begins with a capital, or is all capitals, is the same word. A number
is measured in standard deviations from the mean; of a category each level has a place of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from gantools.errors import ConfigError, DataError
from gantools.words import listed, meant

MOST_WORDS = 10_000  # that are known, the most frequent ones
LONGEST = 64  # words of a caption; what follows is not read
UNKNOWN = 1  # code of a word that is not known; 0 stands behind the last, and known words follow
MOST_LEVELS = 1_000  # of a category
N_KEPT = 1_000  # descriptions that are kept as examples


@dataclass(frozen=True)
class Descriptions:
    """How descriptions become tensors.

    caption: the column with the text, "" where there is none. words: those that are known. n_words: of the longest
    caption. numbers: column -> mean and standard deviation. levels: column -> its levels. width: of vectors that come
    with the pictures, 0 where none do. examples: descriptions of some of the pictures, column -> cells; of vectors
    under "".
    """

    caption: str
    words: tuple[str, ...]
    n_words: int
    numbers: Mapping[str, tuple[float, float]]
    levels: Mapping[str, tuple[str, ...]]
    width: int
    examples: Mapping[str, tuple[Any, ...]]

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        caption: str | None = None,
        vectors: npt.NDArray[np.float32] | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn from a table with a row for each picture. caption: which of its columns is text. vectors: [N, width].

        Raises DataError for a category of too many levels.
        """
        words: tuple[str, ...] = ()
        n_words = 0
        if caption is not None:
            split = [str(text).split() for text in frame[caption]]
            counted = Counter(word.lower() for each in split for word in each)
            words = tuple(sorted(word for word, _ in counted.most_common(MOST_WORDS)))
            n_words = min(LONGEST, max(map(len, split)))
        numbers, levels = {}, {}
        for name in frame.columns.drop(caption or []):
            column = frame[name]
            if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
                values = column.to_numpy(np.float64)
                numbers[name] = (float(values.mean()), float(values.std()) or 1.0)
                continue
            levels[name] = tuple(sorted(set(column.astype(str))))
            if len(levels[name]) > MOST_LEVELS:
                problem = f"has {len(levels[name]):,} different values, too many for a category"
                raise DataError(problem, where=f"column {name!r}", remedy="give it as the caption, or leave it out")
        rows = np.random.default_rng(seed).permutation(len(frame))[:N_KEPT]
        examples = {str(name): tuple(plain(frame[name].iloc[rows])) for name in frame.columns}
        width = 0
        if vectors is not None:
            width, examples[""] = vectors.shape[1], tuple(map(tuple, vectors[rows].tolist()))
        return cls(caption or "", words, n_words, numbers, levels, width, examples)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a description, the caption first."""
        return (*((self.caption,) if self.caption else ()), *self.numbers, *self.levels)

    @property
    def vocabulary(self) -> int:
        """Codes of words, 0 aside."""
        return len(self.words) + UNKNOWN if self.caption else 0

    @property
    def vector_width(self) -> int:
        """Numbers of a picture's vector: of its numbers, its levels and what came with it."""
        return len(self.numbers) + sum(map(len, self.levels.values())) + self.width

    @property
    def codes(self) -> dict[str, int]:
        """Every spelling of a known word, and its code."""
        found = {}
        for code, word in enumerate(self.words, UNKNOWN + 1):
            for spelling in (word.upper(), word.capitalize(), word):
                found[spelling] = code
        return found

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """The words of captions that are not known, in the order in which they come."""
        codes = self.codes
        return list(dict.fromkeys(word for text in texts for word in text.split() if word not in codes))

    def captions(self, frame: pd.DataFrame) -> Tensor | None:
        """Codes of words [N, n_words] int64; None where there is no caption."""
        if not self.caption:
            return None
        codes = self.codes
        found = torch.zeros((len(frame), self.n_words), dtype=torch.int64)
        for row, text in enumerate(frame[self.caption]):
            words = [codes.get(word, UNKNOWN) for word in str(text).split()[: self.n_words]]
            found[row, : len(words)] = torch.tensor(words, dtype=torch.int64)
        return found

    def vectors(self, frame: pd.DataFrame, given: npt.NDArray[np.float32] | None = None) -> Tensor | None:
        """[N, vector_width] float32; None where captions are all. given: [N, width], vectors that came with pictures.

        Raises ConfigError for a level that was not learned.
        """
        if not self.vector_width:
            return None
        parts = [
            ((frame[name].to_numpy(np.float64) - mean) / deviation)[:, None]
            for name, (mean, deviation) in self.numbers.items()
        ]
        for name, known in self.levels.items():
            codes = pd.Index(known).get_indexer(pd.Index(frame[name].astype(str)))
            if (codes < 0).any():
                level = str(frame[name].iloc[int((codes < 0).argmax())])
                remedy = meant(level, known, f"there are {listed(known)}")
                raise ConfigError(f"{name!r} was never {level!r}", where="where", remedy=remedy)
            parts.append(np.eye(len(known))[codes])
        if self.width:
            assert given is not None
            parts.append(np.asarray(given, np.float64))
        return torch.from_numpy(np.concatenate(parts, 1)).float()

    def drawn(self, n: int, random: np.random.Generator) -> tuple[pd.DataFrame, npt.NDArray[np.float32] | None]:
        """n descriptions of pictures that were learned from, and their vectors."""
        size = len(next(iter(self.examples.values())))
        rows = random.integers(size, size=n)
        frame = pd.DataFrame({name: [self.examples[name][row] for row in rows] for name in self.columns})
        frame.index = pd.RangeIndex(n)
        return frame, np.array([self.examples[""][row] for row in rows], np.float32) if self.width else None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` wrote. Raises KeyError or TypeError for another document."""
        values = dict(document)
        for name in ("numbers", "levels", "examples"):
            values[name] = {key: tuple(of) for key, of in values[name].items()}
        return cls(**{**values, "words": tuple(values["words"])})


def plain(column: Sequence[Any] | pd.Series[Any]) -> list[Any]:
    """Cells as values that JSON holds."""
    return [cell.item() if isinstance(cell, np.generic) else cell for cell in column]
