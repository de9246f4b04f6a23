"""Rows of which some cells are given: by a generator that knows how probable a cell is after the cells before it.

Every cell that is given is set, every other one is drawn, and a candidate's weight is the probability of what was set,
given what stood before it. Of more candidates than are wanted, rows are drawn anew by weight: they are distributed as
the generator's rows that happen to be like that (likelihood weighting: Fung and Chang 1990, Shachter and Peot 1990;
sampling-importance-resampling: Rubin 1988).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantools.augment.choose import gumbel
from gantools.augment.rows import RowGenerator, chunk_seeds, in_threads
from gantools.data.tables.dtypes import Floats
from gantools.data.tables.raw import Codes, Raw
from gantools.encode.table import Allowed
from gantools.models.base import GAN
from gantools.nn.conditioning import Condition

PILOT_ROWS = 2048  # candidates that tell how many there must be
PER_EFFECTIVE = 2  # candidates for each row that is wanted, divided by the share of them that the weights leave
MOST_CANDIDATES = 64  # for each row that is wanted
LEAST_POOL = 512  # candidates at the least
CHUNK = 1 << 13  # candidates at a time
FILL_CANDIDATES = 16  # for each row with holes
LIKELY_CANDIDATES = 64  # the same where it is filled by what is likely


@dataclass(frozen=True)
class Outlook:
    """What can be expected of a condition.

    share: of the generator's rows that fulfil it by themselves. effective: share of candidates that would do as well if
    all weighed the same.
    """

    share: float
    effective: float

    @property
    def candidates(self) -> int:
        """How many there should be for each row that is wanted."""
        return min(MOST_CANDIDATES, math.ceil(PER_EFFECTIVE / max(self.effective, 1e-9)))


class ConditionalRows:
    """Draws rows with given cells. maker: with its generator, which has a likelihood."""

    def __init__(self, maker: RowGenerator, device: torch.device) -> None:
        self.maker, self.device = maker, device
        self.gan: GAN = maker.gan

    def outlook(self, shares: Sequence[float], allowed: Allowed, seed: int) -> Outlook:
        """What a first try finds. shares: of the labels, of all rows; those that are not asked for have none."""
        random = torch.Generator(self.device).manual_seed(seed)
        label = self._labels(PILOT_ROWS, shares, random)
        weight = self._candidates(label, allowed.to(self.device), random)[1].double().exp()
        total = float(weight.sum())
        effective = total**2 / max(float(weight.square().sum()), 1e-300) / len(weight)
        return Outlook(sum(shares) * total / len(weight), effective)

    def draw(self, n: int, shares: Sequence[float], allowed: Allowed, seed: int) -> tuple[Raw, Codes]:
        """n rows and their labels [n], which come as they do among such rows."""
        outlook = self.outlook(shares, allowed, seed)
        per_chunk = max(1, CHUNK // outlook.candidates)
        allowed = allowed.to(self.device)

        @torch.no_grad()
        def rows(chunk: tuple[int, int]) -> tuple[np.ndarray, ...]:
            start, chunk_seed = chunk
            wanted = min(per_chunk, n - start)
            random = torch.Generator(self.device).manual_seed(chunk_seed)
            label = self._labels(max(LEAST_POOL, wanted * outlook.candidates), shares, random)
            x, weight = self._candidates(label, allowed, random)
            taken = (weight + gumbel(weight, random)).topk(wanted).indices
            return self._decoded(x[taken], label[taken], random)

        chunks = chunk_seeds(n, seed, per_chunk)
        return _joined(in_threads(rows, chunks, self.device))

    def fill(
        self, known: Allowed, label: Codes, shares: Sequence[float], seed: int, *, likely: bool = False
    ) -> tuple[Raw, Codes]:
        """Each row with holes, filled by a draw, or by what is likely: means of numbers, most frequent levels.

        known: what its cells may be. label: [N] codes, negative where missing.
        """
        n_each = LIKELY_CANDIDATES if likely else FILL_CANDIDATES
        per_chunk = CHUNK // n_each
        known = known.to(self.device)

        @torch.no_grad()
        def rows(chunk: tuple[int, int]) -> tuple[np.ndarray, ...]:
            start, chunk_seed = chunk
            random = torch.Generator(self.device).manual_seed(chunk_seed)
            given = torch.from_numpy(label[start : start + per_chunk]).to(self.device)
            n = len(given)
            each = torch.arange(n, device=self.device).repeat_interleave(n_each)
            drawn = self._labels(len(each), shares, random)
            labels = torch.where(given[each] < 0, drawn, given[each])
            x, weight = self._candidates(labels, known[slice(start, start + n)][each], random)
            weight = weight.nan_to_num(neginf=-1e9)
            if likely:
                share = weight.reshape(n, n_each).softmax(1).double().cpu().numpy()
                return _likely(share, *self._decoded(x, labels, random))
            best = (weight + gumbel(weight, random)).reshape(n, n_each).argmax(1)
            taken = torch.arange(n, device=self.device) * n_each + best
            return self._decoded(x[taken], labels[taken], random)

        return _joined(in_threads(rows, chunk_seeds(len(label), seed, per_chunk), self.device))

    def _labels(self, n: int, shares: Sequence[float], random: torch.Generator) -> Tensor:
        chance = torch.tensor(shares, device=self.device, dtype=torch.float32)
        return torch.multinomial(chance, n, replacement=True, generator=random)

    @torch.no_grad()
    def _candidates(self, label: Tensor, allowed: Allowed, random: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn((len(label), self.gan.noise_width), device=self.device, generator=random)
        return self.gan.generate_within(noise, Condition(label), allowed)

    def _decoded(self, x: Tensor, label: Tensor, random: torch.Generator) -> tuple[np.ndarray, ...]:
        noise = torch.randn((len(x), len(self.maker.pool_size)), device=self.device, generator=random)
        numbers, codes = self.maker.decoded(x, noise)
        return numbers.cpu().numpy(), codes.cpu().numpy(), label.cpu().numpy()


def _joined(parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[Raw, Codes]:
    numbers, codes, label = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Raw(numbers, codes), label


def _likely(share: Floats, numbers: Floats, codes: Codes, label: Codes) -> tuple[np.ndarray, ...]:
    """One row from the candidates of each. share: [N, n_each], their weights. The others: [N * n_each, ...]."""
    n, n_each = share.shape
    mean = np.einsum("nk,nkc->nc", share, numbers.reshape(n, n_each, -1))

    def most_frequent(values: Codes) -> Codes:
        each = values.reshape(n, n_each)
        votes = (share[:, None, :] * (each[:, :, None] == each[:, None, :])).sum(2)
        return np.take_along_axis(each, votes.argmax(1)[:, None], 1)[:, 0]

    levels = [most_frequent(codes[:, column]) for column in range(codes.shape[1])]
    return mean, np.stack(levels, 1) if levels else codes[:n], most_frequent(label)
