"""Resuming: after kill -9, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.errors import CheckpointError

TINY = {"width": 16, "noise_dim": 8}


@pytest.fixture(scope="module")
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table()


def test_kill_minus_nine_leaves_a_checkpoint_that_resumes_identically(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "table.parquet")
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, pandas as pd\n"
        "from gantools import Synthesizer, TrainConfig\n"
        "config = TrainConfig(steps=400, batch_size=16, eval_every=20, log_every=10, device='cpu',\n"
        "                     checkpoint_every_s=0)\n"
        f"maker = Synthesizer('cgan', {TINY!r}, config)\n"
        f"frame = pd.read_parquet(r'{tmp_path / 'table.parquet'}')\n"
        f"maker.fit(frame, 'churned', folder=r'{tmp_path / 'run'}', resume='--resume' in sys.argv)\n"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, str(script)], env=env)
    counters: dict[str, Any] = {}
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            counters = json.loads((tmp_path / "run" / "config.json").read_text())["counters"]
        except (OSError, ValueError):
            counters = {}
        if counters.get("step", 0) >= 40:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.returncode == 0:
        pytest.skip("the run was too fast to be killed")
    midway = Synthesizer.load(tmp_path / "run", device="cpu")  # usable as it is
    assert midway.report_.stopped == "interrupted" and len(midway.sample(3)) == 3
    subprocess.run([sys.executable, str(script), "--resume"], env=env, check=True)
    config = TrainConfig(steps=400, batch_size=16, eval_every=20, log_every=10, device="cpu")
    whole = Synthesizer("cgan", TINY, config).fit(frame, "churned")
    pd.testing.assert_frame_equal(Synthesizer.load(tmp_path / "run", device="cpu").sample(30), whole.sample(30))


def test_resuming_refuses_other_data_options_and_finished_runs(frame: pd.DataFrame, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: object) -> None:
        if progress.step == 4:  # type: ignore[attr-defined]
            raise Killed

    config = TrainConfig(steps=8, batch_size=16, log_every=2, checkpoint_every_s=0, device="cpu")
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        Synthesizer("cgan", TINY, config).fit(frame, "churned", folder=folder, progress=kill)
    with pytest.raises(CheckpointError, match="other data"):
        Synthesizer("cgan", TINY, config).fit(frame.iloc[:-1], "churned", folder=folder, resume=True)
    with pytest.raises(CheckpointError, match="other options"):
        Synthesizer("cgan", {**TINY, "lr": 0.1}, config).fit(frame, "churned", folder=folder, resume=True)
    with pytest.raises(CheckpointError, match="other seed"):
        Synthesizer("cgan", TINY, TrainConfig(steps=8, batch_size=16, log_every=2, seed=1)).fit(
            frame, "churned", folder=folder, resume=True
        )
    Synthesizer("cgan", TINY, config).fit(frame, "churned", folder=folder, resume=True)
    with pytest.raises(CheckpointError, match="finished"):
        Synthesizer("cgan", TINY, config).fit(frame, "churned", folder=folder, resume=True)


@pytest.mark.slow
def test_a_script_trains_on_two_devices_keeps_checkpoints_and_goes_on(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "table.parquet")
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, pandas as pd\n"
        "from gantools import Synthesizer, TrainConfig\n"
        "from gantools.errors import CheckpointError\n"
        "from gantools.train import checkpoint\n"
        "class Killed(Synthesizer):\n"
        "    def save(self, folder):\n"
        "        pass  # as if killed just before the end\n"
        "if __name__ == '__main__':\n"
        f"    frame, folder = pd.read_parquet(r'{tmp_path / 'table.parquet'}'), r'{tmp_path / 'run'}'\n"
        "    config = TrainConfig(steps=12, batch_size=16, eval_every=4, log_every=2, device='cpu', devices=2,\n"
        "                         checkpoint_every_s=0)\n"
        f"    maker = Killed('tabular', {TINY!r}, config).fit(frame, 'churned', folder=folder)\n"
        "    assert maker.report_.stopped == 'finished' and len(maker.sample(9)) == 9\n"
        "    kept = checkpoint.load_checkpoint(folder)\n"
        "    assert kept.counters['step'] == 12 and kept.state, kept.counters\n"
        f"    again = Synthesizer('tabular', {TINY!r}, config).fit(frame, 'churned', folder=folder, resume=True)\n"
        "    assert not checkpoint.load_checkpoint(folder).state\n"
        "    assert again.sample(9).equals(maker.sample(9))\n"
    )
    subprocess.run([sys.executable, str(script)], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
