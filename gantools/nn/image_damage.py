"""Damage to images: spots and strokes of every size, contrast and sharpness, filled with what does not belong there.

Nets that are to find what is not normal learn from it. After Li et al. 2021, 'CutPaste', Zavrtanik et al. 2021,
'DRAEM', and Schlüter et al. 2022, 'Natural Synthetic Anomalies'.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SEGMENTS = 6  # of straight line that a stroke is made of
THINNEST, THICKEST = 0.5, 0.2  # radius of a shape: the smallest in pixels, the largest as a share of the side
FAINTEST, STRONGEST = 1.0, 15.0  # change of tone, in units of the image's roughness
COARSE = 8  # pixels that make one when only the larger features of an image are wanted
SECOND = 0.3  # share of images that are damaged a second time
UNTOUCHED = 0.2  # share of images that are left as they are


def damaged(x: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A copy of each image, most of them damaged in a place or two, and where: [B, 1, H, W], 0 to 1.

    x: [B, C, H, W] in [-1, 1], drawn at random.
    """
    y, everywhere = x, torch.zeros_like(x[:, :1])
    rough = roughness(x)
    for share in (1 - UNTOUCHED, SECOND):
        where = shapes(x, random) * (_uniform(x, random) < share)
        y = y + where * (_filling(y, rough, random) - y)
        everywhere = torch.maximum(everywhere, where)
    return y, everywhere


def roughness(x: Tensor) -> Tensor:
    """How much neighbouring pixels differ: the mean over images x [B, C, H, W] of the absolute difference, a scalar."""
    return (x[..., 1:] - x[..., :-1]).abs().mean() / 2 + (x[..., 1:, :] - x[..., :-1, :]).abs().mean() / 2 + 0.01


def smoothed(x: Tensor) -> Tensor:
    """Only what is larger than some pixels of x [B, C, H, W]."""
    h, w = x.shape[2:]
    small = F.adaptive_avg_pool2d(x, (max(2, h // COARSE), max(2, w // COARSE)))
    return F.interpolate(small, (h, w), mode="bilinear", align_corners=False)


def shapes(x: Tensor, random: torch.Generator) -> Tensor:
    """A spot or a stroke for each image x [B, C, H, W]: [B, 1, H, W], 1 inside, 0 outside, with a soft or hard edge.

    All are bent lines with a thickness; a spot is a short thick one. Noise moves the border.
    """
    n, _, height, width = x.shape
    side = float(min(height, width))
    is_spot = _uniform(x, random) < 0.5
    length = side * torch.where(is_spot, 0.05 * _uniform(x, random), _between(0.05, 1.0, x, random))
    thick = _between(THINNEST * 2, THICKEST * side, x, random)
    thin = _between(THINNEST, 0.02 * side + THINNEST, x, random)
    radius = torch.where(is_spot, thick, thin)
    angle = 2 * math.pi * _uniform(x, random)
    bend = 0.3 * torch.randn(angle.shape, device=x.device, generator=random)
    along = torch.linspace(-0.5, 0.5, SEGMENTS + 1, device=x.device).reshape(1, -1, 1, 1)
    ahead, aside = length * along, length * bend * (4 * along.square() - 0.5)
    column = width * _uniform(x, random) + ahead * angle.cos() - aside * angle.sin()
    row = height * _uniform(x, random) + ahead * angle.sin() + aside * angle.cos()  # [B, SEGMENTS + 1, 1, 1]
    wobble = radius * _between(0.05, 0.6, x, random) * noise(x, 2, 0.08, random)
    right = torch.arange(width, device=x.device) + 0.5 + wobble[:, :1]
    down = torch.arange(height, device=x.device).unsqueeze(1) + 0.5 + wobble[:, 1:]
    flat, lean = _between(0.35, 1.0, x, random), math.pi * _uniform(x, random)  # a spot is longer than it is wide
    nearest = torch.full((n, 1, height, width), math.inf, device=x.device)
    for k in range(SEGMENTS):
        x0, y0, dx, dy = (z[:, k : k + 1] for z in (column, row, column.diff(dim=1), row.diff(dim=1)))
        here_x, here_y = right - x0, down - y0
        share = ((here_x * dx + here_y * dy) / (dx * dx + dy * dy).clamp(min=1e-6)).clamp(0, 1)
        here_x, here_y = here_x - share * dx, here_y - share * dy
        u, v = here_x * lean.cos() + here_y * lean.sin(), here_y * lean.cos() - here_x * lean.sin()
        nearest = torch.minimum(nearest, u.square() + (v / flat).square())
    softness = torch.minimum(_between(0.3, 4.0, x, random), 0.7 * radius)
    return torch.sigmoid(2 * (radius - nearest.sqrt()) / softness)


def noise(x: Tensor, channels: int, fineness: float, random: torch.Generator) -> Tensor:
    """Smooth noise [B, channels, H, W], about standard normal. fineness: cells per pixel, above 0, at most 1."""
    n, _, h, w = x.shape
    cells = max(3, round(h * fineness)), max(3, round(w * fineness))
    coarse = torch.randn((n, channels, *cells), device=x.device, generator=random)
    return F.interpolate(coarse, (h, w), mode="bilinear", align_corners=False) * 1.3


def _filling(x: Tensor, rough: Tensor, random: torch.Generator) -> Tensor:
    """What to put in the damaged places: another tone, a plain one, noise, blur or a piece of another image."""
    tone = rough * _between(FAINTEST, STRONGEST, x, random) * torch.sign(_uniform(x, random) - 0.5)
    tone = tone * (1 + 0.3 * torch.randn((*x.shape[:2], 1, 1), device=x.device, generator=random))
    plain = smoothed(x)
    fineness = 0.05 * 16 ** float(torch.rand((), generator=random, device=x.device).cpu())
    grain = noise(x, x.shape[1], fineness, random)
    donor = torch.roll(x, 1, 0)
    turned = donor.flip(2).transpose(2, 3) if x.shape[2] == x.shape[3] else donor.flip(2)
    donor = torch.where(_uniform(x, random) < 0.5, donor, turned)
    adapted = donor - smoothed(donor) + plain
    donor = torch.where(_uniform(x, random) < 0.5, donor, adapted)
    choices = (x + tone, plain + tone * (1 + 0.3 * grain), donor, x + tone.abs() * grain, plain, plain + tone)
    which = (len(choices) * _uniform(x, random)).long()
    filling = choices[0]
    for k, choice in enumerate(choices[1:], 1):
        filling = torch.where(which == k, choice, filling)
    return filling.clamp(-1, 1)


def _uniform(x: Tensor, random: torch.Generator) -> Tensor:
    """A number on [0, 1) for each image: [B, 1, 1, 1]."""
    return torch.rand((len(x), 1, 1, 1), device=x.device, generator=random)


def _between(low: float, high: float, x: Tensor, random: torch.Generator) -> Tensor:
    """A number for each image, evenly on a log scale: [B, 1, 1, 1]."""
    return low * (high / low) ** _uniform(x, random)
