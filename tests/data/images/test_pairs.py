"""What a translator learns from: pairs by name or side by side, two sets, clean pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantools.data.images.pairs import open_pictures
from gantools.errors import DataError


def put(path: Path, height: int = 6, width: int = 8, mode: str = "RGB", value: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(abs(hash(path.name)) % 1000).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if value is not None:
        pixels[:] = value
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for k in range(4):
        put(tmp_path / "data" / "A" / f"{k}.png", mode="L", value=10 * k)
        put(tmp_path / "data" / "B" / f"{k}.bmp", value=10 * k + 100)
    return tmp_path / "data"


def test_pairs_have_the_same_name_but_for_the_suffix(pairs: Path) -> None:
    found = open_pictures(pairs)
    assert found.layout == "pairs" and len(found) == 4 and found.scale == 1 and not found.unmatched
    assert found.sources is not None
    assert found.sources.schema.channels == 1 and found.targets.schema.channels == 3
    for k in range(4):
        assert found.sources.read(k)[0, 0, 0] == 10 * k and found.targets.read(k)[0, 0, 0] == 10 * k + 100
    assert any("4 pairs are few" in note for note in found.notes())
    assert found.fingerprint() == open_pictures(pairs).fingerprint()


def test_files_without_a_partner_are_named(pairs: Path) -> None:
    put(pairs / "A" / "alone.png")
    (pairs / "B" / "2.bmp").write_bytes(b"")
    put(pairs / "B" / "deep" / "9.png")
    found = open_pictures(pairs)
    assert len(found) == 3 and set(found.unmatched) == {"A/2.png", "A/alone.png", "B/deep/9.png"}
    notes = " ".join(found.notes())
    assert "3 pictures have no partner and cannot be used: A/2.png, A/alone.png, B/deep/9.png" in notes
    assert "2.bmp is empty" in notes


def test_mostly_other_names_are_refused(pairs: Path) -> None:
    for k in (1, 2, 3):
        (pairs / "B" / f"{k}.bmp").rename(pairs / "B" / f"other{k}.bmp")
    with pytest.raises(DataError, match="1 pair share a name and 6 pictures have no partner; give the two"):
        open_pictures(pairs)


def test_no_shared_name_makes_two_sets(pairs: Path) -> None:
    for k in range(4):
        (pairs / "B" / f"{k}.bmp").rename(pairs / "B" / f"other{k}.bmp")
    assert open_pictures(pairs).layout == "unpaired"


def test_folders_of_cyclegan_are_two_sets(tmp_path: Path) -> None:
    for k in range(3):
        put(tmp_path / "trainA" / f"{k}.png")
        put(tmp_path / "trainB" / f"{k}.png", 9, 9)
    put(tmp_path / "trainB" / "more.png")
    found = open_pictures(tmp_path)
    assert found.layout == "unpaired" and found.sources is not None
    assert (len(found.sources), len(found.targets)) == (3, 4)


def test_targets_may_be_a_whole_factor_larger(pairs: Path) -> None:
    for k in range(4):
        put(pairs / "B" / f"{k}.bmp", 18, 24)
    assert open_pictures(pairs).scale == 3
    put(pairs / "B" / "2.bmp", 18, 25)
    with pytest.raises(DataError, match=r"B/2.bmp: has 25 x 18 pixels, and its partner 2.png 8 x 6; give both"):
        open_pictures(pairs)


def test_two_files_of_one_name_are_refused(pairs: Path) -> None:
    put(pairs / "A" / "0.jpg")
    with pytest.raises(DataError, match=r"0.jpg and 0.png have one name but for the suffix"):
        open_pictures(pairs)


def test_halves_side_by_side(tmp_path: Path) -> None:
    for k in range(3):
        pixels = np.zeros((4, 10, 3), np.uint8)
        pixels[:, :5], pixels[:, 5:] = k, 100 + k
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    found = open_pictures(tmp_path, side_by_side=True)
    assert found.layout == "pairs" and found.sources is not None
    assert (found.sources.read(2) == 2).all() and (found.targets.read(2) == 102).all()
    assert found.sources.sizes.tolist() == [[4, 5]] * 3 and found.targets.schema.width == (5, 5, 5)
    some = found.targets.subset(np.array([2, 0]))
    assert some.names == ("2.png", "0.png") and (some.read(0) == 102).all()
    put(tmp_path / "odd.png", 4, 9)
    with pytest.raises(DataError, match=r"odd.png: is 9 pixels wide, which has no two equal halves"):
        open_pictures(tmp_path, side_by_side=True)


def test_folders_of_pairs_are_not_side_by_side(pairs: Path) -> None:
    with pytest.raises(DataError, match="has folders A and B; leave `pairs` out"):
        open_pictures(pairs, side_by_side=True)


def test_any_other_folder_holds_clean_pictures(tmp_path: Path) -> None:
    put(tmp_path / "one" / "a.png")
    put(tmp_path / "two" / "b.png", 9, 5)
    found = open_pictures(tmp_path)
    assert found.layout == "clean" and found.sources is None and found.targets.schema.classes == ()
    assert found.targets.sizes.tolist() == [[6, 8], [9, 5]]


def test_one_picture_alone_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    with pytest.raises(DataError, match="holds one picture alone; give more"):
        open_pictures(tmp_path)


def test_empty_files_alone_are_refused(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3 of 3 images cannot be used; the first, 0.png, is empty"):
        open_pictures(tmp_path)
