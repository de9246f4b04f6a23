"""Pictures of requests: bytes of a file to an array, and an array to a file of the same format."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by number of channels
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")  # that are read and written
WITHOUT_OPACITY = ("JPEG", "BMP")


class BadPicture(Exception):
    """A file that is no picture which can be taken. The message says what to do."""


def read(data: bytes, channels: int, max_pixels: int) -> tuple[np.ndarray, str]:
    """A picture [H, W, channels], upright, and the format of its file. Raises BadPicture."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height <= max_pixels:
            found = ImageOps.exif_transpose(image).convert(MODES[channels])
    except Exception as error:  # Pillow raises whatever met it
        raise BadPicture(f"the body is no picture that can be read: send {', '.join(FORMATS)}") from error
    if width * height > max_pixels:
        raise BadPicture(
            f"{width} x {height} pixels are more than {max_pixels}: send a smaller picture, or parts of it"
        )
    assert image.format is not None
    return np.asarray(found).reshape(found.height, found.width, channels), image.format


def written(picture: np.ndarray, form: str) -> tuple[bytes, str]:
    """A picture [H, W, C] as a file, and its media type. form: of the file; PNG where that has no opacity."""
    form = "PNG" if picture.shape[2] == 4 and form in WITHOUT_OPACITY else form
    file = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(file, form)
    return file.getvalue(), Image.MIME[form]
