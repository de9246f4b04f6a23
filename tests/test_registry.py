"""The shelf and the configurations."""

from __future__ import annotations

import pytest

from gantools import config, registry
from gantools.config import TrainConfig
from gantools.errors import ConfigError
from gantools.models.cgan import ConditionalGAN
from gantools.models.tabular import TabularOptions


def test_the_shelf_is_found() -> None:
    assert {"vanilla", "cgan", "wgan", "wgan-gp", "tabular"} <= set(registry.discover())
    for info in registry.list_models():
        assert info.summary and info.paper and info.options["steps"] > 0


def test_a_name_is_taken_once() -> None:
    class Other(ConditionalGAN):
        pass

    with pytest.raises(ConfigError, match="two models are called 'cgan'"):
        registry.register(Other)
    assert registry.register(ConditionalGAN) is ConditionalGAN


def test_values_become_what_the_fields_are() -> None:
    made = config.build(TabularOptions, {"n-blocks": "3", "lr": "1e-3"})
    assert (made.n_blocks, made.lr) == (3, 1e-3)
    assert config.build(TrainConfig, {"steps": "none", "tensorboard": "yes"}) == TrainConfig(tensorboard=True)
    assert config.build(TrainConfig, config.to_json(TrainConfig(steps=5, budget_s=2.0))) == TrainConfig(
        steps=5, budget_s=2.0
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batchsize": 4}, "did you mean 'batch_size'"),
        ({"batch_size": "many"}, "'many' is not a whole number"),
        ({"batch_size": "2.5"}, "is not a whole number"),
        ({"batch_size": None}, "needs a value"),
        ({"batch_size": 0}, "batch_size: must be at least 2"),
        ({"tensorboard": "perhaps"}, "is not true or false"),
        ({"device": "abacus"}, "device"),
        ({"precision": "8"}, "precision"),
        ({"budget_s": -1}, "budget_s"),
        ({"ema_decay": 1.0}, "ema_decay"),
    ],
)
def test_bad_values_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config.build(TrainConfig, values)
