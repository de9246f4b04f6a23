"""Classical augmentation: images turned, moved, scaled, sheared, lit otherwise and, where it does no harm, mirrored."""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_ROTATION = 15 * pi / 180
MAX_SHIFT = 0.1  # of the side
MAX_SCALING = 0.1
MAX_SHEAR = 10 * pi / 180
MAX_LIGHT = 0.2  # of brightness and of contrast

MIN_FLIP_IMAGES = 10  # fewer do not show whether a class is symmetric
MAX_FLIP_IMAGES = 500  # of a class that are compared
MIN_FLIP_SHARE = 0.3  # of images whose mirror image is as near to the class; about half where the class is symmetric
FLIP_SIZE = 16  # pixels of each side that images are compared at


def augmented(images: Tensor, random: torch.Generator, flip: Tensor | bool = False) -> Tensor:
    """A changed copy of each image; what comes in from outside continues the edge.

    images: [N, C, size, size] uint8. Opacity (the fourth channel) moves with the others, but is not lit otherwise.
    random: on the device of the images. flip: whether half of the images are to be mirrored left to right; [N] to say
    for each whether it may be. Returns uint8 of the same shape.
    """
    n = len(images)
    if not n:
        return images
    x = images.float()

    def spread(limit: float) -> Tensor:
        return (torch.rand(n, device=images.device, generator=random) * 2 - 1) * limit

    angle, shear, scale = spread(MAX_ROTATION), spread(MAX_SHEAR).tan(), 1 + spread(MAX_SCALING)
    mirrored = (spread(1.0) > 0) & torch.as_tensor(flip, device=images.device)
    side = torch.where(mirrored, -1.0, 1.0)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    # Places of the new image to places of the old one; sides are 2 long in these coordinates.
    rows = [
        torch.stack([side * cos, side * (cos * shear - sin), spread(2 * MAX_SHIFT)], 1),
        torch.stack([sin, sin * shear + cos, spread(2 * MAX_SHIFT)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    colours, opacity = x[:, :3], x[:, 3:]
    brightness, contrast = ((1 + spread(MAX_LIGHT)).view(-1, 1, 1, 1) for _ in range(2))
    colours = colours * brightness
    middle = colours.mean((1, 2, 3), keepdim=True)
    colours = middle + (colours - middle) * contrast
    return torch.cat([colours, opacity], 1).round().clamp(0, 255).to(torch.uint8)


def flip_symmetric(images: Tensor, label: Tensor, n_classes: int) -> Tensor:
    """Which classes look the same in a mirror, [n_classes] bool.

    images: [N, C, size, size] uint8. label: [N]. A class is symmetric where about as many of its images come nearer to
    another image of the class when mirrored (left to right) as come no nearer. One of under ten images is not.
    """
    small = F.adaptive_avg_pool2d(images.float(), min(FLIP_SIZE, images.shape[-1]))
    symmetric = torch.zeros(n_classes, dtype=torch.bool, device=images.device)
    for code in range(n_classes):
        mine = small[label == code][:MAX_FLIP_IMAGES]
        if len(mine) < MIN_FLIP_IMAGES:
            continue
        plain, mirrored = mine.flatten(1), mine.flip(3).flatten(1)
        itself = torch.eye(len(mine), dtype=torch.bool, device=images.device)

        def nearest(x: Tensor, others: Tensor = plain, itself: Tensor = itself) -> Tensor:
            return torch.cdist(x, others).masked_fill(itself, torch.inf).min(1).values

        symmetric[code] = (nearest(mirrored) <= nearest(plain)).float().mean() >= MIN_FLIP_SHARE
    return symmetric
