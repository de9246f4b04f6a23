"""Options are checked where they enter, and the message names the option."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from gantools.config import TrainConfig, build
from gantools.errors import ConfigError
from gantools.registry import discover


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 0}, "steps: must be from 1 to 1,000,000,000"),
        ({"budget_s": float("nan")}, "budget_s"),
        ({"batch_size": 1}, "batch_size: must be at least 2"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"device": "tpu"}, "device: must be auto, cpu, cuda or cuda:N"),
        ({"precision": "16"}, "precision"),
        ({"ema_decay": 1.0}, "ema_decay"),
    ],
)
def test_bad_training_options_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**given)


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("cgan", {"width": 0}),
        ("cgan", {"lr": -1}),
        ("cgan", {"n_critic": 0}),
        ("cgan", {"replay": 2}),
        ("wgan", {"clip": 0}),
        ("wgan-gp", {"penalty_weight": -1}),
        ("tabular", {"n_folds": 1}),
        ("tabular", {"dropout": 1}),
        ("tabular", {"class_balance": 1.5}),
    ],
)
def test_bad_model_options_are_named(model: str, given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ConfigError, match=f"set {name}: must"):
        build(discover()[model].Options, given)


@pytest.mark.parametrize(
    ("value", "want"), [("12", 12), (12.0, 12), ("none", None), ("1.5", ConfigError), ("many", ConfigError)]
)
def test_text_becomes_the_type_of_the_field(value: Any, want: Any) -> None:
    if want is ConfigError:
        with pytest.raises(ConfigError, match="is not a whole number"):
            build(TrainConfig, {"steps": value})
    else:
        assert build(TrainConfig, {"steps": value}).steps == want


def test_an_unknown_option_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'batch_size'"):
        build(TrainConfig, {"batch_sise": 4})


def test_a_configuration_survives_json() -> None:
    config = TrainConfig(steps=5, budget_s=1.5, device="cuda:1", tensorboard=True)
    assert build(TrainConfig, asdict(config)) == config
