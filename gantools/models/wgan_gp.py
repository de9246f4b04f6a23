"""Wasserstein GAN with a gradient penalty between real and generated rows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gantools.config import check
from gantools.losses import discriminator_wasserstein, generator_wasserstein, interpolation_penalty
from gantools.models.base import Batch
from gantools.models.mlp import MLPGAN, MLPOptions
from gantools.registry import register


@dataclass(frozen=True)
class WGANGPOptions(MLPOptions):
    """penalty_weight: the paper's lambda."""

    penalty_weight: float = 10.0
    n_critic: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.penalty_weight >= 0, "set penalty_weight", "must not be negative")


@register
class WassersteinGANGP(MLPGAN):
    name = "wgan-gp"
    summary = "Wasserstein loss, gradient penalty, five critic steps"
    paper = "Gulrajani et al. 2017, 'Improved Training of Wasserstein GANs'"
    Options = WGANGPOptions
    options: WGANGPOptions
    betas = (0.5, 0.9)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_wasserstein(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        return generator_wasserstein(fake)

    def penalty(self, real: Tensor, fake: Tensor, batch: Batch) -> Tensor:
        share = batch.uniform(len(real))
        return self.options.penalty_weight * interpolation_penalty(
            lambda x: self.discriminator(x, batch.condition), real, fake, share
        )
