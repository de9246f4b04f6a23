"""Frames survive the way to plain matrices and back: values, missing cells, dtypes, order."""

import datetime
import subprocess
import sys
import time
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_wine

from gantools.data.tables.raw import MISSING, UNSEEN, Raw, codes_to_labels, from_raw, labels_to_codes, to_raw
from gantools.data.tables.schema import Kind, infer_schema
from gantools.errors import DataError

BERLIN = "Europe/Berlin"


def back(frame, **options):
    schema = infer_schema(frame, **options)
    return from_raw(to_raw(frame, schema), schema, np.random.default_rng(0))


def series(values, dtype=None):
    return pd.DataFrame({"x": pd.Series(values, dtype=dtype)})


# --- round trips ---

MOMENT = st.datetimes(datetime.datetime(1850, 1, 1), datetime.datetime(2150, 1, 1))
WHOLE = st.integers(-(2**52), 2**52)
SHORT = st.integers(-128, 127)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
SINGLE = st.floats(allow_nan=False, allow_infinity=False, width=32)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
FLAG = st.booleans()
SIZE = st.sampled_from(["s", "m", "l"])
CENTS = st.integers(-(10**9), 10**9).map(lambda cents: Decimal(cents) / 100)

# name: the dtype, the cells, and whether some may be missing
COLUMNS = {
    "int64": ("int64", WHOLE, False),
    "int8": ("int8", SHORT, False),
    "uint16": ("uint16", st.integers(0, 2**16 - 1), False),
    "Int64": ("Int64", WHOLE, True),
    "Int8": ("Int8", SHORT, True),
    "float64": ("float64", FLOAT, True),
    "decimals": ("float64", st.integers(-(10**9), 10**9).map(lambda number: number / 1000), True),
    "whole floats": ("float64", WHOLE.map(float), True),
    "float32": ("float32", SINGLE, True),
    "Float64": ("Float64", FLOAT, True),
    "Float32": ("Float32", SINGLE, True),
    "arrow int": ("int32[pyarrow]", st.integers(-(2**31), 2**31 - 1), True),
    "arrow float": ("double[pyarrow]", FLOAT, True),
    "arrow bool": ("bool[pyarrow]", FLAG, True),
    "arrow text": (pd.ArrowDtype(pa.string()), TEXT, True),
    "arrow time": (pd.ArrowDtype(pa.timestamp("us")), MOMENT, True),
    "bool": ("bool", FLAG, False),
    "boolean": ("boolean", FLAG, True),
    "object bool": ("object", FLAG, True),
    "text": (None, TEXT, False),
    "object text": ("object", TEXT, True),
    "string": ("string", TEXT, True),
    "python string": (pd.StringDtype("python"), TEXT, True),
    "category": ("category", TEXT, True),
    "category of numbers": ("category", st.integers(0, 5), True),
    "ordered": (pd.CategoricalDtype(["s", "m", "l", "xl"], ordered=True), SIZE, True),
    "mixed": ("object", st.one_of(st.integers(2, 9), st.text("abc", max_size=2)), True),
    "datetime": ("datetime64[us]", MOMENT, True),
    "datetime ns": ("datetime64[ns]", MOMENT, True),
    "datetime utc": ("datetime64[us, UTC]", MOMENT.map(lambda moment: moment.replace(tzinfo=datetime.UTC)), True),
    "timedelta": ("timedelta64[us]", st.timedeltas(datetime.timedelta(-9999), datetime.timedelta(9999)), True),
    "date": ("object", st.dates(), True),
    "decimal": ("object", CENTS, True),
    "date text": ("object", MOMENT.map(lambda moment: moment.strftime("%Y-%m-%d %H:%M")), True),
}


@st.composite
def frames(draw):
    n = draw(st.integers(1, 12))
    columns = {}
    for name in draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5, unique=True)):
        dtype, cell, has_missing = COLUMNS[name]
        cells = draw(st.lists(st.one_of(st.none(), cell) if has_missing else cell, min_size=n, max_size=n))
        columns[name] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(columns)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(frames())
def test_any_frame_comes_back_as_it_was(frame):
    pd.testing.assert_frame_equal(back(frame), frame)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.dates(datetime.date(1950, 1, 1), datetime.date(2100, 1, 1)), min_size=1, max_size=20))
def test_days_in_a_time_zone_come_back_as_midnights(days):
    frame = series(pd.Series(pd.to_datetime(days)).astype("datetime64[us]").dt.tz_localize(BERLIN))
    pd.testing.assert_frame_equal(back(frame), frame)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_real_tables_come_back(load):
    frame = load(as_frame=True).frame
    pd.testing.assert_frame_equal(back(frame, target="target"), frame.drop(columns="target"))
    schema = infer_schema(frame, "target")
    pd.testing.assert_series_equal(codes_to_labels(labels_to_codes(frame["target"], schema), schema), frame["target"])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1/31/2020", "12/1/2020"], "object"),
        (["31-Jan-2020 9:05", "01-Feb-2020 19:05"], "object"),
        (["2020-01-31T10:00:00.125Z", "2020-02-01T00:00:00.000Z", None], "string"),
        ([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02 10:00")], "object"),
        ([datetime.date(2020, 1, 1), None, datetime.date(2021, 5, 1)], "date32[pyarrow]"),
        ([pd.Timestamp("2020-01-01", tz=BERLIN), None], pd.ArrowDtype(pa.timestamp("ms", BERLIN))),
        ([pd.Timedelta("1s"), None], "duration[s][pyarrow]"),
        ([Decimal("1.10"), None], pd.ArrowDtype(pa.decimal128(7, 2))),
        ([1, 2.5, None], "object"),
        ([1, 2, None], "object"),
        ([Decimal("1.50"), None], "object"),
        ([Decimal("1.50"), None], pd.ArrowDtype(pa.decimal128(7, 2))),
    ],
)
def test_rarer_columns_come_back(values, dtype):
    frame = series(values, dtype)
    pd.testing.assert_frame_equal(back(frame), frame)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([5, 5], "int8"),
        ([2.5, 2.5], "Float32"),
        (["a", "a"], "string"),
        (["a", "a"], "category"),
        ([True, True], "boolean"),
        ([pd.Timestamp("2020-01-01")] * 2, None),
        ([pd.Timestamp("2020-01-01", tz=BERLIN)] * 2, None),
        ([pd.Timedelta("1h")] * 2, None),
        ([datetime.date(2020, 1, 1)] * 2, "object"),
        ([Decimal("1.50")] * 2, "object"),
        ([None, None], "object"),
        ([None, None], "float32"),
        ([None, None], "Int64"),
        ([None, None], "string"),
        ([None, None], "boolean"),
        ([None, None], "datetime64[ns]"),
        ([None, None], "datetime64[us, UTC]"),
        ([None, None], "int32[pyarrow]"),
        ([None, None], pd.CategoricalDtype(["a"])),
    ],
)
def test_constants_come_back(values, dtype):
    frame = series(values, dtype)
    assert infer_schema(frame)["x"].kind is Kind.CONSTANT
    pd.testing.assert_frame_equal(back(frame), frame)


# --- what a generator makes of it ---


def test_numbers_are_brought_to_their_grid_and_dtype():
    frame = pd.DataFrame(
        {
            "cents": [0.25, 1.5, 9.75],
            "small": pd.Series([1, 100, 127], dtype="int8"),
            "day": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]),
            "berlin": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-07-01"]).tz_localize(BERLIN),
        }
    )
    schema = infer_schema(frame)
    noon = pd.Timestamp("2020-07-05 13:00").value / 1000
    made = from_raw(
        Raw(np.array([[0.123456, 1e9, noon, noon]]), np.empty((1, 0), int)), schema, np.random.default_rng(0)
    )
    assert made["cents"][0] == 0.12
    assert made["small"][0] == 127
    assert made["day"][0] == pd.Timestamp("2020-07-06")
    assert made["berlin"][0] == pd.Timestamp("2020-07-06", tz=BERLIN)
    assert made.dtypes.equals(frame.dtypes)


def test_a_column_that_never_missed_a_cell_never_does():
    frame = pd.DataFrame({"n": [1, 2, 2], "f": [0.5, 1.5, 2.5], "c": ["a", "b", "b"], "flag": [True, True, False]})
    schema = infer_schema(frame)
    numbers = np.array([[np.nan, np.inf], [2.0, -np.inf], [2.0, np.nan]])
    made = from_raw(Raw(numbers, np.array([[MISSING, UNSEEN]] * 3)), schema, np.random.default_rng(0))
    assert made.notna().all().all()
    assert made["c"].tolist() == ["b"] * 3
    assert made["f"].tolist() == [2.5, 0.5, 1.5]
    assert made.dtypes.equals(frame.dtypes)
    nothing = from_raw(Raw(np.full((2, 2), np.nan), np.zeros((2, 2), int)), schema, np.random.default_rng(0))
    assert nothing["n"].tolist() == [1, 1]


def test_pooled_levels_are_drawn_from_the_pool_and_repeat_with_the_seed():
    frame = series(["often"] * 60 + [f"rare {i}" for i in range(40)])
    schema = infer_schema(frame, max_levels=1)
    raw = to_raw(frame, schema)
    assert set(raw.codes[:, 0]) == {0, 1}
    made = from_raw(raw, schema, np.random.default_rng(3))
    assert (made["x"][:60] == "often").all()
    assert set(made["x"][60:]) <= set(frame["x"][60:])
    assert made["x"].nunique() > 10
    pd.testing.assert_frame_equal(from_raw(raw, schema, np.random.default_rng(3)), made)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (range(10, 70), "int64", [70, 71]),
        (range(10, 70), "int32", [70, 71]),
        (range(10, 70), "Int64", [70, 71]),
        (range(10, 70), "int64[pyarrow]", [70, 71]),
        (range(10, 70), "float64", [70.0, 71.0]),
        (range(127 - 60, 127), "int8", [65, 66]),
        ([f"u{i}" for i in range(60)], "object", ["synthetic-1", "synthetic-2"]),
        ([f"u{i}" for i in range(60)], "string", ["synthetic-1", "synthetic-2"]),
        ([f"u{i}" for i in range(60)], pd.ArrowDtype(pa.string()), ["synthetic-1", "synthetic-2"]),
        ([f"u{i}" for i in range(55)] + ["synthetic-7"], "object", ["synthetic-8", "synthetic-9"]),
        ([2**62 + 7 * i for i in range(60)], "int64", None),
        ([2**63 + 7 * i for i in range(60)], "uint64", None),
        ([2**63 - 60 + i for i in range(60)], "int64", None),
    ],
)
def test_identifiers_are_fresh(values, dtype, expected):
    frame = series(list(values), dtype)
    schema = infer_schema(frame)
    empty = Raw(np.empty((2, 0)), np.empty((2, 0), int))
    made = from_raw(empty, schema, np.random.default_rng(0))["x"]
    assert made.dtype == frame["x"].dtype
    if expected is not None:
        assert made.tolist() == expected if dtype != "int8" else set(made).isdisjoint(frame["x"])
    assert not set(made) & set(frame["x"])
    more = from_raw(empty, schema, np.random.default_rng(0), first_id=2)["x"]
    assert not set(more) & {*made, *frame["x"]}


def test_identifiers_without_room_are_an_error():
    frame = series(list(range(256)), "uint8")
    with pytest.raises(DataError, match=r"column 'x'.*uint8 has no room"):
        back(frame)


# --- rows that the schema has not seen ---


def test_codes_tell_missing_unseen_and_pooled_apart():
    frame = pd.DataFrame({"plain": ["a", "b", "b"], "pool": ["a", "b", "b"]})
    schema = infer_schema(frame)
    pooled = infer_schema(frame, max_levels=1)
    other = pd.DataFrame({"plain": ["b", None, "z"], "pool": ["b", None, "z"], "extra": [1, 2, 3]})
    assert to_raw(other, schema).codes[:, 0].tolist() == [0, MISSING, UNSEEN]
    assert to_raw(other, pooled).codes[:, 1].tolist() == [0, MISSING, 1]


def test_order_of_columns_and_other_dtypes_do_not_matter():
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "f": [0.5, 1.5, 2.5], "code": pd.Categorical([1, 2, 2]), "zip": ["07", "12", "12"]}
    )
    schema = infer_schema(frame)
    other = pd.DataFrame(
        {
            "zip": [12, 12, 12],
            "code": ["2", "1", "x"],
            "f": pd.array([1, 2, None], dtype="Int64"),
            "n": ["1", "2", None],
        }
    )
    raw = to_raw(other, schema)
    np.testing.assert_array_equal(raw.numbers, [[1, 1], [2, 2], [np.nan, np.nan]])
    assert raw.codes.tolist() == [[0, 0], [1, 0], [UNSEEN, 0]]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("n", ["1", "two"], "'n'.*'two'.*no number"),
        ("n", [1.0, np.inf], "'n'.*infinite"),
        ("n", pd.to_datetime(["2020-01-01", "2020-01-02"]), "'n'.*datetime"),
        ("t", [1, 2], "'t'.*integer"),
        ("d", ["2020-01-01", "1.2.2020"], r"'d'.*1\.2\.2020.*%Y-%m-%d"),
        ("c", [[1], [2]], "'c'"),
    ],
)
def test_cells_that_the_schema_does_not_expect(column, values, said):
    frame = pd.DataFrame(
        {
            "n": [1, 2],
            "t": pd.to_datetime(["2020-01-01", "2020-01-02"]),
            "d": ["2020-01-01", "2020-01-02"],
            "c": ["a", "b"],
        }
    )
    schema = infer_schema(frame)
    with pytest.raises(DataError, match=said):
        to_raw(frame.assign(**{column: values}), schema)


def test_a_lacking_column_is_named():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    with pytest.raises(DataError, match="lacks the column 'b'"):
        to_raw(frame[["a"]], infer_schema(frame))


# --- labels ---


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["b", "a", "b"], "object"),
        (["b", "a", "b"], "category"),
        (["b", "a", "b"], "string"),
        ([3, 1, 3], "int8"),
        ([3, 1, 3], "Int64"),
        ([1.5, 0.5, 1.5], "float32"),
        ([True, False, True], "bool"),
        ([True, False, True], "boolean"),
        (["b", 1, "b"], "object"),
    ],
)
def test_labels_come_back_in_their_dtype(values, dtype):
    frame = pd.DataFrame({"x": [1, 2, 3], "y": pd.Series(values, dtype=dtype)})
    schema = infer_schema(frame, "y")
    codes = labels_to_codes(frame["y"], schema)
    assert codes.tolist() == [1, 0, 1]
    pd.testing.assert_series_equal(codes_to_labels(codes, schema), frame["y"])


def test_labels_that_are_not_known():
    frame = pd.DataFrame({"x": [1, 2], "y": ["no", "yes"]})
    schema = infer_schema(frame, "y")
    with pytest.raises(DataError, match=r"'y'.*unknown label 'maybe'.*'no', 'yes'"):
        labels_to_codes(pd.Series(["no", "maybe"]), schema)
    with pytest.raises(DataError, match=r"'y'.*missing"):
        labels_to_codes(pd.Series(["no", None]), schema)
    with pytest.raises(DataError, match="2 labels"):
        codes_to_labels(np.array([0, 2]), schema)
    with pytest.raises(DataError, match="no target"):
        labels_to_codes(frame["y"], infer_schema(frame))


# --- cost ---


def test_half_a_million_rows_of_adults_shape_are_decoded_in_less_than_half_a_second():
    rng = np.random.default_rng(0)
    n = 2000
    frame = pd.DataFrame({f"n{i}": rng.integers(0, 10**i + 1, n) for i in range(1, 7)})
    for i, n_levels in enumerate([8, 16, 7, 14, 6, 5, 2, 41]):
        frame[f"c{i}"] = np.array([f"level number {k}" for k in range(n_levels)])[rng.integers(0, n_levels, n)]
    schema = infer_schema(frame)
    raw = to_raw(frame, schema).take(rng.integers(0, n, 500_000))
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        made = from_raw(raw, schema, rng)
        best = min(best, time.process_time() - start)
    assert made.shape == (500_000, 14)
    assert best < 0.4


def test_a_hundred_thousand_levels_take_little_memory():
    program = """
import pathlib, resource, sys, numpy as np, pandas as pd
from gantools.data.tables.raw import from_raw, to_raw
from gantools.data.tables.schema import infer_schema
rng = np.random.default_rng(0)
n = 200_000
names = np.array([f"customer number {i}" for i in range(100_000)], dtype=object)
which = np.concatenate([np.arange(100_000), rng.integers(0, 100_000, n - 100_000)])
frame = pd.DataFrame({"name": names[which], "x": rng.normal(size=n), "y": rng.integers(0, 2, n)})
schema = infer_schema(frame, "y")
assert schema["name"].n_distinct == 100_000 and len(schema["name"].levels) == 100
made = from_raw(to_raw(frame, schema), schema, rng)
assert len(made) == n and len(str(schema.to_json())) < 100_000
if sys.platform == "linux":  # where ru_maxrss also counts the process that started this one
    (line,) = [text for text in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in text]
    print(line.split()[1])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak_kib = int(done.stdout) / (1024 if sys.platform == "darwin" else 1)
    assert peak_kib < 700 * 1024
    assert time.perf_counter() - start < 20
