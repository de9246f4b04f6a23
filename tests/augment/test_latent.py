"""Seeds, noise, and what lies between two images."""

from __future__ import annotations

import pytest
import torch

from gantools.augment.latent import RUN, between, noise_of, seeds_of_run


def test_noise_belongs_to_its_seed_alone() -> None:
    noise = noise_of([5, 3, 5, RUN + 5], 8)
    torch.testing.assert_close(noise[0], noise[2], rtol=0, atol=0)
    torch.testing.assert_close(noise[1:2], noise_of([3], 8), rtol=0, atol=0)
    assert not torch.equal(noise[0], noise[1]) and not torch.equal(noise[0], noise[3])


def test_no_two_runs_share_an_image() -> None:
    one, other = seeds_of_run(0, 1000), seeds_of_run(1, 1000)
    assert not set(one) & set(other) and len(one) == len(other) == 1000


def test_any_seed_of_a_run_gives_seeds_that_can_be_given_again() -> None:
    for seed in (0, 9_223_372_035, 10**10, 2**63 - 1):
        seeds = seeds_of_run(seed, 10)
        assert 0 <= seeds[0] < seeds[-1] < 2**63
        assert noise_of(seeds[-1:], 4).shape == (1, 4)


def test_steps_lead_from_one_noise_to_the_other_and_keep_its_size() -> None:
    one, other = noise_of([1, 2], 4000)
    steps = between(one, other, 5)
    torch.testing.assert_close(steps[0], one)
    torch.testing.assert_close(steps[-1], other)
    size = steps.square().mean(1).sqrt()
    assert size.min() > 0.95 and size.max() < 1.05
    apart = (steps[1:] - steps[:-1]).norm(dim=1)
    assert float(apart.max() / apart.min()) == pytest.approx(1, abs=0.05)


def test_one_seed_twice_stays_where_it_is() -> None:
    (one,) = noise_of([1], 16)
    assert torch.isfinite(between(one, one, 4)).all() and torch.allclose(between(one, one, 4), one.expand(4, -1))
