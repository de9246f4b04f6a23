"""The first GAN. It knows nothing of conditions, so every class has a pair of nets of its own."""

from __future__ import annotations

from torch import Tensor, nn

from gantools.losses import discriminator_nonsaturating, generator_nonsaturating
from gantools.models.base import TableSpec
from gantools.models.mlp import MLPGAN, MLPDiscriminator, MLPGenerator, MLPOptions
from gantools.nn.blocks import PerClass
from gantools.nn.conditioning import Condition
from gantools.registry import register


@register
class VanillaGAN(MLPGAN):
    name = "vanilla"
    summary = "one unconditional pair of MLPs per class"
    paper = "Goodfellow et al. 2014, 'Generative Adversarial Nets'"

    def build(self) -> None:
        self.generator = ClassGenerators(self.spec, self.options)
        self.discriminator = ClassDiscriminators(self.spec, self.options)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_nonsaturating(real, fake, self.options.label_smoothing)

    def generator_loss(self, fake: Tensor) -> Tensor:
        return generator_nonsaturating(fake)


class ClassGenerators(nn.Module):
    """A generator per class."""

    def __init__(self, spec: TableSpec, options: MLPOptions) -> None:
        super().__init__()
        alone = TableSpec(spec.layout)
        self.per_class = PerClass([MLPGenerator(alone, options) for _ in range(max(1, spec.condition.n_classes))])

    def forward(self, noise: Tensor, condition: Condition, uniform: Tensor, *, hard: bool = False) -> Tensor:
        return self.per_class(condition.label, noise, condition, uniform, hard=hard)


class ClassDiscriminators(nn.Module):
    """A discriminator per class."""

    def __init__(self, spec: TableSpec, options: MLPOptions) -> None:
        super().__init__()
        alone = TableSpec(spec.layout)
        self.per_class = PerClass([MLPDiscriminator(alone, options) for _ in range(max(1, spec.condition.n_classes))])

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.per_class(condition.label, x, condition)
