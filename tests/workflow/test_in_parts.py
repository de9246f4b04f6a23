"""A folder of parts is whole or not there, and goes on; processes and Ray find what one process finds."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gantools.errors import ConfigError, DataError, WorkerError
from gantools.workflow.in_parts import InParts, collected
from gantools.workflow.workers import done

ASKED = {"n": 3}
NAMES = {"a.csv", "b.csv"}
FRESH, RESUME = InParts(), InParts(resume=True)


def put(folder: Path, name: str = "a.csv") -> None:
    (folder / name).write_text("x\n1\n")


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def test_it_is_there_when_all_parts_are(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with collected(out, ASKED, NAMES, FRESH, force=False) as folder:
        put(folder)
        assert not out.exists()
    assert names(out) == {"a.csv", "_asked.json", "_SUCCESS"} and names(tmp_path) == {"out"}


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with collected(tmp_path / "out", ASKED, NAMES, FRESH, force=False) as folder:
            put(folder)
            raise DataError("is broken")

    with pytest.raises(DataError):
        fail()
    assert not names(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, WorkerError("a worker died")])
def test_an_interruption_leaves_parts_to_go_on_with(tmp_path: Path, error: BaseException) -> None:
    out = tmp_path / "out"
    put_before = out / "a.csv"
    out.mkdir()
    put(out)

    def interrupted() -> None:
        with collected(out, ASKED, NAMES, FRESH, force=True) as folder:
            put(folder, "b.csv")
            raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):  # type: ignore[arg-type]
        interrupted()
    assert put_before.is_file() and names(out) == {"a.csv"}  # what stood there is not lost

    with (
        pytest.raises(ConfigError, match="not begun with the same"),
        collected(out, {"n": 4}, NAMES, RESUME, force=False),
    ):
        pass
    with collected(out, ASKED, NAMES, RESUME, force=False) as folder:
        assert names(folder) == {"b.csv", "_asked.json"}
    assert names(out) == {"b.csv", "_asked.json", "_SUCCESS"} and names(tmp_path) == {"out"}
    with collected(out, ASKED, NAMES, RESUME, force=False) as folder:  # nothing is left to do
        assert folder == out


def test_what_may_not_be_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    put(out, "notes.txt")
    for force, message in ((False, "is not empty"), (True, "files that are not parts")):
        with pytest.raises(ConfigError, match=message), collected(out, ASKED, NAMES, FRESH, force=force):
            pass
    with pytest.raises(ConfigError, match="is a file"), collected(out / "notes.txt", ASKED, NAMES, FRESH, force=True):
        pass
    assert names(tmp_path) == {"out"}


def begin(factor: int) -> Callable[[int], int]:
    return partial(work, factor)


def work(factor: int, job: int) -> int:
    if job < 0:
        raise DataError("is negative", where=f"job {job}", remedy="give another")
    if job == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return factor * job


HOW = [
    FRESH,
    InParts(workers=2),
    pytest.param(
        InParts(workers=2, engine="ray"),
        marks=pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray"),
    ),
]


@pytest.mark.parametrize("how", HOW)
def test_whoever_does_it(how: InParts) -> None:
    asked = how.engine, how.workers
    assert list(done(partial(begin, 10), range(7), *asked)) == [0, 10, 20, 30, 40, 50, 60]
    assert list(done(partial(begin, 10), [], *asked)) == []
    with pytest.raises(DataError, match="job -1: is negative; give another"):
        list(done(partial(begin, 10), [1, -1, 2], *asked))


def test_a_worker_that_dies() -> None:
    with pytest.raises(WorkerError, match="a worker died; go on with `resume`"):
        list(done(partial(begin, 10), [1, 13, 2], workers=2))


def test_what_has_no_meaning() -> None:
    for how, name in ((RESUME, "resume"), (InParts(workers=2), "workers"), (InParts(engine="ray"), "engine")):
        with pytest.raises(ConfigError, match=f"{name}: has no effect on one file; leave it out"):
            how.check_engine(are_parts=False, otherwise="on one file")
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        InParts(workers=0).check_engine(are_parts=True, otherwise="")
