"""What may be given to a translator, in the library or in a file. Without torch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import Bytes
from gantools.errors import ConfigError, DataError

Mask = npt.NDArray[np.bool_]


class Translates(Protocol):
    """A translator, trained or exported."""

    schema_: ImageSchema
    target_schema_: ImageSchema

    @property
    def n_directions_(self) -> int: ...

    @property
    def fills_holes_(self) -> bool: ...


def check_given(translator: Translates, picture: Bytes, mask: Mask | None, *, reverse: bool) -> None:
    """Raise ConfigError for a mask or a direction that the translator does not know, DataError for another shape."""
    if reverse and translator.n_directions_ < 2:
        raise ConfigError("this translator knows one direction", where="reverse", remedy="leave it out")
    if mask is not None and not translator.fills_holes_:
        raise ConfigError("has no effect on a translator that fills no holes", where="mask", remedy="leave it out")
    if mask is None and translator.fills_holes_:
        raise ConfigError("is needed: where the holes are", where="mask", remedy="give one, true in holes")
    channels = (translator.target_schema_ if reverse else translator.schema_).channels
    if picture.ndim != 3 or picture.shape[2] != channels or picture.dtype != np.uint8 or not picture.size:
        problem = f"has the shape {list(picture.shape)} and the type {picture.dtype}"
        raise DataError(problem, where="picture", remedy=f"give bytes [H, W, {channels}]")
    if mask is not None and mask.shape != picture.shape[:2]:
        problem = f"has the shape {list(mask.shape)}, its picture {list(picture.shape[:2])}"
        raise DataError(problem, where="mask", remedy="give one of the picture's height and width")
