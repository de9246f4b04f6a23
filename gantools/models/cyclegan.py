"""Two sets of pictures that show the same things differently, without pairs: there and back again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from gantools.config import check
from gantools.losses import generator_relativistic
from gantools.models.base import Batch, ImageSpec, Phase, Translator, TranslatorOptions
from gantools.models.translation import apart, check_depth, critic_loss
from gantools.nn.random_features import RandomFeatures
from gantools.nn.unet import PatchCritic, ResidualUNet
from gantools.registry import register

TINY = 1e-12  # below this, distances do not differ


@dataclass(frozen=True)
class CycleGANOptions(TranslatorOptions):
    """cycle: weight of what is lost on the way there and back. distance: weight of how little the distances between
    pictures are kept. identity: weight of what changes in a picture that is of the wanted domain already, while the
    channels are the same. pool: earlier pictures that critics are shown again; with any the training takes one thread.
    n_levels, n_blocks: as of `unet`.
    """

    width: int = 32
    adversarial: float = 1.0
    cycle: float = 1.0
    distance: float = 5.0
    identity: float = 0.0
    pool: int = 0
    n_levels: int = 1
    n_blocks: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cycle", "distance", "identity", "pool"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")
        check_depth(self.n_levels, self.n_blocks)

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "pool": 4, "n_levels": 2, "n_blocks": 2}


@register
class CycleGAN(Translator):
    """Both ways bring back what the other made, and pictures far apart stay far apart, so that none changes places.

    The generators have no maps that skip the coarse levels, as in the paper: with them pictures are recoloured where
    they are, and shapes never move.
    """

    name = "cyclegan"
    summary = "two generators and two critics, from two sets of pictures without pairs"
    paper = "Zhu et al. 2017, 'Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks'"
    Options = CycleGANOptions
    options: CycleGANOptions
    averaged = ("generator", "back")
    learns_from = "unpaired"
    crop = 128
    n_directions = 2

    def __init__(self, spec: ImageSpec, options: CycleGANOptions) -> None:
        super().__init__(spec, options)
        source, target = spec.condition.image, spec.layout
        assert source is not None
        o = options
        self.generator = _generator(source.channels, target.channels, o)
        self.back = _generator(target.channels, source.channels, o)
        self.critic = PatchCritic(target.channels, o.critic_width, 3)
        self.critic_back = PatchCritic(source.channels, o.critic_width, 3)
        self.pool = Pool(o.pool, target.channels, target.size)
        self.pool_back = Pool(o.pool, source.channels, source.size)
        self.look, self.look_back = (RandomFeatures(layout.channels) for layout in (target, source))
        self.buffers_are_read = bool(o.pool)
        self.to(memory_format=torch.channels_last)  # twice as fast on CPUs

    @property
    def multiple(self) -> int:
        return self.generator.multiple

    @property
    def reach(self) -> int:
        return self.generator.reach

    def translated(self, image: Tensor, *, reverse: bool = False) -> Tensor:
        return (self.back if reverse else self.generator)(image)

    def phases(self) -> Sequence[Phase]:
        o = self.options
        generators = Phase(
            "generator", ("generator", "back"), self.train_generators, lr=o.lr, betas=(0.5, 0.99), decay="cosine"
        )
        if not o.adversarial:
            return (generators,)
        critics = Phase(
            "critic", ("critic", "critic_back"), self.train_critics, lr=o.lr, betas=(0.0, 0.99), decay="cosine"
        )
        return (critics, generators)

    def train_generators(self, batch: Batch) -> Tensor:
        o, b, a = self.options, batch.real, cast(Tensor, batch.condition.image)
        made_b, made_a = self.transform(a).float(), self.transform(b, reverse=True).float()
        loss = o.cycle * self.lost(a, b, made_a, made_b)
        if o.adversarial:
            for critic, real, fake in ((self.critic, b, made_b), (self.critic_back, a, made_a)):
                with torch.no_grad():
                    of_real = critic(real)
                loss = loss + o.adversarial * generator_relativistic(of_real.float(), critic(fake).float())
        if o.identity and a.shape[1] == b.shape[1]:
            changed = self.transform(b).float() - b, self.transform(a, reverse=True).float() - a
            loss = loss + o.identity * (changed[0].abs().mean() + changed[1].abs().mean())
        if o.distance:
            loss = loss + o.distance * (distances_lost(a, made_b) + distances_lost(b, made_a))
        return loss

    def train_critics(self, batch: Batch) -> Tensor:
        b, a = batch.real, cast(Tensor, batch.condition.image)
        with torch.no_grad():
            made_b, made_a = self.transform(a).float(), self.transform(b, reverse=True).float()
        made_b, made_a = self.pool.mixed(made_b, batch), self.pool_back.mixed(made_a, batch)
        gamma = self.options.gamma
        return critic_loss(self.critic, b, made_b, gamma) + critic_loss(self.critic_back, a, made_a, gamma)

    def held_out(self, batch: Batch) -> Tensor:
        """How far features of translated pictures lie from those of real ones, and what is lost there and back."""
        b, a = batch.real, cast(Tensor, batch.condition.image)
        made_b, made_a = self.transform(a).float(), self.transform(b, reverse=True).float()
        far = apart(self.look(made_b), self.look(b)) + apart(self.look_back(made_a), self.look_back(a))
        return far + self.lost(a, b, made_a, made_b)

    def lost(self, a: Tensor, b: Tensor, made_a: Tensor, made_b: Tensor) -> Tensor:
        """What is lost of pictures of both domains on the way there and back. made_a, made_b: of b and of a."""
        lost = self.transform(made_b, reverse=True).float() - a, self.transform(made_a).float() - b
        return lost[0].abs().mean() + lost[1].abs().mean()


class Pool(nn.Module):
    """Earlier pictures, half of which take the place of new ones that a critic is shown.

    Shrivastava et al. 2017, 'Learning from Simulated and Unsupervised Images through Adversarial Training'.
    """

    pictures: Tensor  # [size, C, S, S]
    filled: Tensor  # whether there are any yet

    def __init__(self, size: int, channels: int, side: int) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(size, channels, side, side))
        self.register_buffer("filled", torch.zeros((), dtype=torch.bool))

    def mixed(self, made: Tensor, batch: Batch) -> Tensor:
        """The pictures made [N, C, S, S], about half of them exchanged for earlier ones."""
        size = len(self.pictures)
        if not size:
            return made
        n = min(size, len(made))
        kept = torch.where(self.filled, self.pictures, made[torch.arange(size, device=made.device) % len(made)])
        place = batch.uniform(size).argsort()[:n]
        swapped = (batch.uniform(n) < 0.5).reshape(-1, 1, 1, 1)
        shown = torch.cat([torch.where(swapped, kept[place], made[:n]), made[n:]])
        kept[place] = torch.where(swapped, made[:n], kept[place])
        self.pictures.copy_(kept)
        self.filled.fill_(True)
        return shown


def distances_lost(given: Tensor, made: Tensor) -> Tensor:
    """How little the distances between the pictures made [N, ...] follow those between the given: from 0 to 2.

    One minus their correlation; 0 for fewer than three pictures, which have none. After Benaim and Wolf 2017,
    'One-Sided Unsupervised Domain Mapping', who compare them in units of each domain's deviation.
    """
    if len(given) < 3:
        return made.new_zeros(())
    one, other = (torch.pdist(x.flatten(1)) for x in (given, made))
    one, other = one - one.mean(), other - other.mean()
    size = (one.square().sum() * other.square().sum()).clamp(min=TINY).sqrt()
    return 1 - (one * other).sum() / size


def _generator(before: int, after: int, options: CycleGANOptions) -> ResidualUNet:
    return ResidualUNet(before, after, options.width, options.n_levels, options.n_blocks, skips=False)
