"""Wasserstein GAN: a critic kept gentle by clipping its weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantools.config import check
from gantools.losses import discriminator_wasserstein, generator_wasserstein
from gantools.models.mlp import MLPGAN, MLPOptions
from gantools.registry import register


@dataclass(frozen=True)
class WGANOptions(MLPOptions):
    """clip: the largest weight of the critic. Five critic steps and RMSprop, as in the paper's algorithm 1."""

    clip: float = 0.05
    n_critic: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.clip > 0, "set clip", "must be above 0")


@register
class WassersteinGAN(MLPGAN):
    name = "wgan"
    summary = "Wasserstein loss, clipped critic weights, five critic steps"
    paper = "Arjovsky et al. 2017, 'Wasserstein GAN'"
    Options = WGANOptions
    options: WGANOptions
    optimizer = "rmsprop"

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_wasserstein(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        return generator_wasserstein(fake)

    def after_discriminator(self) -> None:
        with torch.no_grad():
            for weight in self.discriminator.parameters():
                weight.clamp_(-self.options.clip, self.options.clip)
