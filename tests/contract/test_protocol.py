"""What every registered model keeps to, of tables or images, to generate, to score or to transform."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from gantools.config import TrainConfig
from gantools.encode.images import ImageLayout
from gantools.encode.table import Layout
from gantools.models.base import GAN, Batch, DataSpec, Detector, Model
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.registry import discover
from gantools.train.loop import train
from gantools.train.samplers import Examples, Judgement, Plain
from gantools.train.stores import Images, Tensors

MODELS = [cls for modality in ("table", "image") for cls in discover(modality).values()]
GANS = [cls for cls in MODELS if cls.purpose == "generate"]
CONDITIONAL = [cls for cls in GANS if cls.name != "vanilla"]
LAYOUTS: dict[str, Any] = {"table": Layout(2, (3,)), "image": ImageLayout(1, 16)}
EMBEDDED, NOTHING = ConditionSpec(vector_width=5), ConditionSpec()


def called(cls: type[Model]) -> str:
    return f"{cls.name}-{cls.modality}"


def built(cls: type[Model], condition: ConditionSpec) -> Model:
    torch.manual_seed(0)
    return cls(DataSpec(LAYOUTS[cls.modality], condition), cls.tiny())


class WithConditions:
    """Examples of a store, each with a condition of its own."""

    def __init__(self, store: Any, condition: Condition) -> None:
        self.store, self.condition = store, condition

    def __len__(self) -> int:
        return len(self.store)

    def to(self, device: torch.device) -> WithConditions:
        return WithConditions(self.store.to(device), self.condition.to(device))

    def take(self, places: Tensor, random: torch.Generator) -> tuple[Tensor, Condition]:
        return self.store.take(places, random)[0], self.condition[places]


class BySpread:
    """Judges a generator by how far its samples are from those of the store on average."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def to(self, device: torch.device) -> BySpread:
        return BySpread(self.condition.to(device))

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        assert isinstance(model, GAN)
        made = model.sample(24, self.condition, torch.Generator().manual_seed(seed))
        return Judgement("distance", float(made.abs().mean()))


def examples(modality: str, condition: Condition) -> Examples:
    random = torch.Generator().manual_seed(0)
    if modality == "table":
        levels = torch.eye(3)[torch.randint(3, (24,), generator=random)]
        store: Any = Tensors(torch.cat([torch.randn(24, 2, generator=random), levels], 1))
    else:
        store = Images(torch.randint(256, (24, 1, 16, 16), generator=random).to(torch.uint8))
    return Examples(WithConditions(store, condition), Plain.of(24, 0), BySpread(condition))


def trained(cls: type[Model], spec: ConditionSpec, condition: Condition) -> GAN:
    config = TrainConfig(steps=4, batch_size=8, eval_every=2, log_every=2, device="cpu")
    model = train(built(cls, spec), examples(cls.modality, condition), config).model
    assert isinstance(model, GAN)
    return model


@pytest.mark.parametrize("cls", CONDITIONAL, ids=called)
def test_a_vector_in_place_of_classes(cls: type[GAN]) -> None:
    vector = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
    gan = trained(cls, EMBEDDED, Condition(vector=vector))
    noise = torch.randn(24, gan.noise_width, generator=torch.Generator().manual_seed(2))
    made = gan.generate(noise, Condition(vector=vector))
    assert torch.isfinite(made).all() and len(made) == 24 and not gan.judges
    assert not torch.equal(made, gan.generate(noise, Condition(vector=-9 * vector)))


@pytest.mark.parametrize("cls", GANS, ids=called)
def test_no_condition_at_all(cls: type[GAN]) -> None:
    gan = trained(cls, NOTHING, Condition())
    made = gan.sample(24, Condition(), torch.Generator().manual_seed(2))
    assert torch.isfinite(made).all() and len(made) == 24


# --- what models say of themselves ---


def batch_for(model: Model, seed: int = 0) -> Batch:
    layout = model.spec.layout
    random = torch.Generator().manual_seed(seed)
    shape = (16, layout.width) if isinstance(layout, Layout) else (16, layout.channels, layout.size, layout.size)
    if isinstance(model, Detector):
        real = torch.rand(model.n_folds, *shape, generator=random) * 2 - 1
        return Batch(real, Condition(), torch.zeros(model.n_folds, 16, dtype=torch.int64), 0.5, random)
    real = torch.rand(*shape, generator=random) * 2 - 1
    condition = Condition(torch.arange(16) % 2)
    if (given := model.spec.condition.image) is not None:
        condition = Condition(image=torch.rand(16, given.channels, given.size, given.size, generator=random) * 2 - 1)
    return Batch(real, condition, torch.arange(16), 0.5, random)


def conditions(cls: type[Model]) -> ConditionSpec:
    if cls.purpose == "transform":
        scale = getattr(cls.tiny(), "scale", 1)
        return ConditionSpec(image=ImageLayout(getattr(cls, "fills_holes", 0) + 1, 16 // scale))
    return NOTHING if cls.purpose == "score" else ConditionSpec((20, 20))


@pytest.mark.parametrize("cls", MODELS, ids=called)
def test_every_option_is_read(cls: type[Model]) -> None:
    """An option that changes nothing, in training or in use, misleads; `steps` and `class_balance` are read by who
    trains the model.
    """
    read = set()

    class Watched(cls.Options):  # type: ignore[name-defined, misc]
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    options = Watched(**cls.Options.tiny_values())
    read.clear()
    model = cls(DataSpec(LAYOUTS[cls.modality], conditions(cls)), options)
    for phase in model.phases():
        phase.loss(batch_for(model))
        if phase.after is not None:
            phase.after()
    if isinstance(model, GAN):
        model.sample(2, Condition(torch.arange(2)), torch.Generator().manual_seed(0))
    assert {field.name for field in fields(cls.Options)} - read <= {"steps", "class_balance"}


def unlike(cls: type[Model], **options: Any) -> bool:
    """Whether a loss changes where buffers that training has written are overwritten."""
    torch.manual_seed(0)
    given = cls.Options(**{**cls.Options.tiny_values(), **options})
    model = cls(DataSpec(LAYOUTS[cls.modality], conditions(cls)), given).train()
    for phase in model.phases():
        before = {name: buffer.clone() for name, buffer in model.named_buffers()}
        phase.loss(batch_for(model))
        written = [b for name, b in model.named_buffers() if not torch.equal(b, before[name])]
        found = []
        for _ in range(2):
            for buffer in written:
                buffer.copy_(torch.rand(buffer.shape) * 2)
            found.append(phase.loss(batch_for(model)))
        if not torch.equal(*found):
            return True
    return False


@pytest.mark.parametrize("cls", MODELS, ids=called)
def test_models_say_where_training_reads_buffers(cls: type[Model]) -> None:
    if not built(cls, conditions(cls)).buffers_are_read:
        assert not unlike(cls)


@pytest.mark.parametrize("options", [{"spectral_norm": True}, {"replay": 0.5}], ids=str)
def test_stabilisers_say_so_too(options: dict[str, Any]) -> None:
    cls = discover()["cgan"]
    assert unlike(cls, **options)
    assert cls(DataSpec(LAYOUTS["table"], EMBEDDED), cls.Options(**options)).buffers_are_read
