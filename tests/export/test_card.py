"""Model cards: what they say of a file, and that the program in them runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gantools.errors import ExportError
from gantools.export.bases import code
from gantools.export.card import write_card
from gantools.export.file import ExportedFile

GOLDEN = Path(__file__).parents[2] / "exports" / "golden"
KINDS = ("table-scorer", "table-generator", "image-scorer", "image-generator")


def written(kind: str, folder: Path) -> str:
    return write_card(GOLDEN / f"{kind}.onnx", folder / "card.md").read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_in_it_runs(kind: str, tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", written(kind, tmp_path), re.DOTALL)
    assert found is not None
    done = subprocess.run(
        [sys.executable, "-c", found[1]], cwd=GOLDEN, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_every_part_and_whole_tables(kind: str, tmp_path: Path) -> None:
    text = written(kind, tmp_path)
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    threshold = ["Threshold"] if kind.endswith("scorer") else []
    assert heads == [
        "Data", "Inputs", "Outputs", *threshold, "Compared with the library", "Limits", "How to call it", "Versions",
    ]  # fmt: skip
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block
    assert "None" not in text and not re.search(r"[ \t]$", text, re.MULTILINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.md"]


def test_it_says_what_a_scorer_takes_and_what_it_holds(tmp_path: Path) -> None:
    text = written("table-scorer", tmp_path)
    assert "| `petal width mm` | int64 [N] | `-9223372036854775808` | 1 to 25 in training |" in text
    assert '| `stem` | text [N] | `""` |' in text and "any other counts as unknown" in text
    assert "100 rows, 5 columns" in text and "The threshold is set for 1 % false alarms" in text
    assert "**50 rows of the training table are in the file**" in text
    assert "Do not score the training data" in text


def test_it_says_what_a_generator_can_be_asked_for(tmp_path: Path) -> None:
    text = written("table-generator", tmp_path)
    assert "classes: `setosa` 50, `versicolor` 50, `virginica` 50" in text
    assert "| `label` | text [N] | not allowed | `setosa`, `versicolor`, `virginica`; any other stops the run |" in text
    assert "bytes, grey" in written("image-generator", tmp_path)


def test_so_few_images_cannot_tell_the_rate_of_false_alarms(tmp_path: Path) -> None:
    assert "16 images, 16 pixels wide, 16 high" in written("image-scorer", tmp_path)
    assert "too few to resolve that rate" in written("image-scorer", tmp_path)


def test_odd_columns_are_called_right(scorer_file: ExportedFile, maker_file: ExportedFile, tmp_path: Path) -> None:
    for file in (scorer_file, maker_file):
        text = write_card(file.path, tmp_path / "card.md").read_text("utf-8")
        found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
        assert found is not None
        done = subprocess.run(
            [sys.executable, "-c", found[1]],
            cwd=file.path.parent, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    text = write_card(scorer_file.path, tmp_path / "card.md").read_text("utf-8")
    assert "a score above it is flagged" in re.search(r"^\| `threshold_` .*$", text, re.MULTILINE)[0]  # type: ignore[index]
    assert "any other counts as one of the rare ones" in re.search(r"^\| `shop` .*$", text, re.MULTILINE)[0]  # type: ignore[index]
    assert "not learned from, constants or identifiers: `key`" in text


@pytest.mark.parametrize(("value", "said"), [("a|b", "`a\\|b`"), ("a\nb", "`a b`"), ("a`b", "`` a`b ``"), ("", "` `")])
def test_odd_names_keep_a_table_whole(value: str, said: str) -> None:
    assert code(value) == said


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"none\.onnx"):
        write_card(tmp_path / "none.onnx", tmp_path / "card.md")
    (tmp_path / "taken").mkdir()
    with pytest.raises(ExportError, match="taken"):
        write_card(GOLDEN / "table-scorer.onnx", tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]
