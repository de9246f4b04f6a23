"""Conditional GAN: the label stands beside the input of both nets."""

from __future__ import annotations

from torch import Tensor

from gantools.losses import discriminator_nonsaturating, generator_nonsaturating
from gantools.models.mlp import MLPGAN
from gantools.registry import register


@register
class ConditionalGAN(MLPGAN):
    name = "cgan"
    summary = "the label is given to both nets"
    paper = "Mirza and Osindero 2014, 'Conditional Generative Adversarial Nets'"

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_nonsaturating(real, fake, self.options.label_smoothing)

    def generator_loss(self, fake: Tensor) -> Tensor:
        return generator_nonsaturating(fake)
