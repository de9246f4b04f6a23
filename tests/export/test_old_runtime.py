"""Exported files in the oldest onnxruntime that is supported, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.config import TrainConfig
from gantools.export.file import ExportedFile, export_model
from gantools.export.runtime import load_exported
from gantools.registry import discover
from gantools.transform.translator import ImageTranslator
from tests.contract.examples import translations

OLDEST = "1.20.1"
GOLDEN = Path(__file__).parents[2] / "exports" / "golden"
EMPTY = """
import sys, numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
types = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
         "tensor(uint8)": np.uint8}
given = {
    value.name: np.zeros([n if isinstance(n, int) else 16 * (k > 0) for k, n in enumerate(value.shape)],
                         types.get(value.type, object))
    for value in session.get_inputs()
}
print(ort.__version__, [len(found) for found in session.run(None, given)])
"""
SCORES = """
import sys, numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
arrays = np.load(sys.argv[2], allow_pickle=False)
given = {name[6:]: arrays[name].astype(object) if arrays[name].dtype.kind == "U" else arrays[name]
         for name in arrays if name.startswith("given/")}
found = dict(zip(["anomaly_score", "is_anomaly"], session.run(["anomaly_score", "is_anomaly"], given)))
assert np.allclose(found["anomaly_score"], arrays["expected/anomaly_score"], rtol=1e-4)
assert (found["is_anomaly"] == arrays["expected/is_anomaly"]).all()
"""


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of an environment with the oldest onnxruntime; skips where none can be had."""
    folder = tmp_path_factory.mktemp("oldest")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = [f"onnxruntime=={OLDEST}", f"numpy<={np.__version__}"]
    if subprocess.run([python, "-m", "pip", "install", "-q", *wanted], capture_output=True).returncode:
        pytest.skip(f"onnxruntime {OLDEST} cannot be installed")
    return python


def run(python: Path, code: str, *arguments: Path) -> str:
    done = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_no_rows_and_no_images_are_fine(oldest: Path, scorer_file: ExportedFile, maker_file: ExportedFile) -> None:
    files = [scorer_file.path, maker_file.path, *(GOLDEN / f"image-{what}.onnx" for what in ("scorer", "generator"))]
    for file in files:
        version, _, lengths = run(oldest, EMPTY, file).partition(" ")
        assert version == OLDEST and set(lengths.strip()) <= set("[0, ]")


TRANSLATED = """
import sys, numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
arrays = np.load(sys.argv[2])
made = session.run(None, {name: arrays[name] for name in arrays if name != "expected"})[0]
assert np.abs(made.astype(int) - arrays["expected"]).max() <= 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inpaint", "srgan"])
def test_pictures_are_those_of_the_newest(oldest: Path, name: str, tmp_path: Path) -> None:
    cls: Any = discover("image")[name]
    data, degrade = translations(cls)
    train = TrainConfig(steps=4, batch_size=4, device="cpu")
    translator = ImageTranslator(name, asdict(cls.tiny()), degrade, 16, train).fit(data)
    file: Any = load_exported(export_model(translator, tmp_path / "m.onnx").path, "cpu")
    random = np.random.default_rng(0)
    given: dict[str, Any] = {"image": random.integers(0, 256, (2, 37, 51, 3), dtype=np.uint8)}
    if file.fills_holes_:
        given["mask"] = (random.random((2, 37, 51)) < 0.3).astype(np.uint8)
    np.savez(tmp_path / "given.npz", **given, expected=file.run_pictures(*given.values()))
    run(oldest, TRANSLATED, tmp_path / "m.onnx", tmp_path / "given.npz")
    assert run(oldest, EMPTY, tmp_path / "m.onnx").startswith(OLDEST)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["table-scorer", "image-scorer"])
def test_scores_are_those_of_the_newest(oldest: Path, kind: str) -> None:
    run(oldest, SCORES, GOLDEN / f"{kind}.onnx", GOLDEN / f"{kind}.npz")
