"""Every registered model lives the same life: it is tested by existing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import torch

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.models.base import Batch
from gantools.nn.conditioning import Condition
from gantools.registry import discover

MODELS = sorted(name for name, cls in discover().items() if cls.purpose == "generate")
TRAIN = TrainConfig(steps=12, batch_size=16, eval_every=6, log_every=3, seed=3)


def fitted(name: str, frame: pd.DataFrame, **train: object) -> Synthesizer:
    config = TrainConfig(**{**asdict(TRAIN), **train})
    return Synthesizer(name, asdict(discover()[name].tiny()), config).fit(frame, "churned")


@pytest.fixture(scope="module")
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table()


@pytest.fixture(scope="module", params=MODELS)
def maker(request: pytest.FixtureRequest, frame: pd.DataFrame) -> Synthesizer:
    return fitted(request.param, frame)


def test_labels_are_right_by_construction(maker: Synthesizer) -> None:
    rows = maker.sample({"yes": 7, "no": 3})
    assert rows["churned"].tolist() == ["yes"] * 7 + ["no"] * 3


def test_rows_look_like_the_table(maker: Synthesizer, frame: pd.DataFrame) -> None:
    rows = maker.sample(50)
    assert list(rows.columns) == list(frame.columns)
    assert rows.dtypes.to_dict() == frame.dtypes.to_dict()
    assert rows["age"].between(frame["age"].min(), frame["age"].max()).all()
    assert set(rows["city"]) <= set(frame["city"])
    assert rows["joined"].between(frame["joined"].min(), frame["joined"].max()).all()
    assert (rows["joined"] == rows["joined"].dt.normalize()).all()  # whole days, as in the table


def test_encoded_samples_are_finite_and_one_hot(maker: Synthesizer) -> None:
    condition = Condition(torch.tensor([0, 1] * 8))
    x = maker.gan_.sample(16, condition, torch.Generator().manual_seed(0))
    layout = maker.encoder_.layout
    assert x.shape == (16, layout.width) and x.dtype == torch.float32
    assert torch.isfinite(x).all()
    levels = x[:, layout.n_numeric :]
    assert ((levels == 0) | (levels == 1)).all()
    assert (levels.sum(1) == len(layout.blocks)).all()


def test_every_phase_moves_its_nets_and_no_other(maker: Synthesizer, frame: pd.DataFrame) -> None:
    gan = discover()[maker.model](maker.gan_.spec, maker.gan_.options)
    random = torch.Generator().manual_seed(0)
    condition = Condition(torch.arange(16) % 2)
    for phase in gan.phases():
        real = gan.sample(16, condition, random).detach()
        loss = phase.loss(Batch(real, condition, torch.arange(16), 0.0, random))
        assert loss.shape == () and torch.isfinite(loss)
        own = [p for net in phase.nets for p in getattr(gan, net).parameters()]
        grads = torch.autograd.grad(loss, own, allow_unused=True)
        assert any(g is not None and g.abs().sum() > 0 for g in grads), phase.name


def test_one_seed_one_result(maker: Synthesizer, frame: pd.DataFrame) -> None:
    again = fitted(maker.model, frame)
    pd.testing.assert_frame_equal(again.sample(20, seed=1), maker.sample(20, seed=1))
    assert not fitted(maker.model, frame, seed=4).sample(20, seed=1).equals(maker.sample(20, seed=1))


def test_saved_and_loaded_gives_the_same_rows(maker: Synthesizer, tmp_path: Path) -> None:
    maker.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json", "metrics.jsonl", "schema.json", "weights.safetensors",
    ]  # fmt: skip
    loaded = Synthesizer.load(tmp_path / "model", device="cpu")
    pd.testing.assert_frame_equal(loaded.sample({"yes": 9}, seed=5), maker.sample({"yes": 9}, seed=5))
    assert loaded.report_ == maker.report_


@pytest.mark.parametrize("name", MODELS)
def test_resumed_equals_uninterrupted(name: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: object) -> None:
        if progress.step == 9:  # type: ignore[attr-defined]
            raise Killed

    options, folder = asdict(discover()[name].tiny()), tmp_path / "run"
    config = TrainConfig(**{**asdict(TRAIN), "checkpoint_every_s": 0.0})
    with pytest.raises(Killed):
        Synthesizer(name, options, config).fit(frame, "churned", folder=folder, progress=kill)
    assert (folder / "state.safetensors").exists()
    resumed = Synthesizer(name, options, config).fit(frame, "churned", folder=folder, resume=True)
    whole = fitted(name, frame)
    for key, value in whole.gan_.state_dict().items():
        assert torch.equal(value, resumed.gan_.state_dict()[key]), key
    pd.testing.assert_frame_equal(resumed.sample(20), whole.sample(20))
    assert resumed.report_.best_step == whole.report_.best_step
    assert not (folder / "state.safetensors").exists()


def test_a_model_that_judges_gives_probabilities(maker: Synthesizer) -> None:
    x = maker.gan_.sample(3, Condition(torch.tensor([0, 1, 1])), torch.Generator().manual_seed(0))
    if maker.gan_.judges:
        torch.testing.assert_close(maker.gan_.evidence(x).exp().sum(1), torch.ones(3))
    else:
        with pytest.raises(NotImplementedError):
            maker.gan_.evidence(x)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_trained_on_a_gpu_loads_on_a_cpu(name: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    on_gpu = fitted(name, frame, device="cuda")
    on_gpu.to("cuda").save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model", device="cpu")
    assert next(loaded.gan_.parameters()).device.type == "cpu"
    assert loaded.sample({"yes": 5})["churned"].tolist() == ["yes"] * 5
