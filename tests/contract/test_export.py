"""Every registered model exports, is proven and runs from its file: it is tested by existing."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from gantools import AnomalyScorer
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.export import kinds
from gantools.export.file import ExportedFile, export_model
from gantools.export.runtime import load_exported, open_session
from gantools.registry import discover, runtime
from gantools.registry import estimator as registered_estimator
from gantools.score.image_scorer import ImageScorer
from gantools.transform.translator import ImageTranslator

from .examples import digits, translations

TRAIN = TrainConfig(steps=6, batch_size=16, eval_every=3, log_every=3, device="cpu")


def named(purpose: str, modality: str) -> list[str]:
    return sorted(name for name, cls in discover(modality).items() if cls.purpose == purpose)


def run(found: ExportedFile) -> Any:
    """The exported model, of the same kind as the trained one."""
    model = load_exported(found.path, "cpu")
    assert model.kind == found.graph.kind and found.comparison.startswith("Compared with the library on ")
    return model


def test_every_kind_of_trained_model_can_be_exported() -> None:
    names = [module.name.replace("_", "-") for module in pkgutil.iter_modules(kinds.__path__)]
    assert len(names) == 7
    for name in names:
        exported, estimator = runtime(name), registered_estimator(name)
        assert exported is not None and estimator is not None and exported.kind == estimator.kind == name


@pytest.mark.parametrize("name", named("generate", "table"))
def test_generators_of_rows(name: str, make_table: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    frame = make_table().assign(note=np.r_[["rare"] * 4, ["common"] * 116])
    frame.loc[5, "churned"] = "perhaps"  # a class of one row
    maker = Synthesizer(name, asdict(discover()[name].tiny()), TRAIN).fit(frame, "churned")
    found = export_model(maker, tmp_path / "model.onnx")
    assert found.parity["cells_differing"] <= 2e-3 and found.parity["rows"] == 1024
    onnx.checker.check_model(onnx.load(found.path), full_check=True)
    made = run(found).sample({"yes": 2, "perhaps": 1}, seed=1)
    assert made["churned"].tolist() == ["yes", "yes", "perhaps"] and list(made.columns) == list(frame.columns)


@pytest.mark.parametrize("name", named("generate", "image"))
def test_generators_of_images(name: str, tmp_path: Path) -> None:
    maker = ImageSynthesizer(name, asdict(discover("image")[name].tiny()), TRAIN).fit(digits())
    found = export_model(maker, tmp_path / "model.onnx")
    assert found.parity["largest_byte"] <= 1
    images, label = run(found).sample(5, seed=1)
    assert len(images) == len(label) == 5


@pytest.mark.parametrize("name", named("score", "table"))
def test_scorers_of_rows(name: str, make_table: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    options = asdict(discover()[name].tiny())
    table = make_table()
    scorer = AnomalyScorer(model=name, options=options, steps=6, random_state=0, device="cpu").fit(table)
    found = export_model(scorer, tmp_path / "model.onnx")
    assert found.parity["score_relative"] < 1e-4 and found.parity["flags_differing"] == 0
    onnx.checker.check_model(onnx.load(found.path), full_check=True)
    assert (run(found).assess(table)["is_anomaly"] == scorer.assess(table)["is_anomaly"]).all()


@pytest.mark.parametrize("fit", ["resize", "pad"])
@pytest.mark.parametrize("name", named("score", "image"))
def test_scorers_of_images(name: str, fit: str, tmp_path: Path) -> None:
    images = [(image * 15.9).astype(np.uint8).repeat(2, 0).repeat(2, 1) for image in load_digits().images[:24]]
    options = asdict(discover("image")[name].tiny())
    scorer = ImageScorer(model=name, options=options, size=16, shape=fit, steps=4, random_state=0, device="cpu")
    found = export_model(scorer.fit(images), tmp_path / "model.onnx")
    assert found.parity["score_relative"] < 1e-4 and found.parity["flags_differing"] == 0
    assert len({tuple(size) for size in found.parity["sizes"]}) == 3
    score, _, _, heat = run(found).score(np.stack(images)[..., None])
    assert len(score) == 24 and heat.shape == (24, 16, 16)
    assert [values.shape for values in run(found).score(np.zeros((0, 16, 16, 1), np.uint8))] == [
        *[(0,)] * 3,
        (0, 16, 16),
    ]
    names = ["anomaly_score", "heatmap"]
    empty = open_session(found.path, "cpu").run(names, {"image": np.zeros((0, 20, 9, 1), np.uint8)})
    assert [values.shape for values in empty] == [(0,), (0, 20, 9)]


@pytest.mark.parametrize("name", named("transform", "image"))
def test_translators_of_pictures(name: str, tmp_path: Path) -> None:
    cls: Any = discover("image")[name]
    data, degrade = translations(cls)
    train = TrainConfig(steps=6, batch_size=4, eval_every=3, log_every=3, device="cpu")
    translator = ImageTranslator(name, asdict(cls.tiny()), degrade, 16, train).fit(data)
    for reverse in (False, True)[: cls.n_directions]:
        found = export_model(translator, tmp_path / "model.onnx", reverse=reverse)
        assert found.parity["largest_byte"] <= 1 and found.parity["bytes_beyond_rounding"] == 0
        assert found.parity["bytes"] > 50_000 and len(found.parity["sizes"]) == 5
        onnx.checker.check_model(onnx.load(found.path), full_check=True)
        file, random = run(found), np.random.default_rng(0)
        picture = random.integers(0, 256, (29, 50, file.schema_.channels), dtype=np.uint8)
        mask = random.random((29, 50)) < 0.3 if file.fills_holes_ else None
        made, expected = file.transform(picture, mask), translator.transform(picture, mask, reverse=reverse)
        off = np.abs(made.astype(int) - expected)
        assert off.max() <= 1 and (off > 0).mean() < 1e-3
        empty = {value.name: np.zeros([0, 20, 9, *value.shape[3:]], np.uint8) for value in file.takes}
        [none] = open_session(found.path, "cpu").run(["transformed"], empty)
        assert none.shape == (0, 20 * file.scale_, 9 * file.scale_, file.target_schema_.channels)
