"""Entries of a Triton model repository: read with Triton's own definition of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gantools.errors import ExportError
from gantools.export.file import ExportedFile
from gantools.export.triton import write_triton

GOLDEN = Path(__file__).parents[2] / "exports" / "golden"
KINDS = ("table-scorer", "table-generator", "image-scorer", "image-generator")


def read(entry: Path) -> Any:
    pytest.importorskip("tritonclient.grpc")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse((entry / "config.pbtxt").read_text("utf-8"), model_config_pb2.ModelConfig())


def said(value: Any) -> tuple[Any, ...]:
    """Type, sizes, and the sizes that the model gets where they are others."""
    from tritonclient.grpc import model_config_pb2

    reshaped = tuple(value.reshape.shape) if value.HasField("reshape") else None
    return model_config_pb2.DataType.Name(value.data_type), tuple(value.dims), reshaped


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_complete_and_holds_the_file(kind: str, tmp_path: Path) -> None:
    entry = write_triton(GOLDEN / f"{kind}.onnx", tmp_path / "models")
    assert entry == tmp_path / "models" / kind
    assert (entry / "1" / "model.onnx").read_bytes() == (GOLDEN / f"{kind}.onnx").read_bytes()
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [kind]
    config = read(entry)
    assert (config.name, config.platform, config.backend) == (kind, "onnxruntime_onnx", "onnxruntime")
    assert list(config.dynamic_batching.preferred_batch_size)[-1] == config.max_batch_size
    assert config.dynamic_batching.max_queue_delay_microseconds == 1000
    assert len(config.instance_group) == 1


def test_a_column_is_one_value_a_row_and_inputs_with_a_default_are_left_out(tmp_path: Path) -> None:
    config = read(write_triton(GOLDEN / "table-scorer.onnx", tmp_path, name="flowers"))
    assert {value.name: said(value) for value in config.input} == {
        "sepal length": ("TYPE_FP32", (1,), ()),
        "petal area": ("TYPE_FP32", (1,), ()),
        "petal width mm": ("TYPE_INT64", (1,), ()),
        "stem": ("TYPE_STRING", (1,), ()),
        "species": ("TYPE_STRING", (1,), ()),
    }
    assert {value.name: said(value) for value in config.output} == {
        "anomaly_score": ("TYPE_FP64", (1,), ()),
        "p_value": ("TYPE_FP64", (1,), ()),
        "is_anomaly": ("TYPE_BOOL", (1,), ()),
    }
    assert (config.name, config.max_batch_size) == ("flowers", 1024)
    assert not any(value.optional for value in config.input)


def test_without_batches_the_inputs_with_a_default_are_optional(tmp_path: Path) -> None:
    config = read(write_triton(GOLDEN / "table-scorer.onnx", tmp_path, max_batch=0))
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    inputs = {value.name: (*said(value), value.optional) for value in config.input}
    assert inputs["stem"] == ("TYPE_STRING", (-1,), None, False)
    assert inputs["threshold"] == ("TYPE_FP64", (1,), None, True)
    assert inputs["explain"] == ("TYPE_BOOL", (1,), None, True)
    assert {value.name: said(value) for value in config.output}["contribution"] == ("TYPE_FP64", (-1, 5), None)


def test_images_have_any_size_and_as_many_as_memory_holds(tmp_path: Path) -> None:
    config = read(write_triton(GOLDEN / "image-scorer.onnx", tmp_path, max_batch=4096))
    assert [(value.name, said(value)) for value in config.input] == [("image", ("TYPE_UINT8", (-1, -1, 1), None))]
    assert {value.name: said(value) for value in config.output}["heatmap"] == ("TYPE_FP32", (-1, -1), None)
    assert config.max_batch_size == 512
    config = read(write_triton(GOLDEN / "image-generator.onnx", tmp_path))
    assert {value.name: said(value) for value in config.input} == {
        "noise": ("TYPE_FP32", (8,), None),
        "label": ("TYPE_STRING", (1,), ()),
    }
    assert [said(value) for value in config.output] == [("TYPE_UINT8", (16, 16, 1), None)]


def test_what_is_left_out_goes_by_what_it_is_not_by_its_name(scorer_file: ExportedFile, tmp_path: Path) -> None:
    config = read(write_triton(scorer_file.path, tmp_path))
    inputs = {value.name for value in config.input}
    assert "threshold" in inputs and "threshold_" not in inputs  # the former is a column of the table
    assert {value.name for value in config.output} == {"anomaly_score", "p_value", "is_anomaly"}


def test_an_entry_is_replaced_but_nothing_else(tmp_path: Path) -> None:
    write_triton(GOLDEN / "table-scorer.onnx", tmp_path, name="model")
    entry = write_triton(GOLDEN / "table-generator.onnx", tmp_path, name="model")
    assert {value.name for value in read(entry).input} == {"noise", "label"}
    (entry / "2").mkdir()
    (entry / "2" / "model.onnx").write_bytes(b"mine")
    with pytest.raises(ExportError, match=r"2/model\.onnx"):
        write_triton(GOLDEN / "table-scorer.onnx", tmp_path, name="model")
    assert (entry / "2" / "model.onnx").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", ".."])
def test_a_name_is_that_of_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="name"):
        write_triton(GOLDEN / "table-scorer.onnx", tmp_path, name=name)
    with pytest.raises(ExportError, match="max_batch"):
        write_triton(GOLDEN / "table-scorer.onnx", tmp_path, max_batch=-1)


def test_what_is_no_export_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    for content in (None, b"no model"):
        file = tmp_path / "other.onnx"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ExportError, match=r"other\.onnx"):
            write_triton(file, tmp_path / "models")
    assert not (tmp_path / "models").exists()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ExportError, match="taken"):
        write_triton(GOLDEN / "table-scorer.onnx", tmp_path / "taken")
