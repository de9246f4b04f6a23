"""The stabilisers that the plain GANs for tables share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig

TINY = {"width": 16, "noise_dim": 8}


@pytest.fixture(scope="module")
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table()


def test_stabilisers_change_training(frame: pd.DataFrame) -> None:
    def weights(**options: Any) -> Tensor:
        made = Synthesizer("cgan", {**TINY, **options}, TrainConfig(steps=8, batch_size=16, eval_every=8, device="cpu"))
        return next(made.fit(frame, "churned").gan_.generator.parameters())

    plain = weights()
    for options in (
        {"label_smoothing": 0.1},
        {"minibatch_discrimination": True},
        {"replay": 0.5},
        {"spectral_norm": True},
        {"gradient_penalty": 1.0},
        {"batch_norm": True},
        {"lr_ratio": 4.0},
        {"lr_decay": False},
    ):
        assert not torch.equal(plain, weights(**options)), options


def test_wgan_clips(frame: pd.DataFrame) -> None:
    made = Synthesizer("wgan", {**TINY, "clip": 0.02}, TrainConfig(steps=4, batch_size=16, device="cpu")).fit(
        frame, "churned"
    )
    assert max(p.abs().max() for p in made.gan_.discriminator.parameters()) <= 0.02
