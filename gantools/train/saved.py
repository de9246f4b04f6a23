"""What every estimator shares: its modules are saved, loaded and moved to a device, and it says what it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from gantools import registry
from gantools.errors import CheckpointError
from gantools.train.checkpoint import Checkpoint, kind_of, load_checkpoint, load_weights, save_checkpoint, wrong_kind
from gantools.train.devices import resolve_device

if TYPE_CHECKING:
    from gantools.data.images.schema import ImageSchema
    from gantools.data.tables.schema import Schema
    from gantools.train.monitor import TrainingReport


class Saved(ABC):
    """Base of every estimator: modules and values that a checkpoint folder holds.

    A subclass says what it is in class variables and how it is put together in the methods that begin with an
    underscore. kind: set by `registry.kind`. noun, used_with: what it is called in messages, and the commands that take
    it. model: the name of what was learned.

    Fitted attributes: `schema_`, `fingerprint_` (digest of the training data), `report_` (TrainingReport; None of what
    was not trained step by step).
    """

    kind: ClassVar[str]
    modality: ClassVar[Literal["table", "image"]]
    noun: ClassVar[str]
    used_with: ClassVar[str]

    model: str
    options: Mapping[str, Any] | None
    schema_: Schema | ImageSchema
    report_: TrainingReport | None
    fingerprint_: str
    _described: dict[str, Any]
    _metrics: str = ""

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

    def _weights(self) -> dict[str, Tensor]:
        """The weights of `_modules` as they are saved."""
        return prefixed(self._modules())

    def _values(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What was found after training, as JSON and as tensors, beside the weights of `_modules`."""
        return {}, {}

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Take back what `_values` gave. Raises KeyError, TypeError or ValueError where something is lacking."""

    def _facts(self) -> dict[str, Any]:
        """What `facts` says beside what all estimators say."""
        return {}

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
        """The configuration as it is saved: kind, model, options, digest of the data, versions, ..."""
        return {**self._described, **self._values()[0], **self._reported()}

    def _reported(self) -> dict[str, Any]:
        return {} if self.report_ is None else {"report": self.report_.to_json()}

    def facts(self) -> dict[str, Any]:
        """What `gantools info --json` says of the estimator."""
        return {
            "model": self.model,
            "options": dict(self.options or {}),
            "training": None if self.report_ is None else self.report_.to_json(),
            "schema": self.schema_.to_json(),
            "notes": self.schema_.notes(),
            **self._facts(),
        }

    def save(self, folder: Path | str) -> None:
        """Write the fitted estimator as a checkpoint folder.

        Raises CheckpointError when it cannot be written, NotFittedError before `fit`.
        """
        if not hasattr(self, "report_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call `fit` first")
        weights = self._weights() | self._values()[1]
        save_checkpoint(folder, Checkpoint(self.described(), self.schema_.to_json(), weights, self._metrics))

    @classmethod
    def load(cls, folder: Path | str, device: str = "auto") -> Self:
        """Read a folder that `save` or `fit` wrote, on whichever device it was made. Raises CheckpointError."""
        checkpoint = load_checkpoint(folder)
        config, weights = checkpoint.config, checkpoint.weights
        if config.get("kind") != cls.kind:
            raise wrong_kind(folder, str(config.get("kind", "")), cls.kind)
        report = cls._report_of(checkpoint, str(folder))
        try:
            loaded = cls._built(config, checkpoint.schema)
            for prefix, module in loaded._modules().items():
                load_weights(module.eval(), weights, f"{prefix}.", str(folder))
            loaded._restore(config, weights)
            loaded.report_ = report
            found_later = {*loaded._values()[0], "report", "format"}
            loaded._described = {name: value for name, value in config.items() if name not in found_later}
            loaded.fingerprint_ = str(config["data"])
        except (KeyError, TypeError, ValueError) as error:
            problem = f"its configuration lacks {error}"
            raise CheckpointError(problem, where=str(folder), remedy="train again") from error
        loaded._metrics = checkpoint.metrics
        return loaded.to(device)

    @classmethod
    def _report_of(cls, checkpoint: Checkpoint, where: str) -> TrainingReport | None:  # noqa: ARG003
        """What the checkpoint says of the training. Raises CheckpointError where that was not finished."""
        return None


def load(folder: Path | str, device: str = "auto") -> Saved:
    """The estimator that a folder holds, of whatever kind. Raises CheckpointError where it holds none."""
    cls = registry.estimator(kind_of(folder))
    if cls is None:
        load_checkpoint(folder)  # says what is wrong with the folder
        problem = f"holds a model of the unknown kind {kind_of(folder)!r}"
        raise CheckpointError(problem, where=str(folder), remedy="install the package that it was made with")
    return cls.load(folder, device)


def prefixed(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """All weights of these modules, as a checkpoint names them."""
    return {f"{prefix}.{name}": value for prefix, m in modules.items() for name, value in m.state_dict().items()}
