"""What DATA is, decided once: a table or images; and the saved models that are used on it.

Nothing else in the workflows asks: a `Modality` knows where output goes by default, what its places and columns may be,
and which module does a command's work.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantools.address import address_of, fetched
from gantools.data.images.folder import has_manifest
from gantools.data.images.source import image_names, is_images
from gantools.data.parts import how_parts_lie, is_parts, is_there
from gantools.errors import CheckpointError, ConfigError, DataError
from gantools.workflow.contract import refuse_fields
from gantools.workflow.places import (
    beside,
    check_apart,
    check_folder,
    check_table,
    folder_beside,
    named,
    one_beside,
)


class Modality:
    """A kind of data.

    name: as models and estimators have it. plural: in sentences. module: ends the names of the modules that do the
    work. has_pictures: heat maps are drawn of its scores, and grids of what a generator makes.
    """

    name: str
    plural: str
    module: str
    has_pictures: bool
    suffix = ""  # of generated data

    def job(self, command: str, purpose: str = "generate") -> Any:
        """The module that does the command's work.

        purpose: of the model, "transform" or "generate"; "describe" of a generator that is asked by descriptions.
        """
        what = {"transform": "translator", "describe": "described"}.get(purpose, self.module)
        return importlib.import_module(f"gantools.workflow.{command}_{what}")

    def balanced(self, data: Path) -> Path:
        """Where balanced data go by default."""
        raise NotImplementedError

    def scored(self, data: Path) -> Path:
        """Where a table of scores goes by default."""
        raise NotImplementedError

    def generated(self, model: Path) -> Path:
        """Where data that the model makes go by default."""
        model = named(model)
        stem = model.stem if model.suffix.lower() == ".onnx" else model.name
        return model.with_name(f"{stem}.generated{self.suffix}")

    def check_output(self, path: Path, *, force: bool, apart: Path | None = None) -> None:
        """Refuse a place for balanced or generated data. apart: what is read. Raises ConfigError."""
        raise NotImplementedError

    def check_target(self, data: Path, target: str | None) -> None:
        """Refuse a target that this kind of data cannot have. Raises ConfigError."""
        raise NotImplementedError

    def check_labels(self, data: Path, labels: str | None) -> None:
        """Refuse a column of marks that this kind of data cannot have. Raises ConfigError."""

    def check_columns(self, request: Any, source: Path) -> None:
        """Refuse columns that the request names and `source`, which is learned from, does not have.

        Raises DataError or ConfigError.
        """


class _Tables(Modality):
    name, plural, module, has_pictures, suffix = "table", "tables", "table", False, ".csv"

    def balanced(self, data: Path) -> Path:
        return one_beside(data, "balanced")

    def scored(self, data: Path) -> Path:
        return beside(data, "scored")

    def check_output(self, path: Path, *, force: bool, apart: Path | None = None) -> None:
        check_table(path, "output", force=force, inputs=(apart,))

    def check_target(self, data: Path, target: str | None) -> None:
        if target is None and not is_there(data):
            remedy = "check the path; a table needs `target`, too"
            raise ConfigError("does not exist", where=str(data), remedy=remedy)
        if target is None:
            raise ConfigError("is needed for a table", where="target", remedy="name the column with the classes")

    def check_columns(self, request: Any, source: Path) -> None:
        from gantools.workflow.tables import check_columns

        check_columns(request, source)


class _Images(Modality):
    name, plural, module, has_pictures = "image", "images", "images", True

    def balanced(self, data: Path) -> Path:
        return folder_beside(data, "balanced")

    def scored(self, data: Path) -> Path:
        folder = folder_beside(data, "scored")
        return folder.with_name(f"{folder.name}.csv")

    def check_output(self, path: Path, *, force: bool, apart: Path | None = None) -> None:
        if address_of(path) is not None:
            remedy = "name a folder on this machine"
            raise ConfigError(f"{path} is an address, and images are written here", where="output", remedy=remedy)
        check_apart(path, "output", apart)
        if path.suffix.lower() == ".npz":
            raise ConfigError(f"{path} is the name of a file", where="output", remedy="name a folder for the images")
        check_folder(path, "output", force=force, what="those that gantools wrote", is_ours=has_manifest)

    def check_target(self, data: Path, target: str | None) -> None:
        self._check_column(data, target, "target")

    def check_labels(self, data: Path, labels: str | None) -> None:
        self._check_column(data, labels, "labels")

    def _check_column(self, data: Path, name: str | None, where: str) -> None:
        if name not in (None, "folder"):
            if data.is_dir() and not image_names(data) and (remedy := how_parts_lie(data)):
                raise DataError("is no table", where=str(data), remedy=remedy)
            problem = f"the classes of {data} are its sub-folders (the labels of an .npz file), not {name!r}"
            raise ConfigError(problem, where=where, remedy=f"write `{where}` folder, or leave it out")


MODALITIES: dict[str, Modality] = {one.name: one for one in (_Tables(), _Images())}


def modality_of(data: Path) -> Modality:
    """What `data` holds, as far as its path tells. Raises ConfigError for a saved model."""
    if address_of(data) is not None or is_parts(data):
        return MODALITIES["table"]
    of_images = is_images(data)
    if data.is_dir() and not of_images:
        raise ConfigError("is a saved model", where=str(data), remedy="give a table or images")
    return MODALITIES["image" if of_images else "table"]


def check_meaning(request: Any, modality: Modality) -> None:
    """Refuse fields of the request that mean something for another modality alone. Raises ConfigError."""
    for other in MODALITIES.values():
        if other is not modality:
            refuse_fields(request, f"has no meaning for {modality.plural}", modality=other.name)


# Saved models ---------------------------------------------------------------------------------------------------------

NOUNS = {
    "sample": "generator",
    "assess": "scorer",
    "classify": "classifier",
    "transform": "translator",
}  # what a model that has this method is called


def saved_model(
    place: Path, able: str, device: str, modality: Modality | None = None, *, exported: bool = False
) -> Any:
    """The saved model that the folder `place` holds, or the exported one in that file.

    able: the method that it must have: "sample", "assess", "classify" or "transform". modality: of the data that it is
    for. Raises CheckpointError or ExportError for a place that holds no such model.
    """
    model = any_model(place, device, exported=exported)
    noun = NOUNS[able]
    if not hasattr(model, able):
        other = next((name for method, name in NOUNS.items() if hasattr(model, method)), "model of another kind")
        remedy = f"use it with {model.used_with}" if hasattr(model, "used_with") else f"give a {noun}"
        raise CheckpointError(f"holds a {other}, not a {noun}", where=str(place), remedy=remedy)
    if modality is not None and model.modality != modality.name:
        problem = f"holds a {noun} of {MODALITIES[model.modality].plural}, and the data are {modality.plural}"
        raise CheckpointError(problem, where=str(place), remedy=f"give a {noun} of {modality.plural}")
    return model


def any_model(place: Path, device: str = "cpu", *, exported: bool = False) -> Any:
    """The saved or exported model of whatever kind. Raises CheckpointError or ExportError."""
    with fetched(place) as there:
        if exported:
            from gantools.export.runtime import load_exported

            return load_exported(there, device)
        from gantools.train.saved import load

        return load(there, device)


def is_model(data: Path) -> bool:
    """Whether `data` is a saved or an exported model."""
    is_folder = address_of(data) is None and data.is_dir()
    return data.suffix.lower() == ".onnx" or (is_folder and not is_parts(data) and not is_images(data))


# Errors ---------------------------------------------------------------------------------------------------------------


@contextmanager
def about(data: Path) -> Iterator[None]:
    """Let every DataError raised inside the block name the file: there may be two."""
    try:
        yield
    except DataError as error:
        if data.name in str(error):
            raise
        where = f"{data}: {error.where}" if error.where else str(data)
        raise DataError(error.problem, where=where, remedy=error.remedy) from error
