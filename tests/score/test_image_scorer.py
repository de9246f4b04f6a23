"""ImageScorer tells odd images, shows where they are odd, and raises as many alarms as it is asked for."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import open_images
from gantools.encode.images import ImageEncoder, ImageLayout
from gantools.errors import CheckpointError, ConfigError, DataError
from gantools.nn.efficientnet import is_installed
from gantools.score.image_scorer import READ_AHEAD, ImageScorer

QUICK: dict[str, Any] = {
    "steps": 15,
    "options": {"width": 8, "depth": 1},
    "batch_size": 8,
    "memory": 1000,
    "random_state": 0,
}


def textures(n: int, seed: int, size: int = 64) -> np.ndarray:
    """Photos of one material: smooth noise with stripes, under varying light."""
    random = np.random.default_rng(seed)
    stripes = 12 * np.sin(np.arange(size) / 2)
    light = random.uniform(90, 160, (n, 1, 1))
    return (light + stripes + random.normal(0, 5, (n, size, size))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    small = (X.reshape(-1, 8, 8) * 15.9).astype(np.uint8)
    return small.repeat(2, 1).repeat(2, 2), y


@pytest.fixture(scope="module")
def scorer(digits: tuple[np.ndarray, np.ndarray]) -> ImageScorer:
    images, label = digits
    return ImageScorer(**QUICK).fit(images[label == 0][:100])


@pytest.fixture(scope="module")
def of_textures() -> ImageScorer:
    return ImageScorer(**{**QUICK, "steps": 40}).fit(textures(50, 0))


def test_another_digit_is_odd(scorer: ImageScorer, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, label = digits
    fresh, others = images[label == 0][100:], images[label != 0][:200]
    score = scorer.anomaly_score(np.concatenate([fresh, others]))
    assert roc_auc_score(np.r_[np.zeros(len(fresh)), np.ones(len(others))], score) > 0.98
    assert (scorer.predict(others) == -1).mean() > 0.5


def test_a_spot_is_found_where_it_is(of_textures: ImageScorer) -> None:
    fresh, odd = textures(30, 1), textures(30, 2)
    odd[:, 40:46, 20:26] = 20
    p = of_textures.p_value(np.concatenate([fresh, odd]))
    assert p[30:].max() <= 1 / 51 + 1e-9  # odder than all fifty
    heats = np.stack(of_textures.explain(odd))
    assert heats.dtype == np.float32 and heats.shape == odd.shape
    assert heats[:, 40:46, 20:26].mean() > 3 * heats.mean()
    assert (heats.max((1, 2)) > 1).mean() > 0.9
    assert (np.stack(of_textures.explain(fresh)).max((1, 2)) > 1).mean() < 0.3


def test_another_material_is_odd_as_a_whole(of_textures: ImageScorer) -> None:
    plain = np.full((5, 64, 64), 120, np.uint8)
    assert (of_textures.predict(plain) == -1).all()


def test_p_values_of_fresh_images_are_even() -> None:
    trained = ImageScorer(**QUICK).fit(textures(50, 3))
    p = trained.p_value(textures(200, 4))
    assert (p <= 0.1).mean() < 0.22 and 0.3 < p.mean() < 0.7


def test_scikit_learns_contract(scorer: ImageScorer, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images = digits[0][:20]
    score = scorer.anomaly_score(images)
    assert (scorer.score_samples(images) == -score).all()
    assert ((scorer.decision_function(images) < 0) == (scorer.predict(images) == -1)).all()
    assert scorer.train_score_.shape == (100,) and (scorer.train_score_ > 0).all()
    copy = clone(scorer)
    assert copy.get_params() == scorer.get_params() and not hasattr(copy, "head_")


def test_assess_gives_all_in_one_pass(scorer: ImageScorer, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images = list(digits[0][:9])
    found = list(scorer.assess(images))
    assert [each.index for each in found] == list(range(9))
    np.testing.assert_allclose([each.anomaly_score for each in found], scorer.anomaly_score(images), rtol=1e-5)
    np.testing.assert_allclose([each.p_value for each in found], scorer.p_value(images))
    assert [each.is_anomaly for each in found] == (scorer.predict(images) == -1).tolist()


@pytest.mark.parametrize("shape", ["resize", "crop", "pad"])
def test_heat_maps_have_each_images_own_size(shape: str) -> None:
    random = np.random.default_rng(0)
    sizes = [(20, 33), (41, 24), (16, 16), (30, 30)] * 3
    photos = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    trained = ImageScorer(shape=shape, **QUICK).fit(photos)
    assert trained.schema_.channels == 3 and trained.encoder_.layout.size == 28
    assert [heat.shape for heat in trained.explain(photos)] == sizes


def test_anomalies_in_the_training_images_are_set_aside() -> None:
    images = textures(60, 5, size=32)
    for k in range(6):  # no two alike
        images[k, 3 * k : 4 * k + 6, 2 * k : 2 * k + 5 + k] = (0, 255, 60, 220, 30, 240)[k]
    trained = ImageScorer(contamination=0.1, **QUICK).fit(images)
    assert set(np.argsort(trained.train_score_)[-6:]) == set(range(6))
    assert len(trained.calibration_.scores) == 54


@pytest.mark.skipif(not is_installed(), reason="the perceptual extra is not installed")
def test_perceptual_features(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    images, label = digits
    trained = ImageScorer(features="perceptual", **QUICK).fit(images[label == 0][:30])
    trained.save(tmp_path / "model")
    again = ImageScorer.load(tmp_path / "model", device="cpu")
    assert (again.anomaly_score(images[:5]) == trained.anomaly_score(images[:5])).all()


def test_one_number_and_one_map_without_python_branches(scorer: ImageScorer) -> None:
    """What an export needs: the graph made with three images gives the same for five."""
    x = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        graph = torch.export.export(scorer.head_, (x[:3],), dynamic_shapes=({0: torch.export.Dim("images")},))
        for one, other in zip(graph.module()(x), scorer.head_(x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match="2 images are too few"):
        ImageScorer().fit(np.zeros((2, 16, 16), np.uint8))
    with pytest.raises(DataError, match="float64 of shape"):
        ImageScorer().fit(np.zeros((9, 16, 16)))
    with pytest.raises(DataError, match="2 channels"):
        ImageScorer().fit(np.zeros((9, 16, 16, 2), np.uint8))
    with pytest.raises(DataError, match="different numbers of channels"):
        ImageScorer().fit([np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8)] * 3)
    with pytest.raises(ConfigError, match="must be one of"):
        ImageScorer(size=17).fit(np.zeros((9, 16, 16), np.uint8))


def test_images_of_other_channels_are_refused(scorer: ImageScorer) -> None:
    with pytest.raises(DataError, match="3 channels, the scorer knows 1"):
        scorer.anomaly_score(np.zeros((2, 16, 16, 3), np.uint8))


def test_images_are_read_by_the_white_that_was_learned(tmp_path: Path) -> None:
    """One hot pixel in a folder of images with 16 bits a pixel leaves the scores of the others as they are."""
    deep = textures(12, 0, 32).astype(np.uint16)
    for name, images in (("good", deep), ("new", deep[:2])):
        (tmp_path / name).mkdir()
        for k, pixels in enumerate(images):
            Image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
    scorer = ImageScorer(**QUICK).fit(open_images(tmp_path / "good"))
    before = scorer.anomaly_score(open_images(tmp_path / "new"))
    hot = deep[2].copy()
    hot[5, 5] = 3000
    Image.fromarray(hot).save(tmp_path / "new" / "hot.png")
    assert scorer.anomaly_score(open_images(tmp_path / "new"))[:2] == pytest.approx(before, abs=1e-6)


def test_large_images_are_not_kept_while_others_are_read() -> None:
    """Each is brought to the size of the nets as it is read."""
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    class Large:
        schema = ImageSchema(1, None, (), (), 40, (400, 400, 400), (400, 400, 400), {})

        def __len__(self) -> int:
            return 40

        def read(self, index: int) -> np.ndarray:
            nonlocal most
            pixels = np.full((400, 400, 1), index, np.uint8)
            alive.append(weakref.ref(pixels))
            most = max(most, sum(one() is not None for one in alive))
            return pixels

    scorer = ImageScorer()
    scorer.encoder_ = ImageEncoder(ImageLayout(1, 16))
    images = scorer._resized(Large(), np.arange(40))  # type: ignore[arg-type]
    assert images[:, 0, 0, 0].tolist() == list(range(40))
    assert most <= 2 * READ_AHEAD


def test_a_scorer_of_tables_is_no_scorer_of_images(tmp_path: Path) -> None:
    from gantools import AnomalyScorer

    table = AnomalyScorer(steps=2, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 3)))
    table.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="holds a scorer of rows, not a scorer of images"):
        ImageScorer.load(tmp_path / "model")
