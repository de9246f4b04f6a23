"""A relativistic conditional GAN that makes all cells of a row at once.

Generator and discriminator play R3GAN's game: the relativistic pairing loss with R1 and R2 at every step, residual
nets, the label embedded in the one and projected in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.losses import discriminator_relativistic, generator_relativistic, gradient_norm_penalty
from gantools.models.base import Batch, GANOptions, Phase, TableGAN, TableSpec
from gantools.models.judging import JudgingGAN, JudgingOptions
from gantools.nn.blocks import SLOPE, ResidualBlock
from gantools.nn.conditioning import Condition, Embed, Projection
from gantools.nn.rows import RowHead
from gantools.registry import register


@dataclass(frozen=True)
class TabularOptions(JudgingOptions, GANOptions):
    """n_blocks: residual blocks of each net. lr: of generator and discriminator. gamma: weight of R1 and R2. n_folds,
    classifier_width, classifier_lr, dropout, weight_decay: of the classifier ensemble.
    """

    n_blocks: int = 2
    lr: float = 5e-4
    gamma: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.lr > 0, "set lr", "must be above 0")
        for name in ("n_blocks", "gamma"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")


@register
class TabularGAN(JudgingGAN, TableGAN):
    name = "tabular"
    summary = "relativistic conditional GAN with R1 and R2, and a classifier that chooses among its rows"
    paper = "Huang et al. 2024, 'The GAN is dead; long live the GAN!'"
    Options = TabularOptions
    options: TabularOptions

    def __init__(self, spec: TableSpec, options: TabularOptions) -> None:
        super().__init__(spec, options)
        self.generator = Generator(spec, options)
        self.discriminator = Discriminator(spec, options)

    def phases(self) -> Sequence[Phase]:
        o = self.options
        return [
            Phase("discriminator", ("discriminator",), self.train_discriminator, lr=o.lr),
            Phase("generator", ("generator",), self.train_generator, lr=o.lr),
            *self.classifier_phases(),
        ]

    def train_discriminator(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.fake(batch)
        x = torch.cat([batch.real, fake]).requires_grad_(True)
        logits = self.discriminator(x, batch.condition.twice())
        real, generated = logits.chunk(2)
        # The mean over both halves is half of R1 plus R2, each of which counts gamma / 2.
        return discriminator_relativistic(real, generated) + self.options.gamma * gradient_norm_penalty(logits, x)

    def train_generator(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            real = self.discriminator(batch.real, batch.condition)
        return generator_relativistic(real, self.discriminator(self.fake(batch), batch.condition))


class Generator(nn.Module):
    """Noise and a condition to an encoded row."""

    def __init__(self, spec: TableSpec, options: TabularOptions) -> None:
        super().__init__()
        self.noise = nn.Linear(options.noise_dim, options.width)
        self.condition = Embed(spec.condition, options.width)
        self.blocks = nn.Sequential(*[ResidualBlock(options.width) for _ in range(options.n_blocks)])
        self.head = RowHead(options.width, spec.layout)

    def forward(self, noise: Tensor, condition: Condition, uniform: Tensor, *, hard: bool) -> Tensor:
        h = self.condition.added_to(self.noise(noise), condition)
        return self.head(self.blocks(h), uniform, hard=hard)


class Discriminator(nn.Module):
    """An encoded row and its condition to a logit."""

    def __init__(self, spec: TableSpec, options: TabularOptions) -> None:
        super().__init__()
        self.row = nn.Linear(spec.layout.width, options.width)
        self.blocks = nn.Sequential(*[ResidualBlock(options.width) for _ in range(options.n_blocks)])
        self.head = Projection(options.width, spec.condition)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.head(F.leaky_relu(self.blocks(self.row(x)), SLOPE), condition)
