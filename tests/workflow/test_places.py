"""Where output goes: names, what is never overwritten, what --force may replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantools.errors import ConfigError
from gantools.workflow.opening import MODALITIES
from gantools.workflow.places import beside, check_file, check_table, claimed_save, one_beside


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("customers.csv", "customers.balanced.csv"),
        ("a.b.csv", "a.b.balanced.csv"),
        ("customers.csv.gz", "customers.balanced.csv.gz"),
        ("x.parquet", "x.balanced.parquet"),
        ("plain", "plain.balanced"),
        (".hidden", ".hidden.balanced"),
        ("deep/er/t.tsv", "deep/er/t.balanced.tsv"),
    ],
)
def test_default_output_name(data: str, expected: str) -> None:
    assert beside(Path(data), "balanced") == Path(expected)


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_folder_has_no_default_output_name(folder: str) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        beside(Path(folder), "balanced")


def test_suffixes_are_read_in_capitals_too(tmp_path: Path) -> None:
    for name in ("T.CSV", "T.TSV", "T.PARQUET", "T.PQ", "T.CSV.GZ", "T.DAT"):
        check_table(tmp_path / name, "output", force=False, inputs=(tmp_path / "in.dat",))
    assert beside(Path("T.CSV.GZ"), "scored") == Path("T.scored.CSV.GZ")
    assert MODALITIES["table"].generated(Path("G.ONNX")) == Path("G.generated.csv")
    assert MODALITIES["image"].generated(Path("g.onnx")) == Path("g.generated")
    assert MODALITIES["image"].generated(Path("run.1")) == Path("run.1.generated")


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("a\n")
    (tmp_path / "link.csv").symlink_to(source)
    for name in ("t.csv", "link.csv"):
        with pytest.raises(ConfigError, match="is the input file"):
            check_file(tmp_path / name, "output", force=True, inputs=(source,))


def test_existing_outputs_need_force(tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.touch()
    with pytest.raises(ConfigError, match="`force`"):
        check_file(there, "output", force=False)
    check_file(there, "output", force=True)


def test_force_replaces_checkpoints_only(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    with pytest.raises(ConfigError, match="not a checkpoint"), claimed_save(tmp_path / "photos", force=True):
        pass
    (tmp_path / "run").mkdir()
    with claimed_save(tmp_path / "run", force=False):
        pass
    (tmp_path / "run" / "config.json").touch()
    with pytest.raises(ConfigError, match="`force`"), claimed_save(tmp_path / "run", force=False):
        pass
    with claimed_save(tmp_path / "run", force=True):
        pass
    with claimed_save(tmp_path / "run", force=False, resume=True):
        pass


def test_names_beside_a_folder_of_parts(tmp_path: Path) -> None:
    folder = tmp_path / "rows.parquet"
    folder.mkdir()
    (folder / "part-0.csv.gz").touch()
    assert beside(folder, "scored") == tmp_path / "rows.parquet.scored"
    assert one_beside(folder, "balanced") == tmp_path / "rows.parquet.balanced.csv.gz"
    (folder / "part-0.csv.gz").rename(folder / "part-0.parquet")
    assert one_beside(folder, "balanced") == tmp_path / "rows.balanced.parquet"
