"""Classical augmentation: changed but recognisable images, backgrounds kept, mirrored only where that is harmless."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gantools.errors import ConfigError
from gantools.nn.augment import CHANGES, Changes, augmented, flip_symmetric, parse_changes


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """[1797, 1, 16, 16] uint8 and labels."""
    x, y = load_digits(return_X_y=True)
    images = np.minimum(x.reshape(-1, 8, 8) * 16, 255).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    return torch.from_numpy(images)[:, None], torch.from_numpy(y).long()


def test_images_are_changed_a_little_and_one_seed_gives_one_result() -> None:
    images, _ = digits()
    made = augmented(images, random())
    assert made.shape == images.shape and made.dtype == torch.uint8
    assert torch.equal(made, augmented(images, random()))
    assert not torch.equal(made, augmented(images, random(1)))
    change = (made.float() - images.float()).abs().mean((1, 2, 3))
    strangers = (images.roll(1, 0).float() - images.float()).abs().mean((1, 2, 3))
    assert (change > 0).float().mean() > 0.99
    assert change.mean() < 0.8 * strangers.mean()


def test_a_plain_background_stays() -> None:
    images = torch.full((64, 3, 24, 24), 0, dtype=torch.uint8)
    assert augmented(images, random()).max() == 0
    images[:, :, 11:13, 11:13] = 255  # what is in the middle never reaches the edge
    edge = augmented(images, random())[:, :, 0].float()
    assert (edge - edge.mean(2, keepdim=True)).abs().max() < 1


def test_opacity_is_moved_but_not_lit() -> None:
    images = torch.zeros(32, 4, 16, 16, dtype=torch.uint8)
    images[:, :, :, 8:] = 200
    made = augmented(images, random())
    assert int(made[:, 3].max()) == 200
    assert made[:, :3].amax((1, 2, 3)).unique().numel() > 5


def test_images_are_mirrored_only_where_it_is_allowed() -> None:
    images = torch.zeros(200, 1, 16, 16, dtype=torch.uint8)
    images[:, :, :, :4] = 255
    flip = torch.arange(200) < 100
    made = augmented(images, random(), flip).float()
    mirrored = made[..., 8:].mean((1, 2, 3)) > made[..., :8].mean((1, 2, 3))
    assert 30 < int(mirrored[:100].sum()) < 70
    assert not mirrored[100:].any()


def test_changes_are_the_same_at_every_size_and_shape() -> None:
    """A square turned in a wide picture stays a square."""
    changes = Changes.drawn(40, random(), kinds=("rotate", "shift"))
    assert changes.scale.unique().tolist() == [1.0] and (changes.angle.abs() > 0.1).any()
    small, large = torch.zeros(40, 1, 40, 60), torch.zeros(40, 1, 80, 120)
    small[:, :, 15:25, 25:35], large[:, :, 30:50, 50:70] = 200, 200
    made = [changes.made(x.byte()).float() for x in (small, large)]
    assert (torch.nn.functional.avg_pool2d(made[1], 2) - made[0]).abs().mean() < 1
    assert made[0].sum((1, 2, 3)).div(small.sum((1, 2, 3))).sub(1).abs().max() < 0.05


def test_no_changes_leave_images_as_they_are() -> None:
    images, _ = digits()
    assert torch.equal(Changes.drawn(50, random(), kinds=()).made(images[:50]), images[:50])
    changes = Changes.drawn(5, random())
    assert torch.equal(changes[2:4].made(images[2:4]), changes.made(images[:5])[2:4])


def test_changes_are_read_from_words() -> None:
    assert parse_changes("all") == CHANGES
    assert parse_changes("light, rotate") == ("rotate", "light")
    for words in ("spin", "", "all,light"):
        with pytest.raises(ConfigError, match="vary: must be all, or some of rotate"):
            parse_changes(words)


def test_symmetric_classes_are_found_from_images_alone() -> None:
    rng = np.random.default_rng(0)
    both = rng.random((60, 1, 16, 16)) * 40
    for place, image in enumerate(both):
        image[0, 4:8, 2:6] += 200  # a spot on the left or on the right
        both[place] = image[..., ::-1] if rng.random() < 0.5 else image
    left = rng.random((60, 1, 16, 16)) * 40
    left[:, :, 4:8, 2:6] += 200
    few = both[:5]
    images = torch.from_numpy(np.concatenate([both, left, few]).astype(np.uint8))
    label = torch.tensor([0] * 60 + [1] * 60 + [2] * 5)
    assert flip_symmetric(images, label, 4).tolist() == [True, False, False, False]


def test_digits_are_not_mirrored() -> None:
    images, label = digits()
    assert not flip_symmetric(images, label, 10)[[2, 3, 4, 5, 6, 7, 9]].any()
