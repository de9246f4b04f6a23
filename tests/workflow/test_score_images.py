"""All of `gantools score` for images as a function: who sees which images, where the threshold is, what is written.

The scorer is a stand-in that is fitted in no time: how far pixels are from the mean of those learned from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gantools.data.images.source import open_images
from gantools.encode.images import ImageEncoder, ImageLayout
from gantools.errors import ConfigError, DataError
from gantools.score.calibrated import Calibrated
from gantools.score.image_scorer import Assessed
from gantools.score.threshold import Calibration
from gantools.workflow import score_images
from gantools.workflow.contract import Watch
from gantools.workflow.score import Request, run
from gantools.workflow.score_images import ImageResult

SIDE = 16
OWN = 1e-3  # what the stand-in adds to the score of an image that it learned from, as if it were held out


class Distance(Calibrated):
    """Stands in for ImageScorer."""

    modality = "image"
    settles_for_finest = True
    model = "restorer"
    fitted: ClassVar[list[Distance]] = []

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.false_alarms, self.contamination = options.get("false_alarms", 0.01), options.get("contamination", 0.0)
        self.contamination_ = 0.05 if self.contamination == "auto" else self.contamination

    def fit(self, X: Any, *, progress: Any) -> Self:
        self.schema_ = X.schema
        self.learned = [X.read(index) for index in range(len(X))]
        self.n_learned_ = len(self.learned)
        self.mean = np.mean([image.mean() for image in self.learned])
        self.train_score_ = self.anomaly_score(X) + OWN
        self.encoder_ = ImageEncoder(ImageLayout(X.schema.channels, SIDE), self.options.get("shape", "resize"))
        self.calibration_ = Calibration.fit(self.train_score_, tail=self.options["tail"])
        self.pixel_threshold_ = 60.0
        self.report_ = SimpleNamespace(stopped="finished")
        Distance.fitted.append(self)
        return self

    def assess(self, X: Any) -> Iterator[Assessed]:
        for index in range(len(X)):
            far = np.abs(X.read(index).astype(np.float32).mean(2) - self.mean)
            score = float(far.mean())
            p_value = float(self.calibration_.p_value(score))
            yield Assessed(index, score, p_value, score > self.threshold_, far / np.float32(self.pixel_threshold_))

    def anomaly_score(self, X: Any) -> np.ndarray:
        return np.array([np.abs(X.read(index).astype(np.float64) - self.mean).mean() for index in range(len(X))])


@pytest.fixture(autouse=True)
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Distance]:
    """The scorers that were fitted."""
    monkeypatch.setattr(score_images, "ImageScorer", Distance)
    monkeypatch.setattr(Distance, "fitted", [])
    return Distance.fitted


def put(folder: Path, n: int, *, odd: bool = False, seed: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """Grey noise; odd images have a white blob, 3 wide and 4 high."""
    rng = np.random.default_rng([seed, odd])
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        pixels = rng.normal(100, 5 + k % 7, (size[1], size[0])).clip(0, 255).astype(np.uint8)
        if odd:
            pixels[5:9, 2:5] = 255
        Image.fromarray(pixels).save(folder / f"{k:03}.png")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """60 normal images and 6 odd ones."""
    put(tmp_path / "photos" / "Good", 60)
    put(tmp_path / "photos" / "blob", 6, odd=True)
    return tmp_path / "photos"


def scored(data: Path, watch: Watch | None = None, **options: Any) -> tuple[ImageResult, pd.DataFrame]:
    out = data.with_name("out.csv")
    result = run(Request(data=data, output=out, force=True, **options), watch)
    assert isinstance(result, ImageResult)
    return result, pd.read_csv(out)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the folder of the scorer that was fitted first."""
    monkeypatch.setattr("gantools.train.saved.load", lambda *_: Distance.fitted[0])
    return Path("saved")


def test_a_folder_learned_from_itself(data: Path, fits: list[Distance]) -> None:
    """All images are learned from, some are taken for anomalies, and each is scored as if it were held out."""
    result, out = scored(data)
    assert result.learned.n_learned == len(fits[0].learned) == 66
    assert (fits[0].contamination, fits[0].false_alarms) == ("auto", 0.01)
    assert list(out.columns) == ["file", "anomaly_score", "p_value", "is_anomaly"]
    assert out["file"].tolist() == [*(f"Good/{k:03}.png" for k in range(60)), *(f"blob/{k:03}.png" for k in range(6))]
    np.testing.assert_allclose(out["anomaly_score"], fits[0].train_score_, rtol=1e-5)
    np.testing.assert_allclose(out["p_value"], fits[0].calibration_.p_value(fits[0].train_score_), rtol=1e-5)
    assert result.detection is None
    assert len(result.top) == len(result.pictures) == 20
    assert result.top["file"].str.startswith("blob").sum() == 6
    assert result.pictures[0].shape == (SIDE, SIDE, 3)


def test_a_folder_of_normal_images(data: Path, tmp_path: Path, fits: list[Distance]) -> None:
    """Only its images are learned from, clean; reasons say where the anomalies are, for these alone."""
    good = put(tmp_path / "good", 150, seed=1)
    result, out = scored(data, normal=good, explain=True)
    assert (result.learned.n_learned, fits[0].contamination) == (150, 0)
    blobs = out["file"].str.startswith("blob")
    assert out["is_anomaly"][blobs].all()
    assert (out["is_anomaly"] == (out["p_value"] <= 0.01)).all()
    assert (out["reason"].notna() == out["is_anomaly"]).all()
    assert out["reason"][blobs].str.fullmatch(r"at [234],[5678] \(x,y\), 3 x 4 pixels, 2.\d times .*").all()
    fresh = fits[0].anomaly_score(open_images(data, labelled=False))
    np.testing.assert_allclose(out["anomaly_score"], fresh, rtol=1e-5)


@pytest.mark.parametrize("which", ["the same", "inside"])
def test_images_that_are_scored_and_given_as_normal(data: Path, fits: list[Distance], which: str) -> None:
    """Those that were learned from are scored as if they were held out, wherever the folder begins."""
    _, out = scored(data, normal=data if which == "the same" else data / "Good")
    n = 66 if which == "the same" else 60
    np.testing.assert_allclose(out["anomaly_score"][:n], fits[0].train_score_, rtol=1e-5)


def test_links_to_images_that_were_learned_from(data: Path, tmp_path: Path, fits: list[Distance]) -> None:
    """They are the same images, and so is a copy: each is scored as if it were held out."""
    links = tmp_path / "links"
    links.mkdir()
    (links / "all").symlink_to(data / "Good")
    (links / "000.png").symlink_to(data / "Good" / "000.png")
    (links / "001.png").hardlink_to(data / "Good" / "001.png")
    (links / "002.png").write_bytes((data / "Good" / "002.png").read_bytes())
    _, out = scored(links, normal=data / "Good")
    held_out = fits[0].train_score_
    np.testing.assert_allclose(out["anomaly_score"], [*held_out[:3], *held_out], rtol=1e-5)


def test_what_crop_hides_is_said(data: Path, tmp_path: Path) -> None:
    put(data / "blob", 1, odd=True, size=(64, 16))
    result, _ = scored(data, normal=put(tmp_path / "good", 30), fit="crop")
    assert "crop keeps the middle alone: of the longest image 75% is not seen" in result.data_notes[-1]


def test_class_folders_mark_what_is_known(data: Path, fits: list[Distance]) -> None:
    """Anomalies are not learned from, nor are the normal images on which the threshold of the best F1 is sought."""
    result, out = scored(data, labels="folder")
    assert (result.learned.n_marked, result.learned.n_learned, len(fits[0].learned)) == (6, 48, 48)
    assert fits[0].contamination == 0
    assert result.threshold.asked is None
    assert result.threshold.f1 == pytest.approx(1.0)
    assert result.detection is not None
    assert (result.detection.n_anomalous, result.detection.n_normal) == (6, 60)
    assert result.detection.roc_auc > 0.99
    assert out["is_anomaly"].sum() == 6
    told = " ".join(result.words())
    assert "6 known anomalies left out" in told and "On 6 known anomalies and 60 known normal images" in told
    assert "few: scores are more reliable from 50" in told


def test_a_rate_that_is_asked_for_wins_over_f1(data: Path) -> None:
    result, _ = scored(data, labels="folder", false_alarms=0.1)
    assert (result.threshold.asked, result.threshold.f1) == (0.1, None)


def test_marks_in_data_alone(data: Path, tmp_path: Path, fits: list[Distance]) -> None:
    """No threshold can be sought, but it is told how well the anomalies are found."""
    result, _ = scored(data, normal=put(tmp_path / "good", 30), labels="folder")
    assert (result.threshold.asked, result.learned.n_learned) == (0.01, 30)
    assert result.detection is not None


def test_no_class_is_called_normal(data: Path) -> None:
    (data / "Good").rename(data / "fine")
    refused(data, "photos", "('blob', 'fine')", "call that of the normal images good", labels="folder")


def test_files_that_cannot_be_read_do_not_vanish(data: Path, tmp_path: Path) -> None:
    (data / "Good" / "0000.png").write_bytes(b"no image")
    result, out = scored(data, normal=put(tmp_path / "good", 30), explain=True, labels="folder")
    row = out[out["file"] == "Good/0000.png"].iloc[0]
    assert row.isna()[["anomaly_score", "p_value", "is_anomaly"]].all()
    assert "is not one of PNG" in row["reason"]
    assert out["file"].tolist() == sorted(out["file"])
    assert len(out) == 67 and result.n_scored == 66
    assert "1 file could not be read, so without a score: Good/0000.png is not one of" in " ".join(result.words())
    assert result.detection is not None and result.detection.n_normal == 60


def test_maps(data: Path, tmp_path: Path) -> None:
    """Of anomalies, or of all, in the size of each image."""
    put(data / "blob", 1, odd=True, size=(20, 17))
    good = put(tmp_path / "good", 150, seed=1)
    for which, n in (("anomalous", None), ("all", 66)):
        result, out = scored(data, normal=good, maps=tmp_path / which, maps_of=which)
        drawn = out["file"][out["is_anomaly"] | (which == "all")]
        assert result.n_maps == len(drawn) and (n is None or result.n_maps == n)
        heats = {path.relative_to(tmp_path / which).as_posix() for path in (tmp_path / which).rglob("*.heat.png")}
        assert heats == {f"{name}.heat.png" for name in drawn}
        with Image.open(tmp_path / which / "blob" / "000.png.overlay.png") as picture:
            assert picture.size == (20, 17)
    assert "reason" not in out


def test_maps_of_images_that_were_learned_from(data: Path, tmp_path: Path, fits: list[Distance]) -> None:
    result, out = scored(data, maps=tmp_path / "maps", maps_of="all")
    assert result.n_maps == 66
    np.testing.assert_allclose(out["anomaly_score"], fits[0].train_score_, rtol=1e-5)


def test_arrays(tmp_path: Path, fits: list[Distance]) -> None:
    """The images of an .npz keep their order, whose names do not sort; labels mark what is known."""
    images = np.random.default_rng(0).integers(90, 110, (40, 8, 8, 3)).astype(np.uint8)
    images[35:] = 250
    np.savez(tmp_path / "a.npz", images=images, labels=np.where(np.arange(40) < 35, 0, 7))
    result, out = scored(tmp_path / "a.npz", labels="folder")
    assert out["file"].tolist() == [f"a.npz[{k}]" for k in range(40)]
    assert out["is_anomaly"].tolist() == [False] * 35 + [True] * 5
    assert result.learned.n_learned == 28


def test_colour_is_what_was_learned_from(data: Path, tmp_path: Path, fits: list[Distance]) -> None:
    good = put(tmp_path / "good", 30)
    Image.new("RGB", (8, 8), "red").save(data / "blob" / "red.png")
    result, out = scored(data, normal=good)
    assert len(out) == 67
    assert result.schema.channels == 1
    assert "1 of 67 images have colour and are turned grey" in result.data_notes


def test_images_of_16_bits_beside_those_of_8(data: Path, tmp_path: Path) -> None:
    """Where none of those learned from has 16 bits, each image says by itself what is white."""
    good = put(tmp_path / "good", 30)
    Image.fromarray(np.full((8, 8), 400 * 100, np.uint16)).save(data / "blob" / "deep.png")
    result, out = scored(data, normal=good)
    assert result.schema.white is None
    assert out.set_index("file").loc["blob/deep.png", "anomaly_score"] < 100


def test_few_images_resolve_few_rates(data: Path, tmp_path: Path) -> None:
    """What is odder than all of them is called anomalous, and it is said why that is all."""
    result, out = scored(data, normal=put(tmp_path / "good", 30))
    assert (out["is_anomaly"] == (out["p_value"] < 1 / 30.9)).all() and out["is_anomaly"].sum() >= 6
    assert "the 30 held-out normal images resolve no rate of false alarms below 3.2 %" in " ".join(result.words())


def test_a_tail(tmp_path: Path, fits: list[Distance]) -> None:
    good = put(tmp_path / "good", 400)
    result, _ = scored(put(tmp_path / "new", 3), normal=good, tail=True, false_alarms=1e-3)
    assert fits[0].calibration_.tail is not None
    assert "extrapolated by a tail" in " ".join(result.words())
    assert fits[0].threshold_ == fits[0].calibration_.threshold(1e-3) == result.threshold.value
    few = put(tmp_path / "few", 20)
    assert "No tail could be fitted" in " ".join(scored(few, tail=True)[0].words())


def test_a_saved_scorer(data: Path, tmp_path: Path, fits: list[Distance], saved: Path) -> None:
    """Its threshold holds unless another rate is asked for; nothing is trained."""
    good = put(tmp_path / "good", 60, seed=1)
    scored(data, normal=good, false_alarms=0.3)
    scorer: Any = fits[0]
    before = vars(scorer).copy()
    result, _ = scored(data, source=saved)
    assert (result.threshold.asked, result.learned.n_learned) == (None, None)
    assert "that of the saved scorer; 28 % of the held-out normal images" in " ".join(result.words())
    result, _ = scored(data, source=saved, false_alarms=0.1, labels="folder")
    assert (result.threshold.asked, result.threshold.value) == (0.1, scorer.calibration_.threshold(0.1))
    assert result.detection is not None
    result, _ = scored(data, source=saved, false_alarms=1e-4)
    assert result.threshold.value == scorer.calibration_.threshold(scorer.calibration_.finest)
    assert len(fits) == 1
    assert vars(scorer) == before, "the caller's scorer was changed"


def test_options_reach_the_scorer(data: Path, fits: list[Distance]) -> None:
    options = {"model": "restorer", "options": {"width": 3}, "size": 32, "fit": "pad", "features": "own", "steps": 7}
    scored(data, **options, budget_s=100, contamination=0.2, seed=4, device="cpu")
    assert fits[0].options == {
        "model": "restorer", "options": {"width": 3}, "size": 32, "shape": "pad", "features": "own",
        "false_alarms": 0.01, "contamination": 0.2, "random_state": 4, "steps": 7, "tail": False, "device": "cpu",
        "budget_s": pytest.approx(90, abs=1),
    }  # fmt: skip


def test_parquet(data: Path, tmp_path: Path) -> None:
    result = run(Request(data=data, output=tmp_path / "out.parquet", explain=True))
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert len(out) == result.tally.n_rows
    assert out["is_anomaly"].dtype == bool and out["anomaly_score"].dtype == float


def test_images_are_reported_as_they_pass(data: Path, tmp_path: Path) -> None:
    news: list[tuple[str, int, int | None]] = []

    class Listen(Watch):
        def done(self, stage: str, n: int, total: int | None, what: str) -> None:
            news.append((stage, n, total))

    scored(data, Listen(), normal=put(tmp_path / "good", 30, seed=1))
    assert ("Reading", 30, None) in news and ("Reading", 66, None) in news
    assert news[-1] == ("Scoring", 66, 66)


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(data: Path, *said: str, kind: type[BaseException] = DataError, n_fits: int = 0, **options: Any) -> None:
    before = sorted(data.parent.iterdir())
    with pytest.raises(kind) as caught:
        scored(data, **options)
    for words in said:
        assert words in str(caught.value)
    assert sorted(data.parent.iterdir()) == before
    assert len(Distance.fitted) == n_fits


def test_too_few_images(data: Path, tmp_path: Path) -> None:
    refused(data, "good", "9 normal images are too few", "at least 10", normal=put(tmp_path / "good", 9))
    refused(put(tmp_path / "some", 5), "some", "5 images are too few")


def test_no_images(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(data, "empty", "holds no images", normal=tmp_path / "empty")
    refused(tmp_path / "empty", "empty", "holds no images")
    refused(tmp_path / "nowhere", "nowhere", "does not exist")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "restorr"}, "restorer"),
        ({"model": "denoiser"}, "model"),
        ({"options": {"widht": 3}}, "width"),
        ({"size": 30}, "size"),
        ({"contamination": 0.5}, "contamination"),
    ],
)
def test_options_that_no_images_make_right(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    """Refused before any image is looked for."""
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", named, kind=ConfigError, **options)


@pytest.mark.parametrize("rate", [0.0, 1.0, float("nan")])
def test_rates_that_are_none(data: Path, rate: float) -> None:
    refused(data, "false_alarms", kind=ConfigError, false_alarms=rate)


def test_loose_images_are_in_no_class(tmp_path: Path) -> None:
    refused(put(tmp_path / "loose", 20), "class folders", labels="folder")


def test_an_interrupted_training_scores_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Distance, X: Any, *, progress: Any) -> None:
        self.report_ = SimpleNamespace(stopped="interrupted")

    monkeypatch.setattr(Distance, "fit", interrupted)
    refused(data, kind=KeyboardInterrupt, maps=tmp_path / "maps")


def test_an_interrupted_scoring_leaves_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the table nor the maps that were drawn already."""
    good = put(tmp_path / "good", 60)

    def interrupt(name: str, read: Any) -> Any:
        if name == "blob/004.png":
            raise KeyboardInterrupt
        return read

    monkeypatch.setattr(score_images, "write_maps", lambda _, name, image, heat: interrupt(name, None))
    refused(data, kind=KeyboardInterrupt, n_fits=1, normal=good, maps=tmp_path / "maps", maps_of="all")


def test_a_table_that_cannot_be_written_leaves_no_maps(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    refused(data, "is a folder", kind=ConfigError, maps=tmp_path / "maps", maps_of="all")
