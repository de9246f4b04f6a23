"""The protocol of a model: its nets, its training phases as data, and what it gives when it is trained.

    Model                            nets and phases: all that the loop knows
        GAN                          generate(noise, condition): rows or images
            TableGAN                 encoded rows from a net `generator`
        Detector                     nets of normal samples, a set for each fold
            TableDetector            errors(x): how badly rows are reconstructed
            ImageDetector            maps(x): where images do not look normal
        Translator               transform(image): another picture

Adding a model means adding one file to this folder: a subclass with `@register`. The loop, checkpoints, the command
line and the contract tests find it by themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from gantools.config import check
from gantools.encode.images import ImageLayout
from gantools.encode.table import Allowed, Layout
from gantools.nn.conditioning import Condition, ConditionSpec

AnyLayout = TypeVar("AnyLayout", Layout, ImageLayout)


@dataclass(frozen=True)
class DataSpec(Generic[AnyLayout]):
    """What a model must know of the data to build its nets.

    layout: how an encoded row or image is laid out. condition: what the model is told of each sample; nothing unless it
    is a conditional generator.
    """

    layout: AnyLayout
    condition: ConditionSpec = field(default_factory=ConditionSpec)


TableSpec = DataSpec[Layout]
ImageSpec = DataSpec[ImageLayout]


@dataclass(frozen=True)
class Batch:
    """What a phase's loss is given.

    real: [B, width] encoded rows, or [B, C, size, size] images; for a detector [n_folds, B, ...], those that each fold
    learns from. condition: what is known of each of the B. rank: [B] int64, place of each in a fixed random order of
    its class, so that `rank % n` makes n folds that each hold every class. progress: the share of the training that has
    passed, 0 to 1. random: where noise comes from; use `noise` and `uniform`, nothing else, so that a run is
    repeatable.
    """

    real: Tensor
    condition: Condition
    rank: Tensor
    progress: float
    random: torch.Generator

    def part(self, places: slice) -> Batch:
        """The samples at these places, with the same source of noise."""
        return replace(self, real=self.real[places], condition=self.condition[places], rank=self.rank[places])

    def noise(self, *shape: int) -> Tensor:
        """Standard normal, on the batch's device."""
        return torch.randn(shape, device=self.real.device, generator=self.random)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [0, 1), on the batch's device."""
        return torch.rand(shape, device=self.real.device, generator=self.random)


@dataclass(frozen=True)
class Phase:
    """One kind of optimisation step.

    nets: the names of the nets it updates. loss: what it minimises. every: run at each n-th step of the loop. epochs:
    run, at steps that are spread evenly, as often as it takes to see each sample so many times, and no more. repeats:
    how often in a row, each time on a fresh batch. optimizer: "adam", "adamw" (weight decay apart from the gradient,
    Loshchilov and Hutter 2019) or "rmsprop". lr, weight_decay: of any of them. betas: of Adam. decay: how the learning
    rate falls to nothing: "linear", "cosine" or "none" (it does not). since: the share of the training before which it
    is not run. after: called when the step is done, for instance to clip weights.
    """

    name: str
    nets: tuple[str, ...]
    loss: Callable[[Batch], Tensor]
    every: int = 1
    epochs: float | None = None
    repeats: int = 1
    lr: float = 5e-4
    betas: tuple[float, float] = (0.0, 0.99)
    weight_decay: float = 0.0
    optimizer: str = "adam"
    decay: str = "linear"
    since: float = 0.0
    after: Callable[[], None] | None = None


@dataclass(frozen=True)
class ModelOptions:
    """Options every model has. Subclasses add theirs; all are settable from the command line with `--set`.

    width: of the hidden layers. steps: recommended length of training.
    """

    width: int = 128
    steps: int = 2000

    def __post_init__(self) -> None:
        for name in ("width", "steps"):
            check(getattr(self, name) >= 1, f"set {name}", "must be at least 1")

    def require(self) -> None:
        """Refuse what cannot be trained with what is installed. Raises ConfigError."""

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        """Values with which training takes seconds."""
        return {"width": 16, "steps": 20}


class Model(nn.Module, ABC):
    """Nets and how they are trained. Subclasses set the class variables and give `phases`.

    name: what users call it. purpose: "generate", "score" or "transform". modality: "table" or "image". summary: one
    line for `gantools models`. paper: where it comes from. averaged: names of the nets whose exponential moving average
    is what is used after training.

    in_one_thread: whether steps on a CPU are so small that a second thread costs more than it gives. Otherwise a batch
    is dealt to two threads, each with the same parameters and with buffers of its own, of which those of the first
    thread are kept.

    buffers_are_read: whether training reads what earlier steps left in buffers: the vectors of spectral normalisation,
    a pool of generated samples, a running average in a loss. Such a model sees whole batches in one thread, and its
    buffers must be persistent, so that a resumed run finds them. The running statistics of batch normalisation are not
    such buffers: training writes them, and only sampling reads them.
    """

    name: ClassVar[str]
    purpose: ClassVar[str]
    modality: ClassVar[str] = "table"
    in_one_thread: ClassVar[bool] = True
    summary: ClassVar[str]
    paper: ClassVar[str]
    Options: ClassVar[type[ModelOptions]] = ModelOptions
    averaged: tuple[str, ...] = ("generator",)
    buffers_are_read: bool = False
    options: ModelOptions

    def __init__(self, spec: DataSpec[Any], options: ModelOptions) -> None:
        super().__init__()
        self.spec = spec
        self.options = options

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """What one step of the loop does, in order."""

    @classmethod
    def tiny(cls) -> ModelOptions:
        """Options with which training takes seconds, for tests."""
        return cls.Options(**cls.Options.tiny_values())


@dataclass(frozen=True)
class ConditionalOptions(ModelOptions):
    """class_balance: share of each batch drawn with all classes equally likely, the rest as they occur."""

    class_balance: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 <= self.class_balance <= 1, "set class_balance", "must be from 0 to 1")


@dataclass(frozen=True)
class GANOptions(ConditionalOptions):
    """noise_dim: width of the noise that a sample is made from. class_balance: share of each batch drawn with all
    classes equally likely, the rest as they occur.
    """

    noise_dim: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.noise_dim >= 1, "set noise_dim", "must be at least 1")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "noise_dim": 8}


class GAN(Model):
    """A generator, whatever trains it, and how to sample."""

    purpose = "generate"
    Options: ClassVar[type[ModelOptions]] = GANOptions
    options: ConditionalOptions

    @property
    def judges(self) -> bool:
        """Whether the model can tell classes apart (`evidence`)."""
        return False

    @property
    def noise_width(self) -> int:
        """How many standard normal numbers a sample is made from."""
        return cast(GANOptions, self.options).noise_dim

    def settle(self) -> None:
        """Work out what does not change any more once the model has learned. Called before it is sampled from."""

    @abstractmethod
    def generate(self, noise: Tensor, condition: Condition) -> Tensor:
        """Encoded samples under conditions: rows [N, width], categories as one-hot blocks, or images [N, C, S, S].

        noise: [N, noise_width], standard normal. All that is random about a sample comes from its noise; so a generator
        exports, and runs elsewhere to the same samples.
        """

    @property
    def truncation(self) -> float | None:
        """How far a sample may lie from the middle of its class: 1 as it comes, 0 not at all. A generator that has such
        a middle takes another number as a further argument of `generate`; None for one that does not."""
        return None

    @property
    def n_styles(self) -> int:
        """How many layers have a style of their own, which `mix` exchanges; 0 for a generator without styles."""
        return 0

    def mix(self, noise: Tensor, other: Tensor, condition: Condition, n_kept: int) -> Tensor:
        """Encoded samples whose first n_kept layers, 0 to n_styles, have the styles of `noise` [N, noise_width], and
        the others, which decide finer things, those of `other`. Only where there are styles."""
        raise NotImplementedError

    def sample(self, n: int, condition: Condition, random: torch.Generator) -> Tensor:
        """n samples: `generate` from noise that `random` draws, on its device."""
        noise = torch.randn((n, self.noise_width), device=random.device, generator=random)
        return self.generate(noise, condition)

    has_likelihood: ClassVar[bool] = False

    def generate_within(self, noise: Tensor, condition: Condition, allowed: Allowed) -> tuple[Tensor, Tensor]:
        """Encoded rows [N, width] whose cells are as they may be, and the log weight [N] of each.

        Rows that are drawn anew with these weights are distributed as the model's rows that fulfil what is asked: each
        cell is drawn from what is allowed, and the weight is the probability of that given the cells before it (Fung
        and Chang 1990, 'Weighing and Integrating Evidence for Stochastic Simulation in Bayesian Networks'). -inf where
        the model holds what is asked for impossible. Only for a model whose `has_likelihood` is true.
        """
        raise NotImplementedError

    def log_likelihood(self, x: Tensor, condition: Condition) -> Tensor:
        """log P(row | condition) [N] of encoded rows x [N, width], numbers rounded to the cells of the layout.

        Only for a model whose `has_likelihood` is true; such a model is kept at the weights that give held-out rows
        the highest.
        """
        raise NotImplementedError

    def evidence(self, x: Tensor) -> Tensor:
        """log P(class | x) [N, n_classes] of encoded rows x [N, width], were all classes equally likely.

        Only for a model whose `judges` is true.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class DetectorOptions(ModelOptions):
    """n_folds: sets of nets. lr, weight_decay: of all nets. adversary: whether a critic and the generator learn from
    each other. pressure: weight of the critic's opinion in the generator's loss.
    """

    n_folds: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-4
    adversary: bool = True
    pressure: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check(1 <= self.n_folds <= 100, "set n_folds", "must be from 1 to 100")
        check(self.lr > 0, "set lr", "must be above 0")
        for name in ("weight_decay", "pressure"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")


class Detector(Model):
    """Nets that learn what is normal, one set per fold, so that every training sample has one that never saw it.

    Each fold's nets learn from the samples outside their fold. What they find is a method of the subclasses.
    """

    purpose = "score"
    Options: ClassVar[type[ModelOptions]] = DetectorOptions
    options: DetectorOptions

    @property
    def n_folds(self) -> int:
        """How many sets of nets there are."""
        return self.options.n_folds

    @abstractmethod
    def held_out(self, batch: Batch) -> Tensor:
        """What training is judged by, lower is better, on samples that each fold's nets did not learn from."""


class TableDetector(Detector):
    """A detector that reconstructs rows.

    n_levels: how many reconstructions are made of a row (noise levels, for instance).
    """

    n_levels: ClassVar[int]

    @abstractmethod
    def errors(self, x: Tensor) -> Tensor:
        """Squared errors of the reconstructions [n_folds, n_levels, N, width] of rows x [N, width]."""

    @abstractmethod
    def opinion(self, x: Tensor) -> Tensor | None:
        """The critic's own opinion [n_folds, N], higher where rows look less normal. None where there is no critic."""


class ImageDetector(Detector):
    """A detector that finds where an image is not normal.

    n_maps: how many maps are made of an image (errors of restorations, a critic's opinion, ...).
    """

    modality = "image"
    in_one_thread = False
    n_maps: ClassVar[int]

    @abstractmethod
    def maps(self, x: Tensor) -> Tensor:
        """How little each place looks like a normal image: [n_folds, n_maps, N, size, size], higher = less normal.

        x: [N, C, size, size] in [-1, 1].
        """


@dataclass(frozen=True)
class TranslatorOptions(ModelOptions):
    """width: channels of the finest map. lr: the generator's learning rate. adversarial: weight of the critic's opinion
    in the generator's loss, beside the mean absolute difference in grey values from -1 to 1; 0 for no critic. gamma:
    weight of the critic's gradient penalties. critic_width: channels of its finest map.
    """

    width: int = 48
    steps: int = 20_000
    lr: float = 4e-4
    adversarial: float = 0.0
    gamma: float = 0.1
    critic_width: int = 48

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.lr > 0, "set lr", "must be above 0")
        for name in ("adversarial", "gamma"):
            check(getattr(self, name) >= 0, f"set {name}", "must not be negative")
        check(self.critic_width >= 1, "set critic_width", "must be at least 1")

    @classmethod
    def tiny_values(cls) -> dict[str, Any]:
        return {**super().tiny_values(), "width": 8, "critic_width": 8}


class Translator(Model):
    """A fully convolutional net from a picture to another picture, whatever trains it.

    What is made of a place depends on the pixels within `reach` alone, never on the rest of the picture or of the
    batch, so that a large picture may be cut into tiles.

    learns_from: "pairs" (of pictures, or of clean pictures and degraded copies of them) or "unpaired". crop: pixels of
    each side of the target's crops that it is best trained on. turns: whether crops may be mirrored and turned before
    they are learned from. n_directions: 2 where pictures of the second domain can be translated back.
    default_degrade: what is done to clean pictures where nothing is asked for, as `nn.degradations` spells it.
    fills_holes: whether pictures come with a mask.
    """

    purpose = "transform"
    modality = "image"
    in_one_thread = False
    Options: ClassVar[type[ModelOptions]] = TranslatorOptions
    spec: ImageSpec
    options: TranslatorOptions
    learns_from: ClassVar[str] = "pairs"
    crop: ClassVar[int] = 64
    turns: ClassVar[bool] = False
    n_directions: ClassVar[int] = 1
    default_degrade: ClassVar[tuple[str, ...]] = ()
    fills_holes: ClassVar[bool] = False

    @property
    def scale(self) -> int:
        """Pixels of the picture that is made for each of the one given, along each side."""
        return 1

    @property
    @abstractmethod
    def multiple(self) -> int:
        """The nets' sides: `transform` fills a picture up to a multiple of it, and tiles begin at multiples of it."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """Pixels of the given picture, in every direction, that a place of the picture that is made depends on."""

    @abstractmethod
    def translated(self, image: Tensor, *, reverse: bool = False) -> Tensor:
        """`transform` for pictures whose sides are multiples of `multiple`."""

    @abstractmethod
    def held_out(self, batch: Batch) -> Tensor:
        """What training is judged by, lower is better, on pictures that were not learned from."""

    def transform(self, image: Tensor, *, reverse: bool = False) -> Tensor:
        """Pictures [N, C', scale * H, scale * W], about [-1, 1].

        image: [N, C, H, W] in [-1, 1], of any size; behind a picture with holes stands its mask, see `nn.degradations`.
        reverse: from the second domain to the first, where there are two directions.
        """
        height, width = image.shape[2:]
        x = filled_up(filled_up(image, 2, self.multiple), 3, self.multiple)
        return self.translated(x, reverse=reverse)[:, :, : height * self.scale, : width * self.scale]


def filled_up(x: Tensor, dim: int, multiple: int) -> Tensor:
    """x with its last places along a dimension repeated, up to a multiple."""
    n = x.shape[dim]
    if n % multiple == 0:
        return x
    place = torch.arange((n + multiple - 1) // multiple * multiple, device=x.device)
    return x.index_select(dim, place.clamp(max=n - 1))


def uniform_of(noise: Tensor) -> Tensor:
    """Standard normal numbers as uniform ones on (0, 1): their distribution function."""
    return torch.special.ndtr(noise).clamp(1e-7, 1 - 1e-7)


class TableGAN(GAN):
    """A GAN whose net `generator` turns noise, a condition and uniform numbers into an encoded row."""

    generator: nn.Module
    options: GANOptions

    def fake(self, batch: Batch) -> Tensor:
        """Generated rows under the batch's conditions, differentiable."""
        n = len(batch.real)
        noise = batch.noise(n, self.options.noise_dim)
        uniform = batch.uniform(n, self.spec.layout.n_levels)
        return cast(Tensor, self.generator(noise, batch.condition, uniform, hard=False))

    @property
    def noise_width(self) -> int:
        return self.options.noise_dim + len(self.spec.layout.blocks)

    def generate(self, noise: Tensor, condition: Condition) -> Tensor:
        n = self.options.noise_dim
        return cast(Tensor, self.generator(noise[:, :n], condition, uniform_of(noise[:, n:]), hard=True))
