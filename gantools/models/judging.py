"""GANs for tables that also judge: an ensemble of classifiers learns beside them which class a row looks like.

The ensemble consists of small MLPs on the real rows, one per fold, each kept at the weights with which it told its own
held-out fold best. It never trains on a generated row. `augment.choose` lets it choose among candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.config import check
from gantools.models.base import GAN, Batch, ConditionalOptions, Phase, TableSpec

WINDOW = 25  # classifier steps over which the held-out loss is averaged before it is compared


@dataclass(frozen=True)
class JudgingOptions(ConditionalOptions):
    """n_folds, classifier_width, classifier_lr, dropout, weight_decay: of the classifier ensemble."""

    n_folds: int = 5
    classifier_width: int = 128
    classifier_lr: float = 2e-3
    dropout: float = 0.2
    weight_decay: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.classifier_lr > 0, "set classifier_lr", "must be above 0")
        check(self.weight_decay >= 0, "set weight_decay", "must not be negative")
        check(2 <= self.n_folds <= 100, "set n_folds", "must be from 2 to 100")
        check(self.classifier_width >= 1, "set classifier_width", "must be at least 1")
        check(0 <= self.dropout < 1, "set dropout", "must be at least 0 and below 1")


class JudgingGAN(GAN):
    """Base of the GANs for tables with a classifier, which is there wherever there are classes."""

    options: JudgingOptions
    log_drawn: Tensor  # [n_classes] log share of each class in training batches

    def __init__(self, spec: TableSpec, options: JudgingOptions) -> None:
        super().__init__(spec, options)
        if self.judges:
            self.classifier = FoldEnsemble(spec.layout.width, spec.condition.n_classes, options)
            counts = torch.tensor(spec.condition.class_counts, dtype=torch.float32)
            share = (
                options.class_balance * (counts > 0) / (counts > 0).sum()
                + (1 - options.class_balance) * counts / counts.sum()
            )
            self.buffers_are_read = True  # the classifier remembers how it did in a window of steps
            self.register_buffer("log_drawn", share.clamp(min=1e-9).log(), persistent=False)

    @property
    def judges(self) -> bool:
        return self.spec.condition.n_classes > 0

    def classifier_phases(self) -> list[Phase]:
        """The training of the classifier; nothing where there are no classes."""
        o = self.options
        if not self.judges:
            return []
        return [
            Phase("classifier", ("classifier",), self.train_classifier, every=2, lr=o.classifier_lr,
                  betas=(0.9, 0.99), optimizer="adamw", weight_decay=o.weight_decay)
        ]  # fmt: skip

    def train_classifier(self, batch: Batch) -> Tensor:
        return self.classifier.loss(batch, self.log_drawn)

    def evidence(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.classifier(x))


class FoldEnsemble(nn.Module):
    """One MLP per fold, computed together. Each learns from the other folds and is judged on its own.

    The kept weights of a member are those after the window of steps in which its loss on its own fold was lowest.
    """

    window_loss: Tensor  # [n_folds] held-out loss of this window so far, summed over rows
    window_rows: Tensor  # [n_folds] how many rows that were
    window_steps: Tensor  # [] how many steps
    lowest: Tensor  # [n_folds] mean held-out loss of the best window

    def __init__(self, n_features: int, n_classes: int, options: JudgingOptions) -> None:
        super().__init__()
        self.n_folds, self.dropout, width = options.n_folds, options.dropout, options.classifier_width
        for index, (before, after) in enumerate(((n_features, width), (width, width), (width, n_classes))):
            scale = math.sqrt(2 / before) if after == width else 0.0
            weight = torch.randn(self.n_folds, before, after) * scale
            bias = torch.zeros(self.n_folds, 1, after)
            for name, value in ((f"weight{index}", weight), (f"bias{index}", bias)):
                self.register_parameter(name, nn.Parameter(value))
                self.register_buffer(f"kept_{name}", value.clone())
        self.register_buffer("window_loss", torch.zeros(self.n_folds))
        self.register_buffer("window_rows", torch.zeros(self.n_folds))
        self.register_buffer("window_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("lowest", torch.full((self.n_folds,), torch.inf))

    def forward(self, x: Tensor) -> Tensor:
        """Encoded rows [N, width] to log P(class | x), classes equally likely: [N, n_classes]. By the kept weights."""
        return self._logits(x, "kept_", None).log_softmax(2).mean(0).log_softmax(1)

    def loss(self, batch: Batch, log_drawn: Tensor) -> Tensor:
        """Cross entropy of each member on the rows outside its fold, summed over members.

        log_drawn: [n_classes] log share of each class in batches; added to the logits, so that the logits themselves
        speak of classes equally likely (Menon et al. 2021, 'Long-tail learning via logit adjustment').
        """
        assert batch.condition.label is not None
        label = batch.condition.label
        fold = torch.arange(self.n_folds, device=label.device).unsqueeze(1)
        own = (batch.rank.unsqueeze(0) % self.n_folds == fold).float()  # [n_folds, B]
        target = label.expand(self.n_folds, -1)
        with torch.no_grad():
            self._watch(self._cross_entropy(self._logits(batch.real, "", None) + log_drawn, target), own)
        each = self._cross_entropy(self._logits(batch.real, "", batch) + log_drawn, target)
        return (each * (1 - own)).sum() / (1 - own).sum().clamp(min=1) * self.n_folds

    @staticmethod
    def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits.transpose(1, 2), target, reduction="none")

    def _watch(self, each: Tensor, own: Tensor) -> None:
        """Add up the held-out loss; at the end of a window keep the weights of the members that were never better."""
        self.window_loss += (each * own).sum(1)
        self.window_rows += own.sum(1)
        self.window_steps += 1
        full = self.window_steps >= WINDOW
        mean = self.window_loss / self.window_rows.clamp(min=1)
        better = full & (mean < self.lowest)
        self.lowest.copy_(torch.where(better, mean, self.lowest))
        for name, weight in self.named_parameters():
            kept = self.get_buffer(f"kept_{name}")
            kept.copy_(torch.where(better.reshape(-1, 1, 1), weight, kept))
        for counter in (self.window_loss, self.window_rows, self.window_steps):
            counter.mul_((~full).to(counter.dtype))

    def _logits(self, x: Tensor, prefix: str, batch: Batch | None) -> Tensor:
        """[n_folds, N, n_classes]. With a batch, units are dropped by its random numbers."""
        h = x.expand(self.n_folds, -1, -1)
        for index in range(3):
            h = torch.baddbmm(getattr(self, f"{prefix}bias{index}"), h, getattr(self, f"{prefix}weight{index}"))
            if index < 2:
                h = F.relu(h)
                if batch is not None:
                    h = h * (batch.uniform(*h.shape) >= self.dropout) / (1 - self.dropout)
        return h
