"""Every registered generator of images lives the same life: it is tested by existing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.config import TrainConfig
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet, allowed_sizes
from gantools.errors import ConfigError
from gantools.models.base import GAN, Batch, DataSpec
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.registry import discover, get

MODELS = sorted(name for name, cls in discover("image").items() if cls.purpose == "generate")
TRAIN = TrainConfig(steps=6, batch_size=8, eval_every=3, log_every=3, seed=3, device="cpu")


def digits(n_each: int = 12) -> ImageSet:
    """Zeros, ones and twos of 16 pixels."""
    found = load_digits()
    rows = np.concatenate([np.flatnonzero(found.target == k)[:n_each] for k in range(3)])
    small = torch.from_numpy((found.images[rows] * 15.9).astype(np.uint8))
    images = small.repeat_interleave(2, 1).repeat_interleave(2, 2).unsqueeze(1)
    label = torch.from_numpy(found.target[rows])
    schema = ImageSchema(
        1, 255, ("0", "1", "2"), (n_each,) * 3, len(rows), width=(16, 16, 16), height=(16, 16, 16), formats={}
    )
    return ImageSet(schema, ImageEncoder(ImageLayout(1, 16)), images, label, "digits")


def made(name: str, layout: ImageLayout, n_classes: int = 3) -> GAN:
    torch.manual_seed(0)
    cls = discover("image")[name]
    gan = cls(DataSpec(layout, ConditionSpec((20,) * n_classes)), cls.tiny())
    assert isinstance(gan, GAN)
    return gan


def batch(layout: ImageLayout) -> Batch:
    random = torch.Generator().manual_seed(0)
    real = torch.rand(8, layout.channels, layout.size, layout.size, generator=random) * 2 - 1
    return Batch(real, Condition(torch.arange(8) % 3), torch.arange(8), 0.0, random)


def fitted(name: str, data: ImageSet, train: dict[str, Any] | None = None, **more: Any) -> ImageSynthesizer:
    config = TrainConfig(**{**asdict(TRAIN), **(train or {})})
    return ImageSynthesizer(name, asdict(discover("image")[name].tiny()), config).fit(data, **more)


@pytest.fixture(scope="module")
def data() -> ImageSet:
    return digits()


@pytest.fixture(scope="module", params=MODELS)
def maker(request: pytest.FixtureRequest, data: ImageSet) -> ImageSynthesizer:
    return fitted(request.param, data)


def test_labels_are_right_by_construction(maker: ImageSynthesizer) -> None:
    images, label = maker.sample({"2": 5, "0": 3})
    assert label.tolist() == [2] * 5 + [0] * 3
    assert images.shape == (8, 1, 16, 16) and images.dtype == torch.uint8


def test_noise_and_class_make_the_image(maker: ImageSynthesizer) -> None:
    images, _ = maker.sample({"0": 4, "1": 4})
    assert len({image.numpy().tobytes() for image in images}) == 8
    again, _ = maker.sample({"0": 4, "1": 4})
    assert torch.equal(images, again)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("layout", [ImageLayout(1, 28), ImageLayout(3, 40), ImageLayout(4, 64)], ids=str)
def test_any_size_and_number_of_channels(name: str, layout: ImageLayout) -> None:
    gan = made(name, layout)
    x = gan.sample(3, Condition(torch.tensor([0, 1, 2])), torch.Generator().manual_seed(0))
    assert x.shape == (3, layout.channels, layout.size, layout.size) and x.dtype == torch.float32
    assert torch.isfinite(x).all()
    for phase in gan.phases():
        assert torch.isfinite(phase.loss(batch(layout)))


def test_sizes_reach_from_16_to_256() -> None:
    assert allowed_sizes()[0] == 16 and allowed_sizes()[-1] == 256
    for size in allowed_sizes():
        layout = ImageLayout(1, size)
        assert 4 <= layout.base <= 7 and layout.base << layout.n_halvings == size


@pytest.mark.parametrize("name", MODELS)
def test_every_phase_moves_its_nets_and_no_other(name: str) -> None:
    layout = ImageLayout(1, 16)
    gan = made(name, layout)
    moved: set[int] = set()
    for phase in gan.phases():
        loss = phase.loss(batch(layout))
        assert loss.shape == () and torch.isfinite(loss)
        for net in phase.nets:
            parameters = list(getattr(gan, net).parameters())
            grads = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
            assert any(g is not None and g.abs().sum() > 0 for g in grads), (phase.name, net)
            moved |= {id(p) for p in parameters}
    assert moved == {id(p) for p in gan.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", MODELS)
def test_classes_do_not_drown_the_noise(name: str) -> None:
    """At the start images of a class differ more than means of classes do, or one image a class is learned."""
    gan = made(name, ImageLayout(1, 16))
    condition = Condition(torch.arange(3).repeat_interleave(64))
    x = gan.sample(192, condition, torch.Generator().manual_seed(0)).reshape(3, 64, -1)
    within, between = x.var(1).mean(), x.mean(1).var(0).mean()
    assert within > between


def test_one_seed_one_result(maker: ImageSynthesizer, data: ImageSet) -> None:
    again = fitted(maker.model, data)
    assert torch.equal(again.sample({"1": 4}, seed=1)[0], maker.sample({"1": 4}, seed=1)[0])
    other = fitted(maker.model, data, {"seed": 4})
    assert not torch.equal(other.sample({"1": 4}, seed=1)[0], maker.sample({"1": 4}, seed=1)[0])


def test_saved_and_loaded_makes_the_same_images(maker: ImageSynthesizer, tmp_path: Path) -> None:
    maker.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json", "metrics.jsonl", "schema.json", "weights.safetensors",
    ]  # fmt: skip
    loaded = ImageSynthesizer.load(tmp_path / "model", device="cpu")
    assert torch.equal(loaded.sample({"2": 5}, seed=5)[0], maker.sample({"2": 5}, seed=5)[0])
    assert loaded.report_ == maker.report_ and loaded.schema_ == maker.schema_


@pytest.mark.parametrize("name", MODELS)
def test_resumed_equals_uninterrupted(name: str, data: ImageSet, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Any) -> None:
        if progress.step == 3:
            raise Killed

    folder, often = tmp_path / "run", {"checkpoint_every_s": 0.0, "log_every": 1}
    with pytest.raises(Killed):
        fitted(name, data, often, folder=folder, progress=kill)
    assert (folder / "state.safetensors").exists()
    resumed = fitted(name, data, often, folder=folder, resume=True)
    whole = fitted(name, data, often)
    for key, value in whole.gan_.state_dict().items():
        assert torch.equal(value, resumed.gan_.state_dict()[key]), key
    assert torch.equal(resumed.sample({"0": 3})[0], whole.sample({"0": 3})[0])
    assert not (folder / "state.safetensors").exists()


def test_pictures_while_training(data: ImageSet, tmp_path: Path) -> None:
    fitted(MODELS[0], data, folder=tmp_path / "model", grids=tmp_path / "grids")
    assert [p.name for p in sorted((tmp_path / "grids").iterdir())] == ["step_000003.png", "step_000006.png"]
    assert ImageSynthesizer.load(tmp_path / "model").report_.steps == 6


@pytest.mark.parametrize("name", MODELS)
def test_tiny_options_are_quick(name: str) -> None:
    cls = discover("image")[name]
    assert isinstance(cls.tiny(), cls.Options) and cls.tiny().steps <= 50
    assert sum(p.numel() for p in made(name, ImageLayout(1, 16)).parameters()) < 50_000


def test_tables_and_images_have_shelves_of_their_own() -> None:
    assert get("wgan-gp", "generate", "image") is not get("wgan-gp", "generate", "table")
    with pytest.raises(ConfigError, match="no model called 'dcgann'; did you mean 'dcgan'"):
        get("dcgann", "generate", "image")


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_trained_on_a_gpu_loads_on_a_cpu(name: str, data: ImageSet, tmp_path: Path) -> None:
    fitted(name, data, {"device": "cuda"}).to("cuda").save(tmp_path / "model")
    loaded = ImageSynthesizer.load(tmp_path / "model", device="cpu")
    assert next(loaded.gan_.parameters()).device.type == "cpu"
    assert loaded.sample({"1": 5})[1].tolist() == [1] * 5
