"""Tiles of a large picture: they cover it once, and hold what matters around."""

from __future__ import annotations

import numpy as np
import pytest

from gantools.transform.tiles import in_tiles, tiles


@pytest.mark.parametrize(("height", "width"), [(5, 7), (100, 130), (64, 64), (129, 65)])
@pytest.mark.parametrize(("reach", "multiple", "side"), [(0, 1, 32), (10, 8, 64), (40, 16, 64)])
def test_they_cover_everything_once(height: int, width: int, reach: int, multiple: int, side: int) -> None:
    seen = np.zeros((height, width), int)
    for tile in tiles(height, width, reach, multiple, side):
        seen[tile.kept] += 1
        for given, kept, n in zip(tile.given, tile.kept, (height, width), strict=True):
            assert given.start % multiple == 0
            assert given.start <= max(0, kept.start - reach) and given.stop >= min(n, kept.stop + reach)
    assert (seen == 1).all()


@pytest.mark.parametrize("scale", [1, 3])
def test_what_is_made_of_tiles_is_put_where_it_belongs(scale: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 2), dtype=np.uint8)
    mask = (picture[:, :, 0] > 100).astype(np.uint8)
    told = []

    def run(part: np.ndarray, hole: np.ndarray | None) -> np.ndarray:
        assert hole is not None and hole.shape == part.shape[:2]
        return (part * hole[:, :, None]).repeat(scale, 0).repeat(scale, 1)

    places = list(tiles(50, 70, 4, 2, 20))
    made = in_tiles(run, picture, mask, places, scale, lambda *done: told.append(done))
    assert np.array_equal(made, (picture * mask[:, :, None]).repeat(scale, 0).repeat(scale, 1))
    assert told[-1] == (len(places), len(places)) and len(places) > 4
