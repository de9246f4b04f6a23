"""Balanced sets of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from gantools.augment.balance_images import MIN_IMAGES, balance_images, images_to_make
from gantools.augment.latent import from_seeds
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.errors import ConfigError
from gantools.train import image_classifier


@pytest.fixture(scope="module")
def data() -> ImageSet:
    """40 zeros, 16 ones and 4 twos of 16 pixels."""
    found, counts = load_digits(), (40, 16, 4)
    rows = np.concatenate([np.flatnonzero(found.target == k)[:n] for k, n in enumerate(counts)])
    small = torch.from_numpy((found.images[rows] * 15.9).astype(np.uint8))
    images = small.repeat_interleave(2, 1).repeat_interleave(2, 2).unsqueeze(1)
    side = (16, 16, 16)
    schema = ImageSchema(1, 255, ("zero", "one", "two"), counts, len(rows), width=side, height=side, formats={})
    return ImageSet(schema, ImageEncoder(ImageLayout(1, 16)), images, torch.from_numpy(found.target[rows]), "digits")


@pytest.fixture(autouse=True)
def judges_of_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_classifier, "MIN_STEPS", 25)
    monkeypatch.setattr(image_classifier, "MAX_STEPS", 25)


class Good:
    """Makes digits that nobody has trained on: the first number of the noise says which."""

    noise_width = 1
    encoder_ = ImageEncoder(ImageLayout(1, 16))

    def from_noise(self, noise: Tensor, label: Tensor, truncation: float | None = None) -> Tensor:
        found = load_digits()
        images = [torch.from_numpy(found.images[found.target == k][100:] * 15.9).to(torch.uint8) for k in range(3)]
        place = (torch.special.ndtr(noise[:, 0]) * 70).long()
        made = torch.stack([images[k][one] for k, one in zip(label.tolist(), place.tolist(), strict=True)])
        return made.repeat_interleave(2, 1).repeat_interleave(2, 2).unsqueeze(1)


class Noisy(Good):
    """Makes grey noise."""

    def from_noise(self, noise: Tensor, label: Tensor, truncation: float | None = None) -> Tensor:
        return torch.randint(0, 256, (len(label), 1, 16, 16), generator=torch.Generator().manual_seed(0)).byte()


def test_counts_are_exact_and_small_classes_are_said(data: ImageSet) -> None:
    found = balance_images(data, synthesizer=Good())
    assert torch.bincount(found.label, minlength=3).tolist() == [0, 24, 36]
    assert found.counts_before == {"zero": 40, "one": 16, "two": 4} and set(found.counts_after.values()) == {40}
    assert found.images.shape == (60, 1, 16, 16) and found.images.dtype == torch.uint8
    assert found.is_generated[found.label == 1].sum() == 12  # half drawn, half varied
    assert not found.is_generated[found.label == 2].any()
    assert MIN_IMAGES > 4 and found.notes == (
        "too few images to learn from, filled with varied real ones alone: two (4)",
    )
    assert found.failed == () and list(found.trials) == ["one"]


def test_noise_is_never_passed_off_as_images(data: ImageSet) -> None:
    found = balance_images(data, synthesizer=Noisy())
    assert found.n_generated == 0 and torch.bincount(found.label, minlength=3).tolist() == [0, 24, 36]
    assert found.failed == ("one",)
    assert "Generated images of one do not pass for real ones (precision 0.00 against" in found.notes[1]


def test_each_image_can_be_made_again_from_its_origin(data: ImageSet) -> None:
    found = balance_images(data, synthesizer=Good(), seed=3)
    varied, drawn = ~found.is_generated, found.is_generated
    assert torch.equal(found.changes[varied].made(data.images[found.origin[varied]]), found.images[varied])
    assert torch.equal(data.label[found.origin[varied]], found.label[varied])
    plain = from_seeds(Good(), found.label[drawn], found.origin[drawn].tolist())
    assert torch.equal(found.changes[drawn].made(plain), found.images[drawn])


def test_no_more_changes_than_asked_for(data: ImageSet) -> None:
    found = balance_images(data, synthesizer=None, vary=("mirror",))
    assert torch.equal(found.images, data.images[found.origin])  # neither digit looks the same in a mirror
    assert found.notes == () and found.n_generated == 0


def test_varied_images_are_of_their_class(data: ImageSet) -> None:
    found = balance_images(data, synthesizer=None)
    varied = found.images[~found.is_generated].float().flatten(1)
    label = found.label[~found.is_generated]
    middles = torch.stack([data.images[data.label == k].float().flatten(1).mean(0) for k in range(3)])
    assert (torch.cdist(varied, middles).argmin(1) == label).float().mean() > 0.9


def test_the_same_seed_gives_the_same_images(data: ImageSet) -> None:
    one, again, other = (balance_images(data, synthesizer=Good(), seed=seed).images for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_strategies(data: ImageSet) -> None:
    assert images_to_make(data, "auto") == {"one": 24, "two": 36}
    assert images_to_make(data, "minority") == {"two": 36}
    assert images_to_make(data, {"one": 20}) == {"one": 4}
    with pytest.raises(ConfigError, match="no label 'three'"):
        images_to_make(data, {"three": 20})
