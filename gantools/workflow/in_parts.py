"""Work on a table in parts, and the folder in which they are collected.

While parts are being collected the folder NAME is called `.NAME.begun`; it holds `_asked.json`, what was asked for, and
parts that are whole. When all are there it gets `_SUCCESS`, as Spark writes it, and takes the place of NAME. What was
interrupted stays, and may be gone on with.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from gantools.address import address_of, fetched
from gantools.data.tables.reader import TableReader
from gantools.errors import ConfigError, GantoolsError, WorkerError
from gantools.files import claim, replace_folder, whole_folder, write_file
from gantools.workflow.contract import TABLES
from gantools.workflow.places import check_folder, holds_parts, is_in_parts
from gantools.workflow.workers import Begin, done

Rows = TypeVar("Rows", bound="Merging")
RowsMade = TypeVar("RowsMade", bound="Merging", covariant=True)

ASKED, SUCCESS = "_asked.json", "_SUCCESS"


@dataclass(frozen=True, kw_only=True)
class InParts:
    """How a table in parts is worked on: fields of a request.

    engine: "local" or "ray". workers: processes that work side by side, each with the model in its memory. resume: go
    on where this was interrupted; parts that are there stay.
    """

    engine: Literal["local", "ray"] = field(default="local", metadata=TABLES)
    workers: int = field(default=1, metadata=TABLES)
    resume: bool = field(default=False, metadata=TABLES)

    @property
    def is_here(self) -> bool:
        """Whether this process does the work itself."""
        return self.engine == "local" and self.workers == 1

    def check_engine(self, *, are_parts: bool, otherwise: str) -> None:
        """Refuse what cannot be done. are_parts: whether the output is a folder of parts; otherwise: what it is.

        Raises ConfigError.
        """
        asked = {"engine": self.engine != "local", "workers": self.workers != 1, "resume": self.resume}
        for name, was_asked in asked.items():
            if was_asked and not are_parts:
                raise ConfigError(f"has no effect {otherwise}", where=name, remedy="leave it out")
        if self.workers < 1:
            raise ConfigError(f"must be at least 1, not {self.workers}", where="workers")
        if self.engine == "ray" and importlib.util.find_spec("ray") is None:
            raise ConfigError("needs Ray", where="engine", remedy="install it: pip install 'gantools[ray]'")


# The folder -----------------------------------------------------------------------------------------------------------


@contextmanager
def collected(path: Path, asked: Mapping[str, Any], names: set[str], how: InParts, *, force: bool) -> Iterator[Path]:
    """The folder to put parts into, which takes the place of `path` when the block ends.

    asked: what was asked for, as plain values; a folder that was begun with anything else is not gone on with. names:
    of the parts. force: replace what stands there. An error of ours takes away what was begun here, another
    interruption does not.

    Raises ConfigError for a folder that may not be written.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file", where="output", remedy="give the name of a folder")
    if address_of(path) is not None:
        with _collected_there(path, asked, names, how, force=force) as folder:
            yield folder
        return
    place = Path(os.path.realpath(path))
    begun = place.with_name(f".{place.name}.begun")
    with claim(path, "output"):
        there = next((one for one in (begun, whole_folder(path)) if _holds_anything(one)), None) if how.resume else None
        if there is not None:
            _check_same(there, asked, path)
        else:
            _check_replaceable(path, names, force=force)
            shutil.rmtree(begun, ignore_errors=True)
            begun.mkdir()
            _begin(begun, asked)
        folder = there or begun
        try:
            yield folder
        except GantoolsError as error:
            if there is None and not isinstance(error, WorkerError):
                shutil.rmtree(begun, ignore_errors=True)
            raise
        (folder / SUCCESS).touch()
        if folder == begun:
            replace_folder(begun, path)


@contextmanager
def _collected_there(
    path: Path, asked: Mapping[str, Any], names: set[str], how: InParts, *, force: bool
) -> Iterator[Path]:
    """The same in an object store, where no folder takes the place of another: parts appear in it one by one, each
    whole, and `_SUCCESS` says that all are there."""
    is_begun = how.resume and _holds_anything(path)
    if is_begun:
        _check_same(path, asked, path)
    else:
        _check_replaceable(path, names, force=force)
        _emptied(path)
        _begin(path, asked)
    try:
        yield path
    except GantoolsError as error:
        if not is_begun and not isinstance(error, WorkerError):
            with suppress(GantoolsError):
                _emptied(path)
        raise
    (path / SUCCESS).touch()


def _emptied(folder: Path) -> None:
    for one in folder.iterdir():
        one.unlink(missing_ok=True)


def _check_same(folder: Path, asked: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with what was begun otherwise. Raises ConfigError."""
    if _asked(folder) != asked:
        problem = f"{path} was not begun with the same data, model and options"
        raise ConfigError(problem, where="resume", remedy="ask for the same, or give another folder")


def _check_replaceable(path: Path, names: set[str], *, force: bool) -> None:
    """Refuse a folder that cannot be written, or holds what must not be replaced. Raises ConfigError."""
    check_folder(
        path, "output", force=force, what="parts of this table",
        is_ours=lambda folder: (folder / ASKED).is_file() or holds_parts(folder, names),
    )  # fmt: skip


def _begin(folder: Path, asked: Mapping[str, Any]) -> None:
    """Say in a folder what was asked for."""
    with write_file(folder / ASKED) as file:
        file.write(json.dumps(asked).encode())


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _asked(folder: Path) -> Any:
    """What was asked for when the folder was begun, None where it does not say."""
    with suppress(OSError, ValueError), (folder / ASKED).open("rb") as file:
        return json.load(file)
    return None


def digest_of(folder: Path | None, onnx: Path | None) -> str:
    """Of a saved or an exported model's file."""
    with fetched(onnx or folder or Path()) as there:
        place = there if onnx is not None else whole_folder(there) / "weights.safetensors"
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


# A table --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Rows of a table, and the file that they go into with something behind."""

    reader: TableReader
    place: Path


class Merging(Protocol):
    """What was found in the rows of a part."""

    def merge(self, later: Any, /) -> None:
        """Count what was found in a later part, too."""


class TableWork(Protocol[RowsMade]):
    """Works through the rows of a part, and writes them."""

    def nothing(self, first_row: int = 0) -> RowsMade:
        """What is found before the first row."""

    def __call__(self, part: Part, tell: Callable[[int], None] | None = None, /) -> RowsMade:
        """tell: called with the number of rows done."""

    def again(self, part: Part, /) -> RowsMade:
        """What was found in a part that was written before."""


def through_table(
    work: TableWork[Rows], begin: Begin[Part, Rows], reader: TableReader, output: Path,
    asked: Callable[[], Mapping[str, Any]], how: InParts, tell: Callable[[int], None], *, force: bool,
) -> Rows:  # fmt: skip
    """Work through a table: into a folder of parts where it is in parts, unless the output is called as a file is.

    begin: makes the same as `work` in another process. asked: gives what `collected` takes, but for the parts. tell:
    called with the number of rows done. Returns what was found in all rows.
    """
    if not is_in_parts(reader.path, output):
        return work(Part(reader, output), tell)
    readers, found, n_done = reader.split(), work.nothing(), 0
    all_asked = {**asked(), "parts": [[part.path.name, part.path.stat().st_size] for part in readers]}
    with collected(output, all_asked, {part.path.name for part in readers}, how, force=force) as folder:
        parts = [Part(part, folder / part.path.name) for part in readers]
        there = [part.place.is_file() for part in parts]
        left = [part for part, is_there in zip(parts, there, strict=True) if not is_there]
        new = done((lambda: work) if how.is_here else begin, left, how.engine, how.workers)
        for part, is_there in zip(parts, there, strict=True):
            found.merge(work.again(part) if is_there else next(new))
            n_done += part.reader.n_rows
            tell(n_done)
    return found
