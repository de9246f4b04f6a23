"""Images of any size to tensors that nets see, and back, as a module without parameters that exports."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.data.images.source import open_images

if TYPE_CHECKING:
    from gantools.data.images.source import ImageSchema, ImageSource

Fit = Literal["resize", "crop", "pad"]
FITS: tuple[Fit, ...] = get_args(Fit)
SMALLEST, LARGEST = 16, 256
LARGEST_UNASKED = 64  # pixels of each side, where no size is asked for
MUCH_HIDDEN = 0.3  # share of an image that is cut off with a note
TIES_UP = 1e-3  # added before rounding to bytes: a half goes up whatever the last bit of the arithmetic is
BASES = (4, 5, 6, 7)  # side of the smallest feature map: every size is one of these times a power of two


@dataclass(frozen=True)
class ImageLayout:
    """What an encoded image looks like. channels: 1 grey, 3 colour, 4 colour and opacity. size: pixels of each side."""

    channels: int
    size: int

    @property
    def base(self) -> int:
        """Side of the smallest feature map of a net that halves this size: 4 to 7."""
        return self.size >> self.n_halvings

    @property
    def n_halvings(self) -> int:
        """How often the size is halved on the way to `base`."""
        return next(n for n in range(16) if self.size >> n <= BASES[-1])


def allowed_sizes() -> list[int]:
    """Sizes that nets can be built for, ascending."""
    sizes = {base << n for base in BASES for n in range(8)}
    return sorted(size for size in sizes if SMALLEST <= size <= LARGEST)


def check_size(size: int) -> None:
    """Raise ConfigError unless nets can be built for images of this size."""
    listed = ", ".join(map(str, allowed_sizes()))
    check(size in allowed_sizes(), "size", f"must be one of {listed}, not {size}")


class ImageEncoder(nn.Module):
    """Brings images to one size and to [-1, 1], and back to bytes.

    framing: what is done with images of another shape. "resize": both sides to `size`, whatever the aspect. "crop": the
    shorter side to `size`, the middle kept. "pad": the longer side to `size`, the rest filled with the edge's pixels.
    Bilinear with antialiasing, rounded to bytes as a stored image would be, so that an image that was resized before it
    was stored and one that is resized here are the same to the nets.
    """

    def __init__(self, layout: ImageLayout, framing: Fit = "resize") -> None:
        super().__init__()
        check(framing in FITS, "fit", "must be one of " + ", ".join(FITS))
        self.layout = layout
        self.framing = framing

    def notes(self, schema: ImageSchema) -> list[str]:
        """What the user should know of what these images lose, as sentences."""
        hidden = 1 - 1 / schema.longest
        if self.framing != "crop" or hidden < MUCH_HIDDEN:
            return []
        return [f"crop keeps the middle alone: of the longest image {hidden:.0%} is not seen; pad and resize keep all"]

    def resized(self, images: Tensor) -> Tensor:
        """images: [N, H, W, C] uint8. Returns [N, C, size, size] uint8."""
        x, size = images.movedim(3, 1), self.layout.size
        height, width = x.shape[2:]
        if not torch.compiler.is_exporting() and (height, width) == (size, size):
            return x.contiguous()
        down: Any = size  # a number, or when exporting a symbol of one
        across: Any = size
        if self.framing != "resize":
            side = torch.sym_min(height, width) if self.framing == "crop" else torch.sym_max(height, width)
            down, across = (torch.sym_max(1, (2 * n * size + side) // (2 * side)) for n in (height, width))
        x = F.interpolate(x.float(), (down, across), mode="bilinear", antialias=True, align_corners=False)
        if self.framing != "resize":
            x = _middle(_middle(x, 2, down, size), 3, across, size)
        return (x + TIES_UP).round().clamp(0, 255).to(torch.uint8)

    def scaled(self, resized: Tensor) -> Tensor:
        """[N, C, size, size] uint8 to float32 in [-1, 1]."""
        return resized.float() / 127.5 - 1.0

    def forward(self, images: Tensor) -> Tensor:
        """images: [N, H, W, C] uint8 of one height and width. Returns [N, C, size, size] float32 in [-1, 1]."""
        return self.scaled(self.resized(images))

    def inverse(self, x: Tensor) -> Tensor:
        """x: [N, C, size, size], about [-1, 1]. Returns [N, size, size, C] uint8."""
        return as_bytes(x).movedim(1, 3).contiguous()

    def unframed(self, images: Tensor, height: int, width: int) -> Tensor:
        """Images [N, C, size, size] uint8 at the size that images of this height and width would have had before.

        Returns [N, C, height, width] uint8; with "crop", which sees a square in the middle, that square.
        """
        down, across = height, width
        if self.framing != "resize":
            down = across = min(height, width) if self.framing == "crop" else max(height, width)
        if (down, across) == images.shape[2:]:
            return images
        x = F.interpolate(images.float(), (down, across), mode="bicubic", antialias=True, align_corners=False)
        if self.framing == "pad":
            x = _middle(_middle(x, 2, down, height), 3, across, width)
        return x.round().clamp(0, 255).to(torch.uint8)

    def in_size(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Maps [N, side, side] of what nets saw as [N, height, width] of the image: 0 where they saw nothing."""
        down: Any = height
        across: Any = width
        if self.framing != "resize":
            down = across = torch.sym_min(height, width) if self.framing == "crop" else torch.sym_max(height, width)
        x = F.interpolate(maps.unsqueeze(1), (down, across), mode="bilinear", align_corners=False)
        if self.framing != "resize":
            x = _middle(_middle(x, 2, down, height, fill=0.0), 3, across, width, fill=0.0)
        return x.squeeze(1)

    def to_json(self) -> dict[str, Any]:
        return {"channels": self.layout.channels, "size": self.layout.size, "fit": self.framing}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ImageEncoder:
        return cls(ImageLayout(document["channels"], document["size"]), document["fit"])


def as_bytes(x: Tensor) -> Tensor:
    """About [-1, 1] to uint8."""
    return ((x.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _middle(x: Tensor, dim: int, n: int, wanted: int, fill: float | None = None) -> Tensor:
    """The middle `wanted` of the n places of x along a dimension. Where there are fewer, `fill` stands around them, or
    the ones at the edges are repeated. As an index, so that it exports for sizes of any kind."""
    first = torch.sym_max(0, n - wanted) // 2 - torch.sym_max(0, wanted - n) // 2
    place = torch.arange(wanted, device=x.device) + first
    x = x.index_select(dim, place.clamp(0, n - 1))
    if fill is None:
        return x
    outside = ((place < 0) | (place >= n)).reshape([-1 if k == dim else 1 for k in range(x.dim())])
    return x.masked_fill(outside, fill)


@dataclass(frozen=True)
class ImageSet:
    """Images at one size, with what they are.

    schema: of the images as they were. encoder: what brought them to their size. images: [N, C, size, size] uint8.
    label: [N] int64 codes into `schema.classes`, all 0 where there are none. fingerprint: of the files.
    """

    schema: ImageSchema
    encoder: ImageEncoder
    images: Tensor
    label: Tensor
    fingerprint: str

    @classmethod
    def load(
        cls, source: ImageSource, encoder: ImageEncoder, on_image: Callable[[int], None] | None = None
    ) -> ImageSet:
        """Every image of `source`, at the encoder's size. on_image: called with the number of images done."""
        label = torch.from_numpy(source.label)
        return cls(source.schema, encoder, load_images(source, encoder, on_image), label, source.fingerprint())

    def __len__(self) -> int:
        return len(self.label)

    @property
    def counts(self) -> list[int]:
        """Images of each class."""
        return torch.bincount(self.label, minlength=max(1, len(self.schema.classes))).tolist()


SPILL_BYTES = 4 << 30  # of images that are kept in memory; more of them lie in a temporary file


def room_for(*shape: int) -> Tensor:
    """An empty uint8 tensor. Above `SPILL_BYTES` it is a temporary file mapped into memory, gone with the tensor."""
    if math.prod(shape) <= SPILL_BYTES:
        return torch.empty(shape, dtype=torch.uint8)
    with tempfile.TemporaryFile() as file:
        return torch.from_numpy(np.memmap(file, np.uint8, "w+", shape=shape))


def load_images(source: ImageSource, encoder: ImageEncoder, on_image: Callable[[int], None] | None = None) -> Tensor:
    """Every image of `source` at the encoder's size: [N, C, size, size] uint8.

    Each file is decoded once, by all cores, so that training never waits for files. The tensor is one of `room_for`.
    on_image: called with the number of images done.
    """
    images = room_for(len(source), encoder.layout.channels, encoder.layout.size, encoder.layout.size)

    def put(index: int) -> None:
        pixels = torch.from_numpy(np.ascontiguousarray(source.read(index)))
        images[index] = encoder.resized(pixels.unsqueeze(0))[0]

    workers = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for done, _ in enumerate(pool.map(put, range(len(source))), 1):
            if on_image is not None and (done % 256 == 0 or done == len(source)):
                on_image(done)
    return images


def read_images(
    path: Path | str,
    *,
    size: int | None = None,
    fit: Fit = "resize",
    labelled: bool | None = True,
    on_image: Callable[[int], None] | None = None,
) -> ImageSet:
    """The images of a folder or an .npz file, at one size, to train a generator on.

    size: pixels of each side; None for what the images fill, at most LARGEST_UNASKED. fit: what is done with those that
    are not square, see `ImageEncoder`. labelled: whether sub-folders are classes; None to find out. on_image: called
    with the number of images done. Raises DataError for images that cannot be used, ConfigError for a size that nets
    cannot be built for.
    """
    source = open_images(Path(path), labelled=labelled)
    side = fitting_size(source.schema, LARGEST_UNASKED) if size is None else size
    check_size(side)
    return ImageSet.load(source, ImageEncoder(ImageLayout(source.schema.channels, side), fit), on_image)


def fitting_size(schema: ImageSchema, most: int) -> int:
    """The largest size, at most `most`, that the images' median shorter side fills; the smallest where none does."""
    side = min(schema.width[1], schema.height[1], most)
    return max((size for size in allowed_sizes() if size <= side), default=SMALLEST)
