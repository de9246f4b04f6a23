"""The one way to write a file or a folder: beside its place, synced to the disk, then renamed. Whole or not at all.

While NAME is written it is called `.NAME.PID.part` and locked. A part that nobody locks was left by a process that was
killed; whoever writes NAME next removes it. A folder that is being replaced is called `.NAME.old` between two renames.
Where a process was killed between them, `whole_folder` finds it there, and the next writer puts it back first.

Who writes NAME more than once, as training does, claims it: `.NAME.lock` holds the number of the process that does, and
is locked. Readers of a folder that may be replaced while they read use `read_folder`.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from gantools.address import address_of
from gantools.errors import ConfigError, DataError, GantoolsError

try:
    import fcntl
except ImportError:  # no such locks on Windows: what was left there stays
    fcntl = None  # type: ignore[assignment]

Value = TypeVar("Value")

TRIES = 100  # of writing or reading a folder that others replace all the time
PAUSE_S = 0.002  # before the next


@contextmanager
def write_file(
    path: str | Path, error: type[GantoolsError] = DataError, *, parents: bool = False
) -> Iterator[IO[bytes]]:
    """A new file that takes the place of the one at `path` when the block ends, and is gone when the block fails.

    A link stays a link. parents: create the folder that it goes into.

    Raises `error` where `path` is a folder, in no folder, or cannot be written.
    """
    address = address_of(path)
    if address is not None:
        with address.written() as file:
            yield file
        return
    place = Path(os.path.realpath(path))
    mode = _mode(place)
    if mode is not None and stat.S_ISDIR(mode):
        raise error("is a folder", where=str(path), remedy="give the name of a file")
    if mode is not None and not stat.S_ISREG(mode):
        raise error("is not a regular file", where=str(path), remedy="give the name of a file")
    with _part_of(place, str(path), error, parents) as part:
        with _new(part, Path.touch), part.open("wb") as file:
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
    place = Path(os.path.realpath(path))
    mode = _mode(place)
    if mode is not None and not stat.S_ISDIR(mode):
        raise error("is a file", where=str(path), remedy="give the name of a folder")
    old = _old(place)
    with _part_of(place, str(path), error, parents) as part:
        _put_back(old, place)
        with _new(part, Path.mkdir):
            yield part
            _sync_folder(part)
            _exchange(part, place, old)


def real(path: Path) -> Path:
    """The path without links; an address as it is."""
    return path if address_of(path) is not None else Path(os.path.realpath(path))


def replace_folder(new: Path, path: str | Path) -> None:
    """Let a finished folder take the place of the one at `path`, beside which it lies. What stands there is replaced.

    Raises DataError where the system refuses.
    """
    place = Path(os.path.realpath(path))
    old = _old(place)
    _put_back(old, place)
    try:
        _sync_folder(new)
        _exchange(new, place, old)
    except OSError as problem:
        raise unwritable(problem, str(path)) from problem


def whole_folder(path: str | Path) -> Path:
    """Where the folder written to `path` is: there, or aside where a process was killed while it replaced it."""
    place = Path(os.path.realpath(path))
    old = _old(place)
    return old if old.exists() and not place.exists() else place


def read_folder(path: str | Path, read: Callable[[Path], Value]) -> Value:
    """What `read` makes of the folder written to `path`: of one writing of it, read again where it was replaced.

    read: gets the place of the folder, see `whole_folder`. What it raises is raised where the folder stayed as it is.
    """
    for left in reversed(range(TRIES)):
        place = whole_folder(path)
        before = _state(place)
        try:
            found = read(place)
        except (OSError, GantoolsError):
            stayed = before is not None and _stays(path, place, before)
            if left == 0 or stayed or not _appears(path):
                raise
        else:
            if left == 0 or _stays(path, place, before):
                return found
    raise AssertionError


@contextmanager
def claim(path: Path | None, where: str) -> Iterator[None]:
    """Keep other processes from claiming `path` until the block ends. None claims nothing.

    where: the parameter that named it. Raises ConfigError that names the process that has claimed it.
    """
    lock = None if path is None else _lock_of(path)
    descriptor = None if lock is None or fcntl is None else _claimed(lock, path, where)
    try:
        yield
    finally:
        if lock is not None and descriptor is not None:
            lock.unlink(missing_ok=True)
            os.close(descriptor)


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
    """Put the folder `part` in the place of another, which is called `old` meanwhile.

    Of several processes that do so at once the last one's folder stays.
    """
    for left in reversed(range(TRIES)):
        try:
            if place.exists():
                _remove(old)
                place.replace(old)
            part.replace(place)
            break
        except BaseException as error:
            was_other = isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
            if left and was_other and part.exists():
                continue
            _put_back(old, place)
            raise
    _remove(old)


def _put_back(old: Path, place: Path) -> None:
    """Give a folder that was moved aside its name again, unless another process puts its own there meanwhile."""
    if old.exists() and not place.exists():
        with suppress(OSError):
            old.replace(place)


def _mode(path: Path) -> int | None:
    """Of what kind the file or folder is, found out at one moment; None where there is none."""
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _state(folder: Path) -> tuple[int, int] | None:
    """What differs between two writings of a folder; None where there is none."""
    try:
        state = folder.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns


def _stays(path: str | Path, place: Path, before: tuple[int, int] | None) -> bool:
    """Whether the folder written to `path` is still at `place` and as it was. One aside may be about to be removed."""
    return whole_folder(path) == place and _state(place) == before


def _appears(path: str | Path) -> bool:
    """Whether there is a folder now or in a moment, as there is while one is being replaced."""
    if whole_folder(path).exists():
        return True
    time.sleep(PAUSE_S)
    return whole_folder(path).exists()


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


@contextmanager
def _new(part: Path, make: Callable[[Path], object]) -> Iterator[None]:
    """A new part, made by `make` and locked before another process can have taken it for a leftover."""
    descriptor = _locked(part, make)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(part: Path, make: Callable[[Path], object]) -> int:
    for left in reversed(range(TRIES)):
        try:
            make(part)
            descriptor = os.open(part, os.O_RDONLY)
        except (FileExistsError, FileNotFoundError):
            if left == 0:
                raise
        else:
            if _lock(descriptor) is not False and _is_at(descriptor, part):
                return descriptor
            os.close(descriptor)  # it was taken for a leftover
        time.sleep(PAUSE_S)
    raise TimeoutError(errno.ETIMEDOUT, "other processes keep removing it", str(part))


def _remove_leftovers(place: Path) -> None:
    for left in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        with suppress(OSError), _opened(left) as descriptor:
            if _lock(descriptor) and _is_at(descriptor, left):
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


def _lock(descriptor: int) -> bool | None:
    """Lock a file or folder for as long as it is open. False where another holds it, None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, AttributeError):
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether what was opened still stands there, and nothing else in its place."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _lock_of(path: Path) -> Path:
    place = Path(os.path.realpath(path))
    return place.with_name(f".{place.name}.lock")


def _claimed(lock: Path, path: Path | None, where: str) -> int | None:
    """The lock file, locked, with this process's number in it. None where there can be none: who writes there says why.

    Raises ConfigError where another process holds it.
    """
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        if _lock(descriptor) is False:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "of another command"
            os.close(descriptor)
            remedy = "wait until it is done, or give another name"
            raise ConfigError(f"process {holder} is writing to {path}", where=where, remedy=remedy)
        if _is_at(descriptor, lock):
            with suppress(OSError):  # the number is for people only
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # who held it removed it before it was locked here


def _sync_folder(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir() or path.stat().st_nlink == 1:  # a hard link's file was on the disk before
            with _opened(path) as descriptor:
                os.fsync(descriptor)
