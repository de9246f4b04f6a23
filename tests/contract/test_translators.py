"""Every registered translator lives the same life: it is tested by existing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gantools
from gantools.config import TrainConfig
from gantools.models.base import Batch, Translator
from gantools.nn.conditioning import Condition
from gantools.registry import discover
from gantools.transform.translator import ImageTranslator

from .examples import Registered, translations

QUICK = TrainConfig(steps=6, batch_size=4, eval_every=3, log_every=1, seed=3, device="cpu")


class Case(Registered):
    """A registered translator."""

    def fitted(self, train: dict[str, Any] | None = None, more: dict[str, Any] | None = None, **fit: Any) -> Any:
        data, degrade = translations(self.cls)
        options = {**asdict(self.cls.tiny()), "content": 0.4, **(more or {})}
        if self.cls.learns_from == "unpaired":
            del options["content"]
        config = TrainConfig(**{**asdict(QUICK), **(train or {})})
        return ImageTranslator(self.name, options, degrade, 16, config).fit(data, **fit)


CASES = [Case("image", name) for name, cls in discover("image").items() if cls.purpose == "transform"]
every_translator = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module", params=CASES, ids=str)
def trained(request: pytest.FixtureRequest) -> tuple[Case, ImageTranslator]:
    return request.param, request.param.fitted(more={"adversarial": 0.1})


def picture(translator: ImageTranslator, height: int, width: int, seed: int = 0) -> tuple[Any, Any]:
    """A picture that the translator takes, and a mask where it wants one."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (height, width, translator.schema_.channels), dtype=np.uint8)
    return pixels, random.random((height, width)) < 0.3 if translator.fills_holes_ else None


def batch(model: Translator, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    given, made = model.spec.condition.image, model.spec.layout
    assert given is not None
    real, image = (torch.rand(4, x.channels, x.size, x.size, generator=random) * 2 - 1 for x in (made, given))
    return Batch(real, Condition(image=image), torch.zeros(4, dtype=torch.int64), 0.9, random)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 30), (33, 18)])
def test_any_size(trained: tuple[Case, ImageTranslator], height: int, width: int) -> None:
    _, translator = trained
    made = translator.transform(*picture(translator, height, width))
    scale, channels = translator.scale_, translator.target_schema_.channels
    assert made.shape == (height * scale, width * scale, channels) and made.dtype == np.uint8


def test_tiles_leave_no_seam(trained: tuple[Case, ImageTranslator]) -> None:
    _, translator = trained
    reach, multiple = translator.translator_.reach, translator.translator_.multiple
    given = picture(translator, 2 * reach + 5 * multiple + 3, 3 * reach + 2)
    whole = translator.transform(*given, tile=10**6).astype(int)
    told: list[tuple[int, int]] = []
    tiled = translator.transform(*given, tile=2 * reach + multiple, on_tile=lambda *done: told.append(done))
    off = np.abs(tiled - whole)
    assert off.max() <= 1 and (off > 0).mean() < 1e-3
    assert told[-1][0] == told[-1][1] == len(told) > 2


def test_nothing_beyond_its_reach_matters(trained: tuple[Case, ImageTranslator]) -> None:
    _, translator = trained
    reach, scale = translator.translator_.reach, translator.scale_
    pixels, mask = picture(translator, 16, 2 * reach + 64)
    other, other_mask = pixels.copy(), None if mask is None else mask.copy()
    other[:, : reach // 2] = 255 - other[:, : reach // 2]
    one, two = translator.transform(pixels, mask).astype(int), translator.transform(other, other_mask).astype(int)
    beyond = (reach // 2 + reach) * scale
    assert np.abs(one - two)[:, beyond:].max() <= 1
    assert np.abs(one - two)[:, : reach // 2].max() > 1


@every_translator
def test_every_phase_moves_its_nets(case: Case) -> None:
    model = case.fitted(more={"adversarial": 0.1}).translator_.train().requires_grad_(True)
    for phase in model.phases():
        loss = phase.loss(batch(model))
        assert loss.shape == () and torch.isfinite(loss)
        for net in phase.nets:
            grads = torch.autograd.grad(
                loss, list(getattr(model, net).parameters()), allow_unused=True, retain_graph=True
            )
            assert any(g is not None and g.abs().sum() > 0 for g in grads), (phase.name, net)


@every_translator
def test_the_twin_without_adversary_has_no_critic_to_train(case: Case) -> None:
    model = case.fitted(more={"adversarial": 0.0}).translator_
    assert [phase.name for phase in model.phases()] == ["generator"]


def test_a_picture_does_not_depend_on_those_beside_it(trained: tuple[Case, ImageTranslator]) -> None:
    _, translator = trained
    model = translator.translator_
    given = model.spec.condition.image
    assert given is not None
    x = torch.rand(3, given.channels, 2 * model.multiple, 2 * model.multiple) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(model.transform(x)[:1], model.transform(x[:1]), atol=1e-5, rtol=1e-4)


def test_one_seed_one_result(trained: tuple[Case, ImageTranslator]) -> None:
    case, translator = trained
    given = picture(translator, 20, 26)
    again = case.fitted(more={"adversarial": 0.1})
    assert np.array_equal(again.transform(*given), translator.transform(*given))
    other = case.fitted({"seed": 4}, {"adversarial": 0.1})
    assert not np.array_equal(other.transform(*given), translator.transform(*given))


def test_saved_and_loaded_makes_the_same(trained: tuple[Case, ImageTranslator], tmp_path: Path) -> None:
    _, translator = trained
    translator.save(tmp_path / "model")
    loaded = gantools.load(tmp_path / "model", device="cpu")
    assert type(loaded) is ImageTranslator
    given = picture(translator, 20, 26)
    assert np.array_equal(loaded.transform(*given), translator.transform(*given))
    assert loaded.report_ == translator.report_ and loaded.schema_ == translator.schema_
    assert loaded.target_schema_ == translator.target_schema_


@every_translator
def test_resumed_equals_uninterrupted(case: Case, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Any) -> None:
        if progress.step == 4:
            raise Killed

    folder, often, more = tmp_path / "run", {"checkpoint_every_s": 0.0}, {"adversarial": 0.1}
    with pytest.raises(Killed):
        case.fitted(often, more, folder=folder, progress=kill)
    assert gantools.load(folder, device="cpu").report_.stopped == "interrupted"
    resumed = case.fitted(often, more, folder=folder, resume=True)
    whole = case.fitted(often, more)
    for key, value in whole.translator_.state_dict().items():
        assert torch.equal(value, resumed.translator_.state_dict()[key]), key
    assert not (folder / "state.safetensors").exists()


@every_translator
def test_pictures_while_training(case: Case, tmp_path: Path) -> None:
    case.fitted(folder=tmp_path / "model", grids=tmp_path / "grids")
    assert [p.name for p in sorted((tmp_path / "grids").iterdir())] == ["step_000003.png", "step_000006.png"]


@pytest.mark.gpu
@every_translator
def test_trained_on_a_gpu_loads_on_a_cpu(case: Case, tmp_path: Path) -> None:
    translator = case.fitted({"device": "cuda"}, {"adversarial": 0.1})
    translator.save(tmp_path / "model")
    loaded: Any = gantools.load(tmp_path / "model", device="cpu")
    given = picture(loaded, 20, 26)
    off = np.abs(loaded.transform(*given).astype(int) - translator.transform(*given))
    assert loaded.device_.type == "cpu" and off.max() <= 1
