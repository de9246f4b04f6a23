"""A table in parts: a folder of CSV or Parquet files with the same columns, as Spark, Dask and exports of databases
write it.

Files whose names begin with a dot or an underline say something about the parts and are none; parts come in the order
of their names, numbers in them by value. A folder that holds anything else as well is no table.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections import Counter
from pathlib import Path

from gantools.errors import DataError

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIX_COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}


def is_parts(path: Path) -> bool:
    """Whether `path` is a folder of files that are all called like tables."""
    return bool(part_files(path))


def is_there(path: Path) -> bool:
    """Whether a file, a folder or what a pattern finds is there."""
    return path.exists() or is_parts(path)


def part_files(path: Path) -> list[Path]:
    """The parts in a folder, or those that a pattern as `parts/2024-*.parquet` finds, in order.

    Empty for anything but a folder of tables alone, or a pattern that finds nothing else. Raises DataError where it
    finds files of one name in several folders.
    """
    pattern = str(path)
    if glob.has_magic(pattern) and not path.exists():
        return _matching(path)
    if not path.is_dir():
        return []
    files = [one for one in path.iterdir() if not one.name.startswith((".", "_"))]
    if not all(is_called_table(one) and one.is_file() for one in files):
        return []
    return sorted(files, key=lambda one: _by_number(one.name))


def _matching(pattern: Path) -> list[Path]:
    """The tables that a pattern finds, in order."""
    folders = _expanded(pattern.parent)
    found = [one for folder in folders for one in folder.iterdir() if fnmatch.fnmatchcase(one.name, pattern.name)]
    found = [one for one in found if not one.name.startswith((".", "_"))]
    if not all(is_called_table(one) and one.is_file() for one in found):
        return []
    names = Counter(one.name for one in found)
    if len(names) < len(found):
        problem = f"finds more than one file called {names.most_common(1)[0][0]}"
        raise DataError(problem, where=str(pattern), remedy="give one folder after the other")
    return sorted(found, key=lambda one: _by_number(one.name))


def _expanded(folder: Path) -> list[Path]:
    """The folders that a pattern finds."""
    if not glob.has_magic(str(folder)) or folder.exists():
        return [folder] if folder.is_dir() else []
    parents = _expanded(folder.parent)
    inner = [one for parent in parents for one in parent.iterdir() if fnmatch.fnmatchcase(one.name, folder.name)]
    return sorted(one for one in inner if one.is_dir())


def how_parts_lie(path: Path) -> str:
    """What to do with a folder that is no table, where tables lie in it or below; "" where none do."""
    table = next((one for one in sorted(path.rglob("*")) if is_called_table(one)), None)
    if table is None:
        return ""
    words = "a table in parts is a folder with nothing but its CSV or Parquet files"
    return words if table.parent == path else f"{words}; give {table.parent}"


def table_suffix(path: Path) -> str:
    """The suffix of a table's file, that of its compression included: "customers.csv.gz" has ".csv.gz"."""
    is_compressed = path.suffix.lower() in SUFFIX_COMPRESSION and len(path.suffixes) > 1
    return "".join(path.suffixes[-2:]) if is_compressed else path.suffix


def is_called_table(path: Path) -> bool:
    """Whether a file is a table by its suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in SUFFIX_COMPRESSION:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (*CSV_SUFFIXES, *PARQUET_SUFFIXES)


def _by_number(name: str) -> list[tuple[int, int, str]]:
    """Sorts part-2 before part-10."""
    pieces = re.split(r"(\d+)", name)
    return [(1, int(piece), "") if piece.isdecimal() else (0, 0, piece) for piece in pieces]
