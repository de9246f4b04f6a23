"""Which class each sample that is to be made belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gantools.errors import ConfigError


def wanted_labels(
    counts: Mapping[Any, int] | int, levels: Sequence[Any], class_counts: Sequence[int], what: str = "row"
) -> np.ndarray:
    """The code of each sample that is to be made: [N] int64, class by class in the order given.

    counts: class -> how many, or how many in all, in the proportions of `class_counts`. levels: the classes.
    class_counts: samples of each that were learned from. what: a sample's name in messages. Raises ConfigError for an
    unknown class, one that there was nothing to learn from, or a negative number.
    """
    if isinstance(counts, Mapping):
        place = {level: code for code, level in enumerate(levels)}
        unknown = [label for label in counts if label not in place]
        if unknown:
            listed = ", ".join(map(repr, levels[:20]))
            raise ConfigError(f"there is no label {unknown[0]!r}", where="counts", remedy=f"the labels are {listed}")
        wanted = [(place[label], int(n)) for label, n in counts.items()]
    else:
        wanted = list(enumerate(proportional(class_counts, int(counts))))
    if any(n < 0 for _, n in wanted):
        raise ConfigError(f"the number of {what}s must not be negative", where="counts")
    unlearned = [levels[code] for code, n in wanted if n and not class_counts[code]]
    if unlearned:
        raise ConfigError(f"there was no {what} of {unlearned[0]!r} to learn from", where="counts")
    return np.repeat([code for code, _ in wanted], [n for _, n in wanted]).astype(np.int64)


def proportional(counts: Sequence[int], n: int) -> list[int]:
    """n split in the proportions of counts, largest remainders first."""
    if n < 0:
        return [n]
    exact = np.array(counts, dtype=float) / max(1, sum(counts)) * n
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: n - whole.sum()]] += 1
    return [int(one) for one in whole]
