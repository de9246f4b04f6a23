"""Features of an untrained net."""

from __future__ import annotations

import torch

from gantools.nn.random_features import RandomFeatures


def test_every_feature_counts_alike_where_they_were_fitted() -> None:
    x = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = RandomFeatures(3)
    features.fit(x)
    torch.testing.assert_close(features(x).std(0), torch.ones(len(features.scale)))
    assert torch.equal(features(x), features(x))


def test_nets_are_the_same_every_time() -> None:
    x = torch.ones(2, 1, 20, 20)
    assert torch.equal(RandomFeatures(1)(x), RandomFeatures(1)(x))
