"""Checkpoints: a folder of JSON and safetensors, written whole: a killed run leaves the last one.

config.json        model name, options, training configuration, report, versions
schema.json        what each column is
weights.safetensors  `gan.*` (averaged where the model averages) and `encoder.*`
metrics.jsonl      one line per look at the run
state.safetensors  only while a run can be resumed: weights, optimisers, random state, counters
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gantools import registry
from gantools.errors import CheckpointError
from gantools.files import read_folder, write_folder

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds. state, counters: for resuming, empty where the run is done."""

    config: dict[str, Any]
    schema: dict[str, Any]
    weights: dict[str, Tensor]
    metrics: str = ""
    state: dict[str, Tensor] = field(default_factory=dict)
    counters: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: Path | str, checkpoint: Checkpoint) -> None:
    """Write the folder, whole or not at all.

    Raises CheckpointError when it cannot be written; an older one then still stands.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not is_checkpoint(folder) and (folder.is_file() or any(folder.iterdir())):
        raise CheckpointError("exists and is no checkpoint", where=str(folder), remedy="choose another folder")
    with write_folder(folder, CheckpointError, parents=True) as part:
        config = {"format": FORMAT, **checkpoint.config, "counters": checkpoint.counters}
        _write_json(config, part / "config.json")
        _write_json(checkpoint.schema, part / "schema.json")
        (part / "metrics.jsonl").write_text(checkpoint.metrics, encoding="utf-8")
        save_tensors(checkpoint.weights, part / "weights.safetensors")
        if checkpoint.state:
            save_tensors(checkpoint.state, part / "state.safetensors")


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a folder, onto the CPU; one that is replaced meanwhile is read again. Raises CheckpointError naming the file
    that is lacking or broken."""
    return read_folder(folder, lambda place: _read(_checked(place, folder)))


def _read(folder: Path) -> Checkpoint:
    config, schema = _read_json(folder / "config.json"), _read_json(folder / "schema.json")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"has format {config.get('format')!r}, this version reads {FORMAT}", where=str(folder), remedy="train again"
        )
    counters = config.pop("counters", {})
    metrics_file, state_file = folder / "metrics.jsonl", folder / "state.safetensors"
    return Checkpoint(
        config,
        schema,
        load_tensors(folder / "weights.safetensors"),
        _read_text(metrics_file) if metrics_file.is_file() else "",
        load_tensors(state_file) if state_file.is_file() else {},
        counters,
    )


def _checked(place: Path, folder: Path | str) -> Path:
    """The place to read. Raises CheckpointError where it holds no saved model. folder: as it was called."""
    if not is_checkpoint(place):
        raise CheckpointError("is not a saved model", where=str(folder), remedy="name a folder that gantools saved")
    return place


def kind_of(folder: Path | str) -> str:
    """Which kind of model a folder holds; "" where it says none. Raises CheckpointError where it is not one."""
    config = read_folder(folder, lambda place: _read_json(_checked(place, folder) / "config.json"))
    return str(config.get("kind", ""))


def wrong_kind(folder: Path | str, found: str, wanted: str) -> CheckpointError:
    """The error for a folder that holds a model of another kind than is wanted."""
    held, asked = registry.estimator(found), registry.estimator(wanted)
    noun = "something else" if held is None else held.noun
    remedy = "" if held is None else f"use it with {held.used_with}"
    return CheckpointError(f"holds {noun}, not {asked.noun if asked else wanted}", where=str(folder), remedy=remedy)


def is_checkpoint(folder: Path | str) -> bool:
    """Whether the folder looks like a checkpoint."""
    return (Path(folder) / "config.json").is_file() and (Path(folder) / "weights.safetensors").is_file()


def load_weights(module: torch.nn.Module, weights: Mapping[str, Tensor], prefix: str, where: str) -> None:
    """Put the weights called `prefix.*` into the module. Raises CheckpointError when they do not fit it."""
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise CheckpointError("its weights do not fit its configuration", where=where, remedy="train again") from error


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors of any device as one safetensors file. Raises CheckpointError."""
    try:
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, str(path))
    except SafetensorError as error:
        raise CheckpointError(
            f"cannot be written ({error})", where=str(path), remedy="choose another folder"
        ) from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read them, onto the CPU. Raises CheckpointError."""
    try:
        return load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError("cannot be read", where=str(path), remedy="train again") from error


def _write_json(document: Any, path: Path) -> None:
    text = json.dumps(_plain(document), indent=1, allow_nan=False)
    path.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """The value with {"float": "inf"} for an infinite number: JSON has no such numbers."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return {"float": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _number(document: dict[str, Any]) -> Any:
    return float(document["float"]) if document.keys() == {"float"} else document


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read_text(path), object_hook=_number)
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError("cannot be read", where=str(path), remedy="train again") from error
    if not isinstance(document, dict):
        raise CheckpointError("is not what gantools writes", where=str(path), remedy="train again")
    return document


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise CheckpointError("is lacking", where=str(path), remedy="train again")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError("cannot be read", where=str(path), remedy="train again") from error
