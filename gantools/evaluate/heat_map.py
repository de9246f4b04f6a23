"""What a heat map says in numbers and words: where an image is most anomalous."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Heat = npt.NDArray[np.float32]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Place:
    """The most anomalous place of an image.

    x, y: the pixel of the most heat, counted from 0, from the left and from the top. width, height: pixels of the area
    above the pixel threshold around it, 0 where there is none. heat: of that pixel. n_more: other areas above the
    threshold.
    """

    x: int
    y: int
    width: int
    height: int
    heat: float
    n_more: int

    @property
    def words(self) -> str:
        """The place as a reason for the image's score."""
        where = f"at {self.x},{self.y} (x,y)"
        if not self.width:
            return f"no place is above the pixel threshold; the oddest, {where}, has {self.heat:.2g} of it"
        more = f"; {self.n_more} more place{'s' if self.n_more > 1 else ''}" if self.n_more else ""
        return f"{where}, {self.width} x {self.height} pixels, {self.heat:.1f} times the pixel threshold{more}"


def oddest_place(heat: Heat) -> Place:
    """Where a heat map [H, W] has its peak, and how large the area around it is. 1 is the pixel threshold."""
    y, x = (int(place) for place in np.unravel_index(int(heat.argmax()), heat.shape))
    areas, n_areas = ndimage.label(heat > 1, _EIGHT_NEIGHBOURS)
    if not n_areas:
        return Place(x, y, 0, 0, float(heat[y, x]), 0)
    rows, columns = ndimage.find_objects(areas)[areas[y, x] - 1]
    width, height = columns.stop - columns.start, rows.stop - rows.start
    return Place(x, y, width, height, float(heat[y, x]), n_areas - 1)
