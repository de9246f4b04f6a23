"""A residual U-Net that undoes what was done to a picture: noise, rain, blur, JPEG's traces, lost colour."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gantools.models.translation import PairedOptions, PairedTranslator, check_depth, in_channels
from gantools.nn.unet import ResidualUNet
from gantools.registry import register


@dataclass(frozen=True)
class UNetOptions(PairedOptions):
    """n_levels: resolutions below half the picture's. n_blocks: residual blocks of each, on the way down and up."""

    width: int = 64
    lr: float = 8e-4
    n_levels: int = 2
    n_blocks: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_depth(self.n_levels, self.n_blocks)


@register
class UNet(PairedTranslator):
    name = "unet"
    summary = "a residual U-Net that denoises, derains, deblurs, removes traces of JPEG, or colours"
    paper = "Zhang et al. 2021, 'Plug-and-Play Image Restoration with Deep Denoiser Prior'"
    Options = UNetOptions
    options: UNetOptions
    turns = True

    def build(self) -> None:
        o, channels = self.options, self.spec.layout.channels
        self.generator = ResidualUNet(self.given_channels, channels, o.width, o.n_levels, o.n_blocks)

    def translated(self, image: Tensor, *, reverse: bool = False) -> Tensor:
        return in_channels(image, self.spec.layout.channels) + self.generator(image)
