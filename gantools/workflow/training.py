"""What every workflow that trains shares: how, until when, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.config import TrainConfig
from gantools.words import duration
from gantools.workflow.contract import IMAGES, TABLES, TRAINING, given

if TYPE_CHECKING:
    from gantools.stages import Stage
    from gantools.train.monitor import TrainingReport

ENDINGS = {
    "finished": "all steps done",
    "early": "stopped early, no further gain on held-out rows",
    "budget": "stopped by --budget",
    "unhealthy": "stopped, the training had gone wrong; the last good weights are used",
}


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """How a model is trained.

    model: a registered name; None for that of the estimator. options: of that model. kinds: what columns of a table
    are, where the guess is wrong. drop: columns of a table that nothing is learned from; they stay in the output. size,
    fit: pixels of each side, and what is done with images that are not square. steps, budget_s, devices, precision: as
    in `TrainConfig`, with the estimator's defaults. seed, device: of everything. force: replace what stands where
    output goes, if gantools wrote it.
    """

    model: str | None = field(default=None, metadata=TRAINING)
    options: Mapping[str, Any] | None = field(default=None, metadata=TRAINING)
    kinds: Mapping[str, Any] | None = field(default=None, metadata=TABLES | TRAINING)
    drop: Sequence[str] = field(default=(), metadata=TABLES)
    size: int | None = field(default=None, metadata=IMAGES | TRAINING)
    fit: Any = field(default=None, metadata=IMAGES | TRAINING)
    steps: int | None = field(default=None, metadata=TRAINING)
    budget_s: float | None = field(default=None, metadata=TRAINING)
    devices: int | None = field(default=None, metadata=TRAINING)
    precision: str | None = field(default=None, metadata=TRAINING)
    seed: int = 0
    device: str = "auto"
    force: bool = False

    def train_config(self, base: TrainConfig, **more: Any) -> TrainConfig:
        """The configuration of the training; what is not given is as in `base`."""
        asked = given(self, "steps", "budget_s", "devices", "precision")
        return replace(base, seed=self.seed, device=self.device, **asked, **more)


def check_finished(report: TrainingReport) -> None:
    """Raise KeyboardInterrupt where a training was interrupted."""
    if report.stopped == "interrupted":
        raise KeyboardInterrupt


@contextmanager
def resumable(save: Path, generator: Any, stage: Stage) -> Iterator[None]:
    """Train `generator` in the block, in the time of the stage, which begins. Raises KeyboardInterrupt that says how to
    go on where that is interrupted."""
    generator.train = replace(generator.train, budget_s=stage.begin())
    try:
        yield
        check_finished(generator.report_)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"go on with `resume` where {save} holds a checkpoint") from error


def training_line(report: TrainingReport) -> str:
    """How a training went, in one line."""
    ending = ENDINGS.get(report.stopped, report.stopped)
    return f"{report.steps} steps in {duration(report.seconds)} ({ending}); best weights from step {report.best_step}"


def training_shown(report: TrainingReport) -> Iterator[str]:
    """How a training went, and what was noticed."""
    yield f"Training: {training_line(report)}"
    yield from (f"Health: {line}" for line in report.health)
