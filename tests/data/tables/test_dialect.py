"""The dialect of a file is found from its content, and kept when it is written again."""

import bz2
import gzip
import lzma
import zipfile

import pandas as pd
import pytest

from gantools.data.tables import read_table, write_table
from gantools.data.tables.dialect import Dialect
from gantools.data.tables.reader import TableReader
from gantools.errors import DataError


@pytest.mark.parametrize(
    ("content", "delimiter", "decimal"),
    [
        ("a,b,c\n1,2.5,x\n-3,4.0,y\n", ",", "."),
        ("a;b;c\n1;2,5;x\n-3;4,0;y\n", ";", ","),
        ("a;b;c\n1;2.5;x\n-3;4.0;y\n", ";", "."),
        ("a\tb\tc\n1\t2,5\tx\n-3\t4\ty\n", "\t", ","),
        ("a|b|c\n1|2.5|x\n-3|4|y\n", "|", "."),
        ('a,b,c\n1,"2,5",x\n-3,"4,0",y\n', ",", ","),
        ("a,b,c\r\n1,2.5,x\r\n-3,4,y\r\n", ",", "."),
        ("a,b,c\n 1, 2.5,x\n -3,4 ,y\n\n", ",", "."),
    ],
)
def test_delimiter_and_decimal_sign_are_found(put, content, delimiter, decimal):
    frame, dialect = read_table(put(content))
    expected = pd.DataFrame({"a": [1, -3], "b": [2.5, 4.0], "c": ["x", "y"]})
    pd.testing.assert_frame_equal(frame, expected)
    assert (dialect.kind, dialect.delimiter, dialect.decimal) == ("csv", delimiter, decimal)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encoding_is_found_and_kept(put, tmp_path, encoding):
    text = "größe,ort\n1,Zürich\n2,Malmö\n"
    frame, dialect = read_table(put(text.encode(encoding)))
    assert list(frame.columns) == ["größe", "ort"]
    assert frame["ort"].tolist() == ["Zürich", "Malmö"]
    again = tmp_path / "again.csv"
    write_table(frame, again, dialect)
    assert again.read_bytes().decode(dialect.encoding) == text


def test_a_byte_that_is_not_utf8_far_down_the_file(put):
    rows = b"".join(b"%d,plain\n" % i for i in range(100_000))
    frame, dialect = read_table(put(b"n,name\n" + rows + b"1,caf\xe9\n"))
    assert frame["name"].iloc[-1] == "café"
    assert dialect.encoding == "cp1252"


def test_semicolons_inside_quotes_do_not_mislead(put):
    frame, dialect = read_table(put('a,b\n"x;y;z",1\n"p;q;r",2\n'))
    assert dialect.delimiter == ","
    assert frame["a"].tolist() == ["x;y;z", "p;q;r"]


@pytest.mark.parametrize("opener", [gzip.compress, bz2.compress, lzma.compress])
def test_compression_is_found_whatever_the_name(put, opener):
    frame, dialect = read_table(put(opener(b"a,b\n1,x\n2,y\n"), "table.csv"))
    assert frame["a"].tolist() == [1, 2]
    assert dialect.compression in ("gzip", "bz2", "xz")


def test_an_archive_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
        archive.writestr("b.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match="holds 2 files"):
        read_table(tmp_path / "x.zip")


TRAILING = [
    ("a,b,\n1,x,\n2,y,\n", "a,b"),
    ("a,b\n1,x,\n2,y,\n", "a,b"),
    ("a,b,\n1,x\n2,y\n", "a,b"),
    ("a,b,,,\n1,x,,,\n2,y,,,\n", "a,b"),
    ("a;b;\n1;x;\n2;y;\n", "a;b"),
    ("a\tb\n1\tx\t\n2\ty\t\n", "a\tb"),
    ('"a","b",""\n"1","x",""\n"2","y",""\n', '"a","b"'),
    ("a, b, \n1, x, \n2, y, \n", "a, b"),
    ("sep=,\na,b,\n1,x,\n2,y,\n", "a,b"),
]


@pytest.mark.parametrize(("content", "header"), TRAILING)
def test_a_delimiter_at_the_end_of_every_line_makes_no_column(put, content, header):
    reader = TableReader(put(content))
    frame = next(iter(reader))
    assert [name.strip() for name in frame.columns] == ["a", "b"]
    assert frame["a"].tolist() == [1, 2]
    assert reader.header == header
    (note,) = reader.dialect.notes
    assert "the empty column behind it is left out" in note


def test_an_empty_last_cell_is_one_where_other_rows_have_a_value(put):
    frame, dialect = read_table(put("a,b,\n1,x,\n2,y,z\n"))
    assert list(frame.columns) == ["a", "b", "Unnamed: 2"]
    frame, dialect = read_table(put("a,b\n1,\n2,\n"))
    assert list(frame.columns) == ["a", "b"] and frame["b"].isna().all()
    assert dialect.notes == ()


def test_row_numbers_that_were_written_twice(put):
    frame, _ = read_table(put(",Unnamed: 0,a\n0,0,5\n1,1,6\n"))
    assert list(frame.columns) == ["Unnamed: 0.1", "Unnamed: 0", "a"]


@pytest.mark.parametrize(
    "content",
    [
        "0,1,2\n1,2,3\n4,5,6\n",
        "2019,2020,2021\n1,2,3\n4,5,6\n",
        "2021,2020,2019\n2000,2000,2000\n3000,3000,3000\n",
        "400.5,401.5,402.5\n1,2,3\n4,5,6\n",
        "country,2019,2020\nCH,1,2\nDE,4000,5000\n",
        "label,7,3,1\nyes,0,0,0\nno,255,255,255\n",
        ",0,1\n0,-2.5,-1.5\n1,2.5,1.5\n",
        "x\n1\n2\n",
        "a,b\n1,2\na,b\n",
    ],
)
def test_names_are_not_taken_for_data(put, content):
    assert read_table(put(content))[1].notes == ()


@pytest.mark.parametrize(
    "content",
    [
        "5,3,8\n1,2,3\n9,9,9\n",
        "1.5,2.5\n1,2\n4,5\n",
        "0.5\n0.1\n0.9\n",
        "5,3,x9\n1,2,x7\n9,9,x9\n8,8,x8\n",
        "a-1,5.5,3.5\na-2,5.1,3.1\na-3,5.9,3.9\n",
    ],
)
def test_a_first_line_that_looks_like_data_is_noted_or_refused(put, content):
    path = put(content)
    try:
        (said,) = read_table(path)[1].notes
    except DataError as error:
        said = str(error)
    assert "first line" in said and "put a line with the names" in said


@pytest.mark.parametrize(
    "content",
    [
        "p,x,p\np,x,e\ne,y,p\n",  # no names, for two are the same
        "1,0,3,Braund,male,,S\n2,1,1,Cumings,female,C85,C\n0,0,3,Allen,male,,S\n4,1,5,Moran,male,,Q\n",
        "0,5,0\n1,2,3\n-4,9,-6\n",
    ],
)
def test_a_first_line_of_data_that_cannot_be_names_is_refused_as_such(put, content):
    with pytest.raises(DataError, match="has no header: its first line is a row like the others"):
        read_table(put(content))


def test_the_suffix_wins_over_the_dialect_and_the_dialect_over_the_default(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    european = Dialect(delimiter=";", decimal=",")
    write_table(frame, tmp_path / "x.csv", european)
    assert (tmp_path / "x.csv").read_text() == "a;b\n1,5;x\n2,5;y\n"
    write_table(frame, tmp_path / "x.parquet", european)
    assert read_table(tmp_path / "x.parquet")[1] == Dialect(kind="parquet", compression="snappy")
    write_table(frame, tmp_path / "x.csv", Dialect(kind="parquet", compression="zstd"))
    assert (tmp_path / "x.csv").read_text() == "a,b\n1.5,x\n2.5,y\n"
    write_table(frame, tmp_path / "noname", Dialect(kind="parquet", compression="zstd"))
    assert read_table(tmp_path / "noname")[1].compression == "zstd"
    write_table(frame, tmp_path / "x.csv.gz", european)
    assert gzip.decompress((tmp_path / "x.csv.gz").read_bytes()) == b"a;b\n1,5;x\n2,5;y\n"
