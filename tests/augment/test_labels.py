"""Which class each sample that is to be made belongs to."""

from __future__ import annotations

import pytest

from gantools.augment.labels import proportional


@pytest.mark.parametrize(("n", "split"), [(7, [3, 2, 2]), (1, [1, 0, 0]), (29, [12, 8, 9]), (58, [24, 16, 18])])
def test_proportional(n: int, split: list[int]) -> None:
    assert proportional([12, 8, 9], n) == split
