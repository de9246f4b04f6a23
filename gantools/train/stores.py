"""What examples there are: a store gives them by place, on its device, as nets see them.

    Rows       encoded rows of a table; numbers are drawn anew from their intervals each time
    Tensors    rows or anything else that is kept as nets see it
    Images     images as bytes, some of them varied before they are learned from
    Pairs      a picture and the picture to make of it
    Unpaired   pictures of two domains that do not belong together
    Degraded   clean pictures and copies of them that are worse

Which places a batch is made of is a sampler's business (`train.samplers`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from gantools.encode.pictures import N_TURNS, Pictures, corners
from gantools.encode.table import EncodedTable, TableEncoder
from gantools.nn.augment import augmented
from gantools.nn.conditioning import Condition

Degrade = Callable[[Tensor, torch.Generator], Tensor]


class Store(Protocol):
    """Examples by their place."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> Self: ...

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        """The examples at `places` [...] int64, [..., *shape of one], and what is known of each of them."""


def as_input(images: Tensor) -> Tensor:
    """[N, C, S, S] uint8 to what nets see: float32 in [-1, 1], channels last in memory."""
    return (images.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Rows:
    """Encoded rows. condition: of each of them."""

    encoder: TableEncoder
    table: EncodedTable
    condition: Condition

    def __len__(self) -> int:
        return len(self.table.position)

    def to(self, device: torch.device) -> Rows:
        return Rows(self.encoder.to(device), self.table.to(device), self.condition.to(device))

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        return self.encoder.draw(self.table, places, random), self.condition[places]


@dataclass(frozen=True)
class Tensors:
    """Examples kept as nets see them. x: [N, ...]."""

    x: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> Tensors:
        return Tensors(self.x.to(device))

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        return self.x[places], Condition()


@dataclass(frozen=True)
class Images:
    """Images as bytes. images: [N, C, S, S] uint8. condition: of each of them.

    vary: [N], chance that an image is varied by `nn.augment.augmented` before it is learned from; None for never.
    flip: [N] bool, whether that may mirror it.
    """

    images: Tensor
    condition: Condition = field(default_factory=Condition)
    vary: Tensor | None = None
    flip: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Images:
        vary, flip = (None if each is None else each.to(device) for each in (self.vary, self.flip))
        return Images(self.images.to(device), self.condition.to(device), vary, flip)

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        if self.vary is None or self.flip is None:
            # In folds [n_folds, B, C, S, S], which have no channels-last form.
            return self.images[places].float() / 127.5 - 1, self.condition[places]
        images = self.images[places]
        varied = torch.rand(len(places), device=places.device, generator=random) < self.vary[places]
        flip = self.flip[places]
        if images.device.type == "cpu":  # of frequent classes few are varied, and the others need no work
            some = varied.nonzero().squeeze(1)
            images[some] = augmented(images[some], random, flip[some])
        else:
            images = torch.where(varied.reshape(-1, 1, 1, 1), augmented(images, random, flip), images)
        return as_input(images), self.condition[places]


@dataclass(frozen=True)
class Pairs:
    """Pictures to start from and what is to be made of them, in crops.

    sources, targets: the k-th of one belongs to the k-th of the other, whose sides are `scale` times as long. size:
    pixels of each side of the targets' crops. turns: whether crops are mirrored and turned at random.
    """

    sources: Pictures
    targets: Pictures
    size: int
    scale: int = 1
    turns: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> Pairs:
        return replace(self, sources=self.sources.to(device), targets=self.targets.to(device))

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        small = self.size // self.scale
        top, left = (corners(side[places], small, random) for side in (self.sources.height, self.sources.width))
        turn = drawn_turns(places, random) if self.turns else None
        source = self.sources.crops(places, top, left, small, turn)
        target = self.targets.crops(places, top * self.scale, left * self.scale, self.size, turn)
        return as_input(target), Condition(image=as_input(source))


@dataclass(frozen=True)
class Unpaired:
    """Crops of the pictures of two domains. To each of the second one of the first is drawn.

    size, turns: as of `Pairs`.
    """

    sources: Pictures
    targets: Pictures
    size: int
    turns: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> Unpaired:
        return replace(self, sources=self.sources.to(device), targets=self.targets.to(device))

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        drawn = torch.randint(len(self.sources), places.shape, device=places.device, generator=random)
        target, source = (
            cropped(pictures, which, self.size, self.turns, random)
            for pictures, which in ((self.targets, places), (self.sources, drawn))
        )
        return as_input(target), Condition(image=as_input(source))


@dataclass(frozen=True)
class Degraded:
    """Crops of clean pictures, each with a copy that `degrade` makes worse, anew each time.

    degrade: (pictures [B, C, size, size] in [-1, 1], random) to pictures of any one size. size, turns: as of `Pairs`.
    """

    pictures: Pictures
    degrade: Degrade
    size: int
    turns: bool = False

    def __len__(self) -> int:
        return len(self.pictures)

    def to(self, device: torch.device) -> Degraded:
        degrade = self.degrade.to(device) if isinstance(self.degrade, torch.nn.Module) else self.degrade
        return replace(self, pictures=self.pictures.to(device), degrade=degrade)

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        clean = as_input(cropped(self.pictures, places, self.size, self.turns, random))
        return clean, Condition(image=self.degrade(clean, random))


def cropped(pictures: Pictures, places: Tensor, size: int, turns: bool, random: torch.Generator) -> Tensor:
    """A crop [B, C, size, size] uint8 of each of these pictures, anywhere in it."""
    top, left = (corners(side[places], size, random) for side in (pictures.height, pictures.width))
    return pictures.crops(places, top, left, size, drawn_turns(places, random) if turns else None)


def drawn_turns(places: Tensor, random: torch.Generator) -> Tensor:
    """How each crop is laid: [B] int64 below `N_TURNS`."""
    return torch.randint(N_TURNS, places.shape, device=places.device, generator=random)
