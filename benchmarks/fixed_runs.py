"""A few dozen short runs with fixed seeds: what they write, recorded once and compared after a change of structure.

    python benchmarks/fixed_runs.py record RUNS.json     before the change
    python benchmarks/fixed_runs.py compare RUNS.json    after it; exits with 1 where a file or a figure differs

Each run is a command of gantools on one thread, on small data made here. Recorded are digests of the tables, images and
weights that it writes, the figures of `--json` without times, and what it prints. A difference in words alone is shown
and is not counted. The runs of one chain follow one another; chains run side by side.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CHAINS: dict[str, list[str]] = {
    "table": [
        "augment mixed.csv --target churned --steps 60 --save g --report r.html --json",
        "generate g -n 300 --json",
        "generate g -n 50 --where churned=yes --no-refine -o yes.csv",
        "augment mixed.csv --target churned --from g -o again.csv --no-verdict --strategy all",
        "export g -o g.onnx --json",
        "generate --onnx g.onnx -n 200 -o onnx.csv",
        "info g --json",
    ],
    "parquet": [
        (
            "augment mixed.parquet --target churned --steps 40 --model wgan-gp --no-verdict --synthetic-only "
            '--strategy {"yes":200}'
        ),
        (
            "train mixed.parquet --target churned --steps 40 --model cgan --set spectral_norm=true --set replay=0.5 "
            "--save c"
        ),
        "generate c -n 100 -o c.parquet",
        "train mixed.csv --target churned --steps 30 --model vanilla --save v",
        "generate v -n 100 -o v.csv",
        "train mixed.csv --target churned --steps 30 --model wgan --set batch_norm=true --save w",
        "generate w -n 100 -o w.csv",
    ],
    "score": [
        "score odd.csv --train mixed.csv --steps 60 --explain --false-alarms 0.05 --save s --report s.html --json",
        "score odd.csv --from s --false-alarms 0.1 -o from.csv --explain",
        "export s -o s.onnx --card s.md --json",
        "score odd.csv --onnx s.onnx -o onnx.csv --explain",
        "info s --json",
        "score marked.csv --labels odd --steps 40 --json",
        "score marked.parquet --contamination 0.1 --tail --false-alarms 0.001 --steps 40 -o itself.parquet --json",
    ],
    "images": [
        "augment digits --size 16 --steps 30 --no-verdict --json --save i --report i.html",
        "generate i -n 12 -o made",
        "export i -o i.onnx --json",
        "generate --onnx i.onnx -n 12 -o made_onnx",
        "augment few --size 16 --steps 10 --features classifier -o few.balanced --json",
        "train digits --size 16 --steps 10 --model dcgan --save d",
        "generate d -n 8 --where folder=1 -o d.made",
        "train digits --size 16 --steps 6 --model r3gan --save r3",
        "generate r3 -n 8 -o r3.made",
        "train digits --size 16 --steps 6 --model wgan-gp --save wg",
        "generate wg -n 8 -o wg.made",
    ],
    "image_scores": [
        (
            "score digits --train digits/0 --size 16 --steps 20 --explain --false-alarms 0.05 --save p --report p.html "
            "--json"
        ),
        "score few --from p -o few.csv --false-alarms 0.1 --maps few.maps --maps-for all --json",
        "export p -o p.onnx --json",
        "score few --onnx p.onnx -o few_onnx.csv --maps few_onnx.maps",
        "score known --labels folder --size 16 --steps 10 --json",
        "score digits/1 --contamination 0.1 --tail --false-alarms 0.01 --size 16 --steps 10 -o ones.csv --json",
        "info p --json",
    ],
}
TIMES = re.compile(r'("(?:seconds|exported|bytes)": )("[^"]*"|[0-9.]+)')
CLOCK = re.compile(r"\bin \d+:\d\d\b|\d+:\d\d in all|\(\d+\.\d+ MB\)|exported \S+Z")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--chains", nargs="*", default=list(CHAINS), choices=list(CHAINS))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with ThreadPoolExecutor(given.jobs) as pool:
        found = dict(zip(given.chains, pool.map(run_chain, given.chains), strict=True))
    if given.action == "record":
        given.runs.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
        print(f"{sum(map(len, found.values()))} runs recorded")
        return
    before = json.loads(given.runs.read_text(encoding="utf-8"))
    wrong = sum(differs(name, before[chain][name], run) for chain in given.chains for name, run in found[chain].items())
    print(f"{sum(map(len, found.values()))} runs, {wrong} differ")
    sys.exit(wrong > 0)


def run_chain(chain: str) -> dict[str, Any]:
    """Every command of a chain in one folder of its own, and what each of them left there."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        known = contents(folder)
        for command in CHAINS[chain]:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
            done = subprocess.run(
                [sys.executable, "-m", "gantools_cli", *command.split()],
                cwd=folder, capture_output=True, text=True, check=False, env=environment,
            )  # fmt: skip
            there = contents(folder)
            files = {path: digest for path, digest in there.items() if known.get(path) != digest}
            said = done.stdout.replace(str(folder), "")
            figures = TIMES.sub(r"\1null", said) if "--json" in command else ""
            words = "" if figures else CLOCK.sub("", said)
            if done.returncode:
                words += done.stderr
            found[command] = {"exit": done.returncode, "files": files, "figures": figures, "words": words}
            known = there
    return found


def differs(name: str, before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a run gives something else, which is printed."""
    wrong = []
    if before["exit"] != now["exit"]:
        wrong.append(f"exit code {before['exit']} -> {now['exit']}: {now['words']}")
    paths = sorted(before["files"].keys() | now["files"].keys())
    wrong += [f"file {p}" for p in paths if before["files"].get(p) != now["files"].get(p)]
    if before["figures"] != now["figures"]:
        wrong += [f"figure {line}" for line in changed_figures(before["figures"], now["figures"])]
    if wrong:
        print(f"DIFFERS  {name}", *wrong[:12], sep="\n    ")
    if before["words"] != now["words"]:
        lines = difflib.unified_diff(before["words"].splitlines(), now["words"].splitlines(), lineterm="", n=0)
        print(f"words of {name}", *list(lines)[2:], sep="\n    ")
    return bool(wrong)


def changed_figures(before: str, now: str) -> list[str]:
    """The paths in two JSON documents whose values differ; notes, which are words, are left out."""
    try:
        one, other = (dict(flat(json.loads(text))) for text in (before, now))
    except ValueError:
        return ["is no JSON"]
    keys = [key for key in {**one, **other} if ".notes" not in key and "note" not in key.split(".")]
    return [f"{key}: {one.get(key)} -> {other.get(key)}" for key in keys if one.get(key) != other.get(key)]


def flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in flat(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [pair for key, item in enumerate(value) for pair in flat(item, f"{path}.{key}")]
    return [(path, value)]


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file: of weights whatever they are called, of nothing that holds times or words."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".json", ".html", ".md", ".onnx", ".jsonl"):
            continue
        name = str(path.relative_to(folder))
        found[name] = of_weights(path) if path.suffix == ".safetensors" else digest(path.read_bytes())
    return found


def of_weights(path: Path) -> str:
    from safetensors.numpy import load_file

    return digest("".join(sorted(digest(value.tobytes()) for value in load_file(path).values())).encode())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def make_data(folder: Path) -> None:
    """A table with every kind of column, one with odd rows, one that marks them, and small images."""
    import pandas as pd
    from PIL import Image
    from sklearn.datasets import load_digits

    table = mixed(400, 60, 0)
    table.to_csv(folder / "mixed.csv", index=False)
    table.to_parquet(folder / "mixed.parquet", index=False)
    odd = mixed(150, 20, 1)
    odd.loc[::10, "income"] = 1e6
    odd.loc[5::20, "city"] = "Oslo"
    odd.loc[7::25, "age"] = np.nan
    odd.to_csv(folder / "odd.csv", index=False)
    marked = pd.concat([mixed(300, 40, 2), odd[::10]], ignore_index=True).drop(columns="id")
    marked["odd"] = (np.arange(len(marked)) >= 300).astype(int)
    marked.to_csv(folder / "marked.csv", index=False)
    marked.drop(columns="odd").to_parquet(folder / "marked.parquet", index=False)
    digits = load_digits()
    for where, counts in (("digits", (80, 30, 12)), ("few", (40, 15)), ("known", (60, 10))):
        for digit, n in enumerate(counts):
            name = ("good", "bad")[digit] if where == "known" else str(digit)
            (folder / where / name).mkdir(parents=True)
            for place, pixels in enumerate(digits.images[digits.target == digit][:n]):
                grey = np.minimum(16 * pixels, 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
                Image.fromarray(grey).save(folder / where / name / f"{place:03d}.png")


def mixed(n: int, n_rare: int, seed: int) -> Any:
    import pandas as pd

    rng = np.random.default_rng(seed)
    rare = rng.permutation(np.arange(n) < n_rare)
    age = (rng.integers(18, 80, n) - 5 * rare).astype(float)
    return pd.DataFrame({
        "id": [f"c{k:05d}" for k in rng.permutation(10 * n)[:n]],
        "age": np.where(rng.random(n) < 0.05, np.nan, age),
        "income": np.where(rng.random(n) < 0.1, np.nan, np.round(rng.lognormal(7.5 + 0.5 * rare, 0.4), 2)),
        "visits": rng.poisson(2 + rare, n),
        "city": rng.choice(["Bern", "Lyon", "Turin"], n, p=[0.5, 0.3, 0.2]),
        "plan": np.where(rng.random(n) < 0.15, None, rng.choice(["basic", "plus"], n)),
        "member": rng.random(n) < 0.4 + 0.3 * rare,
        "joined": pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        "country": "CH",
        "churned": np.where(rare, "yes", "no"),
    })  # fmt: skip


if __name__ == "__main__":
    main()
