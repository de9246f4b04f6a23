"""Holding a file against the library: what may differ and by how much. Each kind in `kinds` proves itself with these.

Both sides get the same inputs, in batches of 1, 7 and as many as there are. The file is run by many threads, and more
than once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gantools.errors import ExportError
from gantools.score.calibrated import Calibrated

BATCHES = (1, 7)
MANY = 100  # of fewer rows or images the worst one is no exception
SEED = 0
REPEATS = 10  # of a run that must give the same each time
STEADY = 1e-5  # relative to a value or to one, whichever is more
THREADS = 8  # of a run: what they do at the same time shows
LEAST_SCORE = 0.1  # below it a row is far more normal than most: about 0.7 is usual

Parity = dict[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far the file may be from the library.

    score: of the score, relative to it, or to LEAST_SCORE where it is less, in 99 of 100 rows.
    tied: of any score, for which of two neighbours at one distance is nearer is up to rounding.
    ranks: held-out scores between the p-values.
    blamed: share of rows whose largest contribution may be another column's, where two are about alike.
    cells: share of generated cells, or of bytes of images, that may differ by more than `step`: where a number, or the
    cumulative probability of a category, lies on a border.
    step: of a number, relative to its column's range; of a byte, in units.
    heat: of a heat map, relative to its largest value.
    grey: of a byte of a translated picture.
    probability: of a class, for a classifier.
    decisions: share of rows that may be decided otherwise.
    greys: share of these bytes that may differ at all, where the library's value is not on the border between two.
    """

    score: float = 1e-4
    tied: float = 1e-2
    ranks: int = 2
    blamed: float = 0.1
    cells: float = 2e-3
    step: float = 1e-4
    heat: float = 2e-3
    grey: int = 1
    probability: float = 1e-5
    decisions: float = 0.0
    greys: float = 1e-5


STRICT = Tolerance()


def check(name: str, found: float, most: float) -> None:
    """Raise ExportError unless found <= most."""
    if not found <= most:  # NaN is not
        raise ExportError(
            f"the file's {name} differs from the library's by {found:.3g}, and {most:.3g} is allowed",
            remedy="nothing was written; export in another precision, or report it with the model's name",
        )


def check_steady(run: Callable[[], Sequence[npt.NDArray[Any]]]) -> None:
    """Raise ExportError unless the same inputs give the same each time: threads that add to one place lose some."""
    first = run()
    for _ in range(REPEATS):
        for one, other in zip(first, run(), strict=True):
            if not np.allclose(
                np.asarray(one, float), np.asarray(other, float), rtol=STEADY, atol=STEADY, equal_nan=True
            ):
                raise ExportError(
                    "the file gives the same inputs another result each time",
                    remedy="nothing was written; report it with the model's name",
                )


def check_alone(alone: npt.NDArray[np.float64], beside: npt.NDArray[np.float64]) -> None:
    """Raise ExportError unless samples that were run by themselves have the scores that they have beside others."""
    moved = float((np.abs(alone - beside) / np.maximum(beside, LEAST_SCORE)).max(initial=0.0))
    if not moved <= STRICT.tied:
        raise ExportError(
            f"a score of the file moves by {moved:.2g} of itself with what is scored beside it",
            remedy="nothing was written; export in another precision, or report it with the model's name",
        )


def check_images(ours: Sequence[Any], theirs: Sequence[Any], allowed: Tolerance) -> Parity:
    """How generated images uint8 differ between file and library, run for run.

    Raises ExportError where bytes differ by more than one more often than is allowed.
    """
    pairs = zip(ours, theirs, strict=True)
    off = np.concatenate([np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).ravel() for a, b in pairs])
    share = float((off > 1).mean())
    check("share of bytes that differ by more than one", share, allowed.cells)
    sizes = sorted({len(images) for images in ours})
    return {
        "images": sum(map(len, ours)), "batches": sizes, "bytes_differing": share, "largest_byte": int(off.max()),
    }  # fmt: skip


def batches(n: int) -> Iterator[slice]:
    """Where the batches lie in n rows."""
    start = 0
    for size in (*BATCHES, n):
        yield slice(0, n) if size == n else slice(start, start + size)
        start += size


def compare_scores(
    found: Parity,
    scorer: Calibrated,
    expected: npt.NDArray[np.float64],
    given: Sequence[npt.NDArray[Any]],
    allowed: Tolerance,
) -> None:
    """Add the largest differences so far to `found`.

    expected: [N] scores of the library. given: scores, p-values and flags [N] of the file. Raises ExportError.
    """
    score, p, flagged = given
    off = np.abs(score - expected) / np.maximum(expected, LEAST_SCORE)
    off = np.where(np.isnan(score) & np.isnan(expected), 0.0, np.where(np.isnan(off), np.inf, off))
    found["score_relative"] = max(found.get("score_relative", 0.0), float(off.max()))
    check("score", found["score_relative"], max(allowed.tied, allowed.score))
    if len(off) >= MANY:
        found["score_relative_of_most"] = max(found.get("score_relative_of_most", 0.0), float(np.quantile(off, 0.99)))
        check("score", found["score_relative_of_most"], allowed.score)
    n = len(scorer.calibration_.scores)
    ranks = np.nan_to_num(np.abs(p - scorer.calibration_.p_value(expected))) * (n + 1)
    tail = scorer.calibration_.tail
    counted = ranks if tail is None else ranks[expected <= tail.start]
    found["p_value_ranks"] = max(found.get("p_value_ranks", 0.0), float(counted.max(initial=0.0)))
    check("p-value", found["p_value_ranks"], allowed.ranks + 1e-6 + allowed.score * n)
    on_border = np.abs(expected - scorer.threshold_) <= STRICT.score * np.abs(expected)
    other = (flagged != (expected > scorer.threshold_)) & ~on_border
    found["flags_differing"] = found.get("flags_differing", 0) + int(other.sum())
    check("flags", float(found["flags_differing"]), 0.0)
