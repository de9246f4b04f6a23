"""Wasserstein GAN with a gradient penalty, for images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantools.config import check
from gantools.losses import discriminator_wasserstein, generator_wasserstein, interpolation_penalty
from gantools.models.base import Batch
from gantools.models.image import ImageGAN, ImageGANOptions
from gantools.nn.convolutional import ConvDiscriminator, ConvGenerator
from gantools.registry import register


@dataclass(frozen=True)
class ImageWGANGPOptions(ImageGANOptions):
    """penalty_weight: the paper's lambda."""

    penalty_weight: float = 10.0
    n_critic: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.penalty_weight >= 0, "set penalty_weight", "must not be negative")


@register
class ImageWassersteinGANGP(ImageGAN):
    name = "wgan-gp"
    summary = "Wasserstein loss, gradient penalty, five critic steps"
    paper = "Gulrajani et al. 2017, 'Improved Training of Wasserstein GANs'"
    Options = ImageWGANGPOptions
    options: ImageWGANGPOptions
    betas = (0.0, 0.9)

    def build(self) -> None:
        layout, condition, o = self.spec.layout, self.spec.condition, self.options
        self.generator = ConvGenerator(layout, o.noise_dim, condition, o.width)
        self.discriminator = ConvDiscriminator(layout, condition, o.width, batch_norm=False)

    def train_discriminator(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.fake(batch)
        real = batch.real
        loss = discriminator_wasserstein(self.logits(real, batch), self.logits(fake, batch))
        share = batch.uniform(len(real))
        penalty = interpolation_penalty(lambda x: self.discriminator(x, batch.condition), real, fake, share)
        return loss + self.options.penalty_weight * penalty

    def train_generator(self, batch: Batch) -> Tensor:
        return generator_wasserstein(self.logits(self.fake(batch), batch))
