"""Every registered image detector lives the same life: it is tested by existing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantools.encode.images import ImageLayout
from gantools.models.base import Batch, DataSpec, ImageDetector
from gantools.nn.conditioning import Condition
from gantools.registry import discover
from gantools.score.image_scorer import ImageScorer
from gantools.train import parameters

DETECTORS = sorted(name for name, cls in discover("image").items() if cls.purpose == "score")
SIZE = 16


def made(name: str, channels: int = 1, size: int = SIZE) -> ImageDetector:
    torch.manual_seed(0)
    cls = discover("image")[name]
    detector = cls(DataSpec(ImageLayout(channels, size)), cls.tiny())
    assert isinstance(detector, ImageDetector)
    return detector


def batch(detector: ImageDetector, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    nothing = torch.zeros(8, dtype=torch.int64)
    real = torch.rand(detector.n_folds, 8, 1, SIZE, SIZE, generator=random) * 2 - 1
    return Batch(real, Condition(), nothing, 0.5, random)


def fitted(name: str, images: np.ndarray, **more: Any) -> ImageScorer:
    asked = {"options": asdict(discover("image")[name].tiny()), "steps": 12, "batch_size": 8, "random_state": 3}
    fit = {key: more.pop(key) for key in ("folder", "resume", "progress") if key in more}
    return ImageScorer(model=name, **{**asked, "device": "cpu", "memory": 200, **more}).fit(images, **fit)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE), dtype=np.uint8)


@pytest.fixture(scope="module", params=DETECTORS)
def scorer(request: pytest.FixtureRequest, images: np.ndarray) -> ImageScorer:
    return fitted(request.param, images)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_phase_moves_its_nets_and_no_other(name: str) -> None:
    detector = made(name)
    moved = set()
    for phase in detector.phases():
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
def test_training_moves_every_net(name: str, images: np.ndarray) -> None:
    few, more = (fitted(name, images, steps=steps).head_.detector for steps in (1, 12))
    for net in {net for phase in made(name).phases() for net in phase.nets}:
        pairs = zip(getattr(few, net).parameters(), getattr(more, net).parameters(), strict=True)
        assert any(not torch.equal(one, other) for one, other in pairs), net


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(("n", "channels", "size"), [(1, 1, 16), (3, 3, 28), (2, 4, 40)])
def test_maps(name: str, n: int, channels: int, size: int) -> None:
    detector = made(name, channels, size).eval()
    x = torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(n)) * 2 - 1
    maps = detector.maps(x)
    assert maps.shape == (detector.n_folds, detector.n_maps, n, size, size) and torch.isfinite(maps).all()
    assert torch.equal(maps, detector.maps(x))  # scoring draws no lots
    torch.testing.assert_close(maps[:, :, :1], detector.maps(x[:1]), rtol=1e-3, atol=1e-4)  # each by itself


@pytest.mark.parametrize("name", DETECTORS)
def test_the_criterion_repeats(name: str) -> None:
    detector = made(name)
    criterion = detector.held_out(batch(detector, seed=1))
    assert criterion.shape == () and torch.isfinite(criterion)
    assert torch.equal(criterion, detector.held_out(batch(detector, seed=1)))


def test_scores(scorer: ImageScorer, images: np.ndarray) -> None:
    score = scorer.anomaly_score(images)
    assert score.shape == (len(images),) and np.isfinite(score).all() and (score > 0).all()
    assert scorer.report_.stopped == "finished" and scorer.report_.steps == 12


def test_one_seed_one_result(scorer: ImageScorer, images: np.ndarray) -> None:
    again = fitted(scorer.model, images)
    assert (again.anomaly_score(images) == scorer.anomaly_score(images)).all()
    assert again.threshold_ == scorer.threshold_ and again.pixel_threshold_ == scorer.pixel_threshold_
    other = fitted(scorer.model, images, random_state=4)
    assert not (other.anomaly_score(images) == scorer.anomaly_score(images)).all()


def test_saved_and_loaded_gives_the_same_scores(scorer: ImageScorer, images: np.ndarray, tmp_path: Path) -> None:
    scorer.save(tmp_path / "model")
    loaded = ImageScorer.load(tmp_path / "model", device="cpu")
    assert (loaded.anomaly_score(images) == scorer.anomaly_score(images)).all()
    assert all((a == b).all() for a, b in zip(loaded.explain(images), scorer.explain(images), strict=True))
    assert loaded.report_ == scorer.report_ and loaded.schema_ == scorer.schema_


@pytest.mark.parametrize("name", DETECTORS)
def test_resumed_equals_uninterrupted(
    name: str, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    class Often(parameters.TrainConfig):
        def __init__(self, **given: Any) -> None:
            super().__init__(**{"eval_every": 6, "log_every": 3, "checkpoint_every_s": 0.0, **given})

    def kill(progress: Any) -> None:
        if progress.step == 9:
            raise Killed

    monkeypatch.setattr(parameters, "TrainConfig", Often)
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        fitted(name, images, folder=folder, progress=kill)
    assert (folder / "state.safetensors").exists()
    resumed = fitted(name, images, folder=folder, resume=True)
    whole = fitted(name, images)
    for key, value in whole.head_.state_dict().items():
        assert torch.equal(value, resumed.head_.state_dict()[key]), key
    assert not (folder / "state.safetensors").exists()


@pytest.mark.parametrize("name", DETECTORS)
def test_tiny_options_are_quick(name: str) -> None:
    options = discover("image")[name].tiny()
    assert isinstance(options, discover("image")[name].Options) and options.steps <= 50
    assert sum(p.numel() for p in made(name).parameters()) < 50_000
