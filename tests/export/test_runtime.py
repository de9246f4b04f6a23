"""Sessions, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from gantools.errors import ExportError
from gantools.export import runtime
from gantools.export.file import ExportedFile
from gantools.export.runtime import load_exported, open_session

GOLDEN = Path(__file__).parents[2] / "exports" / "golden"


def test_files_are_run_and_written_about_without_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from gantools.export.card import write_card
from gantools.export.mlflow import write_mlflow
from gantools.export.runtime import load_exported
from gantools.export.triton import write_triton

for file in Path({str(GOLDEN)!r}).glob("*.onnx"):
    assert load_exported(file, "cpu").kind == file.stem
    write_card(file, Path({str(tmp_path)!r}) / f"{{file.stem}}.md")
    write_mlflow(file, Path({str(tmp_path)!r}) / file.stem)
    write_triton(file, Path({str(tmp_path)!r}) / "triton")
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_gpu_that_is_not_there_is_told(scorer_file: ExportedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "n_gpus", lambda: 0)
    with pytest.warns(RuntimeWarning, match="cuda was asked for, but the model runs on the CPU"):
        session = open_session(scorer_file.path, "cuda")
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_two_builds_of_onnxruntime_are_refused(scorer_file: ExportedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_is_installed", lambda _: True)
    with pytest.raises(ExportError, match="both installed"):
        open_session(scorer_file.path)


def test_what_is_no_exported_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such file"):
        load_exported(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ExportError, match="no model that can be run"):
        load_exported(tmp_path / "text.onnx")
    identity = onnx.helper.make_node("Identity", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    other = onnx.helper.make_model(
        onnx.helper.make_graph([identity], "other", ends[:1], ends[1:]),
        opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10,
    )  # fmt: skip
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="not a model that gantools exported"):
        load_exported(tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="no device"):
        open_session(tmp_path / "other.onnx", "abacus")
