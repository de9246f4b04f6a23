"""Images on the device: batches are drawn from them, and generators judged by how theirs compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.models.base import GAN, Batch, Model
from gantools.nn.augment import augmented, flip_symmetric
from gantools.train.data import ClassSplit, Judgement, drawn_places, judge_by_class

LOOK_IMAGES = 128  # generated per class at each look
RARE = 500  # images of a class, half of whose real ones are varied before they are learned from


def as_input(images: Tensor) -> Tensor:
    """[N, C, S, S] uint8 to what nets see: float32 in [-1, 1], channels last in memory."""
    return (images.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class TrainingImages:
    """Images of one size with their labels.

    images: [N, C, S, S] uint8. label, rank: [N] int64. cumulative: [N] running sum of the images' chances of being
    drawn. vary: [n_classes], chance that a real image is varied by `nn.augment.augmented` before it is learned from.
    flip: [n_classes] bool, whether that may mirror it. look: turns images into what they are compared by. reference:
    per class, real images so turned.
    """

    images: Tensor
    label: Tensor
    rank: Tensor
    cumulative: Tensor
    vary: Tensor
    flip: Tensor
    look: RandomFeatures
    reference: tuple[Tensor, ...]

    @classmethod
    def of(cls, images: Tensor, label: Tensor, n_classes: int, class_balance: float, seed: int) -> TrainingImages:
        """images: [N, C, S, S] uint8. class_balance: share of each batch drawn with all classes equally likely.

        All images train: a generator needs each of a rare class, and looks compare distributions. Those of rare classes
        are varied, so that a generator learns the ways in which images may differ and not fifty images by heart.
        """
        split = ClassSplit.of(label, n_classes, class_balance, 0.0, seed)
        look = RandomFeatures(images.shape[1])
        look.fit(as_input(images[torch.cat(split.judged_by)]))
        reference = tuple(look(as_input(images[rows])) for rows in split.judged_by)
        count = torch.bincount(label, minlength=n_classes)
        vary, flip = 1 / (1 + (count / RARE) ** 2), flip_symmetric(images, label, n_classes)
        return cls(images, label, split.rank, split.cumulative, vary, flip, look, reference)

    def to(self, device: torch.device) -> TrainingImages:
        return replace(
            self, images=self.images.to(device), label=self.label.to(device), rank=self.rank.to(device),
            cumulative=self.cumulative.to(device), vary=self.vary.to(device), flip=self.flip.to(device),
            look=self.look.to(device),
            reference=tuple(rows.to(device) for rows in self.reference),
        )  # fmt: skip

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
        """`size` images drawn with replacement."""
        place = drawn_places(self.cumulative, size, random)
        images, label = self.images[place], self.label[place]
        varied = torch.rand(size, device=label.device, generator=random) < self.vary[label]
        if images.device.type == "cpu":  # of frequent classes few are, and the others need no work
            some = varied.nonzero().squeeze(1)
            images[some] = augmented(images[some], random, self.flip[label[some]])
        else:
            images = torch.where(varied.reshape(-1, 1, 1, 1), augmented(images, random, self.flip[label]), images)
        return Batch(as_input(images), label, self.rank[place], progress, random)

    def judge(self, model: Model, classes: Sequence[str], seed: int) -> Judgement:
        """Mean energy distance, over classes, between generated images and real ones in random features."""
        return judge_by_class(cast(GAN, model), self.reference, classes, LOOK_IMAGES, seed, self.look)


class RandomFeatures(nn.Module):
    """What an untrained convolutional net sees, beside small copies of the images: enough to notice bad images.

    Random convolutions keep distances between images (Giryes et al. 2016, 'Deep Neural Networks with Random Gaussian
    Weights'); means and deviations over an image say what textures it has, the small copy where things are.
    """

    scale: Tensor

    def __init__(self, channels: int, width: int = 16, n_levels: int = 3, side: int = 7) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        kernels, before = [], channels
        for level in range(n_levels):
            after = width << level
            kernel = torch.randn(after, before, 3, 3, generator=random) * (2 / (9 * before)) ** 0.5
            kernels.append(nn.Parameter(kernel, requires_grad=False))
            before = after
        self.kernels = nn.ParameterList(kernels)
        self.side = side
        self.register_buffer("scale", torch.ones(channels * side**2 + 2 * sum(width << k for k in range(n_levels))))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Let every feature count alike on images x [N, C, S, S]."""
        self.scale.fill_(1.0)
        self.scale.copy_(self(x).std(0).clamp(min=1e-3))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, S, S] in [-1, 1]. Returns [N, n_features]."""
        found = [F.adaptive_avg_pool2d(x, self.side).flatten(1)]
        for kernel in self.kernels:
            x = F.leaky_relu(F.conv2d(x, kernel, padding=1), 0.2)
            found += [x.mean((2, 3)), x.flatten(2).std(2)]
            x = F.avg_pool2d(x, 2)
        return torch.cat(found, 1) / self.scale
