"""What estimators share whose model is trained step by step: a run of the loop, its checkpoints, resuming."""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantools import registry
from gantools.config import TrainConfig, build, check_memory, to_json
from gantools.errors import CheckpointError, ConfigError
from gantools.models.base import DataSpec, Model, ModelOptions
from gantools.train.checkpoint import Checkpoint, save_checkpoint
from gantools.train.loop import OnLook, OnProgress, train
from gantools.train.monitor import MetricsLog, TrainingHistory, TrainingReport
from gantools.train.resume import resumable, versions
from gantools.train.run import Snapshot
from gantools.train.samplers import Examples
from gantools.train.saved import Saved, prefixed

TRAINED_WEIGHTS = 4  # sizes of a model that its training takes: weights, gradients and two moments of them


@dataclass(frozen=True)
class Keeper:
    """Called with a snapshot of a run that goes on, writes it as a checkpoint.

    described: the configuration of the run. prefix: of the trained net's weights. beside: weights that do not change.
    """

    folder: Path
    described: dict[str, Any]
    schema: dict[str, Any]
    prefix: str
    beside: dict[str, Tensor]

    def __call__(self, snapshot: Snapshot) -> None:
        weights = {f"{self.prefix}{name}": value for name, value in snapshot.weights.items()} | self.beside
        save_checkpoint(
            self.folder,
            Checkpoint(self.described, self.schema, weights, snapshot.metrics, snapshot.state, snapshot.counters),
        )


class Trained(Saved):
    """Base of every estimator that a registered model is trained for.

    purpose: of the models that it takes. net: prefix of the trained model's weights. loads_unfinished: whether what a
    killed run left can be used.
    """

    purpose: ClassVar[str]
    net: ClassVar[str]
    loads_unfinished: ClassVar[bool] = False

    report_: TrainingReport

    @property
    def history_(self) -> TrainingHistory:
        """How the training went."""
        return TrainingHistory(self.report_, tuple(MetricsLog(self._metrics).lines))

    @abstractmethod
    def _shape(self) -> dict[str, Any]:
        """What `_built` must know of the data, as JSON: it is known before training."""

    # -- training ----------------------------------------------------------------------------------------------------

    def _model_class(self) -> type[Model]:
        return registry.get(self.model, self.purpose, self.modality)

    def _new_model(self, spec: DataSpec[Any], options: ModelOptions, seed: int) -> Model:
        """A model with the weights that the seed stands for. Raises ConfigError where it does not fit into memory."""
        cls, n_bytes = self._model_class(), 0
        with suppress(RuntimeError), torch.device("meta"):  # some models cannot be tried
            tried = cls(spec, options)
            n_bytes = sum(one.numel() * one.element_size() for one in (*tried.parameters(), *tried.buffers()))
        check_memory(TRAINED_WEIGHTS * n_bytes, "options", "a model of this size")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(spec, options)

    def _run(
        self,
        model: Model,
        examples: Examples,
        config: TrainConfig,
        *,
        folder: Path | str | None,
        resume: bool,
        progress: OnProgress | None,
        on_look: OnLook | None = None,
        beside: Mapping[str, nn.Module] | None = None,
    ) -> Model:
        """Train the model and return it with the weights to use. beside: modules that checkpoints hold besides."""
        folder = None if folder is None else Path(folder)
        self._described = {
            "kind": self.kind,
            "model": self.model,
            "options": dataclasses.asdict(model.options),
            "train": to_json(config),
            "data": self.fingerprint_,
            "versions": versions(),
            **self._shape(),
        }
        prefix = f"{self.net}."
        keep = start = None
        if folder is not None:
            keep = Keeper(folder, self._described, self.schema_.to_json(), prefix, prefixed(beside or {}))
            start = resumable(folder, self._described, prefix) if resume else None
        outcome = train(
            model, examples, config, resume=start, on_progress=progress, on_checkpoint=keep, on_look=on_look,
            tensorboard=tensorboard_folder(config, folder),
        )  # fmt: skip
        self.report_, self._metrics = outcome.report, outcome.metrics
        return outcome.model.eval()

    def _keep(self, folder: Path | str | None) -> None:
        """Save what was learned, unless the training was interrupted: then its last checkpoint stands."""
        if folder is not None and self.report_.stopped != "interrupted":
            self.save(folder)

    # -- keeping -----------------------------------------------------------------------------------------------------

    @classmethod
    def _report_of(cls, checkpoint: Checkpoint, where: str) -> TrainingReport:
        if "report" not in checkpoint.config and not cls.loads_unfinished:
            remedy = "go on with its training, or train again"
            raise CheckpointError("its training was interrupted", where=where, remedy=remedy)
        return TrainingReport.of(checkpoint.config.get("report"), checkpoint.counters)


def tensorboard_folder(config: TrainConfig, folder: Path | str | None) -> str | None:
    """Where TensorBoard's events go, `<folder>.tensorboard`; None where none are asked for.

    Raises ConfigError where they are and there is no folder.
    """
    if not config.tensorboard:
        return None
    if folder is None:
        raise ConfigError("needs a folder to write to", where="tensorboard", remedy="give `fit` a folder")
    return f"{os.path.realpath(folder)}.tensorboard"


def built_model(cls: type[Model], spec: DataSpec[Any], options: Mapping[str, Any] | None) -> Model:
    """A model of this class for loaded weights."""
    return cls(spec, build(cls.Options, options)).eval()
