"""One picture file, read as a model takes it and written as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from gantools.data.images.picture import find_pictures, read_mask, read_picture, write_picture
from gantools.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def there_and_back(path: Path, channels: int, times: int = 1) -> Image.Image:
    """The file that is written where every pixel becomes `times` times as large, and nothing else is done."""
    picture = read_picture(path, channels=channels, white=None)
    out = path.with_name(f"out{path.suffix}")
    write_picture(picture, picture.pixels.repeat(times, 0).repeat(times, 1), out)
    image = Image.open(out)
    image.load()
    return image


def test_the_pixels_of_a_png_stay(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", dpi=(72, 72), icc_profile=PROFILE)
    made = there_and_back(tmp_path / "a.png", 3)
    assert np.array_equal(np.asarray(made), PIXELS)
    assert made.info["icc_profile"] == PROFILE and round(made.info["dpi"][0]) == 72


def test_a_turned_jpeg_stays_upright_and_keeps_what_it_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.ImageDescription] = 6, "a lake"
    Image.fromarray(PIXELS.repeat(8, 0).repeat(8, 1)).save(tmp_path / "a.jpg", quality=95, exif=exif)
    made = there_and_back(tmp_path / "a.jpg", 3)
    assert made.format == "JPEG" and made.size == (48, 72)
    assert ExifTags.Base.Orientation not in made.getexif()
    assert made.getexif()[ExifTags.Base.ImageDescription] == "a lake"
    upright = np.rot90(PIXELS.repeat(8, 0).repeat(8, 1), -1)
    assert np.abs(np.asarray(made).astype(int) - upright).mean() < 8


def test_opacity_is_kept_and_grows_with_the_picture(tmp_path: Path) -> None:
    alpha = np.zeros((6, 9, 1), np.uint8)
    alpha[2:4, 3:6] = 255
    Image.fromarray(np.concatenate([PIXELS, alpha], 2)).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", channels=3, white=None)
    assert picture.alpha is not None and np.array_equal(picture.alpha, alpha[:, :, 0])
    assert np.array_equal(picture.pixels, PIXELS)  # what is transparent keeps its colour
    made = there_and_back(tmp_path / "a.png", 3, 4)
    assert made.mode == "RGBA" and made.size == (36, 24)
    opacity = np.asarray(made)[:, :, 3]
    assert opacity[12, 18] > 250 and opacity[0, 0] == 0
    assert there_and_back(tmp_path / "a.png", 4).mode == "RGBA"
    assert there_and_back(tmp_path / "a.png", 1).mode == "LA"


@pytest.mark.parametrize(
    ("name", "mode", "channels", "out"),
    [
        ("a.png", "P", 3, "RGB"), ("a.png", "L", 1, "L"), ("a.png", "L", 3, "RGB"), ("a.png", "1", 1, "L"),
        ("a.jpg", "CMYK", 3, "RGB"), ("a.webp", "RGB", 3, "RGB"), ("a.tif", "RGB", 3, "RGB"), ("a.bmp", "L", 1, "L"),
        ("a.ppm", "RGB", 3, "RGB"), ("a.gif", "L", 1, "P"),
    ],
)  # fmt: skip
def test_every_kind_stays_in_its_format(name: str, mode: str, channels: int, out: str, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / name)
    before = Image.open(tmp_path / name).format
    made = there_and_back(tmp_path / name, channels)
    assert made.format == before and made.size == (9, 6) and made.mode in (out, "L")


def test_sixteen_bits_are_read_by_white_and_written_with_eight(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 16).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", channels=1, white=4095)
    assert np.abs(picture.pixels[:, :, 0].astype(int) - PIXELS[:, :, 0]).max() <= 1
    assert picture.notes == ("is written with 8 bits a colour",)


def test_what_happens_to_colour_is_said(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=PROFILE)
    picture = read_picture(tmp_path / "a.png", channels=1, white=None)
    assert "turned grey" in picture.notes[0] and "icc_profile" not in picture.kept
    assert np.array_equal(picture.pixels[:, :, 0], np.asarray(Image.fromarray(PIXELS).convert("L")))


def test_frames_beyond_the_first_are_said_to_be_lost(tmp_path: Path) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "a.tif", channels=3, white=None)
    assert picture.notes == ("of its 2 frames the first is used",) and np.array_equal(picture.pixels, PIXELS)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"a.png: is not one of PNG"):
        read_picture(tmp_path / "a.png", channels=3, white=None)


def test_masks_are_white_in_holes_and_of_their_pictures_size(tmp_path: Path) -> None:
    hole = np.zeros((6, 9), np.uint8)
    hole[1:3, 2:5] = 255
    Image.fromarray(hole).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", (6, 9)), hole > 0)
    with pytest.raises(DataError, match=r"m.png: has 9 x 6 pixels, and its picture 9 x 7; give a mask"):
        read_mask(tmp_path / "m.png", (7, 9))


def test_pictures_are_found_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.png", "deep/er/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert find_pictures(tmp_path) == ["b.png", "deep/er/a.png"]
    with pytest.raises(DataError, match="holds no pictures"):
        find_pictures(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"
