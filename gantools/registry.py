"""Models and kinds are found, not listed: a decorator makes a class known to the library, the commands and the tests.

    @register               a model: nets and how they are trained (`gantools.models`)
    @kind("image-scorer")   an estimator: what a trained model is for (`gantools.augment`, `.score`, `.transform`)
    @exported("...")        how models of a kind become an ONNX file and run from it (`gantools.export.kinds`)

Each is found by importing the modules of its packages and the entry points of its group, so that a model or a kind from
another package joins by being installed.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from gantools.errors import ConfigError
from gantools.words import meant

if TYPE_CHECKING:
    from gantools.export.runtime import Exported
    from gantools.models.base import Model
    from gantools.train.saved import Saved

MODELS = "gantools.models"
KINDS = "gantools.kinds"
EXPORTED = "gantools.exported"
# Where the classes of each group of entry points are looked for in gantools itself.
PACKAGES = {
    MODELS: ("gantools.models",),
    KINDS: ("gantools.augment", "gantools.classify", "gantools.score", "gantools.transform"),
    EXPORTED: ("gantools.export.kinds",),
}

# What a model of each purpose does, for sentences.
DOES = {"generate": ("makes", "make"), "score": ("scores", "score"), "transform": ("transforms", "transform")}

_models: dict[tuple[str, str], type[Model]] = {}  # by modality and name
_kinds: dict[str, type[Saved]] = {}
_exported: dict[str, type[Exported]] = {}
Class = TypeVar("Class", bound="type[Any]")


@dataclass(frozen=True)
class ModelInfo:
    """What is known of one model.

    purpose: "generate", "score" or "transform". options: the name of each and its default.
    """

    name: str
    purpose: str
    modality: str
    summary: str
    paper: str
    options: dict[str, Any]


def register(cls: Class) -> Class:
    """Class decorator: make a model known under its `name`. A second class of that name and modality is an error."""
    _add(_models, (cls.modality, cls.name), cls, f"models are called {cls.name!r}")
    return cls


def kind(name: str) -> Callable[[Class], Class]:
    """Class decorator: make an estimator known as the kind `name`, which its checkpoints carry."""
    return _of_kind(_kinds, name, f"estimators are of the kind {name!r}")


def exported(name: str) -> Callable[[Class], Class]:
    """Class decorator: make known how models of the kind `name` are exported and run from a file."""
    return _of_kind(_exported, name, f"classes export the kind {name!r}")


def _of_kind(known: dict[Any, Any], name: str, what: str) -> Callable[[Class], Class]:
    def add(cls: Class) -> Class:
        cls.kind = name
        _add(known, name, cls, what)
        return cls

    return add


def _add(known: dict[Any, Any], key: Any, cls: Any, what: str) -> None:
    before = known.get(key)
    # A module that is imported once more makes its classes anew: those replace the first ones.
    if before is not None and (before.__module__, before.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ConfigError(f"two {what}: {before.__module__} and {cls.__module__}", remedy="rename one")
    known[key] = cls


def _find(group: str, known: dict[Any, Any], wanted: Any = None) -> None:
    """Import what may register something; only until `wanted` is known where that is given."""
    for package in PACKAGES[group]:
        if importlib.util.find_spec(package) is None:
            continue
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if wanted is not None and wanted in known:
                return
            importlib.import_module(f"{package}.{module.name}")
    if wanted is not None and wanted in known:
        return
    for entry in entry_points(group=group):
        entry.load()


def discover(modality: str = "table") -> dict[str, type[Model]]:
    """Every registered model for "table" or "image" by name, sorted. Imports torch."""
    _find(MODELS, _models)
    return {name: cls for (of, name), cls in sorted(_models.items()) if of == modality}


def estimator(name: str) -> type[Saved] | None:
    """The estimator of the kind `name`, None where there is none. Imports torch."""
    _find(KINDS, _kinds, name)
    return _kinds.get(name)


def runtime(name: str) -> type[Exported] | None:
    """The class that exports the kind `name` and runs it from a file, None where there is none."""
    _find(EXPORTED, _exported, name)
    return _exported.get(name)


def get(name: str, purpose: str, modality: str = "table") -> type[Model]:
    """The class registered as `name`, for a purpose: "generate", "score" or "transform".

    Raises ConfigError, with the nearest name, when there is none of that purpose.
    """
    models = discover(modality)
    if name in models and models[name].purpose != purpose:
        what = {"table": "rows", "image": "images"}[modality]
        problem = f"{name!r} {DOES[models[name].purpose][0]} {what} and does not {DOES[purpose][1]} them"
        fitting = ", ".join(other for other, cls in models.items() if cls.purpose == purpose)
        raise ConfigError(problem, where="model", remedy=f"choose one of {fitting}")
    models = {other: cls for other, cls in models.items() if cls.purpose == purpose}
    if name in models:
        return models[name]
    remedy = meant(name, models, "choose one of " + ", ".join(models))
    raise ConfigError(f"there is no model called {name!r}", where="model", remedy=remedy)


def purpose_of(name: str, modality: str, among: Sequence[str]) -> str:
    """What the model of this name is for. Raises ConfigError, with the nearest name of these purposes, for no model."""
    models = discover(modality)
    if name in models:
        return models[name].purpose
    fitting = [other for other, cls in models.items() if cls.purpose in among]
    remedy = meant(name, fitting, "choose one of " + ", ".join(fitting))
    raise ConfigError(f"there is no model called {name!r}", where="model", remedy=remedy)


def list_models(modality: str | None = None) -> list[ModelInfo]:
    """What is on the shelf, optionally of one modality ("table" or "image")."""
    return [
        ModelInfo(cls.name, cls.purpose, cls.modality, cls.summary, cls.paper, dataclasses.asdict(cls.Options()))
        for of in (("table", "image") if modality is None else (modality,))
        for cls in discover(of).values()
    ]
