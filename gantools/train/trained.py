"""What every estimator shares: a run of the loop, checkpoints while it goes on, resuming, saving, loading, devices."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from gantools import registry
from gantools.config import TrainConfig, build, check_memory, to_json
from gantools.errors import CheckpointError, ConfigError
from gantools.models.base import DataSpec, Model, ModelOptions
from gantools.train.checkpoint import Checkpoint, kind_of, load_checkpoint, load_weights, save_checkpoint, wrong_kind
from gantools.train.devices import resolve_device
from gantools.train.loop import OnLook, OnProgress, train
from gantools.train.monitor import TrainingReport
from gantools.train.resume import resumable, versions
from gantools.train.run import Snapshot
from gantools.train.samplers import Examples

if TYPE_CHECKING:
    from gantools.data.images.schema import ImageSchema
    from gantools.data.tables.schema import Schema

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


class Trained(ABC):
    """Base of every estimator that a model is trained for.

    A subclass says what it is in class variables and how it is put together in the methods that begin with an
    underscore. kind: set by `registry.kind`. noun, used_with: what it is called in messages, and the commands that take
    it. net: prefix of the trained model's weights. loads_unfinished: whether what a killed run left can be used.

    Fitted attributes: `schema_`, `report_` (TrainingReport), `fingerprint_` (digest of the training data).
    """

    kind: ClassVar[str]
    modality: ClassVar[Literal["table", "image"]]
    purpose: ClassVar[str]
    noun: ClassVar[str]
    used_with: ClassVar[str]
    net: ClassVar[str]
    loads_unfinished: ClassVar[bool] = False

    model: str
    options: Mapping[str, Any] | None
    schema_: Schema | ImageSchema
    report_: TrainingReport
    fingerprint_: str
    _described: dict[str, Any]
    _metrics: str

    # -- what a subclass says ----------------------------------------------------------------------------------------

    @abstractmethod
    def _modules(self) -> dict[str, nn.Module]:
        """The modules that the fitted estimator consists of, by the prefix of their weights."""

    @classmethod
    @abstractmethod
    def _built(cls, config: Mapping[str, Any], schema: Mapping[str, Any]) -> Self:
        """The estimator that a configuration describes, its modules still without weights.

        Raises KeyError, TypeError or ValueError for a configuration that lacks something.
        """

    @abstractmethod
    def _shape(self) -> dict[str, Any]:
        """What `_built` must know of the data, as JSON: it is known before training."""

    def _weights(self) -> dict[str, Tensor]:
        """The weights of `_modules` as they are saved."""
        return _prefixed(self._modules())

    def _values(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What was found after training, as JSON and as tensors, beside the weights of `_modules`."""
        return {}, {}

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Take back what `_values` gave. Raises KeyError, TypeError or ValueError where something is lacking."""

    def _facts(self) -> dict[str, Any]:
        """What `facts` says beside what all estimators say."""
        return {}

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
            keep = Keeper(folder, self._described, self.schema_.to_json(), prefix, _prefixed(beside or {}))
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

    @property
    def device_(self) -> torch.device:
        """Where the modules are."""
        tensors = chain.from_iterable((*m.parameters(), *m.buffers()) for m in self._modules().values())
        return next(iter(tensors)).device

    def to(self, device: str) -> Self:
        """Use another device from now on ("auto", "cpu", "cuda", ...)."""
        where = resolve_device(device)
        for module in self._modules().values():
            module.to(where)
        return self

    def described(self) -> dict[str, Any]:
        """The configuration as it is saved: kind, model, options, training, digest of the data, versions, ..."""
        return {**self._described, **self._values()[0], "report": self.report_.to_json()}

    def facts(self) -> dict[str, Any]:
        """What `gantools info --json` says of the estimator."""
        return {
            "model": self.model,
            "options": dict(self.options or {}),
            "training": self.report_.to_json(),
            "schema": self.schema_.to_json(),
            "notes": self.schema_.notes(),
            **self._facts(),
        }

    def save(self, folder: Path | str) -> None:
        """Write the trained estimator as a checkpoint folder.

        Raises CheckpointError when it cannot be written, NotFittedError before `fit`.
        """
        if not hasattr(self, "report_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call `fit` first")
        config, tensors = self._values()
        config = {**self._described, **config, "report": self.report_.to_json()}
        weights = self._weights() | tensors
        save_checkpoint(folder, Checkpoint(config, self.schema_.to_json(), weights, self._metrics))

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Self:
        """Read a folder that `save` or `fit` wrote, on whichever device it was made. Raises CheckpointError."""
        checkpoint = load_checkpoint(folder)
        config, weights = checkpoint.config, checkpoint.weights
        if config.get("kind") != cls.kind:
            raise wrong_kind(folder, str(config.get("kind", "")), cls.kind)
        if "report" not in config and not cls.loads_unfinished:
            remedy = "go on with its training, or train again"
            raise CheckpointError("its training was interrupted", where=str(folder), remedy=remedy)
        try:
            loaded = cls._built(config, checkpoint.schema)
            for prefix, module in loaded._modules().items():
                load_weights(module.eval(), weights, f"{prefix}.", str(folder))
            loaded._restore(config, weights)
            loaded.report_ = TrainingReport.of(config.get("report"), checkpoint.counters)
            found_later = {*loaded._values()[0], "report", "format"}
            loaded._described = {name: value for name, value in config.items() if name not in found_later}
            loaded.fingerprint_ = str(config["data"])
        except (KeyError, TypeError, ValueError) as error:
            problem = f"its configuration lacks {error}"
            raise CheckpointError(problem, where=str(folder), remedy="train again") from error
        loaded._metrics = checkpoint.metrics
        return loaded.to(device)


def load(folder: Path | str, device: str = "auto") -> Trained:
    """The estimator that a folder holds, of whatever kind. Raises CheckpointError where it holds none."""
    cls = registry.estimator(kind_of(folder))
    if cls is None:
        load_checkpoint(folder)  # says what is wrong with the folder
        problem = f"holds a model of the unknown kind {kind_of(folder)!r}"
        raise CheckpointError(problem, where=str(folder), remedy="install the package that it was made with")
    return cls.load(folder, device)


def tensorboard_folder(config: TrainConfig, folder: Path | str | None) -> str | None:
    """Where TensorBoard's events go, `<folder>.tensorboard`; None where none are asked for.

    Raises ConfigError where they are and there is no folder.
    """
    if not config.tensorboard:
        return None
    if folder is None:
        raise ConfigError("needs a folder to write to", where="tensorboard", remedy="give `fit` a folder")
    return f"{os.path.realpath(folder)}.tensorboard"


def _prefixed(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for prefix, m in modules.items() for name, value in m.state_dict().items()}


def built_model(cls: type[Model], spec: DataSpec[Any], options: Mapping[str, Any] | None) -> Model:
    """A model of this class for loaded weights."""
    return cls(spec, build(cls.Options, options)).eval()
