"""Everything that changes during training, and a snapshot of it: what a run is resumed from."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gantools.config import TrainConfig
from gantools.errors import CheckpointError, ConfigError
from gantools.models.base import Model, Phase
from gantools.train.monitor import HealthMonitor

# A batch of a model whose steps are large is dealt to so many threads on a CPU. They meet once a step, where threads
# within an operation would meet at each, and the result is the same on any number of cores.
SHARDS = 2

OPTIMIZERS: dict[str, Callable[[Phase, Sequence[Tensor]], torch.optim.Optimizer]] = {
    "adam": lambda phase, parameters: torch.optim.Adam(
        parameters, lr=phase.lr, betas=phase.betas, weight_decay=phase.weight_decay, fused=True
    ),
    "adamw": lambda phase, parameters: torch.optim.AdamW(
        parameters, lr=phase.lr, betas=phase.betas, weight_decay=phase.weight_decay, fused=True
    ),
    "rmsprop": lambda phase, parameters: torch.optim.RMSprop(
        parameters, lr=phase.lr, weight_decay=phase.weight_decay, foreach=True
    ),
}


@dataclass(frozen=True)
class Snapshot:
    """A run as plain tensors and numbers: what a checkpoint needs to go on exactly where it was.

    weights: of the model to use. state, counters: of the run. metrics: the log so far. The tensors are the run's own,
    which change as it goes on.
    """

    weights: dict[str, Tensor]
    state: dict[str, Tensor]
    counters: dict[str, Any]
    metrics: str


class Run:
    """Everything that changes during training."""

    def __init__(self, model: Model, config: TrainConfig, device: torch.device, rank: int) -> None:
        self.model = model.to(device)
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self.best = copy.deepcopy(self.average)
        sharded = device.type == "cpu" and not (model.in_one_thread or model.buffers_are_read)
        self.shards = SHARDS if sharded else 1
        self.phases = tuple(model.phases())
        # Twins share the parameters and have buffers of their own, which training does not read.
        twins = [copy.deepcopy(model, {id(p): p for p in model.parameters()}) for _ in range(1, self.shards)]
        self.twins = tuple(tuple(twin.train().phases()) for twin in twins)
        self.threads = ThreadPoolExecutor(self.shards, initializer=torch.set_num_threads, initargs=(1,))
        self.parameters = [
            [p for net in phase.nets for p in getattr(model, net).parameters() if p.requires_grad]
            for phase in self.phases
        ]
        self.optimizers = [_optimizer(*pair) for pair in zip(self.phases, self.parameters, strict=True)]
        self.rank, self.seed = rank, config.seed + 7919 * rank
        self.random = torch.Generator(device).manual_seed(self.seed)
        self.health = HealthMonitor()
        self.step = 0
        self.seconds = 0.0
        self.best_step = 0
        self.criterion = math.inf
        self.looks_since_best = 0

    def gradient_size(self) -> float:
        """Root mean square of the gradient of the nets that are averaged, infinite where there is none."""
        parameters = [p for net in self.model.averaged for p in getattr(self.model, net).parameters()]
        squares = [p.grad.square().sum() for p in parameters if p.grad is not None]
        size = sum(p.numel() for p in parameters)
        return math.sqrt(float(torch.stack(squares).sum()) / size) if squares else math.inf

    def keep(self, criterion: float) -> None:
        """Take the averaged weights for the best so far."""
        self.criterion, self.best_step, self.looks_since_best = criterion, self.step, 0
        self.best.load_state_dict(self.average.state_dict())

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
                number, slot = name.split(".")
                parameter = self.parameters[index][int(number)]
                slots.setdefault(int(number), {})[slot] = laid_out_like(parameter, value)
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
        if self.rank:  # the state is the first process's; others must not draw its batches
            self.random.manual_seed(self.seed + self.step)


def laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the memory order of its parameter, which fused optimisers take for granted on a CPU."""
    if value.shape != parameter.shape or value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _optimizer(phase: Phase, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    if phase.optimizer not in OPTIMIZERS:
        rule = "must be one of " + ", ".join(OPTIMIZERS)
        raise ConfigError(f"the optimizer of phase {phase.name!r} {rule}", where="optimizer")
    return OPTIMIZERS[phase.optimizer](phase, parameters)
