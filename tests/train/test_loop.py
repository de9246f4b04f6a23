"""The loop: budgets, early stopping, health, resuming after kill -9, and several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.encode.table import Layout
from gantools.errors import CheckpointError, ConfigError, TrainingError
from gantools.models.base import GAN, Batch, DataSpec, GANOptions, Phase
from gantools.models.cgan import ConditionalGAN
from gantools.train.data import TrainingRows
from gantools.train.loop import resolve_device, train
from gantools.train.monitor import HealthMonitor, energy_distance

TINY = {"width": 16, "noise_dim": 8}


@pytest.fixture(scope="module")
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table()


class Scripted(GAN):
    """A model whose one net does what a test asks of it."""

    name = "scripted"
    summary = paper = ""

    def __init__(self, spec: DataSpec, step: Callable[[Scripted, Batch], Tensor]) -> None:
        super().__init__(spec, GANOptions(steps=100))
        self.generator = nn.Linear(1, spec.layout.width)
        self.step = step

    def phases(self) -> Sequence[Phase]:
        return (Phase("generator", ("generator",), lambda batch: self.step(self, batch), lr=0.1),)

    def generate(self, noise: Tensor, label: Tensor) -> Tensor:
        return self.generator(noise[:, :1])


def rows(n: int = 200, seed: int = 0) -> TrainingRows:
    from gantools.data.tables.raw import Raw
    from gantools.data.tables.schema import infer_schema
    from gantools.encode.table import TableEncoder

    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "label": label})
    raw = Raw(table[["a", "b"]].to_numpy(), np.zeros((n, 0), np.int64))
    encoder = TableEncoder.fit(raw, infer_schema(table, "label"))
    return TrainingRows.split(encoder, encoder.encode(raw), torch.from_numpy(label), 2, 0.5, seed)


def run(step: Callable[[Any, Batch], Tensor], **config: Any) -> Any:
    torch.manual_seed(0)
    gan = Scripted(DataSpec(Layout(2, ()), (100, 100)), step)
    return train(gan, rows(), ("x", "y"), TrainConfig(**{"eval_every": 10, "log_every": 5, "device": "cpu", **config}))


def alive(gan: Scripted, batch: Batch) -> Tensor:
    """Pulls the weights towards one, keeps the rows apart and never quite settles."""
    wanted = 1 + 0.1 * batch.noise(2, 1)
    return (gan.generator.weight - wanted).square().sum() + gan.generator.bias.square().sum()


def test_a_healthy_run_finishes() -> None:
    outcome = run(alive)
    assert (outcome.report.stopped, outcome.report.steps, outcome.report.health) == ("finished", 100, ())
    lines = [json.loads(line) for line in outcome.metrics.splitlines()]
    assert [line["step"] for line in lines] == list(range(5, 101, 5))
    assert lines[-1]["generator"] < lines[0]["generator"]


def test_a_budget_ends_the_run_in_time() -> None:
    began = time.perf_counter()
    outcome = run(alive, steps=10_000_000, budget_s=1.0)
    assert outcome.report.stopped == "budget"
    assert 1.0 <= time.perf_counter() - began < 4.0


def test_patience_stops_a_run_that_no_longer_improves() -> None:
    outcome = run(
        lambda gan, batch: gan.generator.weight.sum() * 0 + gan.generator.bias.sum() * 1e-4, steps=5000, patience=3
    )
    assert outcome.report.stopped == "early"
    assert outcome.report.steps < 5000


def test_divergence_stops_the_run_with_the_last_good_weights() -> None:
    def explode(gan: Scripted, batch: Batch) -> Tensor:
        return alive(gan, batch) * (float("nan") if batch.progress >= 0.5 else 1.0)

    outcome = run(explode)
    assert outcome.report.stopped == "unhealthy"
    assert outcome.report.steps <= 60 and outcome.report.best_step <= 50
    assert "learning rate" in outcome.report.health[0]
    assert all(torch.isfinite(p).all() for p in outcome.model.parameters())


def test_a_run_that_never_worked_is_an_error() -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run(lambda gan, batch: alive(gan, batch) * float("nan"))


def test_a_budget_that_ends_in_ruins_is_an_error_too() -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run(
            lambda gan, batch: alive(gan, batch) * float("nan"),
            steps=10_000_000, budget_s=0.2, eval_every=10**6, log_every=10**6,
        )  # fmt: skip


def test_losses_are_means_over_updates() -> None:
    class Seldom(Scripted):
        def phases(self) -> Sequence[Phase]:
            def loss(value: float) -> Callable[[Batch], Tensor]:
                return lambda batch: self.generator.weight.sum() * 0 + value

            often, seldom = {"nets": ("generator",), "repeats": 5}, {"nets": ("generator",), "every": 4}
            return (Phase("often", loss=loss(2.0), **often), Phase("seldom", loss=loss(3.0), **seldom))  # type: ignore[arg-type]

    gan = Seldom(DataSpec(Layout(2, ()), (100, 100)), alive)
    config = TrainConfig(steps=8, log_every=2, eval_every=100, device="cpu")
    lines = [json.loads(line) for line in train(gan, rows(), ("x", "y"), config).metrics.splitlines()]
    assert [line["often"] for line in lines] == [2.0] * 4
    assert [line.get("seldom") for line in lines] == [3.0, None, 3.0, None]


def test_collapse_is_named_by_class_and_ends_the_run() -> None:
    def collapse(gan: Scripted, batch: Batch) -> Tensor:
        return gan.generator.weight.square().sum() * 100 + gan.generator.bias.sum() * 1e-3

    outcome = run(collapse, steps=1000)
    assert outcome.report.stopped == "unhealthy"
    assert "mode collapse" in outcome.report.health[0]


def test_the_monitor_names_the_class_and_forgives_bad_starts() -> None:
    monitor = HealthMonitor()
    assert monitor.look(0.1, [0.1, 1.0], ["rare", "common"], 1.0) == ("", False)
    words, hopeless = monitor.look(0.5, [0.1, 1.0], ["rare", "common"], 1.0)
    assert "class rare" in words and not hopeless
    assert monitor.look(0.6, [0.9, 1.0], ["rare", "common"], 1.0) == ("", False)
    for _ in range(2):
        monitor.look(0.7, [0.1, 1.0], ["rare", "common"], 1.0)
    assert monitor.look(0.8, [0.1, 1.0], ["rare", "common"], 1.0)[1]
    assert len(monitor.noticed) == 1


def test_the_monitor_recognises_vanishing_gradients() -> None:
    monitor = HealthMonitor()
    looks = [monitor.look(0.5, [1.0], ["x"], 1e-12) for _ in range(5)]
    assert "vanished" in looks[0][0] and [hopeless for _, hopeless in looks] == [False] * 4 + [True]


def test_energy_distance_is_zero_for_one_distribution_and_grows_with_the_shift() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(800, 3, generator=random), torch.randn(800, 3, generator=random)
    same, spread = energy_distance(a, b)
    assert abs(same) < 0.01 and spread.item() == pytest.approx(1, abs=0.05)
    near, far = energy_distance(a + 0.5, b)[0], energy_distance(a + 1, b)[0]
    assert 0.05 < near < far
    assert energy_distance(a * 0.1, b)[1].item() == pytest.approx(0.1, abs=0.02)


def test_held_out_rows_are_not_trained_on() -> None:
    part = rows(400)
    assert len(part.label) == 360 and [len(r) for r in part.reference] == [20, 20]
    seen = {tuple(row) for row in part.encoder.draw(part.table, torch.arange(360)).tolist()}
    assert not any(tuple(row) in seen for reference in part.reference for row in reference.tolist())


def test_a_perfect_generator_of_spikes_has_no_distance() -> None:
    from gantools.data.tables.raw import Raw
    from gantools.data.tables.schema import infer_schema
    from gantools.encode.table import TableEncoder

    table = pd.DataFrame({"a": np.arange(2000) % 3, "label": ["x", "y"] * 1000})
    raw = Raw(table[["a"]].to_numpy(float), np.zeros((2000, 0), np.int64))
    encoder = TableEncoder.fit(raw, infer_schema(table, "label"))
    encoded, label = encoder.encode(raw), torch.arange(2000) % 2
    part = TrainingRows.split(encoder, encoded, label, 2, 0.5, 0)
    perfect = encoder.draw(encoded, torch.arange(0, 2000, 2), torch.Generator().manual_seed(1))
    assert abs(energy_distance(perfect, part.reference[0])[0]) < 0.02


def test_half_of_a_batch_is_drawn_class_balanced() -> None:
    from dataclasses import replace

    part = rows(400)
    skewed = part.label.clone()
    skewed[20:] = 0
    skewed[:20] = 1
    count = torch.bincount(skewed).double()
    chance = 0.5 / (2 * count[skewed]) + 0.5 / len(skewed)
    part = replace(part, label=skewed, cumulative=chance.cumsum(0))
    share = part.batch(20_000, 0.0, torch.Generator().manual_seed(0)).label.float().mean().item()
    assert share == pytest.approx(0.25 + 0.5 * 20 / 360, abs=0.015)


def test_stabilisers_change_training(frame: pd.DataFrame) -> None:
    def weights(**options: Any) -> Tensor:
        made = Synthesizer("cgan", {**TINY, **options}, TrainConfig(steps=8, batch_size=16, eval_every=8, device="cpu"))
        return next(made.fit(frame, "churned").gan_.generator.parameters())

    plain = weights()
    for options in (
        {"label_smoothing": 0.1},
        {"minibatch_discrimination": True},
        {"replay": 0.5},
        {"spectral_norm": True},
        {"gradient_penalty": 1.0},
        {"batch_norm": True},
        {"lr_ratio": 4.0},
        {"lr_decay": False},
    ):
        assert not torch.equal(plain, weights(**options)), options


def test_wgan_clips(frame: pd.DataFrame) -> None:
    made = Synthesizer("wgan", {**TINY, "clip": 0.02}, TrainConfig(steps=4, batch_size=16, device="cpu")).fit(
        frame, "churned"
    )
    assert max(p.abs().max() for p in made.gan_.discriminator.parameters()) <= 0.02


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
    deadline = time.monotonic() + 60
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


def test_a_device_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(ConfigError, match=r"--device: this machine has no 'cuda'"):
        resolve_device("cuda")


def test_a_device_without_float64_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--device: .*float64.*use --device cpu"):
        resolve_device("mps")


def test_training_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    run(alive, steps=5, precision="bf16")
    assert capfd.readouterr() == ("", "")


def broken(gan: Scripted, batch: Batch) -> Tensor:
    return alive(gan, batch) * float("nan")


@pytest.mark.slow
def test_an_error_in_a_process_comes_back_as_itself() -> None:
    with pytest.raises(TrainingError, match=r"training broke down.*lower the learning rate"):
        run(broken, devices=2)


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


@pytest.mark.slow
def test_two_processes_train_one_model() -> None:
    torch.manual_seed(0)
    spec = DataSpec(Layout(2, ()), (100, 100))
    gan = ConditionalGAN(spec, ConditionalGAN.Options(width=16, noise_dim=8))
    outcome = train(gan, rows(), ("x", "y"), TrainConfig(steps=20, device="cpu", devices=2, eval_every=10))
    assert outcome.report.stopped == "finished" and outcome.report.steps == 20
    assert all(torch.isfinite(p).all() for p in outcome.model.parameters())
