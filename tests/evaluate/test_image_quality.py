"""Quality of synthetic images: figures as in closed form, copies found, warnings where numbers mean little."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.image_quality import (
    frechet_distance,
    image_quality,
    kernel_distance,
    neighbourhoods,
)


def normal(n: int, d: int, seed: int, mean: float = 0.0, scale: float = 1.0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * scale + mean


class Pixels:
    """The pixels of the image, 4x4 means each."""

    name = "pixels"

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 4).flatten(1)


def digits() -> tuple[Tensor, Tensor]:
    """[1797, 1, 16, 16] uint8 and labels."""
    x, y = load_digits(return_X_y=True)
    images = np.minimum(x.reshape(-1, 8, 8) * 16, 255).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    return torch.from_numpy(images)[:, None], torch.from_numpy(y).long()


def test_fid_of_normal_distributions_is_the_closed_form() -> None:
    x, y = normal(40_000, 3, 0), normal(40_000, 3, 1, mean=1.0, scale=2.0)
    assert frechet_distance(x, y) == pytest.approx(3 * 1 + 3 * (2 - 1) ** 2, rel=0.03)
    # Dependent features: the covariances do not commute.
    turn = torch.tensor([[1.0, 0.8, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 1.0]], dtype=torch.float64)
    first, second = (x @ turn).T.cov(), y.T.cov()
    values = torch.linalg.eigvals(first @ second).real.sqrt().sum()
    apart = ((x @ turn).mean(0) - y.mean(0)).square().sum()
    expected = float(apart + first.trace() + second.trace() - 2 * values)
    assert frechet_distance(x @ turn, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x[:, :1], y[:, :1]) == pytest.approx(2, rel=0.05)


def test_kid_is_unbiased_and_sees_a_shift() -> None:
    same = [kernel_distance(normal(200, 4, s), normal(200, 4, s + 100)) for s in range(30)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 30**0.5
    # E[(x·y/D + 1)³] of one feature: 1 + 3 E[x]E[y] + 3 E[x²]E[y²] + E[x³]E[y³], with means 0 and 1 and variance 1.
    within_x, within_y, between = 1 + 3, 1 + 3 + 3 * 4 + 16, 1 + 3 * 2
    found = kernel_distance(normal(6_000, 1, 0), normal(6_000, 1, 1, mean=1.0))
    assert found == pytest.approx(within_x + within_y - 2 * between, rel=0.1)


def test_equal_sets_are_covered_and_disjoint_ones_are_not() -> None:
    x = normal(300, 5, 0)
    precision, recall, density, coverage = neighbourhoods(x, x)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(1, abs=0.25)
    assert neighbourhoods(x, x + 100) == (0, 0, 0, 0)
    one_mode = normal(300, 5, 1, scale=0.1)
    precision, recall, _, coverage = neighbourhoods(x, one_mode)
    assert precision > 0.9 and recall < 0.1 and coverage < 0.5


def test_real_digits_are_better_than_noisy_ones_class_by_class() -> None:
    images, label = digits()
    even, odd = slice(0, None, 2), slice(1, None, 2)
    noise = torch.randint(-60, 60, images.shape, generator=torch.Generator().manual_seed(0))
    noisy = (images + noise).clamp(0, 255).to(torch.uint8)
    good = image_quality(images[even], label[even], images[odd], label[odd], list("0123456789"), Pixels())
    bad = image_quality(images[even], label[even], noisy[odd], label[odd], list("0123456789"), Pixels())
    assert good.overall.fid < bad.overall.fid and abs(good.overall.kid) < bad.overall.kid
    assert good.overall.coverage > bad.overall.coverage
    assert set(good.by_class) == set("0123456789")
    assert all(0.5 < one.coverage <= 1 for one in good.by_class.values())
    assert good.notes == () and good.features == "pixels"
    assert json.loads(json.dumps(good.to_json()))["by_class"]["3"]["n_real"] == int((label[even] == 3).sum())
    again = image_quality(images[even], label[even], images[odd], label[odd], list("0123456789"), Pixels())
    assert again == good


def test_too_few_images_are_told() -> None:
    images, label = digits()
    few = image_quality(images, label, images[:12], label[:12] % 2, list("0123456789"), Pixels())
    assert few.by_class["0"].fid is None and set(few.by_class) == {"0", "1"}
    told = " ".join(few.notes)
    assert "FID is biased" in told and "12 synthetic" in told
    assert "mostly chance" in told and "other shares" in told
    with pytest.raises(DataError, match="two synthetic images"):
        image_quality(images, label, images[:1], label[:1], list("0123456789"), Pixels())


def test_large_sets_are_thinned_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantools.evaluate.image_quality.MAX_IMAGES", 300)
    images, label = digits()
    found = image_quality(images, label, images, label, list("0123456789"), Pixels())
    assert found.overall.n_real == 300 and "300 of the 1,797 real images" in found.notes[0]
