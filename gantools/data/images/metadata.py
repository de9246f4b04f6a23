"""What is known of each picture of a folder: `metadata.csv` or `metadata.jsonl`, as Hugging Face's ImageFolder has it.

One row for each picture, whose place below the folder is in the column `file_name`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gantools.data.tables.reader import read_table
from gantools.errors import DataError
from gantools.words import listed, meant

FILES = ("metadata.csv", "metadata.jsonl")
FILE_NAME = "file_name"


def read_metadata(folder: Path, names: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """These columns of what is known of the pictures `names`, places below the folder: a row for each, in their order.

    The index says which row of the file each is.

    Raises DataError where there is no such file, or two; where it lacks a column or a picture, or names one that is
    not there or twice; and for an empty cell.
    """
    there = [folder / name for name in FILES if (folder / name).is_file()]
    if len(there) != 1:
        problem = "there are both metadata.csv and metadata.jsonl" if there else f"there is no {' or '.join(FILES)}"
        raise DataError(problem, where=str(folder), remedy=f"describe the pictures in one, with a column '{FILE_NAME}'")
    path = there[0]
    frame = _read(path)
    for column in (FILE_NAME, *columns):
        if column not in frame.columns:
            known = f"the columns are {listed(frame.columns)}"
            raise DataError(
                f"there is no column {column!r}", where=str(path), remedy=meant(column, frame.columns, known)
            )
    files = frame[FILE_NAME].astype(str)
    for problem, wrong in (
        ("names twice", files[files.duplicated()]),
        ("names pictures that are not there or cannot be read:", files[~files.isin(names)]),
        ("says nothing of", [name for name in names if name not in set(files)]),
    ):
        if len(wrong):
            remedy = f"give each picture one row, with its place below the folder as '{FILE_NAME}'"
            raise DataError(f"{problem} {listed(wrong)}", where=str(path), remedy=remedy)
    rows = pd.Series(range(len(frame)), index=files)[list(names)].to_numpy()
    found = frame.iloc[rows][list(columns)].set_axis(rows)
    for column in columns:
        empty = found[column].isna() | (found[column].astype(str).str.strip() == "")
        if empty.any():
            first = names[int(empty.to_numpy().argmax())]
            problem = f"column {column!r} is empty for {first}"
            raise DataError(problem, where=str(path), remedy="fill it, or leave the picture out")
    return found


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return read_table(path, None)[0]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [dict(json.loads(line)) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        remedy = "write one JSON object on each line"
        raise DataError(f"cannot be read as JSON lines: {error}", where=str(path), remedy=remedy) from error
    return pd.DataFrame(rows)
