"""Tables are written as the dialect says, read again as they were, and whole or not at all."""

import errno
import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris, load_wine

from gantools.data.tables import TableReader, TableWriter, read_table, write_table
from gantools.data.tables.dialect import Dialect
from gantools.data.tables.schema import infer_schema
from gantools.errors import DataError


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def assert_same(frame, expected):
    """Equal but for the mark of a missing text in pandas 2, which is None here and NaN there."""
    pd.testing.assert_frame_equal(frame.fillna(value=np.nan), expected.fillna(value=np.nan))
    assert frame.dtypes.equals(expected.dtypes)


def dtypes(frame):
    return [str(dtype) for dtype in frame.dtypes]


TEXT = str(pd.Series(["a"]).dtype)


def test_booleans_are_written_as_they_were_spelt(put, tmp_path):
    path = put("a,b\nTRUE,1\nFALSE,2\n")
    frame, dialect = read_table(path)
    assert dtypes(frame) == ["bool", "int64"]
    write_table(frame, tmp_path / "again.csv", dialect)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices here")
def test_a_device_is_no_table():
    with pytest.raises(DataError, match="not a regular file"):
        read_table("/dev/zero")
    with pytest.raises(DataError, match="not a regular file"):
        write_table(pd.DataFrame({"a": [1]}), "/dev/zero")


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


@pytest.mark.parametrize("header", ["a;b", "a;b;"])
def test_what_is_added_takes_the_place_of_a_delimiter_at_the_end_of_lines(put, tmp_path, header):
    path = put(f"{header}\n01; x;\n02;;\n")
    frame, dialect = read_table(path)
    more = pd.concat([frame.assign(new=False), frame.iloc[:1].assign(new=True)])
    write_table(more, tmp_path / "out.csv", dialect, n_copied=2)
    assert (tmp_path / "out.csv").read_text() == "a;b;new\n01; x;False\n02;;False\n01; x;True\n"
    reader = TableReader(path)
    with TableWriter(tmp_path / "out.csv", reader, {"score": "number"}) as writer:
        for chunk in reader.chunks():
            writer.write(chunk, pd.DataFrame({"score": [0.5, 1.0]}))
    assert (tmp_path / "out.csv").read_text() == "a;b;score\n01; x;0.5\n02;;1\n"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz"])
def test_copied_rows_are_spelt_as_they_were(put, tmp_path, encoding, name):
    content = MESSY.encode(encoding)
    frame, dialect = read_table(put(gzip.compress(content) if name.endswith("gz") else content, name))
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
