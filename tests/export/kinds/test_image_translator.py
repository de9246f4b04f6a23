"""Exported translators of pictures with the methods of the library."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from gantools.config import TrainConfig
from gantools.errors import ConfigError, DataError, ExportError
from gantools.export import file as module
from gantools.export.card import card
from gantools.export.file import export_model
from gantools.export.graph import Graph, build
from gantools.export.kinds.image_translator import ExportedImageTranslator
from gantools.export.mlflow import describe
from gantools.export.runtime import load_exported, open_session
from gantools.export.served import Served
from gantools.export.triton import configuration
from gantools.registry import discover
from gantools.transform.tiles import least_side
from gantools.transform.translator import ImageTranslator
from tests.contract.examples import translations

TRAIN = TrainConfig(steps=6, batch_size=4, eval_every=3, log_every=3, device="cpu")
SHAPE = (80, 96)
SMALL = {"n_levels": 1, "n_blocks": 1}


def trained(name: str, **options: Any) -> ImageTranslator:
    cls: Any = discover("image")[name]
    data, degrade = translations(cls)
    return ImageTranslator(name, {**asdict(cls.tiny()), **options}, degrade, 16, TRAIN).fit(data)


@pytest.fixture(scope="module")
def unet() -> ImageTranslator:
    return trained("unet", **SMALL)


@pytest.fixture(scope="module")
def cyclegan() -> ImageTranslator:
    return trained("cyclegan", **SMALL)


@pytest.fixture(scope="module")
def inpaint() -> ImageTranslator:
    return trained("inpaint", **SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture(scope="module")
def unet_file(unet: ImageTranslator, folder: Path) -> Path:
    return export_model(unet, folder / "unet.onnx").path


@pytest.fixture(scope="module")
def shaped_file(unet: ImageTranslator, folder: Path) -> Path:
    return export_model(unet, folder / "shaped.onnx", shape=SHAPE).path


@pytest.fixture(scope="module")
def inpaint_file(inpaint: ImageTranslator, folder: Path) -> Path:
    return export_model(inpaint, folder / "inpaint.onnx").path


def opened(path: Path) -> ExportedImageTranslator:
    found = load_exported(path, "cpu", threads=1)
    assert isinstance(found, ExportedImageTranslator)
    return found


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def alike(one: Any, other: Any) -> bool:
    off = np.abs(one.astype(int) - other)
    return one.shape == other.shape and off.max() <= 1 and bool((off > 0).mean() < 1e-3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 30), (61, 150)])
def test_the_file_makes_the_library_s_pictures(unet: ImageTranslator, unet_file: Path, height: int, width: int) -> None:
    file, picture = opened(unet_file), noise(height, width)
    expected = unet.transform(picture)
    assert alike(file.transform(picture), expected)
    told: list[tuple[int, int]] = []
    tiled = file.transform(picture, tile=48, on_tile=lambda *done: told.append(done))
    assert alike(tiled, expected) and told[-1][0] == told[-1][1]
    assert (file.scale_, file.fills_holes_, file.shape_) == (1, False, None)
    assert (file.schema_, file.target_schema_) == (unet.schema_, unet.target_schema_)


def test_a_file_that_enlarges(tmp_path: Path) -> None:
    srgan = trained("srgan")
    file = opened(export_model(srgan, tmp_path / "m.onnx").path)
    picture = noise(31, 45)
    assert file.scale_ == 2 and alike(file.transform(picture, tile=20), srgan.transform(picture))
    assert [value.shape for value in file.gives] == [["batch", "2*height", "2*width", 3]]
    assert Served(str(file.path)).predict(np.zeros((0, 5, 7, 3))).shape == (0, 10, 14, 3)
    assert "uint8 [N, 2H, 2W, 3]" in card(file, tmp_path / "m.onnx")


@pytest.mark.parametrize(("height", "width"), [SHAPE, (83, 230), (200, 97)])
def test_a_file_of_one_shape_makes_the_library_s_pictures(
    unet: ImageTranslator, shaped_file: Path, height: int, width: int
) -> None:
    file, picture = opened(shaped_file), noise(height, width)
    file.warm_up()
    assert file.shape_ == SHAPE and file.takes[0].shape == ["batch", *SHAPE, 3]
    assert alike(file.transform(picture), unet.transform(picture))


def test_a_picture_of_less_than_the_shape_is_filled_up(unet: ImageTranslator, shaped_file: Path) -> None:
    file, picture, reach = opened(shaped_file), noise(70, 90), unet.translator_.reach
    made = file.transform(picture)
    assert made.shape == picture.shape
    assert alike(made[:-reach, :-reach], unet.transform(picture)[:-reach, :-reach])


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((82, 96), "the sides of 82x96 are no multiples of 4"),
        ((8, 96), "8x96 is too small: what is made of a place depends on"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(
    unet: ImageTranslator, tmp_path: Path, shape: tuple[int, int], said: str
) -> None:
    with pytest.raises(ExportError, match=said) as refused:
        export_model(unet, tmp_path / "m.onnx", shape=shape)
    least = least_side(unet.translator_.reach, unet.translator_.multiple)
    assert refused.value.remedy.startswith("use ") and len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())
    build(unet, shape=(least, least))


def test_two_directions_are_two_files(cyclegan: ImageTranslator, tmp_path: Path) -> None:
    there = opened(export_model(cyclegan, tmp_path / "there.onnx").path)
    back = opened(export_model(cyclegan, tmp_path / "back.onnx", reverse=True).path)
    grey, colour = noise(20, 33, 1), noise(20, 33)
    assert alike(there.transform(grey), cyclegan.transform(grey))
    assert alike(back.transform(colour), cyclegan.transform(colour, reverse=True))
    assert (back.schema_, back.target_schema_) == (there.target_schema_, there.schema_)
    with pytest.raises(ConfigError, match="export the other one, with `reverse`"):
        there.transform(colour, reverse=True)
    with pytest.raises(ConfigError, match="export the other one, without `reverse`"):
        back.transform(grey, reverse=True)


def test_one_direction_has_no_reverse(unet: ImageTranslator, unet_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unet knows one direction"):
        export_model(unet, tmp_path / "m.onnx", reverse=True)
    with pytest.raises(ConfigError, match="unet knows one direction"):
        opened(unet_file).transform(noise(9, 9), reverse=True)


def test_what_does_not_fit_is_refused_in_the_library_s_words(
    unet: ImageTranslator, unet_file: Path, inpaint: ImageTranslator, inpaint_file: Path
) -> None:
    mask = np.zeros((9, 9), bool)
    unfit: list[tuple[Any, Path, tuple[Any, ...]]] = [
        (unet, unet_file, (noise(9, 9), mask)),
        (unet, unet_file, (noise(9, 9, 1),)),
        (unet, unet_file, (noise(9, 0),)),
        (inpaint, inpaint_file, (noise(9, 9),)),
        (inpaint, inpaint_file, (noise(9, 8), mask)),
    ]
    for library, path, given in unfit:
        with pytest.raises((ConfigError, DataError)) as ours:
            library.transform(*given)
        with pytest.raises((ConfigError, DataError)) as theirs:
            opened(path).transform(*given)
        assert str(ours.value) == str(theirs.value) and type(ours.value) is type(theirs.value)


def test_holes_are_filled_and_the_rest_stays(inpaint: ImageTranslator, inpaint_file: Path) -> None:
    picture = noise(50, 71)
    mask = np.random.default_rng(1).random((50, 71)) < 0.3
    file = opened(inpaint_file)
    made = file.transform(picture, mask)
    assert file.fills_holes_ and alike(made, inpaint.transform(picture, mask))
    assert np.array_equal(made[~mask], picture[~mask])
    served = Served(str(inpaint_file))
    by_name = served.predict({"mask": mask[None], "image": picture[None]})
    assert np.array_equal(by_name[0], made) and np.array_equal(served.predict((picture[None], mask[None]))[0], made)
    for lacking, said in ({"image": picture[None]}, "missing: mask"), (picture[None], "give 2 arrays"):
        with pytest.raises(ValueError, match=said):
            served.predict(lacking)


@pytest.mark.parametrize("which", ["unet_file", "shaped_file", "inpaint_file"])
def test_no_picture_makes_none_and_several_make_as_many(which: str, request: pytest.FixtureRequest) -> None:
    file = opened(request.getfixturevalue(which))
    height, width = file.shape_ or (13, 22)
    for n in (0, 1, 3):
        pictures = np.stack([noise(height, width, seed=k) for k in range(n)]) if n else np.zeros((0, height, width, 3))
        masks = np.ones((n, height, width), bool) if file.fills_holes_ else None
        made = file.run_pictures(pictures.astype(np.uint8), masks)
        assert made.shape == (n, height, width, 3) and made.dtype == np.uint8
    if file.fills_holes_:
        with pytest.raises(ExportError, match="different lengths"):
            file.run_pictures(np.zeros((2, 9, 9, 3), np.uint8), np.zeros((1, 9, 9)))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_lower_precisions_are_smaller_and_near(
    unet: ImageTranslator, unet_file: Path, tmp_path: Path, precision: Any
) -> None:
    found = export_model(unet, tmp_path / "m.onnx", precision=precision)
    assert found.n_bytes < unet_file.stat().st_size and found.parity["bytes_unlike"] > 0
    off = np.abs(opened(found.path).transform(noise(40, 40)).astype(int) - unet.transform(noise(40, 40)))
    assert off.max() <= 8


def test_a_file_that_differs_is_not_written(
    unet: ImageTranslator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*given: Any, **more: Any) -> Graph:
        graph = build(*given, **more)
        for tensor in graph.proto.graph.initializer:
            if tensor.name.endswith("tail.bias"):
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.004), tensor.name))
        return graph

    monkeypatch.setattr(module, "build", other)
    with pytest.raises(ExportError, match=r"share of bytes differs .* nothing was written"):
        export_model(unet, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_figures_of_the_comparison(unet_file: Path) -> None:
    file = opened(unet_file)
    parity = file.described["parity"]
    assert parity["largest_byte"] <= 1 and parity["bytes_beyond_rounding"] == 0 and parity["bytes"] > 10**5
    assert [1, 5] in parity["sizes"] and [33, 47] in parity["sizes"]
    words = file.differences({"bytes_unlike": 3, "bytes": 2000, "largest_byte": 1})
    assert words == "3 of 2,000 bytes differ, by 1 at most"
    onnx.checker.check_model(onnx.load(unet_file), full_check=True)


def test_what_is_written_from_a_file(unet_file: Path, shaped_file: Path, inpaint_file: Path, tmp_path: Path) -> None:
    text = card(opened(inpaint_file), inpaint_file)
    assert "above 0 where a hole is to be filled" in text and "`transformed`" in text and "bytes, colour" in text
    assert "of any size" in text and "of this size" in card(opened(shaped_file), shaped_file)
    code = text.split("```python\n")[1].split("```")[0].replace('"inpaint.onnx"', repr(str(inpaint_file)))
    exec(code, {})
    config = configuration(opened(inpaint_file), "inpaint")
    assert "dims: [ -1, -1, 3 ]" in config and 'name: "mask"' in config
    assert "dims: [ 80, 96, 3 ]" in configuration(opened(shaped_file), "shaped")
    said = describe(opened(inpaint_file), "0" * 64, "3.12")["signature"]
    assert [value["name"] for value in json.loads(said["inputs"])] == ["image", "mask"] and said["params"] is None
    [value] = json.loads(describe(opened(unet_file), "0" * 64, "3.12")["signature"]["inputs"])
    assert "name" not in value and value["tensor-spec"] == {"dtype": "uint8", "shape": [-1, -1, -1, 3]}


def test_batches_of_pictures_through_mlflow(unet: ImageTranslator, unet_file: Path) -> None:
    pictures = np.stack([noise(40, 52, seed=k) for k in range(3)])
    made = Served(str(unet_file)).predict(pictures)
    assert alike(made, np.stack([unet.transform(picture) for picture in pictures]))


def test_changed_metadata_are_refused(unet_file: Path, tmp_path: Path) -> None:
    proto = onnx.load(unet_file)
    kept = [entry for entry in proto.metadata_props if entry.key != "gantools.reach"]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match="metadata cannot be read"):
        load_exported(tmp_path / "m.onnx", "cpu")


def test_running_a_file_imports_no_torch(unet_file: Path) -> None:
    import subprocess
    import sys

    code = f"""
import sys
import numpy as np
from gantools.export.runtime import load_exported
load_exported({str(unet_file)!r}, "cpu").transform(np.zeros((70, 30, 3), np.uint8), tile=40)
assert "torch" not in sys.modules and "onnx" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_session_takes_pictures_as_they_are(unet: ImageTranslator, unet_file: Path) -> None:
    picture = noise(19, 26)
    [made] = open_session(unet_file, "cpu").run(["transformed"], {"image": picture[None]})
    assert alike(made[0], unet.transform(picture))


@pytest.mark.parametrize("option", [{"reverse": True}, {"shape": (64, 64)}])
def test_only_translators_have_directions_and_shapes(option: dict[str, Any], tmp_path: Path) -> None:
    class Other:
        kind = "image-generator"

    with pytest.raises(ExportError, match="only a translator of pictures has"):
        build(Other(), **option)  # type: ignore[arg-type]


def test_the_model_stays_as_it_was(unet: ImageTranslator, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in unet.translator_.state_dict().items()}
    export_model(unet, tmp_path / "m.onnx", precision="fp16")
    assert all(torch.equal(value, before[name]) for name, value in unet.translator_.state_dict().items())
