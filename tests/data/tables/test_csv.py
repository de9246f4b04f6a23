"""CSV: cells become what they spell, and what is no table is refused in one line."""

import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables import read_table
from gantools.errors import DataError

TEXT = str(pd.Series(["a"]).dtype)


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-2"], "int64", [1, -2]),
        (["1", ""], "Int64", [1, pd.NA]),
        (["1", "?"], "Int64", [1, pd.NA]),
        (["1", '" "'], "Int64", [1, pd.NA]),
        (["1.0", "2"], "float64", [1.0, 2.0]),
        (["1.5", "NA"], "float64", [1.5, np.nan]),
        (["1e3", ".5"], "float64", [1000.0, 0.5]),
        (["inf", "1"], "float64", [np.inf, 1.0]),
        (["True", "False"], "bool", [True, False]),
        (["true", ""], "boolean", [True, pd.NA]),
        (["", "NaN"], "float64", [np.nan, np.nan]),
        (["007", "008"], TEXT, ["007", "008"]),
        (["0", "08"], TEXT, ["0", "08"]),
        (["+4912345", "+4954321"], TEXT, ["+4912345", "+4954321"]),
        (["99999999999999999999", "1"], TEXT, ["99999999999999999999", "1"]),
        (['"1,234"', '"5,678"'], "int64", [1234, 5678]),
        (['"1,234"', "99999999999999999999"], TEXT, ["1,234", "99999999999999999999"]),
        (['"922,337,203,685,477,580"', '"1,000"'], "int64", [922337203685477580, 1000]),
        (["x", "null"], TEXT, ["x", "null"]),
        (["x", ""], TEXT, ["x", np.nan]),
        (["yes", "?"], TEXT, ["yes", "?"]),
        (["2020-01-01", "2021-12-31"], TEXT, ["2020-01-01", "2021-12-31"]),
        (["True", "maybe"], TEXT, ["True", "maybe"]),
        (['"a ""quoted"" word"', '"two\nlines"'], TEXT, ['a "quoted" word', "two\nlines"]),
    ],
)
def test_cells_become_what_they_spell(put, cells, dtype, values):
    frame, _ = read_table(put("n,x,m\n" + "".join(f"5,{cell},6\n" for cell in cells)))
    assert str(frame["x"].dtype) == dtype
    pd.testing.assert_series_equal(frame["x"], pd.Series(values, dtype=dtype, name="x"))


def test_names_are_kept_exactly(put):
    frame, _ = read_table(put(' b,A a,"c,d",ä\n1,2,3,4\n'))
    assert list(frame.columns) == [" b", "A a", "c,d", "ä"]


def test_a_single_column(put):
    frame, _ = read_table(put("text\nhello you\nworld\n"))
    assert frame["text"].tolist() == ["hello you", "world"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"a,b\n", "header and no rows"),
        (b"a,b", "header and no rows"),
        (b"a,b,a\n1,2,3\n", "called 'a'"),
        (b"a,,c\n1,2,3\n", "column 2, behind 'a', has no name; name it"),
        (b"5.1,3.5,setosa\n4.9,3.0,setosa\n", "no header: its first line is a row"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields where the header names 2"),
        (b"a,b\n1,2,\n1,2,\n3,4,5,6\n", "line 4 has 4 fields where the header names 2, with a delimiter behind"),
        (b"a,b,\n1,2,\n3,4\n", "line 3 has 2 fields where the header names 2, with a delimiter behind"),
        (b"sep=,\n\na,b,\n" + b"1,2,\n" * 60_000 + b"1,2,3\n", "line 60004 has 3 fields"),
        (b"a,b\n1,2\n\n3\n", "line 4 has 1 field where the header names 2"),
        (b'a,b\n1,"2\n3,4\n', "quote opened in line 2 is never closed"),
        (b"\x7fELF" + bytes(100), "binary"),
        (bytes(range(256)) * 4, "binary"),
        (b"PAR1 and then nothing", "not a whole Parquet file"),
        (b"\x1f\x8b\x08\x00 broken", "damaged"),
        (gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:40], "damaged"),
        (b"PK\x03\x04 broken", "damaged"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(put, content, said):
    path = put(content)
    with pytest.raises(DataError, match=said) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


HUGE_CELL = """
import resource, sys
from gantools.data.tables import read_table
from gantools.errors import DataError
with open(sys.argv[1], "wb") as file:
    file.write(b"id,text\\n1,short\\n2," + b"x" * 2**20)
    file.truncate(2**30)  # the rest of the cell, a hole that takes no space
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_table(sys.argv[1])
except DataError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_cell_of_a_gigabyte_is_refused_in_bounded_memory(tmp_path):
    path = tmp_path / "huge.csv"
    done = subprocess.run([sys.executable, "-c", HUGE_CELL, str(path)], capture_output=True, text=True, check=False)
    path.unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr
    said, more = done.stdout.splitlines()
    assert "a cell larger than 16 MiB" in said
    assert int(more) / (1024 if sys.platform == "darwin" else 1) < 150 * 1024  # KiB


@pytest.mark.parametrize("mebibytes", [1, 15])
def test_large_cells_below_the_limit_are_read(put, mebibytes):
    text = b"x" * (mebibytes * 2**20)
    frame, _ = read_table(put(b"a,b\n1,short\n2," + text + b"\n3,short\n"))
    assert frame["b"].str.len().tolist() == [5, len(text), 5]


@pytest.mark.parametrize("name", ["huge.csv", "huge.csv.gz"])
def test_cells_above_the_limit_are_not(put, name):
    content = b"a,b\n1,short\n2," + b"x" * (17 * 2**20) + b"\n3,short\n"
    with pytest.raises(DataError, match="larger than 16 MiB"):
        read_table(put(gzip.compress(content, 1) if name.endswith("gz") else content, name))
