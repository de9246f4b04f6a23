"""Images for a detector, dealt into folds. Each fold's nets learn from the images of the other folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from gantools.models.base import Batch, ImageDetector, Model
from gantools.train.data import FoldRows, Judgement

HELD_OUT_IMAGES = 16  # per fold, that a detector is judged on


@dataclass(frozen=True)
class FoldImages:
    """images: [N, C, size, size] uint8. dealt: which of them are in which fold."""

    images: Tensor
    dealt: FoldRows

    @classmethod
    def deal(cls, images: Tensor, n_folds: int, seed: int) -> FoldImages:
        """Deal images [N, C, size, size] uint8 at random into folds of equal size, give or take one."""
        return cls(images, FoldRows.deal(torch.arange(len(images)), n_folds, seed))

    @property
    def fold(self) -> Tensor:
        """[N] int64."""
        return self.dealt.fold

    def to(self, device: torch.device) -> FoldImages:
        return FoldImages(self.images.to(device), self.dealt.to(device))

    def batch(self, size: int, progress: float, random: torch.Generator) -> Batch:
        """`size` images in all, shared out among the folds' nets, drawn with replacement, in [-1, 1]."""
        return self._drawn(self.dealt.others, size // len(self.dealt.others), progress, random)

    def judge(self, model: Model, classes: Sequence[str], seed: int) -> Judgement:
        """The detector's own criterion on images held out from each fold's nets."""
        random = torch.Generator(self.images.device).manual_seed(seed)
        batch = self._drawn(self.dealt.own, HELD_OUT_IMAGES, 1.0, random)
        return Judgement("held_out_error", float(cast(ImageDetector, model).held_out(batch)))

    def _drawn(self, rows: Tensor, n: int, progress: float, random: torch.Generator) -> Batch:
        """n images for each fold, at least two, among rows [n_folds, L]."""
        place = torch.randint(rows.shape[1], (len(rows), max(2, n)), device=rows.device, generator=random)
        nothing = torch.zeros(place.shape[1], dtype=torch.int64, device=rows.device)
        real = self.images[rows.gather(1, place)].float() / 127.5 - 1
        return Batch(real, nothing, nothing, progress, random)
