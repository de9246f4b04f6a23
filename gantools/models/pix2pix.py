"""Pictures of one kind to pictures of another, from pairs: a U-Net, and a critic of patches that sees both."""

from __future__ import annotations

from dataclasses import dataclass

from gantools.models.translation import PairedTranslator
from gantools.models.unet import UNetOptions
from gantools.nn.unet import ResidualUNet
from gantools.registry import register


@dataclass(frozen=True)
class Pix2PixOptions(UNetOptions):
    width: int = 48
    lr: float = 4e-4
    adversarial: float = 0.1
    content: float = 0.1
    n_levels: int = 3
    n_blocks: int = 1


@register
class Pix2Pix(PairedTranslator):
    """Without the noise of the paper's dropout, which its authors found to be ignored."""

    name = "pix2pix"
    summary = "a U-Net of any size and a critic of patches, from aligned pairs"
    paper = "Isola et al. 2017, 'Image-to-Image Translation with Conditional Adversarial Networks'"
    Options = Pix2PixOptions
    options: Pix2PixOptions
    crop = 128
    critic_halvings = 3

    def build(self) -> None:
        o, channels = self.options, self.spec.layout.channels
        self.generator = ResidualUNet(self.given_channels, channels, o.width, o.n_levels, o.n_blocks)
