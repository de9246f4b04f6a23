"""Every registered detector, of rows or of images, lives the same life: it is tested by existing."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import gantools
from gantools.encode.images import ImageLayout
from gantools.encode.table import Layout
from gantools.errors import ConfigError
from gantools.models.base import Batch, DataSpec, Detector
from gantools.nn.conditioning import Condition
from gantools.registry import discover, get
from gantools.score.image_scorer import ImageScorer
from gantools.score.table_scorer import AnomalyScorer
from gantools.train import parameters

from .examples import Registered

WIDTH, SIZE = 7, 16
LAYOUTS: dict[str, Any] = {"table": Layout(WIDTH, ()), "image": ImageLayout(1, SIZE)}
SHAPES = {"table": (16, WIDTH), "image": (8, 1, SIZE, SIZE)}  # of the batch of each fold
QUICK = {"steps": 12, "random_state": 3, "device": "cpu"}
GENERATORS = sorted(name for name, cls in discover().items() if cls.purpose == "generate")


class Case(Registered):
    """A registered detector."""

    def made(self, layout: Any = None) -> Any:
        torch.manual_seed(0)
        return self.cls(DataSpec(layout or LAYOUTS[self.modality]), self.cls.tiny())

    def batch(self, n_folds: int, seed: int = 0) -> Batch:
        random = torch.Generator().manual_seed(seed)
        shape = SHAPES[self.modality]
        real = torch.randn(n_folds, *shape, generator=random)
        if self.modality == "image":
            real = torch.rand(n_folds, *shape, generator=random) * 2 - 1
        return Batch(real, Condition(), torch.zeros(shape[0], dtype=torch.int64), 0.5, random)

    def fitted(self, data: dict[str, Any], **more: Any) -> Any:
        fit = {key: more.pop(key) for key in ("folder", "resume", "progress") if key in more}
        asked = {"model": self.name, "options": asdict(self.cls.tiny()), **QUICK}
        if self.modality == "table":
            return AnomalyScorer(**{**asked, "batch_size": 32, **more}).fit(data["table"], **fit)
        return ImageScorer(**{**asked, "batch_size": 8, "memory": 200, **more}).fit(data["image"], **fit)


CASES = [
    Case(modality, name) for modality in LAYOUTS for name, cls in discover(modality).items() if cls.purpose == "score"
]
every_detector = pytest.mark.parametrize("case", CASES, ids=str)
of_rows = pytest.mark.parametrize("case", [case for case in CASES if case.modality == "table"], ids=str)
of_images = pytest.mark.parametrize("case", [case for case in CASES if case.modality == "image"], ids=str)


@pytest.fixture(scope="module")
def data(make_table: Callable[..., pd.DataFrame]) -> dict[str, Any]:
    images = np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE), dtype=np.uint8)
    return {"table": make_table(), "image": images}


@pytest.fixture(scope="module", params=CASES, ids=str)
def trained(request: pytest.FixtureRequest, data: dict[str, Any]) -> tuple[Case, Any, Any]:
    """A case, its scorer, and what this has learned from."""
    return request.param, request.param.fitted(data), data[request.param.modality]


@every_detector
def test_every_phase_moves_its_nets_and_no_other(case: Case) -> None:
    detector, moved = case.made(), set()
    for phase in detector.phases():
        loss = phase.loss(case.batch(detector.n_folds))
        assert loss.shape == () and torch.isfinite(loss)
        own = [p for net in phase.nets for p in getattr(detector, net).parameters()]
        grads = torch.autograd.grad(loss, own, allow_unused=True)
        for net in phase.nets:
            of_net = {id(p) for p in getattr(detector, net).parameters()}
            mine = [g for p, g in zip(own, grads, strict=True) if id(p) in of_net]
            assert any(g is not None and g.abs().sum() > 0 for g in mine), (phase.name, net)
        moved |= {id(p) for p in own}
    assert moved == {id(p) for p in detector.parameters() if p.requires_grad}  # no net is left as it was made


@every_detector
def test_training_moves_every_net(case: Case, data: dict[str, Any]) -> None:
    few, more = (case.fitted(data, steps=steps).head_.detector for steps in (1, 12))
    for net in {net for phase in case.made().phases() for net in phase.nets}:
        pairs = zip(getattr(few, net).parameters(), getattr(more, net).parameters(), strict=True)
        assert any(not torch.equal(one, other) for one, other in pairs), net


@of_rows
@pytest.mark.parametrize("n", [1, 5])
def test_errors_and_opinions(case: Case, n: int) -> None:
    detector = case.made()
    assert isinstance(detector, Detector)
    for scale in (0.0, 1.0, 1000.0):
        x = scale * torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(n))
        errors = detector.errors(x)
        assert errors.shape == (detector.n_folds, detector.n_levels, n, WIDTH) and errors.dtype == torch.float32
        assert torch.isfinite(errors).all() and (errors >= 0).all()
        opinion = detector.opinion(x)
        if opinion is not None:
            assert opinion.shape == (detector.n_folds, n) and torch.isfinite(opinion).all()
        assert torch.equal(errors, detector.errors(x))  # scoring draws no lots


@of_rows
def test_a_row_is_judged_by_itself(case: Case) -> None:
    detector = case.made()
    x = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(detector.errors(x)[:, :, 2:3], detector.errors(x[2:3]), rtol=1e-4, atol=1e-5)


@of_images
@pytest.mark.parametrize(("n", "channels", "size"), [(1, 1, 16), (3, 3, 28), (2, 4, 40)])
def test_maps(case: Case, n: int, channels: int, size: int) -> None:
    detector = case.made(ImageLayout(channels, size)).eval()
    x = torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(n)) * 2 - 1
    maps = detector.maps(x)
    assert maps.shape == (detector.n_folds, detector.n_maps, n, size, size) and torch.isfinite(maps).all()
    assert torch.equal(maps, detector.maps(x))  # scoring draws no lots
    torch.testing.assert_close(maps[:, :, :1], detector.maps(x[:1]), rtol=1e-3, atol=1e-4)  # each by itself


@every_detector
def test_the_criterion_repeats(case: Case) -> None:
    detector = case.made()
    criterion = detector.held_out(case.batch(detector.n_folds, seed=1))
    assert criterion.shape == () and torch.isfinite(criterion)
    assert torch.equal(criterion, detector.held_out(case.batch(detector.n_folds, seed=1)))


@of_rows
def test_folds_do_not_see_each_other(case: Case) -> None:
    """What the nets of one fold learn from does not reach those of another."""
    detector = case.made()
    if detector.n_folds < 2:
        pytest.skip("one fold only")
    for phase in detector.phases():
        first, second = case.batch(detector.n_folds), case.batch(detector.n_folds)
        second.real[0] = second.real[0] * 3 + 1
        own = [p for net in phase.nets for p in getattr(detector, net).parameters()]
        one, other = (torch.autograd.grad(phase.loss(each), own, allow_unused=True) for each in (first, second))
        for a, b in zip(one, other, strict=True):
            if a is not None and b is not None and a.shape[0] == detector.n_folds:
                torch.testing.assert_close(a[1:], b[1:], rtol=1e-4, atol=1e-5)


def test_scores(trained: tuple[Case, Any, Any]) -> None:
    _, scorer, X = trained
    score = scorer.anomaly_score(X)
    assert score.shape == (len(X),) and np.isfinite(score).all() and (score > 0).all()
    assert scorer.report_.stopped == "finished" and scorer.report_.steps == 12


def test_thresholds_follow_what_is_asked_for(trained: tuple[Case, Any, Any]) -> None:
    """Rates, tuning and a tail work alike for rows and images, after fitting too."""
    _, scorer, X = trained
    before = scorer.threshold_
    score = scorer.anomaly_score(X)
    try:
        assert scorer.set_false_alarms(0.3).threshold_ == scorer.calibration_.threshold(0.3) != before
        scorer.set_params(false_alarms=0.4)
        assert scorer.threshold_ == scorer.calibration_.threshold(0.4)
        y = score > np.median(score)
        assert scorer.tune(X, y).best_f1_ == 1.0 and (scorer.predict(X) == np.where(y, -1, 1)).all()
        assert np.array_equal(scorer.p_value(X), scorer.calibration_.p_value(score))
    finally:
        scorer.set_false_alarms(0.01)
    assert scorer.threshold_ == before


def test_one_seed_one_result(trained: tuple[Case, Any, Any], data: dict[str, Any]) -> None:
    case, scorer, X = trained
    again = case.fitted(data)
    assert (again.anomaly_score(X) == scorer.anomaly_score(X)).all() and again.threshold_ == scorer.threshold_
    if case.modality == "image":
        assert again.pixel_threshold_ == scorer.pixel_threshold_
    other = case.fitted(data, random_state=4)
    assert not (other.anomaly_score(X) == scorer.anomaly_score(X)).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda scorer: pickle.loads(pickle.dumps(scorer))])
def test_copies_score_alike_and_stand_alone(trained: tuple[Case, Any, Any], copied: Callable[[Any], Any]) -> None:
    _, scorer, X = trained
    again, threshold = copied(scorer), scorer.threshold_
    assert (again.anomaly_score(X) == scorer.anomaly_score(X)).all() and again.threshold_ == threshold
    assert again.set_params(false_alarms=0.3).threshold_ != threshold == scorer.threshold_


def test_saved_and_loaded_gives_the_same_scores(trained: tuple[Case, Any, Any], tmp_path: Path) -> None:
    case, scorer, X = trained
    scorer.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json", "metrics.jsonl", "schema.json", "weights.safetensors",
    ]  # fmt: skip
    loaded: Any = gantools.load(tmp_path / "model", device="cpu")
    assert type(loaded) is type(scorer)
    assert (loaded.anomaly_score(X) == scorer.anomaly_score(X)).all() and loaded.threshold_ == scorer.threshold_
    assert loaded.report_ == scorer.report_ and loaded.schema_ == scorer.schema_
    if case.modality == "image":
        assert all((a == b).all() for a, b in zip(loaded.explain(X), scorer.explain(X), strict=True))


@every_detector
def test_resumed_equals_uninterrupted(
    case: Case, data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    class Often(parameters.TrainConfig):
        """Looks, logs and writes checkpoints every few steps."""

        def __init__(self, **given: Any) -> None:
            super().__init__(**{"eval_every": 6, "log_every": 3, "checkpoint_every_s": 0.0, **given})

    def kill(progress: Any) -> None:
        if progress.step == 9:
            raise Killed

    monkeypatch.setattr(parameters, "TrainConfig", Often)
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        case.fitted(data, folder=folder, progress=kill)
    assert (folder / "state.safetensors").exists()
    resumed = case.fitted(data, folder=folder, resume=True)
    whole = case.fitted(data)
    for key, value in whole.head_.state_dict().items():
        assert torch.equal(value, resumed.head_.state_dict()[key]), key
    X = data[case.modality]
    assert (resumed.anomaly_score(X) == whole.anomaly_score(X)).all()
    assert not (folder / "state.safetensors").exists()


@every_detector
def test_tiny_options_are_quick(case: Case) -> None:
    assert isinstance(case.cls.tiny(), case.cls.Options) and case.cls.tiny().steps <= 50
    assert sum(p.numel() for p in case.made().parameters()) < 50_000


@of_rows
def test_a_detector_makes_no_rows(case: Case) -> None:
    with pytest.raises(ConfigError, match=f"'{case.name}' scores rows and does not make them; choose one of .*tabular"):
        get(case.name, "generate")


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_scores_no_rows(name: str, data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' makes rows and does not score them; choose one of .*denoiser"):
        get(name, "score")
    with pytest.raises(ConfigError, match="does not score"):
        AnomalyScorer(model=name).fit(data["table"])


def test_a_detector_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no model called 'denoyser'; did you mean 'denoiser'"):
        get("denoyser", "score")


@pytest.mark.gpu
@of_rows
def test_trained_on_a_gpu_loads_on_a_cpu(case: Case, data: dict[str, Any], tmp_path: Path) -> None:
    on_gpu = case.fitted(data, device="cuda")
    on_gpu.save(tmp_path / "model")
    loaded: Any = gantools.load(tmp_path / "model", device="cpu")
    X = data["table"]
    np.testing.assert_allclose(loaded.anomaly_score(X), on_gpu.anomaly_score(X), rtol=1e-3, atol=1e-3)
