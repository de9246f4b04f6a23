"""All of `gantools augment` for images as a function: who sees which images, what is written, what is left alone."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gantools.augment import image_judge
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.data.images.source import open_images
from gantools.encode.images import FITS, ImageSet
from gantools.errors import ConfigError, DataError
from gantools.evaluate import image_quality
from gantools.evaluate.verdict import CALIBRATION, FIGURES, Verdict
from gantools.train import image_classifier as judge
from gantools.workflow import augment_images, generate
from gantools.workflow.augment import Request, run
from gantools.workflow.augment_images import FEATURES, ImageResult

COUNTS = {0: 14, 1: 10, 7: 11}
QUICK: dict[str, Any] = {"options": {"width": 4}, "steps": 4}


def augment(data: Path, output: Path, **options: Any) -> ImageResult:
    result = run(Request(data=data, output=output, device="cpu", force=True, **options))
    assert isinstance(result, ImageResult)
    return result


@pytest.fixture
def digits(tmp_path: Path, make_digits: Callable[..., Path]) -> Path:
    """The folder `digits` alone in a new folder: 14 zeros, 10 ones and 11 sevens."""
    return make_digits(tmp_path / "data" / "digits", COUNTS)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory, make_digits: Callable[..., Path]) -> Path:
    """The folder of a generator of these digits, trained for a moment; tests only read it."""
    folder = tmp_path_factory.mktemp("maker")
    digits = make_digits(folder / "digits", COUNTS)
    augment(digits, folder / "out", **QUICK, verdict=False, save=folder / "saved")
    return folder / "saved"


@pytest.fixture(autouse=True)
def judges_of_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MIN_STEPS", 2)
    monkeypatch.setattr(judge, "MAX_STEPS", 2)
    monkeypatch.setattr(image_quality, "N_SUBSETS", 2)


@pytest.fixture(autouse=True)
def floor(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets what generated images must reach; none at first, since those of four steps pass for nothing."""

    def set_to(share: float) -> None:
        monkeypatch.setattr(image_judge, "FLOOR", share)

    set_to(0.0)
    return set_to


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each training was given: its images and configuration."""
    seen: list[dict[str, Any]] = []
    original = ImageSynthesizer.fit

    def spy(self: ImageSynthesizer, data: ImageSet, **options: Any) -> ImageSynthesizer:
        seen.append({"data": data, "config": self.train, **options})
        return original(self, data, **options)

    monkeypatch.setattr(ImageSynthesizer, "fit", spy)
    return seen


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> list[str]:
    """All images below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


# Who sees what --------------------------------------------------------------------------------------------------------


def test_the_verdict_is_reached_without_the_images_held_back(digits: Path, fits: list[dict[str, Any]]) -> None:
    """The first generator knows only the kept images, its schema included; the final one is trained on all."""
    result = augment(digits, digits.with_name("out"), **QUICK, budget_s=1000)
    judged, final = fits
    assert result.verdict is not None
    assert set(result.verdict.scores) == {"none", "threshold", "repetition", "classical", "gantools"}
    assert len(judged["data"]) == judged["data"].schema.n_images == result.verdict.n_train
    assert result.verdict.n_train + result.verdict.n_holdout == len(final["data"]) == 35
    assert sum(judged["data"].schema.counts) == result.verdict.n_train
    assert judged["config"].budget_s == pytest.approx(310, abs=5)
    assert judged["config"].budget_s < final["config"].budget_s < 800
    assert result.quality is not None and "classifier" in result.quality.features
    assert list(result.quality.by_class) == ["1", "7"]
    assert result.copies is not None and result.copies.n_synthetic == int(result.balance.is_generated.sum()) > 0


def test_nothing_is_trained_for_a_loaded_generator(digits: Path, maker: Path, fits: list[dict[str, Any]]) -> None:
    result = augment(digits, digits.with_name("out"), source=maker)
    assert not fits
    assert result.verdict is None
    assert "No verdict" in " ".join(result.notes)


def test_copies_are_counted_and_named(digits: Path, maker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that gives training images back is found out, file by file."""
    source = open_images(digits)
    sevens = torch.stack([torch.from_numpy(source.read(i)).movedim(2, 0) for i in range(24, 34)])

    def from_noise(self: object, noise: torch.Tensor, label: torch.Tensor, truncation: None) -> torch.Tensor:
        return sevens[(noise[:, 0] * 1000).long() % 10]

    monkeypatch.setattr(ImageSynthesizer, "from_noise", from_noise)
    out = digits.with_name("out")
    result = augment(digits, out, strategy={"7": 15}, source=maker, vary="mirror")  # which sevens are not
    n = int(result.balance.is_generated.sum())
    assert result.copies is not None
    assert f"{n} are exact copies" in result.copies.sentence
    assert len(result.repeats) == n
    for made, real in result.repeats:
        assert np.array_equal(np.asarray(Image.open(out / made)), np.asarray(Image.open(digits / real)))


# What is written ------------------------------------------------------------------------------------------------------


def test_the_folder_holds_originals_and_exactly_what_lacks(digits: Path, maker: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in digits.rglob("*.png")}
    out = digits.with_name("out")
    result = augment(digits, out, source=maker, seed=5)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in digits.rglob("*.png")} == before
    rows = manifest(out)
    assert [row["file"] for row in rows[:35]] == files(digits)
    assert sorted(row["file"] for row in rows) == files(out)
    assert result.n_written == len(rows) == 42
    assert {label: sum(row["label"] == label for row in rows) for label in "017"} == {"0": 14, "1": 14, "7": 14}
    made = [row for row in rows if row["is_synthetic"] == "True"]
    assert {row["made"] for row in rows[:35]} == {""}
    assert [row["made"] for row in made] == ["generated"] * 2 + ["varied"] * 2 + ["generated"] * 2 + ["varied"]
    assert made[0]["file"] == "1/synthetic_000001.png"
    assert np.asarray(Image.open(out / made[0]["file"])).shape == (16, 16)
    assert all((out / name).samefile(digits / name) for name in files(digits))
    assert [path.name for path in digits.parent.iterdir() if path.name.startswith(".")] == []


def test_synthetic_images_are_as_large_as_real_ones(
    tmp_path: Path, fits: list[dict[str, Any]], floor: Callable[[float], None]
) -> None:
    """Of two sizes, learned at a third: what is varied has its original's, what is generated one of its class."""
    sizes = {"wide": (40, 24), "tall": (18, 30)}
    for name, (width, height) in sizes.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(24 if name == "wide" else 12):
            pixels = np.random.default_rng(k).integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{k}.png")
    for fit in FITS:
        out = tmp_path / fit
        augment(tmp_path / "data", out, **QUICK, size=16, fit=fit, verdict=False)
        made = [row for row in manifest(out) if row["is_synthetic"] == "True"]
        assert [row["made"] for row in made] == ["generated"] * 6 + ["varied"] * 6
        for row in made:
            square = fit == "crop" and row["made"] == "generated"
            assert Image.open(out / row["file"]).size == ((18, 18) if square else sizes["tall"])
            assert (row["original"] != "") == (row["seed"] == "") == (row["made"] == "varied")
            assert not row["original"] or (out / row["original"]).is_file()


def test_generated_images_are_left_out_where_they_do_harm(
    digits: Path, monkeypatch: pytest.MonkeyPatch, floor: Callable[[float], None]
) -> None:
    """By the verdict, where it is about generated images; where none passed the test, they are tried again."""
    figures = {"none": 0.5, "repetition": 0.5, "classical": 0.7}

    def reached(ours: float) -> Callable[..., Verdict]:
        def verdict(images: Any, label: Any, classes: Any, balancers: Any, **_: Any) -> Verdict:
            balancers["gantools"](images, label, 0)
            scores = {
                name: dict.fromkeys((*FIGURES, *CALIBRATION), value)
                for name, value in {**figures, "gantools": ours}.items()
            }
            return Verdict(scores, 26, 9, "So it is.", "unclear", "gantools", "classical", ours - 0.7, (-1, 1))

        return verdict

    out = digits.with_name("out")
    for ours, share, n_generated in ((0.69, 0.0, 0), (0.71, 0.0, 4), (0.69, 1e9, 0)):
        floor(share)
        monkeypatch.setattr(augment_images, "image_verdict", reached(ours))
        result = augment(digits, out, **QUICK)
        assert result.n_generated == n_generated
        said = " ".join(result.notes)
        assert ("varied real images alone did better" in said) == (ours < 0.7 and not share)
        assert ("4 of its usual 10,000 steps" in said) == bool(share)


def test_files_are_copied_where_they_cannot_be_linked(
    digits: Path, maker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    augment(digits, digits.with_name("out"), source=maker)
    one = digits.with_name("out") / "0" / "000.png"
    assert not one.samefile(digits / "0" / "000.png")
    assert one.read_bytes() == (digits / "0" / "000.png").read_bytes()


def test_names_of_originals_are_not_taken(digits: Path, maker: Path) -> None:
    """An original that is called like a synthetic image keeps its name, in whichever case; so do those deeper down."""
    (digits / "1" / "000.png").rename(digits / "1" / "Synthetic_000001.PNG")
    (digits / "1" / "deep").mkdir()
    (digits / "1" / "001.png").rename(digits / "1" / "deep" / "001.png")
    original = (digits / "1" / "Synthetic_000001.PNG").read_bytes()
    out = digits.with_name("out")
    augment(digits, out, source=maker)
    assert (out / "1" / "Synthetic_000001.PNG").read_bytes() == original
    assert (out / "1" / "deep" / "001.png").is_file()
    assert next(row["file"] for row in manifest(out) if row["is_synthetic"] == "True") == "1/synthetic_000002.png"


def test_arrays_become_a_folder(digits: Path, maker: Path, tmp_path: Path) -> None:
    """Images of an .npz are written as PNG files, to the bit."""
    source = open_images(digits)
    x = np.stack([source.read(i)[:, :, 0] for i in range(len(source))])
    np.savez(tmp_path / "digits.npz", x=x, y=np.array([0, 1, 7])[source.label])
    out = tmp_path / "out"
    augment(tmp_path / "digits.npz", out, source=maker)
    assert [row["is_synthetic"] for row in manifest(out)] == ["False"] * 35 + ["True"] * 7
    assert np.array_equal(np.asarray(Image.open(out / "1" / "image_000001.png")), x[14])


def test_labels_that_name_no_folder(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 16, 16), np.uint8), y=np.array(["../b", "../b", "c", "c"]))
    with pytest.raises(DataError, match=r"'\.\./b' cannot be the name of a folder"):
        augment(tmp_path / "a.npz", tmp_path / "out", **QUICK)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_failure_while_writing_leaves_nothing(
    digits: Path, maker: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """And an older folder stays as it was."""
    out = digits.with_name("out")
    augment(digits, out, source=maker)
    before = files(out)

    def fail(image: object, path: Path) -> None:
        if path.name == "synthetic_000003.png":
            raise error
        shutil.copy(digits / "0" / "000.png", path)

    monkeypatch.setattr("gantools.data.images.folder.write_png", fail)
    with pytest.raises((KeyboardInterrupt, DataError)):
        augment(digits, out, strategy={"1": 20}, source=maker)
    assert files(out) == before
    assert sorted(path.name for path in digits.parent.iterdir()) == ["digits", "out"]


def test_one_seed_one_result(digits: Path) -> None:
    def made(name: str, seed: int) -> dict[str, bytes]:
        out = digits.with_name(name)
        augment(digits, out, **QUICK, verdict=False, seed=seed)
        return {file: (out / file).read_bytes() for file in files(out)}

    assert made("a", 1) == made("b", 1)
    assert made("c", 2) != made("b", 1)


def test_generated_images_go_into_class_folders(maker: Path, tmp_path: Path) -> None:
    request = generate.Request(n=9, folder=maker, output=tmp_path / "out", seed=2, device="cpu")
    assert generate.run(request).counts == {"0": 4, "1": 2, "7": 3}
    assert [(row["file"], row["seed"]) for row in manifest(tmp_path / "out")] == [
        (f"{name}/synthetic_{k + 1:06d}.png", str(2_000_000_000 + first + k))
        for name, first, n in (("0", 0, 4), ("1", 4, 2), ("7", 6, 3))
        for k in range(n)
    ]


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"strategy": {"8": 20}}, "no class '8'"),
        ({"strategy": {"1": 3}}, "fewer"),
        ({"strategy": {"1": 10}}, "as many images as asked for"),
        ({"strategy": 0.5}, "two classes"),
        ({"model": "leen"}, "'lean'"),
        ({"model": "restorer"}, "scores images"),
        ({"options": {"widht": 4}}, "'width'"),
        ({"size": 17}, "must be one of"),
        ({"features": "pixels"}, "classifier"),
        ({"fit": "stretch"}, "resize"),
    ],
)
def test_options_are_refused_before_training(
    digits: Path, fits: list[dict[str, Any]], options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        augment(digits, digits.with_name("out"), **{**QUICK, **options})
    assert not fits
    assert not digits.with_name("out").exists()


def test_a_folder_with_synthetic_images_is_not_balanced(digits: Path, maker: Path) -> None:
    augment(digits, digits.with_name("out"), source=maker)
    with pytest.raises(DataError, match="synthetic images are in it"):
        augment(digits.with_name("out"), digits.with_name("twice"), source=maker)


def test_a_generator_of_other_classes(maker: Path, tmp_path: Path, make_digits: Callable[..., Path]) -> None:
    other = make_digits(tmp_path / "other", {0: 3, 2: 2})
    with pytest.raises(DataError, match="its classes are 0, 2, the generator's 0, 1, 7"):
        augment(other, tmp_path / "out", source=maker)


def test_the_command_lines_choices_are_the_librarys() -> None:
    from gantools_cli.main import main

    choices = {option.name: getattr(option.type, "choices", ()) for option in main.commands["augment"].params}
    assert tuple(choices["fit"]) == FITS
    assert tuple(choices["features"]) == FEATURES
