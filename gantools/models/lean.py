"""The default for images, for few images on small machines: DCGAN's nets play R3GAN's game.

Strided and transposed convolutions are the cheapest nets per image that make sharp ones. The relativistic pairing loss
with R1 and R2 keeps them from collapsing and from diverging, and lets batch normalisation go from the discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantools.models.image import ImageGANOptions, RelativisticImageGAN
from gantools.nn.convolutional import ConvDiscriminator, ConvGenerator
from gantools.registry import register


@dataclass(frozen=True)
class LeanOptions(ImageGANOptions):
    lr: float = 5e-4
    lr_ratio: float = 2.0
    gamma: float = 0.3


@register
class LeanGAN(RelativisticImageGAN):
    name = "lean"
    summary = "DCGAN's nets, relativistic pairing with R1 and R2: few images, small machines (default)"
    paper = "after Radford et al. 2016 and Huang et al. 2024, 'The GAN is dead; long live the GAN!'"
    Options = LeanOptions
    options: LeanOptions

    def build(self) -> None:
        layout, condition, o = self.spec.layout, self.spec.condition, self.options
        self.generator = ConvGenerator(layout, o.noise_dim, condition, o.width)
        self.discriminator = ConvDiscriminator(layout, condition, o.width, batch_norm=False)
