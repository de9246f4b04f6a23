"""Where an interrupted training goes on, and how its checkpoint knows the data and options that it belongs to."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gantools.errors import CheckpointError
from gantools.files import whole_folder
from gantools.train.checkpoint import load_checkpoint, wrong_kind
from gantools.train.run import Snapshot

SAME = ("model", "options", "data", "size", "degrade")  # of a run that goes on, where it has them
MUST_AGREE = ("steps", "batch_size", "devices", "seed", "ema_decay", "eval_every", "log_every", "precision")


def resumable(folder: Path | str, config: Mapping[str, Any], prefix: str) -> Snapshot | None:
    """Where to go on, None when there is nothing there yet.

    config: what the checkpoint's configuration would be now, with "kind", "model", "options", "data" and "train".
    prefix: of the model's weights. Raises CheckpointError when another run left it, or a finished one.
    """
    if not whole_folder(folder).exists():
        return None
    checkpoint = load_checkpoint(folder)
    if checkpoint.config.get("kind") != config["kind"]:
        raise wrong_kind(folder, str(checkpoint.config.get("kind", "")), config["kind"])
    if not checkpoint.state:
        raise CheckpointError(
            "holds a finished run", where=str(folder), remedy="train without resume, or choose another folder"
        )
    differing = [name for name in SAME if checkpoint.config.get(name) != config.get(name)]
    before = {k: v for k, v in checkpoint.config["train"].items() if k in MUST_AGREE}
    differing += [k for k, v in before.items() if config["train"][k] != v]
    if differing:
        what = ", ".join(differing)
        raise CheckpointError(f"was made with other {what}", where=str(folder), remedy="use the same data and options")
    weights = {k.removeprefix(prefix): v for k, v in checkpoint.weights.items() if k.startswith(prefix)}
    return Snapshot(weights, checkpoint.state, checkpoint.counters, checkpoint.metrics)


def digest(*arrays: np.ndarray) -> str:
    """A fingerprint of the training rows, so that a run is not resumed on other ones."""
    fingerprint = hashlib.sha256()
    for array in arrays:
        fingerprint.update(np.ascontiguousarray(array).tobytes())
    return fingerprint.hexdigest()


def versions() -> dict[str, str]:
    """Of what a checkpoint was made with."""
    found = {name: importlib.metadata.version(name) for name in ("torch", "pandas", "numpy")}
    return found | {"python": platform.python_version()}
