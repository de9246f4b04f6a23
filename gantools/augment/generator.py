"""What the generators of rows and of images share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch

from gantools.config import TrainConfig
from gantools.models.base import GAN
from gantools.nn.conditioning import ConditionSpec
from gantools.train.trained import Trained


class Generator(Trained):
    """Base of the conditional generators."""

    purpose = "generate"
    net = "gan"
    loads_unfinished = True  # a run that was killed leaves the best weights so far, which can be sampled from
    default_model: ClassVar[str]
    asked_by: ClassVar[str] = "class"  # or "description": what samples are asked for by

    gan_: GAN

    def __init__(
        self, model: str | None = None, options: Mapping[str, Any] | None = None, train: TrainConfig | None = None
    ) -> None:
        self.takes_default = model is None
        self.model = model or self.default_model
        self.options = dict(options or {})
        self.train = train or self.default_train()

    @classmethod
    def default_train(cls, **given: Any) -> TrainConfig:
        """The training configuration that is taken where none is given. given: fields that are to differ."""
        return TrainConfig(**given)

    @property
    def class_counts_(self) -> tuple[int, ...]:
        """Samples of each class that were learned from, in the order of the classes."""
        return self.gan_.spec.condition.class_counts

    def _shape(self) -> dict[str, Any]:
        return {"class_counts": list(self.class_counts_)}

    @staticmethod
    def _condition(class_counts: Sequence[int]) -> ConditionSpec:
        return ConditionSpec(class_counts=tuple(int(n) for n in class_counts))

    @property
    def device_(self) -> torch.device:
        return next(self.gan_.parameters()).device

    def _generator_class(self) -> type[GAN]:
        return cast("type[GAN]", self._model_class())
