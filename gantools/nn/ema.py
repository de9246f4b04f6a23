"""Exponential moving averages of weights, which samples are drawn from."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, averaged: Iterable[str], decay: float, step: int) -> None:
    """Move `average` towards `current`: its nets named in `averaged` slowly, everything else at once.

    The decay grows from nothing in the first steps, so that the average forgets the initial weights. step: from 0.
    Polyak averaging as in Karras et al. 2018, 'Progressive Growing of GANs', section 2.
    """
    decay = min(decay, (step + 1) / (step + 10))
    slow = tuple(f"{name}." for name in averaged)
    source = dict(current.named_parameters())
    pairs = [(p, source[name]) for name, p in average.named_parameters() if name.startswith(slow)]
    if pairs:
        torch._foreach_lerp_([a for a, _ in pairs], [c for _, c in pairs], 1.0 - decay)
    moved = {id(a) for a, _ in pairs}
    rest = [(p, source[name]) for name, p in average.named_parameters() if id(p) not in moved]
    for target, value in rest:
        target.copy_(value)
    buffers = dict(current.named_buffers())
    for name, buffer in average.named_buffers():
        buffer.copy_(buffers[name])
