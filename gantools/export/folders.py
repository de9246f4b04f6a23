"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gantools.errors import ExportError


@contextmanager
def whole(folder: Path, own: Collection[str]) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` when the block ends without an error.

    own: the files that such a folder has, as relative paths. A folder that holds anything else is not replaced.

    Raises ExportError when `folder` is something else, and when it cannot be written.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  `resolve` would follow a link that is to be replaced
    aside, before = (folder.with_name(f".{folder.name}.{what}") for what in ("writing", "before"))
    if folder.exists() and (strange := _strange(folder, own)):
        problem = f"holds {strange}, so that it is not replaced"
        raise ExportError(problem, where=str(folder), remedy="choose a new or empty folder")
    try:
        for left in (aside, before):
            shutil.rmtree(left, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        if folder.exists():
            os.replace(folder, before)
        os.replace(aside, folder)
    except OSError as error:
        if before.exists() and not folder.exists():
            os.replace(before, folder)
        reason = error.strerror or str(error)
        raise ExportError(f"cannot be written: {reason}", where=str(folder), remedy="choose another folder") from error
    finally:
        for left in (aside, before):
            shutil.rmtree(left, ignore_errors=True)


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
    aside = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        os.replace(aside, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportError(f"cannot be written: {reason}", where=str(path), remedy="choose another file") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
