"""Where output goes: names where none is given, and places that are refused before any work is done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gantools.address import address_of
from gantools.data.parts import SUFFIX_COMPRESSION, is_called_table, is_parts, part_files, table_suffix
from gantools.errors import ConfigError
from gantools.files import claim, real


def named(path: Path) -> Path:
    """The path with a name of its own: "." and ".." have none."""
    return path if path.name not in ("", "..") else Path(os.path.realpath(path))


def beside(data: Path, word: str) -> Path:
    """`customers.csv.gz` -> `customers.<word>.csv.gz`, in the same folder; a folder of parts -> `customers.<word>`.

    Raises ConfigError for another folder.
    """
    if is_parts(data):
        return folder_beside(data if data.is_dir() else data.parent, word)
    _refuse_folder(data)
    suffix = table_suffix(data)
    return data.with_name(f"{data.name.removesuffix(suffix)}.{word}{suffix}")


def one_beside(data: Path, word: str) -> Path:
    """As `beside`, but one file for a folder of parts, too, called as these are: `customers.<word>.parquet`."""
    if not is_parts(data):
        return beside(data, word)
    suffix, data = table_suffix(part_files(data)[0]), named(data if data.is_dir() else data.parent)
    return data.with_name(f"{data.name.removesuffix(suffix)}.{word}{suffix}")


def _refuse_folder(data: Path) -> None:
    if data.is_dir():
        raise ConfigError("is a folder", where=str(data), remedy="give the file of a table")


def folder_beside(data: Path, word: str) -> Path:
    """`photos` or `photos.npz` -> `photos.<word>`, in the same place."""
    data = named(data)
    return data.with_name(f"{data.name if data.is_dir() else data.stem}.{word}")


def check_file(path: Path | None, where: str, *, force: bool, inputs: tuple[Path | None, ...] = ()) -> None:
    """Refuse a file that cannot or must not be written.

    where: the parameter that named it, for the message. inputs: files that are never overwritten. Raises ConfigError.
    """
    if path is None:
        return
    if any(one is not None and same(path, one) for one in inputs):
        raise ConfigError(f"{path} is the input file", where=where, remedy="give another name")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", where=where, remedy="give the name of a file")
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", where=where, remedy="give another name, or `force` to overwrite it")
    check_writable(path, where)


def check_png(path: Path, where: str, *, force: bool, apart: Path) -> None:
    """Refuse a file for a picture that cannot or must not be written, or whose name promises another format.

    apart: that it must not lie in. Raises ConfigError.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{path} is not the name of a PNG file", where=where, remedy="end it in .png")
    check_apart(path, where, apart)
    check_file(path, where, force=force)


def is_in_parts(data: Path, output: Path) -> bool:
    """Whether the output is a folder of parts: that of a table in parts is, unless it is called as a file is."""
    return is_parts(data) and not is_called_table(output)


def check_table(
    path: Path, where: str, *, force: bool, inputs: tuple[Path | None, ...] = (), resume: bool = False
) -> None:
    """Refuse a file for a table that cannot or must not be written, or whose name promises another format.

    The first input's own suffix is fine. Where that is a folder of parts, a name without suffix is that of a folder.
    resume: this may have been begun. Raises ConfigError.
    """
    first = inputs[0] if inputs else None
    of_input = first is not None and path.suffix.lower() == first.suffix.lower()
    if first is not None and is_parts(first):
        check_apart(path, where, first)
        if is_in_parts(first, path):
            names = {part.name for part in part_files(first)}
            check_folder(
                path, where, force=force or resume, what="parts of this table",
                is_ours=lambda folder: holds_parts(folder, names),
            )  # fmt: skip
            return
    if path.suffix and not is_called_table(path) and path.suffix.lower() not in SUFFIX_COMPRESSION and not of_input:
        raise ConfigError(f"{path} is neither CSV nor Parquet", where=where, remedy="end it in .csv or .parquet")
    check_file(path, where, force=force, inputs=inputs)


def check_folder(
    path: Path | None, where: str, *, force: bool, what: str = "", is_ours: Callable[[Path], bool] | None = None
) -> None:
    """Refuse a folder that cannot or must not be written.

    what, is_ours: what `force` may replace, and whether a folder is that; without them it may be anything. Raises
    ConfigError.
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file", where=where, remedy="give the name of a folder")
    if path.is_dir() and any(path.iterdir()):
        if not force:
            remedy = "give another name, or `force` to replace it"
            raise ConfigError(f"{path} is not empty", where=where, remedy=remedy)
        if is_ours is not None and not is_ours(path):
            raise ConfigError(f"{path} holds files that are not {what}", where=where, remedy="give another name")
    check_writable(path, where)


@contextmanager
def claimed_save(path: Path | None, *, force: bool, resume: bool = False, where: str = "save") -> Iterator[None]:
    """Keep the folder for a trained model to this process until the block ends.

    resume: it may hold one to go on with. where: the parameter that named it. Raises ConfigError where a model cannot
    or must not be saved there, or while another process writes there. The check comes after the claim, since that
    process may have saved a model by then.
    """
    is_ours = (lambda _: True) if resume else holds_checkpoint
    with claim(path, where):
        check_folder(path, where, force=force or resume, what="a checkpoint", is_ours=is_ours)
        yield


def holds_parts(folder: Path, names: set[str]) -> bool:
    """Whether a folder holds nothing but parts of these names, and files that say something about them."""
    return all(one.name in names or one.name.startswith("_") for one in folder.iterdir())


def holds_checkpoint(path: Path) -> bool:
    """Whether a model or a part of one was saved there."""
    return (path / "config.json").is_file()


def check_grids(path: Path | None) -> None:
    """Refuse a folder for pictures of training that holds anything else. Raises ConfigError."""
    check_folder(
        path, "grids", force=True, what="pictures of a training",
        is_ours=lambda folder: all(one.match("step_*.png") for one in folder.iterdir()),
    )  # fmt: skip


def check_apart(path: Path | None, where: str, *others: Path | None) -> None:
    """Refuse to write to `path` where that is one of the others, lies in it or around it. Raises ConfigError."""
    for other in others if path is not None else ():
        if path is None or other is None:
            continue
        one, another = real(path), real(other)
        if one == another:
            raise ConfigError(f"{path} is {other} itself", where=where, remedy="give another place")
        if another in one.parents:
            raise ConfigError(f"{path} lies in {other}", where=where, remedy="give a place outside it")
        if one in another.parents:
            raise ConfigError(f"{path} has {other} inside it", where=where, remedy="give a place beside it")


def check_writable(path: Path, where: str) -> None:
    """Refuse a path whose folder does not exist or cannot be written into. Raises ConfigError.

    Of an address that is known only when something is put there.
    """
    if address_of(path) is not None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"the folder {folder} does not exist", where=where, remedy="create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"cannot write into the folder {folder} ({error.strerror or error})"
        raise ConfigError(problem, where=where, remedy="choose a folder that you may write to") from error


def same(one: Path, other: Path) -> bool:
    """Whether two paths name the same file, there or not."""
    try:
        return one.samefile(other)
    except OSError:
        return real(one) == real(other)
