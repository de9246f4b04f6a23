"""Files that an earlier version exported run as they did, and are still understood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantools.export.kinds.image_generator import ExportedImageGenerator
from gantools.export.kinds.image_scorer import ExportedImageScorer
from gantools.export.kinds.table_generator import ExportedGenerator
from gantools.export.kinds.table_scorer import ExportedScorer
from gantools.export.runtime import Exported, load_exported

GOLDEN = Path(__file__).parents[2] / "exports" / "golden"
KINDS = ("table-scorer", "table-generator", "image-scorer", "image-generator", "image-translator")
CELLS = 2e-3  # share of generated cells that may differ: they lie on a border


def opened(kind: str) -> tuple[Exported, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A golden file, the inputs that it was given and what it made of them."""
    given, expected = {}, {}
    with np.load(GOLDEN / f"{kind}.npz", allow_pickle=False) as arrays:
        for name, array in arrays.items():
            part, _, key = name.partition("/")
            (given if part == "given" else expected)[key] = array.astype(object) if array.dtype.kind == "U" else array
    return load_exported(GOLDEN / f"{kind}.onnx", "cpu", threads=1), given, expected


def run(kind: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    file, given, expected = opened(kind)
    return dict(zip(expected, file.run(given, list(expected)), strict=True)), expected


def test_there_is_one_of_each_kind_and_each_is_small() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.onnx")) == sorted(KINDS)
    assert all(path.stat().st_size < 1_000_000 for path in GOLDEN.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_a_file_gives_was_recorded(kind: str) -> None:
    file, given, expected = opened(kind)
    assert set(expected) == {value.name for value in file.session.get_outputs()}
    assert {value.name for value in file.session.get_inputs()} <= set(given)
    assert file.described["kind"] == kind


@pytest.mark.parametrize("kind", ["table-scorer", "image-scorer"])
def test_scores_and_flags_are_what_they_were(kind: str) -> None:
    found, expected = run(kind)
    np.testing.assert_allclose(found["anomaly_score"], expected["anomaly_score"], rtol=1e-4)
    np.testing.assert_allclose(found["p_value"], expected["p_value"], atol=0.03)  # a rank or two of the few held out
    np.testing.assert_array_equal(found["is_anomaly"], expected["is_anomaly"])
    assert 0 < expected["is_anomaly"].sum() < len(expected["is_anomaly"])
    if kind == "table-scorer":
        np.testing.assert_allclose(found["contribution"], expected["contribution"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found["contribution"].sum(1), found["anomaly_score"], rtol=1e-4)
    else:
        top = np.abs(expected["heatmap"]).max()
        np.testing.assert_allclose(found["heatmap"], expected["heatmap"], atol=2e-3 * top)


def test_made_rows_are_what_they_were() -> None:
    found, expected = run("table-generator")
    other = [
        ~np.isclose(found[name], cells, rtol=1e-4, equal_nan=True) if cells.dtype.kind == "f" else found[name] != cells
        for name, cells in expected.items()
    ]
    assert np.mean(other) <= CELLS
    assert any("" in cells for cells in expected.values() if cells.dtype.kind == "O")


def test_made_images_are_what_they_were() -> None:
    found, expected = run("image-generator")
    assert np.abs(found["image"].astype(int) - expected["image"]).max() <= 1
    assert expected["image"].std() > 1


def test_made_pictures_are_what_they_were() -> None:
    found, expected = run("image-translator")
    _, given, _ = opened("image-translator")
    assert np.abs(found["transformed"].astype(int) - expected["transformed"]).max() <= 1
    known = given["mask"] == 0
    assert np.array_equal(found["transformed"][known], given["image"][known])
    assert not np.array_equal(found["transformed"], given["image"])


def test_the_metadata_are_understood() -> None:
    scorer = opened("table-scorer")[0]
    assert isinstance(scorer, ExportedScorer)
    assert [port.type for port in scorer.inputs] == ["float32", "float32", "int64", "string", "string"]
    assert scorer.schema_["petal area"].missing > 0 and len(scorer.calibration_.scores) == 100
    images = opened("image-scorer")[0]
    assert isinstance(images, ExportedImageScorer) and images.pixel_threshold_ > 0
    maker = opened("table-generator")[0]
    assert isinstance(maker, ExportedGenerator) and maker.class_counts == (50, 50, 50)
    pictures = opened("image-generator")[0]
    assert isinstance(pictures, ExportedImageGenerator) and pictures.schema_.classes == ("0", "1", "2")


def test_rows_go_through_the_librarys_own_methods() -> None:
    scorer, given, expected = opened("table-scorer")
    assert isinstance(scorer, ExportedScorer)
    import pandas as pd

    frame = pd.DataFrame({port.name: given[port.name] for port in scorer.inputs})
    frame["stem"] = frame["stem"].where(frame["stem"] != "", None)
    np.testing.assert_allclose(scorer.anomaly_score(frame), expected["anomaly_score"], rtol=1e-4)
    maker, given, expected = opened("table-generator")
    assert isinstance(maker, ExportedGenerator)
    label = np.array([maker.inputs[0].levels.index(level) for level in given["label"]])
    made = maker.generate(given["noise"], label)
    assert made["species"].tolist() == given["label"].tolist() and len(made.columns) == 5
