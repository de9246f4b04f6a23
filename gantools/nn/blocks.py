"""Building blocks of the nets. Plain PyTorch operations only, so that every net exports and runs everywhere."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of every leaky ReLU


class ResidualBlock(nn.Module):
    """Two linear layers around a skip connection; the last starts at zero, so that a deep net starts as a shallow one.

    Zhang et al. 2019, 'Fixup Initialization'.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.last = nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.leaky_relu(self.first(F.leaky_relu(x, SLOPE)), SLOPE))


class MLP(nn.Sequential):
    """Linear layers with leaky ReLUs between them, optionally with batch normalisation."""

    def __init__(self, *widths: int, batch_norm: bool = False) -> None:
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(before, after))
            if index < len(widths) - 2:
                layers += [nn.BatchNorm1d(after)] * batch_norm + [nn.LeakyReLU(SLOPE)]
        super().__init__(*layers)


class PerClass(nn.Module):
    """One copy of a net for each class, computed side by side; each row gets the answer of its own class's copy."""

    def __init__(self, copies: list[nn.Module]) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)

    def forward(self, label: Tensor | None, *args: Any, **options: bool) -> Tensor:
        """label: [N], whose copy answers each row; None where there is one copy. args, options: what every copy is
        called with.
        """
        if label is None:
            return self.copies[0](*args, **options)
        answers = torch.stack([net(*args, **options) for net in self.copies], 1)
        mine = F.one_hot(label, len(self.copies)).to(answers.dtype)
        return (answers * mine.reshape(*mine.shape, *[1] * (answers.dim() - 2))).sum(1)


class MinibatchDiscrimination(nn.Module):
    """Appends to each row how close it is to the others of the batch, so that a collapsed generator gives itself away.

    Salimans et al. 2016, 'Improved Techniques for Training GANs', section 3.2.
    """

    def __init__(self, width: int, n_kernels: int = 16, kernel_dim: int = 4) -> None:
        super().__init__()
        self.n_kernels = n_kernels
        self.project = nn.Linear(width, n_kernels * kernel_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.project(x).unflatten(1, (self.n_kernels, -1))
        distance = (kernels.unsqueeze(0) - kernels.unsqueeze(1)).abs().sum(3)  # [N, N, n_kernels]
        closeness = torch.exp(-distance).sum(1) - 1.0
        return torch.cat([x, closeness], 1)


class SegmentedSoftmax(nn.Module):
    """Softmax over each block of a row at once: two matrix products however many blocks there are.

    blocks: the width of each block.
    """

    member: Tensor  # [sum(blocks), n_blocks], 1 where the place belongs to the block
    block: Tensor  # [sum(blocks)], the block of each place
    is_first: Tensor  # [sum(blocks)], whether the place is the first of its block
    is_last: Tensor  # [sum(blocks)], whether it is the last

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        block = torch.repeat_interleave(torch.arange(len(blocks)), torch.tensor(blocks, dtype=torch.int64))
        edge = torch.diff(block, prepend=torch.tensor([-1]), append=torch.tensor([-1])) != 0
        self.register_buffer("block", block, persistent=False)
        self.register_buffer("is_first", edge[:-1], persistent=False)
        self.register_buffer("is_last", edge[1:], persistent=False)
        member = F.one_hot(block, len(blocks)).float() if blocks else torch.zeros(0, 0)
        self.register_buffer("member", member, persistent=False)

    def forward(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """logits: [N, sum(blocks)]. Returns probabilities, summing to one in every block."""
        if torch.is_autocast_enabled(logits.device.type):  # sums in bfloat16 would not come to one
            with torch.autocast(logits.device.type, enabled=False):
                return self.forward(logits, temperature)
        logits = logits.float() / temperature
        weight = torch.exp((logits - logits.detach().amax(1, keepdim=True)).clamp(min=-60.0))
        return weight / ((weight @ self.member) @ self.member.T)

    def gumbel(self, logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """A differentiable draw from each block. Jang et al. 2017, 'Gumbel-Softmax'.

        uniform: on (0, 1), of logits' shape.
        """
        noise = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
        return self(logits.float() + noise, temperature)

    def draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """A hard draw from each block by inverting its cumulative probabilities. uniform: [N, n_blocks] on [0, 1).

        Returns one-hot blocks [N, sum(blocks)], distributed as the softmax says. Every block sums to one, so that the
        running sum over the whole row is, within a block, its number plus its own running sum.
        """
        running = self(logits).cumsum(1) - self.block
        reached = (running > uniform[:, self.block]) | self.is_last
        before = F.pad(reached, (1, 0))[:, :-1] & ~self.is_first
        return (reached & ~before).float()
