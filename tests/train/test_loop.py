"""The loop: budgets, early stopping, health, and several processes."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantools.config import TrainConfig
from gantools.data.tables.raw import Raw
from gantools.data.tables.schema import infer_schema
from gantools.encode.images import ImageLayout
from gantools.encode.table import Layout, TableEncoder
from gantools.errors import ConfigError, TrainingError
from gantools.losses import discriminator_wasserstein, generator_wasserstein
from gantools.models.base import GAN, Batch, DataSpec, GANOptions, Phase
from gantools.models.cgan import ConditionalGAN
from gantools.models.image import ImageGAN
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.nn.convolutional import ConvDiscriminator, ConvGenerator
from gantools.registry import get
from gantools.train import run as state
from gantools.train.loop import train
from gantools.train.samplers import ByClass, ClassBalanced, Examples
from gantools.train.stores import Rows

SPEC = DataSpec(Layout(2, ()), ConditionSpec((100, 100)))
IMAGES = DataSpec(ImageLayout(1, 16), ConditionSpec((60, 6)))


class Scripted(GAN):
    """A model whose one net does what a test asks of it."""

    name = "scripted"
    summary = paper = ""

    def __init__(self, spec: DataSpec, step: Callable[[Scripted, Batch], Tensor]) -> None:
        super().__init__(spec, GANOptions(steps=100))
        self.generator = nn.Linear(1, spec.layout.width)
        self.step = step

    def phases(self) -> Sequence[Phase]:
        return (Phase("generator", ("generator",), lambda batch: self.step(self, batch), lr=0.1),)

    def generate(self, noise: Tensor, condition: Condition) -> Tensor:
        return self.generator(noise[:, :1])


def examples(n: int = 200, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "label": codes})
    raw = Raw(table[["a", "b"]].to_numpy(), np.zeros((n, 0), np.int64))
    encoder = TableEncoder.fit(raw, infer_schema(table, "label"))
    label = torch.from_numpy(codes)
    store = Rows(encoder, encoder.encode(raw), Condition(label))
    sampler = ClassBalanced.of(label, 2, 0.5, seed)
    random = torch.Generator().manual_seed(seed)
    reference = tuple(encoder.draw(store.table, places, random) for places in sampler.judged_by)
    return Examples(store, sampler, ByClass(reference, ("x", "y"), 256))


def trained(step: Callable[[Any, Batch], Tensor], **config: Any) -> Any:
    torch.manual_seed(0)
    gan = Scripted(SPEC, step)
    return train(gan, examples(), TrainConfig(**{"eval_every": 10, "log_every": 5, "device": "cpu", **config}))


def alive(gan: Scripted, batch: Batch) -> Tensor:
    """Pulls the weights towards one, keeps the rows apart and never quite settles."""
    wanted = 1 + 0.1 * batch.noise(2, 1)
    return (gan.generator.weight - wanted).square().sum() + gan.generator.bias.square().sum()


def test_a_healthy_run_finishes() -> None:
    outcome = trained(alive)
    assert (outcome.report.stopped, outcome.report.steps, outcome.report.health) == ("finished", 100, ())
    lines = [json.loads(line) for line in outcome.metrics.splitlines()]
    assert [line["step"] for line in lines] == list(range(5, 101, 5))
    assert lines[-1]["generator"] < lines[0]["generator"]


def test_a_budget_ends_the_run_in_time() -> None:
    began = time.perf_counter()
    outcome = trained(alive, steps=10_000_000, budget_s=1.0)
    assert outcome.report.stopped == "budget"
    assert 1.0 <= time.perf_counter() - began < 4.0


def test_patience_stops_a_run_that_no_longer_improves() -> None:
    outcome = trained(
        lambda gan, batch: gan.generator.weight.sum() * 0 + gan.generator.bias.sum() * 1e-4, steps=5000, patience=3
    )
    assert outcome.report.stopped == "early"
    assert outcome.report.steps < 5000


def test_divergence_stops_the_run_with_the_last_good_weights() -> None:
    def explode(gan: Scripted, batch: Batch) -> Tensor:
        return alive(gan, batch) * (float("nan") if batch.progress >= 0.5 else 1.0)

    outcome = trained(explode)
    assert outcome.report.stopped == "unhealthy"
    assert outcome.report.steps <= 60 and outcome.report.best_step <= 50
    assert "learning rate" in outcome.report.health[0]
    assert all(torch.isfinite(p).all() for p in outcome.model.parameters())


def test_a_run_that_never_worked_is_an_error() -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        trained(lambda gan, batch: alive(gan, batch) * float("nan"))


def test_a_budget_that_ends_in_ruins_is_an_error_too() -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        trained(
            lambda gan, batch: alive(gan, batch) * float("nan"),
            steps=10_000_000, budget_s=0.2, eval_every=10**6, log_every=10**6,
        )  # fmt: skip


def test_losses_are_means_over_updates() -> None:
    class Seldom(Scripted):
        def phases(self) -> Sequence[Phase]:
            def loss(value: float) -> Callable[[Batch], Tensor]:
                return lambda batch: self.generator.weight.sum() * 0 + value

            often, seldom = {"nets": ("generator",), "repeats": 5}, {"nets": ("generator",), "every": 4}
            return (Phase("often", loss=loss(2.0), **often), Phase("seldom", loss=loss(3.0), **seldom))  # type: ignore[arg-type]

    gan = Seldom(SPEC, alive)
    config = TrainConfig(steps=8, log_every=2, eval_every=100, device="cpu")
    lines = [json.loads(line) for line in train(gan, examples(), config).metrics.splitlines()]
    assert [line["often"] for line in lines] == [2.0] * 4
    assert [line.get("seldom") for line in lines] == [3.0, None, 3.0, None]


def test_collapse_is_named_by_class_and_ends_the_run() -> None:
    def collapse(gan: Scripted, batch: Batch) -> Tensor:
        return gan.generator.weight.square().sum() * 100 + gan.generator.bias.sum() * 1e-3

    outcome = trained(collapse, steps=1000)
    assert outcome.report.stopped == "unhealthy"
    assert "mode collapse" in outcome.report.health[0]


def test_the_result_does_not_depend_on_the_number_of_cores(striped: Examples) -> None:
    cls = get("lean", "generate", "image")
    found = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        gan = cls(IMAGES, cls.tiny())
        config = TrainConfig(steps=4, batch_size=8, eval_every=2, log_every=2, device="cpu")
        found.append(train(gan, striped, config).model.state_dict())
        torch.set_num_threads(before)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_the_shards_gradients_are_their_mean(striped: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same images in both shards, two shards learn what one does."""
    cls = get("wgan-gp", "generate", "image")
    same = striped.batch(8, 0.0, torch.Generator().manual_seed(0))

    class Same:
        def to(self, device: torch.device) -> Same:
            return self

        def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
            # the same noise in every shard: a fresh generator of one seed
            return replace(same, real=same.real.clone(), random=torch.Generator().manual_seed(5))

        judge = striped.judge

    found = []
    for shards in (1, 2):
        monkeypatch.setattr(state, "SHARDS", shards)
        torch.manual_seed(0)
        gan = cls(IMAGES, cls.tiny())
        config = TrainConfig(steps=2, batch_size=16, device="cpu")
        found.append(train(gan, Same(), config).model.discriminator.state_dict())  # type: ignore[arg-type]
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name])


class Remembering(ImageGAN):
    """A GAN whose discriminator has spectral norm and sees images of earlier steps: it reads buffers as it trains."""

    name = "remembering"
    summary = paper = ""
    pool: Tensor
    buffers_are_read = True

    def build(self) -> None:
        layout, condition, o = self.spec.layout, self.spec.condition, self.options
        self.generator = ConvGenerator(layout, o.noise_dim, condition, o.width)
        self.discriminator = ConvDiscriminator(layout, condition, o.width, batch_norm=False)
        for layer in self.discriminator.modules():
            if isinstance(layer, nn.Conv2d):
                spectral_norm(layer)
        self.register_buffer("pool", torch.zeros(4, layout.channels, layout.size, layout.size))

    def train_discriminator(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.fake(batch)
            seen = torch.cat([self.pool, fake[len(self.pool) :]])
            self.pool.copy_(fake[: len(self.pool)])
        return discriminator_wasserstein(self.logits(batch.real, batch), self.logits(seen, batch))

    def train_generator(self, batch: Batch) -> Tensor:
        return generator_wasserstein(self.logits(self.fake(batch), batch))


class Forgetful(Remembering):
    """The same where nobody says that its buffers are read."""

    buffers_are_read = False


def remembering(cls: type[Remembering], striped: Examples, resume: state.Snapshot | None = None) -> Any:
    """The weights that training ends with, and a snapshot of its fourth step."""
    torch.manual_seed(0)
    snapshots: list[state.Snapshot] = []
    config = TrainConfig(steps=8, batch_size=16, eval_every=4, log_every=4, device="cpu", checkpoint_every_s=0.0)
    gan = cls(IMAGES, cls.tiny())

    def keep(snapshot: state.Snapshot) -> None:
        snapshots.append(copy.deepcopy(snapshot))

    return train(gan, striped, config, resume=resume, on_checkpoint=keep).model.state_dict(), snapshots[0]


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_model_whose_buffers_are_read_learns_as_in_one_thread(
    striped: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, _ = remembering(Remembering, striped)
    monkeypatch.setattr(state, "SHARDS", 1)
    assert equal(weights, remembering(Remembering, striped)[0])


def test_a_model_whose_buffers_are_read_resumes_to_the_bit(striped: Examples) -> None:
    weights, midway = remembering(Remembering, striped)
    assert midway.counters["step"] == 4 and midway.state["model.pool"].any()
    assert equal(weights, remembering(Remembering, striped, midway)[0])


def test_which_is_not_so_where_nobody_says_that_they_are_read(striped: Examples) -> None:
    weights, midway = remembering(Forgetful, striped)
    assert not equal(weights, remembering(Forgetful, striped, midway)[0])


@pytest.mark.parametrize("optimizer", sorted(state.OPTIMIZERS))
def test_gradients_of_any_memory_order(optimizer: str) -> None:
    """Every weight moves against its own gradient, where gradients are transposed or one number for all."""

    class Matrix(Scripted):
        def __init__(self) -> None:
            super().__init__(SPEC, alive)
            self.generator = nn.Linear(5, 3)
            self.directions = torch.tensor([1.0, -1, -1, 1, 1, -1, 1, 1, -1, -1, -1, 1, -1, 1, 1]).reshape(5, 3)

        def phases(self) -> Sequence[Phase]:
            return (Phase("generator", ("generator",), self.loss, lr=0.1, optimizer=optimizer, decay="none"),)

        def loss(self, batch: Batch) -> Tensor:
            return (self.generator.weight.t() * self.directions).sum() + self.generator.bias.sum()

        def sample(self, n: int, condition: Condition, random: torch.Generator) -> Tensor:
            return torch.randn(n, 2, generator=random)

    gan = Matrix()
    before = [p.detach().clone() for p in gan.generator.parameters()]
    after = train(gan, examples(), TrainConfig(steps=1, ema_decay=0.0, device="cpu")).model.generator.parameters()
    weight, bias = (was - now for was, now in zip(before, after, strict=True))
    assert torch.equal(weight.sign(), gan.directions.t()) and (bias > 0).all()


def test_an_optimizer_that_is_not_there_is_named() -> None:
    class Sgd(Scripted):
        def phases(self) -> Sequence[Phase]:
            return (Phase("generator", ("generator",), lambda batch: alive(self, batch), optimizer="sgd"),)

    with pytest.raises(ConfigError, match=r"'generator'.*one of adam, adamw, rmsprop"):
        train(Sgd(SPEC, alive), examples(), TrainConfig(steps=1, device="cpu"))


def test_training_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    trained(alive, steps=5, precision="bf16")
    assert capfd.readouterr() == ("", "")


def broken(gan: Scripted, batch: Batch) -> Tensor:
    return alive(gan, batch) * float("nan")


@pytest.mark.slow
def test_an_error_in_a_process_comes_back_as_itself() -> None:
    with pytest.raises(TrainingError, match=r"training broke down.*lower the learning rate"):
        trained(broken, devices=2)


@pytest.mark.slow
def test_two_processes_train_one_model() -> None:
    torch.manual_seed(0)
    gan = ConditionalGAN(SPEC, ConditionalGAN.Options(width=16, noise_dim=8))
    outcome = train(gan, examples(), TrainConfig(steps=20, device="cpu", devices=2, eval_every=10))
    assert outcome.report.stopped == "finished" and outcome.report.steps == 20
    assert all(torch.isfinite(p).all() for p in outcome.model.parameters())
