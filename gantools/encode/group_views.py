"""Views of rows in groups: beside each row what its numbers are against the rest of it, as its group has them go
together.

Groups may differ in how their columns go together, which one set of nets cannot know. So each number is also given as
its distance from what the other columns let expect in the group, in standard deviations of such distances: the residual
of the group's own linear regression. The covariance it comes from is drawn towards that of all groups, by as much as
chance alone would have it differ (Schäfer and Strimmer 2005).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gantools.encode.views import RowViews, squashed

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ALIKE = 0.8  # of how much groups differ is by chance, from which they are taken for alike
RIDGE = 0.02  # added to variances of 1, so that what is decided by other columns has a residual, too


class GroupViews(nn.Module):
    """Raw rows, whose last code is their group, to both views with residuals behind. Build it with `GroupViews.of`."""

    coefficients: Tensor  # [G + 1, n_residuals, width of the standard view], the last of a group that was not learned
    middle: Tensor  # [G + 1, width] means of the standard view

    def __init__(self, views: RowViews, n_groups: int, n_residuals: int) -> None:
        """n_residuals: one for each number; 0 where columns go together alike in all groups."""
        super().__init__()
        self.views, self.n_groups, self.n_residuals = views, n_groups, n_residuals
        width = views.widths[0]
        self.register_buffer("coefficients", torch.zeros(n_groups + 1, n_residuals, width))
        self.register_buffer("middle", torch.zeros(n_groups + 1, width))

    @classmethod
    def of(
        cls, views: RowViews, standard: Tensor, group: Tensor, n_groups: int, with_residuals: bool | None = None
    ) -> Self:
        """standard: [N, width], rows to learn from in the standard view. group: [N], n_groups for none. with_residuals:
        None has them where groups differ in how columns go together."""
        if with_residuals is False:
            return cls(views, n_groups, 0).to(standard.device)
        x, g = standard.double().cpu().numpy(), group.cpu().numpy()
        n = views.encoder.layout.n_numeric
        middle, covariance, by_chance = shrunk_covariances(x, g, n_groups, n)
        if with_residuals is None and by_chance >= ALIKE:
            return cls(views, n_groups, 0).to(standard.device)
        found = cls(views, n_groups, n).to(standard.device)
        precision = np.linalg.inv(covariance + RIDGE * np.eye(x.shape[1]))[:, :n]
        own = np.diagonal(precision, axis1=1, axis2=2)  # [G + 1, n]
        found.coefficients.copy_(torch.from_numpy(precision / np.sqrt(own)[:, :, None]))
        found.middle.copy_(torch.from_numpy(middle))
        return found

    @property
    def encoder(self) -> Any:
        return self.views.encoder

    @property
    def mean(self) -> Tensor:
        return self.views.mean

    @property
    def runs_on(self) -> Any:
        return self.views.runs_on

    @property
    def widths(self) -> tuple[int, int]:
        """Of the standard and of the ranked view."""
        return self.views.widths[0] + self.n_residuals, self.views.widths[1] + self.n_residuals

    def column_of(self) -> tuple[Tensor, Tensor]:
        """As `RowViews.column_of`; a residual is its number's."""
        standard, ranked = self.views.column_of()
        number = torch.arange(self.n_residuals, device=standard.device)
        return torch.cat([standard, number]), torch.cat([ranked, number])

    def group_of(self, codes: Tensor) -> Tensor:
        """The group of each raw row [N]; n_groups for one that was not learned."""
        group = codes[:, -1]
        return torch.where((group >= 0) & (group < self.n_groups), group, self.n_groups)

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """As `RowViews.forward`."""
        standard, ranked = self.views(numbers, codes)
        if not self.n_residuals:
            return standard, ranked
        residual = self.residual(standard, self.group_of(codes))
        return torch.cat([standard, residual], 1), torch.cat([ranked, residual], 1)

    def residual(self, standard: Tensor, group: Tensor) -> Tensor:
        """[N, n_residuals] of rows in the standard view."""
        away = standard - self.middle.index_select(0, group)
        found = (self.coefficients.index_select(0, group) @ away.unsqueeze(2)).squeeze(2)
        return squashed(found)

    def to_json(self) -> dict[str, Any]:
        """The shape; with its weights the views can be built again."""
        return {**self.views.to_json(), "n_groups": self.n_groups, "n_residuals": self.n_residuals}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Views of that shape, their weights still to be loaded."""
        return cls(RowViews.from_json(document), int(document["n_groups"]), int(document["n_residuals"]))


def shrunk_covariances(x: Floats, group: Counts, n_groups: int, n_numeric: int) -> tuple[Floats, Floats, float]:
    """Means [G + 1, W], and covariances [G + 1, W, W] of rows x [N, W] in groups, drawn towards that of all, which the
    last is; and how much of what the first n_numeric columns differ by is chance: about 1 for all of it."""
    width = x.shape[1]
    n = np.bincount(group, minlength=n_groups + 1).astype(np.float64)
    total = np.zeros((n_groups + 1, width))
    np.add.at(total, group, x)
    mean = total / np.maximum(n, 1)[:, None]
    of_all = x.mean(0)
    mean[n == 0] = of_all
    order = np.argsort(group, kind="stable")
    ends = n.astype(np.int64).cumsum()
    own, halves = (np.zeros((*shape, n_groups + 1, width, width)) for shape in ((), (2,)))
    for g in np.flatnonzero(n).tolist():
        away = x[order[ends[g] - int(n[g]) : ends[g]]] - mean[g]
        own[g] = away.T @ away
        for k in range(2):
            halves[k, g] = away[k::2].T @ away[k::2] / max(1, len(away[k::2]))
    within = own.sum(0) / max(1.0, float(np.maximum(n - 1, 0).sum()))
    own /= np.maximum(n - 1, 1)[:, None, None]
    variance = np.diagonal(own, axis1=1, axis2=2)
    chance = (variance[:, :, None] * variance[:, None, :] + own**2) / np.maximum(n - 1, 1)[:, None, None]
    apart = (own - within) ** 2
    share = np.where(n > 1, np.clip(chance.sum((1, 2)) / np.maximum(apart.sum((1, 2)), 1e-300), 0, 1), 1.0)
    share[n_groups] = 1.0
    mean[n_groups] = of_all
    # two halves of a group differ by chance alone, four times as much, squared, as the whole does from what is true
    by_luck = (halves[0] - halves[1]) ** 2 / 4
    differ, of_it = (float(each[n > 3, :n_numeric, :n_numeric].sum()) for each in (apart, by_luck))
    by_chance = of_it / differ if differ > 0 else 1.0
    return mean, share[:, None, None] * within + (1 - share[:, None, None]) * own, by_chance
