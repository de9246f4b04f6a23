"""The one training loop. It knows phases, not models: a model says what its phases are, the loop runs them.

configuration -> Run (everything that changes, and that a checkpoint keeps) -> steps -> looks -> report
"""

from __future__ import annotations

import copy
import json
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.multiprocessing.spawn import ProcessException

from gantools import errors
from gantools.config import TrainConfig
from gantools.errors import CheckpointError, ConfigError, GantoolsError, TrainingError
from gantools.models.base import Model, Phase
from gantools.nn.ema import update_average
from gantools.train.checkpoint import load_tensors, save_tensors
from gantools.train.monitor import HealthMonitor, MetricsLog, Progress, TrainingReport
from gantools.train.samplers import Examples, Judgement

OnProgress = Callable[[Progress], None]
OnCheckpoint = Callable[["Snapshot"], None]
OnLook = Callable[[int, Model], None]
Value = TypeVar("Value")

# A batch of a model whose steps are large is dealt to so many threads on a CPU. They meet once a step, where threads
# within an operation would meet at each, and the result is the same on any number of cores.
SHARDS = 2

# What is left of a phase's learning rate when a share `progress` of the training has passed.
DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "none": lambda _: 1.0,
}


@dataclass(frozen=True)
class Snapshot:
    """A run as plain tensors and numbers: what a checkpoint needs to go on exactly where it was.

    weights: of the model to use. state, counters: of the run. metrics: the log so far.
    """

    weights: dict[str, Tensor]
    state: dict[str, Tensor]
    counters: dict[str, Any]
    metrics: str


@dataclass(frozen=True)
class Outcome:
    """A finished run: the model to use (on the CPU), the report and the metrics log."""

    model: Model
    report: TrainingReport
    metrics: str


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
    resumed run goes on well but not to the bit, for only the first process's state is kept.

    Raises ConfigError for a device that is not there, CheckpointError when `resume` does not fit, TrainingError when
    nothing usable came out, and what the callbacks raise.
    """
    fabric = make_fabric(config)
    job = partial(_train, model=model, examples=examples, config=config, resume=resume,
                  on_checkpoint=on_checkpoint, on_look=on_look, tensorboard=tensorboard)  # fmt: skip
    if config.devices > 1:
        return _in_processes(fabric, job, model)
    with one_thread():
        return job(fabric, on_progress=on_progress)


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
    given: dict[str, Any] = {"accelerator": device.type, "precision": precision[config.precision]}
    if config.devices > 1:
        if device.type == "cuda" and torch.cuda.device_count() < config.devices:
            raise ConfigError(f"there are {torch.cuda.device_count()} GPUs", where="devices", remedy="ask for fewer")
        given |= {"devices": config.devices, "strategy": "ddp_spawn"}
    else:
        given["devices"] = [device.index or 0] if device.type == "cuda" else 1
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)  # it says which precision it uses, each time
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not used.*|.*available but.*")
            return Fabric(**given)
    finally:
        logger.setLevel(level)


def resolve_device(name: str) -> torch.device:
    """The device that "auto", "cpu", "cuda" or "cuda:1" means here. Raises ConfigError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name.replace("gpu", "cuda"))
    except RuntimeError as error:
        raise ConfigError(f"there is no device {name!r}", where="device", remedy="use auto, cpu or cuda:0") from error
    if device.type == "mps":
        problem = "Apple's GPUs have no float64 numbers, which tables are encoded with"
        raise ConfigError(problem, where="device", remedy="use --device cpu")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= n_gpus:
        raise ConfigError(f"this machine has no {name!r}", where="device", remedy="use --device auto")
    return device


def _in_processes(fabric: Fabric, job: Callable[..., Outcome], model: Model) -> Outcome:
    """Run the job in one process per device. What comes of it travels in files: a queue would hold up large answers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            fabric.launch(partial(_work, job=job, folder=folder))
        except ProcessException:
            if not (folder / "error.json").exists():
                raise
            told = json.loads((folder / "error.json").read_text(encoding="utf-8"))
            raise getattr(errors, told.pop("kind"), GantoolsError)(**told) from None
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        best = copy.deepcopy(model).requires_grad_(False).eval()
        best.load_state_dict(load_tensors(folder / "best.safetensors"))
    return Outcome(best, TrainingReport.from_json(answer["report"]), answer["metrics"])


def _work(fabric: Fabric, *, job: Callable[..., Outcome], folder: Path) -> None:
    """The share of one process in a training."""
    try:
        with one_thread():
            outcome = job(fabric)
    except GantoolsError as error:
        if fabric.is_global_zero:
            told = {"kind": type(error).__name__, **vars(error)}
            (folder / "error.json").write_text(json.dumps(told), encoding="utf-8")
        raise
    if fabric.is_global_zero:
        save_tensors(outcome.model.state_dict(), folder / "best.safetensors")
        answer = {"report": outcome.report.to_json(), "metrics": outcome.metrics}
        (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


class Run:
    """Everything that changes during training."""

    def __init__(self, model: Model, config: TrainConfig, device: torch.device, rank: int) -> None:
        self.model = model.to(device)
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self.best = copy.deepcopy(self.average)
        self.shards = SHARDS if device.type == "cpu" and not model.in_one_thread else 1
        self.phases = tuple(model.phases())
        # Twins share the parameters and have buffers of their own, which nobody reads: the first shard's are kept.
        twins = [copy.deepcopy(model, {id(p): p for p in model.parameters()}) for _ in range(1, self.shards)]
        self.twins = tuple(tuple(twin.train().phases()) for twin in twins)
        self.threads = ThreadPoolExecutor(self.shards, initializer=torch.set_num_threads, initargs=(1,))
        self.parameters = [
            [p for net in phase.nets for p in getattr(model, net).parameters() if p.requires_grad]
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
        """Current parameters of the nets that are averaged."""
        return [p for net in self.model.averaged for p in getattr(self.model, net).parameters()]

    def snapshot(self, metrics: str) -> Snapshot:
        state = {f"model.{k}": v for k, v in self.model.state_dict().items()}
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

        self.model.load_state_dict(part("model."))
        self.average.load_state_dict(part("average."))
        self.best.load_state_dict(snapshot.weights)
        for index, optimizer in enumerate(self.optimizers):
            slots: dict[int, dict[str, Tensor]] = {}
            for name, value in part(f"optimizer.{index}.").items():
                parameter, slot = name.split(".")
                slots.setdefault(int(parameter), {})[slot] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        try:
            self.random.set_state(state["random"].cpu())
        except RuntimeError as error:
            remedy = "resume on the kind of device it was made on, or start anew"
            raise CheckpointError("was made on another kind of device", remedy=remedy) from error
        self.step, self.seconds = counters["step"], counters["seconds"]
        self.best_step, self.looks_since_best = counters["best_step"], counters["looks_since_best"]
        self.criterion = math.inf if counters["criterion"] is None else counters["criterion"]
        self.health = HealthMonitor(**copy.deepcopy(counters["health"]))


def _train(
    fabric: Fabric,
    *,
    model: Model,
    examples: Examples,
    config: TrainConfig,
    resume: Snapshot | None,
    on_progress: OnProgress | None = None,
    on_checkpoint: OnCheckpoint | None,
    on_look: OnLook | None,
    tensorboard: str | None,
) -> Outcome:
    examples = examples.to(fabric.device)
    steps = config.steps or model.options.steps
    if fabric.world_size > 1:
        model = copy.deepcopy(model)  # what a process is given on a CPU is memory that all of them share
    run = Run(model, config, fabric.device, fabric.global_rank)
    if resume is not None:
        run.restore(resume)
        if fabric.global_rank:  # the state is the first process's; others must not draw its batches
            run.random.manual_seed(config.seed + 7919 * fabric.global_rank + run.step)
    chief = fabric.is_global_zero
    log = MetricsLog(resume.metrics if resume else "", tensorboard if chief else None)
    began = time.perf_counter() - run.seconds
    saved_at = -math.inf  # the first checkpoint comes with the first line of the log
    stopped = "finished"
    totals, updates = [torch.zeros((), device=fabric.device) for _ in run.phases], [0] * len(run.phases)
    run.model.train()
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
                        totals[index] += _update(fabric, run, index, examples, config.batch_size, progress)
                    updates[index] += phase.repeats
            update_average(run.average, run.model, model.averaged, config.ema_decay, run.step)
            run.step += 1
            run.seconds = time.perf_counter() - began
            if config.budget_s is not None:
                run.seconds = _agreed(fabric, run.seconds)
            looking = run.step % config.eval_every == 0 or run.step == steps
            if not (looking or run.step % config.log_every == 0):
                continue
            losses = {p.name: float(t) / n for p, t, n in zip(run.phases, totals, updates, strict=True) if n}
            totals, updates = [torch.zeros_like(total) for total in totals], [0] * len(run.phases)
            words = ""
            if looking or not all(map(math.isfinite, losses.values())):
                look = _look(run, examples, config.seed, progress)
                losses[look.judged.name], words = look.judged.criterion, look.words
                if on_look is not None and chief:
                    on_look(run.step, run.average)
                if look.hopeless:
                    stopped = "unhealthy"
                elif config.patience and run.looks_since_best >= config.patience:
                    stopped = "early"
            stopped = _agreed(fabric, stopped)
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
        if _look(run, examples, config.seed, 1.0).hopeless:
            stopped = "unhealthy"
        if on_look is not None and chief:
            on_look(run.step, run.average)
    log.close()
    if not run.best_step and stopped == "unhealthy":
        raise TrainingError(
            "training broke down before it had made one usable model", remedy="; ".join(run.health.noticed)
        )
    best = run.best if run.best_step else run.average
    if stopped != "unhealthy":  # the criterion speaks of the averaged nets alone; the others are best as they are now
        for name, net in best.named_children():
            if name not in model.averaged:
                net.load_state_dict(getattr(run.average, name).state_dict())
    report = TrainingReport(
        run.step, run.seconds, stopped, tuple(run.health.noticed), run.best_step or run.step, run.criterion
    )
    return Outcome(best.cpu(), report, log.text())


def _update(fabric: Fabric, run: Run, index: int, examples: Examples, batch_size: int, progress: float) -> Tensor:
    """One optimisation step of a phase. Returns its loss, detached, on the device."""
    phase, optimizer, parameters = run.phases[index], run.optimizers[index], run.parameters[index]

    def part(phase: Phase, random: torch.Generator) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        batch = examples.batch(batch_size // run.shards, progress, random)
        with fabric.autocast():
            loss = phase.loss(batch)
        return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

    if run.shards == 1:
        loss, gradients = part(phase, run.random)
    else:
        shards = [phase, *(twin[index] for twin in run.twins)]
        seeds = torch.randint(2**62, (run.shards,), generator=run.random).tolist()
        done = run.threads.map(part, shards, [torch.Generator().manual_seed(seed) for seed in seeds])
        losses, parts = zip(*done, strict=True)
        loss = torch.stack(losses).mean()
        gradients = tuple(None if g[0] is None else sum(g) / run.shards for g in zip(*parts, strict=True))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if fabric.world_size > 1:
        _share_gradients(fabric, parameters)
    for group in optimizer.param_groups:
        group["lr"] = phase.lr * DECAYS[phase.decay](progress)
    optimizer.step()
    if phase.after is not None:
        phase.after()
    return loss


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
    """What a look at the run found."""

    judged: Judgement
    words: str
    hopeless: bool


@torch.no_grad()
def _look(run: Run, examples: Examples, seed: int, progress: float) -> Look:
    """Judge the averaged weights on examples held out, keep them when they are the best so far."""
    judged = examples.judge(run.average, seed + 1)
    grads = [p.grad.square().sum() for p in run.average_parameters() if p.grad is not None]
    size = sum(p.numel() for p in run.average_parameters())
    gradient = math.sqrt(float(torch.stack(grads).sum()) / size) if grads else math.inf
    healthy = all(math.isfinite(value) for value in (judged.criterion, *judged.spread))
    gradient = gradient if healthy or not math.isfinite(gradient) else math.nan
    words, hopeless = run.health.look(progress, judged.spread, judged.watched, gradient)
    run.looks_since_best += 1
    if healthy and judged.criterion < run.criterion:
        run.criterion, run.best_step, run.looks_since_best = judged.criterion, run.step, 0
        run.best.load_state_dict(run.average.state_dict())
    return Look(judged, words, hopeless)


def _agreed(fabric: Fabric, value: Value) -> Value:
    """The first process's clock or decision in every process, so that all of them stop together."""
    return fabric.broadcast(value) if fabric.world_size > 1 else value


def _optimizer(phase: Phase, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    if phase.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=phase.lr, foreach=True)
    if phase.optimizer == "adam":
        return torch.optim.AdamW(
            parameters, lr=phase.lr, betas=phase.betas, weight_decay=phase.weight_decay, fused=True
        )
    raise ConfigError(f"{phase.optimizer!r} is neither 'adam' nor 'rmsprop'", where=f"phase {phase.name}")
