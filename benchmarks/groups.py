"""One scorer for thousands of groups (`gantools score --by`) against one scorer for each, on made groups.

Three kinds of groups, of eight numbers and a category: `alike` in everything; apart in centre and `scale`; or also in
`structure`, in how their columns go together. A tenth of the rows to score are anomalies: three cells of another row of
the group, one cell three standard deviations off, or all cells a little. Printed for each kind: mean ROC AUC in groups
and of all rows together, the same of a scorer per group (on some groups), and of one scorer that has the group as a
column; the share of normal rows flagged in all, and its spread over groups beside that which counting so few rows gives
by itself. `large` is 2,000 groups of 500 rows apart in structure: seconds, megabytes of the saved
scorer and of the exported file besides.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from gantools import AnomalyScorer

KINDS = ("alike", "scale", "structure")
N_COLUMNS, N_FACTORS = 8, 3
RATES = (0.01, 0.05)


def made(kind: str, n_groups: int, n: int, n_new: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and rows to score; the latter have a column `odd`."""
    rng = np.random.default_rng(seed)
    shared_mix = rng.normal(size=(N_COLUMNS, N_COLUMNS)) / np.sqrt(N_COLUMNS)
    shared_factors = rng.normal(size=(N_FACTORS, N_COLUMNS))
    learned, scored = [], []
    for group in range(n_groups):
        centre, scale, shares = np.zeros(N_COLUMNS), np.ones(N_COLUMNS), np.array([0.6, 0.3, 0.1])
        mix, factors = shared_mix, shared_factors
        if kind != "alike":
            centre, scale = 3 * rng.normal(size=N_COLUMNS), np.exp(0.7 * rng.normal(size=N_COLUMNS))
            shares = rng.dirichlet([2, 1, 0.5])
        if kind == "structure":
            mix = 0.6 * shared_mix + 0.8 * rng.normal(size=shared_mix.shape) / np.sqrt(N_COLUMNS)
            factors = rng.normal(size=shared_factors.shape)
        hidden = np.tanh(rng.normal(size=(n + n_new, N_FACTORS)) @ factors)
        rows = (hidden + 0.25 * rng.normal(size=hidden.shape)) @ mix
        old, new = rows[:n], rows[n:].copy()
        odd, deviation = np.arange(n_new) < n_new // 10, old.std(0)
        for k in np.flatnonzero(odd).tolist():
            if k % 3 == 0:
                columns = rng.choice(N_COLUMNS, 3, replace=False)
                new[k, columns] = old[rng.integers(n), columns]
            elif k % 3 == 1:
                column = rng.integers(N_COLUMNS)
                new[k, column] += rng.choice([-3, 3]) * deviation[column]
            else:
                new[k] += 0.8 * deviation * rng.normal(size=N_COLUMNS)
        frame = pd.DataFrame(np.concatenate([old, new]) * scale + centre, columns=[f"x{j}" for j in range(N_COLUMNS)])
        frame["kind"] = rng.choice(["a", "b", "c"], len(frame), p=shares)
        frame["group"] = f"g{group:05}"
        learned.append(frame[:n])
        scored.append(frame[n:].assign(odd=odd))
    return pd.concat(learned, ignore_index=True), pd.concat(scored, ignore_index=True)


def areas(score: np.ndarray, new: pd.DataFrame) -> tuple[float, float]:
    """ROC AUC in groups, their mean, and of all rows."""
    odd = new["odd"].to_numpy()
    of_groups = [roc_auc_score(odd[rows], score[rows]) for rows in new.groupby("group").indices.values()]
    return float(np.mean(of_groups)), float(roc_auc_score(odd, score))


def measure(name: str, kind: str, sizes: Sequence[int], n_own: int, budget_s: float | None, seed: int) -> None:
    """Print what one kind of groups gives. sizes: groups, rows of each, rows to score. n_own: groups that get a scorer
    of their own."""
    old, new = made(kind, *sizes, seed)
    rows = new.drop(columns="odd")
    began = time.perf_counter()
    scorer = AnomalyScorer(by="group", random_state=seed, budget_s=budget_s).fit(old)
    fitted = time.perf_counter() - began
    found = scorer.assess(rows)
    inside, together = areas(found["anomaly_score"].to_numpy(), new)
    print(f"{name}: fitted in {fitted:.0f} s; ROC AUC in groups {inside:.4f}, of all rows {together:.4f}", flush=True)
    some = sorted(new["group"].unique())[:: max(1, sizes[0] // n_own)][:n_own]
    mine = new["group"].isin(some)
    own = np.zeros(len(new))
    for group in some:
        is_one = (new["group"] == group).to_numpy()
        single = AnomalyScorer(random_state=seed).fit(old[old["group"] == group].drop(columns="group"))
        own[is_one] = single.anomaly_score(rows[is_one].drop(columns="group"))
    ours = areas(found["anomaly_score"].to_numpy()[mine], new[mine])[0]
    print(
        f"{name}: in {len(some)} groups {ours:.4f}, by a scorer for each {areas(own[mine], new[mine])[0]:.4f}",
        flush=True,
    )
    if sizes[0] * sizes[1] <= 100_000:
        plain = AnomalyScorer(random_state=seed).fit(old)
        print(
            f"{name}: by one scorer with the group as a column {areas(plain.anomaly_score(rows), new)[0]:.4f}",
            flush=True,
        )
    normal = new[~new["odd"]]
    p = found["p_value"][~new["odd"]]
    for rate in RATES:
        of_groups = (p <= rate).groupby(normal["group"]).mean()
        n = len(normal) / sizes[0]
        print(
            f"{name}: asked for {rate:.0%}, flagged {float((p <= rate).mean()):.2%}; spread over groups "
            f"{float(of_groups.std()):.2%}, by counting alone {np.sqrt(rate * (1 - rate) / n):.2%}",
            flush=True,
        )
    with tempfile.TemporaryDirectory() as folder:
        saved, file = Path(folder) / "scorer", Path(folder) / "scorer.onnx"
        scorer.save(saved)
        megabytes = sum(one.stat().st_size for one in saved.iterdir()) / 1e6
        from gantools.export.file import export_model

        export_model(scorer, file)
        print(f"{name}: saved {megabytes:.0f} MB, exported {file.stat().st_size / 1e6:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="alike, scale, structure, large  [default: all]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for part in given.parts or (*KINDS, "large"):
        if part == "large":
            measure("large", "structure", (2000, 500, 100), 10, 150, given.seed)
        else:
            measure(part, part, (60, 500, 300), 12, None, given.seed)


if __name__ == "__main__":
    main()
