"""Classical augmentation: images rotated, shifted, scaled, sheared, re-lit and, where it does no harm, mirrored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from math import pi
from typing import Literal, Self, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from gantools.config import check

Change = Literal["rotate", "shift", "scale", "shear", "light", "mirror"]
CHANGES: tuple[Change, ...] = get_args(Change)

MAX_ROTATION = 15 * pi / 180
MAX_SHIFT = 0.1  # of the side
MAX_SCALING = 0.1
MAX_SHEAR = 10 * pi / 180
MAX_LIGHT = 0.2  # of brightness and of contrast

MIN_FLIP_IMAGES = 10  # fewer do not show whether a class is symmetric
MAX_FLIP_IMAGES = 500  # of a class that are compared
MIN_FLIP_SHARE = 0.3  # of images whose mirror image is as near to the class; about half where the class is symmetric
FLIP_SIZE = 16  # pixels of each side that images are compared at


@dataclass(frozen=True)
class Changes:
    """How each of N images is changed, whatever its size. angle: [N] radians. shear: [N], tangent. scale: [N] factor.

    shift: [N, 2] to the right and down, of half a side. is_mirrored: [N] bool, left to right. brightness, contrast: [N]
    factors.
    """

    angle: Tensor
    shear: Tensor
    scale: Tensor
    shift: Tensor
    is_mirrored: Tensor
    brightness: Tensor
    contrast: Tensor

    @classmethod
    def drawn(
        cls, n: int, random: torch.Generator, flip: Tensor | bool = False, kinds: Collection[Change] = CHANGES
    ) -> Self:
        """Changes of n images, on the device of `random`.

        flip: whether half of the images are mirrored; [N] to say for each whether it may be. kinds: those of `CHANGES`
        that are made.
        """
        device = random.device

        def spread(kind: Change, limit: float, *shape: int) -> Tensor:
            drawn = torch.rand(n, *shape, device=device, generator=random) * 2 - 1
            return drawn * (limit if kind in kinds else 0.0)

        return cls(
            angle=spread("rotate", MAX_ROTATION),
            shear=spread("shear", MAX_SHEAR).tan(),
            scale=1 + spread("scale", MAX_SCALING),
            is_mirrored=(spread("mirror", 1.0) > 0) & torch.as_tensor(flip, device=device),
            shift=spread("shift", 2 * MAX_SHIFT, 2),
            brightness=1 + spread("light", MAX_LIGHT),
            contrast=1 + spread("light", MAX_LIGHT),
        )

    def __getitem__(self, places: Tensor | slice) -> Changes:
        return Changes(*(getattr(self, field.name)[places] for field in fields(self)))

    def made(self, images: Tensor) -> Tensor:
        """The images [N, C, H, W] uint8, changed; what comes in from outside continues the edge.

        Opacity (the fourth channel) moves with the others, but is not re-lit.
        """
        if not len(images):
            return images
        x = images.float()
        height, width = x.shape[2:]
        side = torch.where(self.is_mirrored, -1.0, 1.0)
        cos, sin = self.angle.cos() / self.scale, self.angle.sin() / self.scale
        # From places of the new image to places of the old one; both sides are 2 long in these coordinates.
        rows = [
            torch.stack([side * cos, side * (cos * self.shear - sin) * (height / width), self.shift[:, 0]], 1),
            torch.stack([sin * (width / height), sin * self.shear + cos, self.shift[:, 1]], 1),
        ]
        grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
        # A bilinear copy is softer than its original, and what learns from both takes softness for a sign of the class.
        lowest, highest = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)
        x = x.clamp(lowest, highest)  # cubic interpolation overshoots at edges
        colours, opacity = x[:, :3], x[:, 3:]
        brightness, contrast = self.brightness.view(-1, 1, 1, 1), self.contrast.view(-1, 1, 1, 1)
        colours = colours * brightness
        middle = colours.mean((1, 2, 3), keepdim=True)
        colours = middle + (colours - middle) * contrast
        return torch.cat([colours, opacity], 1).round().clamp(0, 255).to(torch.uint8)


def parse_changes(text: str) -> tuple[Change, ...]:
    """The changes that "rotate,light" names; every one for "all". Raises ConfigError for another word."""
    if text == "all":
        return CHANGES
    names = [word.strip() for word in text.split(",")]
    known = ", ".join(CHANGES)
    for name in names:
        check(name in CHANGES, "vary", f"must be all, or some of {known} with commas between, not {name!r}")
    return tuple(change for change in CHANGES if change in names)


def augmented(images: Tensor, random: torch.Generator, flip: Tensor | bool = False) -> Tensor:
    """A changed copy of each image [N, C, H, W] uint8, with changes of all kinds: see `Changes`.

    random: on the device of the images. flip: [N], whether each may be mirrored; one for all.
    """
    return Changes.drawn(len(images), random, flip).made(images)


def flip_symmetric(images: Tensor, label: Tensor, n_classes: int) -> Tensor:
    """Which classes look the same in a mirror, [n_classes] bool.

    images: [N, C, size, size] uint8. label: [N]. A class is symmetric where about as many of its images come nearer to
    another image of the class when mirrored (left to right) as come no nearer. One of under ten images is not.
    """
    symmetric = torch.zeros(n_classes, dtype=torch.bool, device=images.device)
    for code in range(n_classes):
        mine = images[(label == code).nonzero().squeeze(1)[:MAX_FLIP_IMAGES]]
        if len(mine) < MIN_FLIP_IMAGES:
            continue
        mine = F.adaptive_avg_pool2d(mine.float(), min(FLIP_SIZE, images.shape[-1]))
        plain, mirrored = mine.flatten(1), mine.flip(3).flatten(1)
        itself = torch.eye(len(mine), dtype=torch.bool, device=images.device)

        def nearest(x: Tensor, others: Tensor = plain, itself: Tensor = itself) -> Tensor:
            return torch.cdist(x, others).masked_fill(itself, torch.inf).min(1).values

        symmetric[code] = (nearest(mirrored) <= nearest(plain)).float().mean() >= MIN_FLIP_SHARE
    return symmetric
