"""From raw rows to one number: views, memory, detector and what is usual of each measure, as one module.

Every measure is a logarithm of a distance from normal, standardised by its mean and standard deviation over normal rows
that were held out. Measures that answer the same question make a group, and a group's answer is

    remembered  how far from the remembered rows, at three scales in both views: the largest
    relative    how far against what is usual nearby: the mean of both views
    learned     how badly the generator restores the row, at its worst level, and how abnormal the critic finds it:
                the mean of both

The abnormality is the mean of the groups' answers, each standardised again: what two of them see weighs more than what
one sees, but what one sees clearly is enough. The score is its softplus: above zero, about 0.7 for a usual row, and far
out the number of standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.encode.group_views import GroupViews
from gantools.encode.views import RowViews
from gantools.models.base import TableDetector
from gantools.score.groups import usual_in_groups
from gantools.score.row_memory import MEASURES, GroupMemory, RowMemory

N_DISTANCES = MEASURES.index("relative")
TINY = 1e-6
NARROWEST = 0.02  # standard deviation of a logarithm that a handful of rows is believed at least to have
CHUNK_ROWS = 1024  # rows measured at a time: their distances to the memory stay in the cache


@dataclass(frozen=True)
class Measures:
    """remembered: [N, 6]. relative: [N, 2]. learned: [n_folds, N, n_levels (+ 1 with a critic)]."""

    remembered: Tensor
    relative: Tensor
    learned: Tensor


class TableHead(nn.Module):
    """Raw rows to abnormality. Build it and then `calibrate` it on normal rows."""

    usual_error: Tensor  # [n_folds, n_levels, width] mean squared error of held-out normal rows
    remembered_scale: Tensor  # [2, 6] mean and standard deviation of each measure
    relative_scale: Tensor  # [2, 2]
    learned_scale: Tensor  # [2, n_folds, n_learned]
    group_scale: Tensor  # [2, 3]

    def __init__(self, views: RowViews | GroupViews, detector: TableDetector, n_remembered: int) -> None:
        super().__init__()
        self.views, self.detector = views, detector
        self.memories = nn.ModuleList(RowMemory(n_remembered, width) for width in views.widths)
        folds, levels, width = detector.n_folds, detector.n_levels, views.widths[0]
        self.register_buffer("usual_error", torch.ones(folds, levels, width))
        n_learned = levels + (detector.opinion(torch.zeros(1, width, device="cpu")) is not None)
        for name, *shape in (
            ("remembered_scale", 2 * N_DISTANCES),
            ("relative_scale", 2),
            ("learned_scale", folds, n_learned),
            ("group_scale", 3),
        ):
            scale = torch.stack([torch.zeros(*shape), torch.ones(*shape)])
            self.register_buffer(name, scale)

    def remember(self, standard: Tensor, ranked: Tensor) -> None:
        """Fill the memory with normal rows [n_remembered, width] of each view."""
        self.memories = nn.ModuleList([RowMemory.of(standard), RowMemory.of(ranked)])

    def calibrate(
        self, standard: Tensor, ranked: Tensor, fold: Tensor, exclude_self: Tensor, group: Tensor | None = None
    ) -> Tensor:
        """Learn what is usual, from normal rows of both views and the fold [N] that each was held out in.

        exclude_self: [N] bool, which of them are remembered. group: as in `measure`.

        Returns their abnormality [N], by nets that did not see them.
        """
        held_out = torch.stack([fold == k for k in range(self.detector.n_folds)])  # [n_folds, N]
        held_out |= ~held_out.any(1, keepdim=True)  # a fold without rows is judged on all
        total = torch.zeros_like(self.usual_error)
        for x, mine in zip(torch.split(standard, CHUNK_ROWS), torch.split(held_out, CHUNK_ROWS, 1), strict=True):
            total += torch.einsum("flnw,fn->flw", self.detector.errors(x), mine.float())
        self.usual_error.copy_(total / held_out.sum(1).reshape(-1, 1, 1) + TINY)
        given = [standard, ranked, exclude_self, *([] if group is None else [group])]
        parts = zip(*(torch.split(each, CHUNK_ROWS) for each in given), strict=True)
        measures = _joined([self.measure(*part) for part in parts])
        self.remembered_scale.copy_(_scale(measures.remembered))
        self.relative_scale.copy_(_scale(measures.relative))
        for k, mine in enumerate(held_out):
            self.learned_scale[:, k] = _scale(measures.learned[k][mine])
        rows = torch.arange(len(fold), device=fold.device)
        learned = self._learned(measures.learned)[fold, rows]
        groups = self._groups(measures, learned)
        self.group_scale.copy_(_scale(groups))
        return _standardised(groups, self.group_scale).mean(1)

    def measure(
        self, standard: Tensor, ranked: Tensor, exclude_self: Tensor | None = None, group: Tensor | None = None
    ) -> Measures:
        """All measures of rows [N, width] of both views. exclude_self: [N] bool, which of them may be remembered
        ones. group: [N] int64, where rows are in groups."""
        seen = self._seen((standard, ranked), exclude_self, group)
        remembered = torch.cat([x[:, :N_DISTANCES] for x in seen], 1)
        relative = torch.stack([x[:, N_DISTANCES] for x in seen], 1)
        errors = self.detector.errors(standard)  # [folds, levels, N, width]
        learned = ((errors / self.usual_error.unsqueeze(2)).mean(3) + TINY).log().transpose(1, 2)
        opinion = self.detector.opinion(standard)
        if opinion is not None:
            learned = torch.cat([learned, opinion.unsqueeze(2)], 2)
        return Measures(remembered, relative, learned)

    def _seen(
        self, views: tuple[Tensor, Tensor], exclude_self: Tensor | None, group: Tensor | None
    ) -> Sequence[Tensor]:
        """How far rows are from what is remembered, in each view."""
        return [memory(x, exclude_self) for memory, x in zip(self.memories, views, strict=True)]

    def group_of(self, codes: Tensor) -> Tensor | None:
        """The group of each raw row [N]; None where rows are not in groups."""
        return None

    def forward(self, numbers: Tensor, codes: Tensor, exclude_self: Tensor | None = None) -> Tensor:
        """Raw rows, as `RowViews` takes them, to their abnormality [N] float32. exclude_self: as in `measure`."""
        standard, ranked = self.views(numbers, codes)
        return self.abnormality(standard, ranked, exclude_self, self.group_of(codes))

    def abnormality(
        self, standard: Tensor, ranked: Tensor, exclude_self: Tensor | None = None, group: Tensor | None = None
    ) -> Tensor:
        """Rows of both views [N, width] to their abnormality [N]. exclude_self, group: as in `measure`."""
        measures = self.measure(standard, ranked, exclude_self, group)
        groups = self._groups(measures, self._learned(measures.learned).mean(0))
        return _standardised(groups, self.group_scale).mean(1)

    def _learned(self, learned: Tensor) -> Tensor:
        mean, deviation = self.learned_scale[0], self.learned_scale[1]
        return (learned - mean.unsqueeze(1)) / deviation.unsqueeze(1)

    def _groups(self, measures: Measures, learned: Tensor) -> Tensor:
        """learned: [N, n_learned], standardised. Returns [N, 3]."""
        n_levels = self.detector.n_levels
        opinions = torch.stack([learned[:, :n_levels].amax(1), *learned[:, n_levels:].unbind(1)], 1)
        return torch.stack([
            _standardised(measures.remembered, self.remembered_scale).amax(1),
            _standardised(measures.relative, self.relative_scale).mean(1),
            opinions.mean(1),
        ], 1)  # fmt: skip


class GroupedHead(TableHead):
    """The same of rows in groups, which their last code names: what is remembered, and how abnormal rows usually are,
    is each group's own, and the nets are shared. Numbers come in units of all, see `GroupUnits`."""

    abnormality_scale: Tensor  # [2, G + 1] how abnormal rows of each group are, and how far that varies; then of none
    abnormality_of_all: Tensor  # [2]

    def __init__(self, views: GroupViews, detector: TableDetector, n_remembered: int, most: int) -> None:
        """most: remembered rows of a group."""
        super().__init__(views, detector, n_remembered)
        self.n_groups, self.most = views.n_groups, most
        n = self.n_groups + 1
        self.group_memories = nn.ModuleList(GroupMemory(n, most, width) for width in views.widths)
        self.register_buffer("abnormality_scale", torch.stack([torch.zeros(n), torch.ones(n)]))
        self.register_buffer("abnormality_of_all", torch.tensor([0.0, 1.0]))

    def remember_groups(self, standard: Tensor, ranked: Tensor, group: Tensor, place: Tensor) -> None:
        """Fill the memories of groups with normal rows of each view. group, place: as in `GroupMemory.remember`."""
        for memory, rows in zip(self.group_memories, (standard, ranked), strict=True):
            cast(GroupMemory, memory).remember(rows, group, place)

    def group_of(self, codes: Tensor) -> Tensor:
        return cast(GroupViews, self.views).group_of(codes)

    def _seen(
        self, views: tuple[Tensor, Tensor], exclude_self: Tensor | None, group: Tensor | None
    ) -> Sequence[Tensor]:
        return [memory(x, group, exclude_self) for memory, x in zip(self.group_memories, views, strict=True)]

    def calibrate(
        self, standard: Tensor, ranked: Tensor, fold: Tensor, exclude_self: Tensor, group: Tensor | None = None
    ) -> Tensor:
        assert group is not None
        found = super().calibrate(standard, ranked, fold, exclude_self, group)
        as_new = torch.empty_like(found)
        half = torch.arange(len(found), device=found.device) % 2 == 0
        for learned, judged in ((half, ~half), (~half, half)):
            self._learn_usual(found[learned], group[learned])
            as_new[judged] = self._alike(found[judged], group[judged])
        self._learn_usual(found, group)
        return as_new

    def _learn_usual(self, abnormality: Tensor, group: Tensor) -> None:
        scale, of_all = usual_in_groups(abnormality.cpu().numpy(), group.cpu().numpy(), self.n_groups)
        self.abnormality_scale.copy_(torch.from_numpy(scale))
        self.abnormality_of_all.copy_(torch.from_numpy(of_all))

    def abnormality(
        self, standard: Tensor, ranked: Tensor, exclude_self: Tensor | None = None, group: Tensor | None = None
    ) -> Tensor:
        assert group is not None
        return self._alike(super().abnormality(standard, ranked, exclude_self, group), group)

    def _alike(self, abnormality: Tensor, group: Tensor) -> Tensor:
        """Abnormalities [N] that mean the same in every group."""
        centre, spread = self.abnormality_scale.index_select(1, group).unbind()
        middle, width = self.abnormality_of_all.unbind()
        return (abnormality - centre) / spread * width + middle


def score_of(abnormality: Tensor) -> Tensor:
    """The anomaly score, above 0, of an abnormality; float64, so that no two that differ become one."""
    x = abnormality.double()
    if torch.compiler.is_exporting():  # onnxruntime's softplus knows no float64
        return x.clamp(min=0.0) + torch.log(1 + torch.exp(-x.abs()))
    return F.softplus(x)


def _joined(parts: Sequence[Measures]) -> Measures:
    return Measures(
        torch.cat([part.remembered for part in parts]),
        torch.cat([part.relative for part in parts]),
        torch.cat([part.learned for part in parts], 1),
    )


def _scale(x: Tensor) -> Tensor:
    """Mean and standard deviation of each column of x [N, C]: [2, C]."""
    return torch.stack([x.mean(0), x.std(0, correction=0).clamp(min=NARROWEST)])


def _standardised(x: Tensor, scale: Tensor) -> Tensor:
    return (x - scale[0]) / scale[1]
