"""Devices, and jobs with a process for each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gantools.errors import ConfigError
from gantools.train.devices import resolve_device


def test_a_device_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(ConfigError, match=r"device: this machine has no 'cuda'"):
        resolve_device("cuda")


def test_a_device_without_float64_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device: .*float64.*use the CPU"):
        resolve_device("mps")


@pytest.mark.slow
def test_a_scorer_trains_on_two_devices(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import numpy as np, pandas as pd\n"
        "from gantools import AnomalyScorer\n"
        "if __name__ == '__main__':\n"
        "    rng = np.random.default_rng(0)\n"
        "    rows = pd.DataFrame(rng.normal(size=(300, 3)), columns=list('abc'))\n"
        "    scorer = AnomalyScorer(steps=20, device='cpu', devices=2, precision='32', random_state=0).fit(rows)\n"
        "    assert scorer.report_.stopped == 'finished' and scorer.report_.steps == 20\n"
        "    rows.iloc[0] = 9.0\n"
        "    assert scorer.anomaly_score(rows).argmax() == 0\n"
    )
    subprocess.run([sys.executable, str(script)], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
