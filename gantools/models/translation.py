"""What the translators that learn from pairs share: the loss of content, the critic of patches, and their phases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from gantools.config import check
from gantools.losses import discriminator_relativistic, generator_relativistic, gradient_norm_penalty
from gantools.models.base import Batch, ImageSpec, Phase, Translator, TranslatorOptions
from gantools.nn.features import perceptual_maps, shared_efficientnet, unit_distance
from gantools.nn.random_features import RandomFeatures
from gantools.nn.unet import PatchCritic, PictureNet

PENALISED = 0.25  # share of a batch that the critic's gradient penalties are taken at
FLOOR = 0.01  # of the features' mean variance, added to each: some, as of an empty corner, have none


@dataclass(frozen=True)
class PairedOptions(TranslatorOptions):
    """content: the share of the training in which grey values alone are learned. matching: weight of the differences in
    the critic's features. perceptual: weight of the differences in the maps of EfficientNet-Lite0, which has seen
    ImageNet; training with it needs gantools[perceptual], using what was trained does not.
    """

    content: float = 0.3
    matching: float = 0.0
    perceptual: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 <= self.content < 1, "set content", "must be at least 0 and below 1")
        for name in ("matching", "perceptual"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")

    def require(self) -> None:
        if self.perceptual:
            shared_efficientnet(torch.device("cpu"))

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "adversarial": 0.1}


class PairedTranslator(Translator):
    """Base of the translators that learn from pairs. A subclass builds the net `generator`.

    The generator minimises the mean absolute difference to the target and, where `adversarial` is above 0, plays the
    relativistic pairing game with a critic that sees patches of the given picture and of what was made of it. Where
    `perceptual` is above 0 it keeps near to the target in the maps of a frozen net, too, which is no part of the model.
    """

    Options = PairedOptions
    options: PairedOptions
    critic_halvings = 2
    generator: PictureNet

    def __init__(self, spec: ImageSpec, options: PairedOptions) -> None:
        super().__init__(spec, options)
        self.build()
        if options.adversarial:
            channels = spec.layout.channels + self.given_channels
            self.critic = PatchCritic(channels, options.critic_width, self.critic_halvings)
            self.look = RandomFeatures(spec.layout.channels)
        self.to(memory_format=torch.channels_last)  # twice as fast on CPUs

    def build(self) -> None:
        """Make the net `generator`."""
        raise NotImplementedError

    @property
    def multiple(self) -> int:
        return self.generator.multiple

    @property
    def reach(self) -> int:
        return self.generator.reach

    @property
    def given_channels(self) -> int:
        """Channels of the picture that is given."""
        image = self.spec.condition.image
        assert image is not None
        return image.channels

    def translated(self, image: Tensor, *, reverse: bool = False) -> Tensor:
        return self.generator(image)

    def phases(self) -> Sequence[Phase]:
        o = self.options
        generator = Phase("generator", ("generator",), self.train_generator, lr=o.lr, betas=(0.9, 0.99), decay="cosine")
        if not o.adversarial:
            return (generator,)
        critic = Phase("critic", ("critic",), self.train_critic, lr=o.lr, betas=(0.0, 0.99), since=o.content)
        return (critic, generator)

    def train_generator(self, batch: Batch) -> Tensor:
        made = self.made(batch)
        loss = self.distortion(made, batch)
        if not self.options.adversarial or batch.progress < self.options.content:
            return loss
        with torch.no_grad():
            real_features = self.critic.features(self.beside(batch.real, batch))
        features = self.critic.features(self.beside(made, batch))
        real, fake = (self.critic.judged(found[-1]).float() for found in (real_features, features))
        loss = loss + self.options.adversarial * generator_relativistic(real, fake)
        if self.options.matching:
            loss = loss + self.options.matching * unit_distance(features, real_features).sum()
        return loss

    def train_critic(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            made = self.made(batch)
        return critic_loss(lambda x: self.critic(self.beside(x, batch)), batch.real, made, self.options.gamma)

    def made(self, batch: Batch) -> Tensor:
        """What the generator makes of the batch's pictures, float32."""
        return self.transform(cast(Tensor, batch.condition.image)).float()

    def distortion(self, made: Tensor, batch: Batch) -> Tensor:
        """How far what was made is from the target, in the maps of the perceptual net too once that takes part."""
        loss = self.content_loss(made, batch)
        if self.options.perceptual and batch.progress >= self.options.content:
            loss = loss + self.options.perceptual * perceptual_distance(made, batch.real)
        return loss

    def content_loss(self, made: Tensor, batch: Batch) -> Tensor:
        """How far what was made is from the target."""
        return (made - batch.real).abs().mean()

    def beside(self, pictures: Tensor, batch: Batch) -> Tensor:
        """Pictures of the target's kind, for the first of the batch, and those they are made of, as the critic sees
        them."""
        given = cast(Tensor, batch.condition.image)[: len(pictures)]
        if self.scale > 1:
            given = F.interpolate(given, scale_factor=float(self.scale), mode="nearest")
        return torch.cat([pictures, given], 1)

    def held_out(self, batch: Batch) -> Tensor:
        """What the generator minimises; with a critic how far what was made is from real pictures as a whole, so that
        blur is no advantage."""
        made = self.made(batch).clamp(-1, 1)
        if self.options.adversarial:
            return apart(self.look(made), self.look(batch.real))
        return self.distortion(made, batch)


def apart(made: Tensor, real: Tensor) -> Tensor:
    """Between the distributions of features [N, D]: of means and deviations, in units of the real ones' deviation."""
    scale = (real.var(0) + FLOOR * real.var(0).mean()).sqrt()
    means, deviations = (made.mean(0) - real.mean(0)) / scale, (made.std(0) - real.std(0)) / scale
    return means.square().mean() + deviations.square().mean()


def perceptual_distance(made: Tensor, real: Tensor) -> Tensor:
    """Between pictures [N, C, H, W] in the maps of EfficientNet-Lite0, on their device."""
    net = shared_efficientnet(real.device)
    with torch.no_grad():
        wanted = [one.float() for one in perceptual_maps(net, real)]
    return unit_distance([one.float() for one in perceptual_maps(net, made)], wanted).mean()


def critic_loss(judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, gamma: float) -> Tensor:
    """What a critic of patches minimises: the relativistic pairing of patches at one place, R1 and R2.

    judge: pictures [N, C, H, W], or the first of them, to logits [N, P]. gamma: weight of the penalties, which part of
    the batch estimates.
    """
    loss = discriminator_relativistic(judge(real).float(), judge(fake).float())
    n = max(2, round(len(real) * PENALISED))
    for x in (real, fake) if gamma else ():
        x = x[:n].detach().requires_grad_(True)
        logits = judge(x).float()
        # a pixel lies in one patch or a few: this is about the squared gradient of one patch
        loss = loss + gamma / 2 * gradient_norm_penalty(logits.sum(1) / math.sqrt(logits.shape[1]), x)
    return loss


def check_depth(n_levels: int, n_blocks: int) -> None:
    """Refuse a U-Net of another depth than nets can be built for. Raises ConfigError."""
    check(1 <= n_levels <= 6, "set n_levels", "must be from 1 to 6")
    check(1 <= n_blocks <= 20, "set n_blocks", "must be from 1 to 20")


def in_channels(x: Tensor, channels: int) -> Tensor:
    """x [N, C, H, W] with so many channels: grey from colours by their mean, colours from grey by repeating it."""
    if x.shape[1] == channels:
        return x
    grey = x[:, :3].mean(1, keepdim=True)
    return grey.expand(-1, channels, -1, -1)
