"""Files in object stores and other file systems, by their address: `s3://bucket/folder/part-0.parquet`.

PyArrow knows `s3`, `gs`, `abfs`, `hdfs` and `file`; other schemes are those of fsspec, where that is installed. An
object appears whole when it is put, or not at all: it is written to a local file first. What fails is tried again.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from gantools.errors import ConfigError, DataError, GantoolsError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

Value = TypeVar("Value")

TRIES = 6  # of everything, besides those of PyArrow
PAUSE_S = 0.25  # before the second; each further one is twice as long
CONNECT_S, REQUEST_S = 5, 60  # that a store may take to answer
STORE_TRIES = 2  # by PyArrow, of each request to S3


@dataclass(frozen=True)
class State:
    """What `os.stat` says, as far as it is known of an object."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class Address:
    """A file or a folder in another file system, with what reading and writing a table take of `pathlib.Path`.

    system: a URL that says which file system it is, without the path. path: within it. listed: what it was when its
    folder was listed, "" where nobody asked. Raises DataError that names the
    address wherever the file system cannot be reached.
    """

    system: str
    path: str
    listed: str = field(default="", compare=False)

    @classmethod
    def of(cls, text: str) -> Address:
        """From a URL. Raises ConfigError where it names nothing."""
        scheme, _, rest = text.partition("://")
        where, mark, query = rest.partition("?")
        if "=" not in query:  # it belongs to a pattern
            where, mark, query = rest, "", ""
        store, _, inside = where.partition("/")
        path = f"/{inside}" if scheme in ("file", "hdfs") else f"{store.rpartition('@')[2]}/{inside}"
        path = path.rstrip("/")
        if not path or path.startswith("/") != (scheme in ("file", "hdfs")):
            raise ConfigError("names no file or folder", where=text, remedy="write s3://BUCKET/FOLDER")
        return cls(f"{scheme}://{store}{mark}{query}", path)

    # -- names -----------------------------------------------------------------------------------------------------

    @property
    def _pure(self) -> PurePosixPath:
        return PurePosixPath(self.path)

    @property
    def name(self) -> str:
        return self._pure.name

    @property
    def stem(self) -> str:
        return self._pure.stem

    @property
    def suffix(self) -> str:
        return self._pure.suffix

    @property
    def suffixes(self) -> list[str]:
        return self._pure.suffixes

    @property
    def parent(self) -> Address:
        return Address(self.system, str(self._pure.parent))

    @property
    def parents(self) -> tuple[Address, ...]:
        return tuple(Address(self.system, str(parent)) for parent in self._pure.parents)

    def with_name(self, name: str) -> Address:
        return Address(self.system, str(self._pure.with_name(name)))

    def with_suffix(self, suffix: str) -> Address:
        return Address(self.system, str(self._pure.with_suffix(suffix)))

    def absolute(self) -> Address:
        return self

    def __truediv__(self, name: str) -> Address:
        return Address(self.system, str(self._pure / name))

    def __str__(self) -> str:
        """Without keys and what else the URL says of the store."""
        parts = urllib.parse.urlsplit(self.system)
        host = parts.netloc if parts.scheme == "hdfs" else ""
        return f"{parts.scheme}://{host}{self.path}"

    # -- what is there ---------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        return self._kind() != "NotFound"

    def is_file(self) -> bool:
        return (self.listed or self._kind()) == "File"

    def is_dir(self) -> bool:
        return (self.listed or self._kind()) == "Directory"

    def iterdir(self) -> Iterator[Address]:
        """What lies in the folder; nothing where there is none."""
        from pyarrow.fs import FileSelector

        found = self.tried(lambda fs: fs.get_file_info(FileSelector(self.path, allow_not_found=True)))
        return iter(
            [Address(self.system, one.path, one.type.name) for one in found if one.path.rstrip("/") != self.path]
        )

    def stat(self) -> State:
        """Raises FileNotFoundError."""
        info = self._info()
        if info.type.name == "NotFound":
            raise FileNotFoundError(str(self))
        return State(info.size or 0, info.mtime_ns or 0)

    def samefile(self, other: object) -> bool:
        return isinstance(other, Address) and self == other

    # -- reading and writing ---------------------------------------------------------------------------------------

    def open(self, mode: str = "rb") -> IO[bytes]:
        """A local copy, opened for reading. Raises FileNotFoundError."""
        assert mode == "rb"
        return self.local().open("rb")

    def local(self) -> Path:
        """A local copy of the file as it is now, which the next files that are read take the place of. Raises
        FileNotFoundError."""
        return _COPIES.of(self)

    def opened(self) -> IO[bytes]:
        """The file, of which only what is asked for is read, piece by piece."""
        return cast("IO[bytes]", _Pieces(self, self.tried(lambda fs: fs.open_input_file(self.path))))

    def fetch(self, place: Path) -> None:
        """Copy the file, or the folder with all in it, to a local path."""
        self.tried(lambda fs: _copied(fs, self.path, _local(), str(place)))

    def put(self, file: Path) -> None:
        """Put a local file here: whole, or not at all."""
        size = file.stat().st_size

        def copied(fs: FileSystem) -> None:
            _copied(_local(), str(file), fs, self.path)
            found = fs.get_file_info(self.path).size
            if found != size:
                raise OSError(f"{found} of {size} bytes arrived")

        self.tried(copied)

    def mkdir(self, exist_ok: bool = False) -> None:
        """Folders of object stores are there when something lies in them; elsewhere one is made."""
        if urllib.parse.urlsplit(self.system).scheme not in ("s3", "gs", "gcs"):
            self.tried(lambda fs: fs.create_dir(self.path))

    def touch(self) -> None:
        """Put an empty file here."""
        with tempfile.TemporaryDirectory(prefix="gantools-") as folder:
            empty = Path(folder) / "empty"
            empty.touch()
            self.put(empty)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        with suppress(FileNotFoundError):
            self.tried(lambda fs: fs.delete_file(self.path))

    @contextmanager
    def written(self) -> Iterator[IO[bytes]]:
        """A local file, which is put here when the block ends, and forgotten when it fails."""
        with tempfile.TemporaryDirectory(prefix="gantools-") as folder:
            place = Path(folder) / self.name
            with place.open("wb") as file:
                yield file
            self.put(place)

    def _kind(self) -> str:
        return str(self._info().type.name)

    def _info(self) -> FileInfo:
        return self.tried(lambda fs: fs.get_file_info(self.path))

    def tried(self, ask: Callable[[FileSystem], Value]) -> Value:
        """What the file system answers, asked several times. Raises FileNotFoundError, or DataError where it does not
        answer."""
        from pyarrow import ArrowException

        for left in reversed(range(TRIES)):
            try:
                return ask(_system(self.system))
            except FileNotFoundError:
                raise
            except (OSError, ArrowException) as error:
                if left == 0 or "ACCESS_DENIED" in str(error):
                    said = " ".join(str(error).split())
                    remedy = "check the address, your keys and the network, then try again"
                    raise DataError(f"cannot be reached ({said})", where=str(self), remedy=remedy) from error
                time.sleep(PAUSE_S * 2 ** (TRIES - 1 - left))
        raise AssertionError


def is_address(text: object) -> bool:
    """Whether this is the address of something in another file system."""
    return isinstance(text, Address) or "://" in str(text)


def address_of(place: object) -> Address | None:
    """The place, where it is in another file system."""
    return place if isinstance(place, Address) else None


def local_copy(path: Path) -> Path:
    """A local copy of a file in another file system; itself where it is local."""
    address = address_of(path)
    return path if address is None else address.local()


def place_of(text: str | Path | Address) -> Path:
    """A path, or an address, which readers and writers of tables take for one."""
    if isinstance(text, Address):
        return text  # type: ignore[return-value]
    return Address.of(str(text)) if isinstance(text, str) and is_address(text) else Path(text)  # type: ignore[return-value]


@contextmanager
def fetched(place: Path) -> Iterator[Path]:
    """A local copy of the file or folder, until the block ends; itself where it is local."""
    address = address_of(place)
    if address is None:
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="gantools-") as folder:
        copy = Path(folder) / address.name
        if not address.exists():
            raise DataError("does not exist", where=str(address), remedy="check the address")
        address.fetch(copy)
        try:
            yield copy
        except GantoolsError as told:
            if str(copy) not in told.where:
                raise
            where = told.where.replace(str(copy), str(address))
            raise type(told)(told.problem, where=where, remedy=told.remedy) from told


class _Pieces(io.RawIOBase):
    """A file that is read piece by piece, each tried again where the store fails."""

    def __init__(self, address: Address, file: Any) -> None:
        self._address, self._file = address, file
        self._size, self._place = int(file.size()), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = int(base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        n = min(len(buffer), max(0, self._size - self._place))
        if n:
            buffer[:n] = self._address.tried(lambda _: self._file.read_at(n, self._place))
        self._place += n
        return n

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Copies:
    """Local copies of the files that were read last: at most two, in a folder that goes with the process."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copies: dict[tuple[Address, int, int], Path] = {}
        self._n = 0

    def of(self, address: Address) -> Path:
        """The copy of a file as it is now. Raises FileNotFoundError."""
        state = address.stat()
        key = address, state.st_size, state.st_mtime_ns
        if key not in self._copies:
            if self._folder is None or not Path(self._folder.name).is_dir():
                self._folder = tempfile.TemporaryDirectory(prefix="gantools-")
            self._n += 1
            place = Path(self._folder.name) / f"{os.getpid()}-{self._n}-{address.name}"
            address.fetch(place)
            while len(self._copies) > 1:
                self._copies.pop(next(iter(self._copies))).unlink(missing_ok=True)
            self._copies[key] = place
        return self._copies[key]


_COPIES = _Copies()


def _copied(source: FileSystem, path: str, target: FileSystem, place: str) -> None:
    """PyArrow copies a file or a folder; no signal stops it halfway, and the object appears at the end."""
    from pyarrow.fs import copy_files

    info = source.get_file_info(path)
    if info.type.name == "NotFound":
        raise FileNotFoundError(path)
    if info.type.name == "Directory":
        shutil.rmtree(place, ignore_errors=True)
        Path(place).mkdir()
    copy_files(path, place, source_filesystem=source, destination_filesystem=target)


@cache
def _local() -> FileSystem:
    from pyarrow.fs import LocalFileSystem

    return LocalFileSystem()


@cache
def _system(url: str) -> FileSystem:
    """The file system of an address. Raises ConfigError where it is of no known kind."""
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "s3":
        return _s3(parts)
    try:
        return FileSystem.from_uri(url)[0]
    except (ArrowException, ValueError) as error:
        try:
            fsspec: Any = importlib.import_module("fsspec")
            return PyFileSystem(FSSpecHandler(fsspec.filesystem(parts.scheme)))
        except (ImportError, ValueError) as other:
            problem = f"no file system is known for {parts.scheme}:// ({other})"
            raise ConfigError(
                problem, where=url, remedy="install fsspec's package for it, or copy the files"
            ) from error


def _s3(parts: urllib.parse.SplitResult) -> FileSystem:
    """S3 and what speaks its protocol. Keys and regions come as for other tools, from the environment, from files in
    `~/.aws` or from the machine's role; the URL may have `region`, `endpoint_override` and `scheme`."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    given = dict(urllib.parse.parse_qsl(parts.query))
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        given.setdefault("endpoint_override", host.rstrip("/"))
        given.setdefault("scheme", scheme or "https")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        given.setdefault("region", region)
    if parts.username:
        given |= {"access_key": urllib.parse.unquote(parts.username)}
        given |= {"secret_key": urllib.parse.unquote(parts.password or "")}
    try:
        return S3FileSystem(
            **given, connect_timeout=CONNECT_S, request_timeout=REQUEST_S,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=STORE_TRIES),
        )  # fmt: skip
    except TypeError as error:
        problem = f"has an option that is not known ({error})"
        raise ConfigError(problem, where=parts.geturl(), remedy="use region, endpoint_override and scheme") from error
