"""Pictures made larger: residual blocks at the small size, then pixels unfolded; by content, then with a critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.models.translation import PairedOptions, PairedTranslator
from gantools.nn.degradations import SCALES
from gantools.nn.unet import PictureNet, ResidualConvolutions
from gantools.registry import register


@dataclass(frozen=True)
class SRGANOptions(PairedOptions):
    """scale: how many times as long the sides become: 2, 3 or 4. n_blocks: residual blocks."""

    width: int = 64
    lr: float = 8e-4
    adversarial: float = 0.1
    content: float = 0.5
    matching: float = 0.1
    scale: int = 4
    n_blocks: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.scale in SCALES, "set scale", "must be 2, 3 or 4")
        check(1 <= self.n_blocks <= 64, "set n_blocks", "must be from 1 to 64")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "n_blocks": 2, "scale": 2}


@register
class SRGAN(PairedTranslator):
    """The paper's residual net without batch normalisation, as its successors have it (Lim et al. 2017, 'EDSR')."""

    name = "srgan"
    summary = "super-resolution: twice, three or four times as large, by content and then with a critic"
    paper = "Ledig et al. 2017, 'Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network'"
    Options = SRGANOptions
    options: SRGANOptions
    crop = 96
    turns = True

    def build(self) -> None:
        o, channels = self.options, self.spec.layout.channels
        self.generator = Enlarging(self.given_channels, channels, o.width, o.n_blocks, o.scale)

    @property
    def scale(self) -> int:
        return self.options.scale


class Enlarging(PictureNet):
    """What a chain of residual blocks adds to the bilinearly enlarged picture."""

    def __init__(self, before: int, after: int, width: int, n_blocks: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.reach = 4 + ResidualConvolutions.reach * n_blocks
        self.head = nn.Conv2d(before, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualConvolutions(width) for _ in range(n_blocks)))
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, after * scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, before, H, W]. Returns [N, after, scale * H, scale * W]."""
        h = self.head(x)
        h = h + self.body(self.blocks(h))
        large = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return large + F.pixel_shuffle(self.tail(h), self.scale)
