"""A tiny net from images to images, trained on pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from gantools.models.base import Batch, DataSpec, Model, ModelOptions, Phase
from gantools.registry import register


@register
class Convolutions(Model):
    name = "convolutions"
    purpose = "transform"
    modality = "image"
    summary = "two convolutions"
    paper = "none"

    def __init__(self, spec: DataSpec[Any], options: ModelOptions) -> None:
        super().__init__(spec, options)
        channels, width = spec.layout.channels, options.width
        self.generator = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1)
        )

    def transform(self, image: Tensor) -> Tensor:
        """image: [N, C, size, size] in [-1, 1]. Returns the same shape."""
        return cast(Tensor, self.generator(image))

    def phases(self) -> Sequence[Phase]:
        return [Phase("generator", ("generator",), self.loss, lr=3e-3)]

    def loss(self, batch: Batch) -> Tensor:
        return (self.transform(cast(Tensor, batch.condition.image)) - batch.real).abs().mean()
