"""The default detector: a denoiser of normal rows and a critic that tells how far a row is from normal.

A row is damaged (every cell or some, by noise of any size or by cells of another row) and the *generator* restores it;
there is no bottleneck: what it cannot do is restore a row that is like none it has seen to what it was (Vincent et al.
2008, 'Extracting and Composing Robust Features with Denoising Autoencoders'; noise levels and their preconditioning as
in Karras et al. 2022, 'Elucidating the Design Space of Diffusion-Based Generative Models').

The *critic* learns how large the noise on a row is (after Livernoche et al. 2024, 'On Diffusion Modeling for Anomaly
Detection'), and how far from the truth the generator's restorations are. The generator is in turn pressed to restore
rows that the critic takes for undamaged. So the critic learns the ways of being abnormal that the generator still has,
beside the plain ones, and its opinion of a row is a distance from normal that no nearest neighbour measures.

All of it exists once per fold and is computed side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.models.base import Batch, Detector, ModelOptions, Phase, TableSpec
from gantools.registry import register

QUIETEST, LOUDEST = 0.05, 3.0  # noise that training draws, in standard deviations of a number, evenly on a log scale
LEVELS = (0.4, 0.8)  # noise levels that a clean row is restored at, to be scored


@dataclass(frozen=True)
class DenoiserOptions(ModelOptions):
    """n_folds: sets of nets. n_blocks: residual blocks of each net. lr, weight_decay: of both. partly: share of rows
    that are damaged in some cells only. swapped: share of those whose cells come from another row. adversary: whether
    there is a critic. pressure: weight of its opinion in the generator's loss.
    """

    steps: int = 1500
    n_folds: int = 2
    n_blocks: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-4
    partly: float = 0.6
    swapped: float = 0.3
    adversary: bool = True
    pressure: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.n_folds <= 100, "set n_folds", "must be from 1 to 100")
        check(self.lr > 0, "set lr", "must be above 0")
        for name in ("n_blocks", "weight_decay", "pressure"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")
        for name in ("partly", "swapped"):
            check(0 <= getattr(self, name) <= 1, f"set {name}", "must be from 0 to 1")


@register
class Denoiser(Detector):
    name = "denoiser"
    summary = "denoising generator and a critic of how abnormal a row is, beside a memory of normal rows (default)"
    paper = "after Livernoche et al. 2024, 'On Diffusion Modeling for Anomaly Detection'"
    Options = DenoiserOptions
    options: DenoiserOptions
    n_levels = len(LEVELS)

    def __init__(self, spec: TableSpec, options: DenoiserOptions) -> None:
        super().__init__(spec, options)
        shape = options.n_folds, options.width, options.n_blocks
        self.generator = FoldedNet(spec.layout.width + 1, spec.layout.width, *shape)
        self.critic = FoldedNet(spec.layout.width, 1, *shape) if options.adversary else None
        self.averaged = ("generator", "critic") if options.adversary else ("generator",)

    @property
    def n_folds(self) -> int:
        return self.options.n_folds

    def phases(self) -> Sequence[Phase]:
        o = self.options
        common: dict[str, Any] = {"lr": o.lr, "betas": (0.9, 0.99), "weight_decay": o.weight_decay}
        generator = Phase("generator", ("generator",), self.train_generator, **common)
        if self.critic is None:
            return (generator,)
        return (generator, Phase("critic", ("critic",), self.train_critic, **common))

    def train_generator(self, batch: Batch) -> Tensor:
        damaged, level = self.damage(batch)
        restored = self.restore(damaged, level)
        loss = ((level.square() + 1) / level.square() * (restored - batch.real).square()).mean()
        if self.critic is not None and self.options.pressure:
            loss = loss + self.options.pressure * self.critic(restored).mean()
        return loss * self.n_folds  # each fold's nets learn at the given rate, however many folds there are

    def train_critic(self, batch: Batch) -> Tensor:
        assert self.critic is not None
        level = self._levels(batch)
        noisy = batch.real + level * batch.noise(*batch.real.shape)
        loss = F.mse_loss(self.critic(noisy), level.log())
        if self.options.pressure:
            with torch.no_grad():
                restored = self.restore(*self.damage(batch))
                distance = (restored - batch.real).square().mean(2, keepdim=True).sqrt().clamp(min=QUIETEST / 10)
            loss = loss + 0.5 * F.mse_loss(self.critic(restored), distance.log())
        return loss * self.n_folds

    def damage(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch's rows [n_folds, B, width], damaged, and the level of the noise [n_folds, B, 1]."""
        x, o = batch.real, self.options
        level = self._levels(batch)
        damage = level * batch.noise(*x.shape)
        donor = torch.roll(x, 1, 1)  # batches are drawn at random, so that the next row is any row
        one = (*x.shape[:2], 1)
        swapped = batch.uniform(*one) < o.swapped
        touched = batch.uniform(*x.shape) < batch.uniform(*one)
        some = torch.where(swapped, donor - x, damage) * touched
        return x + torch.where(batch.uniform(*one) < o.partly, some, damage), level

    def _levels(self, batch: Batch) -> Tensor:
        low, high = math.log(QUIETEST), math.log(LOUDEST)
        return torch.exp(low + (high - low) * batch.uniform(*batch.real.shape[:2], 1))

    def restore(self, x: Tensor, level: Tensor) -> Tensor:
        """Restored rows. x: [n_folds, N, width]. level: [n_folds, N, 1], the noise assumed to be on them."""
        size = (level.square() + 1).sqrt()
        hint = torch.cat([x / size, level.log() / 2], 2)
        return x / size.square() + level / size * self.generator(hint)

    def errors(self, x: Tensor) -> Tensor:
        f, (n, width) = self.n_folds, x.shape
        rows = (f, len(LEVELS) * n)
        level = torch.tensor(LEVELS, device=x.device).reshape(-1, 1).expand(len(LEVELS), n).reshape(1, -1, 1)
        restored = self.restore(x.repeat(len(LEVELS), 1).expand(*rows, width), level.expand(*rows, 1))
        return (restored.reshape(f, len(LEVELS), n, width) - x).square()

    def opinion(self, x: Tensor) -> Tensor | None:
        return None if self.critic is None else self.critic(x.expand(self.n_folds, *x.shape)).squeeze(2)

    def held_out(self, batch: Batch) -> Tensor:
        restored = self.restore(*self.damage(batch))
        return (restored - batch.real).square().mean()


class FoldedNet(nn.Module):
    """A residual MLP per fold: all folds in one matrix product per layer."""

    def __init__(self, n_inputs: int, n_outputs: int, n_folds: int, width: int, n_blocks: int) -> None:
        super().__init__()
        self.first = FoldedLinear(n_folds, n_inputs, width)
        self.blocks = nn.ModuleList(
            nn.ModuleList([FoldedLinear(n_folds, width, width), FoldedLinear(n_folds, width, width, 0.3)])
            for _ in range(n_blocks)
        )
        self.last = FoldedLinear(n_folds, width, n_outputs, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """x: [n_folds, N, n_inputs]. Returns [n_folds, N, n_outputs]."""
        h = self.first(x)
        for inner, outer in cast(Iterable[nn.ModuleList], self.blocks):
            h = h + outer(F.silu(inner(F.layer_norm(h, h.shape[-1:]))))
        return self.last(F.layer_norm(h, h.shape[-1:]))


class FoldedLinear(nn.Module):
    def __init__(self, n_folds: int, n_inputs: int, n_outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_folds, n_inputs, n_outputs) * gain / math.sqrt(n_inputs))
        self.bias = nn.Parameter(torch.zeros(n_folds, 1, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)
