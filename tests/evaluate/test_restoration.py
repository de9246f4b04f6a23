"""How near pictures are to the truth, and the plain methods that translators are held against."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gantools.evaluate.plain import bicubic, biharmonic, fitted_total_variation, plain_method, total_variation
from gantools.evaluate.restoration import (
    HIGHEST,
    PerceptualDistance,
    luminance,
    psnr,
    psnr_chroma,
    psnr_inside,
    psnr_luminance,
    ssim,
)
from gantools.nn.degradations import Degradations


def photo(height: int = 96, width: int = 80, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    smooth = gaussian_filter(random.normal(size=(height, width, 3)), (6, 6, 0)) * 600
    texture = gaussian_filter(random.normal(size=(height, width, 1)), (0.8, 0.8, 0)) * 30
    return (128 + smooth + texture).clip(0, 255).astype(np.uint8)


def noisy(picture: np.ndarray, sigma: float = 25, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return (picture + noise).round().clip(0, 255).astype(np.uint8)


def test_psnr_is_that_of_the_mean_squared_error() -> None:
    truth = np.full((10, 10, 3), 100, np.uint8)
    assert psnr(truth + 5, truth) == pytest.approx(10 * np.log10(255**2 / 25))
    assert psnr(truth, truth) == HIGHEST
    mask = np.zeros((10, 10), bool)
    mask[2:4] = True
    made = truth.copy()
    made[mask] = 110
    assert psnr_inside(made, truth, mask) == pytest.approx(10 * np.log10(255**2 / 100))
    assert psnr_inside(truth, truth, ~mask) == HIGHEST


def test_luminance_reaches_from_16_to_235() -> None:
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(luminance(ends), [[16, 235]], atol=0.01)
    truth, made = np.full((20, 20, 3), 50, np.uint8), np.full((20, 20, 3), 50, np.uint8)
    made[0] = 255
    assert psnr_luminance(made, truth, border=2) == HIGHEST > psnr_luminance(made, truth)


def test_chroma_knows_no_brightness() -> None:
    picture = photo() // 2
    assert psnr_chroma(picture + 40, picture) > 60
    grey = np.repeat(picture.mean(2, keepdims=True).astype(np.uint8), 3, 2)
    assert psnr_chroma(grey, picture) < psnr_chroma(picture + 40, picture)


def test_structural_similarity() -> None:
    picture = photo()
    assert ssim(picture, picture) == pytest.approx(1)
    worse = [ssim(noisy(picture, sigma), picture) for sigma in (5, 15, 45)]
    assert worse == sorted(worse, reverse=True) and worse[2] < 0.6
    assert ssim(picture, noisy(picture)) == pytest.approx(ssim(noisy(picture), picture))
    assert -1 <= ssim(photo(5, 5), photo(5, 5, 1)) <= 1


@pytest.mark.parametrize("pretrained", [True, False])
def test_blur_is_far_away(pretrained: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pretrained:
        monkeypatch.setattr("gantools.nn.efficientnet.find_spec", lambda _: None, raising=False)
    distance = PerceptualDistance()
    assert pretrained or distance.name == "edges"
    picture = photo()
    blurred = [gaussian_filter(picture, (sigma, sigma, 0)) for sigma in (0.5, 1.5)]
    near, far = (distance(one, picture) for one in blurred)
    assert 0 <= distance(picture, picture) < near < far
    assert distance(photo(20, 30), photo(20, 30, 1)) > 0


def test_total_variation_takes_noise_away() -> None:
    truth = photo()
    given = noisy(truth)
    way = fitted_total_variation([(noisy(photo(seed=3)), photo(seed=3))])
    assert psnr(way(given), truth) > psnr(given, truth) + 4
    flat = np.full((20, 20, 1), 77, np.uint8)
    assert np.array_equal(total_variation(flat, 20), flat)


def test_a_ramp_is_filled_as_a_ramp() -> None:
    row, column = np.mgrid[:40, :50]
    ramp = np.stack([2 * row + 3 * column, 200 - 4 * row], 2).astype(np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[10:25, 12:30] = True
    given = np.where(mask[:, :, None], 0, ramp).astype(np.uint8)
    assert np.abs(biharmonic(given, mask).astype(int) - ramp).max() <= 1
    at_the_edge = np.zeros((40, 50), bool)
    at_the_edge[:, :8] = True
    filled = biharmonic(np.where(at_the_edge[:, :, None], 0, ramp).astype(np.uint8), at_the_edge)
    assert np.array_equal(filled[~at_the_edge], ramp[~at_the_edge])
    assert np.array_equal(biharmonic(given, np.zeros_like(mask)), given)


def test_bicubic_grows() -> None:
    assert bicubic(photo(10, 12), 3).shape == (30, 36, 3)


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        (["smaller=2"], "bicubic"), (["noise=25"], "total variation"), (["holes"], "biharmonic filling"),
        (["grey"], "the grey picture"), (["rain"], "the picture as it is"), (None, "the picture as it is"),
    ],
)  # fmt: skip
def test_the_plain_method_is_what_one_would_use(spelled: list[str] | None, name: str) -> None:
    degradations = None if spelled is None else Degradations.parse(spelled)
    way = plain_method(degradations, 3, 2 if name == "bicubic" else 1, [(noisy(photo()), photo())])
    assert way.name == name
    given = photo(20, 20)[:, :, :1] if name == "the grey picture" else photo(20, 20)
    mask = given[:, :, 0] > 128 if name == "biharmonic filling" else None
    side = 40 if name == "bicubic" else 20
    assert way.make(given, mask).shape == (side, side, 3)
