"""What is done to clean pictures, so that it is learned to be undone."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gantools.errors import ConfigError
from gantools.nn.degradations import JPEG, Blur, Degradations, Grey, Holes, Noise, Rain, Smaller, as_stored, with_mask


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture with a few edges: [H, W, 3] uint8."""
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row / 5) * 60 + column, np.cos(column / 7) * 50 + 2 * row, (row + column) // 20 % 2 * 90]
    return (60 + np.stack(waves, 2)).clip(0, 255).astype(np.uint8)


def as_nets_see(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).movedim(2, 0).unsqueeze(0).float() / 127.5 - 1


def as_pixels(x: Tensor) -> np.ndarray:
    return ((x[0] + 1) * 127.5).movedim(0, 2).numpy()


def test_noise_has_the_deviation_asked_for() -> None:
    flat = torch.zeros(4, 1, 100, 100)
    noisy = Noise(25)(flat, seeded())
    assert (noisy * 127.5).std().item() == pytest.approx(25, rel=0.02)
    deviations = (Noise(5, 50)(flat[:1].expand(64, -1, -1, -1), seeded()) * 127.5).std((1, 2, 3))
    assert deviations.min() < 12 and 40 < deviations.max() < 52


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_is_that_of_pillow(quality: int) -> None:
    for mode, most in (("L", 0.5), ("RGB", 2.0)):
        picture = Image.fromarray(photo()).convert(mode)
        pixels = np.asarray(picture).reshape(48, 64, -1)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, subsampling=2)
        wanted = np.asarray(Image.open(file)).reshape(48, 64, -1).astype(float)
        found = as_pixels(JPEG(quality)(as_nets_see(pixels), seeded()))
        assert np.abs(found - wanted).mean() < most
        assert np.abs(found - wanted).mean() < np.abs(pixels - wanted).mean() / 2


def test_jpeg_takes_any_size() -> None:
    assert JPEG(30)(as_nets_see(photo(13, 21)), seeded()).shape == (1, 3, 13, 21)


def test_smaller_is_that_of_pillow() -> None:
    wanted = np.asarray(Image.fromarray(photo()).resize((16, 12), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(as_pixels(Smaller(4)(as_nets_see(photo()), seeded())) - wanted).max() <= 1.01
    with pytest.raises(ConfigError, match="scale: 64 x 47 pixels cannot be made 4 times smaller"):
        Smaller(4)(as_nets_see(photo(47)), seeded())


def test_grey_is_that_of_pillow() -> None:
    wanted = np.asarray(Image.fromarray(photo()).convert("L")).astype(float)
    assert np.abs(as_pixels(Grey()(as_nets_see(photo()), seeded()))[:, :, 0] - wanted).max() <= 1.01
    with pytest.raises(ConfigError, match="have no colour"):
        Grey()(torch.zeros(1, 1, 8, 8), seeded())


def test_blur_takes_edges_away() -> None:
    x = as_nets_see(photo())
    slopes = [Blur(sigma)(x, seeded()).diff(dim=3).square().mean().item() for sigma in (0.3, 1.0, 3.0)]
    assert slopes == sorted(slopes, reverse=True) and slopes[2] < slopes[0] / 2
    flat = torch.full((2, 3, 20, 20), as_stored(torch.tensor(0.5)).item())
    torch.testing.assert_close(Blur(2)(flat, seeded()), flat)


def test_rain_only_brightens_and_more_of_it_more() -> None:
    x = as_nets_see(photo()).expand(8, -1, -1, -1)
    light, heavy = (Rain(amount)(x, seeded()) - x for amount in (1, 20))
    assert light.min() > -1e-5 and heavy.mean() > 3 * light.mean() > 0


def test_holes_are_as_large_as_asked_and_all_else_stays() -> None:
    x = as_nets_see(photo()).expand(64, -1, -1, -1)
    found = Holes(0.1, 0.4)(x, seeded())
    picture, mask = found[:, :-1], found[:, -1:]
    assert set(mask.unique().tolist()) == {-1.0, 1.0}
    hole = (mask > 0).expand_as(picture)
    assert not picture[hole].any() and torch.equal(picture[~hole], x[~hole])
    shares = (mask > 0).float().mean((1, 2, 3))
    assert shares.min() > 0.03 and shares.max() < 0.5 and shares.std() > 0.05
    assert torch.equal(found, with_mask(x, mask > 0))


@pytest.mark.parametrize("spelled", ["noise", "rain", "blur", "jpeg", "smaller=2", "grey", "holes", "noise=5-9"])
def test_one_seed_one_result_in_bytes(spelled: str) -> None:
    worse = Degradations.parse([spelled])
    x = as_nets_see(photo()).expand(3, -1, -1, -1)
    found = worse(x, seeded(3))
    assert torch.equal(found, worse(x, seeded(3)))
    assert found.shape == (3, worse.channels(3), 48 // worse.scale, 64 // worse.scale)
    torch.testing.assert_close(found, as_stored(found), atol=1e-6, rtol=0) if not worse.makes_holes else None
    again = Degradations.parse(worse.spelled)
    assert again.spelled == worse.spelled and torch.equal(again(x, seeded(3)), found)


def test_several_follow_one_another() -> None:
    worse = Degradations.parse(["blur=1-2", "noise=10", "smaller=2"])
    assert worse.names == ["blur", "noise", "smaller"] and worse.scale == 2 and not worse.makes_holes
    assert worse.spelled == ["blur=1-2", "noise=10", "smaller=2"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["nois=25"], "there is no degradation called 'nois'; did you mean 'noise'?"),
        (["snow"], "choose among noise, rain"),
        (["noise=abc"], "'noise=abc' is neither a number nor a range; write noise=5-50"),
        (["noise=1-2-3"], "neither a number nor a range"),
        (["noise=nan"], "neither a number nor a range"),
        (["noise=500"], "noise takes 0.5 to 150, or a range such as 5-50"),
        (["noise=50-5"], "noise takes"),
        (["smaller=5"], "smaller takes 2"),
        (["smaller=2-3"], "smaller takes 2, 3 or 4"),
        (["holes", "noise"], "holes comes last; put it behind the others"),
    ],
)
def test_what_cannot_be_done_is_said(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Degradations.parse(texts)
    assert said in str(raised.value)


@pytest.mark.gpu
@pytest.mark.parametrize("spelled", ["noise", "rain", "blur", "jpeg", "smaller=2", "grey", "holes"])
def test_on_a_gpu(spelled: str) -> None:
    x = as_nets_see(photo()).expand(3, -1, -1, -1).cuda()
    found = Degradations.parse([spelled]).cuda()(x, torch.Generator("cuda").manual_seed(0))
    assert found.device.type == "cuda" and torch.isfinite(found).all()
