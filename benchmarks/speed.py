"""How long, how fast, how much memory: the figures of use, against ctgan's where it has them.

time     seconds from CSV to balanced CSV with `gantools augment` on adult_train, with and without the verdict; ctgan:
         preparation and a few epochs are measured and stretched to its default 300
rows     rows sampled and decoded to a DataFrame per second, 500,000 at a time, after training
start    wall time of `gantools --help` and of `import gantools`, the least of several
memory   peak resident memory of `gantools augment` on 200,000 rows with a text column of 100,000 levels
labels   share of rows asked for of one class that carry its label; `plausible` is the share that a classifier trained
         on real rows assigns to that class, beside the same share among held-out real rows
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import peers

PARTS = ["start", "time", "rows", "labels", "memory"]
N_SAMPLED = 500_000
Row = tuple[str, str, float, str]


def command(*arguments: object) -> list[str]:
    """The command line as a user of this environment calls it."""
    script = Path(sys.executable).with_name("gantools")
    start = [str(script)] if script.exists() else [sys.executable, "-m", "gantools_cli"]
    return [*start, *map(str, arguments)]


# A process starts its life with its parent's peak, so a small one stands between this one and the command.
LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def timed(arguments: list[str]) -> tuple[float, float]:
    """Seconds that a command took and the peak of its resident memory in MiB. Raises where it fails."""
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak / (1024 if sys.platform != "darwin" else 1024**2)


def start(_asked: argparse.Namespace) -> list[Row]:
    """Start-up: what every call of the command line waits for."""
    tried = {
        "python -c pass, for comparison": [sys.executable, "-c", "pass"],
        "gantools --help": command("--help"),
        "python -c 'import gantools'": [sys.executable, "-c", "import gantools"],
    }
    return [("start", what, min(timed(call)[0] for _ in range(7)), "s") for what, call in tried.items()]


def from_csv_to_csv(asked: argparse.Namespace) -> list[Row]:
    path, target = adult()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for what, options in (("without verdict", ["--no-verdict"]), ("with verdict", [])):
            output = Path(folder) / f"{len(rows)}.csv"
            call = command("augment", path, "--target", target, "-o", output, "--seed", 0, *options)
            rows.append(("time", f"gantools augment, {what}", timed(call)[0], "s"))
            counts = pd.read_csv(output)[target].value_counts()
            if counts.min() != counts.max():
                raise RuntimeError(f"the output is not balanced: {counts.to_dict()}")
    if asked.ctgan:
        prepared, fitted = ctgan_fit(0)[1]["fit"], ctgan_fit(asked.ctgan_epochs)[1]["fit"]
        epoch = (fitted - prepared) / asked.ctgan_epochs
        whole = prepared + peers.CTGAN_EPOCHS * epoch
        stretched = "" if asked.ctgan_epochs == peers.CTGAN_EPOCHS else f", stretched from {asked.ctgan_epochs}"
        rows += [
            ("time", "ctgan, preparation", prepared, "s"),
            ("time", "ctgan, one epoch", epoch, "s"),
            ("time", f"ctgan, preparation and {peers.CTGAN_EPOCHS} epochs{stretched}", whole, "s"),
            ("time", "ctgan / gantools without verdict", whole / rows[0][2], "times"),
            ("time", "ctgan / gantools with verdict", whole / rows[1][2], "times"),
        ]
    return rows


def sampling(asked: argparse.Namespace) -> list[Row]:
    synthesizer = trained(asked.steps)
    synthesizer.sample(1000)  # the first call warms up
    rows: list[Row] = []
    for refine in (True, False):
        seconds = []
        for seed in range(3):
            started = time.perf_counter()
            made = synthesizer.sample(N_SAMPLED, seed=seed, refine=refine)
            seconds.append(time.perf_counter() - started)
            if len(made) != N_SAMPLED:
                raise RuntimeError(f"asked for {N_SAMPLED} rows and got {len(made)}")
        name = "" if refine else " without refining"
        rows.append(("rows", f"gantools, sampled and decoded per second{name}", N_SAMPLED / min(seconds), "rows/s"))
    if asked.ctgan:
        made, times = ctgan_fit(asked.ctgan_epochs)
        rows.append(("rows", "ctgan, sampled and decoded per second", len(made[0]) / times["draws"][0], "rows/s"))
    return rows


def labels(asked: argparse.Namespace) -> list[Row]:
    """Of rows asked for of the rare class: do they carry its label, and do they look like it?"""
    from tstr import Judge

    path, target = adult()
    train, test = pd.read_csv(path), pd.read_csv(path.with_name("adult_test.csv"))
    rare = train[target].value_counts().idxmin()
    judge = Judge(train, target)
    model = judge.fitted(train)
    asked_for = 10_000
    made = {"gantools": trained(asked.steps).sample({rare: asked_for}, seed=0)}
    if asked.ctgan:
        made[f"ctgan after {asked.ctgan_epochs} epochs"] = ctgan_fit(asked.ctgan_epochs)[0][1]
    rows: list[Row] = []
    for method, frame in made.items():
        right = float((frame[target].astype(str) == str(rare)).sum() / asked_for)
        rows.append(("labels", f"{method}, share with the label asked for", right, ""))
        alike = float((model.predict(judge.features(frame)) == rare).mean())
        rows.append(("labels", f"{method}, share plausible to a classifier", alike, ""))
    real = float((model.predict(judge.features(test[test[target] == rare])) == rare).mean())
    return [*rows, ("labels", "held-out real rows, share plausible to a classifier", real, "")]


def memory(asked: argparse.Namespace) -> list[Row]:
    n, n_levels = 200_000, 100_000
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.arange(n_levels), rng.integers(0, n_levels, n - n_levels)])
    frame = pd.DataFrame(
        {
            "merchant": [f"merchant {code:06d}" for code in codes],
            "amount": rng.lognormal(3, 1, n).round(2),
            "country": rng.choice(["DE", "FR", "IT", "PL"], n),
            "age": rng.integers(18, 90, n),
            "fraud": np.where(rng.random(n) < 0.03, "yes", "no"),
        }
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.csv"
        frame.to_csv(path, index=False)
        for what, options in (("without verdict", ["--no-verdict"]), ("with verdict", [])):
            output = Path(folder) / f"{len(rows)}.csv"
            call = command("augment", path, "--target", "fraud", "-o", output, "--budget", asked.budget, *options)
            seconds, peak = timed(call)
            rows.append(("memory", f"gantools augment, {what}, peak ({seconds:.0f} s)", peak, "MiB"))
    return rows


RUN: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "start": start,
    "time": from_csv_to_csv,
    "rows": sampling,
    "labels": labels,
    "memory": memory,
}


def adult() -> tuple[Path, str]:
    return peers.data_folder("tables") / "adult_train.csv", "income"


@cache
def trained(steps: int | None) -> Any:
    from gantools.augment.synthesizer import Synthesizer
    from gantools.config import TrainConfig

    path, target = adult()
    config = TrainConfig(seed=0) if steps is None else TrainConfig(seed=0, steps=steps)
    return Synthesizer(train=config).fit(pd.read_csv(path), target)


@cache
def ctgan_fit(epochs: int) -> tuple[list[pd.DataFrame], dict[str, Any]]:
    """ctgan on adult_train: a large draw without a condition, and one of the rare class (neither after 0 epochs)."""
    path, target = adult()
    train = pd.read_csv(path)
    draws = [{"n": 200_000}, {"n": 10_000, "column": target, "value": str(train[target].value_counts().idxmin())}]
    return peers.ctgan_job(peers.filled(train), peers.text_columns(train), draws if epochs else [], epochs=epochs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="which of them, in this order")
    parser.add_argument("--with-ctgan", action="store_true", help="install ctgan beside the project and include it")
    parser.add_argument("--ctgan-epochs", type=int, default=3, help="to measure; times are stretched to 300")
    parser.add_argument("--steps", type=int, help="training steps where rows and labels are measured, to experiment")
    parser.add_argument("--budget", default="60s", help="of each training for memory, whose peak does not depend on it")
    parser.add_argument("--csv", help="write the figures here")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    parts = asked.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; choose from {', '.join(PARTS)}")
    asked.ctgan = asked.with_ctgan and peers.ctgan_python(install=True) is not None
    rows: list[Row] = []
    for part in parts:
        found = RUN[part](asked)
        rows += found
        for _, what, value, unit in found:
            print(f"{part:8} {what:62} {readable(value):>10} {unit}", flush=True)
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    peers.summarise(pd.DataFrame(rows, columns=["part", "what", "value", "unit"]), asked.csv)


def readable(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


if __name__ == "__main__":
    main()
