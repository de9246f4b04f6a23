"""The default for tables: every cell is drawn knowing the cells before it.

The chain rule makes a row's probability a product: of its first column given the condition, of the second given the
first, and so on. So whatever one column says about another can be learned, a column that decides another one included,
and the generator learns by the likelihood of real rows, without a game that it could lose. A cell is a *place*: a level
of a category, or an interval of probability of a number, within which a number lies as it does in the whole column.

Adversaries were tried and left out: a discriminator that is a net cannot tell these rows from real ones and teaches
nothing, and what boosted trees can tell does not hold for rows that they have not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.encode.table import Allowed, Layout, count, probabilities_of, scores_of
from gantools.models.base import Batch, Phase, TableSpec, uniform_of
from gantools.models.judging import JudgingGAN, JudgingOptions
from gantools.nn.blocks import SLOPE
from gantools.nn.conditioning import Condition, Embed
from gantools.registry import register

DEFAULT_CELLS = 32  # of a number in a layout that gives none
BEYOND = 2.0  # a border that no probability reaches
START = 0.3  # standard deviation of what places add to the context, at the start
N_WAVES = 8  # cosines among the smooth functions of a number
WIDE = 64  # columns up to which nets are as large as the options say
LEAST_UNITS = 16  # of a layer in tables with more
ROUGH = 0.3  # how large what single intervals say is beside it


@dataclass(frozen=True)
class AutoregressiveOptions(JudgingOptions):
    """width: of the context, to which every cell adds what it says about the cells behind it. hidden: units between the
    context and the probabilities of a column's places; of both there are fewer where a table has more than 64 columns,
    so that all columns together cost no more. epochs: how often the generator sees each row at the most. lr,
    decay, drop: its learning rate, its weight decay, and the share of the hidden units that are dropped. n_folds,
    classifier_width, classifier_lr, dropout, weight_decay: of the classifier ensemble.
    """

    class_balance: float = 0.0
    width: int = 256
    epochs: float = 24.0
    hidden: int = 128
    lr: float = 2e-3
    decay: float = 1.0
    drop: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.hidden >= 1, "set hidden", "must be at least 1")
        for name in ("epochs", "lr"):
            check(getattr(self, name) > 0, f"set {name}", "must be above 0")
        check(self.decay >= 0, "set decay", "must not be negative")
        check(0 <= self.drop < 1, "set drop", "must be at least 0 and below 1")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "hidden": 16}


@register
class AutoregressiveGAN(JudgingGAN):
    """Adding up what the cells before say makes one context of them at the cost of an addition a cell, in training for
    all columns at once (Larochelle and Murray 2011). Intervals of a column's distribution for its numbers are ours.
    """

    name = "autoregressive"
    summary = "draws one column after another, each knowing those before it; learns by likelihood (default)"
    paper = "after Larochelle and Murray 2011, 'The Neural Autoregressive Distribution Estimator'"
    Options = AutoregressiveOptions
    options: AutoregressiveOptions
    has_likelihood = True

    def __init__(self, spec: TableSpec, options: AutoregressiveOptions) -> None:
        super().__init__(spec, options)
        self.generator = Chain(spec, options)

    def phases(self) -> Sequence[Phase]:
        o = self.options
        generator = Phase(
            "generator", ("generator",), self.train_generator, epochs=o.epochs, lr=o.lr,
            betas=(0.9, 0.99), optimizer="adamw", weight_decay=o.decay, decay="cosine",
        )  # fmt: skip
        return [generator, *self.classifier_phases()]

    def train_generator(self, batch: Batch) -> Tensor:
        kept = batch.uniform(len(batch.real), self.generator.hidden) >= self.options.drop
        return -self.generator.log_likelihood(batch.real, batch.condition, kept / (1 - self.options.drop)).mean()

    @property
    def noise_width(self) -> int:
        return len(self.generator.n_places)

    def generate(self, noise: Tensor, condition: Condition) -> Tensor:
        return cast(Tensor, self.generator(uniform_of(noise), condition)[0])

    def settle(self) -> None:
        self.generator.drawer = self.generator.new_drawer()

    def generate_within(self, noise: Tensor, condition: Condition, allowed: Allowed) -> tuple[Tensor, Tensor]:
        rows, log_weight = self.generator(uniform_of(noise), condition, allowed)
        return rows, log_weight

    def log_likelihood(self, x: Tensor, condition: Condition) -> Tensor:
        return self.generator.log_likelihood(x, condition)


class Chain(nn.Module):
    """A net for each column: from what the condition and the cells before say to the probabilities of its places.

    n_places: of each column, numbers first. drawer: what draws rows, once nothing is learned any more.
    """

    borders: Tensor  # [n_numeric, most places + 1], of the intervals of each number
    smooth: Tensor  # [places of all numbers, 2 + N_WAVES], smooth functions of them
    first: Tensor  # [n_columns] int64, where the places of each column begin among those of all
    column: Tensor  # [places of all columns] int64, which each belongs to
    member: Tensor  # [n_levels, n_blocks], at the level's own block its place in it

    def __init__(self, spec: TableSpec, options: AutoregressiveOptions) -> None:
        super().__init__()
        layout = spec.layout
        even = tuple(k / DEFAULT_CELLS for k in range(DEFAULT_CELLS + 1))
        cells = layout.cells or (even,) * layout.n_numeric
        self.layout: Layout = layout
        self.drawer: Drawer | None = None
        self.n_places = [*(len(borders) - 1 for borders in cells), *layout.blocks]
        self.starts = [0, *accumulate(self.n_places)]
        n_columns, n_all = len(self.n_places), sum(self.n_places)
        scale = min(1.0, (WIDE / n_columns) ** 0.5)
        width, hidden = (max(min(n, LEAST_UNITS), int(scale * n)) for n in (options.width, options.hidden))
        self.hidden = hidden
        most = max(map(len, cells), default=0)
        borders = torch.tensor([(*each, *[BEYOND] * (most - len(each))) for each in cells]).reshape(len(cells), most)
        self.register_buffer("borders", borders, persistent=False)
        self.register_buffer("first", torch.tensor(self.starts[:-1]), persistent=False)
        column = torch.repeat_interleave(torch.arange(n_columns), torch.tensor(self.n_places))
        self.register_buffer("column", column, persistent=False)
        member = torch.zeros(layout.n_levels, len(layout.blocks))
        for block, (part, size) in enumerate(zip(layout.parts, layout.blocks, strict=True)):
            member[part, block] = torch.arange(size)
        self.register_buffer("member", member, persistent=False)
        smooth = [_smooth_functions(torch.tensor(each)) for each in cells]
        self.register_buffer("smooth", torch.cat(smooth) if smooth else torch.zeros(0, 2 + N_WAVES), persistent=False)
        self.condition = Embed(spec.condition, width)
        self.condition.start_at(START)
        self.says = nn.Parameter(START * torch.randn(n_all, width))
        self.smooth_says = nn.Parameter(START / 3 * torch.randn(layout.n_numeric, 2 + N_WAVES, width))
        self.smooth_outer = nn.Parameter(torch.zeros(layout.n_numeric, 2 + N_WAVES, hidden))
        self.asked = nn.Parameter(START * torch.randn(n_columns, width))
        self.inner = nn.Parameter(torch.randn(n_columns, width, hidden) / math.sqrt(width))
        self.inner_bias = nn.Parameter(torch.zeros(n_columns, 1, hidden))
        self.outer = nn.Parameter(torch.randn(n_all, hidden) / (10 * math.sqrt(hidden)))
        self.outer_bias = nn.Parameter(torch.zeros(n_all))

    def places(self, x: Tensor) -> Tensor:
        """Encoded rows [N, width] as places [N, n_columns] int64."""
        n = self.layout.n_numeric
        probability = probabilities_of(x[:, :n].float()).T.contiguous()
        cells = torch.searchsorted(self.borders, probability, right=True).T - 1
        levels = (x[:, n:].float() @ self.member).round().long()
        last = torch.tensor(self.n_places, device=x.device) - 1
        return torch.cat([cells, levels], 1).clamp(min=0).minimum(last)

    def log_likelihood(self, x: Tensor, condition: Condition, kept: Tensor | None = None) -> Tensor:
        """log probability [N] of the places of encoded rows. kept: [N, hidden], what is left of each unit."""
        place = self.places(x)
        says, outer = self._tables()
        added = says[place + self.first]  # [N, n_columns, width]
        context = self._first_context(condition).unsqueeze(1) + added.cumsum(1) - added
        h = F.leaky_relu(context, SLOPE).transpose(0, 1)
        h = F.leaky_relu(torch.baddbmm(self.inner_bias, h, self.inner), SLOPE)
        if kept is not None:
            h = h * kept
        found = [
            -F.cross_entropy(self._logits(h[column], outer, column).float(), place[:, column], reduction="none")
            for column in range(len(self.n_places))
        ]
        return torch.stack(found).sum(0)

    def forward(self, uniform: Tensor, condition: Condition, allowed: Allowed | None = None) -> tuple[Tensor, Tensor]:
        """Encoded rows [N, width] and their log weights [N], as `Drawer` makes them."""
        drawer = self.drawer if self.drawer is not None else self.new_drawer()
        rows, log_weight = drawer(uniform, self._first_context(condition), allowed)
        return rows, log_weight

    def new_drawer(self) -> Drawer:
        """What draws rows by the weights as they are now."""
        return Drawer(self.layout, self.n_places, self.borders, *self._tables(), self)

    def _first_context(self, condition: Condition) -> Tensor:
        """What the first column is told: [N, width], or [1, width] where there is no condition."""
        return self.condition.added_to(self.asked[:1], condition)

    def _tables(self) -> tuple[Tensor, Tensor]:
        """What each place says [n_all, width], and the weights of its probability [n_all, hidden].

        Of a number both are smooth functions of the place, to which every interval adds a little of its own: so rows
        teach their neighbours, and a spike is still a spike. With what a place says, the context passes on from asking
        for its column to asking for the next one.
        """
        n = self.layout.n_numeric
        end = self.starts[n]
        parts = torch.split(self.smooth, self.n_places[:n])

        def bent(rough: Tensor, smooth: Tensor) -> Tensor:
            if not n:
                return rough
            whole = torch.cat([part @ smooth[column] for column, part in enumerate(parts)])
            return torch.cat([whole + ROUGH * rough[:end], rough[end:]])

        step = torch.cat([self.asked[1:] - self.asked[:-1], torch.zeros_like(self.asked[:1])])
        says = bent(self.says, self.smooth_says) + step[self.column]
        return says, bent(self.outer, self.smooth_outer)

    def _logits(self, h: Tensor, outer: Tensor, column: int) -> Tensor:
        places = slice(self.starts[column], self.starts[column + 1])
        return F.linear(h, outer[places], self.outer_bias[places])


class Drawer(nn.Module):
    """The chain as it draws rows: all weights of a column worked out and in one piece each."""

    def __init__(
        self, layout: Layout, n_places: Sequence[int], borders: Tensor, says: Tensor, outer: Tensor, chain: Chain
    ) -> None:
        super().__init__()
        self.layout, self.n_places = layout, tuple(n_places)
        sizes = list(n_places)
        parts = (torch.split(each, sizes) for each in (says, outer, chain.outer_bias))
        for column, (said, weight, bias) in enumerate(zip(*parts, strict=True)):
            self._hold("says", column, said)
            self._hold("inner", column, chain.inner[column])
            self._hold("inner_bias", column, chain.inner_bias[column])
            self._hold("outer", column, weight.T)
            self._hold("outer_bias", column, bias)
            if column < layout.n_numeric:
                self._hold("borders", column, borders[column, : n_places[column] + 1])

    def _hold(self, name: str, column: int, value: Tensor) -> None:
        self.register_buffer(f"{name}{column}", value.detach().contiguous().clone(), persistent=False)

    def forward(self, uniform: Tensor, context: Tensor, allowed: Allowed | None = None) -> tuple[Tensor, Tensor]:
        """Encoded rows [N, width], every cell drawn by inverting its cumulative probabilities.

        uniform: [N, n_columns] on (0, 1). What is left of a number's, once it has chosen an interval, places it there.
        context: [N or 1, D], what the first column is told. allowed: what the cells may be. Returns besides the log
        probability [N] that they are so by themselves.
        """
        n = self.layout.n_numeric
        context = context + torch.zeros_like(uniform[:, :1])
        numbers, levels = [], []
        log_weight = torch.zeros_like(uniform[:, 0])
        for column, n_places in enumerate(self.n_places):
            says, inner, inner_bias, outer, outer_bias = (
                self.get_buffer(f"{name}{column}") for name in ("says", "inner", "inner_bias", "outer", "outer_bias")
            )
            h = F.leaky_relu(torch.addmm(inner_bias, F.leaky_relu(context, SLOPE), inner), SLOPE)
            chance = torch.addmm(outer_bias, h, outer).float().softmax(1)
            if allowed is not None:
                chance = chance * self._share(allowed, column)
                total = chance.sum(1, keepdim=True)
                log_weight = log_weight + total.squeeze(1).log()
                chance = chance / total.clamp(min=1e-30)
            place, within = _drawn(chance, uniform[:, column : column + 1])
            context = context + says[place]
            if column < n:
                borders = self.get_buffer(f"borders{column}")
                low, high = borders[place], borders[place + 1]
                if allowed is not None:
                    low, high = low.maximum(allowed.lower[:, column]), high.minimum(allowed.upper[:, column])
                numbers.append(torch.lerp(low, high, within))
            else:
                level = torch.arange(n_places, device=place.device)
                levels.append((place.unsqueeze(1) == level).to(uniform.dtype))
        parts = [scores_of(torch.stack(numbers, 1))] if numbers else []
        return torch.cat([*parts, *levels], 1), log_weight

    def _share(self, allowed: Allowed, column: int) -> Tensor:
        """Of each place of a column the part that is allowed: [N or 1, n_places]."""
        n = self.layout.n_numeric
        if column >= n:
            return allowed.levels[:, self.layout.parts[column - n]].float()
        borders = self.get_buffer(f"borders{column}")
        low = borders[:-1].maximum(allowed.lower[:, column : column + 1])
        high = borders[1:].minimum(allowed.upper[:, column : column + 1])
        return (high - low).clamp(min=0) / (borders[1:] - borders[:-1])


def _smooth_functions(borders: Tensor) -> Tensor:
    """Functions of the middles of a number's intervals [n, 2 + N_WAVES]: its score, the square of it, and waves."""
    middle = (borders[1:] + borders[:-1]) / 2
    score = scores_of(middle)
    waves = [2**0.5 * torch.cos(math.pi * k * middle) for k in range(1, N_WAVES + 1)]
    return torch.stack([score, score.square() - 1, *waves], 1)


def _drawn(chance: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """The place [N] int64 that a uniform number [N, 1] falls upon, and how far into it the number lies [N], 0 to 1."""
    reached = chance.cumsum(1)
    reachable = reached[:, -1:]  # not quite 1, and what lies behind it has no chance
    place = count(reached <= uniform * reachable).clamp(max=chance.shape[1] - 1).unsqueeze(1)
    mine = chance.gather(1, place)
    within = 1 - (reached.gather(1, place) - uniform) / mine.clamp(min=1e-9)
    return place.squeeze(1), within.clamp(0, 1).squeeze(1)
