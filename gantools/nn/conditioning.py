"""What a net is told of each sample it makes or judges: a class, a vector, a caption, a picture, or several of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.encode.images import ImageLayout
from gantools.nn.captions import CaptionEncoder

PICTURE_SIDE = 8  # pixels along each side of a picture that becomes features


@dataclass(frozen=True)
class Condition:
    """Conditions of N samples; None where samples have none of that sort.

    label: [N] int64, a class. vector: [N, D] float32, an embedding of anything. caption: [N, n_words] int64, codes of
    words from 1 on, 0 behind the last. image: [N, C, size, size] float32.
    """

    label: Tensor | None = None
    vector: Tensor | None = None
    caption: Tensor | None = None
    image: Tensor | None = None

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return type(self)(**{name: None if value is None else change(value) for name, value in values})

    def __len__(self) -> int:
        """Of how many samples; 0 where nothing is known of any."""
        return next((len(value) for f in fields(self) if (value := getattr(self, f.name)) is not None), 0)

    def __getitem__(self, places: Tensor | slice) -> Self:
        """The conditions of some of the samples."""
        return self._each(lambda value: value[places])

    @property
    def describes(self) -> bool:
        """Whether samples of one class may have different conditions."""
        return self.vector is not None or self.caption is not None

    def of_others(self) -> Condition:
        """The same classes, but the vectors and captions of other samples: each has those of the one before it."""
        vector, caption = (None if each is None else each.roll(1, 0) for each in (self.vector, self.caption))
        return Condition(self.label, vector, caption, self.image)

    def to(self, device: torch.device) -> Self:
        return self._each(lambda value: value.to(device))

    def twice(self) -> Self:
        """The same conditions once more behind themselves, for real and generated samples side by side."""
        return self._each(lambda value: torch.cat([value, value]))


@dataclass(frozen=True)
class ConditionSpec:
    """Which conditions a model is built for. The default is none, as detectors have it.

    class_counts: real samples of each class, in the order of labels; empty where there are no classes. vector_width:
    numbers of a vector, 0 where there is none. vocabulary, n_words: known words, and words of the longest caption; 0
    where there is none. image: layout of the picture, None where there is none.
    """

    class_counts: tuple[int, ...] = field(default=())
    vector_width: int = 0
    vocabulary: int = 0
    n_words: int = 0
    image: ImageLayout | None = None

    @property
    def n_classes(self) -> int:
        return len(self.class_counts)

    @property
    def plain_width(self) -> int:
        """Width of what `beside` puts next to an input."""
        picture = 0 if self.image is None else self.image.channels * PICTURE_SIDE**2
        return self.n_classes + self.vector_width + self.vocabulary + picture


def beside(x: Tensor, condition: Condition, spec: ConditionSpec) -> Tensor:
    """The condition as it is beside the input: the class as a one-hot vector, the vector, which words the caption has,
    the picture made small.

    x: [N, width]. Returns [N, width + spec.plain_width]. Mirza and Osindero 2014, 'Conditional Generative Adversarial
    Nets'.
    """
    parts = [x]
    if spec.n_classes:
        assert condition.label is not None
        parts.append(F.one_hot(condition.label, spec.n_classes).to(x.dtype))
    if spec.vector_width:
        assert condition.vector is not None
        parts.append(condition.vector)
    if spec.vocabulary:
        assert condition.caption is not None
        has = F.one_hot(condition.caption, spec.vocabulary + 1).amax(1)
        parts.append(has[:, 1:].to(x.dtype))
    if spec.image is not None:
        assert condition.image is not None
        parts.append(F.adaptive_avg_pool2d(condition.image, PICTURE_SIDE).flatten(1))
    return torch.cat(parts, 1) if len(parts) > 1 else x


class Embed(nn.Module):
    """A condition as learned features: the sum of what its class, its vector, its caption and its picture give.

    width: of the features; 0 where there is no condition to learn from.
    """

    def __init__(self, spec: ConditionSpec, width: int) -> None:
        super().__init__()
        self.width = width if spec.plain_width else 0
        self.label = nn.Embedding(spec.n_classes, width) if spec.n_classes else None
        self.vector = nn.Linear(spec.vector_width, width, bias=False) if spec.vector_width else None
        self.caption = CaptionEncoder(spec.vocabulary, spec.n_words, width) if spec.vocabulary else None
        self.image = None
        if spec.image is not None:
            self.image = nn.Linear(spec.image.channels * PICTURE_SIDE**2, width, bias=False)

    def start_at(self, scale: float) -> None:
        """Draw the weights anew, so that features have about this standard deviation; 0 for none at the start."""
        for layer in (self.label, self.vector, self.image):
            if layer is None:
                continue
            if scale:
                n_inputs = layer.in_features if isinstance(layer, nn.Linear) else 1
                nn.init.normal_(layer.weight, std=scale / math.sqrt(n_inputs))
            else:
                nn.init.zeros_(layer.weight)
        if self.caption is not None:
            self.caption.start_at(scale)

    def beside(self, x: Tensor, condition: Condition) -> Tensor:
        """The features put next to x [N, D]: [N, D + width]."""
        return torch.cat([x, self(condition)], 1) if self.width else x

    def added_to(self, x: Tensor, condition: Condition) -> Tensor:
        """x [N, width], plus the features."""
        return x + self(condition) if self.width else x

    def forward(self, condition: Condition) -> Tensor:
        """Features [N, width], where there is a condition."""
        found: list[Tensor] = []
        if self.label is not None:
            found.append(self.label(condition.label))
        if self.vector is not None:
            found.append(self.vector(condition.vector))
        if self.caption is not None:
            found.append(self.caption(condition.caption))
        if self.image is not None:
            assert condition.image is not None
            found.append(self.image(F.adaptive_avg_pool2d(condition.image, PICTURE_SIDE).flatten(1)))
        return sum(found[1:], found[0])


class Projection(nn.Module):
    """A discriminator's last layer: how real the features are, plus how well they suit the condition.

    Miyato and Koyama 2018, 'cGANs with Projection Discriminator'. The part of the condition starts at zero.
    """

    def __init__(self, width: int, spec: ConditionSpec) -> None:
        super().__init__()
        self.real = nn.Linear(width, 1)
        self.suits = Embed(spec, width)
        self.suits.start_at(0.0)

    def forward(self, h: Tensor, condition: Condition) -> Tensor:
        """h: [N, width] features. Returns logits [N]."""
        logits = self.real(h).squeeze(1)
        if not self.suits.width:
            return logits
        return logits + (h * self.suits(condition)).sum(1) / math.sqrt(h.shape[1])
