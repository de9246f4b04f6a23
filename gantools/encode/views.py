"""Two views of a row in which distances mean something, for telling what does not belong.

*Standard*: numbers in standard deviations from the mean, so that a far value is far. Beyond REACH deviations distance
grows with the logarithm, so that one wild cell does not drown all others; wild cells of the training rows count for
neither mean nor standard deviation. *Ranked*: numbers by where they stand among the training values, as `TableEncoder`
scores them, so that a crowded range is as wide as an empty one; values outside what was seen go on growing with the
logarithm. Each view is blind where the other sees.

Categories are one-hot blocks in both. In the standard view levels are weighed by how rare they are and a block has mean
0 and variance 1 like a number (the chi-square metric of multiple correspondence analysis; Greenacre 2017, chapter 18);
in the ranked view any two levels are equally far apart. A level never seen is further from each level than they are
from each other, in the standard view as far as a level so rare that it was to be expected not to be seen (after Good
1953: as rare as all levels together that were seen once).
Time goes on, so of dates, or seconds since 1970, that run on (in order with the rows, or as many at their end as
elsewhere) one that is later than all that were learned tells nothing: it counts as the same weekday and hour of the
last week learned.
A missing cell in a column that had some is a level of its own; where there was none it counts as a value below all
seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gantools.data.tables.raw import Raw
from gantools.encode.table import TableEncoder

REACH = 5.0  # standard deviations up to which distance is linear
UNHEARD = 5.0  # what a value counts in a column that had one value only, in standard deviations
ABSENT = 2.0  # what a missing cell counts in the standard view, beside standing at the mean
WILD_ROWS = 20  # known cells of a column, below which none of them is called wild
WILD_SHARE = 0.01  # of the known cells are wild at most
WILD_TIMES, WILD_SPREAD = 10, 3  # so many times as far away as the others, and as much standard deviation with them
WILD_DIFFER = 0.9  # a tenth of the cells must differ from the median, or there is no scale to be far on
WEEK, DAY = 7 * 86_400, 86_400  # in seconds
IN_ORDER = 0.9  # rank correlation, or share of neighbours in order, from which dates go with their rows
CENTURY = (946_684_800, 4_102_444_800)  # its first second since 1970, and that of the next
AT_THE_END = 0.5  # share of the dates to expect in the last tenth of their range, from which they do not peter out
FLOAT32_MAX, FLOAT64_MAX = (torch.finfo(dtype).max for dtype in (torch.float32, torch.float64))
FURTHEST = 1e300  # deviations at most: what is computed with them stays finite
RAREST = 1e-3  # share below which a level counts as if it had this share


class RowViews(nn.Module):
    """Raw rows to the two views. Build it with `RowViews.fit`."""

    mean: Tensor  # [n_numeric] float64
    spread: Tensor  # [n_numeric] float64 standard deviation, 0 where there is one value only
    has_missing: Tensor  # [n_numeric] bool
    lacking: Tensor  # [n_lacking] int64, the columns that have missing cells
    level_share: Tensor  # [n_levels] float32, share of each place of the one-hot blocks
    unseen_share: Tensor  # [n_blocks] float32, share of rows that may be expected to have a level never seen
    of_dates: Tensor  # [n_numeric] bool, which columns are dates that run on
    week_and_day: Tensor  # [2, n_numeric] float64, in the units of each of these columns
    block_of: Tensor  # [n_levels] int64, the block of each place
    block_size: Tensor  # [n_levels] float32, and how many places it has

    def __init__(self, encoder: TableEncoder, n_lacking: int, runs_on: Mapping[int, float] | None = None) -> None:
        """n_lacking: numeric columns that have missing cells. runs_on: numeric columns of dates that run on, and how
        many of its units are a second."""
        super().__init__()
        self.encoder = encoder
        c = encoder.layout.n_numeric
        for name in ("mean", "spread"):
            self.register_buffer(name, torch.zeros(c, dtype=torch.float64))
        self.runs_on = dict(runs_on or {})
        per_second = torch.tensor([self.runs_on.get(j, 0.0) for j in range(c)], dtype=torch.float64)
        self.register_buffer("of_dates", per_second > 0, persistent=False)
        self.register_buffer("week_and_day", torch.stack([WEEK * per_second, DAY * per_second]), persistent=False)
        self.register_buffer("has_missing", torch.zeros(c, dtype=torch.bool))
        self.register_buffer("lacking", torch.zeros(n_lacking, dtype=torch.int64))
        self.register_buffer("level_share", torch.zeros(encoder.layout.n_levels))
        blocks = encoder.layout.blocks
        self.register_buffer("unseen_share", torch.zeros(len(blocks)))
        size = torch.tensor(blocks, dtype=torch.int64)
        block_of = torch.repeat_interleave(torch.arange(len(blocks)), size)
        self.register_buffer("block_of", block_of, persistent=False)
        self.register_buffer("block_size", size[block_of].float(), persistent=False)

    @classmethod
    def fit(cls, encoder: TableEncoder, raw: Raw, per_second: Sequence[float] = ()) -> RowViews:
        """encoder: fitted on rows like these. raw: the training rows. per_second: of each numeric column how many of
        its units are a second, 0 where it is no time; nothing where none is."""
        numbers = torch.from_numpy(np.array(raw.numbers))
        known = ~torch.isnan(numbers)
        lacking = torch.nonzero(~known.all(0)).squeeze(1)
        running = {j: unit for j, unit in enumerate(per_second) if unit and runs_on(raw.numbers[:, j])}
        views = cls(encoder, len(lacking), running)
        views.lacking.copy_(lacking)
        count = known.sum(0).clamp(min=1)
        views.mean.copy_(torch.where(known, numbers, 0.0).sum(0) / count)
        deviation = torch.where(known, numbers - views.mean, 0.0)
        largest = deviation.abs().amax(0).clamp(min=torch.finfo(torch.float64).tiny)  # squares of 1e200 overflow
        views.spread.copy_(largest * ((deviation / largest).square().sum(0) / count).sqrt())
        for j in range(numbers.shape[1]):
            if (wild := wild_cells(raw.numbers[:, j])).any():
                rest = raw.numbers[known[:, j].numpy() & ~wild, j]
                views.mean[j], views.spread[j] = float(rest.mean()), float(rest.std())
        views.spread[encoder.low == encoder.high] = 0.0
        views.has_missing.copy_(~known.all(0))
        if encoder.layout.blocks:
            place = encoder.positions(torch.from_numpy(np.array(raw.codes))) - encoder.layout.n_numeric
            seen = torch.bincount(place[place >= 0].reshape(-1), minlength=encoder.layout.n_levels)
            views.level_share.copy_(seen / max(1, len(raw)))
            once = torch.zeros(len(encoder.layout.blocks)).index_add_(0, views.block_of, (seen == 1).float())
            views.unseen_share.copy_((once + 1) / (len(raw) + 1))
        return views

    @property
    def widths(self) -> tuple[int, int]:
        """Of the standard and of the ranked view."""
        return self.encoder.layout.width + len(self.lacking), self.encoder.layout.width

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """numbers: [N, n_numeric] float64, codes: [N, n_blocks] int64; further codes, which say what group a row is
        in, are not looked at. Returns (standard, ranked), float32."""
        codes = codes[:, : len(self.encoder.layout.blocks)]
        if self.runs_on:
            numbers = self._recent(numbers)
        encoded = self.encoder(numbers, codes)
        levels = encoded[:, self.encoder.layout.n_numeric :]
        unseen = (self.encoder.positions(codes) < 0)[:, self.block_of].float()
        missing = torch.isnan(numbers)
        low, high = self.encoder.low, self.encoder.high
        value = torch.where(missing, torch.where(self.has_missing, self.mean, low), numbers)
        # float32 is what an exported file may be given: beyond it all is equally far where nothing learned is
        limit, no_limit = (torch.full_like(low, most) for most in (FLOAT32_MAX, FLOAT64_MAX))
        most = torch.where(torch.maximum(low.abs(), high.abs()) > FLOAT32_MAX, no_limit, limit)
        value = torch.minimum(torch.maximum(value, -most), most)
        unexpected = (missing & ~self.has_missing).double()
        scale = torch.where(self.spread > 0, self.spread, 1.0)

        def deviations(x: Tensor) -> Tensor:
            return torch.where(self.spread > 0, (x / scale).clamp(-FURTHEST, FURTHEST), UNHEARD * torch.sign(x))

        absent = missing[:, self.lacking].float() * ABSENT
        standard = torch.cat([
            squashed(deviations(value - self.mean) - REACH * unexpected).float(),
            absent,
            self._by_rarity(levels, unseen),
        ], 1)  # fmt: skip
        beyond = deviations((value - high).clamp(min=0.0)) - deviations((low - value).clamp(min=0.0))
        beyond = beyond - REACH * unexpected
        scores = encoded[:, : self.encoder.layout.n_numeric] + (torch.sign(beyond) * torch.log1p(beyond.abs())).float()
        return standard, torch.cat([scores, levels - unseen * (math.log1p(UNHEARD) / self.block_size.sqrt())], 1)

    def _recent(self, numbers: Tensor) -> Tensor:
        """The numbers, with dates that lie after the last one learned moved back by whole weeks until they do not; by
        days or by all that was learned where that is no week."""
        low, high = self.encoder.low, self.encoder.high
        learned = high - low
        week, day = self.week_and_day  # numbers would be rounded to float32
        step = torch.where(learned >= week, week, torch.where(learned >= day, day, learned.clamp(min=1.0)))
        steps = torch.ceil((numbers - high) / step)
        return torch.where(self.of_dates & (numbers > high), (numbers - steps * step).maximum(low), numbers)

    def _by_rarity(self, levels: Tensor, unseen: Tensor) -> Tensor:
        share = self.level_share.clamp(RAREST, 1 - RAREST)
        rarest = self.unseen_share.clamp(RAREST, 0.5)[self.block_of]
        centred = (levels - self.level_share) / (share * (1 - share) * self.block_size).sqrt()
        return centred - unseen / ((rarest * (1 - rarest)).sqrt() * self.block_size)

    def column_of(self) -> tuple[Tensor, Tensor]:
        """Per place of the standard and of the ranked view, its column: numbers first, then the blocks. [width] each"""
        number = torch.arange(self.encoder.layout.n_numeric, device=self.lacking.device)
        level = len(number) + self.block_of
        return torch.cat([number, self.lacking, level]), torch.cat([number, level])

    def to_json(self) -> dict[str, Any]:
        """The shape; with its weights the views can be built again."""
        return {
            **self.encoder.to_json(),
            "n_lacking": len(self.lacking),
            "runs_on": {str(j): unit for j, unit in self.runs_on.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RowViews:
        """Views of that shape, their weights still to be loaded."""
        runs_on = {int(j): float(unit) for j, unit in (document.get("runs_on") or {}).items()}
        return cls(TableEncoder.from_json(document), int(document["n_lacking"]), runs_on)


def wild_cells(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values of a column are so far from all others that mean and standard deviation are theirs alone: [N].

    values: [N], NaN where missing. They are few, ten times as far from the median as any other value is, and without
    them the standard deviation is a third at most.
    """
    known = np.flatnonzero(~np.isnan(values))
    wild = np.zeros(len(values), dtype=bool)
    few = max(1, int(WILD_SHARE * len(known)))
    if len(known) < WILD_ROWS:
        return wild
    with np.errstate(over="ignore", invalid="ignore"):
        away = np.abs(values[known] - np.median(values[known]))
        order = np.argsort(away, kind="stable")
        last = away[order[-few - 1 :]]
        far = np.flatnonzero((last[1:] >= WILD_TIMES * last[:-1]) & (last[:-1] > 0))
        if not len(far) or not np.quantile(away, WILD_DIFFER) > 0:
            return wild
        others, found = np.split(order, [len(order) - few + far[0]])
        largest = away.max()
        if np.std(away[others] / largest) * WILD_SPREAD > np.std(values[known] / largest):
            return wild
    wild[known[found]] = True
    return wild


def units_since_1970(numbers: npt.NDArray[np.float64]) -> float:
    """How many units a second has where numbers [N], NaN where missing, are moments of this century as computers count
    them: seconds since 1970, or thousandths or millionths of them; 0 where they are not. (Billionths are too long for a
    number, and are categories.)"""
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return 0.0
    units = (u for u in (1.0, 1e3, 1e6) if CENTURY[0] * u <= known.min() and known.max() < CENTURY[1] * u)
    return next(units, 0.0)


def runs_on(dates: npt.NDArray[np.float64]) -> bool:
    """Whether dates [N], NaN where missing, in the order of their rows, go on after the last: they rise or fall with
    the rows, all together or within runs of them, or they are as many at their end as elsewhere."""
    known = dates[~np.isnan(dates)]
    if len(known) < 3 or known.min() == known.max():
        return False
    steps = np.diff(known)
    in_order = max((steps >= 0).mean(), (steps <= 0).mean())
    ranks = np.argsort(np.argsort(known, kind="stable"))
    with_rows = abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
    at_the_end = (known > known.max() - (known.max() - known.min()) / 10).mean() * 10
    return bool(max(in_order, with_rows) >= IN_ORDER or at_the_end >= AT_THE_END)


def squashed(x: Tensor) -> Tensor:
    """Linear up to REACH, then logarithmic, smoothly."""
    return torch.sign(x) * torch.where(x.abs() > REACH, REACH + torch.log1p((x.abs() - REACH).clamp(min=0.0)), x.abs())
