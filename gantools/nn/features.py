"""Features to measure images by: of a small classifier trained on the images at hand, or of nets that know others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from math import ceil, log2
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.encode.images import as_bytes
from gantools.errors import ConfigError
from gantools.nn.efficientnet import EfficientNetLite0, load_efficientnet

INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"  # as torch-fidelity names them
LEAST_SIDE = 128  # EfficientNet sees smaller images enlarged to this: its last map has a 32nd of it
WIDEST, NARROWEST = 128, 16  # channels of the classifier's last stage, and of its first at least
MAX_FULL_SIZE = 64  # larger images are halved by the classifier's first convolution already


class Features(Protocol):
    """What images are measured by. name: stands beside every number that was measured so."""

    @property
    def name(self) -> str: ...

    def __call__(self, x: Tensor) -> Tensor:
        """Features [N, D] of images x [N, C, size, size] in [-1, 1], on the device of the features."""


class NetFeatures:
    """Features that a net gives. `features` is called with images on the net's device."""

    def __init__(self, name: str, net: nn.Module, features: Callable[[Tensor], Tensor]) -> None:
        self.name = name
        self.net = net.eval()
        self._features = features

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        device = next((tensor.device for tensor in self.net.parameters()), x.device)
        return self._features(x.to(device))


def features_of(features: Features, images: Tensor, batch_size: int = 128) -> Tensor:
    """Features [N, D] float64, on the CPU, of images [N, C, size, size] uint8."""
    batches = [features(batch.float() / 127.5 - 1).double().cpu() for batch in torch.split(images, batch_size)]
    return torch.cat(batches)


def as_rgb(x: Tensor) -> Tensor:
    """Images [N, 3, H, W] of grey or colour images [N, C, H, W]; a channel of opacity or of a mask is dropped."""
    return x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)


def perceptual_features(device: torch.device | str = "cpu") -> NetFeatures:
    """Of EfficientNet-Lite0, which has seen ImageNet: 1280 a picture. Raises ConfigError where it is not installed."""
    net = load_efficientnet().to(device)

    def features(x: Tensor) -> Tensor:
        x = as_rgb(x)
        if min(x.shape[2:]) < LEAST_SIDE:
            x = F.interpolate(x, (LEAST_SIDE, LEAST_SIDE), mode="bilinear", align_corners=False)
        return net.pooled(x)

    return NetFeatures("EfficientNet-Lite0 (ImageNet)", net, features)


@cache
def shared_efficientnet(device: torch.device) -> EfficientNetLite0:
    """EfficientNet-Lite0 on a device, one for the whole process. Raises ConfigError where it is not installed."""
    with torch.inference_mode(False):
        return load_efficientnet().to(device)


def perceptual_maps(net: EfficientNetLite0, x: Tensor) -> list[Tensor]:
    """The net's `stages` of pictures x [N, C, H, W] in [-1, 1], differentiable.

    Where a side is below `LEAST_SIDE` they are enlarged as many times as it takes.
    """
    x, times = as_rgb(x), -(-LEAST_SIDE // min(x.shape[2:]))
    if times > 1:
        x = F.interpolate(x, scale_factor=float(times), mode="bilinear", align_corners=False)
    return net.stages(x)


def unit_distance(maps: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """How far maps [N, C, H, W] of a net are from others of the same net: [number of maps], each from 0 to 4.

    The squared distance of what stands at each place, brought to unit length; its mean over places and pictures. After
    Zhang et al. 2018, 'The Unreasonable Effectiveness of Deep Features as a Perceptual Metric'.
    """
    apart = [(F.normalize(a) - F.normalize(b)).square().sum(1).mean() for a, b in zip(maps, others, strict=True)]
    return torch.stack(apart)


def inception_features(device: torch.device | str = "cpu") -> NetFeatures:
    """Of Inception v3 as most papers use it, by torch-fidelity: 2048 an image. Nothing is downloaded.

    Raises ConfigError where torch-fidelity is not installed, or its weights are not in torch.hub's folder.
    """
    if find_spec("torch_fidelity") is None:
        raise ConfigError("torch-fidelity is not installed", remedy="pip install 'gantools[inception]'")
    weights = Path(torch.hub.get_dir(), "checkpoints", INCEPTION_WEIGHTS)
    if not weights.exists():
        place = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"
        raise ConfigError(
            "the weights of Inception v3 are not on this machine",
            where=str(weights),
            remedy=f"put the file there from {place}/{INCEPTION_WEIGHTS}",
        )
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    net = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights)).to(device)

    def features(x: Tensor) -> Tensor:
        images = as_bytes(as_rgb(x))
        return net(images.contiguous())[0]

    return NetFeatures("Inception v3 (torch-fidelity)", net, features)


class SmallCNN(nn.Module):
    """A classifier of images that trains in seconds on a CPU.

    Three stages for images of up to 32 pixels, one more for each doubling. A stage is two convolutions, the second of
    which halves the sides; widths double up to 128, so that every stage costs about the same.
    """

    def __init__(self, channels: int, size: int, n_classes: int) -> None:
        super().__init__()
        n_stages = max(3, ceil(log2(size / 4)))
        stages: list[nn.Module] = []
        before = channels
        for stage in range(n_stages):
            width = max(NARROWEST, WIDEST >> (n_stages - 1 - stage))
            stages += [_convolution(before, width, 2 if not stage and size > MAX_FULL_SIZE else 1)]
            stages += [_convolution(width, width, 2)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """[N, 128], >= 0, of images x [N, C, size, size] in [-1, 1]."""
        return self.stages(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, n_classes]."""
        return self.head(self.features(x))


def _convolution(before: int, after: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
