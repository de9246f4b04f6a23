"""Tables in chunks: the same cells and types as in one piece, copies to the letter, whole or not at all."""

import bz2
import csv
import errno
import gzip
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import gantools.data.tables.csv
from gantools.data.tables import TableReader, TableWriter, read_table
from gantools.data.tables.dialect import decompressed
from gantools.errors import DataError

ADDED = {"anomaly_score": "number", "is_anomaly": "truth", "reason": "text"}


@pytest.fixture(params=[None, 40])
def read_chars(request, monkeypatch):
    """CSV in blocks as usual, and in tiny ones, so that rows, quotes and line ends are torn apart."""
    if request.param:
        monkeypatch.setattr(gantools.data.tables.csv, "_READ_CHARS", request.param)


def added_to(frame):
    """Cells for the columns that are added, told by the row's number."""
    rows = frame.index.to_numpy()
    reasons = [None if row % 3 else f'row {row}, "odd"' for row in rows.tolist()]
    return pd.DataFrame(
        {"anomaly_score": rows / 8, "is_anomaly": rows % 3 == 0, "reason": pd.Series(reasons, dtype=object)}
    )


def copied(source, destination, rows=3):
    """The file at `destination`, a copy of that at `source` with columns added in chunks of so many rows."""
    with TableReader(source, rows) as reader, TableWriter(destination, reader, ADDED) as writer:
        for chunk in reader.chunks():
            writer.write(chunk, added_to(chunk.frame))
    return destination


def assert_chunks_are(path, rows, expected):
    with TableReader(path, rows) as reader:
        frames = list(reader)
        assert reader.n_rows == len(expected)
        assert list(reader.columns) == list(expected.columns)
    assert all(len(frame) <= rows for frame in frames)
    assert all(list(frame.dtypes) == list(expected.dtypes) for frame in frames)
    together = pd.concat(frames)
    pd.testing.assert_frame_equal(together.fillna(value=np.nan), expected.fillna(value=np.nan))


# --- reading ---


@pytest.mark.parametrize(
    "content",
    [
        "a,b,c\n1,2.5,x\n-3,4.0,y\n4,,z\n5,1,\n",
        "a;b;c\n1;2,5;x\n-3;4,0;y\n;1;z\n",
        'a,b,c\r\n1,"2,5",x\r\n-3,"4,0","say ""y""\r\nand z"\r\n\r\n5,1,w\r\n',
        "whole\n1\n2\n3\n\n4\nNA\n",  # the hole comes last
        "late\n1\n2\n3\n4.5\n",
        "text\n1\n2\n3\n4\nfive\n",
        "telephone,x\n+4912,1\n+4913,2\n+4914,3\n+4915,4\n",
        "id;x\n12345678901234567890;1\n22345678901234567890;2\n3;3\n4;4\n",
        "zip,n\n00123,1\n10115,2\n20095,?\n80331,4\n",
        "flag,other\nTrue,true\nFalse,false\n,true\nTrue,false\n",
        "flag\ntrue\ntrue\nfalse\ntrue\nmaybe\n",
        'thousands,x\n"1,234",1\n"5,678",2\n"9,012",3\n"1,000",4\n',
        "empty,x\n,1\n,2\nNA,3\n,4\n",
        "last,x\n,1\n,2\n?,3\n5,4\n",
        "a,b\r1,x\r2,y\r3,z\r4,\r",  # the line ends of an old Mac
        "e,f\n1e5,inf\n2,1\n3,-inf\n4,2\n",
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_csv_chunks_are_the_table(put, content, rows, read_chars):
    """Whatever the last rows hold, the first chunk has the types of the whole table."""
    path = put(content)
    assert_chunks_are(path, rows, read_table(path)[0])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_encodings_and_compression(put, encoding, compress, read_chars):
    path = put(compress("größe;ort\n1,5;Köln\n2,25;Zürich\n;Bern\n".encode(encoding)))
    assert_chunks_are(path, 2, read_table(path)[0])


def test_a_byte_that_is_not_utf8_far_down_the_file(put):
    path = put(b"a,b\n" + b"1,x\n" * 300_000 + b"2,K\xf6ln\n")
    with TableReader(path) as reader:
        assert reader.dialect.encoding == "cp1252"
        assert list(reader)[-1]["b"].iloc[-1] == "Köln"


def frame_of_everything(n=50):
    rng = np.random.default_rng(0)
    whole = pd.Series(rng.integers(0, 9, n))
    holed = whole.astype("float64").where(whole.index != n - 1)  # the only hole is in the last row
    return pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "single": rng.normal(size=n).astype("float32"),
            "whole": whole.astype("int16"),
            "nullable": holed.astype("Int64"),
            "flag": whole > 4,
            "maybe": (whole > 4).astype("boolean").where(whole.index != n - 1),
            "text": pd.Series(rng.choice(["a", "b"], n)).where(whole != 3),
            "kind": pd.Categorical(rng.choice(["x", "y"], n), ["y", "x", "z"], ordered=True),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(whole, unit="h"),
            "zoned": pd.Timestamp("2024-01-01", tz="Europe/Berlin") + pd.to_timedelta(whole, unit="h"),
            "lasts": pd.to_timedelta(whole, unit="s"),
            "day": pd.Series((pd.Timestamp("2024-01-01") + pd.to_timedelta(whole, unit="D")).dt.date),
            "empty": pd.Series([None] * n, dtype=object),
        }
    )


@pytest.mark.parametrize("rows", [7, 1000])
@pytest.mark.parametrize("group_rows", [11, 1000])
def test_parquet_chunks_are_the_table(tmp_path, rows, group_rows):
    path = tmp_path / "t.parquet"
    frame_of_everything().to_parquet(path, row_group_size=group_rows)
    expected = read_table(path)[0]
    with TableReader(path, rows) as reader:
        frames = list(reader)
    for frame in frames:
        assert list(frame.dtypes.drop("kind")) == list(expected.dtypes.drop("kind"))
    together = pd.concat([frame.astype({"kind": expected["kind"].dtype}) for frame in frames])
    pd.testing.assert_frame_equal(together, expected)


@pytest.mark.parametrize("write_statistics", [True, False])
def test_parquet_columns_with_holes_from_elsewhere(tmp_path, write_statistics):
    """Without pandas' own notes, whole numbers and truths change type where a cell is missing: in every chunk."""
    path = tmp_path / "t.parquet"
    table = pa.table({"whole": [1, 2, 3, 4, None], "flag": [True, False, True, None, True], "full": [1, 2, 3, 4, 5]})
    pq.write_table(table, path, row_group_size=2, write_statistics=write_statistics)
    assert_chunks_are(path, 2, read_table(path)[0])


def test_an_index_in_parquet(tmp_path):
    """With a name it is a column, without one it is dropped."""
    frame = pd.DataFrame({"a": range(9)}, index=[f"r{i}" for i in range(9)])
    for name, path in ((None, tmp_path / "a.parquet"), ("key", tmp_path / "b.parquet")):
        frame.rename_axis(name).to_parquet(path)
        assert_chunks_are(path, 4, read_table(path)[0])


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "t.csv", "is empty"),
        (b"a,b\n", "t.csv", "no rows"),
        (b"a,a\n1,2\n", "t.csv", "called 'a'"),
        (b"a,b\n1,2\n3\n", "t.csv", "line 3 has 1 field"),
        (b'a,b\n1,"2\n3,4\n5,6\n', "t.csv", "a quote opened in line 2"),
        (bytes(range(256)), "t.csv", "binary"),
        (b"PAR1" + bytes(50) + b"PAR1", "t.csv", "cannot be read"),
        (b"\x1f\x8b\x08\x00 no gzip", "t.csv.gz", "t.csv.gz"),
    ],
)
def test_what_is_no_table_is_refused_before_the_first_chunk(put, content, name, said, read_chars):
    with pytest.raises(DataError, match=said):
        TableReader(put(content, name))


def test_paths_that_cannot_be_read(tmp_path, monkeypatch, put):
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        TableReader(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        TableReader(tmp_path)
    path = put("a\n1\n")

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="may not be read"):
        read_table(path)


def test_a_huge_cell_is_refused_in_bounded_memory(put):
    with pytest.raises(DataError, match="a cell larger than 16 MiB"):
        TableReader(put('a,b\n1,"' + "x" * (40 << 20) + '"\n'))


def test_a_file_that_changes_meanwhile_is_told(put):
    path = put("a,b\n" + "1,x\n" * 10)
    with TableReader(path, 2) as reader:
        chunks = reader.chunks()
        next(chunks)
        path.write_text("a,b\n1,y\n")
        with pytest.raises(DataError, match="was changed while it was being read"):
            list(chunks)


def test_wide_tables_have_shorter_chunks(tmp_path):
    path = tmp_path / "wide.parquet"
    pd.DataFrame(np.zeros((5000, 1000))).rename(columns=str).to_parquet(path)
    with TableReader(path) as reader:
        assert len(next(iter(reader))) <= 2**21 // 1000


CELLS = [
    *("1", "-3", "007", "+5", "2.5", "2,5", "1,234", "1e5", "1.50", "inf", "12345678901234567890", "+49123"),
    *("NA", "", "?", " ", " 4 ", "None", "True", "False", "true"),
    *("x", "é", "a b", 'say "y"', "two\nlines", "a;b"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.lists(st.lists(st.sampled_from(CELLS), min_size=6, max_size=6), min_size=1, max_size=3),
    delimiter=st.sampled_from(",;\t"),
    newline=st.sampled_from(["\n", "\r\n"]),
    read_chars=st.sampled_from([7, 30, 10**6]),
    rows=st.sampled_from([1, 4, 100]),
)
@example(columns=[["1", "1", "1", "1,234", "007", "1e5"]], delimiter=",", newline="\n", read_chars=7, rows=1)
@example(columns=[["1", "1", "1", "1e5", "$5", "7"]], delimiter=",", newline="\n", read_chars=7, rows=1)
def test_any_csv_in_chunks_is_the_table_and_its_copy_too(tmp_path, columns, delimiter, newline, read_chars, rows):
    source = tmp_path / "t.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=newline)
        writer.writerows([[f"c{i}" for i in range(len(columns))], *zip(*columns, strict=True)])
    try:
        expected = read_table(source)[0]
    except DataError:
        with pytest.raises(DataError):
            TableReader(source)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gantools.data.tables.csv, "_READ_CHARS", read_chars)
        assert_chunks_are(source, rows, expected)
        back = read_table(copied(source, tmp_path / "copy.csv", rows))[0]
    pd.testing.assert_frame_equal(back[expected.columns], expected)


# --- samples ---


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_sample_is_of_the_whole_table(tmp_path, name):
    """As many rows as asked for, each at most once, in order, from everywhere, and the same for the same seed."""
    path = tmp_path / name
    frame = pd.DataFrame({"row": range(1000), "kind": pd.Categorical(["a", "b"] * 500)})
    frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path, row_group_size=170)
    with TableReader(path, 60) as reader:
        one, same, other = (reader.sample(400, seed)["row"].to_numpy() for seed in (0, 0, 1))
        everything = reader.sample(5000)
    assert len(one) == 400 and (np.diff(one) > 0).all()
    assert (one == same).all() and set(one) != set(other)
    counts = np.histogram(one, 4, (0, 1000))[0]
    assert counts.min() > 75
    pd.testing.assert_frame_equal(everything, read_table(path)[0], check_index_type=False)


# --- writing ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.csv.zip"])
def test_csv_rows_are_copied_to_the_letter(put, tmp_path, encoding, name, read_chars):
    rows = ["0;Köln ; 2,50", '"a;b";"say ""x""\r\nand y";2,5', "7;;", "08;NA;1e3"]
    path = put("\r\n".join(["n;Ort;x", *rows, "", ""]).encode(encoding))
    copied(path, tmp_path / name, rows=2)
    text = decompressed(tmp_path / name, {".gz": "gzip", ".zip": "zip"}.get(Path(name).suffix, ""))
    tails = ['0;True;"row 0, ""odd"""', "0,125;False;", "0,25;False;", '0,375;True;"row 3, ""odd"""']
    expected = ["n;Ort;x;anomaly_score;is_anomaly;reason", *(f"{r};{t}" for r, t in zip(rows, tails, strict=True)), ""]
    assert text.read().decode(encoding) == "\r\n".join(expected)


def test_added_text_that_the_encoding_lacks(put, tmp_path):
    path = put("Ort,n\nKöln,1\nBern,2\n".encode("cp1252"))
    with TableReader(path) as reader, TableWriter(tmp_path / "o.csv", reader, {"reason": "text"}) as writer:
        for chunk in reader.chunks():
            writer.write(chunk, pd.DataFrame({"reason": ["→ far", "b"]}))
    assert (tmp_path / "o.csv").read_bytes().decode("cp1252") == "Ort,n,reason\nKöln,1,? far\nBern,2,b\n"


@pytest.mark.parametrize("compression", ["snappy", "zstd", None])
def test_parquet_columns_are_copied_with_their_types(tmp_path, compression):
    source, out = tmp_path / "t.parquet", tmp_path / "o.parquet"
    frame = frame_of_everything()
    frame.to_parquet(source, row_group_size=11, compression=compression)
    copied(source, out, rows=7)
    back = read_table(out)[0]
    pd.testing.assert_frame_equal(back[frame.columns], read_table(source)[0])
    assert list(back.columns) == [*frame.columns, *ADDED]
    pd.testing.assert_frame_equal(
        back[list(ADDED)].astype({"reason": object}), added_to(frame), check_dtype=False, check_exact=True
    )
    assert pq.read_schema(out).remove_metadata().names[:3] == list(frame.columns[:3])
    assert [field.type for field in pq.read_schema(out)][: len(frame.columns)] == [
        field.type for field in pq.read_schema(source)
    ]
    assert read_table(out)[1].compression == (compression or "")


def test_csv_to_parquet_and_back(put, tmp_path):
    """Types are those of the whole file in each chunk, also where a chunk has nothing but missing cells."""
    path = put("a,b,c,d\n1,x,True,\n2,,False,\n3,,,\n,,,\n5,y,True,1.5\n")
    frame = read_table(path)[0]
    parquet = copied(path, tmp_path / "o.parquet", rows=2)
    back = read_table(parquet)[0]
    pd.testing.assert_frame_equal(back[frame.columns].fillna(value=np.nan), frame.fillna(value=np.nan))
    with TableReader(parquet, 2) as reader, TableWriter(tmp_path / "o.csv", reader, {"more": "number"}) as writer:
        for chunk in reader.chunks():
            writer.write(chunk, pd.DataFrame({"more": chunk.frame.index / 3}))
    told = (tmp_path / "o.csv").read_text().splitlines()
    assert told[0] == "a,b,c,d,anomaly_score,is_anomaly,reason,more"
    assert told[2] == "2,,False,,0.125,False,,0.333333"
    pd.testing.assert_frame_equal(read_table(tmp_path / "o.csv")[0][frame.columns], frame)


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz", "o.parquet"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, DataError("bad")])
def test_a_failure_leaves_the_old_file_and_nothing_else(put, tmp_path, name, error):
    """The error itself comes through: it is not about writing."""
    path = put("a,b\n1,x\n2,y\n3,z\n")
    out = tmp_path / name
    out.write_text("old")
    before = sorted(tmp_path.iterdir())

    def fail():
        with TableReader(path, 1) as reader, TableWriter(out, reader, ADDED) as writer:
            for chunk in reader.chunks():
                writer.write(chunk, added_to(chunk.frame))
                raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        fail()
    assert sorted(tmp_path.iterdir()) == before
    assert out.read_text() == "old"


def test_names_that_the_table_has_already_are_refused(put, tmp_path):
    with TableReader(put("a,reason\n1,x\n")) as reader, pytest.raises(DataError, match="called 'reason'"):
        TableWriter(tmp_path / "o.csv", reader, ADDED)


def test_folders_that_are_not_there(put, tmp_path):
    reader = TableReader(put("a,b\n1,x\n"))
    with pytest.raises(DataError, match="its folder does not exist"), TableWriter(tmp_path / "no" / "o", reader, {}):
        pass


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_memory_does_not_grow_with_the_table(tmp_path, name):
    """3 million rows, in one row group of Parquet, pass through in less than 500 MiB."""
    path, out = tmp_path / name, tmp_path / f"out{Path(name).suffix}"
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(3_000_000, 10))).rename(columns=str).round(3)
    frame.to_csv(path, index=False) if name == "t.csv" else frame.to_parquet(path, row_group_size=3_000_000)
    code = (
        "from pathlib import Path\n"
        "from gantools.data.tables import TableReader, TableWriter\n"
        "import pandas as pd\n"
        f"with TableReader({str(path)!r}) as r, TableWriter({str(out)!r}, r, {{'s': 'number'}}) as w:\n"
        "    for c in r.chunks(): w.write(c, pd.DataFrame({'s': c.frame.iloc[:, 0]}))\n"
        "    n = len(r.sample(1000))\n"
        "print(n, Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    n, peak = map(int, done.stdout.split())
    assert n == 1000
    assert peak < 500 * 1024  # KiB
