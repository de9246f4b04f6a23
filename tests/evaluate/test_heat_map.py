"""The most anomalous place of an image, in numbers and words."""

from __future__ import annotations

import numpy as np

from gantools.evaluate.heat_map import oddest_place


def a_heat(height: int = 30, width: int = 50) -> np.ndarray:
    """Cold but for an area 4 wide and 6 high with its peak at x 12, y 7, and a smaller, weaker one."""
    heat = np.full((height, width), 0.2, np.float32)
    heat[5:11, 10:14] = 1.2
    heat[7, 12] = 2.44
    heat[20:22, 40:42] = 1.1
    return heat


def test_the_oddest_place_in_words() -> None:
    place = oddest_place(a_heat())
    assert (place.x, place.y, place.width, place.height, place.n_more) == (12, 7, 4, 6, 1)
    assert place.words == "at 12,7 (x,y), 4 x 6 pixels, 2.4 times the pixel threshold; 1 more place"


def test_pixels_that_touch_at_corners_are_one_place() -> None:
    heat = np.zeros((5, 5), np.float32)
    heat[[1, 2], [1, 2]] = 1.5
    assert oddest_place(heat).words == "at 1,1 (x,y), 2 x 2 pixels, 1.5 times the pixel threshold"


def test_no_place_is_above_the_threshold() -> None:
    """At the threshold is not above it."""
    heat = np.zeros((4, 9), np.float32)
    heat[3, 8] = 1.0
    assert oddest_place(heat).words == "no place is above the pixel threshold; the oddest, at 8,3 (x,y), has 1 of it"
