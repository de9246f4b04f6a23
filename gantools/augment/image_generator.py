"""What the generators of images share, whatever they are told of each image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from gantools.augment.generator import Generator
from gantools.augment.latent import check_truncation
from gantools.config import TrainConfig, build
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder
from gantools.models.base import GAN, DataSpec
from gantools.models.image import ImageGANOptions
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.train.trained import built_model

BATCH_SIZE = 64
EMA_DECAY = 0.999
LOOK_EVERY = 500  # steps


class ImageGenerator(Generator):
    """Base of the generators of images.

    Fitted attributes: `schema_` (ImageSchema), `encoder_` (ImageEncoder), `gan_` (GAN), `report_` (TrainingReport),
    `fingerprint_` (digest of the training images).
    """

    modality = "image"
    default_model = "lean"

    schema_: ImageSchema
    encoder_: ImageEncoder

    @classmethod
    def default_train(cls, **given: Any) -> TrainConfig:
        return TrainConfig(**{"batch_size": BATCH_SIZE, "ema_decay": EMA_DECAY, "eval_every": LOOK_EVERY, **given})

    @property
    def noise_width(self) -> int:
        """Numbers that an image is made of."""
        return self.gan_.noise_width

    @property
    def truncates(self) -> bool:
        """Whether images can be drawn towards the middle of their class."""
        return self.gan_.truncation is not None

    @torch.no_grad()
    def _made(self, noise: Tensor, condition: Condition, truncation: float | None) -> Tensor:
        """Images [N, C, size, size] uint8, on the CPU. noise: [N, noise_width]. condition: of each.

        Raises ConfigError for a truncation that the model does not take.
        """
        check_truncation(truncation, self.truncates)
        given = () if truncation is None else (truncation,)
        made = self.gan_.generate(noise.to(self.device_), condition.to(self.device_), *given)
        return self.encoder_.inverse(made).movedim(3, 1).cpu()

    def _start(self, spec: ConditionSpec, flip: bool) -> ImageGANOptions:
        """Make the untrained model, and give its options. flip: what they are where nothing is asked for."""
        cls = self._generator_class()
        given = dict(self.options or {})
        if "flip" in {f.name for f in dataclasses.fields(cls.Options)} and "flip" not in given:
            given["flip"] = flip
        options = cast(ImageGANOptions, build(cls.Options, given))
        self.gan_ = cast(GAN, self._new_model(DataSpec(self.encoder_.layout, spec), options, self.train.seed))
        return options

    def _modules(self) -> dict[str, nn.Module]:
        return {"gan": self.gan_}

    def _shape(self) -> dict[str, Any]:
        return {**super()._shape(), "encoder": self.encoder_.to_json()}

    def _rebuild(self, config: Mapping[str, Any], schema: Mapping[str, Any], spec: ConditionSpec) -> None:
        """Put together what a configuration describes, still without weights."""
        self.schema_ = ImageSchema.from_json(dict(schema))
        self.encoder_ = ImageEncoder.from_json(config["encoder"])
        self.gan_ = cast(GAN, built_model(self._model_class(), DataSpec(self.encoder_.layout, spec), self.options))

    def _facts(self) -> dict[str, Any]:
        return {"size": self.encoder_.layout.size, "fit": self.encoder_.framing}
