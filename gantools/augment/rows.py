"""From noise and labels to raw rows: everything between a generator's noise and its cells, as one module.

All that is random about a row comes from its noise, so that whoever has the same noise, in this library or with an
exported file, gets the same row. `noise_in_chunks` says which noise a seed stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from gantools.augment.small import SmallClasses
from gantools.encode.rules import RuleKeeper
from gantools.encode.table import TableEncoder
from gantools.models.base import GAN, uniform_of
from gantools.nn.conditioning import Condition
from gantools.train.devices import one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK_ROWS = 1 << 13  # rows whose noise is drawn at a time
SLICE_ROWS = 1 << 10  # rows made at a time: what the nets say of them stays in a processor's cache


def chunk_seeds(n: int, seed: int, size: int = CHUNK_ROWS) -> list[tuple[int, int]]:
    """Where each chunk of n rows starts, and the seed that its noise is drawn with."""
    starts = range(0, max(1, n), size)
    seeds = np.random.SeedSequence(seed).generate_state(len(starts), np.uint64) >> 1
    return [(start, int(one)) for start, one in zip(starts, seeds, strict=True)]


def in_threads(job: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> list[Result]:
    """What a job makes of each item, in order.

    On a CPU side by side with one thread each: that beats threads within a job, which wait for one another.
    """
    workers = torch.get_num_threads() if device.type == "cpu" else 1
    with one_thread(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(job, items))


def noise_in_chunks(n: int, width: int, seed: int) -> Iterator[tuple[slice, Tensor]]:
    """The noise that `Synthesizer.sample` makes n rows from on a CPU, without refining: [chunk, width] at a time."""
    for start, chunk_seed in chunk_seeds(n, seed):
        rows = slice(start, min(n, start + CHUNK_ROWS))
        random = torch.Generator().manual_seed(chunk_seed)
        yield rows, torch.randn((rows.stop - start, width), generator=random)


class RowGenerator(nn.Module):
    """A trained generator, the rule for small classes and the decoder.

    pools: per categorical column, how many pooled levels it can give back. rules: kept in every row.
    """

    pool_size: Tensor  # [n_pooled], of the columns that have a pool
    pool_column: Tensor  # [n_pooled] int64, which these are
    pool_code: Tensor  # [n_pooled] int64, the code of a pooled level that is still to be drawn

    def __init__(
        self, gan: GAN, small: SmallClasses, encoder: TableEncoder, pools: Sequence[int], rules: RuleKeeper
    ) -> None:
        super().__init__()
        self.rules = rules
        gan.settle()
        self.gan, self.small, self.encoder = gan, small, encoder
        pooled = [index for index, size in enumerate(pools) if size]
        self.register_buffer("pool_column", torch.tensor(pooled, dtype=torch.int64), persistent=False)
        self.register_buffer("pool_size", torch.tensor([pools[index] for index in pooled]).float(), persistent=False)
        self.register_buffer("pool_code", encoder.n_known()[self.pool_column] - 1, persistent=False)

    @property
    def noise_width(self) -> int:
        """How many standard normal numbers a row is made from."""
        return self.gan.noise_width + self.finish_width

    @property
    def finish_width(self) -> int:
        """How many of them `finish` takes."""
        return self.small.noise_width + len(self.pool_size)

    def forward(self, noise: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """noise: [N, noise_width], standard normal. label: [N] int64. Returns numbers and codes, as `finish` does."""
        x = self.gan.generate(noise[:, : self.gan.noise_width], Condition(label))
        return self.finish(x, label, noise[:, self.gan.noise_width :])

    def in_slices(self, noise: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` of any number of rows; on a CPU a few at a time, which is faster."""
        if noise.device.type != "cpu" or len(label) <= SLICE_ROWS:
            numbers, codes = self(noise, label)
            return numbers, codes
        parts = zip(torch.split(noise, SLICE_ROWS), torch.split(label, SLICE_ROWS), strict=True)
        numbers, codes = zip(*(self(*part) for part in parts), strict=True)
        return torch.cat(numbers), torch.cat(codes)

    def finish(self, x: Tensor, label: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows [N, width] to raw ones: numbers [N, n_numeric] float64, NaN where missing, and codes
        [N, n_blocks] int64, where n_levels + 1 + k is the k-th level of a column's pool.

        noise: [N, finish_width], standard normal.
        """
        n_small = self.small.noise_width
        return self.decoded(self.small.replace(x, label, noise[:, :n_small]), noise[:, n_small:])

    def decoded(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """`finish` without the rule for small classes. noise: [N, columns that have a pool]."""
        kept: tuple[Tensor, Tensor] = self.rules(*self.encoder.inverse(x))
        numbers, codes = kept
        if not len(self.pool_size):
            return numbers, codes
        chosen = (uniform_of(noise) * self.pool_size).long()
        theirs = codes[:, self.pool_column]
        picked = torch.where(theirs == self.pool_code, self.pool_code + 1 + chosen, theirs)
        return numbers, codes.index_copy(1, self.pool_column, picked)
