"""Models are found, not listed: `@register` makes a class known to the CLI, the contract tests and checkpoints.

`discover` imports every module of `gantools.models` and every entry point of the group `gantools.models`, so that a
model from another package joins the shelf by being installed.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pkgutil
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from gantools.errors import ConfigError

if TYPE_CHECKING:
    from gantools.models.base import Model

GROUP = "gantools.models"
_models: dict[tuple[str, str], type[Model]] = {}  # by modality and name
Class = TypeVar("Class", bound="type[Model]")


@dataclass(frozen=True)
class ModelInfo:
    """What the shelf says of one model. purpose: "generate" or "score". options: the name of each and its default."""

    name: str
    purpose: str
    modality: str
    summary: str
    paper: str
    options: dict[str, Any]


def register(cls: Class) -> Class:
    """Class decorator: make a model known under its `name`. A second class of that name and modality is an error."""
    known = _models.get((cls.modality, cls.name))
    if known is not None and known.__qualname__ != cls.__qualname__:
        raise ConfigError(
            f"two models are called {cls.name!r}: {known.__module__} and {cls.__module__}", remedy="rename one"
        )
    _models[cls.modality, cls.name] = cls
    return cls


def discover(modality: str = "table") -> dict[str, type[Model]]:
    """Every registered model for "table" or "image" by name, sorted. Imports torch."""
    package = importlib.import_module(GROUP)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{GROUP}.{module.name}")
    for entry in entry_points(group=GROUP):
        entry.load()
    return {name: cls for (of, name), cls in sorted(_models.items()) if of == modality}


def get(name: str, purpose: str, modality: str = "table") -> type[Model]:
    """The class registered as `name`, for "generate" or "score".

    Raises ConfigError, with the nearest name, when there is none of that purpose.
    """
    models = discover(modality)
    if name in models and models[name].purpose != purpose:
        what = {"table": "rows", "image": "images"}[modality]
        does = {"generate": f"makes {what} and does not score them", "score": f"scores {what} and does not make them"}
        fitting = ", ".join(other for other, cls in models.items() if cls.purpose == purpose)
        raise ConfigError(f"{name!r} {does[models[name].purpose]}", where="--model", remedy=f"choose one of {fitting}")
    models = {other: cls for other, cls in models.items() if cls.purpose == purpose}
    if name in models:
        return models[name]
    near = difflib.get_close_matches(name, models, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "choose one of " + ", ".join(models)
    raise ConfigError(f"there is no model called {name!r}", where="--model", remedy=remedy)


def list_models(modality: str | None = None) -> list[ModelInfo]:
    """What is on the shelf, optionally of one modality ("table" or "image")."""
    return [
        ModelInfo(cls.name, cls.purpose, cls.modality, cls.summary, cls.paper, dataclasses.asdict(cls.Options()))
        for of in (("table", "image") if modality is None else (modality,))
        for cls in discover(of).values()
    ]
