"""The verdict on images: nothing held back leaks, the sentence says what figures mean, one seed gives one result."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate import image_utility as module
from gantools.evaluate.image_utility import image_verdict
from gantools.evaluate.verdict import METHODS
from gantools.nn.features import features_of
from gantools.stages import Stage
from gantools.train import image_classifier
from gantools.train.image_classifier import (
    FEWEST_STEPS,
    Lesson,
    classifier_features,
    probabilities,
    steps_for,
    train_classifier,
    train_classifiers,
)


def digits() -> tuple[Tensor, Tensor]:
    """[1797, 1, 16, 16] uint8 and labels."""
    x, y = load_digits(return_X_y=True)
    images = np.minimum(x.reshape(-1, 8, 8) * 16, 255).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    return torch.from_numpy(images)[:, None], torch.from_numpy(y).long()


def long_tail(rare: int = 20) -> tuple[Tensor, Tensor]:
    """Digits 0 to 3; of 2 and 3 only `rare` images, and the rest of those."""
    images, label = digits()
    kept = [torch.nonzero(label == code).flatten()[: 170 if code < 2 else rare] for code in range(4)]
    rows = torch.cat(kept)
    return images[rows], label[rows]


def oracle(images: Tensor, label: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """A balancer with real images of the rare classes that the data set did not have."""
    more, classes = digits()
    rows = torch.cat([torch.nonzero(classes == code).flatten()[60:160] for code in (2, 3)])
    return torch.cat([images, more[rows]]), torch.cat([label, classes[rows]])


def harmful(images: Tensor, label: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """A balancer that gives images of the common classes the rare classes' labels."""
    rows = torch.nonzero(label < 2).flatten().repeat(2)
    return torch.cat([images, images[rows]]), torch.cat([label, label[rows] + 2])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "N_CLASSIFIERS", 1)
    monkeypatch.setattr(image_classifier, "steps_for", lambda n, size: 25)


def test_harmful_images_do_not_help_and_the_best_alternative_is_named() -> None:
    images, label = long_tail(60)
    before = images.clone()
    found = image_verdict(images, label, list("abcd"), {"gantools": harmful}, seed=0)
    assert found.helped == "no" and found.difference < -0.05
    assert "did not help" in found.sentence and METHODS[found.best_alternative] in found.sentence
    assert f"on {found.n_holdout} held-out images" in found.sentence
    assert list(found.scores) == ["none", "threshold", "repetition", "classical", "gantools"]
    assert all(0 <= value <= 1 for figures in found.scores.values() for value in figures.values())
    assert torch.equal(images, before)
    json.dumps(found.to_json())


def test_held_back_images_are_never_shown() -> None:
    images, label = long_tail()
    seen: list[Tensor] = []

    def spy(images: Tensor, label: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        seen.append(images)
        return oracle(images, label, seed)

    marked = images.clone()
    marked[:, 0, 0, 0], marked[:, 0, 0, 1] = torch.arange(len(images)) % 256, torch.arange(len(images)) // 256
    found = image_verdict(marked, label, list("abcd"), {"gantools": spy}, seed=1)
    assert len(seen) == 1 and len(seen[0]) == found.n_train
    numbers = seen[0][:, 0, 0, 0].int() + 256 * seen[0][:, 0, 0, 1].int()
    assert numbers.unique().numel() == found.n_train == len(images) - found.n_holdout


def test_one_seed_gives_one_verdict_whatever_the_threads() -> None:
    images, label = long_tail()
    first = image_verdict(images, label, list("abcd"), {"gantools": oracle}, seed=3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        changed = torch.get_num_threads()
        again = image_verdict(images, label, list("abcd"), {"gantools": oracle}, seed=3)
        assert torch.get_num_threads() == changed
    finally:
        torch.set_num_threads(threads)
    assert again == first


def test_images_that_cannot_be_compared_say_why() -> None:
    images, label = long_tail()
    alone = image_verdict(images, label * 0, ["a"], {})
    assert alone.helped == "unclear" and "single class" in alone.sentence
    two = image_verdict(images[[0, 200]], label[[0, 200]], list("abcd"), {})
    assert "fewer than two classes" in two.sentence


def test_without_balancers_the_built_in_methods_are_compared() -> None:
    images, label = long_tail()
    found = image_verdict(images, label, list("abcd"), {})
    assert list(found.scores) == ["none", "threshold", "repetition", "classical"] and found.judged == ""


def test_a_class_of_one_image_trains_and_is_told() -> None:
    images, label = long_tail()
    rows = torch.nonzero((label != 3) | (torch.arange(len(label)) == len(label) - 1)).flatten()
    found = image_verdict(images[rows], label[rows], list("abcd"), {"gantools": oracle})
    assert "'d'" in found.notes[0] and "a single image" in found.notes[0]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda x, y, seed: (x[:, :, :8], y), "another shape"),
        (lambda x, y, seed: (x.float(), y), "another shape or type"),
        (lambda x, y, seed: (x, y + 4), "labels that the folder does not have"),
    ],
)
def test_what_does_not_fit_is_refused(made, message: str) -> None:
    images, label = long_tail()
    with pytest.raises(DataError, match=message):
        image_verdict(images, label, list("abcd"), {"gantools": made})


def test_the_classifier_learns() -> None:
    images, label = digits()
    net = train_classifier(images[:1200], label[:1200], 10, steps=100)
    (found,) = probabilities([net], images[1200:])
    assert found.sum(1).sub(1).abs().max() < 1e-9
    assert (found.argmax(1) == label[1200:]).double().mean() > 0.93


def test_classifier_features_say_what_they_are() -> None:
    images, label = long_tail()
    found = classifier_features(images, label, 4, seed=0)
    assert found.name == "classifier trained on the real images"
    assert features_of(found, images[:7]).shape == (7, 128)


def test_steps_shrink_with_the_size_of_images_and_are_never_few() -> None:
    assert steps_for(100_000, 28) > steps_for(100_000, 64) > steps_for(100_000, 256) >= 100
    assert steps_for(50, 16) == 100


class Seconds(Stage):
    """A stage of so many seconds, and what it was told."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.told = seconds, []

    def begin(self) -> float:
        return self.seconds

    def done(self, n: int, total: int | None, what: str = "steps") -> None:
        self.told.append((n, total))


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_classifiers_are_trained_in_the_time_that_there_is(seconds: float) -> None:
    """As many steps as the time is enough for, and never very few; how far they are is told to the end."""
    images, label = long_tail()
    stage = Seconds(seconds)
    began = time.perf_counter()
    train_classifiers([Lesson(images, label, seed) for seed in range(4)], 4, steps=10**6, stage=stage)
    total = stage.told[-1][1]
    assert stage.told[-1] == (total, total) and total >= 4 * FEWEST_STEPS
    if total > 4 * FEWEST_STEPS:
        assert time.perf_counter() - began < 3 * seconds


def test_time_to_spare_changes_nothing() -> None:
    images, label = long_tail()
    one, other = (train_classifier(images, label, 4, steps=12, stage=stage) for stage in (Seconds(1000), None))
    assert torch.equal(one.head.weight, other.head.weight)
