"""Heat maps for people: as pictures over their images, and as files beside one another.

A heat map [H, W] lies in the image's own size, and 1 is the pixel threshold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from gantools.errors import DataError
from gantools.files import write_folder

Bytes = npt.NDArray[np.uint8]
Heat = npt.NDArray[np.float32]

KIND = "anomaly-maps"  # in `about.json`: what the folder holds
ABOUT = "about.json"
THRESHOLD_VALUE = 2**14  # grey value of the pixel threshold, a quarter of full scale
FAINTEST, FULL = 0.5, 2.0  # heat from which colour is laid over the image, and where it is densest
OPACITY = 0.65
COOL, HOT = (255.0, 220.0, 0.0), (220.0, 0.0, 0.0)
CONTOUR = (0, 230, 255)
CONTOUR_SHARE = 256  # an image of so many pixels has a contour one pixel wide, one of twice as many two
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def overlay(image: Bytes, heat: Heat) -> Bytes:
    """The image with its heat in colour and a line round what is above the pixel threshold: [H, W, 3].

    image: [H, W, C], C 1 (grey), 3 (colour) or 4 (with opacity, which is left out). heat: [H, W].
    """
    colour = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3]
    strength = np.clip((heat - FAINTEST) / (FULL - FAINTEST), 0, 1)[:, :, None]
    tint = (1 - strength) * np.array(COOL, np.float32) + strength * np.array(HOT, np.float32)
    opacity = OPACITY * np.sqrt(strength)
    shown: Bytes = np.rint(colour * (1 - opacity) + tint * opacity).astype(np.uint8)
    above = heat > 1
    width = max(1, min(heat.shape) // CONTOUR_SHARE)
    shown[above & ~ndimage.binary_erosion(above, _EIGHT_NEIGHBOURS, iterations=width)] = CONTOUR
    return shown


def grey(heat: Heat) -> npt.NDArray[np.uint16]:
    """Heat as 16 bits: [H, W], above THRESHOLD_VALUE exactly where it is above the pixel threshold, at most 65535."""
    values: npt.NDArray[np.uint16] = np.minimum(np.ceil(heat * np.float32(THRESHOLD_VALUE)), 65535).astype(np.uint16)
    return values


def write_maps(folder: Path, name: str, image: Bytes, heat: Heat) -> None:
    """Write `NAME.overlay.png` and `NAME.heat.png` below the folder. name: of the image, with "/" as in its source."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(overlay(image, heat)).save(path.with_name(f"{path.name}.overlay.png"))
    Image.fromarray(grey(heat)).save(path.with_name(f"{path.name}.heat.png"))


def is_map_folder(path: Path) -> bool:
    """Whether `map_folder` wrote the folder."""
    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("kind") == KIND


@contextmanager
def map_folder(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of the one at `path` when the block ends, and is gone when the block fails.

    Raises DataError where something is there that `map_folder` did not write, or nothing can be written.
    """
    whole = path.resolve()
    if whole.exists() and not is_map_folder(whole) and not (whole.is_dir() and not any(whole.iterdir())):
        raise DataError("holds something else", where=str(path), remedy="give another place for the maps")
    with write_folder(path) as part:
        yield part
        heat = f"16-bit grey; {THRESHOLD_VALUE} is the pixel threshold, and what is above it is anomalous"
        about = {"kind": KIND, "NAME.overlay.png": "heat over the image", "NAME.heat.png": heat}
        (part / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
