"""Parquet: dtypes as they were written, and files that are no table."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gantools.augment.balance import joined
from gantools.data.tables import read_table, write_table
from gantools.data.tables.raw import from_raw, to_raw
from gantools.data.tables.schema import Schema, infer_schema
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


N = 60
HOLES = [index % 7 == 0 for index in range(N)]


def holes(values, kind):
    return pa.array([None if hole else value for hole, value in zip(HOLES, values, strict=True)], kind)


@pytest.mark.parametrize(
    "cells",
    [
        holes([index % 9 for index in range(N)], pa.int32()),
        holes([2**60 + index % 5 for index in range(N)], pa.int64()),
        holes([2**63 + index % 5 for index in range(N)], pa.uint64()),
        holes([index % 2 == 0 for index in range(N)], pa.bool_()),
        pa.nulls(N),
        pa.array([None] * N, pa.int16()),
        pa.array([decimal.Decimal(f"{index / 7:.4f}") for index in range(N)], pa.decimal128(12, 4)),
        pa.array([decimal.Decimal(index % 9) for index in range(N)], pa.decimal128(10, 0)),
        pa.array([decimal.Decimal(10**20 + index) for index in range(N)], pa.decimal128(25, 0)),
        pa.array([index / 7 for index in range(N)], pa.float32()),
        pa.array(["ab"[index % 2] for index in range(N)], pa.large_string()),
        pa.array(["ab"[index % 2] for index in range(N)]).dictionary_encode(),
        pa.array([datetime.date(2020, 1, 1 + index % 28) for index in range(N)]),
        pa.array([datetime.datetime(2020, 1, 1, index % 24) for index in range(N)], pa.timestamp("ms", "+05:30")),
        pa.array([datetime.timedelta(hours=index) for index in range(N)]),
        pa.array([20200101 + index % 28 for index in range(N)], pa.int32()),
        pa.array([datetime.time(index % 24, 30) for index in range(N)]),
        pa.array([b"a"] * N),
        pa.array([[1, 2]] * N),
    ],
    ids=lambda cells: str(cells.type),
)
def test_real_cells_and_arrow_types_come_back_beside_synthetic_ones(tmp_path, cells):
    path, output = tmp_path / "t.parquet", tmp_path / "o.parquet"
    table = pa.table({"x": cells, "z": pa.array(np.linspace(0, 1, N) ** 2)})
    pq.write_table(table, path)
    frame, dialect = read_table(path)
    schema = Schema.from_json(json.loads(json.dumps(infer_schema(frame, dialect=dialect).to_json())))
    made = from_raw(to_raw(frame, schema), schema, np.random.default_rng(0))
    whole = joined(frame.assign(flag=False), made.assign(flag=True))
    write_table(whole, output, dialect, n_copied=N)
    found = pq.read_table(output)
    assert found.schema.field("x").type == table.schema.field("x").type
    assert found["x"].to_pylist()[:N] == table["x"].to_pylist()
    assert found["flag"].to_pylist() == [False] * N + [True] * N
    write_table(made, output, schema.dialect)
    assert pq.read_table(output).schema.field("x").type == table.schema.field("x").type


FAR = [253402300799, 864_000_000_000, -200_000_000_000]  # the last second of 9999, the years 29349 and -4368


@pytest.mark.parametrize("second", FAR)
@pytest.mark.parametrize("zone", [None, "UTC", "+05:30", "Europe/Berlin", "America/New_York"])
def test_moments_outside_of_pythons_calendar_are_learned_from(tmp_path, second, zone):
    path, output = tmp_path / "t.parquet", tmp_path / "o.parquet"
    seconds = [1_600_000_000 + 12_345 * index for index in range(N - 1)] + [second]
    moments = pa.array([1_000_000 * value for value in seconds]).cast(pa.timestamp("us", zone))
    pq.write_table(pa.table({"x": moments}), path)
    frame, dialect = read_table(path)
    schema = infer_schema(frame, dialect=dialect)
    write_table(from_raw(to_raw(frame, schema), schema, np.random.default_rng(0)), output, dialect)
    assert pq.read_table(output)["x"].combine_chunks().equals(moments)


@pytest.mark.parametrize("kind", [pa.timestamp("ms"), pa.timestamp("ms", "Europe/Berlin"), pa.duration("ms")], ids=str)
def test_moments_beyond_microseconds_are_refused_by_name(tmp_path, kind):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": pa.array([*range(N), 10**17]).cast(kind)}), path)
    with pytest.raises(DataError, match=r"column 'x'.*290,000 years"):
        infer_schema(read_table(path)[0])


def test_a_part_of_the_columns_is_written_in_its_arrow_types(tmp_path):
    """A generator that was trained with `--drop` makes them."""
    path, output = tmp_path / "t.parquet", tmp_path / "o.parquet"
    table = pa.table({"a": holes(range(N), pa.int8()), "b": pa.nulls(N), "c": pa.array(["x"] * N)})
    for given in (table, pa.Table.from_pandas(table.to_pandas())):
        pq.write_table(given, path)
        frame, dialect = read_table(path)
        write_table(frame[["a", "c"]], output, dialect)
        found = pq.read_table(output)
        assert found.schema.types == [given.schema.field(name).type for name in ("a", "c")]
        assert found.to_pandas()["c"].tolist() == ["x"] * N


@pytest.mark.parametrize("unit", ["s", "us"])
def test_moments_that_a_zone_has_no_clock_for_are_written_in_utc(tmp_path, unit):
    days = ["29349-01-01", "2020-01-01", "NaT"]
    frame = pd.DataFrame({"x": pd.Series(np.array(days, f"datetime64[{unit}]")).dt.tz_localize("UTC")})
    frame["x"] = frame["x"].astype(pd.DatetimeTZDtype(unit, "Europe/Berlin"))
    write_table(frame, tmp_path / "o.csv")
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[1:3] == ["29349-01-01 00:00:00+00:00", "2020-01-01 00:00:00+00:00"]
    write_table(frame.iloc[1:], tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text().splitlines()[1] == "2020-01-01 01:00:00+01:00"


def test_cells_that_the_files_type_does_not_hold_are_refused_by_name(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": pa.array([1, 2], pa.int32())}), path)
    _, dialect = read_table(path)
    with pytest.raises(DataError, match=r"column 'x'.*int32"):
        write_table(pd.DataFrame({"x": [1.5, 2.0]}), tmp_path / "o.parquet", dialect)
    assert not (tmp_path / "o.parquet").exists()
