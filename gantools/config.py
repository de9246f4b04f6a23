"""Configurations are frozen dataclasses, checked once where they enter and saved with the run as JSON."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from gantools.errors import ConfigError
from gantools.words import meant

Config = TypeVar("Config")


@dataclass(frozen=True)
class TrainConfig:
    """How long, on what and how a model trains.

    steps: optimisation steps of the generator; None takes the model's own recommendation. budget_s: stop after this
    many seconds even if steps remain (learning rates fall with whichever runs out first; a run that ends by its budget
    is not repeatable to the bit). batch_size: rows per step. seed: of everything random. device: "auto", "cpu", "cuda",
    "cuda:1". devices: how many of them; each draws batches of its own, and gradients are averaged. precision: "auto"
    (bf16 autocast on GPUs, float32 elsewhere), "32", "bf16". ema_decay: of the averaged weights that are sampled from.
    eval_every: steps between looks at the held-out criterion. patience: looks without improvement after which training
    stops early; 0 never stops. checkpoint_every_s: seconds between checkpoints when a folder is given. log_every: steps
    between lines of the metrics log. tensorboard: also write TensorBoard events.
    """

    steps: int | None = None
    budget_s: float | None = None
    batch_size: int = 256
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    ema_decay: float = 0.995
    eval_every: int = 250
    patience: int = 0
    checkpoint_every_s: float = 10.0
    log_every: int = 50
    tensorboard: bool = False

    def __post_init__(self) -> None:
        check(1 <= self.devices <= MOST_DEVICES, "devices", f"must be from 1 to {MOST_DEVICES}")
        for name in ("eval_every", "log_every"):
            check(getattr(self, name) >= 1, name, "must be at least 1")
        check(self.batch_size >= 2, "batch_size", "must be at least 2")
        check(0 <= self.seed < 2**63, "seed", "must be at least 0 and below 2**63")
        check(self.steps is None or 1 <= self.steps <= MOST_STEPS, "steps", f"must be from 1 to {MOST_STEPS:,}")
        check(self.budget_s is None or self.budget_s > 0, "budget_s", "must be longer than no time at all")
        check(self.budget_s is None or self.budget_s <= LONGEST_S, "budget_s", "must not be longer than a year")
        check(0 <= self.ema_decay < 1, "ema_decay", "must be at least 0 and below 1")
        check(self.patience >= 0 and self.checkpoint_every_s >= 0, "patience", "must not be negative")
        check(self.precision in PRECISIONS, "precision", "must be one of " + ", ".join(PRECISIONS))
        check(
            bool(re.fullmatch(r"auto|cpu|mps|(cuda|gpu)(:\d{1,3})?", self.device)),
            "device",
            "must be auto, cpu, cuda or cuda:N",
        )


MOST_DEVICES = 64
MOST_STEPS = 10**9
LONGEST_S = 366 * 86400.0
LARGEST = 10**6  # that a whole number among the options of a model may be
PRECISIONS = ("auto", "32", "bf16")


def check(good: bool, option: str, rule: str) -> None:
    """Raise ConfigError naming the option unless `good`."""
    if not good:
        raise ConfigError(rule, where=option)


def check_memory(n_bytes: float, option: str, what: str) -> None:
    """Raise ConfigError naming the option where `what` takes more bytes than this machine has memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no system that says it
        return
    if n_bytes > memory:
        problem = f"{what} would take {n_bytes / 1e9:,.0f} GB of memory, and this machine has {memory / 1e9:,.0f}"
        raise ConfigError(problem, where=option, remedy="ask for less")


def build(cls: type[Config], values: Mapping[str, Any] | None = None) -> Config:
    """A configuration from plain values (JSON, or text from the command line), each converted to its field's type.

    Raises ConfigError for an unknown name (with the nearest one) and for a value of the wrong type.
    """
    fields = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    converted: dict[str, Any] = {}
    for name, value in (values or {}).items():
        key = name.replace("-", "_")
        if key not in fields:
            remedy = meant(key, fields, "it takes " + (", ".join(sorted(fields)) or "no options"))
            raise ConfigError(f"there is no option called {name!r}", where=name, remedy=remedy)
        converted[key] = _convert(value, hints[key], name)
    return cls(**converted)


def to_json(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values; `build` makes it again."""
    return dataclasses.asdict(config)


def _convert(value: Any, hint: Any, name: str) -> Any:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        if type(None) in options:
            return None
        raise ConfigError("needs a value", where=name)
    kind = next(option for option in options if option is not type(None))
    try:
        return _check_range(_read(value, kind), name)
    except (KeyError, ValueError, TypeError, OverflowError):
        raise ConfigError(f"{value!r} is not {_article(kind)}", where=name) from None


def _read(value: Any, kind: Any) -> Any:
    if kind is bool:
        if isinstance(value, str):
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[value.lower()]
        return bool(value)
    if get_origin(kind) is tuple:
        return tuple(value)
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    return kind(value)


def _check_range(value: Any, name: str) -> Any:
    """The value of an option. Raises ConfigError for a number that no option means."""
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ConfigError(f"must not be larger than {LARGEST:,}", where=name)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"must be a number, not {value}", where=name)
    return value


def _article(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(kind, f"of the type {getattr(kind, '__name__', kind)}")
