"""Two commands on one place: one of them is told so; what a killed one left is cleared by the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK, Invoke, the_error, the_json

CLAIM = """if True:
    import sys
    from pathlib import Path
    from gantools.files import claim
    with claim(Path(sys.argv[1]), "save"):
        print("claims", flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_place_that_another_command_writes_to_is_refused(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    save = tmp_path / "model"
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(save)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline()
        for command in (("train", "--target", "churned"), ("augment", "--target", "churned"), ("score",)):
            line = the_error(invoke(*command, customers, "--save", save, *QUICK))
            assert line.startswith(f"Error: --save: process {other.pid} is writing to {save}; wait until it is done")
        other.kill()
    result = invoke("train", customers, "--target", "churned", "--save", save, *QUICK, "--json")
    assert the_json(result)["saved"] == str(save)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model"]


def test_what_killed_commands_left_is_cleared_by_the_next(
    invoke: Invoke, generator: Path, scorer: Path, customers: Path, tmp_path: Path
) -> None:
    (tmp_path / ".out.csv.99999999.part").write_text("half")
    (tmp_path / ".model.99999999.part").mkdir()
    (tmp_path / ".model.99999999.part" / "config.json").write_text("{")
    (tmp_path / ".model.lock").write_text("99999999\n")
    assert invoke("generate", generator, "-n", 5, "-o", tmp_path / "out.csv").exit_code == 0
    result = invoke("train", customers, "--target", "churned", "--save", tmp_path / "model", *QUICK)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model", "out.csv"]
