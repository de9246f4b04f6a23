"""Tiles make up the whole picture, and each is given what it looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gantools.transform.tiles import around, in_tiles, least_side, tiles, tiles_of

CASES = [(80, 96, 20, 4, (48, 56)), (48, 56, 20, 4, (48, 56)), (49 * 4, 57, 7, 1, (15, 57)), (64, 64, 0, 8, (8, 16))]


def blurred(reach: int) -> Any:
    """The sum of all that lies within `reach`, beyond the edge nothing."""

    def run(picture: Any) -> Any:
        padded = np.pad(picture.astype(int), ((reach, reach), (reach, reach), (0, 0)))
        wide = sum(padded[:, k : k + picture.shape[1]] for k in range(2 * reach + 1))
        return (sum(wide[k : k + picture.shape[0]] for k in range(2 * reach + 1)) % 251).astype(np.uint8)

    return run


@pytest.mark.parametrize(("height", "width", "reach", "multiple", "shape"), CASES)
def test_tiles_of_one_shape(height: int, width: int, reach: int, multiple: int, shape: tuple[int, int]) -> None:
    assert min(shape) >= least_side(reach, multiple)
    found = tiles_of(height, width, reach, multiple, shape)
    covered = np.zeros((height, width), int)
    for tile in found:
        covered[tile.kept] += 1
        assert all(side.start % multiple == 0 for side in tile.given)
        assert covered[tile.given].shape == shape
    assert (covered == 1).all()
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 1), dtype=np.uint8)
    run = blurred(reach)
    assert np.array_equal(in_tiles(run, picture, None, found, 1), run(picture))


@pytest.mark.parametrize("side", [1, 40, 64, 200])
def test_tiles_of_about_a_side(side: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (150, 97, 2), dtype=np.uint8)
    run, told = blurred(12), list[tuple[int, int]]()
    places = list(tiles(150, 97, 12, 8, side))
    made = in_tiles(run, picture, None, places, 1, on_tile=lambda *done: told.append(done))
    assert np.array_equal(made, run(picture))
    assert told == [(k, len(places)) for k in range(1, len(places) + 1)]


def test_a_mask_comes_along_and_what_is_made_may_be_larger() -> None:
    picture = np.zeros((30, 20, 3), np.uint8)
    mask = np.random.default_rng(0).random((30, 20)) < 0.5

    def run(part: Any, hole: Any) -> Any:
        assert hole.dtype == np.uint8 and part.shape[:2] == hole.shape
        return hole.repeat(2, 0).repeat(2, 1)[:, :, None]

    made = in_tiles(run, picture, mask, tiles_of(30, 20, 2, 1, (10, 9)), 2)
    assert np.array_equal(made[:, :, 0], mask.repeat(2, 0).repeat(2, 1))
    assert around(5, 4) == 8 and around(0, 4) == 0
