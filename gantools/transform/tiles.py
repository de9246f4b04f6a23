"""A large picture in tiles that overlap by what a translator looks at, so that no seam can be seen. Without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gantools.data.images.source import Bytes, Mask

Stretch = tuple[slice, slice]  # what is given along one side, and what is kept of it

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


def tiles(height: int, width: int, reach: int, multiple: int, side: int = TILE) -> list[Tile]:
    """Tiles whose kept parts make up a picture of this size, row by row.

    reach: pixels beyond which nothing matters. multiple: tiles begin at multiples of it. side: of what is given, about;
    more where the reach leaves too little.
    """
    return _crossed(*(_stretches(n, reach, multiple, side) for n in (height, width)))


def _stretches(n: int, reach: int, multiple: int, side: int) -> Iterator[Stretch]:
    """Given and kept stretches along one side of n pixels."""
    if n <= side:
        yield slice(0, n), slice(0, n)
        return
    beside = around(reach, multiple)
    step = max(multiple, beside, (side - 2 * beside) // multiple * multiple)
    for start in range(0, n, step):
        stop = min(n, start + step)
        yield slice(max(0, start - beside), min(n, stop + beside)), slice(start, stop)


def tiles_of(height: int, width: int, reach: int, multiple: int, shape: tuple[int, int]) -> list[Tile]:
    """Tiles of one shape, height and width, that make up a picture which is at least as large.

    The sides of both are multiples of `multiple`, none of the shape is below `least_side`.
    """
    sides = zip((height, width), shape, strict=True)
    return _crossed(*(_alike(n, reach, multiple, side) for n, side in sides))


def least_side(reach: int, multiple: int) -> int:
    """Of a tile of one shape: what is made of its middle depends on nothing outside it."""
    return 2 * around(reach, multiple) + multiple


def around(reach: int, multiple: int) -> int:
    """Pixels that are given on each side of what is kept."""
    return -(-reach // multiple) * multiple


def _alike(n: int, reach: int, multiple: int, side: int) -> Iterator[Stretch]:
    """As `_stretches`, all of one length: the last one is moved back to where the picture ends."""
    kept = 0
    while kept < n:
        start = 0 if not kept else min(kept - around(reach, multiple), n - side)
        stop = n if start + side == n else start + side - around(reach, multiple)
        yield slice(start, start + side), slice(kept, stop)
        kept = stop


def in_tiles(
    run: Callable[..., Bytes],
    picture: Bytes,
    mask: Mask | None,
    places: Sequence[Tile],
    scale: int,
    on_tile: Callable[[int, int], None] | None = None,
) -> Bytes:
    """What `run` makes of a picture, tile by tile: [scale * H, scale * W, C'].

    run: from part of the picture [h, w, C], and of the mask as bytes [h, w] where there is one, to a part
    [scale * h, scale * w, C']. on_tile: called with the number of tiles done, and of all.
    """
    height, width = picture.shape[:2]
    made: Bytes | None = None
    for done, place in enumerate(places, 1):
        part = [picture[place.given]]
        if mask is not None:
            part.append(mask[place.given].astype(np.uint8))
        found = run(*part)
        if made is None:
            made = np.empty((height * scale, width * scale, found.shape[2]), np.uint8)
        made[place.placed(scale)] = found[place.of_made(scale)]
        if on_tile is not None:
            on_tile(done, len(places))
    assert made is not None
    return made


def _crossed(rows: Iterable[Stretch], columns: Iterable[Stretch]) -> list[Tile]:
    """A tile for each row and column, row by row."""
    across = list(columns)
    return [Tile((row[0], column[0]), (row[1], column[1])) for row in rows for column in across]


def _pair(slices: Iterator[slice]) -> tuple[slice, slice]:
    one, other = slices
    return one, other
