"""A large picture in tiles that overlap by what a translator looks at, so that no seam can be seen. Without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gantools.data.images.source import Bytes

TILE = 896  # pixels of each side of what is given to a translator at a time, about


@dataclass(frozen=True)
class Tile:
    """given: rows and columns of the picture that are given. kept: those of them that are kept of what is made."""

    given: tuple[slice, slice]
    kept: tuple[slice, slice]

    def of_made(self, scale: int) -> tuple[slice, slice]:
        """Where the kept part lies in what is made of the given part."""
        pairs = zip(self.given, self.kept, strict=True)
        return _pair(slice((k.start - g.start) * scale, (k.stop - g.start) * scale) for g, k in pairs)

    def placed(self, scale: int) -> tuple[slice, slice]:
        """Where it lies in the whole picture that is made."""
        return _pair(slice(k.start * scale, k.stop * scale) for k in self.kept)


def in_tiles(
    run: Callable[[Bytes, Bytes | None], Bytes],
    picture: Bytes,
    mask: Bytes | None,
    places: list[Tile],
    scale: int,
    on_tile: Callable[[int, int], None] | None = None,
) -> Bytes:
    """What `run` makes of a picture [H, W, C], tile by tile: [scale * H, scale * W, C'].

    run: from a part of the picture, and of the mask, to what is made of it. on_tile: called with the number of tiles
    done, and of all.
    """
    made: Bytes | None = None
    for done, place in enumerate(places, 1):
        part = np.array(picture[place.given], order="C")
        found = run(part, None if mask is None else np.array(mask[place.given], order="C"))
        if made is None:
            height, width = picture.shape[:2]
            made = np.empty((height * scale, width * scale, found.shape[2]), np.uint8)
        made[place.placed(scale)] = found[place.of_made(scale)]
        if on_tile is not None:
            on_tile(done, len(places))
    assert made is not None
    return made


def tiles(height: int, width: int, reach: int, multiple: int, side: int = TILE) -> Iterator[Tile]:
    """Tiles whose kept parts make up a picture of this size, row by row.

    reach: pixels beyond which nothing matters. multiple: tiles begin at multiples of it. side: of what is given, about;
    more where the reach leaves too little.
    """
    rows, columns = (list(_stretches(n, reach, multiple, side)) for n in (height, width))
    for given_row, kept_row in rows:
        for given_column, kept_column in columns:
            yield Tile((given_row, given_column), (kept_row, kept_column))


def _stretches(n: int, reach: int, multiple: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Given and kept stretches along one side of n pixels."""
    if n <= side:
        yield slice(0, n), slice(0, n)
        return
    around = -(-reach // multiple) * multiple
    step = max(multiple, around, (side - 2 * around) // multiple * multiple)
    for start in range(0, n, step):
        stop = min(n, start + step)
        yield slice(max(0, start - around), min(n, stop + around)), slice(start, stop)


def _pair(slices: Iterator[slice]) -> tuple[slice, slice]:
    one, other = slices
    return one, other
