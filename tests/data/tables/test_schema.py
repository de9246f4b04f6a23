"""What each column is: kinds, bounds, levels and the named rules."""

import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from gantools.data.tables import write_table
from gantools.data.tables.schema import Column, Kind, Schema, infer_schema, text_names
from gantools.errors import ConfigError, DataError

N = 200


def one(values, dtype=None, **options) -> Column:
    series = values if isinstance(values, pd.Series) else pd.Series(values, dtype=dtype)
    return infer_schema(pd.DataFrame({"x": series}), **options)["x"]


def cycle(*values, n=N):
    return [values[i % len(values)] for i in range(n)]


# --- kinds ---


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([1, 2, 5], "int64", Kind.INTEGER),
        ([1, 2, 5], "uint8", Kind.INTEGER),
        ([1, 2, None], "Int64", Kind.INTEGER),
        ([1, 2, None], "int32[pyarrow]", Kind.INTEGER),
        ([1.0, 2.0, None], "float64", Kind.INTEGER),
        ([0, 1, 1], "int64", Kind.INTEGER),
        ([0.5, 1.0, None], "float64", Kind.CONTINUOUS),
        ([0.5, 1.0, None], "Float32", Kind.CONTINUOUS),
        ([0.5, 1.0, None], "double[pyarrow]", Kind.CONTINUOUS),
        ([Decimal("1.25"), Decimal("2.00")], "object", Kind.CONTINUOUS),
        ([1e300, 2.5e300], "float64", Kind.CONTINUOUS),
        ([True, False, True], "bool", Kind.BOOLEAN),
        ([True, False, None], "boolean", Kind.BOOLEAN),
        ([True, False, None], "bool[pyarrow]", Kind.BOOLEAN),
        ([True, False, None], "object", Kind.BOOLEAN),
        (["a", "b", None], "object", Kind.CATEGORICAL),
        (["a", "b", None], "string", Kind.CATEGORICAL),
        (["a", "b", None], "category", Kind.CATEGORICAL),
        (["007", "008"], "object", Kind.CATEGORICAL),
        (["a", 1, 2.5, None], "object", Kind.CATEGORICAL),
        (["2020-01-31", "2021-12-31", None], "object", Kind.DATETIME),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], "object", Kind.DATETIME),
        ([pd.Timestamp("2020-01-01"), pd.NaT, pd.Timestamp("2021-01-01")], None, Kind.DATETIME),
        (
            [pd.Timestamp("2020-01-01", tz="Asia/Tokyo"), pd.Timestamp("2021-01-01", tz="Asia/Tokyo")],
            None,
            Kind.DATETIME,
        ),
        ([pd.Timedelta("1h"), pd.Timedelta("2h")], None, Kind.INTEGER),
        ([7, 7, 7], "int64", Kind.CONSTANT),
        (["a", "a"], "object", Kind.CONSTANT),
        ([None, None], "object", Kind.CONSTANT),
        ([np.nan, np.nan], "float64", Kind.CONSTANT),
        ([pd.Timestamp("2020-01-01")] * 3, None, Kind.CONSTANT),
    ],
)
def test_kind_of_a_column(values, dtype, kind):
    assert one(values, dtype).kind is kind


def test_decimals_and_bounds_of_numbers():
    column = one([0.25, 1.5, -3.0])
    assert (column.low, column.high, column.decimals) == (-3.0, 1.5, 2)
    assert one([0.1, 0.7], "float32").decimals == 1
    assert one([1 / 3, 0.5]).decimals is None
    assert one([3, 9]).decimals == 0


def test_step_of_datetimes_is_seen_on_the_clock_on_the_wall():
    days = pd.Series(pd.to_datetime(["2021-01-01", "2021-07-01"]))  # winter and summer time
    assert one(days).step == 86_400_000_000
    assert one(days.dt.tz_localize("Europe/Berlin")).step == 86_400_000_000
    assert one(days + pd.Timedelta("90min")).step == 60_000_000
    assert one(days + pd.Timedelta("1us")).step is None


def test_missing_share_and_distinct_count():
    column = one(cycle("a", "b", None, None))
    assert (column.missing, column.n_distinct) == (0.5, 2)
    assert one(cycle(1.5, None, 2.5, 3.5)).missing == 0.25


def test_levels_are_the_most_frequent_first_and_ties_as_they_come():
    assert one(["b", "c", "c", "a"]).levels == ("c", "b", "a")


def test_declared_categories_are_kept_in_their_order():
    column = one(pd.Series(["m", "s"]).astype(pd.CategoricalDtype(["s", "m", "l"], ordered=True)))
    assert (column.categories, column.ordered, set(column.levels)) == (("s", "m", "l"), True, {"s", "m"})


# --- named rules ---


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", range(1000, 1000 + N)),
        ("x", np.random.default_rng(0).permutation(N)),
        ("x", range(0, 5 * N, 5)),
        ("customer_id", np.random.default_rng(0).choice(10**6, N, replace=False)),
        ("CustomerID", np.random.default_rng(0).choice(10**6, N, replace=False)),
        ("x", [f"user {i}" for i in range(N)]),
        ("x", [f"user {i}" for i in range(N - 20)] + [None] * 20),
    ],
)
def test_identifiers_are_recognised_and_said(name, values):
    schema = infer_schema(pd.DataFrame({name: values}))
    assert schema[name].kind is Kind.IDENTIFIER
    assert schema[name].rule == "identifier"
    assert name in schema.notes()[0]


@pytest.mark.parametrize(
    "values",
    [range(3), [7, 3, 5], [f"car {i}" for i in range(4)], np.random.default_rng(0).choice(10**6, N, replace=False)],
)
def test_a_first_column_without_a_name_numbers_the_rows(values):
    schema = infer_schema(pd.DataFrame({"Unnamed: 0": values, "x": 1.5}))
    assert schema["Unnamed: 0"].kind is Kind.IDENTIFIER
    assert "numbers the rows; not learned" in schema.notes()[0]


@pytest.mark.parametrize(
    ("name", "values"),
    [("Unnamed: 0", [0, 1, 0, 1]), ("Unnamed: 0", [0.5, 0.7, 0.1]), ("Unnamed: 3", [4, 5, 6])],
)
def test_other_columns_without_a_name_are_learned_and_said(name, values):
    schema = infer_schema(pd.DataFrame({name: values}))
    assert schema[name].kind in (Kind.INTEGER, Kind.CONTINUOUS)
    assert schema.notes() == [f"column '{name}' has no name in the header; it is learned like the others"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weight", np.random.default_rng(0).choice(10**6, N, replace=False)),
        ("humid", np.random.default_rng(0).choice(10**6, N, replace=False)),
        ("id", np.arange(40)),
        ("id", np.arange(N) // 2),
        ("id", np.arange(N) + 0.5),
        ("day", [f"2020-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(N)]),
    ],
)
def test_what_only_resembles_identifiers_is_learned(name, values):
    assert infer_schema(pd.DataFrame({name: values}))[name].kind is not Kind.IDENTIFIER


def test_many_levels_are_pooled_most_frequent_kept():
    values = ["often"] * 50 + [f"rare {i}" for i in range(300)] + ["twice", "twice"]
    column = one(values, max_levels=10)
    assert column.rule == "many_levels"
    assert column.levels[:2] == ("often", "twice")
    assert (len(column.levels), column.n_pooled, len(column.pooled), column.n_distinct) == (10, 292, 292, 302)
    assert "302 levels" in column.note
    assert "292" in column.note


def test_the_pool_keeps_a_bounded_sample():
    column = one([f"{i // 2}x" for i in range(6000)])
    assert (len(column.levels), column.n_pooled, len(column.pooled)) == (100, 2900, 1000)


def test_constants_have_a_value_and_a_rule():
    assert (one([2.5, 2.5]).levels, one([2.5, 2.5]).rule) == ((2.5,), "constant")
    assert one([None, None], "object").rule == "missing_everywhere"
    assert one(pd.Series([pd.NaT, pd.NaT])).rule == "missing_everywhere"


def test_one_value_or_missing_is_a_category_because_missing_says_something():
    for values, dtype in (([3.0, None], "float64"), ([3, None], "Int64")):
        column = one(values, dtype)
        assert (column.kind, column.rule, column.levels) == (Kind.CATEGORICAL, "present_or_missing", (3,))
    assert one(["yes", None]).kind is Kind.CATEGORICAL


def test_integers_that_floats_cannot_hold():
    few = one(cycle(2**60, 2**60 + 1))
    assert (few.kind, few.rule, set(few.levels)) == (Kind.CATEGORICAL, "large_integers", {2**60, 2**60 + 1})
    many = one([2**62 + i for i in range(N)])
    assert (many.kind, many.rule) == (Kind.IDENTIFIER, "large_integers")
    assert many.high >= 2**62 + N - 1


def test_ambiguous_dates_stay_text_and_are_said():
    column = one(cycle("01/02/2020", "03/04/2021"))
    assert (column.kind, column.rule) == (Kind.CATEGORICAL, "ambiguous_date")
    assert "day first or month first" in column.note
    chosen = one(cycle("01/02/2020", "03/04/2021"), kinds={"x": Kind.DATETIME})
    assert (chosen.kind, chosen.format) == (Kind.DATETIME, "%d/%m/%Y")


# --- the target ---


@pytest.mark.parametrize(
    ("values", "dtype", "levels"),
    [
        ([2, 0, 1, 2], "int64", (0, 1, 2)),
        ([True, False, True], "bool", (False, True)),
        (["b", "a", "b"], "object", ("a", "b")),
        ([1.0, 0.0], "float64", (0.0, 1.0)),
        ([1, 1, 1], "int64", (1,)),
        (["b", 1, "a"], "object", (1, "a", "b")),
    ],
)
def test_the_target_is_a_category_with_every_level_ascending(values, dtype, levels):
    schema = infer_schema(pd.DataFrame({"x": range(len(values)), "y": pd.Series(values, dtype=dtype)}), "y")
    assert (schema["y"].kind, schema["y"].levels) == (Kind.CATEGORICAL, levels)
    assert "y" not in (*schema.numeric, *schema.categorical)
    assert [column.name for column in schema.features] == ["x"]


def test_an_ordered_target_keeps_its_order_and_many_labels_are_all_kept():
    size = pd.CategoricalDtype(["s", "m", "l"], ordered=True)
    schema = infer_schema(pd.DataFrame({"x": [1, 2], "y": pd.Series(["l", "s"], dtype=size)}), "y")
    assert schema["y"].levels == ("s", "l")
    many = infer_schema(pd.DataFrame({"x": range(500), "y": [f"c{i:03}" for i in range(500)]}), "y")
    assert len(many["y"].levels) == 500


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", None], "1 label is missing"),
        ([1.0, np.nan, np.nan], "2 labels are missing"),
        ([1.0, np.inf], "infinite"),
        ([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")], "datetime"),
    ],
)
def test_a_target_that_cannot_be_one(labels, said):
    with pytest.raises(DataError, match=rf"'y'.*{said}"):
        infer_schema(pd.DataFrame({"x": range(len(labels)), "y": labels}), "y")


def test_an_unknown_target_is_named_with_the_columns_there_are():
    with pytest.raises(DataError, match=r"no column 'z'.*'x', 'y'"):
        infer_schema(pd.DataFrame({"x": [1], "y": [2]}), "z")


# --- kinds that the caller gives ---


def test_given_kinds_win_over_rules():
    frame = pd.DataFrame({"a": range(N), "b": cycle(1, 2), "c": [f"u{i}" for i in range(N)], "d": cycle(0, 1)})
    schema = infer_schema(
        frame, kinds={"a": "integer", "b": Kind.CATEGORICAL, "c": "categorical", "d": "boolean"}, max_levels=10
    )
    assert [str(column.kind) for column in schema.columns] == ["integer", "categorical", "categorical", "boolean"]
    assert schema["b"].levels == (1, 2)
    assert schema["c"].n_pooled == N - 10
    assert infer_schema(frame, kinds={"b": "constant"})["b"].levels == (1,)
    assert infer_schema(frame, kinds={"b": "identifier"})["b"].high == 2
    assert infer_schema(frame, kinds={"b": "continuous"})["b"].kind is Kind.CONTINUOUS


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "integer"),
        (["a", "b"], "continuous"),
        (["a", "b"], "datetime"),
        ([1.5, 2.5], "integer"),
        ([1.5, 2.5], "identifier"),
        ([1, 2, 3], "boolean"),
        ([1, 2], "datetime"),
        ([1, 2], "colour"),
    ],
)
def test_a_kind_that_does_not_fit_is_refused(values, kind):
    with pytest.raises(DataError, match="column 'x'"):
        one(values, kinds={"x": kind})


def test_a_kind_for_a_column_that_is_not_there_and_a_bad_limit():
    with pytest.raises(DataError, match="'y'"):
        one([1, 2], kinds={"y": "integer"})
    with pytest.raises(ConfigError, match="max_levels"):
        one([1, 2], max_levels=0)


# --- what is refused ---


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [3]],
        [{"a": 1}, {"b": 2}],
        [1 + 2j, 3j],
        [b"a", b"b"],
        [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2020, 1, 2)],
        pd.Series([datetime.datetime(2020, 1, day, tzinfo=datetime.UTC) for day in (1, 2)], dtype=object),
        [datetime.time(1, 2), datetime.time(3, 4)],
        pd.Series(pd.period_range("2020-01", periods=2, freq="M")),
        pd.Series(pd.IntervalIndex.from_breaks([0, 1, 2])),
        pd.cut(pd.Series([1, 2, 3]), 2),
    ],
)
def test_cells_that_no_rule_can_read_are_left_out_by_name(values):
    schema = infer_schema(pd.DataFrame({"x": values, "y": range(len(values))}))
    assert schema["x"].kind == "constant"
    assert "cannot be learned from" in schema["x"].note
    assert schema.numeric == ("y",)
    with pytest.raises(DataError, match=r"column 'x'.*not supported"):
        one(values, kinds={"x": "categorical"})


def test_a_sparse_column_is_refused():
    with pytest.raises(DataError, match=r"column 'x'.*sparse"):
        one(pd.Series(pd.arrays.SparseArray([0, 0, 1])))


@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64", "object", "double[pyarrow]"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_numbers_name_the_column(dtype, value):
    with pytest.raises(DataError, match=r"column 'x'.*infinite.*replace"):
        one([1.5, value, 2.0], dtype)


def test_frames_that_are_no_table():
    with pytest.raises(DataError, match="no rows"):
        infer_schema(pd.DataFrame({"x": []}))
    with pytest.raises(DataError, match="no columns"):
        infer_schema(pd.DataFrame(index=range(3)))
    with pytest.raises(DataError, match="called 'x'"):
        infer_schema(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(DataError, match="several header rows"):
        infer_schema(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])))


@pytest.mark.parametrize("table", [np.zeros((3, 2)), [[1, 2]], None, "t.csv", {"x": [1]}, pd.Series([1], name="x")])
def test_what_is_no_frame_is_told(table, tmp_path):
    for use in (infer_schema, text_names, lambda given: write_table(given, tmp_path / "t.csv")):
        with pytest.raises(DataError, match=f"must be a data frame, not of the type {type(table).__name__}"):
            use(table)


def test_frames_of_other_libraries_are_taken(tmp_path):
    frame = pd.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "a"]})
    table = pa.Table.from_pandas(frame)
    assert infer_schema(table, "y") == infer_schema(frame, "y")
    write_table(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "x,y\n1,a\n2,b\n3,a\n"


# --- whole tables ---


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_iris, load_diabetes])
def test_real_tables_are_numbers_and_survive_json(load):
    frame = load(as_frame=True).frame
    schema = infer_schema(frame, "target")
    assert {column.kind for column in schema.features} <= {Kind.CONTINUOUS, Kind.INTEGER}
    assert schema.names == tuple(frame.columns)
    assert schema.n_rows == len(frame)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_json_keeps_the_types_of_levels():
    frame = pd.DataFrame(
        {
            "text": cycle("1", "2"),
            "whole": pd.Categorical(cycle(1, 2)),
            "float": pd.Categorical(cycle(1.0, 2.0)),
            "flag": cycle(True, False),
            "mixed": pd.Series(cycle(1, "1", 1.5), dtype=object),
            "large": cycle(2**62, 2**62 + 1),
        }
    )
    schema = infer_schema(frame)
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema
    for before, after in zip(schema.columns, again.columns, strict=True):
        assert list(map(type, before.levels)) == list(map(type, after.levels))


@pytest.mark.parametrize(
    "document", [{}, {"columns": [{"kind": "x"}], "target": None, "n_rows": 1}, {"columns": 3}, []]
)
def test_what_is_no_schema_is_refused(document):
    with pytest.raises(DataError, match="schema"):
        Schema.from_json(document)


def test_names_that_are_numbers_become_text():
    assert infer_schema(pd.DataFrame(np.eye(3))).names == ("0", "1", "2")


def test_a_column_that_is_not_there():
    with pytest.raises(DataError, match=r"no column 'y'.*'x'"):
        infer_schema(pd.DataFrame({"x": [1, 2]}))["y"]


def test_a_misspelt_column_is_answered_with_the_one_that_was_meant():
    frame = pd.DataFrame({**{f"c{i}": [1, 2] for i in range(20)}, "churned": [0, 1]})
    for name in ("Churned", "churnd", "CHURNED"):
        with pytest.raises(DataError, match=r"did you mean 'churned'.*and 13 more"):
            infer_schema(frame, name)
    with pytest.raises(DataError) as caught:
        infer_schema(frame, "entirely different")
    assert "did you mean" not in str(caught.value)
