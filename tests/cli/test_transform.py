"""Pictures to pictures: `gantools train --model srgan` and the like, and `gantools transform`."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

import gantools

from .conftest import Invoke, the_error, the_json

QUICK = ("--steps", "3", "--set", "width=8", "--device", "cpu")


def drawn(height: int, width: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row / random.uniform(2, 9)) * 60 + column * random.uniform(0, 3) for _ in range(3)]
    return (80 + np.stack(waves, 2)).clip(0, 255).astype(np.uint8)


def fill(folder: Path, n: int = 12, suffix: str = ".png", mode: str = "RGB", factor: int = 1) -> Path:
    folder.mkdir(parents=True)
    for k in range(n):
        picture = Image.fromarray(drawn(factor * (24 + k), factor * 28, k)).convert(mode)
        picture.save(folder / f"{k:02d}{suffix}")
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("pictures") / "clean")


@pytest.fixture(scope="module")
def enlarger(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, clean: Path) -> Path:
    place = tmp_path_factory.mktemp("models") / "enlarger"
    done = invoke("train", clean, "--model", "srgan", "--set", "scale=2", *QUICK, "--save", place)
    assert done.exit_code == 0, done.output
    return place


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, clean: Path) -> Path:
    place = tmp_path_factory.mktemp("models") / "filler"
    assert invoke("train", clean, "--model", "inpaint", *QUICK, "--save", place).exit_code == 0
    return place


# --- train ---


def test_a_translator_is_compared_with_the_plain_method(invoke: Invoke, clean: Path, tmp_path: Path) -> None:
    done = invoke("train", clean, "--model", "unet", "--degrade", "noise=25", *QUICK, "--save", tmp_path / "model")
    assert done.exit_code == 0, done.output
    assert "12 pictures are few" in done.output
    assert (
        "total variation" in done.output
        and "PSNR (dB)" in done.output
        and "on the one picture held back" in done.output
    )
    assert f"Translator: {tmp_path / 'model'}" in done.output
    assert (tmp_path / "model.grids" / "step_000003.png").is_file()
    told = invoke("info", tmp_path / "model").output
    assert "a translator of pictures" in told and "Undoes: noise=25" in told


def test_the_same_as_json(invoke: Invoke, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "A", 30, mode="L")
    fill(tmp_path / "data" / "B", 30, ".jpg")
    told = the_json(
        invoke("train", tmp_path / "data", "--model", "pix2pix", *QUICK, "--save", tmp_path / "m", "--json")
    )
    assert told["layout"] == "pairs" and told["verdict"]["n"] == 3 and told["verdict"]["judged_by"] == "perceptual"
    assert set(told["verdict"]["scores"]) == {"translator", "plain"} and told["training"]["steps"] == 3
    model: Any = gantools.load(tmp_path / "m", "cpu")
    assert model.schema_.channels == 1 and model.target_schema_.channels == 3


def test_two_sets_are_judged_by_a_classifier_and_translated_back(invoke: Invoke, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "trainA", 20)
    fill(tmp_path / "data" / "trainB", 24)
    place = tmp_path / "model"
    done = invoke("train", tmp_path / "data", "--model", "cyclegan", *QUICK, "--size", "16", "--save", place)
    assert done.exit_code == 0, done.output
    assert "a classifier takes" in done.output and "2 translated pictures" in done.output
    assert invoke("transform", tmp_path / "data" / "trainB", "--from", place, "--reverse").exit_code == 0
    assert len(list((tmp_path / "data" / "trainB.transformed").glob("*.png"))) == 24


def test_halves_side_by_side(invoke: Invoke, tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    told = the_json(
        invoke(
            "train", folder, "--pairs", "side-by-side", "--model", "pix2pix", *QUICK, "--save", tmp_path / "m", "--json"
        )
    )
    assert told["layout"] == "pairs"


def test_whole_pictures_at_one_size(invoke: Invoke, clean: Path, tmp_path: Path) -> None:
    asked = ("train", clean, "--model", "unet", "--degrade", "grey", "--fit", "resize", *QUICK)
    assert invoke(*asked, "--size", "16", "--save", tmp_path / "m").exit_code == 0
    assert "--fit: needs --size" in the_error(invoke(*asked, "--save", tmp_path / "n"))


def test_an_interrupted_training_goes_on(invoke: Invoke, clean: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from gantools.train import loop

    asked = ("train", clean, "--model", "unet", "--degrade", "noise", *QUICK, "--save", tmp_path / "m")
    step = loop.Training.step

    def interrupted(self: Any, progress: float) -> None:
        if self.run.step == 2:
            raise KeyboardInterrupt
        step(self, progress)

    with monkeypatch.context() as patched:
        patched.setattr(loop.Training, "step", interrupted)
        patched.setattr("gantools.config.TrainConfig.log_every", 1, raising=False)
        assert invoke(*asked).exit_code == 130
    done = invoke(*asked, "--resume", "--force")
    assert done.exit_code == 0, done.output


def test_a_training_that_was_interrupted_leaves_what_can_be_used(
    invoke: Invoke, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantools.train import loop
    from gantools.workflow.train import Request

    step, given = loop.Training.step, Request.train_config

    def interrupted(self: Any, progress: float) -> None:
        if self.run.step == 2:
            raise KeyboardInterrupt
        step(self, progress)

    monkeypatch.setattr(
        Request, "train_config", lambda *base, **more: given(*base, checkpoint_every_s=0.0, log_every=1, **more)
    )
    monkeypatch.setattr(loop.Training, "step", interrupted)
    place = tmp_path / "m"
    stopped = invoke("train", clean, "--model", "unet", "--degrade", "noise", *QUICK, "--save", place)
    assert "Interrupted: go on with --resume where" in the_error(stopped, exit_code=130)
    told = the_json(invoke("transform", clean, "--from", place, "-o", tmp_path / "out", "--json"))
    assert told["n_pictures"] == 12
    assert the_json(invoke("info", place, "--json"))["training"]["stopped"] == "interrupted"


def test_an_interrupted_verdict_leaves_the_translator(
    invoke: Invoke, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantools.workflow import train_translator

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_translator, "compare", interrupted)
    place = tmp_path / "m"
    asked = ("train", clean, "--model", "unet", "--degrade", "grey", *QUICK, "--save", place)
    line = the_error(invoke(*asked), exit_code=130)
    assert line == f"Interrupted: there is no verdict, but {place} holds the trained translator"
    assert invoke("transform", clean / "00.png", "--from", place, "-o", tmp_path / "x.png").exit_code == 0


def test_the_options_of_a_training(invoke: Invoke, clean: Path, tmp_path: Path) -> None:
    """A place for pictures while training, a budget, another precision and seed."""
    asked = ("train", clean, "--model", "srgan", "--set", "scale=4", *QUICK, "--save", tmp_path / "m", "--json")
    more = ("--grids", tmp_path / "seen", "--budget", "10m", "--precision", "32", "--seed", "3")
    told = the_json(invoke(*asked, *more))
    assert told["grids"] == str(tmp_path / "seen") and (tmp_path / "seen" / "step_000003.png").is_file()
    assert "not empty" in the_error(invoke(*asked))
    assert the_json(invoke(*asked, "--force"))["verdict"]["plain"] == "bicubic"


def test_pictures_that_cannot_be_learned_from_are_named(invoke: Invoke, tmp_path: Path) -> None:
    """One alone, empty files, names that do not match, another size in B, a size that is no multiple."""

    def said(folder: Path, model: str = "pix2pix", *more: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        line = the_error(invoke("train", folder, "--model", model, *QUICK, *more, "--save", tmp_path / "m"))
        assert sorted(tmp_path.rglob("*")) == before
        return line

    noise = ("--degrade", "noise")
    assert "one: holds one picture alone; give more" in said(fill(tmp_path / "one", 1), "unet", *noise)
    empty = fill(tmp_path / "empty", 3)
    for path in empty.iterdir():
        path.write_bytes(b"")
    assert "3 of 3 images cannot be used; the first, 00.png, is empty" in said(empty, "unet", *noise)
    (tmp_path / "none").mkdir()
    assert "none: holds no images" in said(tmp_path / "none", "unet", *noise)

    pairs = tmp_path / "pairs"
    fill(pairs / "A", 6)
    fill(pairs / "B", 6)
    Image.fromarray(drawn(9, 9, 0)).save(pairs / "B" / "03.png")
    assert "03.png: has 9 x 9 pixels, and its partner 03.png 28 x 27; give both of a pair the same size" in said(pairs)
    Image.fromarray(drawn(40, 42, 0)).save(pairs / "B" / "03.png")  # one and a half times as large
    assert "or each B the same whole number of times the size of its A" in said(pairs)
    for k in range(1, 6):
        (pairs / "B" / f"{k:02d}.png").rename(pairs / "B" / f"other{k}.png")
    assert "1 pair share a name and 10 pictures have no partner; give the two of a pair the same name" in said(pairs)
    (pairs / "B" / "00.png").rename(pairs / "B" / "other0.png")
    assert "no picture has a partner, and pix2pix learns from pairs" in said(pairs)


def test_a_file_without_a_partner_is_named_in_the_notes(invoke: Invoke, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "A", 12)
    fill(tmp_path / "data" / "B", 11)
    told = the_json(
        invoke("train", tmp_path / "data", "--model", "pix2pix", *QUICK, "--save", tmp_path / "m", "--json")
    )
    assert "1 picture has no partner and cannot be used: A/11.png" in told["notes"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--model", "unet"), "--degrade: unet learns from pairs, or from pictures that it degrades; say how"),
        (("--model", "unet", "--degrade", "nois"), "--degrade: there is no degradation called 'nois'; did you mean"),
        (("--model", "unet", "--degrade", "smaller=2"), "pictures become 2 times smaller, and unet makes them 1 times"),
        (("--model", "unet", "--degrade", "holes"), "makes holes, which inpaint alone fills"),
        (("--model", "inpaint", "--degrade", "noise"), "--degrade: makes no holes"),
        (("--model", "srgan", "--set", "scale=5"), "must be 2, 3 or 4"),
        (("--model", "cyclegan"), "cyclegan learns from two sets of pictures; put the pictures of each kind into"),
        (("--model", "unet", "--degrade", "noise", "--target", "folder"), "--target: has no meaning for unet"),
        (
            ("--model", "unet", "--degrade", "noise", "--fit", "crop", "--size", "16"),
            "--fit: must be one of resize, pad",
        ),
        (("--model", "unet", "--degrade", "noise", "--size", "8"), "--size: must be at least 16"),
        (("--degrade", "noise"), "--degrade: is for models that transform pictures"),
        (("--model", "srgn", "--degrade", "noise"), "--model: there is no model called 'srgn'; did you mean 'srgan'?"),
        (("--model", "restorer"), "--model: 'restorer' scores images and does not make them"),
        (("--model", "unet", "--drop", "a", "--degrade", "noise"), "--drop: has no meaning for images"),
        (("--model", "srgan", "--set", "scale=3", "--size", "32"), "--size: must be a multiple of 3, at least 16"),
        (("--model", "lean", "--pairs", "side-by-side"), "--pairs: is for models that transform pictures"),
        (("--model", "unet", "--kind", "a=integer", "--degrade", "noise"), "--kind: has no meaning for images"),
    ],
)
def test_what_cannot_be_trained_is_said(
    asked: tuple[str, ...], said: str, invoke: Invoke, clean: Path, tmp_path: Path
) -> None:
    assert said in the_error(invoke("train", clean, *asked, "--save", tmp_path / "model"))
    assert not (tmp_path / "model").exists()


def test_pairs_that_do_not_fit_are_said(invoke: Invoke, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "A")
    fill(tmp_path / "data" / "B", factor=2)
    asked = ("train", tmp_path / "data", *QUICK, "--save", tmp_path / "m", "--model")
    assert "the targets are 2 times as large as the sources, and unet makes 1" in the_error(invoke(*asked, "unet"))
    assert "makes 4 times as large; set scale" in the_error(invoke(*asked, "srgan", "--set", "scale=4"))
    assert "--degrade: has no effect on pictures that come with others" in the_error(
        invoke(*asked, "unet", "--degrade", "noise")
    )
    assert invoke(*asked, "srgan").exit_code == 0  # its scale is that of the pairs


def test_info_tells_pairs_from_classes(invoke: Invoke, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "A", mode="L")
    fill(tmp_path / "data" / "B", factor=2)
    told = invoke("info", tmp_path / "data").output
    assert "12 pairs, B 2 times as large as A" in told and "as two classes" in told
    found = the_json(invoke("info", tmp_path / "data", "--json"))
    assert found["layout"] == "pairs" and found["scale"] == 2 and found["A"]["channels"] == 1
    as_classes = the_json(invoke("info", tmp_path / "data", "--target", "folder", "--json"))
    assert [one["label"] for one in as_classes["classes"]] == ["A", "B"]
    Image.fromarray(drawn(9, 9, 0)).save(tmp_path / "data" / "B" / "03.png")
    assert "a translator could not learn from folders of these names: " in invoke("info", tmp_path / "data").output
    for path in (tmp_path / "data" / "B").iterdir():
        path.rename(path.with_name(f"other{path.name}"))
    assert "Two sets of pictures without pairs" in invoke("info", tmp_path / "data").output


# --- transform ---


def test_a_folder_keeps_its_names_and_formats(invoke: Invoke, enlarger: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(drawn(20, 31, 0)).save(folder / "a.jpg", exif=exif)
    opaque = np.full((20, 31, 1), 90, np.uint8)
    Image.fromarray(np.concatenate([drawn(20, 31, 1), opaque], 2)).save(folder / "deep" / "b.png")
    Image.fromarray(drawn(9, 11, 2)).convert("L").save(folder / "c.bmp")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "empty.png").write_bytes(b"")
    told = the_json(invoke("transform", folder, "--from", enlarger, "--json"))
    out = tmp_path / "photos.transformed"
    assert told["output"] == str(out) and [one["file"] for one in told["skipped"]] == ["empty.png"]
    assert {one["file"]: (one["width"], one["height"]) for one in told["pictures"]} == {
        "a.jpg": (40, 62), "c.bmp": (22, 18), "deep/b.png": (62, 40),
    }  # fmt: skip
    assert Image.open(out / "a.jpg").format == "JPEG" and Image.open(out / "a.jpg").size == (40, 62)
    made = Image.open(out / "deep" / "b.png")
    assert made.mode == "RGBA" and set(np.unique(np.asarray(made)[:, :, 3])) == {90}
    assert Image.open(out / "c.bmp").format == "BMP"
    rows = list(csv.reader((out / "manifest.csv").open()))
    assert rows[0] == ["file", "source"] and len(rows) == 4
    assert all(path.read_bytes() == data for path, data in before.items())
    assert "is not empty; give another name, or --force" in the_error(invoke("transform", folder, "--from", enlarger))
    assert invoke("transform", folder, "--from", enlarger, "--force").exit_code == 0


def test_a_picture_is_put_beside_itself(invoke: Invoke, enlarger: Path, clean: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    shutil.copy(clean / "00.png", photo)
    assert invoke("transform", photo, "--from", enlarger).exit_code == 0
    made = np.asarray(Image.open(tmp_path / "photo.transformed.png"))
    model: Any = gantools.load(enlarger, "cpu")
    assert np.array_equal(made, model.transform(np.asarray(Image.open(photo))))
    assert "exists already" in the_error(invoke("transform", photo, "--from", enlarger))
    assert "is the input file" in the_error(invoke("transform", photo, "--from", enlarger, "-o", photo, "--force"))
    assert "does not end in .png" in the_error(invoke("transform", photo, "--from", enlarger, "-o", tmp_path / "x.jpg"))


def test_a_file_makes_the_same_pictures(invoke: Invoke, enlarger: Path, clean: Path, tmp_path: Path) -> None:
    assert invoke("export", enlarger, "-o", tmp_path / "m.onnx").exit_code == 0
    assert invoke("transform", clean, "--from", enlarger, "-o", tmp_path / "one").exit_code == 0
    assert invoke("transform", clean, "--onnx", tmp_path / "m.onnx", "-o", tmp_path / "two").exit_code == 0
    for path in (tmp_path / "one").glob("*.png"):
        one, two = (np.asarray(Image.open(tmp_path / side / path.name)).astype(int) for side in ("one", "two"))
        assert np.abs(one - two).max() <= 1
    reverse = ("transform", clean, "--onnx", tmp_path / "m.onnx", "-o", tmp_path / "three", "--reverse")
    assert "--reverse: srgan knows one direction; leave it out" in the_error(invoke(*reverse))
    assert not (tmp_path / "three").exists()
    told = invoke("info", tmp_path / "m.onnx").output
    assert "image translator" in told and "transformed" in told


def test_holes_are_given_by_masks_or_are_transparent(invoke: Invoke, filler: Path, clean: Path, tmp_path: Path) -> None:
    photo, mask = tmp_path / "a.png", tmp_path / "mask.png"
    pixels = drawn(24, 28, 5)
    hole = np.zeros((24, 28), np.uint8)
    hole[5:12, 6:20] = 255
    Image.fromarray(pixels).save(photo)
    Image.fromarray(hole).save(mask)
    asked = ("transform", photo, "--from", filler, "-o", tmp_path / "out.png", "--force")
    assert invoke(*asked, "--mask", mask).exit_code == 0
    made = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(made[hole == 0], pixels[hole == 0]) and not np.array_equal(made, pixels)
    assert "a.png: says nowhere what is to be filled; give --mask" in the_error(invoke(*asked))

    clear = tmp_path / "clear.png"
    Image.fromarray(np.concatenate([pixels, (255 - hole)[:, :, None]], 2)).save(clear)
    assert invoke("transform", clear, "--from", filler, "-o", tmp_path / "filled.png").exit_code == 0
    filled = Image.open(tmp_path / "filled.png")
    assert filled.mode == "RGB" and np.array_equal(np.asarray(filled), made)

    Image.fromarray(np.full((24, 28), 255, np.uint8)).save(mask)
    assert "leaves nothing of the picture to go by" in the_error(invoke(*asked, "--mask", mask))
    Image.fromarray(hole[:, :9]).save(mask)
    assert "has 9 x 24 pixels, and its picture 28 x 24" in the_error(invoke(*asked, "--mask", mask))
    masks = tmp_path / "masks"
    masks.mkdir()
    for k, path in enumerate(sorted(clean.glob("*.png"))):
        width, height = Image.open(path).size
        Image.fromarray((np.arange(height * width).reshape(height, width) % 9 == k % 9).astype(np.uint8) * 255).save(
            masks / f"{path.stem}.bmp"
        )
    assert invoke("transform", clean, "--from", filler, "--mask", masks, "-o", tmp_path / "all").exit_code == 0
    (masks / "03.bmp").unlink()
    without = the_error(invoke("transform", clean, "--from", filler, "--mask", masks, "-o", tmp_path / "some"))
    assert "there is no mask for 03.png" in without and not (tmp_path / "some").exists()
    assert "does not suit" in the_error(
        invoke("transform", clean, "--from", filler, "--mask", mask, "-o", tmp_path / "x")
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "no translator was given; give --from, or --onnx"),
        (("--from", "{enlarger}", "--onnx", "x.onnx"), "cannot be combined"),
        (("--from", "nowhere"), "nowhere"),
        (("--from", "{enlarger}", "--mask", "{clean}"), "--mask: has no effect on a translator that fills no holes"),
        (("--from", "{enlarger}", "--reverse"), "--reverse: this translator knows one direction"),
        (("--from", "{enlarger}", "-o", "{clean}"), "is"),
        (("--from", "{enlarger}", "-o", "{clean}/inside"), "lies in"),
    ],
)
def test_what_cannot_be_transformed_is_said(
    asked: tuple[str, ...], said: str, invoke: Invoke, enlarger: Path, clean: Path
) -> None:
    given = [one.format(enlarger=enlarger, clean=clean) for one in asked]
    assert said in the_error(invoke("transform", clean, *given))


def test_other_models_and_folders_are_refused(
    invoke: Invoke, generator: Path, enlarger: Path, clean: Path, tmp_path: Path
) -> None:
    assert "holds a generator, not a translator; use it with" in the_error(
        invoke("transform", clean, "--from", generator)
    )
    assert "holds a translator, not a generator" in the_error(invoke("generate", enlarger, "-n", "3"))
    (tmp_path / "none").mkdir()
    assert "holds no pictures" in the_error(invoke("transform", tmp_path / "none", "--from", enlarger))
    (tmp_path / "none" / "a.png").write_bytes(b"no picture")
    told = the_error(invoke("transform", tmp_path / "none", "--from", enlarger))
    assert "none of its 1 picture can be used; the first, a.png, is not one of PNG" in told
    assert not (tmp_path / "none.transformed").exists()
    assert "does not exist" in the_error(invoke("transform", tmp_path / "gone", "--from", enlarger))
