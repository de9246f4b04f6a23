"""The first GAN that made images reliably: convolutions and a few rules."""

from __future__ import annotations

from gantools.models.image import NonSaturatingImageGAN
from gantools.nn.convolutional import ConvDiscriminator, ConvGenerator
from gantools.registry import register


@register
class DCGAN(NonSaturatingImageGAN):
    """The paper's five guidelines: strides instead of pooling, batch normalisation in both nets, no hidden layers that
    are fully connected, ReLU and tanh in the generator, leaky ReLU in the discriminator.
    """

    name = "dcgan"
    summary = "strided convolutions with batch normalisation, conditional by projection"
    paper = "Radford et al. 2016, 'Unsupervised Representation Learning with Deep Convolutional GANs'"

    def build(self) -> None:
        layout, condition, o = self.spec.layout, self.spec.condition, self.options
        self.generator = ConvGenerator(layout, o.noise_dim, condition, o.width)
        self.discriminator = ConvDiscriminator(layout, condition, o.width, batch_norm=True)
