"""The default image detector: a generator that restores damaged images and a critic that points at damage.

Images are damaged (`nn/image_damage.py`) and the *generator* restores them. The *critic* tells for every pixel whether
it is damaged, and of the generator's restorations what is left of the damage (a critic with an answer per pixel:
Schönfeld et al. 2020, 'A U-Net Based Discriminator for Generative Adversarial Networks'). The generator is in turn
pressed to make restorations that the critic takes for undamaged. So the critic learns the ways of being abnormal that
the generator still has, beside the plain ones. What the generator changes of an image, and where the critic finds it
odd, are two maps of what is not normal (Zavrtanik et al. 2021, 'DRAEM').

The nets see pieces of an image while they learn: many small ones teach more than few large ones. All of it exists once
per fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.models.base import Batch, ImageDetector, ImageSpec, ModelOptions, Phase
from gantools.nn.blocks import SLOPE
from gantools.nn.image_damage import damaged, roughness
from gantools.registry import register

TINY = 1e-3
SMOOTHING = 5  # pixels that a map is averaged over: a single pixel says little


@dataclass(frozen=True)
class RestorerOptions(ModelOptions):
    """width: channels of the critic's finest maps, the generator has half as many. n_folds: sets of nets. depth: how
    often the nets halve their maps. lr, weight_decay: of both. crop: side of the pieces that are learned from, a whole
    smaller image. adversary: whether the critic also learns from restorations and presses the generator. pressure:
    weight of its opinion in the generator's loss.
    """

    width: int = 24
    steps: int = 800
    n_folds: int = 2
    depth: int = 3
    lr: float = 2e-3
    weight_decay: float = 1e-4
    crop: int = 64
    adversary: bool = True
    pressure: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.n_folds <= 100, "set n_folds", "must be from 1 to 100")
        check(self.lr > 0, "set lr", "must be above 0")
        check(self.crop >= 16, "set crop", "must be at least 16")
        check(1 <= self.depth <= 6, "set depth", "must be from 1 to 6")
        for name in ("weight_decay", "pressure"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "width": 8, "depth": 1}


@register
class Restorer(ImageDetector):
    name = "restorer"
    summary = "restores damaged images, with a critic that points at damage, beside a memory of normal ones (default)"
    paper = "after Zavrtanik et al. 2021, 'DRAEM'"
    Options: ClassVar[type[ModelOptions]] = RestorerOptions
    options: RestorerOptions
    averaged = ("generator", "critic")
    n_maps = 2

    def __init__(self, spec: ImageSpec, options: RestorerOptions) -> None:
        super().__init__(spec, options)
        channels, size = spec.layout.channels, spec.layout.size
        depth = min(options.depth, max(1, spec.layout.n_halvings))
        self.crop = min(options.crop // 2**depth * 2**depth, size)
        widths = max(8, options.width // 2), options.width
        folds = range(options.n_folds)
        self.generator = nn.ModuleList(UNet(channels, channels, widths[0], depth) for _ in folds)
        self.critic = nn.ModuleList(UNet(channels, 1, widths[1], depth) for _ in folds)

    @property
    def n_folds(self) -> int:
        return self.options.n_folds

    def phases(self) -> Sequence[Phase]:
        o = self.options
        common: dict[str, Any] = {"lr": o.lr, "betas": (0.9, 0.99), "weight_decay": o.weight_decay}
        return (
            Phase("generator", ("generator",), self.train_generator, every=2, **common),
            Phase("critic", ("critic",), self.train_critic, **common),
        )

    def train_generator(self, batch: Batch) -> Tensor:
        loss = torch.zeros((), device=batch.real.device)
        for generator, critic, whole in self._folds(batch):
            x = self._piece(whole, batch)
            restored = generator(damaged(x, batch.random)[0])
            loss = loss + (restored - x).abs().mean() / roughness(x)
            if self.options.adversary and self.options.pressure:
                loss = loss + self.options.pressure * F.softplus(critic(restored)).mean()
        return loss

    def train_critic(self, batch: Batch) -> Tensor:
        loss = torch.zeros((), device=batch.real.device)
        for generator, critic, whole in self._folds(batch):
            x = self._piece(whole, batch)
            seen, where = damaged(x, batch.random)
            if self.options.adversary:
                with torch.no_grad():
                    few = max(1, len(x) // 4)
                    restored = generator(seen[:few])
                    left = where[:few] * distance(restored, x[:few])
                seen, where = torch.cat([seen, restored]), torch.cat([where, left])
            loss = loss + F.binary_cross_entropy_with_logits(critic(seen), where)
        return loss

    def maps(self, x: Tensor) -> Tensor:
        found = []
        for generator, critic in zip(self.generator, self.critic, strict=True):
            change = _averaged((generator(x) - x).abs().mean(1, keepdim=True))
            found.append(torch.cat([(change + TINY).log(), _averaged(critic(x))], 1))
        return torch.stack(found).transpose(1, 2)

    def held_out(self, batch: Batch) -> Tensor:
        return self.train_critic(batch) / self.n_folds

    def _folds(self, batch: Batch) -> Sequence[tuple[nn.Module, nn.Module, Tensor]]:
        return list(zip(self.generator, self.critic, batch.real.unbind(0), strict=True))

    def _piece(self, x: Tensor, batch: Batch) -> Tensor:
        """A piece of each image x [B, C, size, size], from a place of its own: [B, C, crop, crop]."""
        room = x.shape[2] - self.crop
        if room <= 0:
            return x
        n = len(x)
        top, left = (batch.uniform(2, n) * (room + 1)).long().unsqueeze(2)
        inside = torch.arange(self.crop, device=x.device)
        rows, columns = (top + inside).reshape(n, 1, -1, 1), (left + inside).reshape(n, 1, 1, -1)
        channel = torch.arange(x.shape[1], device=x.device).reshape(1, -1, 1, 1)
        return x[torch.arange(n, device=x.device).reshape(-1, 1, 1, 1), channel, rows, columns]


def distance(x: Tensor, truth: Tensor) -> Tensor:
    """How far each pixel of x [B, C, H, W] plainly is from the truth: [B, 1, H, W], 0 not at all, up to 1."""
    off = (x - truth).abs().mean(1, keepdim=True)
    off = F.avg_pool2d(F.pad(off, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return 1 - torch.exp(-off / roughness(truth))


def _averaged(x: Tensor) -> Tensor:
    """Each pixel of x [N, C, H, W] and those around it."""
    return F.avg_pool2d(F.pad(x, (SMOOTHING // 2,) * 4, mode="replicate"), SMOOTHING, 1)


class UNet(nn.Module):
    """An image to an image of the same size, through maps of half, a quarter, ... of it and back.

    Ronneberger et al. 2015, 'U-Net'. Four pixels are one place of the finest maps, which makes it four times as fast.
    """

    def __init__(self, before: int, after: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * min(4, 2**level) for level in range(depth)]
        self.first = nn.Conv2d(4 * before, width, 3, padding=1)
        self.down = nn.ModuleList(Block(wide, wider) for wide, wider in zip([width, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(Block(wider + wide, wide) for wide, wider in pairwise(widths))
        self.last = nn.Conv2d(width, 4 * after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, before, H, W]. Returns [N, after, H, W]."""
        h = F.leaky_relu(self.first(F.pixel_unshuffle(x, 2)), SLOPE)
        passed: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = block(F.avg_pool2d(h, 2) if level else h)
            passed.append(h)
        for block, beside in zip(reversed(list(self.up)), reversed(passed[:-1]), strict=True):
            h = block(torch.cat([F.interpolate(h, scale_factor=2.0, mode="nearest"), beside], 1))
        return F.pixel_shuffle(self.last(h), 2)


class Block(nn.Sequential):
    """Two convolutions, each normalised over groups of eight channels."""

    def __init__(self, before: int, after: int) -> None:
        layers: list[nn.Module] = []
        for n_inputs in (before, after):
            norm = nn.GroupNorm(max(1, after // 8), after)
            layers += [nn.Conv2d(n_inputs, after, 3, padding=1), norm, nn.LeakyReLU(SLOPE)]
        super().__init__(*layers)
