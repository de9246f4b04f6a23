"""Nets that make and judge encoded rows: what every GAN for tables shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantools.encode.table import Layout
from gantools.nn.blocks import SegmentedSoftmax

TEMPERATURE = 0.5  # of the Gumbel-softmax in training


class RowHead(nn.Module):
    """The last layer of a generator: features to an encoded row, numbers linear and categories drawn.

    In training the draw is a Gumbel-softmax, which passes gradients; in sampling it is exact and gives one-hot blocks.
    """

    def __init__(self, width: int, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.linear = nn.Linear(width, layout.width)
        self.blocks = SegmentedSoftmax(layout.blocks)

    def forward(self, h: Tensor, uniform: Tensor, *, hard: bool) -> Tensor:
        """h: [N, width] features. uniform: on (0, 1), one number per level, or with `hard` per block.

        Returns encoded rows [N, layout.width] float32.
        """
        out = self.linear(h).float()
        if not self.layout.blocks:
            return out
        scores, logits = out.split([self.layout.n_numeric, self.layout.n_levels], 1)
        levels = self.blocks.draw(logits, uniform) if hard else self.blocks.gumbel(logits, uniform, TEMPERATURE)
        return torch.cat([scores, levels], 1)
