"""Files and folders written whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gantools.errors import ExportError
from gantools.files import write_file, write_folder


@contextmanager
def whole(folder: Path, own: Collection[str]) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` when the block ends without an error.

    own: the files that such a folder has, as relative paths. A folder that holds anything else is not replaced.

    Raises ExportError when `folder` is something else, and when it cannot be written.
    """
    if folder.exists() and (strange := _strange(folder, own)):
        problem = f"holds {strange}, so that it is not replaced"
        raise ExportError(problem, where=str(folder), remedy="choose a new or empty folder")
    with write_folder(folder, ExportError, parents=True) as inside:
        yield inside


def _strange(folder: Path, own: Collection[str]) -> str:
    """The first thing in a folder that is not its own, "" where there is none."""
    if not folder.is_dir():
        return "a file"
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and "__pycache__" not in inside.parts and inside.as_posix() not in own:
            return f"'{inside.as_posix()}'"
    return ""


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises ExportError when it cannot be written."""
    with write_file(path, ExportError, parents=True) as file:
        file.write(data)
