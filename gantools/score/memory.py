"""A memory of normal rows, and how far a row is from what is remembered.

Restoring a row from a memory is what a denoiser that had learned its training rows by heart would do: at a noise level
it gives back the mean of the remembered rows, weighed by how likely each was to become this row. How far the row is
from what is restored is then, at a low level, the distance to the nearest rows; at a high one, to the mean of all; and
the likelihood of the row under the memory, blurred by the noise, stands between. All three are measured, because what
is odd at one scale may be plain at another. A fourth divides the distance by the one that is usual where the row is,
as Breunig et al. 2000, 'LOF', do.

A row that is itself remembered is measured against the others: one remembered row that coincides with it is taken for
itself. Training rows can so be scored like any other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEIGHBOURS = 5
GROUP = 32  # remembered rows per group in the search: nearest groups first, then nearest rows in them
SAMPLE = 1024  # remembered rows that the blurred likelihood is measured on
COINCIDES = 1e-5  # squared distance, against the row's own squared length plus one, below which two rows are the same
MEASURES = ("near", "blurred", "far", "relative")


class Memory(nn.Module):
    """Remembered rows of one view. Build it with `Memory.of`."""

    rows: Tensor  # [M, width], less their mean; M is a multiple of the number of groups
    squared: Tensor  # [M] squared lengths; infinite for the padding
    centre: Tensor  # [width]
    usual: Tensor  # [M] mean distance of each to its neighbours
    floor: Tensor  # [] squared distance added before logarithms
    variance: Tensor  # [] mean squared distance to the mean

    def __init__(self, n_rows: int, width: int) -> None:
        super().__init__()
        self.n_rows = n_rows
        self.n_groups = max(1, min(n_rows, max(NEIGHBOURS + 1, n_rows // GROUP)))
        size = -(-n_rows // self.n_groups) * self.n_groups
        self.register_buffer("rows", torch.zeros(size, width))
        self.register_buffer("squared", torch.full((size,), torch.inf))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("usual", torch.ones(size))
        self.register_buffer("floor", torch.zeros(()))
        self.register_buffer("variance", torch.zeros(()))

    @classmethod
    def of(cls, rows: Tensor) -> Memory:
        """rows: [M, width], at least two."""
        memory = cls(*rows.shape)
        memory.centre.copy_(rows.mean(0))
        centred = rows - memory.centre
        n = len(rows)
        memory.rows[:n] = centred
        memory.squared[:n] = centred.square().sum(1)
        memory.variance.copy_(memory.squared[:n].mean())
        squared = torch.cat([memory.search(chunk)[0] for chunk in centred.split(1024)])
        mean = squared.mean(1)
        memory.floor.copy_(1e-3 * mean.median() + 1e-9)
        memory.usual[:n] = (squared + memory.floor).sqrt().mean(1)
        return memory

    def forward(self, x: Tensor) -> Tensor:
        """How far rows x [N, width] are, as logarithms of squared distances: [N, 4] as in MEASURES."""
        x = x - self.centre
        squared, index, distance = self.search(x)
        usual = self.usual[index]
        near = squared.mean(1)
        far = x.square().sum(1) + self.variance
        here = (squared + self.floor).sqrt().mean(1)
        relative = 2 * (here.log() - usual.mean(1).log())
        return torch.stack([
            (near + self.floor).log(),
            (self._blurred(x, distance, squared[:, 0]) + self.floor).log(),
            (far + self.floor).log(),
            relative,
        ], 1)  # fmt: skip

    def search(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest remembered rows of x [N, width], centred.

        Returns squared distances [N, k], ascending, and indices [N, k], k = NEIGHBOURS or as many as there are; and
        squared distances [N, M] to all. Exact: no nearest row can be outside the groups whose nearest rows are nearest.
        """
        k = min(NEIGHBOURS, self.n_rows - 1)
        own = x.square().sum(1, keepdim=True)
        distance = torch.addmm(self.squared + own, x, self.rows.T, alpha=-2.0).clamp(min=0.0)
        grouped = distance.reshape(len(x), -1, self.n_groups)
        nearest_groups = grouped.amin(1).topk(min(k + 1, self.n_groups), 1, largest=False).indices
        offset = torch.arange(grouped.shape[1], device=x.device) * self.n_groups
        candidates = (nearest_groups.unsqueeze(2) + offset).reshape(len(x), -1)
        squared, place = distance.gather(1, candidates).topk(k + 1, 1, largest=False)
        index = candidates.gather(1, place)
        itself = squared[:, :1] <= COINCIDES * (own + 1)
        return (
            torch.where(itself, squared[:, 1:], squared[:, :-1]),
            torch.where(itself, index[:, 1:], index[:, :-1]),
            distance,
        )

    def _blurred(self, x: Tensor, distance: Tensor, nearest: Tensor) -> Tensor:
        """-2 log of the mean, over remembered rows, of exp(-squared distance / 2): noise of one standard deviation."""
        some = distance[:, : min(SAMPLE, self.n_rows)]
        itself = some.amin(1) <= COINCIDES * (x.square().sum(1) + 1)
        weight = torch.exp((nearest.unsqueeze(1) - some).clamp(max=0.0) / 2).sum(1) - itself.float()
        return (nearest - 2 * ((1 + weight.clamp(min=0.0)) / (some.shape[1] + 1)).log()).clamp(min=0.0)
