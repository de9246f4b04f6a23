"""Ways of telling a net which class it is to make or to judge."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, cat, nn


def with_label(x: Tensor, label: Tensor, n_classes: int) -> Tensor:
    """The label as a one-hot vector beside the input.

    x: [N, width]. label: [N]. Returns [N, width + n_classes]. Mirza and Osindero 2014, 'Conditional Generative
    Adversarial Nets'.
    """
    return cat([x, F.one_hot(label, n_classes).to(x.dtype)], 1)


class Projection(nn.Module):
    """A discriminator's last layer: how real the features are, plus how well they suit the class.

    Miyato and Koyama 2018, 'cGANs with Projection Discriminator'. The class part starts at zero.
    """

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.real = nn.Linear(width, 1)
        self.suits = nn.Embedding(n_classes, width)
        nn.init.zeros_(self.suits.weight)

    def forward(self, h: Tensor, label: Tensor) -> Tensor:
        """h: [N, width] features. Returns logits [N]."""
        return self.real(h).squeeze(1) + (h * self.suits(label)).sum(1) / math.sqrt(h.shape[1])
