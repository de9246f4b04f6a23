"""A folder of parts is one table: read, scored and written as the file that holds all rows would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gantools.data.parts import how_parts_lie, is_parts, part_files, table_suffix
from gantools.data.tables import TableReader, read_table
from gantools.data.tables.reader import column_names
from gantools.data.tables.writer import TableWriter
from gantools.errors import DataError


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cells = {"n": np.arange(90), "x": rng.normal(size=90).round(3), "city": rng.choice(["Bern", "Rome"], 90)}
    return pd.DataFrame({**cells, "gone": np.where(np.arange(90) % 7 == 0, np.nan, 1.5)})


def parted(frame: pd.DataFrame, folder: Path, suffix: str, n: int = 12) -> Path:
    folder.mkdir()
    for k, rows in enumerate(np.array_split(np.arange(len(frame)), n)):
        part, path = frame.iloc[rows], folder / f"part-{k}{suffix}"
        part.to_parquet(path, index=False) if suffix == ".parquet" else part.to_csv(path, index=False)
    (folder / "_SUCCESS").touch()
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_it_is_read_as_one_table(frame: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    folder = parted(frame, tmp_path / "rows", suffix)
    assert is_parts(folder) and table_suffix(part_files(folder)[0]) == suffix
    assert [path.name.split(".")[0] for path in part_files(folder)][9:] == ["part-9", "part-10", "part-11"]
    whole, dialect = read_table(folder)
    pd.testing.assert_frame_equal(whole, frame, check_dtype=False)
    assert whole.dtypes["n"] == "int64" and dialect.source is None
    assert column_names(folder) == tuple(frame.columns)
    reader = TableReader(folder, rows=5)
    chunks = list(reader.chunks())
    pd.testing.assert_frame_equal(pd.concat([chunk.frame for chunk in chunks]), whole)
    assert reader.n_rows == 90 and all(len(chunk.frame) <= 5 for chunk in chunks)
    drawn = reader.sample(20, seed=3)
    pd.testing.assert_frame_equal(drawn, whole.loc[drawn.index])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_parts_come_out_as_they_went_in(frame: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    folder, out = parted(frame, tmp_path / "rows", suffix), tmp_path / "out"
    out.mkdir()
    whole, first = TableReader(folder, rows=4), 0
    for reader in whole.split():
        with TableWriter(out / reader.path.name, reader, {"score": "number"}) as writer:
            for chunk in reader.chunks():
                assert chunk.frame.index[0] == first
                first += len(chunk.frame)
                writer.write(chunk, pd.DataFrame({"score": chunk.frame["n"] / 2}, index=chunk.frame.index))
    assert first == whole.n_rows
    assert [path.name for path in part_files(out)] == [path.name for path in part_files(folder)]
    for one, other in zip(part_files(folder), part_files(out), strict=True):
        before, after = read_table(one)[0], read_table(other)[0]
        pd.testing.assert_frame_equal(after.drop(columns="score"), before)
        assert after["score"].tolist() == (before["n"] / 2).tolist()
        if suffix == ".csv":  # character for character
            lines = zip(one.read_text().splitlines(), other.read_text().splitlines(), strict=True)
            assert all(long.startswith(short + ",") for short, long in lines)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_types_are_decided_once(tmp_path: Path, suffix: str) -> None:
    """Whole numbers in one part, fractions, missing cells or nothing in others; parts without rows say nothing."""
    folder = tmp_path / "rows"
    folder.mkdir()
    parts = [
        {"a": [1, 2], "b": [1, 2]},
        {"a": [0.5, np.nan], "b": [3, 4]},
        {"a": [None, None], "b": [5, 6]},
        {"a": [], "b": []},
    ]
    for k, cells in enumerate(parts):
        part = pd.DataFrame(cells).astype({"b": "int64"})
        path = folder / f"{k}{suffix}"
        part.to_parquet(path) if suffix == ".parquet" else part.to_csv(path, index=False)
    reader = TableReader(folder)
    whole = reader.whole()
    assert (whole.dtypes["a"], whole.dtypes["b"]) == ("float64", "int64")
    assert whole["a"].dropna().tolist() == [1, 2, 0.5] and whole["b"].tolist() == [1, 2, 3, 4, 5, 6]
    assert all(chunk.frame.dtypes.equals(whole.dtypes) for chunk in reader.chunks())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("2.csv", "a,c\n1,2\n", r"2\.csv: lacks the column 'b', unlike 1\.csv"),
        ("2.csv", "a,b,c\n1,2,3\n", r"2\.csv: has a column 'c', unlike 1\.csv"),
        ("2.csv", "b,a\n1,2\n", r"2\.csv: has its columns in another order, unlike 1\.csv"),
        ("2.csv", "a;b\n1;2\n", r"2\.csv: is delimited otherwise than 1\.csv"),
        ("2.csv", "", r"2\.csv: is empty"),
        ("2.csv", "a,b\n1,2,3\n", r"2\.csv: line 2 has 3 fields"),
        ("2.parquet", None, "holds CSV and Parquet files"),
    ],
)
def test_a_part_that_does_not_fit_is_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    if text is None:
        pd.DataFrame({"a": [1], "b": [2]}).to_parquet(tmp_path / name)
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        TableReader(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pd.DataFrame({"a": [1]}), "lacks the column 'b', unlike 1"),
        (pd.DataFrame({"a": [1], "b": [1], "c": [1]}), "has a column 'c', unlike 1"),
        (pd.DataFrame({"a": [1], "b": ["x"]}), "has column 'b' as .*string, and the parts before it as int64"),
    ],
)
def test_parquet_parts_that_do_not_fit(tmp_path: Path, other: pd.DataFrame, message: str) -> None:
    pd.DataFrame({"a": [1], "b": [2]}).to_parquet(tmp_path / "1.parquet")
    other.to_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=rf"2\.parquet: {message}"):
        TableReader(tmp_path)


def test_what_is_no_table_in_parts(tmp_path: Path) -> None:
    """A folder with pictures, folders, or nothing in it; and tables without a row."""
    assert not is_parts(tmp_path)
    (tmp_path / "metadata.csv").write_text("a,b\n1,2\n")
    assert is_parts(tmp_path)
    (tmp_path / "cat.png").touch()
    assert not is_parts(tmp_path)
    (tmp_path / "cat.png").unlink()
    (tmp_path / "more").mkdir()
    assert not is_parts(tmp_path)
    (tmp_path / "more" / "1.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="a header and no rows"):
        TableReader(tmp_path / "more")


def test_how_parts_lie_is_said(tmp_path: Path) -> None:
    """Of partitions in folders of their own, and of parts among other files."""
    assert how_parts_lie(tmp_path) == ""
    partition = tmp_path / "year=2024"
    partition.mkdir()
    (partition / "1.parquet").touch()
    assert how_parts_lie(tmp_path).endswith(f"; give {partition}")
    (tmp_path / "1.csv").touch()
    assert how_parts_lie(tmp_path).endswith("CSV or Parquet files")
