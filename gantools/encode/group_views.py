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

RIDGE = 0.02  # added to variances of 1, so that what is decided by other columns has a residual, too
CHUNK_ROWS = 16384


class GroupViews(nn.Module):
    """Raw rows, whose last code is their group, to both views with residuals behind. Build it with `GroupViews.of`."""

    coefficients: Tensor  # [G + 1, n_numeric, width of the standard view], the last of a group that was not learned
    middle: Tensor  # [G + 1, width] means of the standard view

    def __init__(self, views: RowViews, n_groups: int) -> None:
        super().__init__()
        self.views, self.n_groups = views, n_groups
        n, width = views.encoder.layout.n_numeric, views.widths[0]
        self.register_buffer("coefficients", torch.zeros(n_groups + 1, n, width))
        self.register_buffer("middle", torch.zeros(n_groups + 1, width))

    @classmethod
    def of(cls, views: RowViews, standard: Tensor, group: Tensor, n_groups: int) -> Self:
        """standard: [N, width], rows to learn from in the standard view. group: [N], n_groups for none."""
        found = cls(views, n_groups).to(standard.device)
        x, g = standard.double().cpu().numpy(), group.cpu().numpy()
        middle, covariance = shrunk_covariances(x, g, n_groups)
        n = views.encoder.layout.n_numeric
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
        n = self.encoder.layout.n_numeric
        return self.views.widths[0] + n, self.views.widths[1] + n

    def column_of(self) -> tuple[Tensor, Tensor]:
        """As `RowViews.column_of`; a residual is its number's."""
        standard, ranked = self.views.column_of()
        number = torch.arange(self.encoder.layout.n_numeric, device=standard.device)
        return torch.cat([standard, number]), torch.cat([ranked, number])

    def group_of(self, codes: Tensor) -> Tensor:
        """The group of each raw row [N]; n_groups for one that was not learned."""
        group = codes[:, -1]
        return torch.where((group >= 0) & (group < self.n_groups), group, self.n_groups)

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """As `RowViews.forward`."""
        standard, ranked = self.views(numbers, codes)
        residual = self.residual(standard, self.group_of(codes))
        return torch.cat([standard, residual], 1), torch.cat([ranked, residual], 1)

    def residual(self, standard: Tensor, group: Tensor) -> Tensor:
        """[N, n_numeric] of rows in the standard view."""
        away = standard - self.middle.index_select(0, group)
        found = (self.coefficients.index_select(0, group) @ away.unsqueeze(2)).squeeze(2)
        return squashed(found)

    def to_json(self) -> dict[str, Any]:
        """The shape; with its weights the views can be built again."""
        return {**self.views.to_json(), "n_groups": self.n_groups}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Views of that shape, their weights still to be loaded."""
        return cls(RowViews.from_json(document), int(document["n_groups"]))


def shrunk_covariances(x: Floats, group: Counts, n_groups: int) -> tuple[Floats, Floats]:
    """Means [G + 1, W] and covariances [G + 1, W, W] of rows x [N, W] in groups, drawn towards those of all, which the
    last of each is.

    A mean is drawn as far as `n` rows leave it open.
    """
    width = x.shape[1]
    n = np.bincount(group, minlength=n_groups + 1).astype(np.float64)
    total = np.zeros((n_groups + 1, width))
    np.add.at(total, group, x)
    mean = total / np.maximum(n, 1)[:, None]
    of_all = x.mean(0)
    mean[n == 0] = of_all
    order = np.argsort(group, kind="stable")
    ends = n.astype(np.int64).cumsum()
    own = np.zeros((n_groups + 1, width, width))
    for g in np.flatnonzero(n).tolist():
        away = x[order[ends[g] - int(n[g]) : ends[g]]] - mean[g]
        own[g] = away.T @ away
    within = own.sum(0) / max(1.0, float(np.maximum(n - 1, 0).sum()))
    own /= np.maximum(n - 1, 1)[:, None, None]
    variance = np.diagonal(own, axis1=1, axis2=2)
    chance = ((variance[:, :, None] * variance[:, None, :] + own**2).sum((1, 2))) / np.maximum(n - 1, 1)
    apart = ((own - within) ** 2).sum((1, 2))
    share = np.where(n > 1, np.clip(chance / np.maximum(apart, 1e-300), 0, 1), 1.0)
    share[n_groups] = 1.0
    mean[n_groups] = of_all
    return mean, share[:, None, None] * within + (1 - share[:, None, None]) * own
