"""One picture file: read as a model takes it, and written again as it was: format, orientation, opacity, profile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from gantools.data.images.source import (
    BROKEN,
    Bytes,
    Mask,
    check_regular,
    eight_bit,
    has_alpha,
    image_names,
    opened,
    pixels_of,
    why_unusable,
)
from gantools.errors import DataError
from gantools.files import write_file

QUALITY = 95  # of JPEG
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": QUALITY, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"},
}  # of what is written
NO_OPACITY = ("JPEG", "BMP", "PPM")
LONGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}  # pixels of a side that a format holds
LONGEST_EXIF = 65_533  # bytes, in a JPEG file
MOST_DPI = 65_536  # beyond it nothing can be meant
DESCRIBING = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)  # tags of TIFF that say nothing of how pixels are stored


@dataclass(frozen=True)
class Picture:
    """A picture, upright.

    pixels: [H, W, channels] as the model takes them. alpha: [H, W], its opacity where the file has one and the model
    does not take it, None otherwise. format: of the file. kept: what is written with it again. notes: what is not.
    """

    pixels: Bytes
    alpha: Bytes | None
    format: str
    kept: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_pictures(path: Path) -> list[str]:
    """Names of the pictures below a folder, with "/", in order. Raises DataError where there are none."""
    found = image_names(path)
    if not found:
        raise DataError("holds no pictures", where=str(path), remedy="check the path")
    return found


def read_picture(path: Path, *, channels: int, white: int | None) -> Picture:
    """A file, decoded to its end.

    channels: that the model takes, see `data.images.source` for what becomes of others. white: of pictures with 16 bits
    a pixel, as the model learned it. Raises DataError, whose problem continues the name of the file.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            image = opened(file)
            n_frames = getattr(image, "n_frames", 1)
            image.load()
            of_format = "JPEG" if image.format == "MPO" else str(image.format)
            upright = ImageOps.exif_transpose(image)
            profile, exif = image.info.get("icc_profile"), _exif(image)
            alpha = None
            if has_alpha(upright) and channels < 4:
                alpha = np.asarray(upright.convert("RGBA"))[:, :, 3].copy()
                upright = upright.convert("RGBA").convert("RGB")
            elif has_alpha(upright):
                upright = upright.convert("RGBA")
            pixels = pixels_of(eight_bit(upright, white), channels)
    except BROKEN as error:
        raise DataError(why_unusable(error), where=str(path), remedy="mend or remove it") from error
    kept: dict[str, Any] = {}
    if dpi := _dpi(image):
        kept["dpi"] = dpi
    if exif and (of_format != "JPEG" or len(exif) <= LONGEST_EXIF):
        kept["exif"] = exif
    if profile and _profile_fits(profile, channels):
        kept["icc_profile"] = profile
    return Picture(pixels, alpha, of_format, kept, tuple(_notes(image, n_frames, channels)))


def check_fits(picture: Picture, height: int, width: int, where: Path) -> None:
    """Refuse a size that the picture's format does not hold. Raises DataError, whose problem continues its name."""
    longest = LONGEST.get(picture.format)
    if longest is not None and max(height, width) > longest:
        problem = f"would become {width:,} x {height:,} pixels, and {picture.format} holds {longest:,} a side at most"
        raise DataError(problem, where=str(where), remedy="save it as PNG first")


def write_picture(picture: Picture, pixels: Bytes, path: Path) -> None:
    """Write what was made of a picture as `path`, whole, in the format of the picture's own file.

    pixels: [H, W, C]. The picture's opacity, brought to their size, is put back. Raises DataError where nothing can be
    written.
    """
    parts = [pixels]
    if picture.alpha is not None and picture.format not in NO_OPACITY and pixels.shape[2] < 4:
        height, width = pixels.shape[:2]
        alpha = Image.fromarray(picture.alpha)
        if alpha.size != (width, height):
            alpha = alpha.resize((width, height), Image.Resampling.BICUBIC)
        parts.append(np.asarray(alpha)[:, :, None])
    whole = np.concatenate(parts, 2)
    image = Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)
    kept = dict(picture.kept)
    if "icc_profile" in kept and not _profile_fits(kept["icc_profile"], pixels.shape[2]):
        del kept["icc_profile"]
    if picture.format in NO_OPACITY and image.mode in ("LA", "RGBA"):
        image = image.convert("L" if image.mode == "LA" else "RGB")
    data = io.BytesIO()
    image.save(data, picture.format, **OPTIONS.get(picture.format, {}), **kept)
    with write_file(path) as file:
        file.write(data.getvalue())


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    """Where a picture of this height and width has holes: what is not black in a file. Raises DataError."""
    try:
        check_regular(path)
        with path.open("rb") as file:
            image = opened(file)
            image.load()
            pixels = pixels_of(eight_bit(ImageOps.exif_transpose(image), None), 1)[:, :, 0]
    except BROKEN as error:
        raise DataError(why_unusable(error), where=str(path), remedy="give a picture that is white in holes") from error
    if pixels.shape != size:
        problem = f"has {pixels.shape[1]} x {pixels.shape[0]} pixels, and its picture {size[1]} x {size[0]}"
        raise DataError(problem, where=str(path), remedy="give a mask of the picture's size")
    return pixels > 127


def _exif(image: Image.Image) -> bytes:
    """What a camera wrote, but for the orientation; nothing where that cannot be written again."""
    try:
        exif = image.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        if image.format == "TIFF":  # its tags also say how the pixels lie in the file
            told = Image.Exif()
            told.update({tag: exif[tag] for tag in DESCRIBING if tag in exif})
            exif = told
        return exif.tobytes() if len(exif) else b""
    except BROKEN:
        return b""


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Pixels an inch, where a file says something that makes sense."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except BROKEN:
        return None
    return (across, down) if 0 < across < MOST_DPI and 0 < down < MOST_DPI else None


def _profile_fits(profile: bytes, channels: int) -> bool:
    """Whether a colour profile is one of pictures with so many channels: bytes 16 to 20 name its colours."""
    return profile[16:20] == (b"GRAY" if channels == 1 else b"RGB ")


def _notes(image: Image.Image, n_frames: int, channels: int) -> Iterator[str]:
    if n_frames > 1:
        yield f"of its {n_frames} frames the first is used"
    if image.mode.startswith("I") or image.mode == "F":
        yield "is written with 8 bits a colour"
    if channels == 1 and image.mode not in ("1", "L", "LA", "I", "F") and not image.mode.startswith("I;16"):
        yield "has colour, which the model does not take: it is turned grey"
