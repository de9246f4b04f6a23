"""What the plain GANs for tables share: two small MLPs, and the introductions' stabilisers as options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantools.config import check
from gantools.losses import gradient_norm_penalty
from gantools.models.base import Batch, GANOptions, Phase, TableGAN, TableSpec
from gantools.nn.blocks import MLP, MinibatchDiscrimination
from gantools.nn.conditioning import Condition, ConditionSpec, beside
from gantools.nn.rows import RowHead

REPLAY_ROWS = 1024  # generated rows that are remembered


@dataclass(frozen=True)
class MLPOptions(GANOptions):
    """lr: the generator's learning rate. lr_ratio: the discriminator's, as a multiple of it (two time-scales, Heusel et
    al. 2017). lr_decay: both fall linearly to nothing. n_critic: discriminator steps per generator step. batch_norm: in
    the generator (Ioffe and Szegedy 2015). spectral_norm: in the discriminator (Miyato et al. 2018).
    minibatch_discrimination: Salimans et al. 2016. label_smoothing: one-sided, ignored by Wasserstein losses.
    gradient_penalty: weight of R1 at real rows (Mescheder et al. 2018). replay: share of generated rows that the
    discriminator sees from earlier steps (Shrivastava et al. 2017).
    """

    lr: float = 5e-4
    lr_ratio: float = 1.0
    lr_decay: bool = True
    n_critic: int = 1
    batch_norm: bool = False
    spectral_norm: bool = False
    minibatch_discrimination: bool = False
    label_smoothing: float = 0.0
    gradient_penalty: float = 0.0
    replay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("lr", "lr_ratio"):
            check(getattr(self, name) > 0, f"set {name}", "must be above 0")
        check(self.n_critic >= 1, "set n_critic", "must be at least 1")
        check(0 <= self.label_smoothing < 1, "set label_smoothing", "must be at least 0 and below 1")
        check(self.gradient_penalty >= 0, "set gradient_penalty", "must not be negative")
        check(0 <= self.replay <= 1, "set replay", "must be from 0 to 1")


class MLPGenerator(nn.Module):
    """Noise, with the condition beside it, to an encoded row."""

    def __init__(self, spec: TableSpec, options: MLPOptions) -> None:
        super().__init__()
        self.condition_spec: ConditionSpec = spec.condition
        w = options.width
        self.body = MLP(options.noise_dim + self.condition_spec.plain_width, w, w, w, batch_norm=options.batch_norm)
        self.head = RowHead(w, spec.layout)

    def forward(self, noise: Tensor, condition: Condition, uniform: Tensor, *, hard: bool = False) -> Tensor:
        h = self.body(beside(noise, condition, self.condition_spec))
        return self.head(nn.functional.leaky_relu(h, 0.2), uniform, hard=hard)


class MLPDiscriminator(nn.Module):
    """An encoded row, with the condition beside it, to a logit."""

    def __init__(self, spec: TableSpec, options: MLPOptions) -> None:
        super().__init__()
        self.condition_spec: ConditionSpec = spec.condition
        w = options.width
        body: list[nn.Module] = [MLP(spec.layout.width + self.condition_spec.plain_width, w, w), nn.LeakyReLU(0.2)]
        n_features = w
        if options.minibatch_discrimination:
            closeness = MinibatchDiscrimination(w)
            body.append(closeness)
            n_features += closeness.n_kernels
        self.body = nn.Sequential(*body, nn.Linear(n_features, 1))
        if options.spectral_norm:
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    spectral_norm(layer)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        return self.body(beside(x, condition, self.condition_spec)).squeeze(1)


class MLPGAN(TableGAN):
    """Base of the plain GANs: a subclass gives the two losses. Both nets see the condition unless it says otherwise."""

    Options = MLPOptions
    options: MLPOptions
    betas = (0.5, 0.99)
    optimizer = "adam"
    generator: nn.Module
    discriminator: nn.Module
    replay_rows: Tensor  # [n, width] generated rows of earlier steps
    replay_label: Tensor  # [n] int64, their classes, 0 where there are none; -1 where no row is kept yet
    replay_vector: Tensor  # [n, vector_width]

    def __init__(self, spec: TableSpec, options: MLPOptions) -> None:
        super().__init__(spec, options)
        self.build()
        n = REPLAY_ROWS if options.replay else 0
        self.register_buffer("replay_rows", torch.zeros(n, spec.layout.width))
        self.register_buffer("replay_label", torch.full((n,), -1))
        if spec.condition.vector_width:
            self.register_buffer("replay_vector", torch.zeros(n, spec.condition.vector_width))

    def build(self) -> None:
        """Make the nets `generator` and `discriminator`."""
        self.generator = MLPGenerator(self.spec, self.options)
        self.discriminator = MLPDiscriminator(self.spec, self.options)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The adversarial part of the discriminator's loss, from its logits."""
        raise NotImplementedError

    def generator_loss(self, fake: Tensor) -> Tensor:
        """The generator's loss, from the discriminator's logits of its rows."""
        raise NotImplementedError

    def phases(self) -> Sequence[Phase]:
        o = self.options
        decay = "linear" if o.lr_decay else "none"
        common: dict[str, Any] = {"betas": self.betas, "optimizer": self.optimizer, "decay": decay}
        return (
            Phase("discriminator", ("discriminator",), self.train_discriminator, repeats=o.n_critic,
                  lr=o.lr * o.lr_ratio, after=self.after_discriminator, **common),
            Phase("generator", ("generator",), self.train_generator, lr=o.lr, **common),
        )  # fmt: skip

    def after_discriminator(self) -> None:
        """Called when the discriminator has been updated."""

    def train_discriminator(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake, condition = self.remember(self.fake(batch), batch)
        real = batch.real.requires_grad_(self.options.gradient_penalty > 0)
        logits = self.discriminator(real, batch.condition)
        loss = self.discriminator_loss(logits, self.discriminator(fake, condition)) + self.penalty(real, fake, batch)
        if self.options.gradient_penalty > 0:
            loss = loss + self.options.gradient_penalty / 2 * gradient_norm_penalty(logits, real)
        return loss

    def penalty(self, real: Tensor, fake: Tensor, batch: Batch) -> Tensor:
        """A further term of the discriminator's loss."""
        return real.new_zeros(())

    def train_generator(self, batch: Batch) -> Tensor:
        return self.generator_loss(self.discriminator(self.fake(batch), batch.condition))

    def remember(self, fake: Tensor, batch: Batch) -> tuple[Tensor, Condition]:
        """Exchange a share of the generated rows for ones of earlier steps, and keep some of the new ones instead.

        Returns the rows and the conditions that they were made under.
        """
        n = min(int(len(fake) * self.options.replay), len(self.replay_rows))
        condition = batch.condition
        if not n:
            return fake, condition
        slot = batch.uniform(len(self.replay_rows)).argsort()[:n]  # each once, so that row and condition stay together
        known = self.replay_label[slot] >= 0

        def exchanged(new: Tensor, kept: Tensor) -> Tensor:
            old = torch.where(known.reshape(-1, *[1] * (new.dim() - 1)), kept[slot], new[:n])
            kept[slot] = new[:n]
            return torch.cat([old, new[n:]])

        rows = exchanged(fake, self.replay_rows)
        vector = None if condition.vector is None else exchanged(condition.vector, self.replay_vector)
        if condition.label is None:
            self.replay_label[slot] = 0
            return rows, Condition(vector=vector)
        return rows, Condition(exchanged(condition.label, self.replay_label), vector)
