"""Nets from picture to picture: what a place depends on, and holes filled by what is around them."""

from __future__ import annotations

import pytest
import torch

from gantools.nn.filling import Filling
from gantools.nn.unet import PatchCritic, PictureNet, ResidualUNet


@pytest.mark.parametrize(("n_levels", "n_blocks", "skips"), [(1, 1, True), (2, 2, True), (3, 1, True), (1, 4, False)])
def test_a_place_depends_on_nothing_beyond_reach(n_levels: int, n_blocks: int, skips: bool) -> None:
    torch.manual_seed(0)
    net = ResidualUNet(1, 1, 4, n_levels, n_blocks, skips=skips)
    for parameter in net.parameters():  # the last layers of blocks start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    side = 2 * net.reach + 2 * net.multiple
    x = torch.zeros(1, 1, net.multiple, side, requires_grad=True)
    for place in (side // 2, side // 2 + 1, side // 2 + net.multiple - 1):
        (gradient,) = torch.autograd.grad(net(x)[0, 0, 0, place], x)
        columns = gradient.abs().sum((0, 1, 2)).nonzero().squeeze(1)
        assert columns.min() >= place - net.reach and columns.max() <= place + net.reach
        assert columns.max() - columns.min() > net.reach / 2  # the bound is not far off


def test_the_critic_gives_a_map_of_logits() -> None:
    critic = PatchCritic(4, 8, 2)
    assert critic(torch.zeros(3, 4, 32, 24)).shape == (3, 8 * 6)
    assert [x.shape[2] for x in critic.features(torch.zeros(1, 4, 32, 32))] == [16, 8, 8]


def test_nets_say_what_they_need() -> None:
    net = ResidualUNet(3, 1, 4, 2, 1)
    assert isinstance(net, PictureNet) and net.multiple == 8
    assert net(torch.zeros(2, 3, 8, 16)).shape == (2, 1, 8, 16)


def test_holes_take_what_is_around_them() -> None:
    filling = Filling(3)
    picture = torch.full((1, 2, 32, 32), 0.25)
    known = torch.ones(1, 1, 32, 32)
    known[:, :, 8:20, 4:24] = 0
    torch.testing.assert_close(filling(picture * known, known), picture)
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    filled = filling(ramp * known, known)
    assert (filled - ramp).abs().max() < 0.5 and torch.equal(filled.isfinite(), torch.ones_like(filled).bool())
    garbage = torch.where(known > 0, ramp, torch.full_like(ramp, 7.0))
    torch.testing.assert_close(filling(garbage, known), filled)


def test_nothing_known_is_mid_grey() -> None:
    assert not Filling(3)(torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)).any()


def test_what_is_filled_in_depends_on_nothing_beyond_reach() -> None:
    filling = Filling(3)
    known = torch.ones(1, 1, 8, 160)
    known[:, :, :, 72:88] = 0
    one, other = torch.zeros(1, 1, 8, 160), torch.zeros(1, 1, 8, 160)
    other[:, :, :, : 80 - filling.reach] = 1
    assert torch.equal(filling(one, known)[..., 80:], filling(other, known)[..., 80:])
