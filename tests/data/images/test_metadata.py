"""What is known of pictures: read in the pictures' order, and refused by name where it does not fit them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantools.data.images.metadata import read_metadata
from gantools.errors import DataError

NAMES = ("a.png", "b/c.png")
ROWS = [{"file_name": "b/c.png", "text": "two", "n": 2}, {"file_name": "a.png", "text": "one", "n": 1}]


def write(folder: Path, rows: list[dict[str, object]], kind: str = "csv") -> None:
    if kind == "jsonl":
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_come_in_the_order_of_the_pictures(tmp_path: Path, kind: str) -> None:
    write(tmp_path, ROWS, kind)
    found = read_metadata(tmp_path, NAMES, ("text", "n"))
    assert found["text"].tolist() == ["one", "two"] and found["n"].tolist() == [1, 2]
    assert found.index.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        (ROWS, ("txet",), "no column 'txet'; did you mean 'text'"),
        ([{"picture": "a.png", "text": "x"}], ("text",), "no column 'file_name'"),
        ([*ROWS, ROWS[0]], ("text",), "names twice 'b/c.png'"),
        ([*ROWS, {"file_name": "d.png", "text": "x", "n": 1}], ("text",), "not there or cannot be read: 'd.png'"),
        (ROWS[:1], ("text",), "says nothing of 'a.png'"),
        ([ROWS[0], {**ROWS[1], "text": ""}], ("text",), "column 'text' is empty for a.png"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, rows: list[dict[str, object]], columns: tuple[str, ...], said: str
) -> None:
    write(tmp_path, rows)
    with pytest.raises(DataError, match=f"metadata.csv: .*{said}"):
        read_metadata(tmp_path, NAMES, columns)


def test_there_is_one_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no metadata.csv or metadata.jsonl; .*'file_name'"):
        read_metadata(tmp_path, NAMES, ())
    for kind in ("csv", "jsonl"):
        write(tmp_path, ROWS, kind)
    with pytest.raises(DataError, match="both"):
        read_metadata(tmp_path, NAMES, ())
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "metadata.jsonl").write_text("{no json")
    with pytest.raises(DataError, match="one JSON object on each line"):
        read_metadata(tmp_path, NAMES, ())
