"""What the GANs for images share: what the discriminator is shown, the two phases, and how to sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from gantools.config import check
from gantools.losses import (
    discriminator_nonsaturating,
    discriminator_relativistic,
    generator_nonsaturating,
    generator_relativistic,
    gradient_norm_penalty,
)
from gantools.models.base import GAN, Batch, GANOptions, ImageSpec, Phase
from gantools.nn.conditioning import Condition
from gantools.nn.diffaug import diff_augment

PENALISED = 0.25  # share of a batch that gradient penalties are taken at
RARE = 500  # images of a class with which augmentation has half of its full chance


@dataclass(frozen=True)
class ImageGANOptions(GANOptions):
    """width: channels of the finest map. lr: the generator's learning rate. lr_ratio: the discriminator's, as a
    multiple of it. n_critic: discriminator steps per generator step. augment: chance of each change that the
    discriminator's images undergo, for a class of few images; a class of 500 has half of it, one of 50,000 a hundredth.
    flip: classes look the same in a mirror.
    """

    width: int = 32
    noise_dim: int = 64
    steps: int = 10_000
    lr: float = 2e-4
    lr_ratio: float = 1.0
    n_critic: int = 1
    augment: float = 0.8
    flip: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lr", "lr_ratio"):
            check(getattr(self, name) > 0, f"set {name}", "must be above 0")
        check(self.n_critic >= 1, "set n_critic", "must be at least 1")
        check(0 <= self.augment <= 1, "set augment", "must be from 0 to 1")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "width": 4}


class ImageGAN(GAN):
    """Base of the GANs for images. A subclass builds the nets and gives their losses."""

    modality = "image"
    in_one_thread = False
    Options = ImageGANOptions
    spec: ImageSpec
    options: ImageGANOptions
    betas: ClassVar[tuple[float, float]] = (0.5, 0.99)
    decay: ClassVar[str] = "linear"
    generator: nn.Module
    discriminator: nn.Module
    chance: Tensor  # [n_classes], of each change that images of the class undergo; [1] where there are no classes

    def __init__(self, spec: ImageSpec, options: ImageGANOptions) -> None:
        super().__init__(spec, options)
        self.build()
        count = torch.tensor(spec.condition.class_counts or (0,), dtype=torch.float32)
        self.register_buffer("chance", options.augment / (1 + count / RARE), persistent=False)

    def build(self) -> None:
        """Make the nets `generator` and `discriminator`."""
        raise NotImplementedError

    def phases(self) -> Sequence[Phase]:
        o = self.options
        common: dict[str, Any] = {"betas": self.betas, "decay": self.decay}
        return (
            Phase("discriminator", ("discriminator",), self.train_discriminator, repeats=o.n_critic,
                  lr=o.lr * o.lr_ratio, **common),
            Phase("generator", ("generator",), self.train_generator, lr=o.lr, **common),
        )  # fmt: skip

    def train_discriminator(self, batch: Batch) -> Tensor:
        raise NotImplementedError

    def train_generator(self, batch: Batch) -> Tensor:
        raise NotImplementedError

    def fake(self, batch: Batch) -> Tensor:
        """Generated images under the batch's conditions, differentiable."""
        noise = batch.noise(len(batch.real), self.options.noise_dim)
        return cast(Tensor, self.generator(noise, batch.condition))

    def logits(self, x: Tensor, batch: Batch) -> Tensor:
        """Logits [N] of images x under the batch's conditions, changed by `diff_augment` on the way."""
        if self.options.augment or self.options.flip:
            label = batch.condition.label
            chance = self.chance.expand(len(x)) if label is None else self.chance[label]
            x = diff_augment(x, chance, batch.uniform, flip=self.options.flip)
        return cast(Tensor, self.discriminator(x, batch.condition))

    def generate(self, noise: Tensor, condition: Condition) -> Tensor:
        return cast(Tensor, self.generator(noise, condition))


@dataclass(frozen=True)
class PenalisedOptions(ImageGANOptions):
    """gamma: weight of R1 (and R2 where the model has it)."""

    gamma: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.gamma >= 0, "set gamma", "must not be negative")


class PenalisedImageGAN(ImageGAN):
    """One whose discriminator may be penalised for steep gradients."""

    Options = PenalisedOptions
    options: PenalisedOptions

    def judged(self, batch: Batch, *, of_fake: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of real and of generated images, and the gradient penalty at the real ones, or at both kinds.

        The penalty is a mean over the batch, and a part of the batch estimates it as well as several steps need.
        """
        with torch.no_grad():
            fake = self.fake(batch)
        if not self.options.gamma:
            return self.logits(batch.real, batch), self.logits(fake, batch), fake.new_zeros(())
        n = max(2, round(len(fake) * PENALISED))
        part, rest = batch.part(slice(n)), batch.part(slice(n, None))
        penalty = fake.new_zeros(())
        logits = []
        for x, penalised in ((batch.real, True), (fake, of_fake)):
            head = x[:n].requires_grad_(penalised)
            of_head = self.logits(head, part)
            if penalised:
                penalty = penalty + gradient_norm_penalty(of_head, head)
            logits.append(torch.cat([of_head, self.logits(x[n:], rest)]))
        return logits[0], logits[1], self.penalty_weight(batch.progress) / 2 * penalty

    def mismatched(self, batch: Batch) -> Tensor:
        """Logits of real images under the descriptions of others, which the discriminator is to tell from their own.

        Reed et al. 2016, 'Generative Adversarial Text to Image Synthesis'.
        """
        return self.logits(batch.real, replace(batch, condition=batch.condition.of_others()))

    def penalty_weight(self, progress: float) -> float:
        """The weight of the gradient penalties when a share `progress` of the training has passed."""
        return self.options.gamma


class NonSaturatingImageGAN(PenalisedImageGAN):
    """One that plays the original game with the generator's non-saturating loss, and R1 where `gamma` is above 0."""

    def train_discriminator(self, batch: Batch) -> Tensor:
        real, fake, penalty = self.judged(batch, of_fake=False)
        loss = discriminator_nonsaturating(real, fake) + penalty
        if batch.condition.describes:
            loss = loss + discriminator_nonsaturating(real, self.mismatched(batch))
        return loss

    def train_generator(self, batch: Batch) -> Tensor:
        return generator_nonsaturating(self.logits(self.fake(batch), batch))


class RelativisticImageGAN(PenalisedImageGAN):
    """One that plays the relativistic pairing game with R1 and R2."""

    betas = (0.0, 0.99)

    def train_discriminator(self, batch: Batch) -> Tensor:
        real, fake, penalty = self.judged(batch, of_fake=True)
        loss = discriminator_relativistic(real, fake) + penalty
        if batch.condition.describes:
            loss = loss + discriminator_relativistic(real, self.mismatched(batch))
        return loss

    def train_generator(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            real = self.logits(batch.real, batch)
        return generator_relativistic(real, self.logits(self.fake(batch), batch))
