"""All of `gantools transform` as a function: what is skipped, refused, noted, kept and told while it runs.

The translator is a stand-in that makes every picture twice as large.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gantools.data.images import picture as picture_files
from gantools.errors import ConfigError, DataError, GantoolsError
from gantools.workflow import transform
from gantools.workflow.contract import Watch
from gantools.workflow.transform import STAGE, STAGE_TILES, Request, run

MODEL = Path("model")


class Doubling:
    """Stands in for a translator. n_tiles: that it says it cuts a picture into. fails_at: the picture it fails at."""

    def __init__(self, channels: int = 3, *, fills_holes: bool = False, directions: int = 1) -> None:
        self.schema_ = self.target_schema_ = SimpleNamespace(channels=channels, white=None)
        self.scale_, self.fills_holes_, self.n_directions_ = 2, fills_holes, directions
        self.n_tiles, self.fails_at, self.error = 1, -1, KeyboardInterrupt()
        self.masks: list[np.ndarray | None] = []

    def transform(
        self, pixels: np.ndarray, mask: Any = None, *, reverse: bool = False, on_tile: Callable[[int, int], None]
    ) -> np.ndarray:
        if len(self.masks) == self.fails_at:
            raise self.error
        self.masks.append(mask)
        for done in range(self.n_tiles):
            on_tile(done + 1, self.n_tiles)
        return pixels.repeat(2, 0).repeat(2, 1)


class Listen(Watch):
    def __init__(self) -> None:
        self.told: list[tuple[str, int, int | None]] = []
        self.seconds_left = -1.0

    def done(self, stage: str, n: int, total: int | None, what: str) -> None:
        self.told.append((stage, n, total))

    def left(self, seconds: float) -> None:
        self.seconds_left = seconds


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Doubling], Doubling]:
    """A function that has a stand-in loaded from wherever it is looked for."""

    def loaded(model: Doubling) -> Doubling:
        monkeypatch.setattr(transform, "saved_model", lambda *_, **__: model)
        return model

    return loaded


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three PNG files, in colour, 9 pixels wide."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(3):
        save(folder / f"{k}.png", seed=k)
    return folder


def save(path: Path, *, channels: int = 3, height: int = 6, seed: int = 0, opacity: int | None = None) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, 9, channels), dtype=np.uint8)
    if opacity is not None:
        pixels = np.concatenate([pixels, np.full((height, 9, 1), opacity, np.uint8)], 2)
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_cannot_be_used_is_named_and_skipped(use: Any, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files, pipes (which would never end), damaged ones, and those whose format has no room for the result."""
    use(Doubling())
    monkeypatch.setitem(picture_files.LONGEST, "WEBP", 17)
    (photos / "empty.jpg").touch()
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    (photos / "torn.png").write_bytes((photos / "0.png").read_bytes()[:60])
    os.mkfifo(photos / "pipe.png")
    save(photos / "large.webp")
    found = run(Request(data=photos, source=MODEL))
    assert list(found.pictures) == ["0.png", "1.png", "2.png"]
    why = dict(found.skipped)
    assert why["empty.jpg"] == "is empty" and why["pipe.png"] == "is not a regular file"
    assert why["large.webp"] == "would become 18 x 12 pixels, and WEBP holds 17 a side at most"
    assert set(why) == {"empty.jpg", "gone.png", "torn.png", "pipe.png", "large.webp"}
    assert files(photos.with_name("photos.transformed")) == ["0.png", "1.png", "2.png", "manifest.csv"]
    assert any("empty.jpg (is empty)" in str(item) for item in found.shown())


@pytest.mark.parametrize("name", ["large.webp", "empty.png"])
def test_alone_it_is_an_error(use: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Doubling())
    monkeypatch.setitem(picture_files.LONGEST, "WEBP", 17)
    path = tmp_path / name
    save(path) if name == "large.webp" else path.touch()
    with pytest.raises(DataError, match=f"{name}: (would become|is empty)"):
        run(Request(data=path, source=MODEL))
    assert files(tmp_path) == [name]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")], ids=["interrupt", "failure"])
def test_a_failure_in_the_middle_leaves_nothing(use: Any, photos: Path, error: BaseException) -> None:
    model = use(Doubling())
    model.fails_at, model.error = 2, error
    with pytest.raises(type(error)):
        run(Request(data=photos, source=MODEL))
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]
    made = save(photos.with_name("one.transformed.png"), seed=5).read_bytes()
    with pytest.raises(type(error)):
        run(Request(data=save(photos.with_name("one.png")), source=MODEL, force=True))
    assert photos.with_name("one.transformed.png").read_bytes() == made


def test_only_what_gantools_wrote_is_replaced(use: Any, photos: Path) -> None:
    use(Doubling())
    out = photos.with_name("photos.transformed")
    run(Request(data=photos, source=MODEL))
    (photos / "2.png").unlink()
    run(Request(data=photos, source=MODEL, force=True))
    assert files(out) == ["0.png", "1.png", "manifest.csv"]
    (out / "manifest.csv").unlink()
    with pytest.raises(ConfigError, match=r"output: .* holds files that are not pictures that gantools wrote"):
        run(Request(data=photos, source=MODEL, force=True))
    assert files(out) == ["0.png", "1.png"]


def test_nothing_is_written_into_the_model(use: Any, photos: Path, tmp_path: Path) -> None:
    use(Doubling())
    (tmp_path / "model").mkdir()
    with pytest.raises(ConfigError, match=r"output: .* lies in .*model"):
        run(Request(data=photos, source=tmp_path / "model", output=tmp_path / "model" / "out"))


def test_a_few_bars_show_how_far_it_is(use: Any, photos: Path) -> None:
    """However many large pictures there are: one for all pictures, one for the tiles of the present one."""
    use(Doubling()).n_tiles = 2
    listen = Listen()
    run(Request(data=photos, source=MODEL), listen)
    assert {stage for stage, *_ in listen.told} == {STAGE, STAGE_TILES}
    assert listen.told[-1] == (STAGE, 3, 3) and listen.seconds_left == 0
    alone = Listen()
    run(Request(data=photos / "0.png", source=MODEL), alone)
    assert alone.told[-1] == (STAGE, 2, 2) and {stage for stage, *_ in alone.told} == {STAGE}


def test_a_model_of_grey_pictures_says_what_becomes_of_colour(use: Any, photos: Path) -> None:
    use(Doubling(channels=1))
    save(photos / "grey.png", channels=1)
    found = run(Request(data=photos, source=MODEL))
    (note,) = found.notes
    assert note == "0.png, 1.png, 2.png: has colour, which the model does not take: it is turned grey"
    assert Image.open(found.output / "0.png").mode == "L"


def test_opacity_without_a_hole_says_nothing(use: Any, tmp_path: Path) -> None:
    model = use(Doubling(fills_holes=True))
    with pytest.raises(DataError, match=r"a.png: says nowhere what is to be filled; give `mask`"):
        run(Request(data=save(tmp_path / "a.png", opacity=255), source=MODEL))
    with pytest.raises(DataError, match=r"b.png: leaves nothing of the picture to go by"):
        run(Request(data=save(tmp_path / "b.png", opacity=0), source=MODEL))
    assert not model.masks


def test_in_a_folder_the_picture_that_says_nothing_is_named(use: Any, photos: Path) -> None:
    use(Doubling(fills_holes=True))
    with pytest.raises(DataError, match=r"photos/0.png: says nowhere"):
        run(Request(data=photos, source=MODEL))
    assert not photos.with_name("photos.transformed").exists()


def test_a_black_mask_is_noted(use: Any, photos: Path, tmp_path: Path) -> None:
    model = use(Doubling(fills_holes=True))
    mask = tmp_path / "mask.png"
    Image.new("L", (9, 6)).save(mask)
    found = run(Request(data=photos / "0.png", source=MODEL, mask=mask))
    assert found.notes == ("0.png: its mask mask.png is black, so that nothing is filled",)
    assert model.masks[0] is not None and not model.masks[0].any()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_mask_that_cannot_be_read_is_named(use: Any, photos: Path, tmp_path: Path, content: bytes) -> None:
    use(Doubling(fills_holes=True))
    mask = tmp_path / "mask.png"
    mask.write_bytes(content)
    with pytest.raises(DataError, match=r"mask.png: is (empty|not one of PNG)"):
        run(Request(data=photos / "0.png", source=MODEL, mask=mask))


def test_missing_data_is_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    for request in (
        Request(data=tmp_path / "gone", source=MODEL),
        Request(data=tmp_path, source=MODEL, mask=tmp_path / "gone"),
    ):
        with pytest.raises(GantoolsError, match=r"gone: does not exist; check the path"):
            run(request)
