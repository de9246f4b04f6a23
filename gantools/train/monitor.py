"""Watching a run: how good its rows are, whether it is healthy, and what it tells people and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantools.errors import ConfigError

COLLAPSE_SPREAD = 0.3  # generated rows that differ by less than this share of how real rows differ have collapsed
COLLAPSE_LOOKS = 3  # looks in a row after which a collapsed run is hopeless
VANISHED_GRADIENT = 1e-7  # root mean square of the generator's gradient below which it learns nothing
VANISHED_LOOKS = 5
PATIENT_SHARE = 0.3  # of the run, before which nothing is hopeless: many runs start badly

REMEDIES = {
    "divergence": "losses or weights became infinite: lower the learning rate (option lr) or raise the gradient "
    "penalty",
    "collapse": "mode collapse, what is made for {where} is nearly all alike: train longer, or use the default model",
    "vanishing": "the generator's gradients have vanished, the discriminator wins too easily: use the default "
    "model, or wgan-gp",
}


@dataclass(frozen=True)
class Progress:
    """Where a run is. seconds_left: estimate of what remains. health: empty, or what is wrong in words."""

    step: int
    steps: int
    seconds: float
    seconds_left: float
    losses: dict[str, float]
    health: str = ""


@dataclass(frozen=True)
class TrainingReport:
    """How a run ended.

    stopped: "finished", "early" (the criterion no longer improved), "budget", "unhealthy" or "interrupted". health:
    what the monitor noticed, in words. best_step, criterion: where the kept weights are from and how far their rows are
    from real ones (energy distance, 0 is perfect).
    """

    steps: int
    seconds: float
    stopped: str
    health: tuple[str, ...]
    best_step: int
    criterion: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "criterion": self.criterion if math.isfinite(self.criterion) else None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrainingReport:
        criterion = math.inf if document["criterion"] is None else document["criterion"]
        return cls(**{**document, "health": tuple(document["health"]), "criterion": criterion})

    @classmethod
    def of(cls, document: Mapping[str, Any] | None, counters: Mapping[str, Any]) -> TrainingReport:
        """The report that a checkpoint holds; from its counters where the run was killed before there was one."""
        if document is None:
            return cls(
                steps=counters["step"],
                seconds=counters["seconds"],
                stopped="interrupted",
                health=tuple(counters["health"]["noticed"]),
                best_step=counters["best_step"] or counters["step"],
                criterion=math.inf if counters["criterion"] is None else counters["criterion"],
            )
        return cls.from_json(document)


@dataclass(frozen=True)
class TrainingHistory:
    """How a training ended, and the figures that were logged on the way.

    lines: one for each entry of the log: `step`, `seconds`, the mean loss of each phase since the line before and, of a
    look at the run, the criterion under its name; None where a figure was not finite.
    """

    report: TrainingReport
    lines: tuple[Mapping[str, float | None], ...]


def energy_distance(generated: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """How far two samples are from being of one distribution, and how spread the first is against the second.

    generated: [N, width]. real: [M, width].
    Returns (distance, spread): 0 and 1 for equal distributions. Székely and Rizzo 2013, 'Energy statistics'. Unbiased
    in the within-sample terms, so the distance can come out slightly negative.
    """

    def within(x: Tensor) -> Tensor:
        return torch.cdist(x, x).sum() / max(1, len(x) * (len(x) - 1))

    spread_generated, spread_real = within(generated), within(real)
    distance = 2 * torch.cdist(generated, real).mean() - spread_generated - spread_real
    return distance, spread_generated / spread_real.clamp(min=1e-6)


@dataclass
class HealthMonitor:
    """Recognises runs that go wrong. State is plain numbers, so that a resumed run goes on watching where it was."""

    collapsed_looks: int = 0
    vanished_looks: int = 0
    noticed: list[str] = field(default_factory=list)

    def look(
        self, progress: float, spread: Sequence[float], classes: Sequence[str], gradient: float
    ) -> tuple[str, bool]:
        """spread: per class, as `energy_distance` gives it. gradient: root mean square of the generator's gradient.

        Returns what is wrong now, in words, and whether the run is hopeless.
        """
        if not all(math.isfinite(value) for value in (*spread, gradient)):
            return self._notice(REMEDIES["divergence"]), True
        flat = [name for name, value in zip(classes, spread, strict=True) if value < COLLAPSE_SPREAD]
        self.collapsed_looks = self.collapsed_looks + 1 if flat and progress >= PATIENT_SHARE else 0
        self.vanished_looks = self.vanished_looks + 1 if gradient < VANISHED_GRADIENT else 0
        if self.vanished_looks:
            hopeless = self.vanished_looks >= VANISHED_LOOKS and progress >= PATIENT_SHARE
            return self._notice(REMEDIES["vanishing"]), hopeless
        if self.collapsed_looks:
            where = "every class" if len(flat) == len(classes) > 1 else "class " + ", ".join(flat[:5])
            return self._notice(REMEDIES["collapse"].format(where=where)), self.collapsed_looks >= COLLAPSE_LOOKS
        return "", False

    def _notice(self, words: str) -> str:
        if words not in self.noticed:
            self.noticed.append(words)
        return words


class MetricsLog:
    """One JSON line per entry, kept in memory and written with each checkpoint; TensorBoard events on request."""

    def __init__(self, text: str = "", tensorboard: Path | str | None = None) -> None:
        """text: an earlier log to go on with."""
        self.lines = [json.loads(line) for line in text.splitlines()]
        self._writer = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                remedy = "pip install 'gantools[tensorboard]'"
                raise ConfigError("TensorBoard is not installed", where="tensorboard", remedy=remedy) from error
            self._writer = SummaryWriter(str(tensorboard))

    def add(self, step: int, **values: float) -> None:
        """Numbers of one step; those that are not finite are written as null."""
        self.lines.append({"step": step, **{k: v if math.isfinite(v) else None for k, v in values.items()}})
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def text(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in self.lines)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
