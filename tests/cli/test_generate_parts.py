"""`gantools generate --part-rows`: more rows than memory holds, in parts, which go on where they were interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantools.data.tables import read_table

from .conftest import Invoke, the_error, the_json

ASKED = ("-n", "250", "--part-rows", "100")


def parts_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def test_parts_are_made_and_gone_on_with(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows"
    told = the_json(invoke("generate", generator, *ASKED, "-o", out, "--json"))
    assert told["n_rows"] == 250 and (out / "_SUCCESS").is_file()
    frame, _ = read_table(out)
    assert len(frame) == 250 and list(parts_of(out)) == [f"part-0000{k}.csv" for k in range(3)]
    assert {one["label"]: one["rows"] for one in told["classes"]} == frame["churned"].value_counts().to_dict()
    whole = parts_of(out)
    assert len(set(whole.values())) == 3  # each from a seed of its own

    (out / "part-00001.csv").unlink()
    (out / "_SUCCESS").unlink()
    before = (out / "part-00002.csv").stat().st_mtime_ns
    again = the_json(invoke("generate", generator, *ASKED, "-o", out, "--resume", "--json"))
    assert parts_of(out) == whole and again["classes"] == told["classes"]
    assert (out / "part-00002.csv").stat().st_mtime_ns == before
    assert (out / "_SUCCESS").is_file()


def test_conditions_hold_in_every_part(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows"
    assert invoke("generate", generator, *ASKED, "--where", "churned=yes", "-o", out).exit_code == 0
    assert set(read_table(out)[0]["churned"]) == {"yes"}


@pytest.mark.parametrize("changed", [("-n", "260"), ("--seed", "1"), ("--where", "churned=yes")])
def test_another_run_is_not_gone_on_with(
    invoke: Invoke, generator: Path, tmp_path: Path, changed: tuple[str, ...]
) -> None:
    out = tmp_path / "rows"
    assert invoke("generate", generator, *ASKED, "-o", out).exit_code == 0
    before = parts_of(out)
    assert "is not empty" in the_error(invoke("generate", generator, *ASKED, "-o", out))
    error = the_error(invoke("generate", generator, *ASKED, *changed, "-o", out, "--resume"))
    assert "was not begun with the same data, model and options" in error
    (out / "_asked.json").write_text("{")
    assert "was not begun with" in the_error(invoke("generate", generator, *ASKED, "-o", out, "--resume"))
    assert parts_of(out) == before


def test_what_has_no_meaning(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    assert "--resume: has no effect without --part-rows" in the_error(
        invoke("generate", generator, "-n", 5, "--resume")
    )
    (tmp_path / "file").touch()
    assert "is a file" in the_error(invoke("generate", generator, *ASKED, "-o", tmp_path / "file"))


def test_an_exported_generator_writes_parts(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "generator.onnx", tmp_path / "rows"
    assert invoke("export", generator, "-o", file).exit_code == 0
    assert invoke("generate", "--onnx", file, *ASKED, "-o", out).exit_code == 0
    assert invoke("generate", "--onnx", file, *ASKED, "-o", out, "--resume").exit_code == 0
    assert len(read_table(out)[0]) == 250
