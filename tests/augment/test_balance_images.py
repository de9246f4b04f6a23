"""Balanced sets of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gantools.augment.balance_images import MIN_IMAGES, balance_images, images_to_make
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.config import TrainConfig
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.errors import ConfigError


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


@pytest.fixture(scope="module")
def maker(data: ImageSet) -> ImageSynthesizer:
    train = TrainConfig(steps=6, batch_size=8, eval_every=6, device="cpu")
    return ImageSynthesizer("dcgan", {"width": 4}, train).fit(data)


def test_counts_are_exact_and_small_classes_are_said(data: ImageSet, maker: ImageSynthesizer) -> None:
    found = balance_images(data, synthesizer=maker)
    assert torch.bincount(found.label, minlength=3).tolist() == [0, 24, 36]
    assert found.counts_before == {"zero": 40, "one": 16, "two": 4} and set(found.counts_after.values()) == {40}
    assert found.images.shape == (60, 1, 16, 16) and found.images.dtype == torch.uint8
    assert found.is_generated[found.label == 1].sum() == 12  # half drawn, half varied
    assert not found.is_generated[found.label == 2].any()
    assert MIN_IMAGES > 4 and any("two (4)" in note for note in found.notes)


def test_varied_images_are_of_their_class(data: ImageSet, maker: ImageSynthesizer) -> None:
    found = balance_images(data, synthesizer=maker)
    varied = found.images[~found.is_generated].float().flatten(1)
    label = found.label[~found.is_generated]
    middles = torch.stack([data.images[data.label == k].float().flatten(1).mean(0) for k in range(3)])
    assert (torch.cdist(varied, middles).argmin(1) == label).float().mean() > 0.9


def test_the_same_seed_gives_the_same_images(data: ImageSet, maker: ImageSynthesizer) -> None:
    one, again, other = (balance_images(data, synthesizer=maker, seed=seed).images for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_strategies(data: ImageSet) -> None:
    assert images_to_make(data, "auto") == {"one": 24, "two": 36}
    assert images_to_make(data, "minority") == {"two": 36}
    assert images_to_make(data, {"one": 20}) == {"one": 4}
    with pytest.raises(ConfigError, match="no label 'three'"):
        images_to_make(data, {"three": 20})
