"""Every registered generator, of rows or of images, lives the same life: it is tested by existing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import gantools
from gantools.augment.generator import Generator
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.encode.images import ImageLayout, allowed_sizes
from gantools.encode.table import Layout
from gantools.errors import ConfigError
from gantools.models.base import GAN, Batch, DataSpec
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.registry import discover, get

from .examples import Registered, digits

QUICK = {
    "table": TrainConfig(steps=12, batch_size=16, eval_every=6, log_every=3, seed=3, device="cpu"),
    "image": TrainConfig(steps=6, batch_size=8, eval_every=3, log_every=1, seed=3, device="cpu"),
}
LAYOUTS: dict[str, Any] = {"table": Layout(2, (3, 2)), "image": ImageLayout(1, 16)}
SOME: dict[str, dict[Any, int]] = {"table": {"yes": 5, "no": 3}, "image": {"2": 5, "0": 3}}  # classes to ask for


class Case(Registered):
    """A registered generator."""

    def made(self, layout: Any = None, n_classes: int = 3) -> GAN:
        torch.manual_seed(0)
        spec = DataSpec(layout or LAYOUTS[self.modality], ConditionSpec((20,) * n_classes))
        gan = self.cls(spec, self.cls.tiny())
        assert isinstance(gan, GAN)
        return gan

    def fitted(self, data: dict[str, Any], train: dict[str, Any] | None = None, **more: Any) -> Generator:
        config = TrainConfig(**{**asdict(QUICK[self.modality]), **(train or {})})
        options = asdict(self.cls.tiny())
        if self.modality == "table":
            return Synthesizer(self.name, options, config).fit(data["table"], "churned", **more)
        return ImageSynthesizer(self.name, options, config).fit(data["image"], **more)


CASES = [
    Case(modality, name) for modality in QUICK for name, cls in discover(modality).items() if cls.purpose == "generate"
]
every_generator = pytest.mark.parametrize("case", CASES, ids=str)
of_images = pytest.mark.parametrize("case", [case for case in CASES if case.modality == "image"], ids=str)


def sampled(maker: Any, counts: Any, seed: int = 0) -> Any:
    """Samples that can be compared: rows as a frame, images and labels as one array."""
    made = maker.sample(counts, seed=seed)
    if isinstance(made, pd.DataFrame):
        return made
    images, label = made
    return pd.DataFrame(images.flatten(1).numpy()).assign(label=label.numpy())


def batch(gan: GAN, layout: Any) -> Batch:
    """Real samples, as far as a loss can tell."""
    random = torch.Generator().manual_seed(0)
    condition = Condition(torch.arange(8) % 3)
    if isinstance(layout, ImageLayout):
        real: Tensor = torch.rand(8, layout.channels, layout.size, layout.size, generator=random) * 2 - 1
    else:
        real = gan.sample(8, condition, random).detach()
    return Batch(real, condition, torch.arange(8), 0.0, random)


@pytest.fixture(scope="module")
def data(make_table: Callable[..., pd.DataFrame]) -> dict[str, Any]:
    return {"table": make_table(), "image": digits()}


@pytest.fixture(scope="module", params=CASES, ids=str)
def trained(request: pytest.FixtureRequest, data: dict[str, Any]) -> tuple[Case, Any]:
    return request.param, request.param.fitted(data)


def test_labels_are_right_by_construction(trained: tuple[Case, Any]) -> None:
    case, maker = trained
    made = sampled(maker, SOME[case.modality])
    names = made["churned"] if case.modality == "table" else made["label"].map(str)
    assert names.tolist() == [name for name, n in SOME[case.modality].items() for _ in range(n)]


def test_a_number_is_split_in_the_proportions_of_the_classes(trained: tuple[Case, Any]) -> None:
    _, maker = trained
    assert len(sampled(maker, 50)) == 50


def test_noise_makes_the_sample(trained: tuple[Case, Any]) -> None:
    case, maker = trained
    made = sampled(maker, SOME[case.modality])
    assert len(made.drop_duplicates()) == len(made)
    pd.testing.assert_frame_equal(sampled(maker, SOME[case.modality]), made)


def test_rows_look_like_the_table(trained: tuple[Case, Any], data: dict[str, Any]) -> None:
    case, maker = trained
    if case.modality != "table":
        pytest.skip("images")
    rows, frame = maker.sample(50), data["table"]
    assert list(rows.columns) == list(frame.columns)
    assert rows.dtypes.to_dict() == frame.dtypes.to_dict()
    assert rows["age"].between(frame["age"].min(), frame["age"].max()).all()
    assert set(rows["city"]) <= set(frame["city"])
    assert rows["joined"].between(frame["joined"].min(), frame["joined"].max()).all()
    assert (rows["joined"] == rows["joined"].dt.normalize()).all()  # whole days, as in the table


def test_encoded_samples_are_finite_and_of_the_layout(trained: tuple[Case, Any]) -> None:
    case, maker = trained
    x = maker.gan_.sample(16, Condition(torch.arange(16) % 2), torch.Generator().manual_seed(0))
    layout = maker.encoder_.layout
    assert x.dtype == torch.float32 and torch.isfinite(x).all()
    if case.modality == "image":
        assert x.shape == (16, layout.channels, layout.size, layout.size)
        return
    assert x.shape == (16, layout.width)
    levels = x[:, layout.n_numeric :]
    assert ((levels == 0) | (levels == 1)).all()
    assert (levels.sum(1) == len(layout.blocks)).all()


@every_generator
def test_every_phase_moves_its_nets_and_no_other(case: Case) -> None:
    gan, moved = case.made(), set()
    for phase in gan.phases():
        loss = phase.loss(batch(gan, LAYOUTS[case.modality]))
        assert loss.shape == () and torch.isfinite(loss)
        for net in phase.nets:
            parameters = list(getattr(gan, net).parameters())
            grads = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
            assert any(g is not None and g.abs().sum() > 0 for g in grads), (phase.name, net)
            moved |= {id(p) for p in parameters}
    assert moved == {id(p) for p in gan.parameters() if p.requires_grad}  # no net is left as it was made


def test_one_seed_one_result(trained: tuple[Case, Any], data: dict[str, Any]) -> None:
    case, maker = trained
    again, other = case.fitted(data), case.fitted(data, {"seed": 4})
    some = SOME[case.modality]
    pd.testing.assert_frame_equal(sampled(again, some, 1), sampled(maker, some, 1))
    assert not sampled(other, some, 1).equals(sampled(maker, some, 1))


def test_saved_and_loaded_gives_the_same_samples(trained: tuple[Case, Any], tmp_path: Path) -> None:
    case, maker = trained
    maker.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json", "metrics.jsonl", "schema.json", "weights.safetensors",
    ]  # fmt: skip
    loaded = gantools.load(tmp_path / "model", device="cpu")
    assert type(loaded) is type(maker)
    pd.testing.assert_frame_equal(sampled(loaded, SOME[case.modality], 5), sampled(maker, SOME[case.modality], 5))
    assert loaded.report_ == maker.report_ and loaded.schema_ == maker.schema_


@every_generator
def test_resumed_equals_uninterrupted(case: Case, data: dict[str, Any], tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    late = QUICK[case.modality].steps or 0

    def kill(progress: Any) -> None:
        if progress.step == late * 3 // 4 // 3 * 3:
            raise Killed

    folder, often = tmp_path / "run", {"checkpoint_every_s": 0.0}
    with pytest.raises(Killed):
        case.fitted(data, often, folder=folder, progress=kill)
    assert (folder / "state.safetensors").exists()
    resumed = case.fitted(data, often, folder=folder, resume=True)
    whole = case.fitted(data, often)
    for key, value in whole.gan_.state_dict().items():
        assert torch.equal(value, resumed.gan_.state_dict()[key]), key
    some = SOME[case.modality]
    pd.testing.assert_frame_equal(sampled(resumed, some), sampled(whole, some))
    assert resumed.report_.best_step == whole.report_.best_step
    assert not (folder / "state.safetensors").exists()


def test_a_model_that_judges_gives_probabilities(trained: tuple[Case, Any]) -> None:
    _, maker = trained
    x = maker.gan_.sample(3, Condition(torch.tensor([0, 1, 1])), torch.Generator().manual_seed(0))
    if maker.gan_.judges:
        torch.testing.assert_close(maker.gan_.evidence(x).exp().sum(1), torch.ones(3))
    else:
        with pytest.raises(NotImplementedError):
            maker.gan_.evidence(x)


@every_generator
def test_tiny_options_are_quick(case: Case) -> None:
    assert isinstance(case.cls.tiny(), case.cls.Options) and case.cls.tiny().steps <= 50
    if case.modality == "image":
        assert sum(p.numel() for p in case.made().parameters()) < 50_000


@of_images
@pytest.mark.parametrize("layout", [ImageLayout(1, 28), ImageLayout(3, 40), ImageLayout(4, 64)], ids=str)
def test_any_size_and_number_of_channels(case: Case, layout: ImageLayout) -> None:
    gan = case.made(layout)
    x = gan.sample(3, Condition(torch.tensor([0, 1, 2])), torch.Generator().manual_seed(0))
    assert x.shape == (3, layout.channels, layout.size, layout.size) and x.dtype == torch.float32
    assert torch.isfinite(x).all()
    for phase in gan.phases():
        assert torch.isfinite(phase.loss(batch(gan, layout)))


def test_sizes_reach_from_16_to_256() -> None:
    assert allowed_sizes()[0] == 16 and allowed_sizes()[-1] == 256
    for size in allowed_sizes():
        layout = ImageLayout(1, size)
        assert 4 <= layout.base <= 7 and layout.base << layout.n_halvings == size


@of_images
def test_conditions_do_not_drown_the_noise(case: Case) -> None:
    """At the start images of a class differ more than means of classes do, or one image a class is learned."""
    gan = case.made()
    condition = Condition(torch.arange(3).repeat_interleave(64))
    x = gan.sample(192, condition, torch.Generator().manual_seed(0)).reshape(3, 64, -1)
    within, between = x.var(1).mean(), x.mean(1).var(0).mean()
    assert within > between


def test_pictures_while_training(data: dict[str, Any], tmp_path: Path) -> None:
    case = next(case for case in CASES if case.modality == "image")
    case.fitted(data, folder=tmp_path / "model", grids=tmp_path / "grids")
    assert [p.name for p in sorted((tmp_path / "grids").iterdir())] == ["step_000003.png", "step_000006.png"]
    assert ImageSynthesizer.load(tmp_path / "model").report_.steps == 6


def test_tables_and_images_have_shelves_of_their_own() -> None:
    assert get("wgan-gp", "generate", "image") is not get("wgan-gp", "generate", "table")
    with pytest.raises(ConfigError, match="no model called 'dcgann'; did you mean 'dcgan'"):
        get("dcgann", "generate", "image")


@pytest.mark.gpu
@every_generator
def test_trained_on_a_gpu_loads_on_a_cpu(case: Case, data: dict[str, Any], tmp_path: Path) -> None:
    case.fitted(data, {"device": "cuda"}).to("cuda").save(tmp_path / "model")
    loaded: Any = gantools.load(tmp_path / "model", device="cpu")
    assert loaded.device_.type == "cpu"
    assert len(sampled(loaded, SOME[case.modality])) == sum(SOME[case.modality].values())
