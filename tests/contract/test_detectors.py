"""Every registered detector lives the same life: it is tested by existing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gantools import AnomalyScorer
from gantools.encode.table import Layout
from gantools.errors import ConfigError
from gantools.models.base import Batch, DataSpec, Detector
from gantools.nn.conditioning import Condition
from gantools.registry import discover, get
from gantools.train import parameters

DETECTORS = sorted(name for name, cls in discover().items() if cls.purpose == "score")
GENERATORS = sorted(name for name, cls in discover().items() if cls.purpose == "generate")
WIDTH = 7


def made(name: str) -> Detector:
    torch.manual_seed(0)
    cls = discover()[name]
    detector = cls(DataSpec(Layout(WIDTH, ())), cls.tiny())
    assert isinstance(detector, Detector)
    return detector


def batch(detector: Detector, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    nothing = torch.zeros(16, dtype=torch.int64)
    return Batch(torch.randn(detector.n_folds, 16, WIDTH, generator=random), Condition(), nothing, 0.5, random)


def fitted(name: str, frame: pd.DataFrame, **more: Any) -> AnomalyScorer:
    asked = {"options": asdict(discover()[name].tiny()), "steps": 12, "batch_size": 32, "random_state": 3}
    fit = {key: more.pop(key) for key in ("folder", "resume", "progress") if key in more}
    return AnomalyScorer(model=name, **{**asked, "device": "cpu", **more}).fit(frame, **fit)


@pytest.fixture(scope="module")
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table()


@pytest.fixture(scope="module", params=DETECTORS)
def scorer(request: pytest.FixtureRequest, frame: pd.DataFrame) -> AnomalyScorer:
    return fitted(request.param, frame)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_phase_moves_its_nets_and_no_other(name: str) -> None:
    detector = made(name)
    moved = set()
    for phase in detector.phases():
        detector.zero_grad()
        loss = phase.loss(batch(detector))
        assert loss.shape == () and torch.isfinite(loss)
        own = [p for net in phase.nets for p in getattr(detector, net).parameters()]
        grads = torch.autograd.grad(loss, own, allow_unused=True)
        for net in phase.nets:
            parameters = list(getattr(detector, net).parameters())
            mine = [g for p, g in zip(own, grads, strict=True) if any(p is q for q in parameters)]
            assert any(g is not None and g.abs().sum() > 0 for g in mine), (phase.name, net)
        moved |= {id(p) for p in own}
    assert moved == {id(p) for p in detector.parameters() if p.requires_grad}  # no net is left as it was made


@pytest.mark.parametrize("name", DETECTORS)
def test_training_moves_every_net(name: str, frame: pd.DataFrame) -> None:
    few, more = (fitted(name, frame, steps=steps).head_.detector for steps in (1, 12))
    for net in {net for phase in made(name).phases() for net in phase.nets}:
        pairs = zip(getattr(few, net).parameters(), getattr(more, net).parameters(), strict=True)
        assert any(not torch.equal(one, other) for one, other in pairs), net


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("n", [1, 5])
def test_errors_and_verdicts(name: str, n: int) -> None:
    detector = made(name)
    for scale in (0.0, 1.0, 1000.0):
        x = scale * torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(n))
        errors = detector.errors(x)
        assert errors.shape == (detector.n_folds, detector.n_levels, n, WIDTH) and errors.dtype == torch.float32
        assert torch.isfinite(errors).all() and (errors >= 0).all()
        verdict = detector.opinion(x)
        if verdict is not None:
            assert verdict.shape == (detector.n_folds, n) and torch.isfinite(verdict).all()
        assert torch.equal(errors, detector.errors(x))  # scoring draws no lots


@pytest.mark.parametrize("name", DETECTORS)
def test_a_row_is_judged_by_itself(name: str) -> None:
    detector = made(name)
    x = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(detector.errors(x)[:, :, 2:3], detector.errors(x[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_criterion_repeats(name: str) -> None:
    detector = made(name)
    criterion = detector.held_out(batch(detector, seed=1))
    assert criterion.shape == () and torch.isfinite(criterion)
    assert torch.equal(criterion, detector.held_out(batch(detector, seed=1)))


@pytest.mark.parametrize("name", DETECTORS)
def test_folds_do_not_see_each_other(name: str) -> None:
    """What the nets of one fold learn from does not reach those of another."""
    detector = made(name)
    if detector.n_folds < 2:
        pytest.skip("one fold only")
    for phase in detector.phases():
        first, second = batch(detector), batch(detector)
        second.real[0] = second.real[0] * 3 + 1
        own = [p for net in phase.nets for p in getattr(detector, net).parameters()]
        one, other = (torch.autograd.grad(phase.loss(each), own, allow_unused=True) for each in (first, second))
        for a, b in zip(one, other, strict=True):
            if a is not None and b is not None and a.shape[0] == detector.n_folds:
                torch.testing.assert_close(a[1:], b[1:], rtol=1e-4, atol=1e-5)


def test_scores(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    score = scorer.anomaly_score(frame)
    assert score.shape == (len(frame),) and np.isfinite(score).all() and (score > 0).all()
    assert scorer.report_.stopped == "finished" and scorer.report_.steps == 12


def test_one_seed_one_result(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    again = fitted(scorer.model, frame)
    assert (again.anomaly_score(frame) == scorer.anomaly_score(frame)).all()
    assert again.threshold_ == scorer.threshold_
    other = fitted(scorer.model, frame, random_state=4)
    assert not (other.anomaly_score(frame) == scorer.anomaly_score(frame)).all()


def test_saved_and_loaded_gives_the_same_scores(scorer: AnomalyScorer, frame: pd.DataFrame, tmp_path: Path) -> None:
    scorer.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json", "metrics.jsonl", "schema.json", "weights.safetensors",
    ]  # fmt: skip
    loaded = AnomalyScorer.load(tmp_path / "model", device="cpu")
    assert (loaded.anomaly_score(frame) == scorer.anomaly_score(frame)).all()
    assert loaded.report_ == scorer.report_


@pytest.mark.parametrize("name", DETECTORS)
def test_resumed_equals_uninterrupted(
    name: str, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Any) -> None:
        if progress.step == 9:
            raise Killed

    often(monkeypatch)
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        fitted(name, frame, folder=folder, progress=kill)
    assert (folder / "state.safetensors").exists()
    resumed = fitted(name, frame, folder=folder, resume=True)
    whole = fitted(name, frame)
    for key, value in whole.head_.state_dict().items():
        assert torch.equal(value, resumed.head_.state_dict()[key]), key
    assert (resumed.anomaly_score(frame) == whole.anomaly_score(frame)).all()
    assert not (folder / "state.safetensors").exists()


def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training look, log and write checkpoints every few steps."""

    class Often(parameters.TrainConfig):
        def __init__(self, **given: Any) -> None:
            super().__init__(**{"eval_every": 6, "log_every": 3, "checkpoint_every_s": 0.0, **given})

    monkeypatch.setattr(parameters, "TrainConfig", Often)


@pytest.mark.parametrize("name", DETECTORS)
def test_tiny_options_are_quick(name: str) -> None:
    options = discover()[name].tiny()
    assert isinstance(options, discover()[name].Options) and options.steps <= 50
    assert sum(p.numel() for p in made(name).parameters()) < 50_000


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_makes_no_rows(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' scores rows and does not make them; choose one of .*tabular"):
        get(name, "generate")


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_scores_no_rows(name: str, frame: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' makes rows and does not score them; choose one of .*denoiser"):
        get(name, "score")
    with pytest.raises(ConfigError, match="does not score"):
        AnomalyScorer(model=name).fit(frame)


def test_a_detector_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no model called 'denoyser'; did you mean 'denoiser'"):
        get("denoyser", "score")


@pytest.mark.gpu
@pytest.mark.parametrize("name", DETECTORS)
def test_trained_on_a_gpu_loads_on_a_cpu(name: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    on_gpu = fitted(name, frame, device="cuda")
    on_gpu.save(tmp_path / "model")
    loaded = AnomalyScorer.load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(loaded.anomaly_score(frame), on_gpu.anomaly_score(frame), rtol=1e-3, atol=1e-3)
