"""The benchmark of a GPU measures one, says so where there is none, and can be tried on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def run(*options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, options)], capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_no_gpu_is_said_in_one_line(tmp_path: Path) -> None:
    done = run("--json", tmp_path / "gpu.json")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines() == [
        "there is no GPU that PyTorch can use here; --device cpu tries the script itself"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_everything_is_measured(device: str, tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    done = run("--device", device, "--seconds", 0.2, "--size", 16, "--models", "dcgan", "--json", path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    assert all(one["value"] > 0 for one in figures)
    counts = {part: sum(one["part"] == part for one in figures) for part in ("roofline", "training", "generating")}
    assert counts == {"roofline": 3, "training": 8, "generating": 2}
    shares = [one["share"] for one in figures if one["unit"] == "steps/s"]
    assert len(shares) == 4 and all(0 < share < 1.5 for share in shares)  # of a peak measured at another moment
    for one in figures:
        assert f"{one['value']:,.2f} {one['unit']}" in done.stdout
