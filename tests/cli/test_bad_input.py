"""Bad input through the command line: exit code 2, one line that names what is wrong, and nothing written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from .conftest import QUICK, Invoke, the_error

Table = Callable[..., pd.DataFrame]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder; what a command leaves there is what it wrote."""
    made = tmp_path / "work"
    made.mkdir()
    return made


def refused(invoke: Invoke, data: Path, *names: str, target: str = "churned", also: tuple[str, ...] = ()) -> str:
    """`augment` refuses `data`, naming each of `names`, and leaves its folder as it was. Returns the line."""
    before = contents(data.parent)
    line = the_error(invoke("augment", data, "--target", target, *QUICK, "--no-verdict", *also))
    for name in names:
        assert name in line, line
    assert contents(data.parent) == before
    return line


def not_scored(invoke: Invoke, data: Path, *names: str, also: tuple[object, ...] = QUICK) -> str:
    """The same for `score`."""
    before = contents(data.parent)
    line = the_error(invoke("score", data, *also))
    for name in names:
        assert name in line, line
    assert contents(data.parent) == before
    return line


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below the folder with its size and time of change."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


# Files ----------------------------------------------------------------------------------------------------------------


def test_no_such_file(invoke: Invoke, folder: Path) -> None:
    refused(invoke, folder / "absent.csv", "absent.csv")


def test_a_folder_without_a_table(invoke: Invoke, folder: Path) -> None:
    (folder / "sub").mkdir()
    refused(invoke, folder / "sub", "sub")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("blank.csv", b"\n\n\n"),
        ("header.csv", b"a,b,churned\n"),
        ("binary.csv", bytes(range(256)) * 40),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + b"\0" * 500),
        ("broken.parquet", b"PAR1" + b"\0" * 100 + b"PAR1"),
        ("text.parquet", b"a,churned\n1,yes\n"),
        ("empty.parquet", b""),
        ("broken.csv.gz", b"\x1f\x8b\x08\0 not gzip at all"),
        ("wide.csv", b"a,churned\n1,yes\n2,no\n3,4,5,6,no\n"),
        ("cut.csv", "a,churned\n1,ja\n2,nein\n".encode("utf-16")[:-1]),
        ("open_quote.csv", b'a,churned\n1,"yes\n2,no\n3,no\n'),
        ("twice.csv", b"a,a,churned\n1,2,yes\n3,4,no\n"),
        ("unnamed.csv", b"a,,churned\n1,2,yes\n3,4,no\n"),
    ],
)
def test_files_that_are_not_tables(invoke: Invoke, folder: Path, name: str, content: bytes) -> None:
    """Empty, binary, broken, in the wrong encoding, with torn rows or a header that cannot be: the file is named."""
    path = folder / name
    path.write_bytes(content)
    refused(invoke, path, name)
    not_scored(invoke, path, name)
    path.with_name("good.csv").write_text("a,b\n" + "1,2\n3,5\n" * 30)
    not_scored(invoke, path.with_name("good.csv"), name, also=("--train", path))


def test_duplicate_columns_are_named(invoke: Invoke, folder: Path) -> None:
    path = folder / "twice.csv"
    path.write_text("age,size,age,churned\n1,2,3,yes\n4,5,6,no\n")
    refused(invoke, path, "twice.csv", "age")


def test_the_torn_row_is_named(invoke: Invoke, folder: Path) -> None:
    path = folder / "torn.csv"
    path.write_text("a,churned\n1,yes\n2,no\n3,4,5,6,no\n")
    refused(invoke, path, "torn.csv", "4")


def test_a_huge_cell(invoke: Invoke, folder: Path) -> None:
    path = folder / "huge.csv"
    path.write_text('a,churned\n1,yes\n"' + "x" * (20 << 20) + '",no\n')
    refused(invoke, path, "huge.csv")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
def test_a_cell_of_a_gigabyte_does_not_exhaust_memory(folder: Path) -> None:
    """Refused with less than 1 GiB of memory used."""
    path = folder / "huge.csv"
    with path.open("w") as file:
        file.write('a,churned\n1,yes\n"')
        for _ in range(1024):
            file.write("x" * (1 << 20))
        file.write('",no\n')
    # Not getrusage: its maximum is inherited from the process that runs the tests.
    code = (
        "from pathlib import Path\nfrom gantools_cli.main import main\n"
        f"try: main(['info', {str(path)!r}])\n"
        "finally: print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "huge.csv" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert int(done.stdout) < 1 << 20  # KiB


def test_a_missing_table_is_told_before_the_slow_imports(folder: Path, customers: Path) -> None:
    """Whether it is the one to score or the one to learn from."""
    for arguments in (["nope.csv"], [str(customers), "--train", "nope.csv"]):
        code = (
            "import sys\nfrom gantools_cli.main import main\n"
            f"try: main(['score', *{arguments!r}])\nfinally: print('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=folder)
        assert done.returncode == 2, done.stderr
        assert "nope.csv: does not exist" in done.stderr
        assert done.stdout == "False\n"


# Tables ---------------------------------------------------------------------------------------------------------------


def saved(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "customers.csv"
    frame.to_csv(path, index=False)
    return path


def test_target_absent(invoke: Invoke, folder: Path, make_table: Table) -> None:
    line = refused(invoke, saved(make_table(), folder), "customers.csv", "churnd", target="churnd")
    assert "'churned'" in line


@pytest.mark.parametrize("command", ["augment", "train", "score"])
def test_a_wrong_column_is_told_before_a_place_that_exists(
    invoke: Invoke, customers: Path, tmp_path: Path, command: str
) -> None:
    """And before the slow imports."""
    place = tmp_path / "there"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    (tmp_path / "out.csv").write_text("mine")
    places = ("--save", place) if command == "train" else ("--save", place, "-o", tmp_path / "out.csv")
    target = ("--labels",) if command == "score" else ("--target",)
    wrong: list[tuple[tuple[str, ...], str]] = [
        ((*target, "churnd"), "'churned'"),
        ((*target, "churned", "--drop", "agee"), "did you mean 'age'"),
        ((*target, "churned", "--kind", "agee=integer"), "did you mean 'age'"),
        ((*target, "churned", "--kind", "age=intger"), "did you mean 'integer'"),
    ]
    for options, said in wrong:
        line = the_error(invoke(command, customers, *options, *places))
        assert said in line and "there" not in line.replace("there is no", ""), line
    assert "exists already" in the_error(invoke(command, customers, *target, "churned", *places)) or command == "train"


@pytest.mark.parametrize("values", ["no", 1, True])
def test_one_class(invoke: Invoke, folder: Path, make_table: Table, values: object) -> None:
    refused(invoke, saved(make_table().assign(churned=values), folder), "customers.csv", "churned")


def test_target_all_missing(invoke: Invoke, folder: Path, make_table: Table) -> None:
    refused(invoke, saved(make_table().assign(churned=None), folder), "customers.csv", "churned")


def test_target_all_distinct(invoke: Invoke, folder: Path, make_table: Table) -> None:
    frame = make_table()
    frame["churned"] = [f"customer {index}" for index in range(len(frame))]
    refused(invoke, saved(frame, folder), "customers.csv", "churned")


def test_target_is_a_measurement(invoke: Invoke, folder: Path, make_table: Table, rng: np.random.Generator) -> None:
    frame = make_table()
    frame["churned"] = rng.normal(size=len(frame))
    refused(invoke, saved(frame, folder), "customers.csv", "churned")


def test_nothing_but_the_target(invoke: Invoke, folder: Path, make_table: Table) -> None:
    refused(invoke, saved(make_table()[["churned"]], folder), "customers.csv")


def test_missing_everywhere(invoke: Invoke, folder: Path, make_table: Table) -> None:
    """No feature has a single value: there is nothing to learn."""
    frame = make_table()
    frame[[name for name in frame.columns if name != "churned"]] = None
    refused(invoke, saved(frame, folder), "customers.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_everywhere(invoke: Invoke, folder: Path, make_table: Table, suffix: str, value: float) -> None:
    path = folder / f"customers.{suffix}"
    frame = make_table().assign(income=value)
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    refused(invoke, path, path.name, "income")


def test_the_mark_is_there_already(invoke: Invoke, folder: Path, make_table: Table) -> None:
    """A table that was balanced before: its synthetic rows must not be taken for real ones."""
    refused(invoke, saved(make_table().assign(is_synthetic=False), folder), "customers.csv", "is_synthetic")


# Tables to be scored --------------------------------------------------------------------------------------------------


def test_a_table_that_was_scored_before(invoke: Invoke, folder: Path, make_table: Table, scorer: Path) -> None:
    data = saved(make_table().assign(p_value=0.5), folder)
    not_scored(invoke, data, "customers.csv", "'p_value'", "drop or rename")
    not_scored(invoke, data, "customers.csv", "'p_value'", also=("--from", scorer))


def test_another_table_than_the_scorer_knows(invoke: Invoke, folder: Path, make_table: Table, scorer: Path) -> None:
    """A column that is lacking, or holds something else, is named."""
    data = saved(make_table().drop(columns="income"), folder)
    not_scored(invoke, data, "customers.csv", "'income'", also=("--from", scorer))
    data = saved(make_table().assign(income="plenty"), folder)
    not_scored(invoke, data, "customers.csv", "'income'", also=("--from", scorer))


def test_another_table_than_the_training_table(invoke: Invoke, folder: Path, make_table: Table) -> None:
    normal = folder / "normal.csv"
    make_table().to_csv(normal, index=False)
    data = saved(make_table().drop(columns=["income", "city"]), folder)
    not_scored(invoke, data, "customers.csv", "'income'", "'city'", "normal.csv", also=(*QUICK, "--train", normal))
    data = saved(make_table().assign(income="plenty"), folder)
    not_scored(invoke, data, "customers.csv", "'income'", also=(*QUICK, "--train", normal))


def test_a_column_of_labels_that_is_none(invoke: Invoke, folder: Path, make_table: Table) -> None:
    data = saved(make_table(), folder)
    not_scored(invoke, data, "customers.csv", "did you mean 'churned'", also=(*QUICK, "--labels", "churnd"))
    not_scored(invoke, data, "customers.csv", "'city'", "write 1", also=(*QUICK, "--labels", "city"))


def test_outputs_of_score_are_not_its_inputs(invoke: Invoke, folder: Path, make_table: Table) -> None:
    data, normal = saved(make_table(), folder), folder / "normal.csv"
    make_table().to_csv(normal, index=False)
    for path in (data, normal):
        also = (*QUICK, "--train", normal, "--force")
        not_scored(invoke, data, "--output", also=(*also, "-o", path))
        not_scored(invoke, data, "--report", also=(*also, "--report", path))


def test_a_checkpoint_of_the_other_kind(
    invoke: Invoke, folder: Path, make_table: Table, generator: Path, scorer: Path
) -> None:
    data = saved(make_table(), folder)
    not_scored(invoke, data, "holds a generator, not a scorer", also=("--from", generator))
    line = the_error(invoke("augment", data, "--target", "churned", "--from", scorer))
    assert "holds a scorer, not a generator" in line and "gantools score --from" in line
    assert "holds a scorer" in the_error(invoke("generate", scorer, "-n", "3", "-o", folder / "x.csv"))
    assert list(folder.iterdir()) == [data]


@pytest.mark.parametrize("spoilt", ["config.json", "schema.json", "weights.safetensors"])
def test_a_scorer_with_a_spoilt_file(
    invoke: Invoke, folder: Path, make_table: Table, scorer: Path, tmp_path: Path, spoilt: str
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in scorer.iterdir():
        (copy / path.name).write_bytes(path.read_bytes() if path.name != spoilt else b"\0noise")
    line = not_scored(invoke, saved(make_table(), folder), also=("--from", copy))
    assert str(copy) in line or spoilt in line


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--model", "denoisr"), ("--model", "denoiser")),
        (("--model", "tabular"), ("--model", "denoiser")),
        (("--set", "width"), ("--set", "key=value")),
        (("--set", "no_such_option=3"), ("no_such_option",)),
        (("--device", "tpu"), ("--device",)),
        (("--kind", "shoe=integer"), ("shoe",)),
    ],
)
def test_option_values_of_score(
    invoke: Invoke, folder: Path, make_table: Table, option: tuple[str, ...], named: tuple[str, ...]
) -> None:
    not_scored(invoke, saved(make_table(), folder), *named, also=(*QUICK, *option))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.csv.gz"])
def test_disk_full_while_scoring(
    invoke: Invoke, folder: Path, make_table: Table, scorer: Path, tmp_path: Path, name: str
) -> None:
    """The half-written table is removed, and an older one stays as it was; the output is named, not the input."""
    data, out = tmp_path / "many.csv", folder / name
    make_table(20_000, 2000).to_csv(data, index=False)
    out.write_text("older")
    with files_no_larger_than(20_000):
        line = the_error(invoke("score", data, "--from", scorer, "-o", out, "--force"))
    assert name in line and "many.csv" not in line
    assert [path.name for path in folder.iterdir()] == [name]
    assert out.read_text() == "older"


# Options --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--strategy", "minorty"), ("--strategy", "minority")),
        (("--strategy", "-0.5"), ("--strategy",)),
        (("--strategy", "nan"), ("--strategy",)),
        (("--strategy", '{"yes": 500'), ("--strategy",)),
        (("--strategy", '{"maybe": 500}'), ("maybe",)),
        (("--strategy", '{"yes": 3}'), ("yes",)),
        (("--strategy", '{"yes": "many"}'), ("--strategy",)),
        (("--strategy", "0.1"), ("--strategy",)),
        (("--strategy", '{"yes": 24}'), ("--strategy",)),
        (("--model", "tabula"), ("--model", "tabular")),
        (("--set", "width"), ("--set", "key=value")),
        (("--set", "no_such_option=3"), ("no_such_option",)),
        (("--device", "tpu"), ("--device",)),
        (("--kind", "age=number"), ("--kind", "integer")),
        (("--kind", "shoe=integer"), ("shoe",)),
        (("--kind", "city=integer"), ("city",)),
        (("--kind", "churned=continuous"), ("churned",)),
    ],
)
def test_option_values(
    invoke: Invoke, folder: Path, make_table: Table, option: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """An unknown value names its option and the nearest known one."""
    refused(invoke, saved(make_table(), folder), *named, also=option)


def test_a_device_that_is_not_there(invoke: Invoke, folder: Path, make_table: Table) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    refused(invoke, saved(make_table(), folder), "--device", also=("--device", "cuda"))


def test_no_generator_in_the_folder(invoke: Invoke, folder: Path, make_table: Table) -> None:
    data = saved(make_table(), folder)
    (folder / "hollow").mkdir()
    for name in ("absent", "hollow", "customers.csv"):
        assert name in the_error(invoke("augment", data, "--target", "churned", "--from", folder / name))
        assert name in the_error(invoke("generate", folder / name, "-n", "3", "-o", folder / "x.csv"))
    assert "hollow" in the_error(invoke("info", folder / "hollow"))
    assert sorted(path.name for path in folder.iterdir()) == ["customers.csv", "hollow"]


@pytest.mark.parametrize("spoilt", ["config.json", "schema.json", "weights.safetensors"])
def test_a_generator_with_a_spoilt_file(invoke: Invoke, folder: Path, generator: Path, spoilt: str) -> None:
    """Each file of a checkpoint, overwritten with noise: the folder or the file is named."""
    copy = folder / "copy"
    copy.mkdir()
    for path in generator.iterdir():
        (copy / path.name).write_bytes(path.read_bytes() if path.name != spoilt else b"\0noise")
    line = the_error(invoke("generate", copy, "-n", "3", "-o", folder / "x.csv"))
    assert str(copy) in line or spoilt in line
    assert not (folder / "x.csv").exists()


def test_the_generator_is_of_another_table(invoke: Invoke, folder: Path, generator: Path) -> None:
    path = folder / "other.csv"
    pd.DataFrame({"x": range(20), "churned": ["yes", "no", "no", "no"] * 5}).to_csv(path, index=False)
    line = the_error(invoke("augment", path, "--target", "churned", "--from", generator))
    assert "other.csv" in line
    assert list(folder.iterdir()) == [path]


def test_the_generator_is_of_another_target(invoke: Invoke, customers: Path, generator: Path) -> None:
    assert "city" in the_error(invoke("augment", customers, "--target", "city", "--from", generator))


# Where output goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-o", "--report", "--save"])
def test_output_folder_does_not_exist(invoke: Invoke, folder: Path, make_table: Table, option: str) -> None:
    refused(invoke, saved(make_table(), folder), "nowhere", also=(option, str(folder / "nowhere" / "x.csv")))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, which nobody may write to")
@pytest.mark.parametrize("option", ["-o", "--report", "--save"])
def test_output_folder_unwritable(invoke: Invoke, folder: Path, make_table: Table, option: str) -> None:
    refused(invoke, saved(make_table(), folder), "/proc", also=(option, "/proc/x.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_read_only(invoke: Invoke, folder: Path, make_table: Table, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(invoke, saved(make_table(), folder), "locked", also=("-o", str(locked / "x.csv")))


def test_output_is_the_input(invoke: Invoke, folder: Path, make_table: Table) -> None:
    data = saved(make_table(), folder)
    refused(invoke, data, "--output", also=("-o", str(data), "--force"))
    refused(invoke, data, "--report", also=("--report", str(data), "--force"))


def test_output_of_an_unknown_kind(invoke: Invoke, folder: Path, make_table: Table) -> None:
    refused(invoke, saved(make_table(), folder), "x.xlsx", also=("-o", str(folder / "x.xlsx")))


@contextmanager
def files_no_larger_than(n_bytes: int) -> Iterator[None]:
    """Writing more to a file fails midway, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.csv.gz"])
def test_disk_full_midway(invoke: Invoke, folder: Path, generator: Path, name: str) -> None:
    """The half-written table is removed, and an older one stays as it was."""
    out = folder / name
    out.write_text("older")
    with files_no_larger_than(20_000):
        result = invoke("generate", generator, "-n", "20000", "-o", out, "--force")
    assert name in the_error(result)
    assert [path.name for path in folder.iterdir()] == [name]
    assert out.read_text() == "older"


def test_disk_full_while_saving(invoke: Invoke, folder: Path, make_table: Table) -> None:
    """No half-written generator is left where the next command would take it for a whole one."""
    data = saved(make_table(), folder)
    with files_no_larger_than(20_000):
        result = invoke("train", data, "--target", "churned", *QUICK, "--save", folder / "made")
    the_error(result)
    assert not (folder / "made" / "config.json").exists() or "made" in the_error(
        invoke("generate", folder / "made", "-n", "3", "-o", folder / "x.csv")
    )


# Ctrl-C ---------------------------------------------------------------------------------------------------------------

# The first news of training sends the signal that Ctrl-C sends. A process started in the background may be deaf to it.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from gantools_cli import show
show.CommandProgress.__call__ = lambda *_: os.kill(os.getpid(), signal.SIGINT)
from gantools_cli.main import main
main(sys.argv[1:])
"""


def interrupted(*arguments: object, code: str = INTERRUPTED) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_ctrl_c_while_augmenting(folder: Path, make_table: Table) -> None:
    data = saved(make_table(), folder)
    also = ("-o", folder / "x.csv", "--report", folder / "r.html", "--save", folder / "made")
    done = interrupted("augment", data, "--target", "churned", "--steps", "5000", "--device", "cpu", *also)
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["Interrupted: nothing was written"]
    assert list(folder.iterdir()) == [data]


@pytest.mark.parametrize("stage", ["Learning", "Scoring"])
def test_ctrl_c_while_scoring(folder: Path, make_table: Table, stage: str) -> None:
    """While learning, and after the first rows were written aside."""
    data = saved(make_table(2000, 100), folder)
    also = ("-o", folder / "x.csv", "--report", folder / "r.html", "--save", folder / "made")
    code = (
        INTERRUPTED
        if stage == "Learning"
        else INTERRUPTED.replace(
            "__call__ = lambda *_: os.kill(os.getpid(), signal.SIGINT)",
            "done = lambda self, stage, *_: stage == 'Scoring' and os.kill(os.getpid(), signal.SIGINT)",
        )
    )
    done = interrupted("score", data, "--steps", "50", "--device", "cpu", *also, code=code)
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["Interrupted: nothing was written"]
    assert list(folder.iterdir()) == [data]


def test_ctrl_c_while_training(invoke: Invoke, folder: Path, make_table: Table) -> None:
    """What is left in the folder, if anything, is a whole checkpoint; --resume goes on."""
    data, save = saved(make_table(), folder), folder / "made"
    arguments = ("train", data, "--target", "churned", "--save", save, "--steps", "300", "--device", "cpu")
    done = interrupted(*arguments)
    assert done.returncode == 130, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Interrupted")
    assert sorted(path.name for path in folder.iterdir()) in (["customers.csv"], ["customers.csv", "made"])
    if save.exists():
        result = invoke(*arguments, "--resume")
        assert result.exit_code == 0, result.output


# What reader libraries throw ------------------------------------------------------------------------------------------


def with_metadata(path: Path, metadata: bytes) -> None:
    table = pa.table({"a": list(range(40)), "churned": ["yes", "no"] * 20})
    pq.write_table(table.replace_schema_metadata({b"pandas": metadata}), path)


@pytest.mark.parametrize(
    "metadata", [b"{not json", b"\xff\xfe", b'{"columns": 5}', b"[1]", b"[" * 20_000, b'{"columns": [{"a": 1}]}']
)
def test_damaged_metadata_of_pandas(invoke: Invoke, folder: Path, metadata: bytes) -> None:
    with_metadata(folder / "t.parquet", metadata)
    refused(invoke, folder / "t.parquet", "t.parquet: has metadata or values that cannot be used")


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([10_000_000] * 40, pa.date32()),  # the year 29349
        pa.array(list(range(40)), pa.timestamp("ns", tz="Mars/Olympus")),
    ],
)
def test_dates_and_zones_that_do_not_exist(invoke: Invoke, folder: Path, cells: pa.Array) -> None:
    pq.write_table(pa.table({"when": cells, "churned": ["yes", "no"] * 20}), folder / "t.parquet")
    not_scored(invoke, folder / "t.parquet", "t.parquet")


def patched(path: Path, *, encrypted: bool = False) -> None:
    """Make a zip file one whose members are encrypted, or compressed in a way that nobody knows."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.index(mark) + place + (0 if encrypted else 2)
        content[start : start + 2] = (1 if encrypted else 99).to_bytes(2, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("encrypted", [True, False])
def test_zips_that_cannot_be_unpacked(invoke: Invoke, folder: Path, make_table: Table, encrypted: bool) -> None:
    with zipfile.ZipFile(folder / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", make_table().to_csv(index=False))
    patched(folder / "t.csv.zip", encrypted=encrypted)
    refused(invoke, folder / "t.csv.zip", "t.csv.zip", "compress it again, without a password")
    np.savez(folder / "i.npz", images=np.zeros((20, 16, 16), np.uint8))
    patched(folder / "i.npz", encrypted=encrypted)
    not_scored(invoke, folder / "i.npz", "i.npz: cannot be read as an .npz file")


@pytest.mark.parametrize("shape", ["(99999999999999999999999, 4, 4)", "(1000000000000, 64, 64)", "(-5, 4, 4)"])
def test_arrays_of_no_size_that_there_is(invoke: Invoke, folder: Path, shape: str) -> None:
    header = f"{{'descr':'|u1','fortran_order':False,'shape':{shape}}}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    with zipfile.ZipFile(folder / "i.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    not_scored(invoke, folder / "i.npz", "i.npz: cannot be read as an .npz file")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_pipes_and_loops_of_links(invoke: Invoke, folder: Path, customers: Path) -> None:
    for name in ("p.npz", "p.csv", "p.parquet", "p.onnx"):
        os.mkfifo(folder / name)
        (folder / f"loop{name[1:]}").symlink_to(f"loop{name[1:]}")
    (folder / "loop").symlink_to("loop")
    for name in ("p.npz", "p.csv", "p.parquet"):
        not_scored_pipe = the_error(invoke("score", folder / name, *QUICK))
        assert f"{name}: is not a regular file" in not_scored_pipe
        assert f"loop{name[1:]}" in the_error(invoke("score", folder / f"loop{name[1:]}", *QUICK))
    for name, said in (("p.onnx", "is not a regular file"), ("loop.onnx", "there is no such file")):
        assert said in the_error(invoke("score", customers, "--onnx", folder / name))
        assert said in the_error(invoke("info", folder / name))
    assert "is not a saved model" in the_error(invoke("score", customers, "--from", folder / "loop"))


def test_names_that_are_no_text(invoke: Invoke, tmp_path: Path) -> None:
    """They are shown with a mark for what cannot be read of them."""
    images = tmp_path / os.fsdecode(b"photos\xff")
    for label in (b"yes\xfe", b"no"):
        (images / os.fsdecode(label)).mkdir(parents=True)
        for k in range(4):
            Image.fromarray(np.full((16, 16), 40 * k, np.uint8)).save(images / os.fsdecode(label) / f"{k}.png")
    for also in ((), ("--json",)):
        result = invoke("info", images, *also)
        assert result.exit_code == 0, result.output
        assert "yes\ufffd" in result.stdout
    assert "photos\ufffd" in the_error(invoke("score", images, *QUICK))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", f"width={10**20}"), "width: must not be larger than 1,000,000"),
        (("--set", "width=Infinity"), "width:"),
        (("--set", "width=500000"), "a model of this size would take"),
        (("--set", "n_folds=100000"), "n_folds"),
        (("--device", f"cuda:{10**20}"), "--device"),
        (("--steps", 10**20), "--steps"),
        (("--budget", "9" * 30 + "h"), "--budget"),
        (("--devices", 10**20), "--devices"),
        (("--seed", 10**20), "--seed"),
    ],
)
def test_numbers_that_nobody_means(invoke: Invoke, customers: Path, options: tuple[object, ...], said: str) -> None:
    line = not_scored(invoke, customers, also=(*QUICK, *options))
    assert said in line


def test_more_rows_than_memory_holds(invoke: Invoke, customers: Path, generator: Path, tmp_path: Path) -> None:
    line = the_error(invoke("generate", generator, "-n", 10**15, "-o", tmp_path / "out.csv"))
    assert "--rows: 1,000,000,000,000,000 rows would take" in line and "ask for less" in line
    refused(invoke, customers, "--strategy", "would take", also=("--strategy", f'{{"yes": {10**15}}}'))
    refused(invoke, customers, "--strategy", "below 2**63", also=("--strategy", f'{{"yes": {10**20}}}'))
