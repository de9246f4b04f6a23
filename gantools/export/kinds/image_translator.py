"""Translators of pictures: image, and a mask where holes are filled -> transformed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from gantools import registry
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import Bytes
from gantools.errors import ConfigError, DataError, ExportError
from gantools.export.bases import OfPictures
from gantools.export.proof import SEED, STRICT, Parity, Tolerance, check
from gantools.transform.checks import Mask, check_given
from gantools.transform.tiles import TILE, Tile, in_tiles, tiles

if TYPE_CHECKING:
    from gantools.export.graph import Graph
    from gantools.transform.translator import ImageTranslator

TRIED = ((48, 64), (33, 47), (1, 5), (70, 29))  # heights and widths that a proof runs
BEYOND = ((0, 0), (9, 30))  # what they have more than the file's shape, where it has one
BATCH = 3
AT_ONCE = 16  # pictures that a server should run at a time, at most
MOST_APART = 1  # grey levels


@registry.exported("image-translator")
class ExportedImageTranslator(OfPictures):
    """A translator from a file, with the methods of `ImageTranslator` that transforming needs.

    shape: height and width that the file is made for, None where it takes any.
    """

    purpose = "Makes pictures of pictures."
    needed = ("image", "transformed")

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        described = self.described
        self.target_schema_ = ImageSchema.from_json(described["target_schema"])
        self.scale_, self.reach, self.multiple = (int(described[name]) for name in ("scale", "reach", "multiple"))
        self.shape: tuple[int, int] | None = None
        if described["shape"] is not None:
            height, width = described["shape"]
            self.shape = int(height), int(width)

    @classmethod
    def build(cls, model: ImageTranslator, *, reverse: bool = False, shape: tuple[int, int] | None = None) -> Graph:
        """reverse: the other direction of a translator that has two. shape: height and width of all pictures."""
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.transform.translating import Translating

        net = model.translator_
        if reverse and model.n_directions_ < 2:
            raise ConfigError("this translator knows one direction", where="reverse", remedy="leave it out")
        if shape is not None:
            _check_shape(shape, net.reach, net.multiple)
        source, target = model.schema_, model.target_schema_
        if reverse:
            source, target = target, source
        traced = shape or (5 * net.multiple + 3, 4 * net.multiple + 1)
        names = ["image", "mask"] if model.fills_holes_ else ["image"]
        given = [torch.zeros((compose.ROWS_TRACED, *traced, source.channels), dtype=torch.uint8)]
        if model.fills_holes_:
            given.append(torch.zeros((compose.ROWS_TRACED, *traced), dtype=torch.uint8))
        sizes: dict[int, Any] = {0: compose.dim(compose.BATCH)}
        if shape is None:
            # with more than one cell of the coarsest map; the graph does with one, which PyTorch takes for a constant
            least = net.multiple + 1
            sizes |= {1: compose.dim("height", 1 << 14, least), 2: compose.dim("width", 1 << 14, least)}
        module = Translating(net, reverse=reverse).eval()
        proto = compose.traced(module, given, names, ["transformed"], shapes=[sizes] * len(names))
        compose.pad_to_one(proto, names)
        compose.count_rows(proto, names)
        compose.cut(proto, ["transformed"])
        height, width = shape or ("height", "width")
        places = (compose.BATCH, height, width)
        large: list[Any] = [f"{net.scale} * {side}" if net.scale > 1 else side for side in ("height", "width")]
        if shape is not None:
            large = [net.scale * side for side in shape]
        named: dict[str, tuple[Any, ...]] = {"image": (*places, source.channels), "mask": places}
        named["transformed"] = (compose.BATCH, *large, target.channels)
        compose.name_sizes(proto, {name: size for name, size in named.items() if name in (*names, "transformed")})
        facts = {
            "schema": source.to_json(),
            "target_schema": target.to_json(),
            "scale": net.scale,
            "reach": net.reach,
            "multiple": net.multiple,
            "shape": None if shape is None else list(shape),
            "reverse": reverse,
            "undoes": [] if model.degradations_ is None else model.degradations_.spelled,
        }
        return Graph(proto, cls.kind, (), (), {name: name for name in (*names, "transformed")}, facts)

    def prove(self, model: ImageTranslator, allowed: Tolerance) -> Parity:
        """On textures of several sizes, one by one, side by side, and in tiles."""
        reverse = bool(self.described["reverse"])
        largest, n_off, n_bytes, n_images = 0, 0, 0, 0
        shapes = list(TRIED)
        if self.shape is not None:
            shapes = [(self.shape[0] + down, self.shape[1] + across) for down, across in BEYOND]
        for height, width in shapes:
            for picture, mask in _tried(height, width, self.schema_.channels, self.fills_holes_):
                expected = model.transform(picture, mask, reverse=reverse).astype(int)
                off = np.abs(self.transform(picture, mask) - expected)
                largest, n_off = max(largest, int(off.max())), n_off + int((off > MOST_APART).sum())
                n_bytes, n_images = n_bytes + off.size, n_images + 1
        if self.shape is None:
            together = list(_tried(*TRIED[0], self.schema_.channels, self.fills_holes_))
            feed = {"image": np.stack([picture for picture, _ in together])}
            if self.fills_holes_:
                feed["mask"] = np.stack([mask for _, mask in together if mask is not None]).astype(np.uint8)
            made = self.run(feed, ["transformed"])[0]
            alone = np.stack([self.transform(*each) for each in together])
            check("a picture beside others", float(np.abs(made.astype(int) - alone).max()), MOST_APART)
        if allowed is STRICT:
            check("largest grey level", float(largest), MOST_APART)
        share = n_off / n_bytes
        check("share of bytes that differ by more than one", share, allowed.cells)
        return {"images": n_images, "sizes": [list(each) for each in shapes], "bytes_differing": share,
                "largest_byte": largest}  # fmt: skip

    # -- running ---------------------------------------------------------------------------------------------------

    @property
    def n_directions_(self) -> int:
        """A file has one."""
        return 1

    @property
    def fills_holes_(self) -> bool:
        """Whether it takes a mask."""
        return "mask" in self.names

    def transform(
        self,
        picture: Bytes,
        mask: Mask | None = None,
        *,
        reverse: bool = False,
        tile: int = TILE,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Bytes:
        """As `ImageTranslator.transform`. Where the file is made for one shape, tiles have that."""
        if reverse:
            remedy = "export the other direction with `reverse`"
            raise ConfigError("a file has one direction", where="reverse", remedy=remedy)
        check_given(self, picture, mask, reverse=False)
        if self.shape is not None and any(n < least for n, least in zip(picture.shape, self.shape, strict=False)):
            problem = (
                f"has {picture.shape[0]}x{picture.shape[1]} pixels, and this file takes {_spelled(self.shape)} or more"
            )
            raise DataError(problem, where="picture", remedy="export with a smaller `shape`, or without one")
        hole = None if mask is None else mask.astype(np.uint8)
        height, width = picture.shape[:2]
        places = list(self._places(height, width, tile))
        return in_tiles(self._run, picture, hole, places, self.scale_, on_tile)

    def warm_up(self) -> None:
        """Run once on a black picture of the file's shape, or a small one: some runtimes compile then."""
        height, width = self.shape or (self.multiple, self.multiple)
        black = np.zeros((height, width, self.schema_.channels), np.uint8)
        self._run(black, np.zeros((height, width), np.uint8) if self.fills_holes_ else None)

    def _places(self, height: int, width: int, side: int) -> Iterator[Tile]:
        if self.shape is None:
            yield from tiles(height, width, self.reach, self.multiple, side)
            return
        sides = zip((height, width), self.shape, strict=True)
        rows, columns = (list(_windows(n, whole, self.reach, self.multiple)) for n, whole in sides)
        for given_row, kept_row in rows:
            for given_column, kept_column in columns:
                yield Tile((given_row, given_column), (kept_row, kept_column))

    def _run(self, picture: Bytes, mask: Bytes | None) -> Bytes:
        """One picture, or a part of one; its last pixels are repeated up to the file's shape, and cut again."""
        height, width = picture.shape[:2]
        if self.shape is not None:
            more = [(0, whole - n) for whole, n in zip(self.shape, (height, width), strict=True)]
            picture = np.pad(picture, [*more, (0, 0)], mode="edge")
            mask = None if mask is None else np.pad(mask, more, mode="edge")
        feed = {"image": picture[None]} if mask is None else {"image": picture[None], "mask": mask[None]}
        made = self.run(feed, ["transformed"])[0][0]
        found: Bytes = made[: height * self.scale_, : width * self.scale_]
        return found

    # -- what it says of itself ------------------------------------------------------------------------------------

    @property
    def largest_batch(self) -> int:
        return AT_ONCE

    def training_data(self) -> Iterable[str]:
        yield from super().training_data()
        if undoes := self.described["undoes"]:
            yield f"degraded by {', '.join(undoes)}, which it undoes"

    def limits(self) -> Iterable[str]:
        yield "What it makes up, details among them, was not in the picture that it was given."
        yield "It was trained on pictures like the training data. On others it may do worse than no translator."
        yield from super().limits()

    def differences(self, parity: Mapping[str, Any]) -> str:
        return f"bytes differ by {parity['largest_byte']} at most"


def _check_shape(shape: tuple[int, int], reach: int, multiple: int) -> None:
    for side in shape:
        if side % multiple or side < 2 * reach + multiple:
            least = 2 * reach + multiple
            problem = f"{_spelled(shape)} does not do: sides must be multiples of {multiple}, at least {least}"
            raise ExportError(problem, where="shape", remedy=f"write {least}x{least} or more")


def _spelled(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _windows(n: int, whole: int, reach: int, multiple: int) -> Iterator[tuple[slice, slice]]:
    """Given and kept stretches along a side of n pixels, at least `whole`, where exactly `whole` are given at a time.

    The last one ends where the picture does when it is filled up to a multiple.
    """
    around = -(-reach // multiple) * multiple
    end = -(-n // multiple) * multiple
    start = 0
    while start < n:
        first = min(max(0, start - around), end - whole)
        stop = n if first + whole >= n else first + whole - around
        yield slice(first, min(n, first + whole)), slice(start, stop)
        start = stop


def _tried(height: int, width: int, channels: int, holes: bool) -> Iterator[tuple[Bytes, Mask | None]]:
    """Pictures with textures and noise, and masks where they are wanted."""
    random = np.random.default_rng(SEED)
    row, column = np.mgrid[:height, :width]
    for _ in range(BATCH):
        waves = [np.sin(row * random.uniform(0.1, 1.5) + column * random.uniform(0.1, 1.5)) for _ in range(channels)]
        grey = 128 + 90 * np.stack(waves, 2) + random.normal(0, 15, (height, width, channels))
        mask = random.random((height, width)) < 0.3 if holes else None
        yield grey.round().clip(0, 255).astype(np.uint8), mask
