"""Rows and flags along an axis are counted alike however they come, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.evaluate.course import MOST_BINS, Course


def counted(places: np.ndarray, flags: np.ndarray, chunk: int) -> Course:
    course = Course()
    for start in range(0, len(places), chunk):
        course.update(places[start : start + chunk], flags[start : start + chunk])
    return course


@pytest.mark.parametrize(
    "places",
    [
        np.arange(10_000),
        np.random.default_rng(0).permutation(5_000) - 2_500,
        np.random.default_rng(1).integers(1_700_000_000_000_000, 1_710_000_000_000_000, 3_000),
        np.array([7]),
    ],
    ids=["in order", "shuffled around 0", "moments", "one row"],
)
def test_chunks_do_not_matter(places: np.ndarray) -> None:
    flags = np.random.default_rng(2).random(len(places)) < 0.1
    whole = counted(places, flags, len(places))
    stretches = whole.stretches()
    assert counted(places, flags, 97).stretches() == stretches
    assert len(stretches) <= MOST_BINS
    assert (whole.first, whole.last) == (places.min(), places.max())
    for one in stretches:
        inside = (places >= one.start) & (places < one.end)
        assert (one.n, one.n_flagged) == (inside.sum(), flags[inside].sum())
    assert sum(one.n for one in stretches) == len(places)


def test_nothing_was_counted() -> None:
    course = Course()
    course.update(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool))
    assert course.stretches() == ()
