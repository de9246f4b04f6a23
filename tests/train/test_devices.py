"""Devices, and jobs with a process for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gantools import AnomalyScorer
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


def test_torchrun_trains_in_all_of_its_processes(tmp_path: Path) -> None:
    """The first does what the command does alone, the others train with it; an error ends all of them."""
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"]).to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gantools_cli", "score"]
    more = ["--steps", "20", "--device", "cpu", "--precision", "32", "--json"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [*command, *arguments, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    done = run("rows.csv", "--save", "scorer")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # of one process
    assert told["n_rows"] == 300 and told["training"]["steps"] == 20
    assert AnomalyScorer.load(tmp_path / "scorer").report_.stopped == "finished"
    failed = run("no.csv")
    assert failed.returncode != 0 and failed.stderr.count("Error: no.csv: does not exist; check the path") == 1
