"""Differentiable augmentation: the discriminator sees real and generated images changed in the same ways."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Uniform = Callable[..., Tensor]

N_CHANGES = 5  # brightness, contrast, saturation, place, a square cut out
SHIFT = 0.125  # largest translation, as a share of the side
CUTOUT = 0.5  # side of the square that is erased, as a share of the side


def diff_augment(x: Tensor, chance: Tensor, uniform: Uniform, *, flip: bool = False) -> Tensor:
    """Change brightness, contrast (and saturation), translate and cut out; each with the given chance, per image.

    x: [N, C, S, S], about [-1, 1]. chance: [N], 0 to 1. uniform: draws numbers on [0, 1) of a shape. flip: mirror half
    of the images, whatever the chance. Zhao et al. 2020, 'Differentiable Augmentation for Data-Efficient GAN Training';
    chances below one let the generator tell the changes from the images (Karras et al. 2020, 'Training Generative
    Adversarial Networks with Limited Data', section 2.2).
    """
    n = len(x)
    if flip:
        x = torch.where((uniform(n) < 0.5).reshape(-1, 1, 1, 1), x.flip(3), x)
    chosen = uniform(N_CHANGES, n) < chance
    if x.device.type != "cpu":  # which images are touched at all is not waited for
        return _changed(x, chosen, uniform)
    touched = chosen.any(0).nonzero().squeeze(1)
    return x.index_copy(0, touched, _changed(x[touched], chosen[:, touched], uniform)) if len(touched) else x


def _changed(x: Tensor, chosen: Tensor, uniform: Uniform) -> Tensor:
    """chosen: [N_CHANGES, N] bool, which images each change is made of."""

    def amount(low: float, high: float) -> Tensor:
        return (low + (high - low) * uniform(len(x))).reshape(-1, 1, 1, 1)

    brighter, starker, greyer, moved, cut = chosen.reshape(N_CHANGES, -1, 1, 1, 1).unbind(0)
    x = torch.where(brighter, x + amount(-0.5, 0.5), x)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = torch.where(starker, mean + (x - mean) * amount(0.5, 1.5), x)
    if x.shape[1] > 1:
        grey = x.mean(1, keepdim=True)
        x = torch.where(greyer, grey + (x - grey) * amount(0.0, 2.0), x)
    x = _translated(x, moved, uniform)
    return x * ~(cut & _square(x, uniform))


def _translated(x: Tensor, chosen: Tensor, uniform: Uniform) -> Tensor:
    """Whole pixels, with zeros (mid grey) coming in."""
    n, channels, _, side = x.shape
    most = max(1, round(side * SHIFT))
    shift = ((uniform(2, n) * (2 * most + 1)).floor().long() - most) * chosen.reshape(1, n)
    place = torch.arange(side, device=x.device) + most
    padded = F.pad(x, (most, most, most, most))
    rows = (place + shift[0].unsqueeze(1)).reshape(n, 1, side, 1).expand(-1, channels, -1, padded.shape[3])
    columns = (place + shift[1].unsqueeze(1)).reshape(n, 1, 1, side).expand(-1, channels, side, -1)
    return padded.gather(2, rows).gather(3, columns)


def _square(x: Tensor, uniform: Uniform) -> Tensor:
    """[N, 1, S, S] bool, true inside a square whose middle lies anywhere."""
    n, side = len(x), x.shape[3]
    place = torch.arange(side, device=x.device) + 0.5
    middle = uniform(2, n, 1) * side
    inside = (place - middle).abs() < side * CUTOUT / 2
    return (inside[0].unsqueeze(2) & inside[1].unsqueeze(1)).unsqueeze(1)
