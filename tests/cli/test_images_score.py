"""`gantools score` end to end on folders of small images, with the shortest of trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from .conftest import Invoke, the_error, the_json

# Enough to run every part of training, too little to learn much.
QUICK = ("--steps", "3", "--set", "width=8", "--set", "depth=1", "--device", "cpu")
ADDED = ["anomaly_score", "p_value", "is_anomaly"]


def put(folder: Path, n: int, *, odd: bool = False, seed: int = 0) -> Path:
    """Stripes with noise, 24 wide and 20 high; odd ones have a white blob."""
    rng = np.random.default_rng([seed, odd])
    folder.mkdir(parents=True, exist_ok=True)
    stripes = 128 + 30 * np.sin(np.arange(24) / 2)
    for k in range(n):
        pixels = np.clip(stripes + rng.normal(0, 6, (20, 24)), 0, 255).astype(np.uint8)
        if odd:
            pixels[5:12, 9:16] = 255
        Image.fromarray(pixels).save(folder / f"{k:02}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """30 normal images in 'good' and 4 odd ones in 'blob', in a new folder."""
    put(tmp_path / "album" / "photos" / "good", 30)
    put(tmp_path / "album" / "photos" / "blob", 4, odd=True)
    return tmp_path / "album" / "photos"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 normal images; tests only read them."""
    return put(tmp_path_factory.mktemp("normal") / "good", 40, seed=1)


@pytest.fixture(scope="module")
def image_scorer(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, good: Path) -> Path:
    """The folder of a scorer trained for a moment on the normal images; tests only read it."""
    folder = tmp_path_factory.mktemp("image_scorer")
    saved = folder / "scorer"
    the_json(invoke("score", good, "-o", folder / "x.csv", "--save", saved, *QUICK, "--json"))
    return saved


def test_a_table_is_written_beside_the_folder(invoke: Invoke, photos: Path) -> None:
    result = invoke("score", f"{photos}/", *QUICK)
    assert result.exit_code == 0, result.output
    scored = pd.read_csv(photos.with_name("photos.scored.csv"))
    assert list(scored.columns) == ["file", *ADDED]
    assert len(scored) == 34
    assert (scored["anomaly_score"] > 0).all()
    assert scored["p_value"].between(0, 1).all()
    assert sorted(path.name for path in photos.parent.iterdir()) == ["photos", "photos.scored.csv"]
    assert result.stderr == ""
    told = " ".join(result.stdout.split())
    for words in ("The most abnormal images", "34 images scored", "Learned from 34 images", "held-out", "3 steps"):
        assert words in told, told
    assert result.stdout.rstrip().endswith(f"Scored table: {photos.with_name('photos.scored.csv')}")


def test_anomalies_are_found_and_shown(invoke: Invoke, photos: Path, good: Path, tmp_path: Path) -> None:
    """Against normal images: table, reasons, maps, report, saved scorer, and what machines are told."""
    report, save = tmp_path / "r.html", tmp_path / "made"
    also = ("--explain", "--labels", "folder", "--report", report, "--save", save, "--false-alarms", "10%", "--json")
    told = the_json(invoke("score", photos, "--train", good, *QUICK, *also))
    scored = pd.read_csv(photos.with_name("photos.scored.csv"))
    blobs = scored["file"].str.startswith("blob/")
    assert scored["is_anomaly"][blobs].all()
    assert (scored["reason"].notna() == scored["is_anomaly"]).all()
    assert scored["reason"][blobs].str.contains(r"^at \d+,\d+ \(x,y\), \d+ x \d+ pixels, .* times the pixel").all()
    assert told["n_images"] == 34 and told["n_anomalous"] == scored["is_anomaly"].sum() == told["n_maps"]
    assert told["false_alarms"] == 0.1 and told["n_learned"] == 40 and told["n_held_out"] == 40
    assert told["detection"]["roc_auc"] == 1
    first = told["most_abnormal"][0]
    assert first["file"] == scored["file"][scored["anomaly_score"].idxmax()]
    assert first["reason"]
    maps = photos.with_name("photos.scored.maps")
    assert Path(told["maps"]) == maps
    drawn = sorted(path.relative_to(maps).as_posix() for path in maps.rglob("*.overlay.png"))
    assert drawn == [f"{name}.overlay.png" for name in sorted(scored["file"][scored["is_anomaly"]])]
    with Image.open(maps / "blob" / "00.png.heat.png") as heat:
        assert heat.size == (24, 20)
        values = np.asarray(heat).astype(float)
    assert values.max() > 16384
    assert values[5:12, 9:16].mean() > values[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    page = report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 20 and first["file"] in page and "rows" not in page
    assert (save / "config.json").is_file()


def test_the_saved_scorer_scores_alike(invoke: Invoke, photos: Path, image_scorer: Path, tmp_path: Path) -> None:
    """Whether images are files or arrays, and whichever others are there."""
    whole, part = tmp_path / "whole.csv", tmp_path / "part.parquet"
    told = the_json(invoke("score", photos, "--from", image_scorer, "-o", whole, "--json"))
    assert told["training"] is None and told["n_learned"] is None
    names = [f"blob/{k:02}.png" for k in range(4)]
    np.savez(tmp_path / "some.npz", images=np.stack([np.asarray(Image.open(photos / name)) for name in names]))
    the_json(invoke("score", tmp_path / "some.npz", "--from", image_scorer, "-o", part, "--json"))
    scores = pd.read_csv(whole).set_index("file").loc[names, "anomaly_score"].to_numpy()
    assert pd.read_parquet(part)["anomaly_score"].to_numpy() == pytest.approx(scores, rel=1e-4)


def test_the_exported_scorer_scores_alike(invoke: Invoke, photos: Path, image_scorer: Path, tmp_path: Path) -> None:
    """With a suffix in capitals, too."""
    file = tmp_path / "S.ONNX"
    the_json(invoke("export", image_scorer, "-o", file, "--json"))
    assert "image scorer" in invoke("info", file).stdout.splitlines()[0]
    for by in (("--from", image_scorer), ("--onnx", file)):
        the_json(invoke("score", photos, *by, "-o", tmp_path / f"{by[0]}.csv", "--maps", tmp_path / by[0], "--json"))
    one, other = (pd.read_csv(tmp_path / f"{by}.csv") for by in ("--from", "--onnx"))
    assert other["anomaly_score"].to_numpy() == pytest.approx(one["anomaly_score"].to_numpy(), rel=1e-3)


def test_maps_of_all_images_and_force(invoke: Invoke, photos: Path, image_scorer: Path, tmp_path: Path) -> None:
    """--force replaces what gantools drew, and nothing else."""
    maps = tmp_path / "maps"
    ask = ("score", photos, "--from", image_scorer, "--maps", maps, "--maps-for", "all", "-o", tmp_path / "o.csv")
    assert the_json(invoke(*ask, "--json"))["n_maps"] == 34
    (maps / "old.png").touch()
    assert "--force" in the_error(invoke(*ask))
    assert the_json(invoke(*ask, "--json", "--force"))["n_maps"] == 34
    assert not (maps / "old.png").exists()
    (maps / "about.json").unlink()
    assert "not heat maps" in the_error(invoke(*ask, "--force"))
    assert len(list(maps.rglob("*.heat.png"))) == 34


def test_one_seed_one_result(invoke: Invoke, photos: Path, good: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"{name}.csv" for name in "abc"]
    for out, seed in zip(outs, (5, 5, 6), strict=True):
        the_json(invoke("score", photos, "--train", good, *QUICK, "--seed", seed, "-o", out, "--json"))
    a, b, c = (out.read_bytes() for out in outs)
    assert a == b != c


def test_info_on_a_scorer_of_images(invoke: Invoke, image_scorer: Path) -> None:
    result = invoke("info", image_scorer)
    assert result.exit_code == 0, result.output
    for told in ("restorer", "3 steps", "Threshold", "held-out", "40 images"):
        assert told in result.stdout, told
    assert the_json(invoke("info", image_scorer, "--json"))["threshold"] > 0


# Refusals: one line, exit code 2, nothing written ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "a=integer"), "--kind"),
        (("--labels", "fraud"), "--labels folder"),
        (("--maps-for", "all"), "--maps-for"),
        (("--train", "nowhere"), "--train"),
        (("--train", "{photos}/good/00.png"), "--train"),
        (("-o", "{photos}/../out.png"), "CSV nor Parquet"),
        (("--maps", "{photos}/maps"), "--maps"),
        (("--maps", "{photos}"), "--maps"),
        (("--maps", "{photos}/good/maps", "--train", "{photos}/good"), "--maps"),
        (("-o", "{photos}/out.csv", "--explain"), "--maps"),
        (("--maps", "{photos}/../no/maps"), "--maps"),
        (("--report", "{photos}/../photos.scored.csv"), "--report"),
        (("--save", "{photos}"), "--save"),
        (("--save", "{photos}/scorer"), "--save: {photos}/scorer lies in {photos}; give a place outside it"),
        (("--save", "{photos}/../photos.scored.csv"), "--save"),
        (("--size", "30"), "--size"),
        (("--model", "denoiser"), "--model"),
        (("--set", "width"), "--set"),
        (("--from", "{photos}"), "not a saved model"),
        (("--from", "{photos}", "--size", "16"), "--size"),
        (("--from", "{photos}", "--features", "own"), "--features"),
    ],
)
def test_refusals(invoke: Invoke, photos: Path, options: tuple[str, ...], said: str) -> None:
    before = sorted(photos.parent.rglob("*"))
    assert said.format(photos=photos) in the_error(
        invoke("score", photos, *(option.format(photos=photos) for option in options))
    )
    assert sorted(photos.parent.rglob("*")) == before


def test_a_table_may_lie_among_the_images(invoke: Invoke, photos: Path, image_scorer: Path) -> None:
    the_json(invoke("score", photos, "--from", image_scorer, "-o", photos / "out.csv", "--json"))
    assert (photos / "out.csv").is_file()


def test_an_output_that_exists_is_kept_without_force(invoke: Invoke, photos: Path, image_scorer: Path) -> None:
    out = photos.with_name("photos.scored.csv")
    out.write_text("mine")
    assert "--force" in the_error(invoke("score", photos, "--from", image_scorer))
    assert out.read_text() == "mine"


def test_scorers_of_the_other_kind(
    invoke: Invoke, photos: Path, customers: Path, scorer: Path, image_scorer: Path, generator: Path
) -> None:
    assert "holds a scorer of tables" in the_error(invoke("score", photos, "--from", scorer))
    assert "holds a scorer of images" in the_error(invoke("score", customers, "--from", image_scorer))
    assert "holds a generator" in the_error(invoke("score", photos, "--from", generator))


@pytest.mark.parametrize("option", ["--size=16", "--fit=pad", "--features=own", "--maps=m", "--maps-for=all"])
def test_options_of_images_have_no_meaning_for_tables(invoke: Invoke, customers: Path, option: str) -> None:
    assert f"{option.split('=')[0]}: has no meaning for tables" in the_error(invoke("score", customers, option))
