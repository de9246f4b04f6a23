"""The dialect of a file is found from its content, and kept when it is written again."""

import bz2
import gzip
import lzma
import zipfile

import pandas as pd
import pytest

from gantools.data.tables import read_table, write_table
from gantools.data.tables.dialect import Dialect
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


def test_other_archives_are_told_apart(tmp_path):
    for names, said in (
        (["a.csv", "b.csv"], "holds 2 files"),
        (["[Content_Types].xml", "xl/workbook.xml"], "workbook"),
    ):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name in names:
                archive.writestr(name, "a,b\n1,2\n")
        with pytest.raises(DataError, match=said):
            read_table(tmp_path / "x.zip")


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
