"""Images to one size and back, by the operation that training and exports share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantools.data.images.source import open_images
from gantools.encode import images as module
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet, check_size, fitting_size
from gantools.errors import ConfigError


def picture(height: int, width: int, channels: int = 1) -> torch.Tensor:
    """Left half black, right half white: [1, height, width, channels]."""
    image = torch.zeros(1, height, width, channels, dtype=torch.uint8)
    image[:, :, width // 2 :] = 255
    return image


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_round_trip_gives_the_image_back(channels: int) -> None:
    image = torch.randint(256, (2, 32, 32, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    encoder = ImageEncoder(ImageLayout(channels, 32))
    x = encoder(image)
    assert x.shape == (2, channels, 32, 32) and x.min() >= -1 and x.max() <= 1
    assert torch.equal(encoder.inverse(x), image)


@pytest.mark.parametrize("fit", ["resize", "crop", "pad"])
@pytest.mark.parametrize("shape", [(48, 96), (96, 48), (17, 16), (16, 200)])
def test_any_shape_becomes_square(fit: module.Fit, shape: tuple[int, int]) -> None:
    x = ImageEncoder(ImageLayout(1, 16), fit).resized(picture(*shape))
    assert x.shape == (1, 1, 16, 16) and x.dtype == torch.uint8


def test_what_becomes_of_the_aspect() -> None:
    tall = torch.zeros(1, 64, 32, 1, dtype=torch.uint8)
    tall[:, 16:48] = 200  # a square in the middle

    def seen(fit: module.Fit) -> torch.Tensor:
        return ImageEncoder(ImageLayout(1, 16), fit).resized(tall)[0, 0]

    assert (seen("crop")[1:-1] == 200).all()
    assert (seen("resize")[5:11] == 200).all() and (seen("resize")[:3] == 0).all()
    assert (seen("pad")[5:11] == 200).all()  # the edge's pixels go on to the sides


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 64, 64, 1, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    x = ImageEncoder(ImageLayout(1, 16)).resized(stripes)
    assert (x.float() - 127.5).abs().max() < 20


def test_sizes_that_nets_cannot_have() -> None:
    with pytest.raises(ConfigError, match=r"size.*16, 20, 24, 28, 32.*not 17"):
        check_size(17)
    check_size(28)


def test_json() -> None:
    encoder = ImageEncoder(ImageLayout(3, 40), "pad")
    again = ImageEncoder.from_json(encoder.to_json())
    assert again.layout == encoder.layout and again.framing == "pad"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, (width, height) in enumerate([(40, 30), (30, 50), (64, 33)]):
        name = tmp_path / "photos" / ("yes" if index else "no") / f"{index}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((height, width), 80 * index, np.uint8)).save(name)
    return tmp_path / "photos"


def test_a_folder_becomes_one_array(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_images(folder, labelled=True)
    encoder = ImageEncoder(ImageLayout(1, fitting_size(source.schema, 64)))
    assert encoder.layout.size == 32  # 33 pixels are the median shorter side
    told: list[int] = []
    data = ImageSet.load(source, encoder, told.append)
    assert data.images.shape == (3, 1, 32, 32) and data.counts == [1, 2] and told == [3]
    assert [int(image.float().mean()) for image in data.images] == [0, 80, 160]
    monkeypatch.setattr(module, "SPILL_BYTES", 10)  # as if they did not fit into memory
    assert torch.equal(ImageSet.load(source, encoder).images, data.images)
