"""The one way to write a file or a folder: beside its place, synced to the disk, then renamed. Whole or not at all.

While NAME is written it is called `.NAME.PID.part` and locked. A part that nobody locks was left by a process that was
killed; whoever writes NAME next removes it. A folder that is being replaced is called `.NAME.old` between two renames.
Where a process was killed between them, `whole_folder` finds it there, and the next writer puts it back first.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gantools.errors import DataError, GantoolsError

try:
    import fcntl
except ImportError:  # no such locks on Windows: what was left there stays
    fcntl = None  # type: ignore[assignment]


@contextmanager
def write_file(
    path: str | Path, error: type[GantoolsError] = DataError, *, parents: bool = False
) -> Iterator[IO[bytes]]:
    """A new file that takes the place of the one at `path` when the block ends, and is gone when the block fails.

    A link stays a link. parents: create the folder that it goes into.

    Raises `error` where `path` is a folder, in no folder, or cannot be written.
    """
    place = Path(path).resolve()
    if place.is_dir():
        raise error("is a folder", where=str(path), remedy="give the name of a file")
    if place.exists() and not place.is_file():
        raise error("is not a regular file", where=str(path), remedy="give the name of a file")
    with _part_of(place, str(path), error, parents) as part:
        with part.open("wb") as file:
            _lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)


@contextmanager
def write_folder(path: str | Path, error: type[GantoolsError] = DataError, *, parents: bool = False) -> Iterator[Path]:
    """A new folder that takes the place of the one at `path` when the block ends, and is gone when the block fails.

    What stands there is replaced: ask first whether it may be. parents: create the folder that it goes into.

    Raises `error` where `path` is a file, in no folder, or cannot be written.
    """
    place = Path(path).resolve()
    if place.exists() and not place.is_dir():
        raise error("is a file", where=str(path), remedy="give the name of a folder")
    old = _old(place)
    with _part_of(place, str(path), error, parents) as part:
        if old.exists() and not place.exists():
            old.replace(place)
        part.mkdir()
        with _opened(part) as descriptor:
            _lock(descriptor)
            yield part
            _sync_folder(part)
            _exchange(part, place, old)


def whole_folder(path: str | Path) -> Path:
    """Where the folder written to `path` is: there, or aside where a process was killed while it replaced it."""
    place = Path(path).resolve()
    old = _old(place)
    return old if old.exists() and not place.exists() else place


def unwritable(problem: OSError, where: str, error: type[GantoolsError] = DataError) -> GantoolsError:
    """What the system said when `where` was written, as an error that says what to do."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        said, remedy = "cannot be written: there is no space left", "free some or choose another disk"
    elif problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        said, remedy = "its folder may not be written to", "choose another folder"
    else:
        said, remedy = f"cannot be written ({problem.strerror or problem})", "choose another place"
    return error(said, where=where, remedy=remedy)


@contextmanager
def _part_of(place: Path, where: str, error: type[GantoolsError], parents: bool) -> Iterator[Path]:
    """The name to write under until `place` is replaced. Inside the block, what goes wrong is `error` about `where`."""
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        if parents:
            place.parent.mkdir(parents=True, exist_ok=True)
        elif not place.parent.is_dir():
            problem, remedy = "cannot be written: its folder does not exist", "create it or choose another place"
            raise error(problem, where=where, remedy=remedy)
        _remove_leftovers(place)
        yield part
        with suppress(OSError), _opened(place.parent) as descriptor:  # not every system can
            os.fsync(descriptor)
    except OSError as problem:
        raise unwritable(problem, where, error) from problem
    except GantoolsError as told:  # about a file inside: name it by where it was to be
        if str(part) not in told.where:
            raise
        raise type(told)(told.problem, where=told.where.replace(str(part), where), remedy=told.remedy) from told
    finally:
        _remove(part)


def _exchange(part: Path, place: Path, old: Path) -> None:
    """Put the folder `part` in the place of another, which is called `old` meanwhile."""
    if place.exists():
        _remove(old)
        place.replace(old)
    try:
        part.replace(place)
    except BaseException:
        with suppress(OSError):
            old.replace(place)
        raise
    _remove(old)


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _remove_leftovers(place: Path) -> None:
    for left in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        with suppress(OSError), _opened(left) as descriptor:
            if _lock(descriptor):
                _remove(left)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what led here is the error to tell
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file or folder as a descriptor, which locks and syncing take."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file or folder for as long as it is open. False where another holds it, or there are no locks."""
    with suppress(OSError, AttributeError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _sync_folder(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir() or path.stat().st_nlink == 1:  # a hard link's file was on the disk before
            with _opened(path) as descriptor:
                os.fsync(descriptor)
