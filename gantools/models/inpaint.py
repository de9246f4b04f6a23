"""Holes of pictures filled: by what is around them first, and by what a net adds to that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from gantools.models.base import Batch
from gantools.models.translation import PairedTranslator
from gantools.models.unet import UNetOptions
from gantools.nn.filling import Filling
from gantools.nn.unet import PictureNet, ResidualUNet
from gantools.registry import register

N_CELLS = 5  # halvings of the first guess


@dataclass(frozen=True)
class InpaintOptions(UNetOptions):
    width: int = 48
    adversarial: float = 0.01
    n_levels: int = 3
    n_blocks: int = 1


@register
class Inpaint(PairedTranslator):
    """Pixels that are known stay as they are, to the bit."""

    name = "inpaint"
    summary = "fills holes: masked averages of what is around, a U-Net and a critic of patches"
    paper = "Liu et al. 2018, 'Image Inpainting for Irregular Holes Using Partial Convolutions'"
    Options = InpaintOptions
    options: InpaintOptions
    fills_holes = True
    default_degrade = ("holes",)

    def build(self) -> None:
        self.generator = FillingNet(self.spec.layout.channels, self.options)

    def content_loss(self, made: Tensor, batch: Batch) -> Tensor:
        hole = cast(Tensor, batch.condition.image)[:, -1:] > 0
        return (made - batch.real).abs().sum() / (hole.sum() * made.shape[1]).clamp(min=1)


class FillingNet(PictureNet):
    """A picture with its mask behind it to the picture without holes."""

    def __init__(self, channels: int, options: Any) -> None:
        super().__init__()
        self.filling = Filling(N_CELLS)
        self.net = ResidualUNet(channels + 1, channels, options.width, options.n_levels, options.n_blocks)
        self.multiple = max(self.filling.multiple, self.net.multiple)
        self.reach = self.filling.reach + self.net.reach

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C + 1, H, W], the last channel 1 in holes and -1 elsewhere. Returns [N, C, H, W]."""
        picture, mask = x[:, :-1], x[:, -1:]
        hole = mask > 0
        guess = torch.where(hole, self.filling(picture, (~hole).to(picture.dtype)), picture)
        return torch.where(hole, guess + self.net(torch.cat([guess, mask], 1)).float(), picture)
