"""The one training loop. It knows phases, not models: a model says what its phases are, the loop runs them.

configuration -> Run (everything that changes, and that a checkpoint keeps) -> steps -> looks -> report
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from gantools.config import TrainConfig
from gantools.errors import ConfigError, TrainingError
from gantools.models.base import GAN, Phase
from gantools.nn.ema import update_average
from gantools.train.data import TrainingRows
from gantools.train.monitor import HealthMonitor, MetricsLog, Progress, TrainingReport, energy_distance

LOOK_ROWS = 256  # generated per class at each look
LOOK_CLASSES = 20  # at most this many classes are looked at, the rarest first

OnProgress = Callable[[Progress], None]
OnCheckpoint = Callable[["Snapshot"], None]


@dataclass(frozen=True)
class Snapshot:
    """A run as plain tensors and numbers: what a checkpoint needs to go on exactly where it was.

    weights: of the model to sample from. state, counters: of the run. metrics: the log so far.
    """

    weights: dict[str, Tensor]
    state: dict[str, Tensor]
    counters: dict[str, Any]
    metrics: str


@dataclass(frozen=True)
class Outcome:
    """A finished run: the model to sample from (on the CPU), the report and the metrics log."""

    gan: GAN
    report: TrainingReport
    metrics: str


def train(
    gan: GAN,
    rows: TrainingRows,
    classes: Sequence[str],
    config: TrainConfig,
    *,
    resume: Snapshot | None = None,
    on_progress: OnProgress | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    tensorboard: str | None = None,
) -> Outcome:
    """Train a model.

    classes: names of the classes, for messages. resume: where to go on. on_progress: called at each line of the log.
    on_checkpoint: called about every `config.checkpoint_every_s`. With `config.devices` > 1 the run is split over
    processes, without progress. Raises ConfigError for a device that is not there, TrainingError when nothing usable
    came out.
    """
    fabric = make_fabric(config)
    if config.devices == 1:
        with one_thread():
            return _train(fabric, gan, rows, tuple(classes), config, resume, on_progress, on_checkpoint, tensorboard)
    run: Any = _train  # its arguments are not what Fabric declares
    outcome: Outcome = fabric.launch(run, gan, rows, tuple(classes), config, resume, None, on_checkpoint, tensorboard)
    return outcome


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread.

    CPU work of this size gains little from a second one, and loses a factor of ten to it where another program is busy.
    One also keeps results from depending on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_fabric(config: TrainConfig) -> Fabric:
    """Device, precision and processes. Raises ConfigError for what this machine does not have."""
    device = resolve_device(config.device)
    automatic = "bf16-mixed" if device.type == "cuda" else "32-true"
    precision: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "auto": automatic}
    if config.devices > 1:
        if device.type == "cuda" and torch.cuda.device_count() < config.devices:
            raise ConfigError(f"there are {torch.cuda.device_count()} GPUs", where="--devices", remedy="ask for fewer")
        return Fabric(
            accelerator=device.type, devices=config.devices, strategy="ddp_spawn", precision=precision[config.precision]
        )
    devices: Any = [device.index or 0] if device.type == "cuda" else 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not used.*|.*available but.*")
        return Fabric(accelerator=device.type, devices=devices, precision=precision[config.precision])


def resolve_device(name: str) -> torch.device:
    """The device that "auto", "cpu", "cuda", "cuda:1" or "mps" means here. Raises ConfigError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name.replace("gpu", "cuda"))
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[device.type]
    if not there or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise ConfigError(f"this machine has no {name!r}", where="--device", remedy="use --device auto")
    return device


class Run:
    """Everything that changes during training."""

    def __init__(self, gan: GAN, config: TrainConfig, device: torch.device, rank: int) -> None:
        self.gan = gan.to(device)
        self.average = copy.deepcopy(gan).requires_grad_(False).eval()
        self.best = copy.deepcopy(self.average)
        self.phases = tuple(gan.phases())
        self.parameters = [
            [p for net in phase.nets for p in getattr(gan, net).parameters() if p.requires_grad]
            for phase in self.phases
        ]
        self.optimizers = [_optimizer(*pair) for pair in zip(self.phases, self.parameters, strict=True)]
        self.random = torch.Generator(device).manual_seed(config.seed + 7919 * rank)
        self.health = HealthMonitor()
        self.step = 0
        self.seconds = 0.0
        self.best_step = 0
        self.criterion = math.inf
        self.looks_since_best = 0

    def average_parameters(self) -> list[Tensor]:
        """Current parameters of the nets that samples are drawn from."""
        return [p for net in self.gan.averaged for p in getattr(self.gan, net).parameters()]

    def snapshot(self, metrics: str) -> Snapshot:
        state = {f"gan.{k}": v for k, v in self.gan.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, optimizer in enumerate(self.optimizers):
            for parameter, slots in optimizer.state_dict()["state"].items():
                state |= {f"optimizer.{index}.{parameter}.{name}": slot for name, slot in slots.items()}
        state["random"] = self.random.get_state()
        counters = {
            "step": self.step,
            "seconds": self.seconds,
            "best_step": self.best_step,
            "looks_since_best": self.looks_since_best,
            "criterion": self.criterion if math.isfinite(self.criterion) else None,
            "health": vars(self.health),
        }
        weights = dict((self.best if self.best_step else self.average).state_dict())
        return Snapshot(weights, state, copy.deepcopy(counters), metrics)

    def restore(self, snapshot: Snapshot) -> None:
        state, counters = snapshot.state, snapshot.counters

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        self.gan.load_state_dict(part("gan."))
        self.average.load_state_dict(part("average."))
        self.best.load_state_dict(snapshot.weights)
        for index, optimizer in enumerate(self.optimizers):
            slots: dict[int, dict[str, Tensor]] = {}
            for name, value in part(f"optimizer.{index}.").items():
                parameter, slot = name.split(".")
                slots.setdefault(int(parameter), {})[slot] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        self.random.set_state(state["random"].cpu())
        self.step, self.seconds = counters["step"], counters["seconds"]
        self.best_step, self.looks_since_best = counters["best_step"], counters["looks_since_best"]
        self.criterion = math.inf if counters["criterion"] is None else counters["criterion"]
        self.health = HealthMonitor(**copy.deepcopy(counters["health"]))


def _train(
    fabric: Fabric,
    gan: GAN,
    rows: TrainingRows,
    classes: tuple[str, ...],
    config: TrainConfig,
    resume: Snapshot | None,
    on_progress: OnProgress | None,
    on_checkpoint: OnCheckpoint | None,
    tensorboard: str | None,
) -> Outcome:
    rows = rows.to(fabric.device)
    steps = config.steps or gan.options.steps
    run = Run(gan, config, fabric.device, fabric.global_rank)
    if resume is not None:
        run.restore(resume)
    chief = fabric.is_global_zero
    log = MetricsLog(resume.metrics if resume else "", tensorboard if chief else None)
    began = time.perf_counter() - run.seconds
    saved_at = time.perf_counter()
    stopped = "finished"
    totals, since = [torch.zeros((), device=fabric.device) for _ in run.phases], 0
    run.gan.train()
    try:
        while run.step < steps:
            progress = run.step / steps
            if config.budget_s is not None:
                progress = max(progress, run.seconds / config.budget_s)
            if progress >= 1:
                stopped = "budget"
                break
            for index, phase in enumerate(run.phases):
                if run.step % phase.every == 0:
                    for _ in range(phase.repeats):
                        totals[index] += _update(fabric, run, index, rows, config.batch_size, progress)
            update_average(run.average, run.gan, gan.averaged, config.ema_decay, run.step)
            run.step, since = run.step + 1, since + 1
            run.seconds = _agreed(fabric, time.perf_counter() - began)
            looking = run.step % config.eval_every == 0 or run.step == steps
            if not (looking or run.step % config.log_every == 0):
                continue
            losses = {phase.name: float(total) / since for phase, total in zip(run.phases, totals, strict=True)}
            totals, since = [torch.zeros_like(total) for total in totals], 0
            words = ""
            if looking or not all(map(math.isfinite, losses.values())):
                look = _look(run, rows, classes, config.seed, progress)
                losses["energy_distance"], words = look.criterion, look.words
                if look.hopeless:
                    stopped = "unhealthy"
                elif config.patience and run.looks_since_best >= config.patience:
                    stopped = "early"
            log.add(run.step, seconds=round(run.seconds, 3), **losses)
            if on_progress is not None and chief:
                left = run.seconds * (1 - progress) / max(progress, 1 / steps)
                on_progress(Progress(run.step, steps, run.seconds, left, losses, words))
            if stopped != "finished":
                break
            if on_checkpoint is not None and chief and time.perf_counter() - saved_at >= config.checkpoint_every_s:
                on_checkpoint(run.snapshot(log.text()))
                saved_at = time.perf_counter()
    except KeyboardInterrupt:
        stopped = "interrupted"  # perhaps in the middle of a step: the last checkpoint stands, none is written here
    if stopped == "budget":
        _look(run, rows, classes, config.seed, 1.0)
    log.close()
    if not run.best_step and stopped == "unhealthy":
        raise TrainingError(
            "training broke down before it had made one usable model", remedy="; ".join(run.health.noticed)
        )
    best = run.best if run.best_step else run.average
    report = TrainingReport(
        run.step, run.seconds, stopped, tuple(run.health.noticed), run.best_step or run.step, run.criterion
    )
    return Outcome(best.cpu(), report, log.text())


def _update(fabric: Fabric, run: Run, index: int, rows: TrainingRows, batch_size: int, progress: float) -> Tensor:
    """One optimisation step of a phase. Returns its loss, detached, on the device."""
    phase, optimizer, parameters = run.phases[index], run.optimizers[index], run.parameters[index]
    batch = rows.batch(batch_size, progress, run.random)
    with fabric.autocast():
        loss = phase.loss(batch)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if fabric.world_size > 1:
        _share_gradients(fabric, parameters)
    for group in optimizer.param_groups:
        group["lr"] = phase.lr * (1 - progress) if phase.decay else phase.lr
    optimizer.step()
    if phase.after is not None:
        phase.after()
    return loss.detach()


def _share_gradients(fabric: Fabric, parameters: Sequence[Tensor]) -> None:
    """Average the gradients over the processes, in one message.

    The nets stay plain modules, so that penalties may differentiate twice.
    """
    present = [p.grad for p in parameters if p.grad is not None]
    flat = cast("Tensor", fabric.all_reduce(torch.cat([g.flatten() for g in present]), reduce_op="mean"))
    for gradient, part in zip(present, torch.split(flat, [g.numel() for g in present]), strict=True):
        gradient.copy_(part.reshape(gradient.shape))


@dataclass(frozen=True)
class Look:
    """What a look at the run found. criterion: mean energy distance over classes."""

    criterion: float
    words: str
    hopeless: bool


@torch.no_grad()
def _look(run: Run, rows: TrainingRows, classes: Sequence[str], seed: int, progress: float) -> Look:
    """Sample from the averaged weights, compare with rows held out, keep the weights when they are the best so far."""
    device = run.random.device
    random = torch.Generator(device).manual_seed(seed + 1)
    counts = run.gan.spec.class_counts
    watched = sorted((k for k, n in enumerate(counts) if n >= 2), key=lambda k: counts[k])[:LOOK_CLASSES]
    label = torch.repeat_interleave(torch.tensor(watched, device=device), LOOK_ROWS)
    generated = run.average.sample(label, random)
    parts = zip(torch.split(generated, LOOK_ROWS), watched, strict=True)
    measured = [energy_distance(part, rows.reference[k]) for part, k in parts]
    criterion = float(torch.stack([distance for distance, _ in measured]).mean())
    spread = torch.stack([spread for _, spread in measured]).tolist()
    grads = [p.grad.square().sum() for p in run.average_parameters() if p.grad is not None]
    size = sum(p.numel() for p in run.average_parameters())
    gradient = math.sqrt(float(torch.stack(grads).sum()) / size) if grads else math.inf
    healthy = all(math.isfinite(value) for value in (criterion, *spread))
    gradient = gradient if healthy or not math.isfinite(gradient) else math.nan
    words, hopeless = run.health.look(progress, spread, [classes[k] for k in watched], gradient)
    run.looks_since_best += 1
    if healthy and criterion < run.criterion:
        run.criterion, run.best_step, run.looks_since_best = criterion, run.step, 0
        run.best.load_state_dict(run.average.state_dict())
    return Look(criterion, words, hopeless)


def _agreed(fabric: Fabric, seconds: float) -> float:
    """The same clock in every process, so that all of them stop together."""
    return fabric.broadcast(seconds) if fabric.world_size > 1 else seconds


def _optimizer(phase: Phase, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    if phase.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=phase.lr, foreach=True)
    if phase.optimizer == "adam":
        return torch.optim.AdamW(
            parameters, lr=phase.lr, betas=phase.betas, weight_decay=phase.weight_decay, fused=True
        )
    raise ConfigError(f"{phase.optimizer!r} is neither 'adam' nor 'rmsprop'", where=f"phase {phase.name}")
