"""A table in parts by one process, by several and by Ray: the same bytes, how fast, and what a kill leaves.

speed    rows a second of `gantools score PARTS --from SCORER` by one worker, by two and by Ray with two; the share that
         the last is of the second; peak memory of the largest process; whether every part has the same bytes
start    seconds that each takes for one small part: what workers cost before they score
kills    the command and a worker are killed (kill -9) at moments drawn at random, each time gone on with by --resume:
         rows lost, rows twice, parts that differ, parts that were written again
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from speed import command, timed

PARTS = ["start", "speed", "kills"]


def make_parts(folder: Path, n_parts: int, rows: int, suffix: str) -> None:
    """A table of six numbers, a category and a moment."""
    folder.mkdir()
    for k in range(n_parts):
        rng = np.random.default_rng(k)
        frame = pd.DataFrame({f"x{j}": rng.normal(size=rows).round(3) for j in range(6)})
        frame["x5"] = (frame["x0"] + 0.3 * rng.normal(size=rows)).round(3)
        frame["kind"] = rng.choice(["a", "b", "c"], rows)
        frame["row"] = k * rows + np.arange(rows)
        place = folder / f"part-{k:05}{suffix}"
        frame.to_csv(place, index=False) if suffix == ".csv" else frame.to_parquet(place, index=False)


def trained(folder: Path) -> Path:
    """A scorer that has learned from 5,000 rows like these."""
    make_parts(folder / "normal", 1, 5000, ".csv")
    [normal] = (folder / "normal").iterdir()
    saved = folder / "scorer"
    timed(
        command(
            "score",
            normal,
            "--train",
            normal,
            "--drop",
            "row",
            "--save",
            saved,
            "-o",
            folder / "x.csv",
            "--budget",
            "20s",
        )
    )
    return saved


def contents(folder: Path) -> dict[str, bytes]:
    """The parts of a folder."""
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if not one.name.startswith("_")}


HOW = {
    "one worker": (),
    "two workers": ("--workers", "2"),
    "Ray, two workers": ("--workers", "2", "--engine", "ray"),
}


def compare(folder: Path, saved: Path, n_parts: int, rows: int, suffix: str) -> None:
    """Time the ways to score the same parts, and compare what they write."""
    data = folder / f"parts-{n_parts}"
    make_parts(data, n_parts, rows, suffix)
    first: dict[str, bytes] = {}
    for name, how in HOW.items():
        out = folder / f"out-{n_parts}-{len(how)}"
        seconds, peak = timed(command("score", data, "--from", saved, "-o", out, *how))
        found = contents(out)
        first = first or found
        same = "the same bytes" if found == first else "OTHER BYTES"
        rate = n_parts * rows / seconds
        print(
            f"{n_parts} parts of {rows:,} rows, {name}: {seconds:.1f} s, {rate:,.0f} rows/s, {peak:,.0f} MiB, {same}",
            flush=True,
        )


def kill_often(folder: Path, saved: Path, times: int, seed: int) -> None:
    """Kill the command, or one of its workers, at a moment drawn at random, and go on, so many times."""
    data, whole, out = folder / "kills", folder / "kills-whole", folder / "kills-out"
    make_parts(data, 40, 8000, ".csv")
    asked = ("score", data, "--from", saved, "--workers", "2")
    seconds, _ = timed(command(*asked, "-o", whole))
    expected, rng, again, n_killed = contents(whole), random.Random(seed), 0, 0
    begun = out.with_name(f".{out.name}.begun")
    before: dict[str, int] = {}
    while n_killed < times:
        process = subprocess.Popen(
            command(*asked, "-o", out, "--resume"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(rng.uniform(0.1, 1.1) * seconds / 4 + 4)
        except subprocess.TimeoutExpired:
            workers = children(process.pid)
            os.kill(rng.choice(workers) if workers and rng.random() < 0.5 else process.pid, signal.SIGKILL)
            process.wait()
            n_killed += 1
        place = out if out.is_dir() else begun
        now = {one.name: one.stat().st_mtime_ns for one in place.iterdir()} if place.is_dir() else {}
        again += sum(name in now and now[name] != stamp for name, stamp in before.items() if not name.startswith("_"))
        before = now
        if out.is_dir() and n_killed < times:  # all were there before the last kill: once more from the beginning
            subprocess.run(["rm", "-r", str(out)], check=True)
            before = {}
    timed(command(*asked, "-o", out, "--resume", *(("--force",) if out.is_dir() else ())))
    found = contents(out)
    rows = pd.concat([pd.read_csv(out / name) for name in found])["row"]
    lost, twice = 40 * 8000 - rows.nunique(), len(rows) - rows.nunique()
    differ = sum(found.get(name) != content for name, content in expected.items())
    print(
        f"{n_killed} kills: {lost} rows lost, {twice} twice, {differ} parts differ, {again} written again", flush=True
    )


def children(pid: int) -> list[int]:
    """The processes that a process has started, where the system says."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="start, speed, kills  [default: all]")
    parser.add_argument("--n-parts", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000, help="of each part; 250,000 for 50 million in all")
    parser.add_argument("--suffix", choices=[".csv", ".parquet"], default=".parquet")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    parts = given.parts or PARTS
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        saved = trained(folder)
        if "start" in parts:
            compare(folder, saved, 1, 1000, given.suffix)
        if "speed" in parts:
            compare(folder, saved, given.n_parts, given.rows, given.suffix)
        if "kills" in parts:
            kill_often(folder, saved, given.kills, given.seed)
    print(f"{time.perf_counter() - began:.0f} s in all, load {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
