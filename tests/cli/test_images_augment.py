"""The commands on folders of images: augment, train, generate, info; and what they refuse, leaving nothing behind."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantools.evaluate import image_quality
from gantools.train import image_classifier as judge
from gantools_cli.show import CommandProgress

from .conftest import Invoke, the_error, the_json

COUNTS = {0: 12, 1: 10, 7: 9}
QUICK = ("--set", "width=4", "--steps", "5", "--device", "cpu")

MakeDigits = Callable[..., Path]


@pytest.fixture
def digits(tmp_path: Path, make_digits: MakeDigits) -> Path:
    """The folder `digits` alone in a new folder: 12 zeros, 10 ones and 9 sevens, 16 pixels wide."""
    return make_digits(tmp_path / "images" / "digits", COUNTS)


@pytest.fixture(scope="module")
def images_generator(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, make_digits: MakeDigits) -> Path:
    """The folder of a generator trained for a moment on these digits; tests only read it."""
    folder = tmp_path_factory.mktemp("trained_images")
    saved = folder / "generator"
    result = invoke("train", make_digits(folder / "digits", COUNTS), "--target", "folder", "--save", saved, *QUICK)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (folder / "generator.grids").iterdir()] == ["step_000005.png"]
    return saved


@pytest.fixture(autouse=True)
def short_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MIN_STEPS", 2)
    monkeypatch.setattr(judge, "MAX_STEPS", 2)
    monkeypatch.setattr(image_quality, "N_SUBSETS", 2)


def contents(folder: Path) -> dict[str, int]:
    """Every path below the folder and its time of change."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def labels(folder: Path) -> dict[str, int]:
    """Class -> images, by the manifest, each of which is there."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all((folder / row["file"]).is_file() for row in rows)
    names = [row["label"] for row in rows]
    return {name: names.count(name) for name in sorted(set(names))}


# augment --------------------------------------------------------------------------------------------------------------


def test_people_are_told_everything(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    """Counts, training, copies, the verdict's methods, quality with its features, and where things are."""
    report, save, grids = tmp_path / "r.html", tmp_path / "made", tmp_path / "grids"
    also = ("--report", report, "--save", save, "--grids", grids)
    result = invoke("augment", digits, "--target", "folder", *QUICK, *also)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    out = digits.with_name("digits.balanced")
    assert labels(out) == {"0": 12, "1": 12, "7": 12}
    for told in (
        *("12", "10", "5 steps", "do not pass for real ones", "5 of its usual 10,000 steps"),
        *("0 drawn by the generator, 5 varied real ones", "classical", "repetition", "gantools"),
        *("FID", "classifier", f"Balanced folder: {out}", f"Report: {report}", f"Generator: {save}", str(grids)),
    ):
        assert told in result.stdout, told
    page = report.read_text(encoding="utf-8")
    for told in ("Do the synthetic images help?", "classical augmentation", "data:image/png;base64,", "Quality"):
        assert told in page, told
    assert list(grids.iterdir()) == [grids / "step_000005.png"]
    assert (save / "config.json").is_file()


def test_machines_are_told_the_same(invoke: Invoke, digits: Path, images_generator: Path) -> None:
    """Without --target, from a saved generator, for one class; an unreadable file is named and not in the output."""
    (digits / "1" / "broken.png").write_bytes(b"no picture")
    told = the_json(
        invoke("augment", digits, "--from", images_generator, "--json", "--strategy", '{"1": 25}', "--synthetic-only")
    )
    assert told["target"] == "folder"
    assert told["classes"][1] == {"label": "1", "before": 10, "after": 25}
    assert told["n_synthetic"] == told["n_written"] == 15
    assert told["size"] == 16
    assert told["verdict"] is None and any("No verdict" in note for note in told["notes"])
    assert [skipped["file"] for skipped in told["skipped"]] == ["1/broken.png"]
    assert any("1/broken.png" in note for note in told["notes"])
    assert "classifier" in told["quality"]["features"]
    assert labels(digits.with_name("digits.balanced")) == {"1": 15}


def test_arrays_are_balanced_into_a_folder(invoke: Invoke, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (20, 20, 24, 3), np.uint8), np.array(["cat"] * 14 + ["dog"] * 6)
    np.savez(tmp_path / "pets.npz", x=x, y=y)
    told = the_json(invoke("augment", tmp_path / "pets.npz", *QUICK, "--no-verdict", "--fit", "crop", "--json"))
    assert told["output"] == str(tmp_path / "pets.balanced")
    assert told["size"] == 20
    assert labels(tmp_path / "pets.balanced") == {"cat": 14, "dog": 14}


def test_only_what_gantools_wrote_is_replaced(invoke: Invoke, digits: Path, images_generator: Path) -> None:
    out = digits.with_name("digits.balanced")
    arguments = ("augment", digits, "--from", images_generator)
    shutil.copytree(digits, out)
    assert "--force" in the_error(invoke(*arguments))
    assert "files that are not those that gantools wrote" in the_error(invoke(*arguments, "--force"))
    shutil.rmtree(out)
    the_json(invoke(*arguments, "--json"))
    assert "--force" in the_error(invoke(*arguments))
    told = the_json(invoke(*arguments, "--force", "--strategy", '{"7": 30}', "--json"))
    assert told["n_written"] == 52 and labels(out)["7"] == 30


def test_ctrl_c_leaves_nothing(invoke: Invoke, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While training, whatever was asked for."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CommandProgress, "__call__", interrupt)
    also = ("--save", digits.with_name("made"), "--report", digits.with_name("r.html"))
    line = the_error(invoke("augment", digits, *QUICK, *also), exit_code=130)
    assert line == "Interrupted: nothing was written"
    assert [path.name for path in digits.parent.iterdir()] == ["digits"]


# train, generate, info ------------------------------------------------------------------------------------------------


def test_generate_exact_counts(invoke: Invoke, images_generator: Path, tmp_path: Path) -> None:
    """In the proportions of the training set, or of one class."""
    out = tmp_path / "made"
    told = the_json(invoke("generate", images_generator, "-n", "31", "-o", out, "--json"))
    assert told["n_images"] == 31
    assert told["classes"] == [{"label": str(digit), "images": n} for digit, n in COUNTS.items()]
    assert labels(out) == {"0": 12, "1": 10, "7": 9}
    assert "--force" in the_error(invoke("generate", images_generator, "-n", "3", "-o", out))
    result = invoke("generate", images_generator, "-n", "3", "--where", "folder=7", "-o", out, "--force")
    assert result.exit_code == 0, result.output
    assert result.stdout.rstrip().endswith(f"Synthetic images: {out}")
    assert labels(out) == {"7": 3}


@pytest.mark.parametrize(
    ("where", "named"), [("folder=8", "0, 1, 7"), ("digit=7", "folder=LABEL"), ("7", "folder=LABEL")]
)
def test_where_names_what_is_wrong(
    invoke: Invoke, images_generator: Path, tmp_path: Path, where: str, named: str
) -> None:
    line = the_error(invoke("generate", images_generator, "-n", "5", "--where", where, "-o", tmp_path / "x"))
    assert "--where" in line and named in line
    assert not list(tmp_path.iterdir())


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_liked_image_is_made_again(invoke: Invoke, images_generator: Path, tmp_path: Path) -> None:
    """By the seed that the manifest has of it, alone or among others, of its class or of every one."""
    made, again = tmp_path / "made", tmp_path / "again"
    assert invoke("generate", images_generator, "-n", "31", "--seed", "2", "-o", made).exit_code == 0
    with (made / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "7"]
    liked = rows[3], rows[1]
    seeds = ",".join(row["seed"] for row in liked)
    told = invoke("generate", images_generator, "--seeds", seeds, "--where", "folder=7", "-o", again)
    assert told.exit_code == 0 and labels(again) == {"7": 2}
    for place, row in enumerate(liked):
        np.testing.assert_array_equal(pixels(again / f"7/synthetic_{place + 1:06d}.png"), pixels(made / row["file"]))
    assert invoke("generate", images_generator, "--seeds", seeds, "-o", tmp_path / "every").exit_code == 0
    assert labels(tmp_path / "every") == {"0": 2, "1": 2, "7": 2}


def test_one_image_turns_into_another(invoke: Invoke, images_generator: Path, tmp_path: Path) -> None:
    strip, ends = tmp_path / "strip.png", tmp_path / "ends"
    told = the_json(invoke("generate", images_generator, "--interpolate", 5, 9, "-n", 4, "-o", strip, "--json"))
    assert told["output"] == str(strip) and told["n_images"] == 12
    assert invoke("generate", images_generator, "--seeds", "5,9", "--where", "folder=1", "-o", ends).exit_code == 0
    picture = pixels(strip)
    assert picture.shape[:2] == (3 * 16, 4 * 16)
    for place, x in ((1, 0), (2, 48)):
        np.testing.assert_array_equal(picture[16:32, x : x + 16], pixels(ends / f"1/synthetic_{place:06d}.png"))
    assert "exists already" in the_error(invoke("generate", images_generator, "--interpolate", 5, 9, "-o", strip))


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, make_digits: MakeDigits) -> Path:
    """The folder of a `stylegan` trained for a moment; beside it, exported, `styled.onnx`. Tests only read them."""
    folder = tmp_path_factory.mktemp("styled")
    digits, saved = make_digits(folder / "digits", COUNTS), folder / "styled"
    quick = ("--set", "noise_dim=8", *QUICK)
    result = invoke("train", digits, "--model", "stylegan", "--save", saved, *quick)
    assert result.exit_code == 0, result.output
    assert invoke("export", saved, "-o", folder / "styled.onnx").exit_code == 0
    return saved


def test_truncated_images_are_the_same_from_the_folder_and_from_the_file(
    invoke: Invoke, styled: Path, tmp_path: Path
) -> None:
    """A class alone without any variety; as they come unless asked otherwise."""
    made = {}
    for psi in (None, 1, 0.5, 0):
        for name, place in (("folder", (styled,)), ("file", ("--onnx", styled.with_suffix(".onnx")))):
            out = tmp_path / f"{name}{psi}"
            given = () if psi is None else ("--truncation", psi)
            assert invoke("generate", *place, "--seeds", "5,9", *given, "-o", out).exit_code == 0
            made[name, psi] = np.stack([pixels(path).astype(int) for path in sorted(out.rglob("*.png"))])
        assert np.abs(made["folder", psi] - made["file", psi]).max() <= 1
    assert np.array_equal(made["folder", None], made["folder", 1])
    assert not np.array_equal(made["folder", 0.5], made["folder", 1])
    apart = [np.abs(made["folder", psi][0] - made["folder", psi][1]).mean() for psi in (0, 1)]
    assert apart[0] < 0.2 * apart[1]  # the layers' noise is not truncated


def test_styles_are_mixed_from_the_finest_to_the_coarsest(invoke: Invoke, styled: Path, tmp_path: Path) -> None:
    strip, ends = tmp_path / "strip.png", tmp_path / "ends"
    one = ("--where", "folder=7")
    told = the_json(invoke("generate", styled, "--style-mix", 5, 9, "-n", 4, *one, "-o", strip, "--json"))
    assert told["n_images"] == 4
    assert invoke("generate", styled, "--seeds", "5", *one, "-o", ends).exit_code == 0
    picture = pixels(strip)
    np.testing.assert_array_equal(picture[:, :16], pixels(ends / "7/synthetic_000001.png"))
    steps = [np.abs(picture[:, k : k + 16].astype(int) - picture[:, :16].astype(int)).mean() for k in (16, 32, 48)]
    assert 0 < steps[0] < steps[2]


def test_what_has_no_styles_says_so(invoke: Invoke, images_generator: Path, styled: Path, tmp_path: Path) -> None:
    out, exported = tmp_path / "x.png", ("--onnx", styled.with_suffix(".onnx"))
    for place, given, named in (
        ((images_generator,), ("--truncation", 0.5, "-n", 3), "nothing to truncate"),
        ((styled,), ("--truncation", 1.5, "-n", 3), "from 0 to 1"),
        ((images_generator,), ("--style-mix", 1, 2), "no styles"),
        (exported, ("--style-mix", 1, 2), "give its folder"),
        ((styled,), ("--style-mix", 1, 2, "--interpolate", 1, 2), "--interpolate"),
    ):
        assert named in the_error(invoke("generate", *place, *given, "-o", out))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((), "--rows"),
        (("--seeds", "3", "-n", "2"), "--seeds"),
        (("--seeds", "3;4"), "12,87"),
        (("--seeds", "3", "--interpolate", 1, 2), "--seeds"),
        (("--interpolate", 1, 2, "-n", 1), "--rows"),
        (("--interpolate", 1, 2), "end it in .png"),
    ],
)
def test_seeds_that_say_nothing(
    invoke: Invoke, images_generator: Path, tmp_path: Path, given: tuple[object, ...], named: str
) -> None:
    assert named in the_error(invoke("generate", images_generator, *given, "-o", tmp_path / "x"))
    assert not list(tmp_path.iterdir())


def test_a_trained_generator_is_safe(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    """Not trained over without --force; a finished one is not resumed; an interrupted one is."""
    save = tmp_path / "run"
    arguments = ("train", digits, "--save", save, "--json", *QUICK)
    told = the_json(invoke(*arguments, "--size", "20", "--grids", tmp_path / "seen"))
    assert told["model"] == "lean" and told["grids"] == str(tmp_path / "seen")
    assert "not empty" in the_error(invoke(*arguments))
    assert "finished" in the_error(invoke(*arguments, "--size", "20", "--resume"))
    assert the_json(invoke(*arguments, "--force"))["training"]["steps"] == 5
    shown = the_json(invoke("info", save, "--json"))
    assert (shown["model"], shown["size"], shown["n_images"]) == ("lean", 16, 31)


def test_an_interrupted_training_goes_on(
    invoke: Invoke, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, news = tmp_path / "run", []

    def interrupt(*_: object) -> None:
        news.append(1)
        if len(news) == 2:
            raise KeyboardInterrupt

    arguments = ("train", digits, "--save", save, "--set", "width=4", "--steps", "60", "--device", "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(CommandProgress, "__call__", interrupt)
        line = the_error(invoke(*arguments), exit_code=130)
    assert "--resume" in line
    assert the_json(invoke("info", save, "--json"))["training"]["steps"] == 50
    told = the_json(invoke(*arguments, "--resume", "--json"))
    assert told["training"]["steps"] == 60


def test_info_on_images(invoke: Invoke, digits: Path) -> None:
    (digits / "1" / "broken.png").write_bytes(b"no picture")
    result = invoke("info", digits, "--target", "folder")
    assert result.exit_code == 0, result.output
    for told in ("31 images", "31 PNG", "Grey", "16 pixels wide", "39 %", "1/broken.png"):
        assert told in result.stdout, told
    told_json = the_json(invoke("info", digits, "--json"))
    assert told_json["classes"][2] == {"label": "7", "images": 9}
    assert told_json["schema"]["formats"] == {"PNG": 31}


def test_info_on_a_generator_of_images(invoke: Invoke, images_generator: Path) -> None:
    result = invoke("info", images_generator)
    assert result.exit_code == 0, result.output
    for told in ("lean", "width=4", "16 x 16 pixels", "31 images", "5 steps"):
        assert told in result.stdout, told


# What is refused ------------------------------------------------------------------------------------------------------


def refused(
    invoke: Invoke, data: Path, *named: str, also: tuple[object, ...] = QUICK, command: str = "augment"
) -> None:
    """The command refuses `data`, naming each of `named`, and leaves the folder that it lies in as it was."""
    before = contents(data.parent)
    line = the_error(invoke(command, data, *also))
    for word in named:
        assert word in line, line
    assert contents(data.parent) == before


def test_folders_that_cannot_be_balanced(invoke: Invoke, tmp_path: Path, make_digits: MakeDigits) -> None:
    """No images, no class folders, one class alone, images beside the class folders."""
    (tmp_path / "empty").mkdir()
    refused(invoke, tmp_path / "empty", "empty", "no images")
    one = make_digits(tmp_path / "a" / "one", {3: 4})
    refused(invoke, one, "one class alone", "'3'")
    refused(invoke, one / "3", "no class folders")
    two = make_digits(tmp_path / "b" / "two", {3: 4, 4: 2})
    shutil.copy(two / "3" / "000.png", two / "loose.png")
    refused(invoke, two, "loose.png")
    for command in ("train", "augment"):
        for absent in ("absent", "absent.npz"):
            also = ("--save", tmp_path / "made", *QUICK)
            refused(invoke, tmp_path / absent, absent, "does not exist", command=command, also=also)
    assert not (tmp_path / "made").exists()


def test_most_files_are_broken(invoke: Invoke, digits: Path) -> None:
    for path in digits.rglob("00[0-6].png"):
        path.write_bytes(b"no picture")
    refused(invoke, digits, "21 of 31", "0/000.png")


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--target", "label"), ("--target folder",)),
        (("--strategy", "minorty"), ("--strategy", "minority")),
        (("--vary", "rotate,spin"), ("--vary", "rotate, shift", "'spin'")),
        (("--strategy", "0.5"), ("--strategy", "two classes")),
        (("--strategy", '{"8": 50}'), ("'8'", "0, 1, 7")),
        (("--strategy", '{"7": 3}'), ("'7'", "fewer")),
        (("--strategy", '{"7": 9}'), ("as many images as asked for",)),
        (("--model", "leen"), ("--model", "'lean'")),
        (("--model", "tabular"), ("--model",)),
        (("--model", "restorer"), ("--model", "scores images")),
        (("--set", "widht=4"), ("'width'",)),
        (("--size", "17"), ("--size", "16, 20")),
        (("--fit", "stretch"), ("--fit", "resize")),
        (("--features", "pixels"), ("--features", "classifier")),
        (("--kind", "a=integer"), ("--kind", "images")),
        (("--device", "tpu"), ("--device",)),
        (("--budget", "soon"), ("--budget",)),
    ],
)
def test_option_values(invoke: Invoke, digits: Path, option: tuple[str, ...], named: tuple[str, ...]) -> None:
    refused(invoke, digits, *named, also=(*QUICK, *option))


@pytest.mark.parametrize("command", ["augment", "train"])
def test_options_of_images_have_no_meaning_for_tables(invoke: Invoke, customers: Path, command: str) -> None:
    also = ("--target", "churned", "--save", customers.with_name("made"))
    vary = (("--vary", "light"),) if command == "augment" else ()
    for option in (*vary, ("--size", "32"), ("--fit", "pad"), ("--grids", customers.with_name("g"))):
        refused(invoke, customers, option[0], "tables", also=(*also, *option), command=command)


def test_places_where_output_must_not_go(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    """Into the input, over it, around it, into a file, where no folder is; nor anything into the output."""
    cases: list[tuple[tuple[object, ...], str]] = [
        (("-o", digits, "--force"), "itself"),
        (("-o", digits / "more"), "lies in"),
        (("-o", digits.parent, "--force"), "inside it"),
        (("-o", digits.with_name("x.npz")), "x.npz"),
        (("-o", digits.with_name("nowhere") / "x"), "nowhere"),
        (("--save", digits / "made"), "--save"),
        (("--grids", digits / "1"), "--grids"),
        (("--grids", digits.parent), "--grids"),
        (("--report", digits / "r.html"), "--report"),
        (("--save", digits.with_name("digits.balanced") / "made"), "--save"),
    ]
    for also, named in cases:
        refused(invoke, digits, named, also=(*QUICK, *also))
    (tmp_path / "file").write_text("mine")
    refused(invoke, digits, "is a file", also=("-o", tmp_path / "file", "--force"))
    assert (tmp_path / "file").read_text() == "mine"


def test_generators_that_do_not_fit(
    invoke: Invoke, digits: Path, customers: Path, generator: Path, images_generator: Path, make_digits: MakeDigits
) -> None:
    """One of a table, one of other classes, none at all, one of images for a table; options of training beside it."""
    refused(invoke, digits, "generator", also=("--from", generator))
    refused(invoke, digits, str(digits), also=("--from", digits))
    refused(invoke, customers, "images", also=("--target", "churned", "--from", images_generator))
    other = make_digits(digits.parent / "other", {0: 3, 5: 2})
    refused(invoke, other, "0, 5", "0, 1, 7", also=("--from", images_generator))
    for option in (("--size", "32"), ("--fit", "pad"), ("--grids", digits.with_name("g")), ("--steps", "9")):
        refused(invoke, digits, option[0], "--from", also=("--from", images_generator, *option))


def test_a_generator_of_images_is_nothing_else(invoke: Invoke, images_generator: Path, tmp_path: Path) -> None:
    """It takes no option of rows, and no scorer's place."""
    line = the_error(invoke("generate", images_generator, "-n", "3", "--no-refine", "-o", tmp_path / "x"))
    assert "--refine" in line
    assert "images" in the_error(invoke("score", tmp_path, "--from", images_generator))
    assert "saved model" in the_error(invoke("augment", images_generator, *QUICK))


def test_refusals_do_not_wait_for_torch(digits: Path) -> None:
    """What is plain from the arguments is said at once."""
    code = (
        "import sys\nfrom gantools_cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: assert end.code == 2\n"
        "assert 'torch' not in sys.modules"
    )
    for also in (("-o", digits / "more"), ("--target", "label"), ("--kind", "a=integer"), ("--set", "width")):
        done = subprocess.run([sys.executable, "-c", code, "augment", digits, *also], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
