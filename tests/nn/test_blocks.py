"""The blocks do what their papers say."""

from __future__ import annotations

import pytest
import torch

from gantools.nn.blocks import MinibatchDiscrimination, PerClass, ResidualBlock, SegmentedSoftmax
from gantools.nn.ema import update_average


def test_segmented_softmax_is_a_softmax_per_block() -> None:
    logits = torch.randn(6, 9, generator=torch.Generator().manual_seed(0)) * 5
    got = SegmentedSoftmax((2, 4, 3))(logits)
    want = torch.cat([part.softmax(1) for part in logits.split((2, 4, 3), 1)], 1)
    torch.testing.assert_close(got, want)


def test_segmented_softmax_comes_to_one_under_autocast_too() -> None:
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        got = SegmentedSoftmax((2, 4, 3)).gumbel(logits, torch.rand(50, 9), 0.5)
    for part in got.split((2, 4, 3), 1):
        torch.testing.assert_close(part.sum(1), torch.ones(50))


def test_hard_draws_follow_the_probabilities() -> None:
    random = torch.Generator().manual_seed(0)
    softmax = SegmentedSoftmax((3, 2))
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0, 0.0]])
    x = softmax.draw(logits.expand(40_000, -1), torch.rand(40_000, 2, generator=random))
    assert (x.split((3, 2), 1)[0].sum(1) == 1).all() and (x.split((3, 2), 1)[1].sum(1) == 1).all()
    torch.testing.assert_close(x.mean(0), softmax(logits)[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_hard_draws_are_whole_at_the_ends(uniform: float) -> None:
    softmax = SegmentedSoftmax((3, 4, 1))
    logits = torch.randn(500, 8, generator=torch.Generator().manual_seed(1)) * 10
    x = softmax.draw(logits, torch.full((500, 3), uniform))
    assert all((part.sum(1) == 1).all() for part in x.split((3, 4, 1), 1))


def test_a_residual_block_starts_as_the_identity() -> None:
    x = torch.randn(4, 8)
    assert torch.equal(ResidualBlock(8)(x), x)


def test_per_class_gives_each_row_its_own_net() -> None:
    nets = [torch.nn.Linear(2, 3) for _ in range(2)]
    x, label = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    want = torch.stack([nets[int(k)](row) for k, row in zip(label, x, strict=True)])
    torch.testing.assert_close(PerClass(nets)(label, x), want)


def test_minibatch_discrimination_sees_collapse() -> None:
    layer = MinibatchDiscrimination(4)
    alike, apart = torch.zeros(16, 4), torch.randn(16, 4, generator=torch.Generator().manual_seed(0)) * 10
    assert layer(alike)[:, 4:].mean().item() == pytest.approx(15)
    assert layer(apart)[:, 4:].mean() < 5


def test_average_follows_slowly_only_what_is_averaged() -> None:
    def nets(value: float) -> torch.nn.Module:
        both = torch.nn.ModuleDict({"generator": torch.nn.Linear(1, 1), "discriminator": torch.nn.Linear(1, 1)})
        for p in both.parameters():
            torch.nn.init.constant_(p, value)
        return both

    average = nets(0.0)
    update_average(average, nets(1.0), ("generator",), decay=0.9, step=10_000)
    assert average["generator"].weight.item() == pytest.approx(0.1)
    assert average["discriminator"].weight.item() == 1.0
