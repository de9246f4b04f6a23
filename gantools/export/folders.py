"""What those share that write something beside an exported file: a reading of it, and folders written whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantools.errors import ExportError
from gantools.export.runtime import describe, open_session
from gantools.files import write_file, write_folder

NEEDED = (
    *("kind", "version", "model", "precision", "inputs", "outputs", "names", "schema", "data", "parity"),
    *("opset", "ir", "exported", "exported_with", "trained_with"),
)  # entries of the metadata


@dataclass(frozen=True)
class Value:
    """An input or output. type: as onnxruntime names it, "tensor(float)". shape: sizes; those that vary have names."""

    name: str
    type: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Opened:
    """What an exported file says of itself. defaults: inputs that may be left out."""

    described: dict[str, Any]
    inputs: tuple[Value, ...]
    defaults: tuple[Value, ...]
    outputs: tuple[Value, ...]


def opened(file: Path) -> Opened:
    """Read an exported file. Raises ExportError for one that cannot be opened or is of another origin."""
    session = open_session(file, "cpu", threads=1)
    try:
        described = describe(session)
    except ExportError as error:
        raise ExportError(error.problem, where=str(file), remedy=error.remedy) from error
    if lacking := [name for name in NEEDED if name not in described]:
        problem = f"its metadata lack {', '.join(lacking)}"
        raise ExportError(problem, where=str(file), remedy="export it again")
    given = session.get_inputs(), session.get_overridable_initializers(), session.get_outputs()
    inputs, defaults, outputs = (tuple(Value(v.name, v.type, tuple(v.shape)) for v in values) for values in given)
    return Opened(described, inputs, defaults, outputs)


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
