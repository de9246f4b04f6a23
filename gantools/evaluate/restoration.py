"""How near pictures are to the truth: in grey levels, in structure, and to the eye.

Pictures are [H, W, C] uint8, C 1 (grey), 3 (colour) or 4 (colour and opacity).
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from gantools.data.images.source import Bytes
from gantools.errors import ConfigError
from gantools.nn.degradations import LUMA
from gantools.nn.efficientnet import EfficientNetLite0, load_efficientnet
from gantools.nn.features import perceptual_maps, unit_distance
from gantools.nn.patches import EdgeFeatures

Floats = npt.NDArray[np.float64]

HIGHEST = 100.0  # dB, of pictures that are equal
WINDOW, REACH = 1.5, 5  # SSIM's: standard deviation and half width, in pixels
STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # SSIM's constants
TILE = 64  # pixels of each side of what edges are compared on


def psnr(made: npt.NDArray[np.generic], truth: npt.NDArray[np.generic]) -> float:
    """Peak signal to noise ratio of values from 0 to 255, in dB, at most `HIGHEST`."""
    error = float(np.square(made.astype(np.float64) - truth.astype(np.float64)).mean())
    return HIGHEST if not error else min(HIGHEST, float(10 * np.log10(255**2 / error)))


def psnr_inside(made: Bytes, truth: Bytes, mask: npt.NDArray[np.bool_]) -> float:
    """The same of the pixels where mask [H, W] is true."""
    return psnr(made[mask], truth[mask])


def luminance(pixels: Bytes) -> Floats:
    """Y of ITU-R BT.601, 16 to 235, [H, W]: what papers on super-resolution measure."""
    rgb = _colours(pixels).astype(np.float64)
    return 16 + (65.481 * rgb[..., 0] + 128.553 * rgb[..., 1] + 24.966 * rgb[..., 2]) / 255


def psnr_luminance(made: Bytes, truth: Bytes, border: int = 0) -> float:
    """PSNR of the luminance, without so many pixels at each edge."""
    inside = slice(border, -border or None)
    return psnr(luminance(made)[inside, inside], luminance(truth)[inside, inside])


def psnr_chroma(made: Bytes, truth: Bytes) -> float:
    """PSNR of both differences of colour, Cb and Cr of JPEG."""
    return psnr(_chroma(made), _chroma(truth))


def ssim(made: Bytes, truth: Bytes) -> float:
    """Mean structural similarity of the brightness. Wang et al. 2004, 'Image Quality Assessment'.

    Of pictures smaller than the window of 11 pixels all places count, otherwise those whose window lies inside.
    """
    x, y = (_grey(one) for one in (made, truth))
    mean_x, mean_y = _blurred(x), _blurred(y)
    of_x, of_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    first, second = STABLE
    alike = (2 * mean_x * mean_y + first) * (2 * both + second)
    alike /= (mean_x**2 + mean_y**2 + first) * (of_x + of_y + second)
    if min(alike.shape) > 2 * REACH:
        alike = alike[REACH:-REACH, REACH:-REACH]
    return float(alike.mean())


class PerceptualDistance:
    """How unlike two pictures look; 0 for equal ones. name: what it goes by.

    By maps of EfficientNet-Lite0 of unit length at each place, where it is installed (after Zhang et al. 2018, 'The
    Unreasonable Effectiveness of Deep Features as a Perceptual Metric', without weights learned from people).
    Otherwise by how strong edges of each direction are, in logarithms and at several scales: a blurred picture is far
    from a sharp one, and texture of the right strength near.

    by_edges: whether to go by edges in any case, as for pictures of a net that learned to please EfficientNet-Lite0.
    """

    def __init__(self, *, by_edges: bool = False) -> None:
        self._edges = EdgeFeatures(1)
        self._net: EfficientNetLite0 | None = None
        with suppress(ConfigError):  # not installed
            self._net = None if by_edges else load_efficientnet()
        self.name = "edges" if self._net is None else "EfficientNet-Lite0"

    @torch.no_grad()
    def __call__(self, made: Bytes, truth: Bytes) -> float:
        x, y = (torch.from_numpy(np.array(one)).movedim(2, 0).unsqueeze(0).float() / 127.5 - 1 for one in (made, truth))
        if self._net is None:
            return float((self._edges(_tiles(x)) - self._edges(_tiles(y))).square().mean())
        return float(unit_distance(*(perceptual_maps(self._net, one) for one in (x, y))).mean())


def _tiles(x: Tensor) -> Tensor:
    """x [1, C, H, W] as squares [N, C, TILE, TILE]; what is left over at the lower and right edge belongs to none."""
    height, width = x.shape[2:]
    x = F.pad(x, (0, max(0, TILE - width), 0, max(0, TILE - height)), mode="replicate")
    squares = x.unfold(2, TILE, TILE).unfold(3, TILE, TILE)
    return squares.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def _colours(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """[H, W, 3] of a picture with any channels."""
    return pixels[..., :3] if pixels.shape[2] >= 3 else np.broadcast_to(pixels[..., :1], (*pixels.shape[:2], 3))


def _grey(pixels: Bytes) -> Floats:
    """Pillow's luma, [H, W]."""
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.float64)
    luma: Floats = pixels[..., :3].astype(np.float64) @ np.array(LUMA)
    return luma


def _chroma(pixels: Bytes) -> Floats:
    rgb, grey = _colours(pixels).astype(np.float64), _grey(pixels)
    return np.stack([(rgb[..., 2] - grey) / 1.772, (rgb[..., 0] - grey) / 1.402]) + 128


def _blurred(x: Floats) -> Floats:
    blurred: Floats = gaussian_filter(x, WINDOW, truncate=REACH / WINDOW)
    return blurred
