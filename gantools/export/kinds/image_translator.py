"""Translators of pictures: image, and a mask where holes are filled -> transformed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from gantools import registry
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import Bytes, Mask
from gantools.errors import ConfigError, ExportError
from gantools.export.bases import PIXELS_AT_ONCE, OfImages, code
from gantools.export.proof import SEED, Parity, Tolerance, check
from gantools.transform.checks import check_picture
from gantools.transform.tiles import TILE, around, in_tiles, least_side, tiles, tiles_of
from gantools.words import count

if TYPE_CHECKING:
    from gantools.export.graph import Graph
    from gantools.transform.translator import ImageTranslator

SIZES = ((1, 5), (33, 47), (64, 64))  # heights and widths of pictures that a proof runs
SEVERAL = 3  # of one size that are run together
LONGEST = 4096  # pixels of a picture that a proof cuts into tiles
HIGHEST = 1 << 13  # sides in a graph are at most so many times the translator's multiple
BORDER = 2e-3  # grey levels: so near the middle between two bytes either may come out
HOLES = 0.3  # share of the pixels of a mask that a proof makes


@registry.exported("image-translator")
class ExportedImageTranslator(OfImages):
    """A translator of pictures from a file, in the direction that it was exported in.

    shape_: height and width that the graph takes, None where it takes any. target_schema_: of the pictures that it
    makes. scale_, fills_holes_: as of `ImageTranslator`.
    """

    purpose = "Makes pictures out of pictures."
    usage = "N pictures of one size are given at once."
    needed = ("image", "transformed")
    choices = ("reverse", "shape")

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.target_schema_ = ImageSchema.from_json(self.described["target_schema"])
        self.scale_, self.reach, self.multiple = (int(self.described[name]) for name in ("scale", "reach", "multiple"))
        self.fills_holes_ = "mask" in self.names
        shape = self.described["shape"]
        self.shape_: tuple[int, int] | None = None if shape is None else (int(shape[0]), int(shape[1]))

    @classmethod
    def build(cls, model: ImageTranslator, *, reverse: bool = False, shape: tuple[int, int] | None = None) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.transform.translating import Translating

        translator = model.translator_
        multiple, scale = translator.multiple, translator.scale
        if reverse and translator.n_directions < 2:
            raise ConfigError(f"{model.model} knows one direction", where="reverse", remedy="leave it out")
        if shape is not None:
            _check_shape(shape, translator.reach, multiple)
        taken, made = (model.schema_, model.target_schema_)[:: -1 if reverse else 1]
        height, width = shape or (2 * multiple, 3 * multiple)
        given = [torch.zeros((compose.ROWS_TRACED, height, width, taken.channels), dtype=torch.uint8)]
        inputs, output = ["image"], "transformed"
        if translator.fills_holes:
            given.append(torch.zeros(given[0].shape[:3], dtype=torch.uint8))
            inputs.append("mask")
        sizes = {0: compose.dim(compose.BATCH)}
        if shape is None:
            sizes |= {k: multiple * compose.dim(name, HIGHEST) for k, name in ((1, "height"), (2, "width"))}
        module = Translating(translator, reverse=reverse).eval()
        proto = compose.traced(module, given, inputs, [output], shapes=[sizes] * len(inputs))
        if shape is None:
            compose.any_size(proto, inputs, output, multiple, scale)
        compose.pad_to_one(proto, inputs)
        compose.count_rows(proto, inputs)
        compose.cut(proto, [output])
        sides: tuple[Any, Any] = shape or ("height", "width")
        large = tuple(side * scale if shape else compose.times(scale, side) for side in sides)
        named: dict[str, tuple[Any, ...]] = {"mask": (compose.BATCH, *sides)} if translator.fills_holes else {}
        named["image"] = (compose.BATCH, *sides, taken.channels)
        named[output] = (compose.BATCH, *large, made.channels)
        compose.name_sizes(proto, named)
        facts = {
            "schema": taken.to_json(),
            "target_schema": made.to_json(),
            "scale": scale,
            "reach": translator.reach,
            "multiple": multiple,
            "shape": shape,
            "reverse": reverse,
            "directions": translator.n_directions,
            "degrade": None if model.degradations_ is None else list(model.degradations_.spelled),
        }
        return Graph(proto, cls.kind, (), (), {name: name for name in (*inputs, output)}, facts)

    def prove(self, model: ImageTranslator, allowed: Tolerance) -> Parity:
        """On pictures of several sizes, alone, together and in tiles."""
        off, of, largest, decided = 0, 0, 0, 0
        seen: list[list[int]] = []
        n = 0
        for expected, made in self._both(model):
            apart = np.abs(made.astype(int) - np.rint(expected).clip(0, 255).astype(int))
            beyond = np.abs(made - expected.clip(0, 255)) > 0.5 + BORDER
            off, decided = off + int((apart > 0).sum()), decided + int(beyond.sum())
            of, largest, n = of + apart.size, max(largest, int(apart.max(initial=0))), n + len(made)
            seen.append([made.shape[1] // self.scale_, made.shape[2] // self.scale_])
        check("largest difference of a byte", largest, allowed.grey)
        check("share of bytes", decided / of, allowed.greys)
        return {
            "images": n,
            "sizes": [list(size) for size in dict.fromkeys(map(tuple, seen))],
            "bytes": of,
            "bytes_unlike": off,
            "bytes_beyond_rounding": decided,
            "largest_byte": largest,
        }

    def _both(self, model: ImageTranslator) -> Iterator[tuple[npt.NDArray[Any], Bytes]]:
        """Grey levels of the library and bytes of the file, [n, H, W, C'] each, of the pictures that a proof runs."""
        for pictures, masks in self._tried(model):
            expected = _grey_levels(model, pictures, masks, self.described["reverse"])
            yield expected, self.run_pictures(pictures, masks)
            yield expected[:1], self.run_pictures(pictures[:1], None if masks is None else masks[:1])
        for picture, mask in self._in_parts():
            height, width = (side * self.scale_ for side in picture.shape[:2])
            made = self.transform(picture, mask, tile=least_side(self.reach, self.multiple))
            picture, mask = self._filled_up(picture, mask)
            expected = _grey_levels(
                model, picture[None], None if mask is None else mask[None], self.described["reverse"]
            )
            yield expected[:, :height, :width], made[None]

    def _tried(self, model: ImageTranslator) -> Iterator[tuple[Bytes, Mask | None]]:
        """Pictures [n, H, W, C] and their masks: random textures, and what the model learned from, made up."""
        random = np.random.default_rng(SEED)
        for height, width in (self.shape_,) if self.shape_ else SIZES:
            shape = (SEVERAL, height, width, self.schema_.channels)
            fine = random.integers(0, 256, shape, dtype=np.uint8)
            coarse = np.stack([_smooth(random, *shape[1:]) for _ in range(SEVERAL)])
            masks = random.random((2 * SEVERAL, height, width)) < HOLES if self.fills_holes_ else None
            yield np.concatenate([fine, coarse]), masks
        if model.degradations_ is not None:
            height, width = self.shape_ or SIZES[-1]
            yield _degraded(model, random, height, width)

    def _in_parts(self) -> Iterator[tuple[Bytes, Mask | None]]:
        """Pictures that are cut into tiles, as narrow as they may be; for a graph of one shape a small one, too."""
        random = np.random.default_rng(SEED)
        long = 2 * least_side(self.reach, self.multiple) + 3
        low = 2 * self.multiple + 1
        wanted = [(low, long), (long, low)] if long <= LONGEST else []
        if self.shape_ is not None:
            height, width = self.shape_
            wanted = [(height, width + 2 * self.multiple + 1), (height + 1, width), (height // 2, width // 3 + 1)]
        for height, width in wanted:
            mask = random.random((height, width)) < HOLES if self.fills_holes_ else None
            yield _smooth(random, height, width, self.schema_.channels), mask

    # -- running ---------------------------------------------------------------------------------------------------

    def transform(
        self,
        picture: Bytes,
        mask: Mask | None = None,
        *,
        reverse: bool = False,
        tile: int = TILE,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Bytes:
        """As `ImageTranslator.transform`, in the direction of the file: [scale * H, scale * W, C'] uint8.

        Of a graph of one shape the tiles have that shape, whatever `tile` is; a smaller picture is filled up with its
        edge, which shows within the translator's reach of the right and lower side.

        Raises ConfigError for a mask or a direction that the file does not know, DataError for a picture of another
        shape.
        """
        if reverse:
            other = "without" if self.described["reverse"] else "with"
            problem, remedy = "a file knows one direction", f"export the other one, {other} `reverse`"
            if self.described["directions"] < 2:
                problem, remedy = f"{self.described['model']} knows one direction", "leave it out"
            raise ConfigError(problem, where="reverse", remedy=remedy)
        check_picture(
            picture, mask, model=self.described["model"], channels=self.schema_.channels, fills_holes=self.fills_holes_
        )
        height, width = picture.shape[:2]
        picture, mask = self._filled_up(picture, mask)
        if self.shape_ is None:
            places = tiles(height, width, self.reach, self.multiple, tile)
        else:
            high, wide = picture.shape[:2]
            places = tiles_of(high, wide, self.reach, self.multiple, self.shape_)
        made = in_tiles(self._run_one, picture, mask, places, self.scale_, on_tile)
        return made[: height * self.scale_, : width * self.scale_]

    def run_pictures(self, pictures: Bytes, masks: npt.NDArray[Any] | None = None) -> Bytes:
        """What is made of pictures [N, H, W, C] of one size, each as a whole. masks: [N, H, W]."""
        feed: dict[str, Any] = {self.names["image"]: pictures}
        if masks is not None:
            feed[self.names["mask"]] = masks.astype(np.uint8)
        made: Bytes = self.run(feed, [self.names["transformed"]])[0]
        return made

    def warm_up(self) -> None:
        """Run once: some runtimes compile a graph, for its shape, when they first see it."""
        height, width = self.shape_ or SIZES[-1]
        masks = np.zeros((1, height, width), np.uint8) if self.fills_holes_ else None
        self.run_pictures(np.zeros((1, height, width, self.schema_.channels), np.uint8), masks)

    def _filled_up(self, picture: Bytes, mask: Mask | None) -> tuple[Bytes, Mask | None]:
        """With their edges repeated as far as a graph of one shape needs it."""
        if self.shape_ is None:
            return picture, mask
        sides = zip(picture.shape, self.shape_, strict=False)
        by = [(0, max(-n % self.multiple, side - n)) for n, side in sides]
        filled = np.pad(picture, (*by, (0, 0)), mode="edge")
        return filled, None if mask is None else np.pad(mask, by, mode="edge")

    def _run_one(self, picture: Bytes, mask: Bytes | None = None) -> Bytes:
        made: Bytes = self.run_pictures(picture[None], None if mask is None else mask[None])[0]
        return made

    # -- what it says of itself ------------------------------------------------------------------------------------

    @property
    def largest_batch(self) -> int:
        if self.shape_ is None:
            return super().largest_batch
        return max(1, PIXELS_AT_ONCE // (self.shape_[0] * self.shape_[1]))

    def training_data(self) -> Iterable[str]:
        yield from super().training_data()
        if self.described["degrade"]:
            yield f"degraded by {', '.join(map(code, self.described['degrade']))}, and learned to undo it"

    def limits(self) -> Iterable[str]:
        yield (
            f"What is made of a place depends on the pixels within {self.reach} of it. Larger pictures than memory "
            "holds can be run in tiles that overlap by so much, as `load_exported(...).transform` does."
        )
        if self.shape_ is not None:
            yield (
                "Pictures of less than the shape are filled up, and what is made of them differs within that reach of "
                "the right and lower side."
            )
        yield "What is added to a picture is a guess from the training data, and no evidence of what was there."
        yield from super().limits()

    def differences(self, parity: Mapping[str, Any]) -> str:
        unlike = f"{parity['bytes_unlike']:,} of {count(parity['bytes'], 'byte')} differ"
        return f"{unlike}, by {parity['largest_byte']} at most" if parity["bytes_unlike"] else "no byte differs"


def _check_shape(shape: tuple[int, int], reach: int, multiple: int) -> None:
    """Raise ExportError for a shape that the tiles of a translator cannot have."""
    spelled, least = f"{shape[0]}x{shape[1]}", least_side(reach, multiple)
    if any(side % multiple for side in shape):
        problem = f"the sides of {spelled} are no multiples of {multiple}"
        near = "x".join(str(max(least, round(side / multiple) * multiple)) for side in shape)
        raise ExportError(problem, where="shape", remedy=f"use {near}")
    if min(shape) < least:
        problem = f"{spelled} is too small: what is made of a place depends on {around(reach, multiple)} pixels around"
        raise ExportError(problem, where="shape", remedy=f"use {least}x{least} or more")


# --- what a proof runs ---


def _grey_levels(model: ImageTranslator, pictures: Bytes, masks: Mask | None, reverse: bool) -> npt.NDArray[Any]:
    """What the library makes of pictures, before it is rounded: [N, H, W, C']."""
    import torch

    from gantools.transform.translating import Translating

    given = [torch.from_numpy(pictures)]
    if masks is not None:
        given.append(torch.from_numpy(masks.astype(np.uint8)))
    with torch.no_grad():
        found = Translating(model.translator_, reverse=reverse).grey_levels(*given).movedim(1, 3)
    return found.numpy()


def _smooth(random: np.random.Generator, height: int, width: int, channels: int) -> Bytes:
    """A picture of waves and of a rectangle."""
    row, column = np.mgrid[:height, :width][..., None]
    long, place = random.uniform(4, 60, (2, channels)), random.uniform(0, 6, channels)
    waves = 127.5 + 100 * np.sin(row / long[0] + place) * np.cos(column / long[1])
    waves[height // 3 : height // 2, width // 4 : width // 2] = random.uniform(0, 255, channels)
    smooth: Bytes = waves.round().astype(np.uint8)
    return smooth


def _degraded(
    model: ImageTranslator, random: np.random.Generator, height: int, width: int
) -> tuple[Bytes, Mask | None]:
    """Smooth pictures after what clean pictures undergo in training."""
    scale, channels = model.scale_, model.target_schema_.channels
    clean = (_smooth(random, height * scale, width * scale, channels) for _ in range(SEVERAL))
    pictures, masks = zip(*(model.degraded(one, SEED + k) for k, one in enumerate(clean)), strict=True)
    return np.stack(pictures), np.stack(masks) if model.fills_holes_ else None
