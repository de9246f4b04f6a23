"""Synthetic images that are good, copied, noisy, collapsed or of other classes are named as what they are."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.image_evaluation import evaluate_images
from gantools.evaluate.image_quality import ImageQuality
from gantools.nn.features import NetFeatures
from gantools.nn.random_features import RandomFeatures
from gantools.train import image_classifier

CLASSES = ("upright", "lying")


def bars(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """[2 n, 1, 16, 16] uint8: a bright bar somewhere, upright or lying, on a noisy ground."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 30, (2 * n, 1, 16, 16), generator=random)
    for image, place in zip(images, torch.randint(2, 12, (2 * n,), generator=random).tolist(), strict=True):
        image[:, :, place : place + 3] += 200
    images[n:] = images[n:].transpose(2, 3).clone()
    return images.byte(), torch.tensor([0] * n + [1] * n)


@pytest.fixture(scope="module")
def features() -> NetFeatures:
    net = RandomFeatures(1)
    net.fit(bars(60, 9)[0].float() / 127.5 - 1)
    return NetFeatures("random features", net, net)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_classifier, "MIN_STEPS", 30)
    monkeypatch.setattr(image_classifier, "MAX_STEPS", 30)
    monkeypatch.setattr("gantools.evaluate.image_quality.N_SUBSETS", 2)


REAL = bars(60, 0)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (bars(60, 1), ()),
        (REAL, ("leaks",)),
        ((torch.randint(0, 256, (120, 1, 16, 16)).byte(), REAL[1]), ("do not look real", "of little use")),
        ((bars(1, 2)[0].repeat_interleave(60, 0), REAL[1]), ("collapsed",)),
        ((bars(60, 3)[0], 1 - REAL[1]), ("of little use",)),
    ],
)
def test_what_is_wrong_is_named(features: NetFeatures, made: tuple[Tensor, Tensor], named: tuple[str, ...]) -> None:
    found = evaluate_images(*REAL, *made, CLASSES, features, bars(60, 5))
    assert set(named) <= set(found.conclusion.names) and bool(named) == bool(found.conclusion.names)
    assert ("poor" in {figure.grade for figure in found.figures}) == bool(named)
    assert isinstance(found.quality, ImageQuality)
    assert json.loads(json.dumps(found.to_json()))["conclusion"]["sentence"] == found.conclusion.sentence


def test_real_images_are_halved_where_there_is_no_holdout(features: NetFeatures) -> None:
    found = evaluate_images(*REAL, *bars(60, 1), CLASSES, features)
    assert found.conclusion.names == () and found.conclusion.unsaid
    assert found.learned is not None and found.learned.n_tested == 30
    plain = evaluate_images(REAL[0], torch.zeros(120).long(), bars(60, 1)[0], torch.zeros(120).long(), (), features)
    assert plain.learned is None and all(figure.part != "helps" for figure in plain.figures)


def test_few_images_say_nothing(features: NetFeatures) -> None:
    with pytest.raises(DataError, match="there are 10 synthetic images"):
        evaluate_images(*REAL, *bars(5, 1), CLASSES, features)
