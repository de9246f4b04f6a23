"""Who tells anomalies best after seeing only normal rows? Every method under one protocol, in one run.

Per table and seed: half of the normal rows, drawn at random, train the method, which sees no label; the other half
and all anomalies are scored. Tables above --cap rows are thinned to it in proportion, with 50 anomalies at least where
there are so many. No row is drawn twice. Figures are means over seeds, then over tables:
  auc      area under the ROC curve
  ap       average precision
  rank     of the mean auc among the methods that are no ablation, per table (1 = best)
  fit_s, score_s   seconds
Methods, after ADBench (Han et al. 2022) and DTE (Livernoche et al. 2024), on standardised columns: KNN (distance to the
5th neighbour), DTE-NP (mean squared distance to 5 neighbours), LOF (20 neighbours), IForest, and gantools
(AnomalyScorer with its defaults). Ablations: gantools-untrained (its nets as they are initialised) and
gantools-no-adversary.
Data: ADBench's tables (X, y with y = 1 an anomaly, as .npz); where there are none, tables that come with scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import peers

FIGURES = ["auc", "ap", "fit_s", "score_s"]
MIN_ANOMALIES = 50
BUILT_IN = ("breast_cancer", "digits", "wine")


class Detector(Protocol):
    def fit(self, X: pd.DataFrame) -> Any: ...

    def anomaly_score(self, X: pd.DataFrame) -> np.ndarray: ...


class Scaled:
    """A scikit-learn estimator on standardised columns; `score` says how a fitted one ranks rows, odd ones high."""

    def __init__(self, model: Any, score: Callable[[Any, np.ndarray], np.ndarray]) -> None:
        self.model, self.score = model, score

    def fit(self, X: pd.DataFrame) -> Scaled:
        from sklearn.preprocessing import StandardScaler

        self.scaler = StandardScaler()
        self.model.fit(self.scaler.fit_transform(X))
        return self

    def anomaly_score(self, X: pd.DataFrame) -> np.ndarray:
        return self.score(self.model, self.scaler.transform(X))


def knn(_seed: int) -> Detector:
    from sklearn.neighbors import NearestNeighbors

    return Scaled(NearestNeighbors(n_neighbors=5), lambda model, X: model.kneighbors(X)[0][:, -1])


def dte_np(_seed: int) -> Detector:
    from sklearn.neighbors import NearestNeighbors

    return Scaled(NearestNeighbors(n_neighbors=5), lambda model, X: (model.kneighbors(X)[0] ** 2).mean(axis=1))


def lof(_seed: int) -> Detector:
    from sklearn.neighbors import LocalOutlierFactor

    return Scaled(LocalOutlierFactor(n_neighbors=20, novelty=True), lambda model, X: -model.score_samples(X))


def iforest(seed: int) -> Detector:
    from sklearn.ensemble import IsolationForest

    return Scaled(IsolationForest(random_state=seed), lambda model, X: -model.score_samples(X))


def gantools(seed: int, options: dict[str, Any] | None = None, **arguments: Any) -> Detector:
    from gantools import AnomalyScorer

    options = {**arguments.pop("options", {}), **(options or {})}
    return AnomalyScorer(random_state=seed, options=options or None, **arguments)


def untrained(seed: int, **arguments: Any) -> Detector:
    return gantools(seed, {"lr": 1e-12}, **{**arguments, "steps": 1})


def no_adversary(seed: int, **arguments: Any) -> Detector:
    return gantools(seed, {"adversary": False}, **arguments)


METHODS: dict[str, Callable[..., Detector]] = {
    "KNN": knn,
    "DTE-NP": dte_np,
    "LOF": lof,
    "IForest": iforest,
    "gantools": gantools,
    "gantools-untrained": untrained,
    "gantools-no-adversary": no_adversary,
}


@dataclass(frozen=True)
class Table:
    """A labelled table, read when it is needed. source: a .npz file, or the name of one of scikit-learn's."""

    name: str
    source: Path | str

    def read(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Rows, and which of them are anomalies."""
        if isinstance(self.source, Path):
            with np.load(self.source) as held:
                X, y = held["X"].astype(np.float64), held["y"].ravel() == 1
        else:
            from sklearn import datasets

            held = getattr(datasets, f"load_{self.source}")()
            # malignant tumours; the digit 8; the third kind of wine
            X, y = held.data, held.target == {"breast_cancer": 0, "digits": 8, "wine": 2}[self.source]
        return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]), y


def tables(folder: Path | None, wanted: list[str] | None = None) -> list[Table]:
    """ADBench's tables in the order of their numbers, or scikit-learn's; only those in `wanted` where given, by name
    with or without the number."""
    if folder is None:
        given = os.environ.get("GANTOOLS_DATA")
        folder = (Path(given) if given else peers.HERE.parent.parent / "shared" / "data") / "adbench"
    paths = sorted(folder.glob("*.npz"), key=lambda path: (len(path.stem.split("_")[0]), path.stem))
    found = [Table(path.stem.split("_", 1)[-1], path) for path in paths]
    if not found:
        print(f"no tables in {folder}: using those that come with scikit-learn")
        found = [Table(name, name) for name in BUILT_IN]
    if wanted is None:
        return found
    return [table for table in found if {table.name, getattr(table.source, "stem", "")} & set(wanted)]


@dataclass(frozen=True)
class Split:
    """train: normal rows. test: normal rows and anomalies; is_anomaly: which of them are. unused: normal rows that
    were thinned away."""

    train: pd.DataFrame
    test: pd.DataFrame
    is_anomaly: np.ndarray
    unused: pd.DataFrame


def split(table: Table, seed: int, cap: int) -> Split:
    """The protocol's draw, the same for every method and figure."""
    X, y = table.read()
    rng = np.random.default_rng(seed)
    odd, normal = np.flatnonzero(y), np.flatnonzero(~y)
    if len(y) > cap:
        n_odd = max(min(len(odd), MIN_ANOMALIES), round(cap * len(odd) / len(y)))
        odd = rng.choice(odd, n_odd, replace=False)
        normal = rng.choice(normal, min(len(normal), cap - n_odd), replace=False)
        kept = np.zeros(len(y), dtype=bool)
        kept[normal] = True
        unused = X[~kept & ~y].reset_index(drop=True)
    else:
        unused = X.head(0)
    normal = rng.permutation(normal)
    half = round(len(normal) / 2)
    scored = np.concatenate([normal[half:], odd])
    train, test = (X.iloc[rows].reset_index(drop=True) for rows in (normal[:half], scored))
    return Split(train, test, y[scored], unused)


def ranked(is_anomaly: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """How well scores put anomalies above normal rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {"auc": roc_auc_score(is_anomaly, score), "ap": average_precision_score(is_anomaly, score)}


def measure(
    table: Table, seed: int, methods: list[str], cap: int, arguments: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Every method on one split of one table. arguments: of AnomalyScorer."""
    warnings.filterwarnings("ignore")
    drawn = split(table, seed, cap)
    rows = []
    for method in methods:
        detector = METHODS[method](seed, **(arguments or {} if method.startswith("gantools") else {}))
        started = time.perf_counter()
        detector.fit(drawn.train)
        fitted = time.perf_counter()
        score = np.asarray(detector.anomaly_score(drawn.test), dtype=np.float64)
        seconds = {"fit_s": fitted - started, "score_s": time.perf_counter() - fitted}
        sizes = {"n_train": len(drawn.train), "n_test": len(drawn.test), "n_columns": drawn.train.shape[1]}
        place = {"table": table.name, "seed": seed, "method": method}
        rows.append({**place, **ranked(drawn.is_anomaly, score), **seconds, **sizes})
    return rows


def side_by_side(measured: Callable[..., Any], calls: list[tuple[Any, ...]], jobs: int) -> Any:
    """The results of `measured` for each call, as they come; with several jobs in processes of one thread each."""
    if jobs == 1:
        yield from (measured(*call) for call in calls)
        return
    peers.one_thread()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for task in as_completed([pool.submit(measured, *call) for call in calls]):
            yield task.result()


def overall(found: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Means over the tables, and ranks among the methods that are no ablation."""
    means = found.groupby(["table", "method"])[FIGURES].mean()
    contest = [method for method in methods if not method.startswith("gantools-")]
    ranks = means.reset_index().pivot_table("auc", "table", "method")[contest].rank(axis=1, ascending=False)
    return means.groupby("method").mean().loc[methods].assign(rank=ranks.mean())


def arguments_parser(description: str | None) -> argparse.ArgumentParser:
    """What every benchmark of this protocol is asked."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", type=Path, help="folder of ADBench tables (default: the shared ones)")
    parser.add_argument("--tables", help="only these: a,b")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--cap", type=int, default=10_000, help="thin larger tables to this many rows")
    parser.add_argument("--jobs", type=int, default=1, help="splits side by side, each with one thread")
    parser.add_argument(
        "--arguments", type=json.loads, default={}, help="JSON arguments of AnomalyScorer, to experiment"
    )
    parser.add_argument("--csv", help="write the single measurements here")
    return parser


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--methods", default=",".join(METHODS))
    asked = parser.parse_args()
    methods = asked.methods.split(",")
    if unknown := set(methods) - set(METHODS):
        parser.error(f"there is no method {sorted(unknown)[0]!r}; choose from {', '.join(METHODS)}")
    chosen = tables(asked.data, asked.tables.split(",") if asked.tables else None)
    if not chosen:
        parser.error(f"there is no table {asked.tables}")
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    calls = [(table, seed, methods, asked.cap, asked.arguments) for table in chosen for seed in seeds]
    for found in side_by_side(measure, calls, asked.jobs):
        rows += found
        for row in found:
            place = f"{row['table']:12} seed {row['seed']}  {row['method']:22}"
            took = f"{row['fit_s']:6.1f} + {row['score_s']:.1f} s"
            print(f"{place} {row['n_train']:>5} rows  auc {row['auc']:.3f}  ap {row['ap']:.3f}  {took}", flush=True)
    order = [table.name for table in chosen]
    found = pd.DataFrame(rows)
    for figure in ("auc", "ap"):
        per_table = found.pivot_table(figure, "table", "method").loc[order, methods]
        peers.report(f"{figure} per table, mean over seeds", per_table)
        contest = per_table[[method for method in methods if not method.startswith("gantools-")]]
        print(f"best of {', '.join(contest)} on each table, mean: {contest.max(axis=1).mean():.4f}")
    peers.report(
        f"{len(chosen)} tables, {len(seeds)} seeds ({time.perf_counter() - started:.0f} s in all)",
        overall(found, methods),
        4,
    )
    if asked.jobs > 1:
        print(f"Seconds are of {asked.jobs} splits side by side, one thread each.")
    peers.summarise(found, asked.csv)


if __name__ == "__main__":
    main()
