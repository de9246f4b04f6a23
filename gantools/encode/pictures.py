"""Pictures of any sizes as bytes in one tensor, and crops of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.data.images.pairs import Layout, PictureSet, open_pictures
from gantools.encode.images import ImageEncoder, load_images, room_for

if TYPE_CHECKING:
    from gantools.data.images.schema import ImageSchema
    from gantools.data.images.source import ImageSource

N_TURNS = 8  # ways to lay a square: mirrored or not, upside down or not, rows for columns or not


@dataclass(frozen=True)
class Pictures:
    """N pictures, one behind the other.

    pixels: uint8, the [C, H, W] of each, flat. start: [N] int64, where each begins. height, width: [N] int64.
    """

    pixels: Tensor
    start: Tensor
    height: Tensor
    width: Tensor
    channels: int

    @classmethod
    def of(cls, pictures: Iterable[npt.NDArray[np.uint8]], sizes: Sequence[tuple[int, int]], channels: int) -> Pictures:
        """pictures: [H, W, C] each, one at a time. sizes: their heights and widths."""
        counts = [channels * height * width for height, width in sizes]
        pixels = room_for(sum(counts))
        start = [0, *np.cumsum(counts).tolist()]
        for place, picture in enumerate(pictures):
            channels_first = np.array(picture.transpose(2, 0, 1), order="C")  # a copy, since what is read may be locked
            pixels[start[place] : start[place + 1]] = torch.from_numpy(channels_first.reshape(-1))
        height, width = torch.tensor(sizes, dtype=torch.int64).reshape(-1, 2).unbind(1)
        return cls(pixels, torch.tensor(start[:-1], dtype=torch.int64), height, width, channels)

    @classmethod
    def load(cls, source: ImageSource, on_image: Callable[[int], None] | None = None) -> Pictures:
        """Every picture of `source`, as large as it is. on_image: called with the number of pictures done."""

        def read() -> Iterable[npt.NDArray[np.uint8]]:
            for index in range(len(source)):
                yield source.read(index)
                if on_image is not None:
                    on_image(index + 1)

        return cls.of(read(), [(int(h), int(w)) for h, w in source.sizes], source.schema.channels)

    @classmethod
    def stacked(cls, images: Tensor) -> Pictures:
        """Pictures of one size. images: [N, C, H, W] uint8."""
        n, channels, height, width = images.shape
        start = torch.arange(n, device=images.device) * (channels * height * width)
        down, across = (torch.full((n,), side, device=images.device) for side in (height, width))
        return cls(images.reshape(-1), start, down, across, channels)

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: int) -> Tensor:
        """One picture [C, H, W] uint8."""
        start, height, width = (int(each[index]) for each in (self.start, self.height, self.width))
        size = self.channels * height * width
        return self.pixels[start : start + size].reshape(self.channels, height, width)

    def some(self, places: Tensor) -> Pictures:
        """The pictures at these places [M]; their pixels are shared."""
        return replace(self, start=self.start[places], height=self.height[places], width=self.width[places])

    def to(self, device: torch.device) -> Pictures:
        pixels, start, height, width = (x.to(device) for x in (self.pixels, self.start, self.height, self.width))
        return Pictures(pixels, start, height, width, self.channels)

    def crops(self, places: Tensor, top: Tensor, left: Tensor, size: int, turn: Tensor | None = None) -> Tensor:
        """Squares out of pictures: [B, C, size, size] uint8.

        places: [B] int64, of the pictures. top, left: [B] int64, of the squares; beyond the edge the last pixels are
        repeated. turn: [B] int64 below `N_TURNS`, how each is laid; None for as it is.
        """
        height, width = self.height[places], self.width[places]
        along = torch.arange(size, device=places.device)
        row = (top.unsqueeze(1) + along).clamp(min=0).minimum(height.unsqueeze(1) - 1)
        column = (left.unsqueeze(1) + along).clamp(min=0).minimum(width.unsqueeze(1) - 1)
        if turn is not None:
            row = torch.where((turn & 1).bool().unsqueeze(1), row.flip(1), row)
            column = torch.where((turn & 2).bool().unsqueeze(1), column.flip(1), column)
        place = row.unsqueeze(2) * width.reshape(-1, 1, 1) + column.unsqueeze(1)  # [B, size, size]
        if turn is not None:
            place = torch.where((turn & 4).bool().reshape(-1, 1, 1), place.transpose(1, 2), place)
        channel = torch.arange(self.channels, device=places.device) * (height * width).unsqueeze(1)  # [B, C]
        first = (self.start[places].unsqueeze(1) + channel).reshape(-1, self.channels, 1, 1)
        return self.pixels[first + place.unsqueeze(1)]


def corners(n: Tensor, size: int, random: torch.Generator) -> Tensor:
    """Where a stretch of `size` begins in each of n [B] int64 pixels, at random; 0 where there are fewer."""
    room = (n - size).clamp(min=0) + 1
    drawn = torch.rand(n.shape, device=n.device, generator=random, dtype=torch.float64)
    return (drawn * room).long().minimum(room - 1)


@dataclass(frozen=True)
class TranslationSet:
    """What a translator learns from.

    layout: "pairs" (the k-th of `sources` belongs to the k-th of `targets`), "unpaired", or "clean" (targets alone).
    source_schema, target_schema: of the pictures as they were. scale: how many times as long the sides of a pair's
    target are. fingerprint: of the files, and of the size that they were brought to.
    """

    layout: Layout
    source_schema: ImageSchema | None
    target_schema: ImageSchema
    sources: Pictures | None
    targets: Pictures
    scale: int = 1
    fingerprint: str = ""

    @classmethod
    def load(
        cls,
        pictures: PictureSet,
        encoder: Callable[[int], ImageEncoder] | None = None,
        on_image: Callable[[int], None] | None = None,
    ) -> TranslationSet:
        """Every picture as large as it is, or brought to one size by `encoder(channels)`. on_image: called with the
        number of pictures done."""
        n = 0 if pictures.sources is None else len(pictures.sources)

        def done(first: int) -> Callable[[int], None] | None:
            return None if on_image is None else lambda k: on_image(first + k)

        def read(source: ImageSource, first: int) -> Pictures:
            if encoder is None:
                return Pictures.load(source, done(first))
            return Pictures.stacked(load_images(source, encoder(source.schema.channels), done(first)))

        fingerprint = pictures.fingerprint()
        if encoder is not None:
            asked = f"{fingerprint} {encoder(pictures.targets.schema.channels).to_json()}"
            fingerprint = hashlib.sha256(asked.encode()).hexdigest()
        return cls(
            pictures.layout,
            None if pictures.sources is None else pictures.sources.schema,
            pictures.targets.schema,
            None if pictures.sources is None else read(pictures.sources, 0),
            read(pictures.targets, n),
            pictures.scale,
            fingerprint,
        )

    def __len__(self) -> int:
        return len(self.targets)

    def split(self, n: int, seed: int) -> tuple[TranslationSet, TranslationSet]:
        """All but n pictures, and those n, drawn at random; of unpaired ones n of each side, or fewer."""
        random = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.targets), generator=random)
        of_sources = order
        if self.sources is not None and self.layout == "unpaired":
            of_sources = torch.randperm(len(self.sources), generator=random)
        rest, held = (
            replace(
                self,
                sources=None if self.sources is None else self.sources.some(of_sources[part].sort().values),
                targets=self.targets.some(order[part].sort().values),
            )
            for part in (slice(n, None), slice(n))
        )
        return rest, held


def read_pictures(
    path: Path | str, *, side_by_side: bool = False, on_image: Callable[[int], None] | None = None
) -> TranslationSet:
    """The pictures of a folder, to train a translator on: pairs, two sets, or clean ones, as `data.images.pairs` tells.

    side_by_side: each holds both pictures of a pair. on_image: called with the number of pictures done. Raises
    DataError for pictures that cannot be learned from.
    """
    return TranslationSet.load(open_pictures(Path(path), side_by_side=side_by_side), on_image=on_image)
