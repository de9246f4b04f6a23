"""Images: every kind of file gives its pixels back, and what cannot be used is said by name."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantools.data.images import source as images
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import is_images, open_images, write_png
from gantools.errors import DataError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7
RGBA = np.dstack([RGB, np.full((3, 4), 255, np.uint8)])


def save(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def only(path: Path, **options: object) -> np.ndarray:
    source = open_images(path, **options)
    assert len(source) == 1
    return source.read(0)


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    for name in ("yes/b.png", "yes/a.png", "no/deep/er/c.png", "no/d.png", "no/e.png"):
        save(tmp_path / "photos" / name, GREY)
    return tmp_path / "photos"


# --- pixels ---


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "bmp", "gif", "pgm", "PNG"])
def test_grey_comes_back_to_the_bit(tmp_path, suffix):
    save(tmp_path / f"a.{suffix}", GREY)
    pixels = only(tmp_path, channels=1)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, GREY[:, :, None])


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "ppm"])
def test_colour_comes_back_to_the_bit(tmp_path, suffix):
    save(tmp_path / f"a.{suffix}", RGB, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(only(tmp_path), RGB)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_opacity_comes_back_to_the_bit(tmp_path, suffix):
    see_through = RGBA.copy()
    see_through[..., 3] = GREY
    save(tmp_path / f"a.{suffix}", see_through)
    assert np.array_equal(only(tmp_path), see_through)


def test_jpeg_is_read_as_pillow_does(tmp_path):
    path = save(tmp_path / "a.jpg", RGB, quality=95)
    assert np.array_equal(only(tmp_path), np.asarray(Image.open(path)))


def test_palette_bilevel_and_cmyk_become_what_they_show(tmp_path):
    palette = Image.fromarray(RGB).quantize(16)
    save(tmp_path / "a.png", palette)
    save(tmp_path / "b.png", Image.fromarray(GREY > 100))
    cmyk = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
    save(tmp_path / "c.tif", cmyk)
    source = open_images(tmp_path)
    assert source.schema.channels == 3
    assert np.array_equal(source.read(0), np.asarray(palette.convert("RGB")))
    assert np.array_equal(source.read(1), np.repeat((GREY > 100)[:, :, None] * np.uint8(255), 3, axis=2))
    assert np.array_equal(source.read(2), np.full((3, 4, 3), (255, 0, 0)))


def test_a_transparent_colour_of_a_palette_is_opacity(tmp_path):
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    save(tmp_path / "a.png", palette, transparency=1)
    assert only(tmp_path).tolist() == [[[255, 0, 0, 255], [0, 0, 255, 0]]]
    assert only(tmp_path, channels=3).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_twelve_bits_in_sixteen_are_scaled_by_what_is_white(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 2048, 4000]], np.uint16))
    save(tmp_path / "b.tif", np.array([[4095, 1, 16]], np.uint16))
    save(tmp_path / "c.png", np.array([[0, 100, 200]], np.uint8))
    source = open_images(tmp_path)
    assert (source.schema.white, source.schema.channels) == (4095, 1)
    assert [source.read(i)[0, :, 0].tolist() for i in range(3)] == [[0, 128, 249], [255, 0, 1], [0, 100, 200]]
    assert any("16 bits" in note and "4095" in note for note in source.schema.notes())


def test_a_trained_models_white_is_kept_and_what_lies_beyond_is_white(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 1023, 1500]], np.uint16))
    learned = dataclasses.replace(open_images(tmp_path).schema, white=1023)
    source = open_images(tmp_path, known=learned)
    assert source.schema.white == 1023
    assert source.read(0)[0, :, 0].tolist() == [0, 255, 255]


def test_white_that_was_learned_is_not_changed_by_images_beside(tmp_path):
    """A hot pixel in one image leaves the others as they are; without any learned, each image has its own white."""
    save(tmp_path / "a.png", np.array([[0, 100, 250]], np.uint16))
    learned = open_images(tmp_path).schema
    assert learned.white == 255
    save(tmp_path / "b.png", np.array([[0, 100, 300]], np.uint16))
    source = open_images(tmp_path, known=learned)
    assert [source.read(i)[0, :, 0].tolist() for i in range(2)] == [[0, 100, 250], [0, 100, 255]]
    assert "there is 1 image with values beyond 255, which are white as well" in source.schema.notes()
    of_bytes = dataclasses.replace(learned, white=None)
    for source in (open_images(tmp_path, known=of_bytes), open_images(tmp_path).with_white(None)):
        assert [source.read(i)[0, :, 0].tolist() for i in range(2)] == [[0, 100, 250], [0, 50, 150]]
    assert any("with 16 bits a pixel, as none" in note for note in open_images(tmp_path, known=of_bytes).schema.notes())


def test_white_of_arrays_is_learned_too(tmp_path):
    values = np.array([[[0, 100, 250]], [[0, 100, 300]]], np.uint16)
    np.savez(tmp_path / "a.npz", images=values[:1])
    np.savez(tmp_path / "b.npz", images=values)
    learned = open_images(tmp_path / "a.npz").schema
    source = open_images(tmp_path / "b.npz", known=learned)
    assert [source.read(i)[0, :, 0].tolist() for i in range(2)] == [[0, 100, 250], [0, 100, 255]]
    assert source.with_white(None).read(0)[0, :, 0].tolist() == [0, 100, 250]


def test_a_schema_of_the_first_version_can_be_read(tmp_path):
    save(tmp_path / "a.png", GREY)
    schema = open_images(tmp_path).schema
    before = {**schema.to_json(), "version": 1, "white": 255}
    del before["longest"]
    assert ImageSchema.from_json(before) == dataclasses.replace(schema, longest=1.0)


def test_content_is_the_same_through_links_and_in_copies(tmp_path):
    path = save(tmp_path / "a" / "1.png", GREY)
    other = tmp_path / "b"
    other.mkdir()
    (other / "2.png").symlink_to(path)
    (other / "3.png").hardlink_to(path)
    (other / "4.png").write_bytes(path.read_bytes())
    save(other / "5.png", GREY + 1)
    content = open_images(tmp_path / "a").content(0)
    assert [open_images(other).content(i) == content for i in range(4)] == [True, True, True, False]
    np.savez(tmp_path / "c.npz", images=np.stack([GREY, GREY + 1, GREY]))
    arrays = open_images(tmp_path / "c.npz")
    assert arrays.content(0) == arrays.content(2) != arrays.content(1)


def test_whole_numbers_of_32_bits_are_used_within_16(tmp_path):
    save(tmp_path / "a.tif", np.array([[0, 65535]], np.int32))
    save(tmp_path / "b.tif", np.array([[0, 40000]], np.int32))
    save(tmp_path / "c.tif", np.array([[-1, 5]], np.int32))
    source = open_images(tmp_path)
    assert source.names == ("a.tif", "b.tif")
    assert source.read(1)[0, :, 0].tolist() == [0, 156]
    assert source.schema.skipped == (("c.tif", "has values from -1 to 5, outside 0 to 65535"),)


def test_floats_are_shares_of_white_or_refused(tmp_path):
    save(tmp_path / "a.tif", np.array([[0, 0.5, 1]], np.float32))
    save(tmp_path / "b.tif", np.array([[0, 0.5, 1.5]], np.float32))
    source = open_images(tmp_path)
    assert source.read(0)[0, :, 0].tolist() == [0, 128, 255]
    assert source.schema.skipped == (("b.tif", "has floating-point pixels outside 0 to 1"),)


@pytest.mark.parametrize(
    ("suffix", "pixels"), [("jpg", GREY), ("png", GREY), ("png", GREY.astype(np.uint16)), ("tif", GREY)]
)
def test_exif_orientation_is_applied_and_sizes_are_upright(tmp_path, suffix, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to be upright
    save(tmp_path / f"a.{suffix}", pixels, exif=exif, **({"quality": 100} if suffix == "jpg" else {}))
    source = open_images(tmp_path)
    assert (source.schema.width[0], source.schema.height[0]) == (3, 4)
    difference = source.read(0)[:, :, 0].astype(int) - np.rot90(GREY, -1)
    assert np.abs(difference).max() <= (2 if suffix == "jpg" else 0)


def test_the_first_frame_of_a_film_and_page_of_a_document(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    for name in ("a.gif", "b.tif", "c.webp", "d.png"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "webp" in name else {})
        )
    source = open_images(tmp_path, channels=1)
    for index in range(4):
        assert np.array_equal(source.read(index)[:, :, 0], GREY)


def test_sixteen_bits_a_colour_are_read_by_their_upper_eight(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    # Pillow reads such files, but cannot write one.
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" + bytes([200, 1, 100, 2, 50, 3])))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    source = open_images(tmp_path)
    assert source.read(0).tolist() == [[[200, 100, 50]]]
    assert source.schema.notes() == ["of the 16 bits a colour of 1 images the upper 8 are used"]


# --- channels ---


def test_channels_follow_most_files(tmp_path):
    save(tmp_path / "a.png", RGBA)
    save(tmp_path / "b.png", GREY)
    assert open_images(tmp_path).schema.channels == 3
    save(tmp_path / "c.png", RGBA)
    source = open_images(tmp_path)
    assert source.schema.channels == 4
    assert np.array_equal(source.read(1), np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)]))
    assert any("no alpha" in note for note in source.schema.notes())


def test_a_given_number_of_channels_wins(tmp_path):
    half = np.full((1, 1, 4), (200, 100, 50, 0), np.uint8)
    save(tmp_path / "a.png", half)
    save(tmp_path / "b.png", np.full((1, 1, 3), (255, 0, 0), np.uint8))
    save(tmp_path / "c.png", np.full((1, 1), 9, np.uint8))
    read = {c: [open_images(tmp_path, channels=c).read(i)[0, 0].tolist() for i in range(3)] for c in (1, 3, 4)}
    assert read[1] == [[255], [76], [9]]
    assert read[3] == [[255, 255, 255], [255, 0, 0], [9, 9, 9]]
    assert read[4] == [[200, 100, 50, 0], [255, 0, 0, 255], [9, 9, 9, 255]]
    notes = " ".join(open_images(tmp_path, channels=1).schema.notes())
    assert "flattened on white" in notes and "turned grey" in notes


# --- what cannot be used ---


def test_damaged_files_are_skipped_by_name_and_others_pass_unsaid(tmp_path):
    whole = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for name in ("a", "b", "c", "d", "e"):
        save(tmp_path / f"{name}.jpg", whole)
    cut = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.png").write_text("these are words")
    for name in ("readme.txt", "labels.csv", "Thumbs.db", ".hidden.png"):
        (tmp_path / name).write_text("no image")
    save(tmp_path / ".cache" / "x.png", GREY)
    source = open_images(tmp_path)
    assert source.names == ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    skipped = dict(source.schema.skipped)
    assert list(skipped) == ["cut.jpg", "empty.png", "words.png"]
    assert "truncated" in skipped["cut.jpg"]
    assert skipped["empty.png"] == "is empty"
    assert skipped["words.png"].startswith("is not one of PNG, JPEG")
    assert any(note.startswith("3 files are skipped: cut.jpg cannot be decoded") for note in source.schema.notes())


def test_a_cut_png_is_skipped(tmp_path):
    whole = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    path = save(tmp_path / "a.png", whole)
    save(tmp_path / "b.png", whole)
    path.write_bytes(path.read_bytes()[:2000])
    assert open_images(tmp_path).names == ("b.png",)


def test_more_than_half_unusable_is_refused_naming_the_first(tmp_path):
    save(tmp_path / "a.png", GREY)
    (tmp_path / "b.png").touch()
    (tmp_path / "c.png").touch()
    with pytest.raises(
        DataError, match=r"2 of 3 images cannot be used; the first, b\.png, is empty; mend or remove them"
    ):
        open_images(tmp_path)


def test_a_bomb_is_refused_without_decoding(tmp_path, monkeypatch):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "big.png", np.zeros((40, 50), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    decoded = []
    load = Image.Image.load
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(self.size) or load(self))
    source = open_images(tmp_path)
    assert source.schema.skipped == (("big.png", "has 50 x 40 pixels, more than the 1,000 allowed"),)
    assert (50, 40) not in decoded


@pytest.mark.parametrize("limit", [1500, 500])  # Pillow warns above its limit, and raises above twice that
def test_pillows_own_alarm_is_that_refusal_and_leaves_no_trace(tmp_path, monkeypatch, limit):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "big.png", np.zeros((40, 50), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        source = open_images(tmp_path)
    assert not caught
    assert warnings.filters == before
    assert source.schema.skipped == (("big.png", f"has more pixels than the {images.MAX_PIXELS:,} allowed"),)


def test_a_file_that_changes_after_the_check_is_an_error_by_name(tmp_path):
    path = save(tmp_path / "a.png", GREY)
    source = open_images(tmp_path)
    path.write_text("overwritten")
    with pytest.raises(DataError, match=r"a\.png: could be read before, but now is not one of PNG"):
        source.read(0)
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        source.read(0)


# --- folders ---


def test_class_folders_are_classes_in_ascending_order(two_classes):
    source = open_images(two_classes, labelled=True)
    assert source.names == ("no/d.png", "no/deep/er/c.png", "no/e.png", "yes/a.png", "yes/b.png")
    assert source.label.dtype == np.int64
    assert source.label.tolist() == [0, 0, 0, 1, 1]
    assert (source.schema.classes, source.schema.counts) == (("no", "yes"), (3, 2))
    assert source.path_of(1) == two_classes / "no" / "deep" / "er" / "c.png"
    assert open_images(two_classes).schema == source.schema
    assert open_images(two_classes).fingerprint() == source.fingerprint()


def test_without_labels_folders_are_a_heap(two_classes):
    source = open_images(two_classes, labelled=False)
    assert len(source) == 5
    assert (source.schema.classes, source.schema.counts) == ((), ())
    assert not source.label.any()


def test_classes_stay_together_whatever_their_names(tmp_path):
    for name in ("a/x.png", "a-b/x.png", "a/y.png", "B/x.png"):
        save(tmp_path / name, GREY)
    source = open_images(tmp_path)
    assert source.schema.classes == ("B", "a", "a-b")
    assert source.label.tolist() == [0, 1, 1, 2]


def test_loose_images_beside_folders_make_a_heap_and_say_so(two_classes):
    save(two_classes / "loose.png", GREY)
    source = open_images(two_classes)
    assert len(source) == 6 and not source.schema.classes
    assert any("loose.png" in note for note in source.schema.notes())


def test_sizes_formats_and_progress(tmp_path):
    for index, (width, height) in enumerate([(10, 20), (30, 20), (17, 40)]):
        save(tmp_path / f"{index}.png", np.zeros((height, width), np.uint8))
    save(tmp_path / "3.bmp", np.zeros((20, 17), np.uint8))
    told = []
    schema = open_images(tmp_path, on_read=told.append).schema
    assert (schema.width, schema.height) == ((10, 17, 30), (20, 20, 40))
    assert schema.formats == {"BMP": 1, "PNG": 3}
    assert "sizes differ: 10 to 30 (median 17) pixels wide, 20 to 40 (median 20) high" in schema.notes()
    assert told[-1] == 4


def test_links_are_followed_once(tmp_path):
    save(tmp_path / "set" / "a.png", GREY)
    save(tmp_path / "elsewhere" / "b.png", GREY)
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    assert open_images(tmp_path / "set", labelled=False).names == ("a.png", "linked/b.png")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "photos: holds no images; give a folder with images in a folder for each class"),
        (["a.png", "b.png"], "photos: its images lie in no class folders; put the images of each class into a folder"),
        (["yes/a.png"], "photos: has images of one class alone, 'yes'; put the images of each class"),
        (["yes/a.png", "no/b.png", "c.png"], "photos: images lie beside the class folders, c.png the first of 1; move"),
    ],
)
def test_what_is_wrong_with_the_layout_is_said(tmp_path, names, message):
    (tmp_path / "photos").mkdir()
    for name in names:
        save(tmp_path / "photos" / name, GREY)
    with pytest.raises(DataError) as caught:
        open_images(tmp_path / "photos", labelled=True)
    assert message in str(caught.value)


def test_a_class_of_damaged_files_is_none(two_classes):
    for path in (two_classes / "yes").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="one class alone, 'no'"):
        open_images(two_classes, labelled=True)


def test_what_is_no_folder_is_said(tmp_path):
    with pytest.raises(DataError, match="nowhere: does not exist; check the path"):
        open_images(tmp_path / "nowhere")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"table\.csv: is neither a folder nor an \.npz file"):
        open_images(tmp_path / "table.csv")
    (tmp_path / "empty").mkdir()
    for labelled in (None, False):
        with pytest.raises(DataError, match="empty: holds no images; check the path; a table is given as one file"):
            open_images(tmp_path / "empty", labelled=labelled)


def test_fingerprint_knows_content_and_names_but_no_dates_and_places(two_classes, tmp_path):
    first = open_images(two_classes).fingerprint()
    moved = two_classes.rename(tmp_path / "moved")
    os.utime(moved / "no" / "d.png", (0, 0))
    assert open_images(moved).fingerprint() == first
    save(moved / "no" / "d.png", 255 - GREY)
    changed = open_images(moved).fingerprint()
    assert changed != first
    (moved / "no" / "e.png").rename(moved / "no" / "f.png")
    assert open_images(moved).fingerprint() not in (first, changed)


# --- arrays ---


def test_npz_with_labels(tmp_path):
    x = np.arange(48, dtype=np.uint8).reshape(4, 3, 4)
    np.savez(tmp_path / "set.npz", x_train=x, y_train=np.array([7, 3, 7, 10]), x_test=x)
    source = open_images(tmp_path / "set.npz", labelled=True)
    assert source.names == ("set.npz[0]", "set.npz[1]", "set.npz[2]", "set.npz[3]")
    assert (source.schema.classes, source.schema.counts) == (("10", "3", "7"), (1, 1, 2))
    assert source.label.tolist() == [2, 1, 2, 0]
    assert np.array_equal(source.read(2), x[2][:, :, None])
    assert source.path_of(0) is None
    assert (source.schema.width, source.schema.height, source.schema.formats) == ((4, 4, 4), (3, 3, 3), {"NPZ": 1})
    assert source.schema.notes() == ["of set.npz the arrays x_test are not used"]
    assert not open_images(tmp_path / "set.npz", labelled=False).schema.classes


def test_npz_without_labels_and_of_every_kind(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, images=RGB[None])
    assert np.array_equal(only(path), RGB)
    assert only(path, channels=1).shape == (3, 4, 1)
    np.savez(path, x=np.array([[[0, 500, 1000]]], np.uint16))
    assert open_images(path).schema.white == 1023
    assert only(path)[0, :, 0].tolist() == [0, 125, 249]
    np.savez(path, X=np.array([[[0, 0.5, 1]]]))
    assert only(path)[0, :, 0].tolist() == [0, 128, 255]
    np.savez(path, x=GREY[None].astype(np.int64), y=np.array(["good"]))
    assert np.array_equal(only(path)[:, :, 0], GREY)
    assert open_images(path).schema.classes == ("good",)


def test_npz_fingerprint_knows_content(tmp_path):
    path = tmp_path / "set.npz"
    x = np.zeros((2000, 10, 10), np.uint8)
    np.savez(path, x=x)
    first = open_images(path).fingerprint()
    assert open_images(path).fingerprint() == first
    x[1000, 5, 5] = 1
    np.savez(path, x=x)
    assert open_images(path).fingerprint() != first


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"pixels": GREY},
            r"has no images among its arrays \(pixels\); images belong in an array called x, images, X or",
        ),
        ({"x": GREY[None]}, r"has no labels among its arrays \(x\); .* labels in y, labels or y_train"),
        ({"x": GREY[None], "y": np.zeros(2, int)}, r"array y: has the shape \[2\] .* for each of the 1 images"),
        ({"x": GREY[None], "y": np.zeros(1, int)}, "array y: has one label alone, '0'"),
        ({"x": GREY[None], "y": np.array([0.5])}, "array y: .* float64; give a whole number or a text"),
        ({"x": GREY, "y": [0, 1, 0]}, r"array x: has the shape \[3, 4\]"),
        (
            {"x": np.zeros((2, 3, 32, 32)), "y": [0, 1]},
            r"array x: has the shape \[2, 3, 32, 32\]; give \[images, height",
        ),
        ({"x": GREY[None] * 1.5, "y": [0]}, "array x: has floating-point pixels outside 0 to 1"),
        ({"x": np.full((1, 2, 2), np.nan), "y": [0]}, "array x: has floating-point pixels outside 0 to 1"),
        ({"x": np.full((1, 2, 2), -3), "y": [0]}, "array x: has values from -3 to -3"),
        ({"x": np.array([[["a"]]]), "y": [0]}, "array x: has pixels of type <U1"),
        ({"x": np.array([[[None]]]), "y": [0]}, r"cannot be read as an \.npz file"),
    ],
)
def test_npz_of_another_shape_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_images(tmp_path / "set.npz", labelled=True)


def test_a_damaged_npz_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "set.npz", x=np.zeros((9, 30, 30), np.uint8))
    whole = (tmp_path / "set.npz").read_bytes()
    for content in (b"", b"words", whole[:100], whole[:90] + b"x" * 20 + whole[110:]):
        (tmp_path / "set.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"set\.npz: cannot be read as an \.npz file"):
            open_images(tmp_path / "set.npz")


# --- the rest ---


def test_a_checkpoint_and_a_table_are_no_images(tmp_path):
    assert is_images(tmp_path)
    assert is_images(tmp_path / "set.npz")
    assert not is_images(tmp_path / "table.csv")
    for name in ("config.json", "weights.safetensors"):
        (tmp_path / name).touch()
    assert not is_images(tmp_path)


@pytest.mark.parametrize("image", [GREY[:, :, None], RGB, RGBA])
def test_what_is_written_is_read(tmp_path, image):
    write_png(image, tmp_path / "a.png")
    assert np.array_equal(only(tmp_path), image)
    with pytest.raises(DataError, match="cannot be written"):
        write_png(image, tmp_path / "nowhere" / "a.png")


def test_schema_survives_json(two_classes):
    (two_classes / "no" / "x.png").touch()
    save(two_classes / "yes" / "wide.png", RGB[:, :2])
    schema = open_images(two_classes).schema
    document = json.loads(json.dumps(schema.to_json()))
    assert document["modality"] == "image"
    assert ImageSchema.from_json(document) == schema
    assert ImageSchema.from_json(document).notes() == schema.notes()
    for wrong in ({}, {"modality": "image"}, {**document, "modality": "table"}):
        with pytest.raises(DataError, match="is not a schema of images"):
            ImageSchema.from_json(wrong)


def test_notes_name_a_few_skipped_files(two_classes):
    schema = open_images(two_classes).schema
    skipped = tuple((f"{index}.png", "is empty") for index in range(5))
    notes = dataclasses.replace(schema, skipped=skipped).notes()
    assert notes == ["5 files are skipped: 0.png is empty, 1.png is empty, 2.png is empty, and 2 more"]


def test_reading_images_needs_no_torch():
    program = "import sys, gantools.data.images.source; sys.exit(any(m in sys.modules for m in ('torch', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_photo_with_a_second_picture_counts_as_jpeg(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, format="MPO", save_all=True, append_images=[Image.fromarray(RGB)])
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert open_images(tmp_path).schema.formats == {"JPEG": 1}
