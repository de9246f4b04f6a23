"""Files and folders are whole or not there, whatever stood there before and whoever was killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gantools.errors import CheckpointError, ConfigError, DataError, ExportError
from gantools.files import claim, read_folder, whole_folder, write_file, write_folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, text: str) -> None:
    with write_folder(folder) as part:
        (part / "deep").mkdir()
        (part / "deep" / "a.txt").write_text(text)


def held(folder: Path) -> str:
    return (folder / "deep" / "a.txt").read_text()


@pytest.mark.parametrize("stands", [False, True])
def test_a_file_takes_its_place_when_the_block_ends(tmp_path: Path, stands: bool) -> None:
    path = tmp_path / "a.bin"
    if stands:
        path.write_bytes(b"old")
    with write_file(path) as file:
        file.write(b"new")
        assert path.exists() == stands
    assert path.read_bytes() == b"new" and names_in(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("stands", [False, True])
def test_a_folder_takes_its_place_when_the_block_ends(tmp_path: Path, stands: bool) -> None:
    path = tmp_path / "run"
    if stands:
        fill(path, "old")
        (path / "more.txt").touch()
    fill(path, "new")
    assert held(path) == "new" and names_in(path) == ["deep"] and names_in(tmp_path) == ["run"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(errno.ENOSPC, "No space left on device")])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path, error: Any) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    fill(tmp_path / "run", "old")
    expected = DataError if isinstance(error, OSError) else error

    def fail_in_file() -> None:
        with write_file(tmp_path / "a.bin") as file:
            file.write(b"half")
            raise error

    def fail_in_folder() -> None:
        with write_folder(tmp_path / "run") as part:
            (part / "half").touch()
            raise error

    for fail in (fail_in_file, fail_in_folder):
        with pytest.raises(expected):
            fail()
    assert (tmp_path / "a.bin").read_bytes() == b"old" and held(tmp_path / "run") == "old"
    assert names_in(tmp_path) == ["a.bin", "run"]


@pytest.mark.parametrize("write", [write_file, write_folder])
@pytest.mark.parametrize("error", [DataError, ExportError, CheckpointError])
def test_errors_are_the_callers(tmp_path: Path, write: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="its folder does not exist; create it or choose another place"):
        write(tmp_path / "no" / "x", error).__enter__()
    with pytest.raises(error, match=r"no space left.*free some"), write(tmp_path / "x", error):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(error, match="may not be written to"), write(tmp_path / "x", error):
        raise PermissionError(errno.EACCES, "Permission denied")
    with write(tmp_path / "made" / "for" / "it", error, parents=True):
        pass
    assert (tmp_path / "made" / "for" / "it").exists()


def test_a_file_is_no_folder_nor_a_folder_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").touch()
    with pytest.raises(DataError, match="is a folder"):
        write_file(tmp_path).__enter__()
    with pytest.raises(DataError, match="is a file"):
        write_folder(tmp_path / "a.bin").__enter__()


def test_an_error_about_a_file_inside_names_its_later_place(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught, write_folder(tmp_path / "run") as part:
        raise ExportError("is odd", where=str(part / "a.txt"), remedy="mend it")
    assert str(caught.value) == f"{tmp_path / 'run' / 'a.txt'}: is odd; mend it"


def test_links_stay_links(tmp_path: Path) -> None:
    fill(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    fill(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and held(tmp_path / "real") == "new"


def test_everything_reaches_the_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with write_folder(tmp_path / "run") as part:
        (part / "deep").mkdir()
        (part / "deep" / "a.txt").write_text("x")
        inside = {path.stat().st_ino for path in [part, *part.rglob("*")]}
    assert inside < set(synced)
    with write_file(tmp_path / "a.bin") as file:
        inode = os.fstat(file.fileno()).st_ino
    assert inode in synced


def test_killed_between_the_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last whole folder is found, and put back by the next writer even when that fails."""
    path = tmp_path / "run"
    fill(path, "first")
    code = """if True:
        import os, sys
        from pathlib import Path
        from gantools.files import write_folder
        with write_folder(sys.argv[1]) as part:
            replace = Path.replace
            Path.replace = lambda self, to: os._exit(9) if self == part else replace(self, to)
    """
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert done.returncode == 9 and not path.exists()
    assert held(whole_folder(path)) == "first"
    with pytest.raises(KeyError), write_folder(path):
        raise KeyError
    assert held(path) == "first" and whole_folder(path) == path
    fill(path, "second")
    assert held(path) == "second" and names_in(tmp_path) == ["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
@pytest.mark.parametrize("writer", ["write_file", "write_folder"])
def test_what_a_killed_process_left_is_removed_by_the_next_and_what_another_writes_is_not(
    tmp_path: Path, writer: str
) -> None:
    code = f"""if True:
        import sys
        from gantools.files import {writer}
        with {writer}(sys.argv[1]):
            print("writes", flush=True)
            sys.stdin.read()
    """
    write: Any = {"write_file": write_file, "write_folder": write_folder}[writer]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "x")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        with write(tmp_path / "x"):
            pass
        assert len(names_in(tmp_path)) == 2
        other.kill()
        other.wait(60)
    with write(tmp_path / "x"):
        pass
    assert names_in(tmp_path) == ["x"]


REWRITE = """if True:
    import sys
    from gantools.files import write_folder
    name, n = sys.argv[2], int(sys.argv[3])
    for _ in range(n):
        with write_folder(sys.argv[1]) as part:
            for file in "abc":
                (part / file).write_text(name)
"""


def test_a_folder_that_several_replace_at_once_is_always_one_of_theirs(tmp_path: Path) -> None:
    """Whoever reads it meanwhile gets all of its files from one writing, too."""
    path = tmp_path / "run"
    writers = [
        subprocess.Popen([sys.executable, "-c", REWRITE, str(path), name, "60"], stderr=subprocess.PIPE)
        for name in ("first", "second")
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if whole_folder(path).exists():
            seen.add(tuple(read_folder(path, lambda place: [(place / file).read_text() for file in "abc"])))
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 2
    assert seen <= {("first",) * 3, ("second",) * 3} and seen
    assert names_in(tmp_path) == ["run"]


def test_what_is_wrong_with_a_folder_that_stays_is_raised_at_once(tmp_path: Path) -> None:
    fill(tmp_path / "run", "text")
    tries = []

    def read(place: Path) -> None:
        tries.append(place)
        raise CheckpointError("is broken")

    with pytest.raises(CheckpointError, match="is broken"):
        read_folder(tmp_path / "run", read)
    assert len(tries) == 1
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "none", held)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_place_is_claimed_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "run"
    code = """if True:
        import sys
        from pathlib import Path
        from gantools.files import claim
        with claim(Path(sys.argv[1]), "save"):
            print("claims", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        said = f"save: process {other.pid} is writing to {path}; wait until it is done, or give another name"
        with pytest.raises(ConfigError) as caught, claim(path, "save"):
            pass
        assert str(caught.value) == said
        with claim(tmp_path / "other", "save"), claim(None, "save"):
            pass
        other.kill()
        other.wait(60)
    assert names_in(tmp_path) == [".run.lock"]
    with claim(path, "save"):
        fill(path, "text")
    assert names_in(tmp_path) == ["run"]
