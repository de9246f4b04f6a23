"""A folder written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gantools.errors import DataError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, which takes its place when the block ends well and is gone when it fails.

    What stands there is replaced: ask first whether it may be. Raises DataError when nothing can be written.
    """
    path = path.resolve()
    part, old = (path.with_name(f".{path.name}.{os.getpid()}.{word}") for word in ("part", "old"))
    try:
        part.mkdir()
        yield part
        if path.exists():
            path.replace(old)
        part.replace(path)
    except OSError as error:
        if old.exists() and not path.exists():
            old.replace(path)
        problem = f"cannot be written ({error.strerror or error})"
        raise DataError(problem, where=str(path), remedy="choose another place") from error
    except DataError as error:
        where = error.where.replace(str(part), str(path))
        raise DataError(error.problem, where=where, remedy=error.remedy) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
