"""Memories of normal patches: what was seen is near, what was not is far, and an image is not compared with itself."""

from __future__ import annotations

import pytest
import torch

from gantools.nn.patches import EdgeFeatures, OrientedEdges, WholeFeatures, WholePatches
from gantools.score.patch_memory import PatchMemory, PlaceMemory, placed


def rows(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def memory(x: torch.Tensor, k: int = 1) -> PatchMemory:
    return PatchMemory.of(x, torch.arange(len(x)), torch.stack([x.mean(0), x.std(0)]), k)


def test_distances_are_those_of_the_nearest() -> None:
    known, new = rows(200, 0), rows(20, 1)
    held = memory(known)
    scaled, of_new = ((x - known.mean(0)) / known.std(0) for x in (known, new))
    distance, index = torch.cdist(of_new, scaled).min(1)
    torch.testing.assert_close(held(new), (distance + 1e-4).log() - held.usual[index] / 2, rtol=1e-4, atol=1e-4)


def test_an_image_is_not_compared_with_itself() -> None:
    known = rows(50, 0)
    held = memory(known, k=3)
    assert (held(known, torch.arange(50), 3) > held(known, k=3)).all()


def test_what_is_unlike_all_is_far() -> None:
    held = memory(rows(300, 0), k=3)
    assert held(rows(20, 1) + 8, k=3).min() > held(rows(20, 2), k=3).max()


def test_a_patch_is_compared_with_those_of_its_place_and_beside_it() -> None:
    known = torch.randn(5, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    held = PlaceMemory.of(known, torch.arange(5), torch.stack([torch.zeros(8), torch.ones(8)]))
    assert held(known).max() < -2  # each is remembered
    assert held(known.roll(1, 3))[:, :, 1:].max() < -2 and held(known.roll((1, -1), (2, 3)))[:, 1:, :-1].max() < -2
    assert held(known.roll(2, 3))[:, :, 2:].min() > -2
    assert held(known, torch.arange(5)).min() > -2  # but not taken for itself
    beyond = torch.cdist(known[:1, :, 0, 0], known[1:, :, :2, :2].movedim(1, 3).reshape(-1, 8)).min()
    torch.testing.assert_close(held(known, torch.arange(5))[0, 0, 0], beyond.log(), rtol=0.02, atol=0.02)


def test_edges_have_orientations() -> None:
    stripes = torch.sin(torch.arange(32.0) / 2).expand(1, 1, 32, 32)
    strength = OrientedEdges(4)(stripes)[0].mean((1, 2))
    assert strength.argmax() == 0
    assert OrientedEdges(4)(stripes.transpose(2, 3))[0].mean((1, 2)).argmax() == 2
    torch.testing.assert_close(OrientedEdges(4)(-stripes)[0].mean((1, 2)), strength)


def test_a_small_shift_matters_less_than_another_image() -> None:
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 1, 7, 7, generator=random)
    one, other = torch.nn.functional.interpolate(coarse, (28, 28), mode="bilinear").clamp(-1, 1)
    looks = WholeFeatures(28)
    here, moved, else_ = looks(torch.stack([one, one.roll(1, 2), other]))
    assert (here - moved).norm() < 0.6 * (here - else_).norm()


@pytest.mark.parametrize("side", [4, 14, 32])
def test_of_a_whole_image_what_lies_where_matters_not_what_is_everywhere(side: int) -> None:
    patches = torch.randn(1, 5, side, side, generator=torch.Generator().manual_seed(0))
    here, lighter, stronger, moved = WholePatches()(torch.cat([patches, patches + 3, patches * 2, patches.flip(3)]))
    torch.testing.assert_close(here, lighter, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(here, stronger)
    assert (here - moved).norm() > 0.5


@pytest.mark.parametrize(("size", "stride", "channels"), [(28, 2, 1), (256, 4, 3)])
def test_patches_know_their_place(size: int, stride: int, channels: int) -> None:
    looks = EdgeFeatures(stride)(torch.zeros(2, channels, size, size))
    assert looks.shape[2:] == (size // stride, size // stride)
    where = placed(looks)[..., -2:]
    assert where[0, 0, 0].tolist() == [0, 0] and where[1, -1, 0, 0] == 1 - stride / size
