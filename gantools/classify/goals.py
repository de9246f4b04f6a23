"""What a classifier is to be good at, and the decisions that follow from its probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.metrics import f1_score
from torch import Tensor, nn

from gantools.classify.figures import Floats, Ints
from gantools.errors import ConfigError

LEAST = 1e-5  # probability of a class, as calibration takes it
TRUST = 0.2  # how far calibration may move: the standard deviation of each of its numbers before any row is seen
EXPONENTS = np.linspace(0.0, 1.5, 61)  # of the classes' shares, tried for F1
GOALS = "balanced-accuracy, f1, recall=0.9 or cost=10:1"


@dataclass(frozen=True)
class Goal:
    """balanced-accuracy: the mean of the classes' recalls. f1: the mean of their F1 scores. recall: find this share of
    the rarer of two classes, with as few false alarms as that allows. cost: missing one of the rarer of two classes
    costs so many times what a false alarm costs.

    kind: which of them. value: the recall, or the ratio of costs.
    """

    kind: str
    value: float = 0.0

    @classmethod
    def read(cls, text: str) -> Goal:
        """The goal that is meant by "balanced-accuracy", "f1", "recall=0.9" or "cost=10:1". Raises ConfigError."""
        kind, _, value = text.strip().lower().partition("=")
        try:
            if kind in ("balanced-accuracy", "f1") and not value:
                return cls(kind)
            if kind == "recall" and 0 < float(value) <= 1:
                return cls(kind, float(value))
            if kind == "cost":
                missed, _, alarm = value.partition(":")
                ratio = float(missed) / float(alarm or 1)
                if ratio > 0 and math.isfinite(ratio):
                    return cls(kind, ratio)
        except (ValueError, ZeroDivisionError):
            pass
        raise ConfigError(f"{text!r} is no goal", where="goal", remedy=f"write {GOALS}")

    def check(self, n_classes: int) -> None:
        """Raise ConfigError for a goal that so many classes cannot have."""
        if self.kind in ("recall", "cost") and n_classes != 2:
            problem = f"{self.kind} needs two classes, and there are {n_classes}"
            raise ConfigError(problem, where="goal", remedy="take balanced-accuracy or f1")

    def __str__(self) -> str:
        if self.kind == "recall":
            return f"recall={self.value:g}"
        return f"cost={self.value:g}:1" if self.kind == "cost" else self.kind

    def weights(self, counts: Ints, truth: Ints, probabilities: Floats) -> Floats:
        """What each class's probability is multiplied by before the largest one decides: [K].

        counts: real rows of each class. truth, probabilities: [N] classes and [N, K] calibrated probabilities of rows
        that were held back.
        """
        share = np.maximum(counts, 1) / counts.sum()
        rare, usual = int(counts.argmin()), int(counts.argmax())
        weight = np.ones(len(counts))
        if self.kind == "balanced-accuracy":
            weight = 1 / share
        elif self.kind == "f1":
            tried = [share**-exponent for exponent in EXPONENTS]
            weight = max(tried, key=lambda one: _macro_f1(truth, probabilities * one))
        elif self.kind == "cost":
            weight[rare] = self.value
        else:
            hits = np.sort(probabilities[truth == rare, rare])
            lost = min(math.floor((1 - self.value) * len(hits) + 1e-9), len(hits) - 1)
            threshold = float(np.clip(hits[lost], LEAST, 1 - LEAST)) if len(hits) else share[rare]
            threshold -= 1e-9  # a row at the threshold is found
            weight[rare], weight[usual] = 1 - threshold, threshold
        weights: Floats = weight / weight.max()
        return weights


class Decision(nn.Module):
    """Probabilities that a classifier gives, recalibrated, and the class that is decided on.

    The shares of the classes that it was trained on are divided out and the real ones put in their place (Saerens et
    al. 2002); what is then left of miscalibration is taken out by a scale and a bias of each class, fitted on rows that
    were held back (Platt 1999, for two classes).
    """

    shift: Tensor  # [K] log of real shares over those trained on
    scale: Tensor  # [1]
    bias: Tensor  # [K]
    weight: Tensor  # [K] what probabilities are multiplied by before the largest decides

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        for name, size in {"shift": n_classes, "scale": 1, "bias": n_classes, "weight": n_classes}.items():
            self.register_buffer(name, torch.ones(size, dtype=torch.float64))

    @classmethod
    def fitted(cls, goal: Goal, counts: Ints, trained_on: Ints, truth: Ints, probabilities: Floats) -> Decision:
        """counts, trained_on: rows of each class that there are, and that the classifier learned from. truth,
        probabilities: of rows that were held back, [N] and [N, K], with the shares that were trained on divided out.
        """
        found = cls(len(counts))
        found.shift.copy_(torch.from_numpy(np.log(np.maximum(counts, 1) / np.maximum(trained_on, 1))))
        scale, bias = calibrated(truth, probabilities)
        found.scale.fill_(scale)
        found.bias.copy_(torch.from_numpy(bias))
        settled = found.settled(torch.from_numpy(probabilities))[0].numpy()
        found.weight.copy_(torch.from_numpy(goal.weights(counts, truth, settled)))
        return found

    def forward(self, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """[N, K] as the classifier gives them. Returns recalibrated ones [N, K] float64, and classes [N] int64."""
        return self.settled((probabilities.clamp(min=LEAST).log() + self.shift).softmax(1))

    def settled(self, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """The same of probabilities whose shares are put right already."""
        clipped = probabilities.clamp(min=LEAST)
        logs = (clipped / clipped.sum(1, keepdim=True)).log()
        found = (self.scale * logs + self.bias).softmax(1)
        return found, (found * self.weight).argmax(1)


def calibrated(truth: Ints, probabilities: Floats) -> tuple[float, Floats]:
    """The scale, and the bias of each class [K], that make probabilities [N, K] of held-back rows most likely.

    A normal prior keeps them near 1 and 0 where few rows tell.
    """
    logs, n_classes = _logs(probabilities), probabilities.shape[1]
    hit = np.eye(n_classes)[truth]

    def loss(values: Floats) -> tuple[float, Floats]:
        scale = math.exp(values[0])
        logits = scale * logs + values[1:]
        logits -= logits.max(1, keepdims=True)
        chance = np.exp(logits)
        chance /= chance.sum(1, keepdims=True)
        wrong = chance - hit
        slope = np.concatenate([[scale * (wrong * logs).sum()], wrong.sum(0)]) + values / TRUST**2
        return float(-(hit * np.log(np.maximum(chance, 1e-300))).sum() + (values**2).sum() / 2 / TRUST**2), slope

    bounds = [(-3.0, 2.0), *[(-9.0, 9.0)] * n_classes]
    best: Any = minimize(loss, np.zeros(1 + n_classes), jac=True, method="L-BFGS-B", bounds=bounds)
    return math.exp(best.x[0]), best.x[1:]


def _logs(probabilities: Floats) -> Floats:
    clipped = np.maximum(probabilities, LEAST)
    logs: Floats = np.log(clipped / clipped.sum(1, keepdims=True))
    return logs


def _macro_f1(truth: Ints, probabilities: Floats) -> float:
    return float(f1_score(truth, probabilities.argmax(1), average="macro", zero_division=0))
