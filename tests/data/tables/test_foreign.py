"""Files of other formats: each is told by its content, whatever its name, with how to convert it."""

import gzip
import json
import pickle
import re
import sqlite3
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pytest

from gantools.data.tables import read_table
from gantools.errors import DataError

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


def refusal(path):
    with pytest.raises(DataError) as caught:
        read_table(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: is ") and "\n" not in line
    return line.removeprefix(f"{path}: is ")


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.txt", "T.JSON"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FRAME.to_json(), "JSON; tables are read from CSV, TSV and Parquet files"),
        (FRAME.to_json(orient="records"), 'pandas.read_json("FILE")'),
        (json.dumps(FRAME.to_dict("list"), indent=2), "JSON;"),
        (FRAME.to_json(orient="records", lines=True), 'pandas.read_json("FILE", lines=True)'),
        ("<!DOCTYPE html>\n<html><body><table></table></body></html>", 'pandas.read_html("FILE")[0]'),
        ("\n <table border=1><tr><td>1</td></tr></table>", "an HTML page"),
        ('\ufeff<?xml version="1.0"?><rows><row a="1"/></rows>', 'pandas.read_xml("FILE")'),
        ("%PDF-1.7\nnothing but text", "a PDF"),
    ],
)
def test_text(put, name, content, said):
    assert said in refusal(put(content, name))
    assert said in refusal(put(gzip.compress(content.encode()), f"{name}.gz"))


def test_json_of_plain_values_is_told_by_its_name(put):
    assert refusal(put("[1, 2, 3]", "t.json")).startswith("JSON")
    assert read_table(put("[1,2\n5,6\n", "t.csv"))[0].columns.tolist() == ["[1", "2"]


def with_sqlite(path):
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE t (a INTEGER)")


def with_zip(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "content")

    return write


@pytest.mark.parametrize("name", ["t", "t.csv"])
@pytest.mark.parametrize(
    ("write", "said"),
    [
        (with_zip("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook; .*save the sheet as CSV, or "),
        (with_zip("[Content_Types].xml", "word/document.xml"), "an Office document"),
        (with_zip("mimetype", "content.xml"), "an OpenDocument file"),
        (lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)), "an Excel workbook"),
        (lambda path: pa.feather.write_feather(pa.table(FRAME), path), "an Arrow or Feather file"),
        (lambda path: pa.orc.write_table(pa.table({"a": [1, 2]}), path), "an ORC file"),
        (lambda path: path.write_bytes(pickle.dumps(FRAME)), "a pickle; .*if you trust it"),
        (lambda path: path.write_bytes(b"Obj\x01\x04\x14avro.codec" + bytes(9)), "an Avro file"),
        (with_sqlite, "an SQLite database"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)), "an HDF5 file"),
        (lambda path: np.save(path.open("wb"), np.zeros(3)), "a NumPy array"),
        (lambda path: path.write_bytes(b"%PDF-1.4\n\x00\x01"), "a PDF"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\x00"), "a picture; .*folder"),
    ],
)  # fmt: skip
def test_binary(tmp_path, name, write, said):
    write(tmp_path / name)
    assert re.match(said, refusal(tmp_path / name))


@pytest.mark.parametrize(
    ("suffix", "what"),
    [("xls", "an Excel workbook"), ("SAS7BDAT", "a SAS file"), ("dta", "a Stata file"), ("rds", "an R data file")],
)
def test_a_suffix_says_what_the_content_does_not(put, suffix, what):
    assert refusal(put(b"\x00\x01\x02" * 30, f"t.{suffix}")).startswith(what)
    assert read_table(put(b"a,b\n1,2\n", f"t.{suffix}"))[0].columns.tolist() == ["a", "b"]


def test_parquet_in_another_compression(tmp_path):
    (tmp_path / "t.parquet.gz").write_bytes(gzip.compress(FRAME.to_parquet()))
    assert refusal(tmp_path / "t.parquet.gz").startswith("compressed Parquet")
