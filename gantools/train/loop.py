"""The one training loop. It knows phases, not models: a model says what its phases are, the loop runs them.

train -> Training.steps -> step -> update      one optimisation step of a phase
                        -> report -> look      the log, the criterion, and whether to go on
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor

from gantools.config import TrainConfig
from gantools.errors import TrainingError
from gantools.models.base import Model, Phase
from gantools.nn.ema import update_average
from gantools.train.devices import (
    Result,
    agreed,
    in_processes,
    launched,
    make_fabric,
    one_thread,
    share_gradients,
    with_launched,
)
from gantools.train.monitor import MetricsLog, Progress, TrainingReport
from gantools.train.run import Run, Snapshot, laid_out_like
from gantools.train.samplers import Examples, Judgement

LEAST_UPDATES = 40  # of a phase that sees each sample a number of times, however few samples there are

OnProgress = Callable[[Progress], None]
OnCheckpoint = Callable[["Snapshot"], None]
OnLook = Callable[[int, Model], None]

# What is left of a phase's learning rate when a share `progress` of the training has passed.
DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "none": lambda _: 1.0,
}


@dataclass(frozen=True)
class Outcome:
    """A finished run: the model to use (on the CPU), the report and the metrics log."""

    model: Model
    report: TrainingReport
    metrics: str


@dataclass(frozen=True)
class Callbacks:
    """Who is told while a run goes on. See `train`."""

    on_progress: OnProgress | None = None
    on_checkpoint: OnCheckpoint | None = None
    on_look: OnLook | None = None


def train(
    model: Model,
    examples: Examples,
    config: TrainConfig,
    *,
    resume: Snapshot | None = None,
    on_progress: OnProgress | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    on_look: OnLook | None = None,
    tensorboard: str | None = None,
) -> Outcome:
    """Train a model.

    resume: where to go on. on_progress: called at each line of the log.
    on_checkpoint: called about every `config.checkpoint_every_s`. on_look: called with the step and the averaged model
    each time it is judged. tensorboard: folder for its events.

    With `config.devices` > 1 each device has a process of its own, which draws its own batches; gradients are averaged.
    Then nobody reports progress, `on_checkpoint` and `on_look` run in the first process and must be picklable, the
    script that calls needs the guard `if __name__ == "__main__":`, an interrupt is raised rather than reported, and a
    resumed run goes on well but not to the bit, for only the first process's state is kept. The same holds where
    torchrun has started this process and others, which are then the devices; the first of them reports progress.

    Raises ConfigError for a device that is not there, CheckpointError when `resume` does not fit, TrainingError when
    nothing usable came out, and what the callbacks raise.
    """
    callbacks = Callbacks(on_progress if config.devices == 1 else None, on_checkpoint, on_look)
    job = partial(_train, model=model, examples=examples, config=config, resume=resume,
                  callbacks=callbacks, tensorboard=tensorboard)  # fmt: skip
    if launched() > 1:
        return with_launched(config, job, partial(job, callbacks=Callbacks()))
    fabric = make_fabric(config)
    if config.devices == 1:
        with one_thread():
            return job(fabric)
    weights, values = in_processes(fabric, partial(_plain, job=job))
    best = copy.deepcopy(model).requires_grad_(False).eval()
    best.load_state_dict(weights)
    return Outcome(best, TrainingReport.from_json(values["report"]), values["metrics"])


def _plain(fabric: Fabric, *, job: Callable[[Fabric], Outcome]) -> Result:
    """The outcome of a job as it travels from another process."""
    outcome = job(fabric)
    return outcome.model.state_dict(), {"report": outcome.report.to_json(), "metrics": outcome.metrics}


def _train(
    fabric: Fabric,
    *,
    model: Model,
    examples: Examples,
    config: TrainConfig,
    resume: Snapshot | None,
    callbacks: Callbacks,
    tensorboard: str | None,
) -> Outcome:
    if fabric.world_size > 1:
        model = copy.deepcopy(model)  # what a process is given on a CPU is memory that all of them share
    run = Run(model, config, fabric.device, fabric.global_rank)
    if resume is not None:
        run.restore(resume)
    log = MetricsLog(resume.metrics if resume else "", tensorboard if fabric.is_global_zero else None)
    training = Training(fabric, run, examples.to(fabric.device), config, callbacks, log)
    try:
        stopped = training.steps()
    except KeyboardInterrupt:
        stopped = "interrupted"  # perhaps in the middle of a step: the last checkpoint stands, none is written here
    log.close()
    return _outcome(run, stopped, log.text())


def _outcome(run: Run, stopped: str, metrics: str) -> Outcome:
    """What came out. stopped: why the run ended. Raises TrainingError where nothing can be used."""
    noticed = tuple(run.health.noticed)
    if not run.best_step and stopped == "unhealthy":
        problem = "training broke down before it had made one usable model"
        raise TrainingError(problem, remedy="; ".join(noticed))
    best = run.best if run.best_step else run.average
    if stopped != "unhealthy":  # the criterion speaks of the averaged nets alone; the others are best as they are now
        for name, net in best.named_children():
            if name not in run.model.averaged:
                net.load_state_dict(getattr(run.average, name).state_dict())
    report = TrainingReport(run.step, run.seconds, stopped, noticed, run.best_step or run.step, run.criterion)
    return Outcome(best.cpu(), report, metrics)


class Training:
    """A run, step by step, until there is a reason to stop."""

    def __init__(
        self, fabric: Fabric, run: Run, examples: Examples, config: TrainConfig, callbacks: Callbacks, log: MetricsLog
    ) -> None:
        self.fabric, self.run, self.examples, self.config = fabric, run, examples, config
        self.callbacks = callbacks if fabric.is_global_zero else Callbacks()
        self.log = log
        self.n_steps = config.steps or run.model.options.steps
        self.began = time.perf_counter() - run.seconds
        self.saved_at = -math.inf  # the first checkpoint comes with the first line of the log
        self.losses = Losses(run.phases, fabric.device)

    def steps(self) -> str:
        """Take the steps that are left. Returns why they ended, a value of `TrainingReport.stopped`."""
        run, config = self.run, self.config
        run.model.train()
        while run.step < self.n_steps:
            progress = self.progress()
            if progress >= 1:
                return "unhealthy" if self.look(1.0).hopeless else "budget"
            self.step(progress)
            looking = run.step % config.eval_every == 0 or run.step == self.n_steps
            if looking or run.step % config.log_every == 0:
                stopped = agreed(self.fabric, self.report(progress, looking))
                if stopped:
                    return stopped
                self.checkpoint()
        return "finished"

    def progress(self) -> float:
        """The share of the training that has passed: of its steps, or of its budget where that is more."""
        share = self.run.step / self.n_steps
        return share if self.config.budget_s is None else max(share, self.run.seconds / self.config.budget_s)

    def step(self, progress: float) -> None:
        """Every phase whose turn it is, then the averages."""
        run, config = self.run, self.config
        for index, phase in enumerate(run.phases):
            if self.is_due(phase, progress) and progress >= phase.since:
                for _ in range(phase.repeats):
                    self.losses.add(index, self.update(index, progress))
        update_average(run.average, run.model, run.model.averaged, config.ema_decay, run.step)
        run.step += 1
        run.seconds = time.perf_counter() - self.began
        if config.budget_s is not None:
            run.seconds = agreed(self.fabric, run.seconds)

    def is_due(self, phase: Phase, progress: float) -> bool:
        """Whether a phase is to be run at this step."""
        step = self.run.step
        if phase.epochs is not None and step:
            most = max(LEAST_UPDATES, round(phase.epochs * len(self.examples.store) / self.config.batch_size))
            n_steps = max(1, round(step / progress))  # as many as there will be, with a budget too
            if step * most // n_steps == (step - 1) * most // n_steps:
                return False
        return step % phase.every == 0

    def update(self, index: int, progress: float) -> Tensor:
        """One optimisation step of a phase. Returns its loss, detached, on the device."""
        phase, parameters = self.run.phases[index], self.run.parameters[index]
        loss, gradients = self.gradients(index, progress)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else laid_out_like(parameter, gradient)
        if self.fabric.world_size > 1:
            share_gradients(self.fabric, parameters)
        optimizer = self.run.optimizers[index]
        for group in optimizer.param_groups:
            group["lr"] = phase.lr * DECAYS[phase.decay](progress)
        optimizer.step()
        if phase.after is not None:
            phase.after()
        return loss

    def gradients(self, index: int, progress: float) -> tuple[Tensor, Sequence[Tensor | None]]:
        """The loss of a phase on fresh examples, detached, and its gradients; their means where threads share them."""
        run, parameters = self.run, self.run.parameters[index]

        def part(phase: Phase, random: torch.Generator) -> tuple[Tensor, tuple[Tensor | None, ...]]:
            batch = self.examples.batch(self.config.batch_size // run.shards, progress, random)
            with self.fabric.autocast():
                loss = phase.loss(batch)
            return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

        if run.shards == 1:
            return part(run.phases[index], run.random)
        phases = [run.phases[index], *(twin[index] for twin in run.twins)]
        seeds = torch.randint(2**62, (run.shards,), generator=run.random).tolist()
        done = run.threads.map(part, phases, [torch.Generator().manual_seed(seed) for seed in seeds])
        losses, parts = zip(*done, strict=True)
        means = [None if g[0] is None else sum(g) / run.shards for g in zip(*parts, strict=True)]
        return torch.stack(losses).mean(), means

    def report(self, progress: float, looking: bool) -> str:
        """A line of the log, with a look at the run where it is time or a loss is no number.

        Returns why the run must end, "" where it goes on.
        """
        run = self.run
        losses = self.losses.means()
        words = stopped = ""
        if looking or not all(map(math.isfinite, losses.values())):
            look = self.look(progress)
            losses[look.judged.name], words = look.judged.criterion, look.words
            if look.hopeless:
                stopped = "unhealthy"
            elif self.config.patience and run.looks_since_best >= self.config.patience:
                stopped = "early"
        self.log.add(run.step, seconds=round(run.seconds, 3), **losses)
        if self.callbacks.on_progress is not None:
            left = run.seconds * (1 - progress) / max(progress, 1 / self.n_steps)
            self.callbacks.on_progress(Progress(run.step, self.n_steps, run.seconds, left, losses, words))
        return stopped

    def look(self, progress: float) -> Look:
        """Judge the averaged weights on examples held out, keep them when they are the best so far."""
        run = self.run
        with torch.no_grad():
            judged = self.examples.judge(run.average, self.config.seed + 1)
        healthy = all(math.isfinite(value) for value in (judged.criterion, *judged.spread))
        gradient = run.gradient_size()
        gradient = gradient if healthy or not math.isfinite(gradient) else math.nan
        words, hopeless = run.health.look(progress, judged.spread, judged.watched, gradient)
        run.looks_since_best += 1
        if healthy and judged.criterion < run.criterion:
            run.keep(judged.criterion)
        if self.callbacks.on_look is not None:
            self.callbacks.on_look(run.step, run.average)
        return Look(judged, words, hopeless)

    def checkpoint(self) -> None:
        """Give the run away as it stands, if it is time."""
        if self.callbacks.on_checkpoint is None:
            return
        if time.perf_counter() - self.saved_at >= self.config.checkpoint_every_s:
            self.callbacks.on_checkpoint(self.run.snapshot(self.log.text()))
            self.saved_at = time.perf_counter()


@dataclass(frozen=True)
class Look:
    """What a look at the run found. words: what is wrong, if anything. hopeless: whether it should end for that."""

    judged: Judgement
    words: str
    hopeless: bool


class Losses:
    """Losses of the phases since the last line of the log, added up on the device."""

    def __init__(self, phases: Sequence[Phase], device: torch.device) -> None:
        self.names = [phase.name for phase in phases]
        self.totals = [torch.zeros((), device=device) for _ in phases]
        self.counts = [0] * len(phases)

    def add(self, index: int, loss: Tensor) -> None:
        self.totals[index] += loss
        self.counts[index] += 1

    def means(self) -> dict[str, float]:
        """The mean of each phase that was updated, by its name; then counting begins anew."""
        means = {k: float(t) / n for k, t, n in zip(self.names, self.totals, self.counts, strict=True) if n}
        self.totals = [torch.zeros_like(total) for total in self.totals]
        self.counts = [0] * len(self.counts)
        return means
