"""What translators are trained and kept by."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gantools.models.cyclegan import distances_lost
from gantools.models.translation import apart
from gantools.nn.random_features import RandomFeatures


def pictures(n: int, seed: int = 0) -> Tensor:
    """Noise of every tone and contrast: [n, 1, 16, 16]."""
    random = torch.Generator().manual_seed(seed)
    tone, contrast = torch.rand(2, n, 1, 1, 1, generator=random) * 0.5
    return tone + contrast * torch.randn(n, 1, 16, 16, generator=random)


def test_distances_are_kept_by_what_shows_the_same_differently() -> None:
    x = pictures(16)
    for made in (-x, x.rot90(1, (2, 3)), 0.5 * x + 0.3):
        assert float(distances_lost(x, made)) == pytest.approx(0, abs=1e-4)


def test_distances_are_lost_where_pictures_change_places() -> None:
    x = pictures(16)
    assert float(distances_lost(x, x.roll(1, 0))) > 0.3
    assert float(distances_lost(x, x.mean(0, keepdim=True).expand_as(x))) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2])
def test_so_few_pictures_have_no_distances_to_lose(n: int) -> None:
    x = pictures(n).requires_grad_()
    assert float(distances_lost(x, x)) == 0


def test_distances_give_gradients_even_where_all_pictures_are_alike() -> None:
    made = torch.zeros(8, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(distances_lost(pictures(8), made), made)
    assert torch.isfinite(gradient).all()


def test_blur_is_no_advantage() -> None:
    """Sharp pictures in another order are nearer to the real ones as a whole than the same ones blurred."""
    real, look = pictures(64), RandomFeatures(1)
    blurred = F.avg_pool2d(F.pad(real, (1, 1, 1, 1), mode="replicate"), 3, 1)
    assert float(apart(look(real.flip(0)), look(real))) < 1e-6
    assert float(apart(look(pictures(64, seed=1)), look(real))) < float(apart(look(blurred), look(real)))


def test_features_that_never_differ_do_not_count_above_all_others() -> None:
    real = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    real[:, 0] = 0.5
    made = real.clone()
    made[:, 0] += 0.05
    assert float(apart(made, real)) < 1
