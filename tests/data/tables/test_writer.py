"""Files: whatever spells a table is read, what is none is refused in one line, and writing is whole or not at all."""

import bz2
import errno
import gzip
import lzma
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris, load_wine

from gantools.data.tables import read_table, write_table
from gantools.data.tables.dialect import Dialect
from gantools.data.tables.schema import infer_schema
from gantools.errors import DataError


@pytest.fixture
def put(tmp_path):
    """A function that writes bytes or text to a file and gives its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def assert_same(frame, expected):
    """Equal but for the mark of a missing text in pandas 2, which is None here and NaN there."""
    pd.testing.assert_frame_equal(frame.fillna(value=np.nan), expected.fillna(value=np.nan))
    assert frame.dtypes.equals(expected.dtypes)


def dtypes(frame):
    return [str(dtype) for dtype in frame.dtypes]


TEXT = str(pd.Series(["a"]).dtype)

# --- reading CSV ---


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
        (['"1,234"', '"5,678"'], TEXT, ["1,234", "5,678"]),
        (["x", "null"], TEXT, ["x", np.nan]),
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


def test_booleans_are_written_as_they_were_spelt(put, tmp_path):
    path = put("a,b\nTRUE,1\nFALSE,2\n")
    frame, dialect = read_table(path)
    assert dtypes(frame) == ["bool", "int64"]
    write_table(frame, tmp_path / "again.csv", dialect)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_names_are_kept_exactly(put):
    frame, _ = read_table(put(' b,A a,"c,d",ä\n1,2,3,4\n'))
    assert list(frame.columns) == [" b", "A a", "c,d", "ä"]


def test_a_single_column(put):
    frame, _ = read_table(put("text\nhello you\nworld\n"))
    assert frame["text"].tolist() == ["hello you", "world"]


def test_semicolons_inside_quotes_do_not_mislead(put):
    frame, dialect = read_table(put('a,b\n"x;y;z",1\n"p;q;r",2\n'))
    assert dialect.delimiter == ","
    assert frame["a"].tolist() == ["x;y;z", "p;q;r"]


@pytest.mark.parametrize("opener", [gzip.compress, bz2.compress, lzma.compress])
def test_compression_is_found_whatever_the_name(put, opener):
    frame, dialect = read_table(put(opener(b"a,b\n1,x\n2,y\n"), "table.csv"))
    assert frame["a"].tolist() == [1, 2]
    assert dialect.compression in ("gzip", "bz2", "xz")


# --- files that are no table ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"a,b\n", "header and no rows"),
        (b"a,b", "header and no rows"),
        (b"a,b,a\n1,2,3\n", "called 'a'"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b",a\n0,1\n", "column 1 has no name"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields where the header names 2"),
        (b"a,b\n1,2\n\n3\n", "line 4 has 1 field where the header names 2"),
        (b'a,b\n1,"2\n3,4\n', "quote opened in line 2 is never closed"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
        (b"\x7fELF" + bytes(100), "binary"),
        (bytes(range(256)) * 4, "binary"),
        (b"PAR1 and then nothing", "not a whole Parquet file"),
        (b"\x1f\x8b\x08\x00 broken", "damaged"),
        (gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:40], "damaged"),
        (b"PK\x03\x04 broken", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(put, content, said):
    path = put(content)
    with pytest.raises(DataError, match=said) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


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


def test_paths_that_cannot_be_read(tmp_path, monkeypatch, put):
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    path = put("a\n1\n")

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="may not be read"):
        read_table(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices here")
def test_a_device_is_no_table():
    with pytest.raises(DataError, match="not a regular file"):
        read_table("/dev/zero")
    with pytest.raises(DataError, match="not a regular file"):
        write_table(pd.DataFrame({"a": [1]}), "/dev/zero")


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
        read_table(put(gzip.compress(content, 1, mtime=0) if name.endswith("gz") else content, name))


def test_a_huge_cell_in_parquet(tmp_path):
    path = tmp_path / "huge.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["short", "x" * (40 * 2**20)]}), path)
    with pytest.raises(DataError, match=r"column 'b' has a cell larger"):
        read_table(path)


# --- writing, and reading again ---

WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from('",;\t\n|'), max_size=8)
COLUMNS = {
    "int64": (st.integers(-(2**62), 2**62), False),
    "Int64": (st.integers(-(2**62), 2**62), True),
    "float64": (st.floats(allow_nan=False, allow_infinity=False), True),
    "bool": (st.booleans(), False),
    "boolean": (st.booleans(), True),
    TEXT: (WORD.map(lambda word: f"w{word}"), True),
}


@st.composite
def files(draw):
    """A frame as a CSV file gives one, and a dialect."""
    n = draw(st.integers(1, 8))
    columns = {}
    for index, dtype in enumerate(draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=2, max_size=5))):
        cell, has_missing = COLUMNS[dtype]
        cells = draw(st.lists(cell, min_size=n + has_missing, max_size=n + has_missing))
        if has_missing:
            cells[draw(st.integers(0, n))] = None
        else:
            cells.append(cells[0])
        columns[f"name {index}"] = pd.Series(cells, dtype=dtype)
    delimiter, decimal = draw(st.sampled_from([(",", "."), (";", ","), (";", "."), ("\t", ","), ("|", ".")]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    return pd.DataFrame(columns), Dialect(delimiter=delimiter, encoding=encoding, decimal=decimal)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(files())
def test_any_frame_survives_csv_and_parquet(tmp_path, drawn):
    frame, dialect = drawn
    write_table(frame, tmp_path / "x.csv", dialect)
    again, found = read_table(tmp_path / "x.csv")
    assert_same(again, frame)
    assert found.delimiter == dialect.delimiter
    write_table(frame, tmp_path / "x.parquet")
    again, _ = read_table(tmp_path / "x.parquet")
    assert_same(again, frame)


@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize(
    "name",
    ["x.csv", "x.tsv", "x.txt", "x.csv.gz", "x.csv.bz2", "x.csv.xz", "x.csv.zip", "x.zip", "x.parquet", "x.pq", "x"],
)
def test_real_tables_survive_every_suffix(tmp_path, load, name):
    frame = load(as_frame=True).frame
    write_table(frame, tmp_path / name)
    again, dialect = read_table(tmp_path / name)
    pd.testing.assert_frame_equal(again, frame)
    assert dialect.kind == ("parquet" if name in ("x.parquet", "x.pq") else "csv")
    assert names_in(tmp_path) == [name]


MESSY = (
    'Nr;"Ort";Preis;Rabatt;Anteil\r\n'
    '01;"Köln; Süd";12,50;2,5;1e-3\r\n'
    '02;"Jena";7,00;0;NA\r\n'
    "\r\n"
    '03;"zwei\r\nZeilen";+1,25;10;0,10\r\n'
    '04;"ein ""Wort""";;12,5;'
)


def with_flag(frame):
    more = frame.iloc[:2].assign(Nr=["11", "12"], Ort=["Ulm", "Hof"], Preis=[3.5, np.nan], Rabatt=[5.0, 7.5])
    return pd.concat([frame.assign(new=False), more.assign(new=True)], ignore_index=True)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz"])
def test_copied_rows_are_spelt_as_they_were(put, tmp_path, encoding, name):
    content = MESSY.encode(encoding)
    frame, dialect = read_table(put(gzip.compress(content, mtime=0) if name.endswith("gz") else content, name))
    write_table(with_flag(frame), tmp_path / "out.csv", dialect, n_copied=len(frame))
    text = (tmp_path / "out.csv").read_bytes().decode(encoding)
    assert text == (
        'Nr;"Ort";Preis;Rabatt;Anteil;new\r\n'
        '01;"Köln; Süd";12,50;2,5;1e-3;False\r\n'
        '02;"Jena";7,00;0;NA;False\r\n'
        '03;"zwei\r\nZeilen";+1,25;10;0,10;False\r\n'
        '04;"ein ""Wort""";;12,5;;False\r\n'
        "11;Ulm;3,50;5;0,001;True\r\n"
        "12;Hof;;7,5;;True\r\n"
    )


def test_rows_of_a_file_that_changed_meanwhile_are_not_copied(put, tmp_path):
    path = put("a,b\n1.50,x\n2.50,y\n")
    frame, dialect = read_table(path)
    path.write_text("a,b\n1.50,x\n3.50,y\n0.50,z\n")
    write_table(frame, tmp_path / "out.csv", dialect, n_copied=len(frame))
    assert (tmp_path / "out.csv").read_text() == "a,b\n1.50,x\n2.50,y\n"


@pytest.mark.parametrize("n_copied", [1, 3])
def test_rows_are_not_copied_where_the_file_has_another_number_of_them(put, tmp_path, n_copied):
    frame, dialect = read_table(put("a,b\n +1.5,x\n2,y\n"))
    write_table(frame, tmp_path / "out.csv", dialect, n_copied=n_copied)
    assert (tmp_path / "out.csv").read_text() == "a,b\n1.5,x\n2,y\n"


@pytest.mark.parametrize(
    ("cells", "value", "spelt"),
    [
        (["1.50", "2.25"], 3.0, "3.00"),
        (["1.50", ""], 3.125, "3.125"),  # no digit is lost
        (["1", "2.5"], 3.0, "3"),
        (["1", "2.50"], 3.0, "3.0"),
        (["1.0", "2.5"], 3.0, "3.0"),
        (["1.5", "1e-07"], 3.0, "3.0"),
    ],
)
def test_new_numbers_have_the_places_of_the_old(put, tmp_path, cells, value, spelt):
    _, dialect = read_table(put("a,b\n" + "".join(f"{cell},x\n" for cell in cells)))
    write_table(pd.DataFrame({"a": [value], "b": ["y"]}), tmp_path / "out.csv", dialect)
    assert (tmp_path / "out.csv").read_text() == f"a,b\n{spelt},y\n"


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


def test_the_same_table_makes_the_same_bytes(tmp_path):
    frame = load_iris(as_frame=True).frame
    for name in ("a.csv.gz", "a.parquet"):
        write_table(frame, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        write_table(frame, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


# --- writing that fails ---


def full_disk(*_args, **_options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace", "midway"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, name, where):
    frame = load_iris(as_frame=True).frame
    write_table(frame, tmp_path / name)
    before = (tmp_path / name).read_bytes()

    def half(_frame, file, **_options):
        file.write("half a table")
        full_disk()

    if where == "midway":
        monkeypatch.setattr(pd.DataFrame, "to_csv", half)
        monkeypatch.setattr(pq.ParquetWriter, "write_table", full_disk)
    else:
        monkeypatch.setattr(where, full_disk)
    with pytest.raises(DataError, match=r"no space left.*free some") as caught:
        write_table(frame.head(), tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
    assert names_in(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == before


def test_ctrl_c_leaves_nothing_either(tmp_path, monkeypatch):
    def interrupt(_frame, file, **_options):
        file.write("half a table")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "x.csv")
    assert names_in(tmp_path) == []


def test_folders_that_cannot_be_written_to(tmp_path, monkeypatch):
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(DataError, match="its folder does not exist"):
        write_table(frame, tmp_path / "no" / "x.csv")
    with pytest.raises(DataError, match="is a folder"):
        write_table(frame, tmp_path)

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="may not be written to"):
        write_table(frame, tmp_path / "x.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="may not be written to"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "x.csv")


def test_values_that_the_file_cannot_hold(tmp_path):
    with pytest.raises(DataError, match="cannot be written as cp1252"):
        write_table(pd.DataFrame({"a": ["日本"]}), tmp_path / "x.csv", Dialect(encoding="cp1252"))
    with pytest.raises(DataError, match="cannot be written as parquet"):
        write_table(pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), tmp_path / "x.parquet")
    assert names_in(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "real.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_table(pd.DataFrame({"a": [2]}), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n2\n"


# --- files and schemas together ---


def test_a_file_with_everything_is_described_as_a_person_would(put):
    rows = "".join(
        f"c{i:05};{18 + i % 60};{i * 0.37:.2f};{'' if i % 9 == 0 else i % 4};{'ja' if i % 3 else 'nein'};"
        f"{1 + i % 28:02}.{1 + i % 12:02}.2021;{'True' if i % 2 else 'False'};EUR;\n".replace(".", ",", 1)
        for i in range(100)
    )
    frame, _ = read_table(put("kunde;alter;betrag;kinder;gekündigt;seit;aktiv;währung;leer\n" + rows))
    schema = infer_schema(frame, "gekündigt")
    assert {column.name: str(column.kind) for column in schema.columns} == {
        "kunde": "identifier",
        "alter": "integer",
        "betrag": "continuous",
        "kinder": "integer",
        "gekündigt": "categorical",
        "seit": "datetime",
        "aktiv": "boolean",
        "währung": "constant",
        "leer": "constant",
    }
    assert schema["betrag"].decimals == 2
    assert schema["seit"].format == "%d.%m.%Y"
    assert len(schema.notes()) == 3
