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
SAMPLE = 512  # remembered rows that the blurred likelihood is measured on
COINCIDES = 1e-5  # squared distance, against the row's own squared length plus one, below which two rows are the same
FAR = 1e30  # squared distance of what is no row
MEASURES = ("near", "blurred", "far", "relative")


class Memory(nn.Module):
    """Remembered rows of one view. Build it with `Memory.of`."""

    keys: Tensor  # [width + 1, M] the remembered rows less their mean, times -2, and their squared lengths below
    centre: Tensor  # [width]
    usual: Tensor  # [M] mean distance of each to its neighbours
    floor: Tensor  # [] squared distance added before logarithms
    variance: Tensor  # [] mean squared distance to the mean

    def __init__(self, n_rows: int, width: int) -> None:
        super().__init__()
        self.n_rows = n_rows
        self.n_groups = max(1, min(n_rows, max(NEIGHBOURS + 1, n_rows // GROUP)))
        size = -(-n_rows // self.n_groups) * self.n_groups  # the padding is infinitely far away
        self.register_buffer("keys", torch.cat([torch.zeros(width, size), torch.full((1, size), FAR)]))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("usual", torch.ones(size))
        self.register_buffer("floor", torch.zeros(()))
        self.register_buffer("variance", torch.zeros(()))

    @classmethod
    def of(cls, rows: Tensor) -> Memory:
        """rows: [M, width], at least two."""
        n, width = rows.shape
        memory = cls(n, width).to(rows.device)
        memory.centre.copy_(rows.mean(0))
        centred = rows - memory.centre
        squared = centred.square().sum(1)
        memory.keys[:width, :n] = -2 * centred.T
        memory.keys[width, :n] = squared
        memory.variance.copy_(squared.mean())
        found = [memory.search(chunk) for chunk in torch.split(centred, 1024)]
        nearest = torch.cat([squared for squared, _, _ in found])
        memory.floor.copy_(1e-3 * nearest.mean(1).median() + 1e-9)
        memory.usual[:n] = (nearest + memory.floor).sqrt().mean(1)
        return memory

    def rows(self) -> Tensor:
        """The remembered rows [n_rows, width], less their mean."""
        return self.keys[:-1, : self.n_rows].T / -2

    def forward(self, x: Tensor) -> Tensor:
        """How far rows x [N, width] are, as logarithms of squared distances: [N, 4] as in MEASURES."""
        x = x - self.centre
        length = x.square().sum(1)
        squared, index, offset = self.search(x)
        near = squared.mean(1)
        here = (squared + self.floor).sqrt().mean(1)
        return torch.stack([
            (near + self.floor).log(),
            (self._blurred(length, offset, squared[:, 0]) + self.floor).log(),
            (length + self.variance + self.floor).log(),
            2 * (here.log() - self.usual[index].mean(1).log()),
        ], 1)  # fmt: skip

    def search(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest remembered rows of x [N, width], centred.

        Returns squared distances [N, k], ascending, and indices [N, k], k = NEIGHBOURS or as many as there are; and
        squared distances to all less the squared length of x [N, M]. Exact: no nearest row can be outside the groups
        whose nearest rows are nearest.
        """
        k = min(NEIGHBOURS, self.n_rows - 1)
        length = x.square().sum(1, keepdim=True)
        offset = torch.addmm(self.keys[-1], x, self.keys[:-1])
        grouped = offset.reshape(len(x), -1, self.n_groups)
        nearest_groups = grouped.amin(1).topk(min(k + 1, self.n_groups), 1, largest=False).indices
        first = torch.arange(grouped.shape[1], device=x.device) * self.n_groups
        candidates = (nearest_groups.unsqueeze(2) + first).reshape(len(x), -1)
        nearest, place = offset.gather(1, candidates).topk(k + 1, 1, largest=False)
        squared, index = (nearest + length).clamp(min=0.0), candidates.gather(1, place)
        itself = squared[:, :1] <= COINCIDES * (length + 1)
        return (
            torch.where(itself, squared[:, 1:], squared[:, :-1]),
            torch.where(itself, index[:, 1:], index[:, :-1]),
            offset,
        )

    def _blurred(self, length: Tensor, offset: Tensor, nearest: Tensor) -> Tensor:
        """-2 log of the mean, over remembered rows, of exp(-squared distance / 2): noise of one standard deviation."""
        some = offset[:, : min(SAMPLE, self.n_rows)]
        itself = some.amin(1) + length <= COINCIDES * (length + 1)
        weight = torch.exp(((nearest - length).unsqueeze(1) - some).clamp(max=0.0) / 2).sum(1) - itself.float()
        return (nearest - 2 * ((1 + weight.clamp(min=0.0)) / (some.shape[1] + 1)).log()).clamp(min=0.0)
