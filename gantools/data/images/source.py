"""Images in folders and .npz files: found, checked once by decoding each, then read one by one as bytes.

A folder has torchvision's ImageFolder layout: a sub-folder per class, images at any depth below it; or it is a heap of
images without classes. The rules that decide what is made of a file:

    picture    the first frame or page, turned upright by its EXIF orientation
    channels   4 where most images have an alpha channel, else 3 where any has colour, else 1; the mode that is stored
               decides, so that a grey photo saved as RGB has colour. Where the number of channels is given: grey is
               repeated, alpha is flattened on white, colour turns grey by Pillow's luma
    white      images with 16 bits a pixel are scaled from 0..white to 0..255; white is the smallest 2**k - 1, k from 8
               to 16, that none of those learned from exceeds. What is read for a model is scaled by the white that the
               model learned, each image by its own where it learned none: never by the images beside it. Images with 8
               bits are taken as they are
    floats     must lie in 0..1
    skipped    what has an image's suffix and cannot be decoded to its end, has more than MAX_PIXELS, or pixels of a
               kind with no place here (Lab, whole numbers outside 0..65535). Hidden files and all others pass unsaid
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import stat
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from gantools.data.images.schema import ImageSchema as ImageSchema
from gantools.data.parts import how_parts_lie
from gantools.errors import DataError
from gantools.files import whole_folder

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

MAX_PIXELS = 80_000_000  # below Pillow's own limit, so that no image that was accepted warns when it is read
CHANNELS = (1, 3, 4)

# Only these decoders are tried: Pillow has others that start programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
    # Not decoded, but a user will want to know that they were left out.
    *(".heic", ".heif", ".avif", ".jp2", ".svg", ".psd", ".dng", ".nef", ".cr2", ".arw", ".dcm"),
)
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GREY = ("1", "L", "LA", "F", *_DEEP)
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_LARGEST_DEEP = 65535

# What Pillow's decoders raise for damaged files.
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
    Image.DecompressionBombWarning,
)

_END_BYTES = 2**16  # of each end of a file that enters the fingerprint
_FILES_AT_ONCE = 64
_MAX_THREADS = 8

_IMAGE_ARRAYS = ("x", "images", "X", "x_train")
_LABEL_ARRAYS = ("y", "labels", "y_train")


class ImageSource:
    """Where images come from: `open_images` makes it. Pixels of files are read when asked for and not kept.

    names: of each image, its path below the folder with "/", or "file.npz[12]"; in ascending order. label: [N] codes
    into schema.classes, all 0 where there are none. sizes: [N, 2] height and width of each, upright.
    """

    def __init__(
        self, path: Path, schema: ImageSchema, names: Sequence[str], label: Codes, digest: str, sizes: Codes
    ) -> None:
        self.path = path
        self.schema = schema
        self.names = tuple(names)
        self.label = label
        self.sizes = sizes
        self._digest = digest

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Bytes:
        """One image, upright: [H, W, channels]. Raises DataError when its file has changed or gone since."""
        path = self.path / self.names[index]
        try:
            with path.open("rb") as file:
                image = opened(file)
                image.load()
                ImageOps.exif_transpose(image, in_place=True)
                return pixels_of(eight_bit(image, self.schema.white), self.schema.channels)
        except BROKEN as error:
            remedy = "leave the files as they are while they are used"
            raise DataError(
                f"could be read before, but now {why_unusable(error)}", where=str(path), remedy=remedy
            ) from error

    def path_of(self, index: int) -> Path | None:
        """The file of one image; None when it is an array's."""
        return self.path / self.names[index]

    def content(self, index: int) -> bytes:
        """A digest of all that is stored of one image: the same under every name, through every link and in copies."""
        with (self.path / self.names[index]).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def subset(self, places: Codes) -> Self:
        """The images at these places, in this order."""
        some = copy.copy(self)
        some.names = tuple(self.names[place] for place in places.tolist())
        some.label, some.sizes = self.label[places], self.sizes[places]
        height, width = (_spread(side.tolist()) for side in some.sizes.T)
        counts = _counts(some.label, self.schema.classes)
        some.schema = replace(self.schema, n_images=len(places), counts=counts, width=width, height=height)
        return some

    def with_white(self, white: int | None) -> Self:
        """The same images, read by the white that a model learned; None where it learned none."""
        read = copy.copy(self)
        read.schema = replace(self.schema, white=white)
        return read

    def fingerprint(self) -> str:
        """A digest of names, sizes in bytes and both ends of each file; not of dates and of where the folder is."""
        return self._digest


class _ArraySource(ImageSource):
    """Images of an .npz, in memory."""

    def __init__(
        self, path: Path, schema: ImageSchema, names: Sequence[str], label: Codes, digest: str, images: npt.NDArray[Any]
    ) -> None:
        sizes = np.tile(np.array(images.shape[1:3], np.int64), (len(images), 1))
        super().__init__(path, schema, names, label, digest, sizes)
        self._images = images

    def subset(self, places: Codes) -> Self:
        some = super().subset(places)
        some._images = self._images[places]
        return some

    def read(self, index: int) -> Bytes:
        pixels = self._images[index]
        if pixels.dtype.kind == "f":
            pixels = _scaled(pixels, 1)
        elif pixels.dtype != np.uint8:
            pixels = _scaled(pixels, self.schema.white or _white(int(pixels.max())))
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        return pixels_of(Image.fromarray(pixels), self.schema.channels)

    def path_of(self, index: int) -> Path | None:
        return None

    def content(self, index: int) -> bytes:
        pixels = np.ascontiguousarray(self._images[index])
        return hashlib.sha256(f"{pixels.dtype} {pixels.shape}\0".encode() + pixels.tobytes()).digest()


def is_images(path: Path) -> bool:
    """Whether `path` is a folder that is no checkpoint, or names an .npz file."""
    folder = whole_folder(path)
    if folder.is_dir():
        return not all((folder / name).is_file() for name in ("config.json", "weights.safetensors"))
    return path.suffix.lower() == ".npz"


def open_images(
    path: Path,
    *,
    labelled: bool | None = None,
    channels: int | None = None,
    known: ImageSchema | None = None,
    on_read: Callable[[int], None] | None = None,
) -> ImageSource:
    """The images in a folder or an .npz file, each decoded once to see that it can be.

    labelled: True wants classes, at least two; False takes none; None takes what is there: class folders unless images
    lie beside them, labels of an .npz. channels: in place of what the files say. known: the images that a model learned
    from, whose channels and white these are read by. on_read: is told now and then how many files were looked at.

    Raises DataError when `path` is neither, holds no image, has another layout than wanted, or when more than half of
    its files cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise DataError("does not exist", where=str(path), remedy="check the path")
    if known is not None:
        channels = channels or known.channels
    if path.is_dir():
        return _open_folder(path, labelled, channels, known, on_read)
    if not path.is_file():
        raise DataError("is not a regular file", where=str(path), remedy="save the images to a file first")
    if path.suffix.lower() == ".npz":
        return _open_npz(path, labelled, channels, known)
    remedy = "give a folder of images, or an .npz file"
    raise DataError("is neither a folder nor an .npz file", where=str(path), remedy=remedy)


def as_png(image: Bytes) -> bytes:
    """An image as a PNG file holds it. image: [H, W, C], C 1 (grey), 3 (colour) or 4 (with opacity)."""
    data = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(data, format="PNG")
    return data.getvalue()


def write_png(image: Bytes, path: Path) -> None:
    """Write an image, see `as_png`. Raises DataError where that cannot be done."""
    try:
        path.write_bytes(as_png(image))
    except OSError as error:
        raise DataError(f"cannot be written ({error.strerror or error})", where=str(path)) from error


# --- folders ---


@dataclass(frozen=True, slots=True)
class _Checked:
    """What one file holds. deepest: its largest value when it has 16 bits a pixel, else None. narrowed: it has 16 bits
    a colour, of which Pillow gives the upper eight. digest: of its size and both ends."""

    format: str
    width: int
    height: int
    colour: bool
    alpha: bool
    deepest: int | None
    narrowed: bool
    digest: bytes


def _open_folder(
    path: Path,
    labelled: bool | None,
    channels: int | None,
    known: ImageSchema | None,
    on_read: Callable[[int], None] | None,
) -> ImageSource:
    names = image_names(path)
    _classes(path, names, labelled)  # what is wrong with the layout is said before the long look at all files
    good: list[tuple[str, _Checked]] = []
    skipped: list[tuple[str, str]] = []
    for name, found in zip(names, _check_all(path, names, on_read), strict=True):
        if isinstance(found, str):
            skipped.append((name, found))
        else:
            good.append((name, found))
    if 2 * len(skipped) > len(names):
        problem = f"{len(skipped)} of {len(names)} images cannot be used; the first, {skipped[0][0]}, {skipped[0][1]}"
        raise DataError(problem, where=str(path), remedy="mend or remove them")

    names, files = [name for name, _ in good], [file for _, file in good]
    classes, remarks = _classes(path, names, labelled)
    code_of = {name: code for code, name in enumerate(classes)}
    label = np.array([code_of[name.split("/")[0]] if classes else 0 for name in names], np.int64)
    n_alpha, n_colour = sum(file.alpha for file in files), sum(file.colour for file in files)
    channels = channels or (4 if 2 * n_alpha > len(files) else 3 if n_colour else 1)
    if n_narrowed := sum(file.narrowed for file in files):
        remarks.append(f"of the 16 bits a colour of {n_narrowed} images the upper 8 are used")
    white, said = _learned_white([file.deepest for file in files if file.deepest is not None], known)
    remarks += said
    schema = ImageSchema(
        channels=channels,
        white=white,
        classes=classes,
        counts=_counts(label, classes),
        n_images=len(files),
        width=_spread([file.width for file in files]),
        height=_spread([file.height for file in files]),
        formats=dict(sorted(Counter(file.format for file in files).items())),
        skipped=tuple(skipped),
        remarks=(*remarks, *_channel_remarks(channels, len(files), n_alpha, n_colour)),
        longest=max(_ratio(file.width, file.height) for file in files),
    )
    digest = hashlib.sha256()
    for name, file in good:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + file.digest)
    sizes = np.array([(file.height, file.width) for file in files], np.int64)
    return ImageSource(path, schema, names, label, digest.hexdigest(), sizes)


def image_names(root: Path) -> list[str]:
    """Paths below `root`, with "/", in order, of what has an image's suffix and is not hidden."""
    return sorted(_walk(root), key=lambda name: name.split("/"))


def _walk(root: Path) -> Iterator[str]:
    """The same as they come; links are followed once."""

    def refuse(error: OSError) -> None:
        where = str(error.filename or root)
        raise DataError(f"cannot be read ({error.strerror or error})", where=where, remedy="see who may read it")

    seen = {os.path.realpath(root)}
    for folder, inner, files in os.walk(root, followlinks=True, onerror=refuse):
        kept = []
        for name in sorted(inner):
            real = os.path.realpath(os.path.join(folder, name))  # noqa: PTH118
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                kept.append(name)
        inner[:] = kept
        below = Path(folder).relative_to(root).as_posix()
        for name in files:
            if not name.startswith(".") and name.lower().endswith(_SUFFIXES):
                yield name if below == "." else f"{below}/{name}"


_CHECK = "check the path; a table is given as one file"


def _classes(path: Path, names: Sequence[str], labelled: bool | None) -> tuple[tuple[str, ...], list[str]]:
    """Class folders of images with these names, and remarks for the user. Raises DataError for another layout."""
    where, example = str(path), f"such as {path.name}/yes/1.png and {path.name}/no/2.png"
    if not names:
        remedy = f"give a folder with images in a folder for each class, {example}" if labelled else _CHECK
        raise DataError("holds no images", where=where, remedy=how_parts_lie(path) or remedy)
    if labelled is False:
        return (), []
    loose = [name for name in names if "/" not in name]
    classes = tuple(sorted({name.split("/")[0] for name in names if "/" in name}))
    remedy = f"put the images of each class into a folder of their own, {example}"
    if labelled and not classes:
        raise DataError("its images lie in no class folders", where=where, remedy=remedy)
    if labelled and loose:
        problem = f"images lie beside the class folders, {loose[0]} the first of {len(loose)}"
        raise DataError(problem, where=where, remedy="move each into the folder of its class, or away")
    if labelled and len(classes) < 2:
        raise DataError(f"has images of one class alone, '{classes[0]}'", where=where, remedy=remedy)
    if loose and classes:
        return (), [f"images lie beside the folders ({loose[0]} is one), so that folders are not taken for classes"]
    return classes, []


def _check_all(path: Path, names: Sequence[str], on_read: Callable[[int], None] | None) -> Iterator[_Checked | str]:
    """For each file what it holds, or why it cannot be used."""
    parts = [names[start : start + _FILES_AT_ONCE] for start in range(0, len(names), _FILES_AT_ONCE)]
    n_read = 0
    # Filters belong to the whole process: set here, around all threads, and never within one.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", UserWarning)  # about metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for found in pool.map(lambda part: [_check(path / name) for name in part], parts):
            n_read += len(found)
            if on_read:
                on_read(n_read)
            yield from found


def _check(path: Path) -> _Checked | str:
    """What the file holds, decoded to its end, or why it cannot be used."""
    try:
        check_regular(path)
        with path.open("rb") as file:
            digest = _ends(file)
            image = opened(file)
            size = image.size
            narrowed = image.mode not in _DEEP and ";16" in str(image.tile)
            drafted = image.draft(None, (1, 1))  # of JPEG: every byte is decoded, but to an eighth of the size
            image.load()
            width, height = size if drafted else image.size  # loading turns TIFF upright
            if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS:
                width, height = height, width
            return _Checked(
                format="JPEG" if image.format == "MPO" else str(image.format),
                width=width,
                height=height,
                colour=image.mode in _COLOUR,
                alpha=has_alpha(image),
                deepest=_deepest(image),
                narrowed=narrowed,
                digest=digest,
            )
    except BROKEN as error:
        return why_unusable(error)


class _RefusedError(ValueError):
    """The image is whole, but cannot be used; the text continues its name."""


def check_regular(path: Path) -> None:
    """Refuse what holds no image before it is opened: a pipe would never end. Raises one of BROKEN."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise _RefusedError("is not a regular file")
    if not state.st_size:
        raise _RefusedError("is empty")


def why_unusable(error: BaseException) -> str:
    """Why a file cannot be used, as words that continue its name."""
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "is not one of " + ", ".join(_FORMATS)
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"has more pixels than the {MAX_PIXELS:,} allowed"
    said = error.strerror if isinstance(error, OSError) else None
    return f"cannot be decoded ({said or str(error) or type(error).__name__})"


def _ends(file: IO[bytes]) -> bytes:
    """Digest of a file's size and both its ends; the file is left at its start."""
    start = file.read(_END_BYTES)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(len(start), size - _END_BYTES))
    digest = hashlib.sha256(b"%d\0" % size + start + file.read()).digest()
    file.seek(0)
    return digest


# --- one image ---


def opened(file: IO[bytes]) -> ImageFile.ImageFile:
    """The first picture of a file, its head alone read. Raises one of BROKEN when it cannot be used."""
    image = Image.open(file, formats=_FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _RefusedError(f"has {width} x {height} pixels, more than the {MAX_PIXELS:,} allowed")
    if image.mode not in _GREY + _COLOUR:
        raise _RefusedError(f"has pixels of a kind that cannot be used ({image.mode})")
    return image


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "PA", "RGBA") or ("transparency" in image.info and image.mode in ("1", "L", "P", "RGB"))


def _deepest(image: Image.Image) -> int | None:
    """The largest value of an image with 16 bits a pixel, else None. Raises _RefusedError for values out of range."""
    if image.mode == "F" and not _is_share(np.asarray(image)):
        raise _RefusedError("has floating-point pixels outside 0 to 1")
    if image.mode not in _DEEP:
        return None
    pixels = np.asarray(image)
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > _LARGEST_DEEP:
        raise _RefusedError(f"has values from {low} to {high}, outside 0 to {_LARGEST_DEEP}")
    return high


def _is_share(values: npt.NDArray[Any]) -> bool:
    """Whether all values lie in 0..1; not a number does not."""
    return bool(values.min() >= 0 and values.max() <= 1)


def _white(largest: int) -> int:
    """The smallest 2**k - 1, k from 8 to 16, that is at least `largest`."""
    return int(2 ** max(8, largest.bit_length()) - 1)


def _learned_white(deepest: Sequence[int], known: ImageSchema | None) -> tuple[int | None, list[str]]:
    """The white of images with 16 bits a pixel, and remarks on it. None where each image's own largest value says it.

    deepest: the largest value of each of them. known: the images that a model learned from, None to learn from these.
    """
    white = known.white if known is not None else _white(max(deepest)) if deepest else None
    if not deepest:
        return white, []
    if white is None:
        how = "for each the smallest of 255, 511, ... 65535 that it does not exceed is taken for white"
        return None, [f"{_images(len(deepest))} with 16 bits a pixel, as none of those learned from; {how}"]
    remarks = [f"there are images with 16 bits a pixel; {white} is taken for white"]
    if n_beyond := sum(value > white for value in deepest):
        remarks.append(f"{_images(n_beyond)} with values beyond {white}, which are white as well")
    return white, remarks


def _images(n: int) -> str:
    return "there is 1 image" if n == 1 else f"there are {n} images"


def _scaled(values: npt.NDArray[Any], white: int) -> Bytes:
    """0..white to 0..255; what lies beyond white is white."""
    return np.minimum(np.rint(values * (255.0 / white)), 255).astype(np.uint8)


def eight_bit(image: Image.Image, white: int | None) -> Image.Image:
    """white: of images with 16 bits a pixel; None to take the image's own."""
    if image.mode in _DEEP:
        pixels = np.asarray(image)
        return Image.fromarray(_scaled(pixels, white or _white(int(pixels.max()))))
    if image.mode == "F":
        return Image.fromarray(_scaled(np.asarray(image), 1))
    return image


def pixels_of(image: Image.Image, channels: int) -> Bytes:
    """[H, W, channels] of an image with 8 bits a channel, by the rule for channels of this module."""
    if has_alpha(image):
        image = image.convert("RGBA")
        if channels < 4:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
    elif image.mode in _COLOUR:
        image = image.convert("RGB")
    pixels = np.array(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return pixels[:, :, None] if channels == 1 else pixels


def _channel_remarks(channels: int, n: int, n_alpha: int, n_colour: int) -> list[str]:
    remarks = []
    if channels == 4 and n_alpha < n:
        remarks.append(f"{n - n_alpha} of {n} images have no alpha channel and are taken as opaque")
    if channels < 4 and n_alpha:
        remarks.append(f"{n_alpha} of {n} images have an alpha channel and are flattened on white")
    if channels > 1 and n_colour < n:
        remarks.append(f"{n - n_colour} of {n} images are grey; the grey is repeated in each colour")
    if channels == 1 and n_colour:
        remarks.append(f"{n_colour} of {n} images have colour and are turned grey")
    return remarks


def _spread(sizes: Sequence[int]) -> tuple[int, int, int]:
    return min(sizes), int(np.median(sizes)), max(sizes)


def _ratio(width: int, height: int) -> float:
    """Of the longer side to the shorter."""
    return max(width, height) / min(width, height)


def _counts(label: Codes, classes: Sequence[str]) -> tuple[int, ...]:
    return tuple(np.bincount(label, minlength=len(classes)).tolist()) if classes else ()


# --- arrays ---


def _open_npz(path: Path, labelled: bool | None, channels: int | None, known: ImageSchema | None) -> ImageSource:
    where = str(path)
    wanted = f"images belong in an array called {_either(_IMAGE_ARRAYS)}, labels in {_either(_LABEL_ARRAYS)}"
    with _npz_errors(path):
        with path.open("rb") as file:
            digest = _ends(file).hex()  # the end of a zip file holds a check sum of every array
        with np.load(path, allow_pickle=False) as arrays:
            present = list(arrays.files)
            key = next((name for name in _IMAGE_ARRAYS if name in present), None)
            label_key = next((name for name in _LABEL_ARRAYS if name in present), None)
            images = None if key is None else arrays[key]
            labels = arrays[label_key] if label_key and labelled is not False else None
    if images is None:
        problem = f"has no images among its arrays ({', '.join(present) or 'none'})"
        raise DataError(problem, where=where, remedy=wanted)
    if labelled and labels is None:
        raise DataError(f"has no labels among its arrays ({', '.join(present)})", where=where, remedy=wanted)

    _check_array(images, f"{where}: array {key}")
    n, height, width = images.shape[:3]
    stored = images.shape[3] if images.ndim == 4 else 1
    classes, label = _npz_labels(labels, n, f"{where}: array {label_key}")
    if labelled and len(classes) < 2:
        problem = f"has one label alone, '{classes[0]}'"
        raise DataError(problem, where=f"{where}: array {label_key}", remedy="give images of at least two classes")
    channels = channels or stored
    remarks = _channel_remarks(channels, n, n if stored == 4 else 0, n if stored > 1 else 0)
    if ignored := [name for name in present if name not in (key, label_key)]:
        remarks.insert(0, f"of {path.name} the arrays {', '.join(ignored)} are not used")
    is_deep = images.dtype.kind in "iu" and images.dtype != np.uint8
    white, said = _learned_white(images.reshape(n, -1).max(1).tolist() if is_deep else [], known)
    schema = ImageSchema(
        channels=channels,
        white=white,
        classes=classes,
        counts=_counts(label, classes),
        n_images=n,
        width=(width, width, width),
        height=(height, height, height),
        formats={"NPZ": 1},
        remarks=(*remarks, *said),
        longest=_ratio(width, height),
    )
    names = [f"{path.name}[{index}]" for index in range(n)]
    return _ArraySource(path, schema, names, label, digest, images)


@contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    """Whatever zipfile and numpy raise for the file within the block, as a DataError."""
    try:
        yield
    except Exception as error:  # damaged, encrypted, compressed in another way, of no size that there is
        remedy = "save plain arrays with numpy.savez"
        raise DataError(f"cannot be read as an .npz file ({error})", where=str(path), remedy=remedy) from error


def _check_array(images: npt.NDArray[Any], where: str) -> None:
    shape = images.shape
    if images.ndim not in (3, 4) or (images.ndim == 4 and shape[3] not in CHANNELS) or 0 in shape:
        problem = f"has the shape {list(shape)}"
        remedy = "give [images, height, width] or [images, height, width, channels] with 1, 3 or 4 channels"
        raise DataError(problem, where=where, remedy=remedy)
    if shape[1] * shape[2] > MAX_PIXELS:
        raise DataError(f"has images of more than {MAX_PIXELS:,} pixels", where=where, remedy="give smaller ones")
    remedy = "give whole numbers from 0 to 255 (or to 65535), or numbers from 0 to 1"
    if images.dtype.kind not in "iuf":
        raise DataError(f"has pixels of type {images.dtype}", where=where, remedy=remedy)
    if images.dtype.kind == "f" and not _is_share(images):
        raise DataError("has floating-point pixels outside 0 to 1", where=where, remedy=remedy)
    if images.dtype != np.uint8 and images.dtype.kind in "iu" and (images.min() < 0 or images.max() > _LARGEST_DEEP):
        raise DataError(f"has values from {images.min()} to {images.max()}", where=where, remedy=remedy)


def _npz_labels(labels: npt.NDArray[Any] | None, n: int, where: str) -> tuple[tuple[str, ...], Codes]:
    """Classes, as text, sorted, and [n] codes into them."""
    if labels is None:
        return (), np.zeros(n, np.int64)
    if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in "biuUS":
        problem = f"has the shape {list(labels.shape)} and type {labels.dtype}"
        raise DataError(problem, where=where, remedy=f"give a whole number or a text for each of the {n} images")
    text = np.char.decode(labels, "utf-8", "replace") if labels.dtype.kind == "S" else labels.astype(str)
    classes, label = np.unique(text.reshape(n), return_inverse=True)
    return tuple(classes.tolist()), label.astype(np.int64)


def _either(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1]
