"""`Brightener`: learns from pairs of images what to make of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from gantools import registry
from gantools.config import TrainConfig, build
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout
from gantools.encode.pictures import Pictures
from gantools.models.base import DataSpec, Model
from gantools.train.resume import digest
from gantools.train.samplers import Examples, Judgement, Plain
from gantools.train.stores import Pairs
from gantools.train.trained import Trained, built_model


@dataclass(frozen=True)
class Difference:
    """How far the images are from those wanted."""

    def to(self, device: torch.device) -> Difference:
        return self

    def judge(self, model: Model, examples: Examples, seed: int) -> Judgement:
        batch = examples.at(torch.arange(len(examples.store)), 1.0, torch.Generator().manual_seed(seed))
        return Judgement("mean_absolute_error", float(cast(Any, model).loss(batch)))


@registry.kind("image-brightener")
class Brightener(Trained):
    modality = "image"
    purpose = "transform"
    noun = "an image-to-image model"
    used_with = "its own methods"
    net = "net"

    def __init__(self, options: Mapping[str, Any] | None = None, train: TrainConfig | None = None) -> None:
        self.model, self.options, self.train = "convolutions", dict(options or {}), train or TrainConfig()

    def fit(self, sources: Tensor, targets: Tensor, folder: Path | str | None = None) -> Self:
        """sources, targets: [N, C, S, S] uint8."""
        n, channels, size, _ = sources.shape
        spread = (size, size, size)
        self.schema_ = ImageSchema(channels, 255, (), (), n, spread, spread, formats={})
        self.encoder_ = ImageEncoder(ImageLayout(channels, size))
        self.fingerprint_ = digest(sources.numpy(), targets.numpy())
        cls = self._model_class()
        net = self._new_model(DataSpec(self.encoder_.layout), build(cls.Options, self.options), self.train.seed)
        examples = Examples(
            Pairs(Pictures.stacked(sources), Pictures.stacked(targets), size),
            Plain.of(n, self.train.seed),
            Difference(),
        )
        self.net_ = self._run(net, examples, self.train, folder=folder, resume=False, progress=None)
        self._keep(folder)
        return self

    @torch.no_grad()
    def transform(self, images: Any) -> Any:
        """images: [N, H, W, C] bytes. Returns [N, S, S, C] bytes."""
        return self.encoder_.inverse(cast(Any, self.net_).transform(self.encoder_(torch.as_tensor(images)))).numpy()

    def _modules(self) -> dict[str, nn.Module]:
        return {"net": self.net_}

    def _shape(self) -> dict[str, Any]:
        return {"encoder": self.encoder_.to_json()}

    @classmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        made = cls(config["options"], build(TrainConfig, config["train"]))
        made.schema_ = ImageSchema.from_json(dict(schema))
        made.encoder_ = ImageEncoder.from_json(config["encoder"])
        made.net_ = built_model(made._model_class(), DataSpec(made.encoder_.layout), made.options)
        return made
