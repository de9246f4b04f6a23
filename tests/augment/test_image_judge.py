"""Generated images beside real ones: what passes, and what noise, repetition and other classes fall short in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gantools.augment.image_judge import Judge, in_turn
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.train import image_classifier


def bars(n: int, upright: bool, seed: int) -> Tensor:
    """[n, 1, 16, 16] uint8: a bright bar from side to side or from top to bottom, somewhere, on a dark ground."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 30, (n, 1, 16, 16), generator=random)
    for image, place in zip(images, torch.randint(2, 12, (n,), generator=random).tolist(), strict=True):
        image[:, :, place : place + 3] += 200
    return (images if upright else images.transpose(2, 3)).to(torch.uint8)


@pytest.fixture(scope="module")
def judge() -> Judge:
    images = torch.cat([bars(60, True, 0), bars(24, False, 1)])
    label = torch.tensor([0] * 60 + [1] * 24)
    side = (16, 16, 16)
    schema = ImageSchema(1, None, ("upright", "lying"), (60, 24), 84, width=side, height=side, formats={})
    data = ImageSet(schema, ImageEncoder(ImageLayout(1, 16)), images, label, "bars")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_classifier, "MIN_STEPS", 40)
        patch.setattr(image_classifier, "MAX_STEPS", 40)
        return Judge(data, lambda places: images[places], 0, None)


def test_images_like_the_real_ones_pass(judge: Judge) -> None:
    for code, upright in enumerate((True, False)):
        trial = judge.trial(bars(30, upright, 2), code)
        assert trial.shortfalls == () and trial.to_json()["passed"]
        assert trial.real.precision > 0.7 and trial.real.recognised > 0.7


def test_noise_is_not_taken_for_images(judge: Judge) -> None:
    noise = torch.randint(0, 256, (30, 1, 16, 16), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    trial = judge.trial(noise, 1)
    assert {"precision", "coverage"} <= set(trial.shortfalls)
    assert trial.words.startswith("precision 0.00 against ")


def test_one_image_again_and_again_covers_too_little(judge: Judge) -> None:
    assert judge.trial(bars(1, True, 4).expand(30, -1, -1, -1), 0).shortfalls == ("coverage",)


def test_images_of_another_class_are_recognised(judge: Judge) -> None:
    assert "recognised" in judge.trial(bars(30, True, 5), 1).shortfalls


def test_candidates_of_the_class_are_chosen(judge: Judge) -> None:
    candidates = torch.cat([bars(20, True, 6), bars(10, False, 7)])
    assert set(judge.choose(candidates, 1, 10).tolist()) == set(range(20, 30))
    assert judge.choose(candidates, 1, 0).tolist() == []


def test_every_place_has_its_turn() -> None:
    taken = in_turn(torch.tensor([3, 5, 8]), 7, torch.Generator().manual_seed(0))
    assert sorted(taken[:3].tolist()) == sorted(taken[3:6].tolist()) == [3, 5, 8]
    assert in_turn(torch.tensor([3]), 0, torch.Generator()).tolist() == []
