"""What a translator refuses to be given, in the library and in a file. Without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gantools.errors import ConfigError, DataError


def check_picture(
    picture: npt.NDArray[Any], mask: npt.NDArray[Any] | None, *, model: str, channels: int, fills_holes: bool
) -> None:
    """Refuse a picture, or a mask, that `model` cannot take. channels: of the pictures that it takes.

    Raises ConfigError where a mask is lacking or has no effect, DataError for a shape or a type.
    """
    if mask is not None and not fills_holes:
        raise ConfigError(f"{model} fills no holes", where="mask", remedy="leave it out")
    if mask is None and fills_holes:
        raise ConfigError(f"{model} needs to know where the holes are", where="mask", remedy="give a mask")
    if picture.ndim != 3 or picture.shape[2] != channels or picture.dtype != np.uint8 or not picture.size:
        problem = f"has the shape {list(picture.shape)} and the type {picture.dtype}"
        raise DataError(problem, where="picture", remedy=f"give bytes [H, W, {channels}]")
    if mask is not None and mask.shape != picture.shape[:2]:
        problem = f"has the shape {list(mask.shape)}, its picture {list(picture.shape[:2])}"
        raise DataError(problem, where="mask", remedy="give one of the picture's height and width")
