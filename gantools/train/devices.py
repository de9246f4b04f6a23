"""Devices: which one is meant, how many threads torch uses on a CPU, and jobs with a process for each of several."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

from gantools import errors
from gantools.config import TrainConfig
from gantools.errors import ConfigError, GantoolsError, WorkerError
from gantools.train.checkpoint import load_tensors, save_tensors

# What a job in several processes gives: tensors, and values that JSON has.
Result = tuple[dict[str, Tensor], dict[str, Any]]
Value = TypeVar("Value")


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
    if launched() > 1:
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        given |= {"devices": here, "num_nodes": launched() // here, "strategy": "ddp"}
    elif config.devices > 1:
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
        raise ConfigError(problem, where="device", remedy="use the CPU")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= n_gpus:
        raise ConfigError(f"this machine has no {name!r}", where="device", remedy="use 'auto'")
    return device


def launched() -> int:
    """How many processes torchrun has started for this command, on one machine or several; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def serve() -> None:
    """What every process that torchrun has started does but the first: help with each training, until it is dismissed.

    The first does all else that there is to do.
    """
    while (task := _told(None)) is not None:
        _taking_part(*task)


def with_launched(config: TrainConfig, mine: Callable[[Fabric], Value], theirs: Callable[[Fabric], object]) -> Value:
    """Let the other processes of torchrun do a job, which must be picklable, and this one another. Returns what the
    latter gives."""
    _told((config, theirs))
    return _taking_part(config, mine)


def _taking_part(config: TrainConfig, job: Callable[[Fabric], Value]) -> Value:
    """What a job gives in this process, one of those of torchrun."""
    fabric = make_fabric(config)
    fabric.launch()
    with one_thread():
        return job(fabric)


def dismiss() -> None:
    """Tell the other processes of torchrun that there is nothing more to do."""
    if launched() > 1:
        _told(None)
        torch.distributed.destroy_process_group()


def _told(task: Any) -> Any:
    """What the first process says, in every process."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    said = [task]
    torch.distributed.broadcast_object_list(said, src=0, device=torch.device("cpu"))
    return said[0]


def in_processes(fabric: Fabric, job: Callable[[Fabric], Result]) -> Result:
    """Run the job in one process per device and return what it gives in the first of them.

    job: picklable. Raises the GantoolsError that the job raised there.
    """
    # A queue would hold up large results: they travel in files.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            fabric.launch(partial(_work, job=job, folder=folder))
        except ProcessException as error:
            if isinstance(error, ProcessExitedException) and error.signal_name is not None:
                remedy = "train with fewer if memory is short; a training with checkpoints can be resumed"
                raise WorkerError(f"one of {fabric.world_size} training processes died", remedy=remedy) from error
            if not (folder / "error.json").exists():
                raise
            raised = json.loads((folder / "error.json").read_text(encoding="utf-8"))
            raise getattr(errors, raised.pop("kind"), GantoolsError)(**raised) from None
        values = json.loads((folder / "values.json").read_text(encoding="utf-8"))
        return load_tensors(folder / "tensors.safetensors"), values


def _work(fabric: Fabric, *, job: Callable[[Fabric], Result], folder: Path) -> None:
    """The job in one of the processes."""
    try:
        with one_thread():
            tensors, values = job(fabric)
    except GantoolsError as error:
        if fabric.is_global_zero:
            raised = {"kind": type(error).__name__, **vars(error)}
            (folder / "error.json").write_text(json.dumps(raised), encoding="utf-8")
        raise
    if fabric.is_global_zero:
        save_tensors(tensors, folder / "tensors.safetensors")
        (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")


def share_gradients(fabric: Fabric, parameters: Sequence[Tensor]) -> None:
    """Average the gradients over the processes, in one message.

    The nets stay plain modules, so that penalties may differentiate twice.
    """
    present = [p.grad for p in parameters if p.grad is not None]
    flat = cast("Tensor", fabric.all_reduce(torch.cat([g.flatten() for g in present]), reduce_op="mean"))
    for gradient, part in zip(present, torch.split(flat, [g.numel() for g in present]), strict=True):
        gradient.copy_(part.reshape(gradient.shape))


def agreed(fabric: Fabric, value: Value) -> Value:
    """The first process's clock or decision in every process, so that all of them stop together."""
    return fabric.broadcast(value) if fabric.world_size > 1 else value
