"""`gantools evaluate` on tables and folders: what is said, what is written, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from gantools.train import image_classifier

from .conftest import Invoke, the_error, the_json


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 0.8 * x + rng.normal(size=n) * 0.5
    kind = np.where(x + rng.normal(size=n) * 0.4 > 0.5, "a", "b")
    label = np.where(x + y + rng.normal(size=n) * 0.5 > 2, "yes", "no")
    return pd.DataFrame({"x": x.round(3), "y": y.round(3), "kind": kind, "label": label})


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real.csv, holdout.csv, and synthetic tables of several faults."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    real = table(600, 0)
    copied = real.assign(x=real["x"] + rng.normal(size=600) * 0.0005, y=real["y"] + rng.normal(size=600) * 0.0005)
    shuffled = real.apply(lambda column: column.sample(frac=1, random_state=len(column.name)).to_numpy())
    flat = real.iloc[np.zeros(600, int)].reset_index(drop=True)
    for name, frame in {
        "real": real, "holdout": table(400, 1), "good": table(600, 2), "copied": copied, "shuffled": shuffled,
        "flat": flat, "marked": pd.concat([real.assign(is_synthetic=False), table(600, 2).assign(is_synthetic=True)]),
        "lacking": real.drop(columns="y"),
    }.items():  # fmt: skip
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("name", "found"), [("good", ""), ("copied", "leaks"), ("shuffled", "columns"), ("flat", "collapsed")]
)
def test_tables_are_named_as_what_they_are(invoke: Invoke, tables: Path, name: str, found: str) -> None:
    asked = ("--target", "label", "--holdout", tables / "holdout.csv", "--json")
    told = the_json(invoke("evaluate", tables / "real.csv", tables / f"{name}.csv", *asked))
    names = " ".join(finding["name"] for finding in told["conclusion"]["findings"])
    assert found in names if found else not names, told["conclusion"]
    helps = {"helps"} if name != "flat" else set()  # a single class teaches nothing
    assert {figure["part"] for figure in told["figures"]} == {"looks", "leaks"} | helps


def test_people_get_a_page_and_sentences(invoke: Invoke, tables: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = invoke("evaluate", tables / "real.csv", tables / "marked.csv", "--target", "label", "--report", page)
    assert told.exit_code == 0, told.output
    for words in ("Do they look real?", "Do they help?", "Do they leak?", "is_synthetic", str(page)):
        assert words in told.stdout, words
    html = page.read_text(encoding="utf-8")
    assert "marked.csv, judged" in html and "Column by column" in html and "http" not in html.replace("http-equiv", "")


def test_tables_that_cannot_be_compared(invoke: Invoke, tables: Path, tmp_path: Path) -> None:
    real = tables / "real.csv"
    for given, said in (
        ((real, tables / "lacking.csv"), "lacks the column 'y'"),
        ((tables / "marked.csv", real), "is_synthetic"),
        ((real, tables / "good.csv", "--target", "lable"), "'label'"),
        ((real, tmp_path), "of one kind"),
        ((real, tables / "gone.csv"), "does not exist"),
        ((real, tables / "good.csv", "--holdout", real), "is one of the other two"),
        ((real, tables / "good.csv", "--size", "32"), "--size"),
    ):
        assert said in the_error(invoke("evaluate", *given))


def test_folders_are_judged(
    invoke: Invoke, make_digits: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real digits in the place of synthetic ones; those that an augmented folder holds; other classes are refused."""
    monkeypatch.setattr(image_classifier, "MIN_STEPS", 20)
    monkeypatch.setattr(image_classifier, "MAX_STEPS", 20)
    digits = make_digits(tmp_path / "digits", {0: 40, 1: 40})
    page = tmp_path / "page.html"
    told = the_json(invoke("evaluate", digits, digits, "--report", page, "--json"))
    assert told["n_real"] == told["n_synthetic"] == 80
    assert [finding["name"] for finding in told["conclusion"]["findings"]] == ["leaks"]
    assert "Some of the images" in page.read_text(encoding="utf-8")
    few = make_digits(tmp_path / "few", {0: 40, 1: 12})
    out = tmp_path / "few.balanced"
    made = invoke("augment", few, "--steps", "2", "--set", "width=4", "--no-verdict", "-o", out, "--device", "cpu")
    assert made.exit_code == 0, made.output
    told = the_json(invoke("evaluate", few, out, "--json"))
    assert told["n_synthetic"] == 28
    assert "synthetic images are in it" in the_error(invoke("evaluate", out, digits))
    other = make_digits(tmp_path / "other", {0: 20, 7: 20})
    assert "classes that the real images lack: '7'" in the_error(invoke("evaluate", digits, other))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `clean`, `noisy` and `smooth` with four pictures each, of which `smooth` holds JPEGs."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("clean", "noisy", "smooth"):
        (folder / name).mkdir()
    for k in range(4):
        ramp = np.linspace(0, 255, 48)[None, :, None] * np.linspace(0.3, 1, 40)[:, None, None] * np.ones(3)
        noisy = Image.fromarray(np.clip(ramp + rng.normal(0, 30, ramp.shape), 0, 255).astype(np.uint8))
        Image.fromarray(ramp.astype(np.uint8)).save(folder / "clean" / f"{k}.png")
        noisy.save(folder / "noisy" / f"{k}.png")
        noisy.filter(ImageFilter.GaussianBlur(2)).save(folder / "smooth" / f"{k}.jpg", quality=95)
    return folder


def test_pictures_are_judged_one_by_one(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    asked = ("evaluate", photos / "clean", photos / "smooth", "--pairs", "--inputs", photos / "noisy")
    result = invoke(*asked, "--report", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    assert "nearer to the truth than their inputs" in result.stdout and "their inputs" in result.stdout
    told = the_json(invoke(*asked, "--json"))
    assert told["helped"] == "yes" and told["mean"]["made"]["psnr"] > told["mean"]["inputs"]["psnr"] + 3
    assert [one["name"] for one in told["pictures"]] == [f"{k}.jpg" for k in range(4)]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4 and "The worst pictures" in page


def test_what_pairs_cannot_be(invoke: Invoke, photos: Path, tables: Path, tmp_path: Path) -> None:
    asked = ("evaluate", photos / "clean")
    assert "--inputs: has no effect without --pairs" in the_error(
        invoke(*asked, photos / "smooth", "--inputs", photos / "noisy")
    )
    assert "has no meaning for tables" in the_error(
        invoke("evaluate", tables / "real.csv", tables / "good.csv", "--pairs")
    )
    assert "cannot be combined with --pairs" in the_error(invoke(*asked, photos / "smooth", "--pairs", "--size", 32))
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (20, 20)).save(other / "0.png")
    assert "0.png: is 20 x 20 pixels, and 0.png of clean is 48 x 40" in the_error(invoke(*asked, other, "--pairs"))
    (other / "0.png").rename(other / "9.png")
    assert "holds no picture with a name of one in clean" in the_error(invoke(*asked, other, "--pairs"))
    assert "has no picture 0 that 0.jpg was made from" in the_error(
        invoke(*asked, photos / "smooth", "--pairs", "--inputs", other)
    )
    for k in range(2):
        Image.new("RGB", (48, 40)).save(other / f"{k}.png")
    told = the_json(invoke(*asked, other, "--pairs", "--json"))
    assert len(told["pictures"]) == 2
    assert told["notes"] == [
        "'2', '3' of clean have no partner and were left out.", "'9' of other has no partner and was left out."
    ]  # fmt: skip
