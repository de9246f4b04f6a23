"""Work on a table in parts: the folder in which parts are collected, and who does the work on each.

While parts are being collected the folder NAME is called `.NAME.begun`; it holds `_asked.json`, what was asked for, and
parts that are whole. When all are there it gets `_SUCCESS`, as Spark writes it, and takes the place of NAME. What was
interrupted stays, and may be gone on with.

The work is done here, by processes of this machine, or by the actors of Ray Data. Whoever does it gets a part and says
what was found in it, so that the results are the same.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import logging
import multiprocessing
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from gantools.address import address_of, fetched
from gantools.data.tables.reader import TableReader
from gantools.errors import ConfigError, GantoolsError, WorkerError
from gantools.files import claim, replace_folder, whole_folder, write_file
from gantools.workflow.contract import TABLES
from gantools.workflow.places import check_writable, holds_parts, is_in_parts

Job = TypeVar("Job")
Found = TypeVar("Found")
Begin = Callable[[], Callable[[Job], Found]]
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
            check_writable(path, "output")
            shutil.rmtree(begun, ignore_errors=True)
            begun.mkdir()
            with write_file(begun / ASKED) as file:
                file.write(json.dumps(asked).encode())
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
        with write_file(path / ASKED) as file:
            file.write(json.dumps(asked).encode())
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
    """Refuse a folder that holds what must not be replaced. Raises ConfigError."""
    if not _holds_anything(path):
        return
    if not force:
        remedy = "give another name, or `force` to replace it"
        raise ConfigError(f"{path} is not empty", where="output", remedy=remedy)
    if not (path / ASKED).is_file() and not holds_parts(path, names):
        problem = f"{path} holds files that are not parts of this table"
        raise ConfigError(problem, where="output", remedy="give another name")


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
        new = done((lambda: work) if how.is_here else begin, left, how)
        for part, is_there in zip(parts, there, strict=True):
            found.merge(work.again(part) if is_there else next(new))
            n_done += part.reader.n_rows
            tell(n_done)
    return found


# The work -------------------------------------------------------------------------------------------------------------


def done(begin: Begin[Job, Found], jobs: Sequence[Job], how: InParts) -> Iterator[Found]:
    """What was found in each job, in order.

    begin: makes what does a job, once in each process; for other processes it must be one that pickle takes. Raises
    what that raises; WorkerError where a process dies.
    """
    if not jobs:
        return
    if how.engine == "ray":
        yield from _by_ray(begin, jobs, how.workers)
    elif how.workers > 1:
        yield from _by_processes(begin, jobs, how.workers)
    else:
        yield from map(begin(), jobs)


_work: Callable[[Any], Any] | None = None  # of this process, where it is a worker


def _set_up(begin: Begin[Any, Any], n_threads: int) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = _begun(begin, n_threads)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _begun(begin: Begin[Job, Found], n_threads: int) -> Callable[[Job], Found]:
    """Workers side by side share the cores."""
    work = begin()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)
    return work


def _do(job: Any) -> Any:
    assert _work is not None
    return _work(job)


def _by_processes(begin: Begin[Job, Found], jobs: Sequence[Job], workers: int) -> Iterator[Found]:
    n_threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), multiprocessing.get_context("spawn"), _set_up, (begin, n_threads)
    )
    try:
        yield from pool.map(_do, jobs)
    except BrokenProcessPool as error:
        remedy = "go on with `resume`; with fewer workers if memory is short"
        raise WorkerError("a worker died", remedy=remedy) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Actor:
    """What an actor of Ray Data holds. Errors of ours come back as they are."""

    begin: ClassVar[bytes]
    n_threads: ClassVar[int]

    def __init__(self) -> None:
        self._work = _begun(pickle.loads(self.begin), self.n_threads)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        found: Any
        try:
            found = self._work(pickle.loads(row["job"]))
        except GantoolsError as error:
            found = error
        return {"place": row["place"], "found": pickle.dumps(found)}


def _by_ray(begin: Begin[Job, Found], jobs: Sequence[Job], workers: int) -> Iterator[Found]:
    """Each job is a row of a data set, which as many actors as there are workers go through."""
    ray: Any = importlib.import_module("ray")
    importlib.import_module("ray.data")
    is_mine = not ray.is_initialized()
    if is_mine:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        place: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
        with _silence():
            ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False, **place)
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        n_threads = max(1, (os.cpu_count() or 1) // workers)
        rows = [{"place": place, "job": pickle.dumps(job)} for place, job in enumerate(jobs)]
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            type("Worker", (_Actor,), {"begin": pickle.dumps(begin), "n_threads": n_threads}),
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(jobs))),
        )
        for expected, row in enumerate(found.iter_rows()):
            assert row["place"] == expected
            one = pickle.loads(row["found"])
            if isinstance(one, GantoolsError):
                raise one
            yield one
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[-1]
        raise WorkerError(f"Ray stopped ({said})", remedy="go on with `resume`") from error
    finally:
        if is_mine:
            ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what is written to stderr below Python, where Ray says how it logs, from people."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
