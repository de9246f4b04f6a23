"""Cells are read as their column says, and written as it spells them."""

import json

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables import read_table, write_table
from gantools.data.tables.raw import MISSING, UNSEEN, from_raw, to_raw
from gantools.data.tables.schema import Schema, infer_schema
from gantools.errors import DataError


def read(path, text, **options):
    path.write_text(text, encoding="utf-8")
    return read_table(path, **options)


@pytest.mark.parametrize(
    ("delimiter", "cells", "values", "dtype"),
    [
        (";", ["1.529", "571", "12.400"], [1529, 571, 12400], "int64"),
        ("\t", ["1,529", "571"], [1529, 571], "int64"),
        (";", ["1.234.567", "12"], [1234567, 12], "int64"),
        (";", ["1.529,50", "571,25"], [1529.5, 571.25], "float64"),
        (",", ['"1,529.50"', "571.25"], [1529.5, 571.25], "float64"),
        (",", ['"$1,529.50"', "$571.25"], [1529.5, 571.25], "float64"),
        (";", ["1.529,50 €", "571,25 €"], [1529.5, 571.25], "float64"),
        (",", ["(1.50)", "2.25"], [-1.5, 2.25], "float64"),
        (";", ["1'529.50", "571.00"], [1529.5, 571.0], "float64"),
        (";", ["1\u202f529,50", "-571,00"], [1529.5, -571.0], "float64"),
        (",", ["12.5%", "3.0%"], [12.5, 3.0], "float64"),
        (",", ["\u22121.5", "2.5"], [-1.5, 2.5], "float64"),
        (";", ["0.529", "1.529", "2"], [0.529, 1.529, 2], "float64"),
        (",", ["1.529", "2"], [1.529, 2], "float64"),
        (";", ["1,529", "2980,958"], [1.529, 2980.958], "float64"),
    ],
)
def test_numbers_in_any_dress_come_back_as_they_were(tmp_path, delimiter, cells, values, dtype):
    rows = [delimiter.join((cell, word)) for cell, word in zip(cells, "abc", strict=False)]
    frame, dialect = read(tmp_path / "t.csv", "\n".join([f"x{delimiter}w", *rows, ""]))
    assert frame["x"].tolist() == values
    assert str(frame["x"].dtype) == dtype
    write_table(frame, tmp_path / "o.csv", dialect)
    again, _ = read_table(tmp_path / "o.csv")
    assert again["x"].tolist() == values
    texts = pd.read_csv(tmp_path / "o.csv", sep=delimiter, dtype=str)["x"].tolist()
    assert texts == [cell.strip('"') for cell in cells]


@pytest.mark.parametrize("cells", [["555 123", "171 998"], ["+49 171 234 567", "+49 30 123 456"], ["$5", "€6"]])
def test_codes_and_mixed_units_stay_text(tmp_path, cells):
    frame, _ = read(tmp_path / "t.csv", "x;w\n" + "".join(f"{cell};a\n" for cell in cells))
    assert frame["x"].tolist() == cells


def test_a_guess_about_thousands_is_said(tmp_path):
    frame, dialect = read(tmp_path / "t.csv", "x;w\n1.529;a\n571;b\n")
    assert infer_schema(frame, dialect=dialect).notes() == [
        "column 'x' is read with '.' between thousands: '1.529' is 1529"
    ]


def test_other_columns_settle_the_decimal_sign(tmp_path):
    frame, _ = read(tmp_path / "t.csv", "x;lat\n1,529;47.1234\n2,331;50.2500\n")
    assert frame["x"].tolist() == [1529, 2331]
    assert frame["lat"].tolist() == [47.1234, 50.25]
    frame, _ = read(tmp_path / "t.csv", "x;lat\n1,529;47,1234\n2,331;50,2500\n")
    assert frame["x"].tolist() == [1.529, 2.331]


def test_numbers_but_for_a_few_cells_are_no_identifiers(tmp_path):
    cells = [f"{value / 7:.4f}" for value in range(200)]
    frame, dialect = read(tmp_path / "t.csv", "\n".join(["x,w", *(f"{cell},a" for cell in [*cells, "broken"]), ""]))
    column = infer_schema(frame, dialect=dialect)["x"]
    assert column.kind == "categorical"
    assert "'broken'" in column.note
    with pytest.raises(DataError, match=r"'x'.*continuous: 1 of its values.*'broken'"):
        infer_schema(frame, kinds={"x": "continuous"})


def test_a_declared_category_keeps_its_spelling(tmp_path):
    text = "code,n\n42,1\n1.10,2\n1.1,3\n1E2,4\n100,5\n"
    frame, _ = read(tmp_path / "t.csv", text, kinds={"code": "categorical", "n": "categorical"})
    assert frame["code"].tolist() == ["42", "1.10", "1.1", "1E2", "100"]
    assert frame["n"].tolist() == [1, 2, 3, 4, 5]


def test_a_number_in_two_spellings_is_a_code_unless_declared(tmp_path):
    text = "x,w\n" + "1.1,a\n1.10,b\n2.0,c\n" * 5
    frame, dialect = read(tmp_path / "t.csv", text)
    assert set(frame["x"]) == {"1.1", "1.10", "2.0"}
    assert "two ways ('1.1', '1.10')" in infer_schema(frame, dialect=dialect)["x"].note
    frame, _ = read(tmp_path / "t.csv", text, kinds={"x": "continuous"})
    assert set(frame["x"]) == {1.1, 2.0}
    frame, _ = read(tmp_path / "t.csv", "x,w\n" + "5,a\n5.0,b\n" * 5)
    assert frame["x"].dtype == "float64"


def test_words_for_missing_cells_are_values_of_text_and_marks_of_numbers(tmp_path):
    frame, dialect = read(tmp_path / "t.csv", "c,v,b\nNA,?,True\nDE,1.5,NULL\nFR,2.0,False\n,?,True\n")
    assert frame["c"].tolist()[:3] == ["NA", "DE", "FR"]
    assert frame["c"].isna().tolist() == [False, False, False, True]
    assert frame["v"].isna().tolist() == [True, False, False, True]
    write_table(frame, tmp_path / "o.csv", dialect)
    assert (tmp_path / "o.csv").read_text() == "c,v,b\nNA,?,True\nDE,1.5,NULL\nFR,2.0,False\n,?,True\n"


def test_a_label_may_be_called_none(tmp_path):
    frame, dialect = read(tmp_path / "t.csv", "x,y\n1,None\n2,Apnea\n3,None\n")
    assert infer_schema(frame, "y", dialect=dialect)["y"].levels == ("Apnea", "None")
    frame, dialect = read(tmp_path / "t.csv", "x,y\n1,0\n2,NA\n3,1\n")
    with pytest.raises(DataError, match="read the column as categorical"):
        infer_schema(frame, "y", dialect=dialect)


def test_pandas_takes_a_learned_word_for_missing(tmp_path):
    frame, dialect = read(tmp_path / "t.csv", "c,v\nNA,1\nDE,2\nNA,3\nDE,4\n")
    schema = infer_schema(frame, dialect=dialect)
    other = pd.read_csv(tmp_path / "t.csv")
    assert to_raw(other, schema).codes.tolist() == to_raw(frame, schema).codes.tolist()
    learned = infer_schema(pd.DataFrame({"c": ["DE", None, "FR"]}))
    assert to_raw(pd.DataFrame({"c": ["NA", "DE"]}), learned).codes.tolist() == [[MISSING], [0]]


LEARNED = pd.DataFrame(
    {
        "version": ["1.9", "1.10", "2.0.1", "true"] * 5,
        "hole": pd.array([1, None, 3, 4] * 5, dtype="Int64"),
        "price": [1.25, 2.5, 3.75, 5.0] * 5,
        "flag": [True, False] * 10,
    }
)


def learned(path):
    LEARNED.to_csv(path, index=False)
    frame, dialect = read_table(path)
    schema = infer_schema(frame, dialect=dialect)
    return Schema.from_json(json.loads(json.dumps(schema.to_json())))


@pytest.mark.parametrize(
    ("name", "cells", "codes"),
    [
        ("version", ["1.9", "1.10"], [0, 1]),
        ("version", ["true", "true"], [3, 3]),
        ("version", ["1.9", "3.0"], [0, UNSEEN]),
        ("version", ["", ""], [MISSING, MISSING]),
        ("flag", ["true", "false"], [0, 1]),
        ("flag", ["", ""], [MISSING, MISSING]),
        ("flag", ["yes", "no"], [UNSEEN, UNSEEN]),
    ],
)
def test_a_later_file_is_read_as_the_column_was_learned(tmp_path, name, cells, codes):
    schema = learned(tmp_path / "a.csv")
    LEARNED.iloc[:2].astype(object).assign(**{name: cells}).to_csv(tmp_path / "b.csv", index=False)
    frame, _ = read_table(tmp_path / "b.csv", like=schema)
    place = schema.categorical.index(name)
    assert to_raw(frame, schema).codes[:, place].tolist() == codes


@pytest.mark.parametrize(("cells", "values"), [(["1", "2"], [1.0, 2.0]), (["", "2"], [np.nan, 2.0])])
def test_later_numbers_keep_the_learned_type(tmp_path, cells, values):
    schema = learned(tmp_path / "a.csv")
    LEARNED.iloc[:2].astype(object).assign(price=cells).to_csv(tmp_path / "b.csv", index=False)
    frame, _ = read_table(tmp_path / "b.csv", like=schema)
    assert frame["price"].dtype == "float64"
    np.testing.assert_array_equal(to_raw(frame, schema).numbers[:, 1], values)


def test_a_later_cell_that_does_not_fit_is_refused_by_name(tmp_path):
    schema = learned(tmp_path / "a.csv")
    LEARNED.iloc[:2].astype(object).assign(price=["1.5", "cheap"]).to_csv(tmp_path / "b.csv", index=False)
    frame, _ = read_table(tmp_path / "b.csv", like=schema)
    with pytest.raises(DataError, match=r"column 'price'.*'cheap'.*mend or empty"):
        to_raw(frame, schema)


@pytest.mark.parametrize(
    ("text", "value"), [("1.529", 1529.0), ("0,529", 0.529), ("12,5", 12.5), ("0.529", 0.529), ("1529,5", 1529.5)]
)
def test_a_learned_decimal_comma_settles_later_signs(tmp_path, text, value):
    frame, dialect = read(tmp_path / "a.csv", "x;w\n" + "1,5;a\n2,25;b\n" * 3)
    schema = infer_schema(frame, dialect=dialect)
    frame, _ = read(tmp_path / "b.csv", f"x;w\n{text};a\n571;b\n", like=schema)
    assert to_raw(frame, schema).numbers[:, 0].tolist() == [value, 571]


def test_numbers_and_truths_of_a_frame_find_their_text_where_it_is_one(tmp_path):
    schema = infer_schema(pd.DataFrame({"v": ["1.10", "true", "False", "2.0.1"]}))
    frame = pd.DataFrame({"v": pd.Series([1.1, True, False, "2.0.1"], dtype=object)})
    assert to_raw(frame, schema).codes[:, 0].tolist() == [0, 1, 2, 3]
    schema = infer_schema(pd.DataFrame({"v": ["1.10", "1.1", "2.0.1"]}))
    with pytest.raises(DataError, match=r"column 'v'.*1\.1, which may be '1\.10' or '1\.1'"):
        to_raw(pd.DataFrame({"v": [1.1]}), schema)


def test_text_cells_of_numbers_are_read_as_learned(tmp_path):
    frame, dialect = read(tmp_path / "a.csv", "x;w\n1.529,5;a\n571,25;b\n-2,0;c\n")
    schema = infer_schema(frame, dialect=dialect)
    assert to_raw(pd.DataFrame({"x": ["1.529,5", None, "NA"], "w": "a"}), schema).numbers[0, 0] == 1529.5
    with pytest.raises(DataError, match=r"column 'x'.*'1529\.5'"):
        to_raw(pd.DataFrame({"x": ["1529.5"], "w": "a"}), schema)


def test_excels_line_that_names_the_delimiter(tmp_path):
    text = "sep=;\nx;w\n1,5;a\n2,5;b\n"
    frame, dialect = read(tmp_path / "t.csv", text)
    assert list(frame.columns) == ["x", "w"]
    write_table(frame, tmp_path / "o.csv", dialect)
    assert (tmp_path / "o.csv").read_text() == text


def test_columns_without_a_name_at_either_end(tmp_path):
    frame, dialect = read(tmp_path / "t.csv", ",x,\n0,5,\n1,6,7\n")
    assert list(frame.columns) == ["Unnamed: 0", "x", "Unnamed: 2"]
    flagged = frame.assign(extra=True)
    write_table(flagged, tmp_path / "o.csv", dialect, n_copied=2)
    assert (tmp_path / "o.csv").read_text() == ",x,,extra\n0,5,,True\n1,6,7,True\n"


@pytest.mark.parametrize(
    "texts",
    [
        ["2021-05-01T10:00:00+02:00", "2021-05-02T11:30:00+02:00"],
        ["01/31/2021 10:30 PM", "02/28/2021 09:15 AM"],
        ["2021-05-01 10:00:00.1234560", "2021-05-01 10:00:01.0000010"],
        ["2021-05-01T10:00:00.123456000Z", "2021-05-02T10:00:00.000001000Z"],
    ],
)
def test_dates_with_offsets_half_days_and_many_digits(texts):
    frame = pd.DataFrame({"d": texts, "w": ["a", "b"]})
    schema = infer_schema(frame)
    assert schema["d"].kind == "datetime"
    assert from_raw(to_raw(frame, schema), schema, np.random.default_rng(0))["d"].tolist() == texts


@pytest.mark.parametrize(
    "texts", [["2024-01-31"], ["2024-01-31T10:00:00"], ["2024-01-31 10:00:00Z"], ["2024-01-31 10:00:00.5"], [None]]
)
def test_iso_dates_of_any_spelling_are_read_when_scoring(texts):
    naive = pd.DataFrame({"d": ["2024-01-01 10:00:00", "2024-02-03 11:12:13", "2024-02-03 11:12:14"]})
    for frame in (naive, naive.assign(d=pd.to_datetime(naive["d"]))):
        read_again = to_raw(pd.DataFrame({"d": texts}), infer_schema(frame)).numbers[0, 0]
        if texts[0] is None:
            assert np.isnan(read_again)
        else:
            moment = pd.Timestamp(texts[0]).tz_localize(None)
            assert read_again == (moment - pd.Timestamp(0)) / pd.Timedelta("1us")


def test_whole_numbers_that_are_days_become_days():
    frame = pd.DataFrame({"d": [20240131, 20240229, 20231231, 20240301]})
    schema = infer_schema(frame)
    assert schema["d"].kind == "datetime"
    made = from_raw(to_raw(frame, schema), schema, np.random.default_rng(0))
    assert made["d"].tolist() == frame["d"].tolist()
    assert made["d"].dtype == frame["d"].dtype
    assert infer_schema(pd.DataFrame({"d": [20240131, 20240230, 20231231]}))["d"].kind == "integer"
    with pytest.raises(DataError, match=r"'d'.*20240230"):
        to_raw(pd.DataFrame({"d": [20240230]}), schema)
