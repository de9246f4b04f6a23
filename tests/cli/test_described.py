"""Images with descriptions from the command line: trained, asked for by caption and column, and what is refused."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .conftest import Invoke, the_error, the_json

COUNTS = {0: 12, 1: 12}
QUICK = ("--set", "width=4", "--steps", "4", "--device", "cpu")
NAMED = {"0": "a round zero", "1": "a slim one"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, make_digits: Callable[..., Path]) -> Path:
    """Zeros and ones in one folder, with metadata.csv."""
    folder = tmp_path_factory.mktemp("described")
    made, data = make_digits(folder / "digits", COUNTS), folder / "pictures"
    data.mkdir()
    with (data / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "text", "weight", "kind"])
        for path in sorted(made.rglob("*.png")):
            name = f"{path.parent.name}_{path.name}"
            shutil.copy(path, data / name)
            rows.writerow([name, NAMED[path.parent.name], len(name) + 0.5, path.parent.name + "x"])
    return data


@pytest.fixture(scope="module")
def saved(pictures: Path, invoke: Invoke) -> Path:
    folder = pictures.with_name("saved")
    told = ("--caption", "text", "--condition", "weight", "--condition", "kind")
    result = invoke("train", pictures, *told, "--save", folder, *QUICK, "--json")
    assert the_json(result)["target"] == "text, weight, kind"
    return folder


def described(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_images_of_what_is_asked_for(invoke: Invoke, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("--where", "text=A ROUND thingy", "--where", "weight=3")
    told = the_json(invoke("generate", saved, "-n", 5, *asked, "-o", out, "--json"))
    assert told["n_images"] == 5 and "'thingy'" in told["notes"][0]
    rows = described(out)
    assert {(row["text"], row["weight"]) for row in rows} == {("A ROUND thingy", "3.0")}
    assert all((out / row["file_name"]).is_file() for row in rows)
    shown = invoke("generate", saved, "-n", 3, "-o", out, "--force")
    assert shown.exit_code == 0 and "text=" in shown.stdout
    assert {row["text"] for row in described(out)} <= set(NAMED.values())
    again = invoke("train", out, "--caption", "text", "--save", tmp_path / "again", *QUICK)
    assert again.exit_code == 0, again.output  # what is made can be learned from


def test_vectors_in_place_of_words(invoke: Invoke, pictures: Path, tmp_path: Path) -> None:
    n = sum(COUNTS.values())
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(n, 4)))
    save = tmp_path / "saved"
    trained = invoke("train", pictures, "--embeddings", tmp_path / "v.npy", "--save", save, *QUICK)
    assert trained.exit_code == 0, trained.output
    np.save(tmp_path / "two.npy", np.zeros((2, 4)))
    told = invoke("generate", save, "-n", 3, "--embeddings", tmp_path / "two.npy", "-o", tmp_path / "out", "--json")
    assert the_json(told)["n_images"] == 6
    np.save(tmp_path / "other.npy", np.zeros((2, 5)))
    wrong = invoke("generate", save, "-n", 3, "--embeddings", tmp_path / "other.npy", "-o", tmp_path / "x")
    assert "has 5 numbers in a row where there should be 4" in the_error(wrong)


def test_what_cannot_be_asked_for_is_named(invoke: Invoke, saved: Path, tmp_path: Path) -> None:
    for given, said in (
        (("--where", "txt=x"), "did you mean 'text'"),
        (("--where", "weight=heavy"), "'heavy' is no number"),
        (("--where", "kind=2x"), "'kind' was never '2x'"),
        (("--where", "text= "), "the caption is empty"),
        (("--embeddings", saved), "takes no vectors"),
    ):
        assert said in the_error(invoke("generate", saved, "-n", 2, *given, "-o", tmp_path / "x"))
    seeds = invoke("generate", saved, "--seeds", "3", "-o", tmp_path / "x")
    assert "no meaning for images with descriptions" in the_error(seeds)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_learned_from_is_named(invoke: Invoke, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("no numbers")
    for given, said in (
        (("--caption", "txt"), "did you mean 'text'"),
        (("--caption", "text", "--condition", "text"), "names the caption again"),
        (("--caption", "text", "--target", "folder"), "told apart by descriptions"),
        (("--embeddings", tmp_path / "text.npy"), "is no .npy file"),
        (("--embeddings", tmp_path / "gone.npy"), "does not exist"),
    ):
        assert said in the_error(invoke("train", pictures, *given, "--save", tmp_path / "m", *QUICK))
    assert [path.name for path in tmp_path.iterdir()] == ["text.npy"]
