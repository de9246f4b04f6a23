"""Parquet: dtypes as they were written, and files that are no table."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gantools.data.tables import read_table, write_table
from gantools.errors import DataError


def test_a_huge_cell_in_parquet(tmp_path):
    path = tmp_path / "huge.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["short", "x" * (40 * 2**20)]}), path)
    with pytest.raises(DataError, match=r"column 'b' has a cell larger"):
        read_table(path)


def test_parquet_keeps_what_csv_cannot(tmp_path):
    frame = pd.DataFrame(
        {
            "small": pd.Series([1, 2], dtype="int8"),
            "size": pd.Categorical(["s", "m"], ["s", "m", "l"], ordered=True),
            "when": pd.to_datetime(["2020-01-01", None]).as_unit("us").tz_localize("Europe/Berlin"),
            "maybe": pd.array([True, None], dtype="boolean"),
        }
    )
    write_table(frame, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "x.parquet")[0], frame)


def test_an_index_in_parquet_is_a_column_when_it_has_a_name_and_dropped_when_not(tmp_path):
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=[5, 6, 7])
    frame.to_parquet(tmp_path / "x.parquet")
    assert list(read_table(tmp_path / "x.parquet")[0].columns) == ["a"]
    frame.rename_axis("key").to_parquet(tmp_path / "x.parquet")
    again, _ = read_table(tmp_path / "x.parquet")
    assert again["key"].tolist() == [5, 6, 7]


def test_parquet_without_rows_or_cut_short(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"a": pd.Series([], dtype="int64")}).to_parquet(path)
    with pytest.raises(DataError, match="no rows"):
        read_table(path)
    pd.DataFrame({"a": range(1000)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_table(path)
