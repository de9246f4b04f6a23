"""What one would use without a net: the methods that a translator has to beat.

Pictures are [H, W, C] uint8.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import csc_matrix, csr_matrix, diags, identity, kron
from scipy.sparse.linalg import splu

from gantools.data.images.source import Bytes, Mask
from gantools.evaluate.restoration import psnr
from gantools.nn.degradations import Degradations

Floats = npt.NDArray[np.float64]

STEPS = 60  # of total variation
WEIGHTS = (2.0, 4.0, 7.0, 11.0, 16.0, 23.0, 32.0, 45.0, 64.0)  # of total variation, in grey levels
TUNED_ON = 8  # pictures that the weight is chosen on, and pixels of each side of them
TUNED_SIDE = 256


@dataclass(frozen=True)
class Plain:
    """A plain method. name: in sentences. make: from a picture, and a mask where there are holes, to another."""

    name: str
    make: Callable[[Bytes, Mask | None], Bytes]


def plain_method(
    degradations: Degradations | None,
    channels: int,
    scale: int,
    examples: Iterable[tuple[Bytes, Bytes]],
    seconds: float | None = None,
) -> Plain:
    """What to compare with.

    degradations: what the pictures underwent, None for pairs. channels: of the target. scale: how many times as large
    it is. examples: some pictures and their truths that were learned from; they tune what has to be tuned, in so many
    seconds where that is limited.
    """
    names = [] if degradations is None else degradations.names
    if scale > 1:
        return Plain("bicubic", lambda pixels, _: bicubic(in_channels(pixels, channels), scale))
    if "holes" in names:
        return Plain("biharmonic filling", lambda pixels, mask: pixels if mask is None else biharmonic(pixels, mask))
    if "grey" in names:
        return Plain("the grey picture", lambda pixels, _: in_channels(pixels, channels))
    if "noise" in names:
        denoise = fitted_total_variation(examples, seconds)
        return Plain("total variation", lambda pixels, _: denoise(pixels))
    return Plain("the picture as it is", lambda pixels, _: in_channels(pixels, channels))


def in_channels(pixels: Bytes, channels: int) -> Bytes:
    """The picture with so many channels: grey from colours by their mean, colours from grey by repeating it."""
    if pixels.shape[2] == channels:
        return pixels
    grey = pixels[..., :3].mean(2, keepdims=True).round().astype(np.uint8)
    return np.repeat(grey, channels, 2)


def bicubic(pixels: Bytes, scale: int) -> Bytes:
    """The picture `scale` times as large."""
    size = pixels.shape[1] * scale, pixels.shape[0] * scale
    parts = [Image.fromarray(pixels[:, :, k]).resize(size, Image.Resampling.BICUBIC) for k in range(pixels.shape[2])]
    return np.stack([np.asarray(part) for part in parts], 2)


def total_variation(pixels: Bytes, weight: float) -> Bytes:
    """The smoothest picture that is not far from this one. weight: how much smoothness counts, in grey levels.

    Chambolle 2004, 'An Algorithm for Total Variation Minimization and Applications'; each channel by itself.
    """
    x = pixels.astype(np.float64)
    dual = np.zeros((2, *x.shape))
    for _ in range(STEPS):
        slope = _slope(_divergence(dual) - x / weight)
        size = np.sqrt(np.square(slope).sum(0, keepdims=True))
        dual = (dual + 0.25 * slope) / (1 + 0.25 * size)
    return _bytes(x - weight * _divergence(dual))


def fitted_total_variation(
    examples: Iterable[tuple[Bytes, Bytes]], seconds: float | None = None
) -> Callable[[Bytes], Bytes]:
    """Total variation with the weight that is best by PSNR on these pictures and their truths.

    seconds: that finding it may take, about; None to look at `TUNED_ON` pictures. One is looked at in any case.
    """
    began, gains = time.monotonic(), np.zeros(len(WEIGHTS))
    for n, pair in enumerate(islice(examples, TUNED_ON), 1):
        noisy, truth = (one[:TUNED_SIDE, :TUNED_SIDE] for one in pair)
        gains += [psnr(total_variation(noisy, weight), truth) for weight in WEIGHTS]
        if seconds is not None and (time.monotonic() - began) * (n + 1) / n > seconds:
            break
    best = WEIGHTS[int(gains.argmax())]
    return lambda pixels: total_variation(pixels, best)


def biharmonic(pixels: Bytes, mask: Mask) -> Bytes:
    """The picture with its holes filled as smoothly as possible: the sum of squared Laplacians is least.

    mask: [H, W], true in holes. Damelin and Hoang 2018, 'On Surface Completion and Image Inpainting by Biharmonic
    Functions'.
    """
    if not mask.any() or mask.all():
        return pixels
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = tuple(slice(max(0, at[0] - 2), at[-1] + 3) for at in (rows, columns))
    hole = mask[box].ravel()
    height, width = mask[box].shape
    bend = (kron(_second(height), identity(width)) + kron(identity(height), _second(width))).tocsr()
    inside, outside = bend[:, hole], bend[:, ~hole]
    system = csc_matrix(inside.T @ inside + 1e-9 * identity(int(hole.sum())))
    # symmetric and positive: the order of minimum degree keeps the factors small, and no pivots are needed
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    made = pixels.astype(np.float64)
    part = made[box].reshape(-1, pixels.shape[2]).copy()
    part[hole] = factors.solve(-inside.T @ (outside @ part[~hole]))
    made[box] = part.reshape(height, width, -1)
    return _bytes(np.where(mask[:, :, None], made, pixels))


def _second(n: int) -> csr_matrix:
    """Second differences of n places, the first and last of which have one neighbour."""
    middle = np.full(n, -2.0)
    middle[[0, -1]] = -1.0 if n > 1 else 0.0
    return csr_matrix(diags([np.ones(n - 1), middle, np.ones(n - 1)], [-1, 0, 1]))


def _slope(x: Floats) -> Floats:
    """Differences to the next pixel below and to the right: [2, *x.shape], 0 at the last one."""
    down, across = np.zeros_like(x), np.zeros_like(x)
    down[:-1], across[:, :-1] = np.diff(x, axis=0), np.diff(x, axis=1)
    return np.stack([down, across])


def _divergence(dual: Floats) -> Floats:
    """Minus the adjoint of `_slope`: [H, W, C]."""
    found: Floats = np.zeros_like(dual[0])
    found[:-1] += dual[0, :-1]
    found[1:] -= dual[0, :-1]
    found[:, :-1] += dual[1, :, :-1]
    found[:, 1:] -= dual[1, :, :-1]
    return found


def _bytes(x: Floats) -> Bytes:
    rounded: Bytes = np.rint(x).clip(0, 255).astype(np.uint8)
    return rounded
