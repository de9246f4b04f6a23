"""Heat maps for people: pictures that show them, and folders that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantools.errors import DataError
from gantools.report.overlay import (
    CONTOUR,
    THRESHOLD_VALUE,
    grey,
    is_map_folder,
    map_folder,
    overlay,
    write_maps,
)


def a_heat(height: int = 30, width: int = 50) -> np.ndarray:
    """Cold but for an area 4 wide and 6 high with its peak at x 12, y 7, and a smaller, weaker one."""
    heat = np.full((height, width), 0.2, np.float32)
    heat[5:11, 10:14] = 1.2
    heat[7, 12] = 2.44
    heat[20:22, 40:42] = 1.1
    return heat


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_overlay(channels: int) -> None:
    """What is cold looks as it was, what is hot turns red, and a line goes round what is above the threshold."""
    image = np.full((30, 50, channels), 90, np.uint8)
    shown = overlay(image, a_heat())
    assert shown.shape == (30, 50, 3) and shown.dtype == np.uint8
    assert (shown[0, 0] == 90).all()
    assert shown[7, 12, 0] > shown[7, 12, 1] + 40
    line = (shown == CONTOUR).all(2)
    assert line.sum() == 2 * 4 + 2 * 4 + 4
    assert line[5, 10] and not line[7, 12] and not line[4, 10]
    assert (image == 90).all()


def test_the_line_is_wider_on_large_images() -> None:
    heat = np.zeros((600, 520), np.float32)
    heat[100:200, 100:200] = 1.5
    shown = overlay(np.zeros((600, 520, 1), np.uint8), heat)
    assert (shown[100:102, 150] == CONTOUR).all() and not (shown[102, 150] == CONTOUR).all()


def test_grey_values_tell_exactly_what_is_above_the_threshold() -> None:
    just = np.nextafter(np.float32(1), np.float32(2))
    values = grey(np.array([[0, 0.5, 1, just, 2, 4, 1e6]], np.float32))
    assert values.dtype == np.uint16
    assert values.tolist() == [[0, 8192, THRESHOLD_VALUE, THRESHOLD_VALUE + 1, 32768, 65535, 65535]]


def test_maps_are_written_in_the_size_of_the_image(tmp_path: Path) -> None:
    with map_folder(tmp_path / "maps") as folder:
        write_maps(folder, "a/b.jpg", np.zeros((30, 50, 3), np.uint8), a_heat())
        assert not (tmp_path / "maps").exists()
    assert is_map_folder(tmp_path / "maps")
    found = sorted(path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.*"))
    assert found == ["a/b.jpg.heat.png", "a/b.jpg.overlay.png", "about.json"]
    with Image.open(tmp_path / "maps" / found[0]) as heat, Image.open(tmp_path / "maps" / found[1]) as o:
        assert heat.size == o.size == (50, 30)
        assert (heat.mode, o.mode) == ("I;16", "RGB")
        np.testing.assert_array_equal(np.asarray(heat), grey(a_heat()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps"]


def test_a_folder_of_maps_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    with map_folder(maps) as folder:
        (folder / "old.png").touch()

    def interrupted() -> None:
        with map_folder(maps) as folder:
            (folder / "new.png").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (maps / "old.png").exists()
    with map_folder(maps) as folder:
        (folder / "new.png").touch()
    assert (maps / "new.png").exists() and not (maps / "old.png").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps"]


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_gantools_did_not_write_is_kept(tmp_path: Path, there: str) -> None:
    mine = tmp_path / "maps" if there == "file" else tmp_path / "maps" / "mine.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(DataError, match="holds something else"), map_folder(tmp_path / "maps"):
        pass
    assert mine.read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"), map_folder(tmp_path / "no" / "maps"):
        pass
