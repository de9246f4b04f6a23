"""Does balancing help classifiers on real, held-out rows? Every method under one protocol, in one run.

Per table and seed: 70 % of the rows, stratified, go to the method, which gives them back with every class as large as
the largest. Logistic regression, a random forest and histogram gradient boosting are trained on the result and judged
on the other 30 %. Figures are means over the judges, the seeds and the tables:
  ap    average precision, mean over the classes other than the largest
  bacc  balanced accuracy at the default threshold
  f1    macro F1
Methods: none (the rows as they are), ros (random repetition), smote (SMOTE, or SMOTENC with text columns), gantools
(GANOverSampler with its defaults) and ctgan (300 epochs; rows of a wrong class thrown away).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import peers

Balanced = tuple[pd.DataFrame, pd.Series]
FIGURES = ["ap", "bacc", "f1"]


def none(X: pd.DataFrame, y: pd.Series, _seed: int) -> Balanced:
    return X, y


def ros(X: pd.DataFrame, y: pd.Series, seed: int) -> Balanced:
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(random_state=seed).fit_resample(X, y)


def smote(X: pd.DataFrame, y: pd.Series, seed: int) -> Balanced:
    X = peers.filled(X)
    return peers.smote_sampler(X, y, seed).fit_resample(X, y)


def gantools(X: pd.DataFrame, y: pd.Series, seed: int, **options: Any) -> Balanced:
    from gantools import GANOverSampler

    return GANOverSampler(random_state=seed, **options).fit_resample(X, y)


def ctgan(X: pd.DataFrame, y: pd.Series, seed: int) -> Balanced:
    return peers.ctgan_balanced(X, y, seed)


METHODS: dict[str, Callable[..., Balanced]] = {
    "none": none,
    "ros": ros,
    "smote": smote,
    "gantools": gantools,
    "ctgan": ctgan,
}


def judges(X: pd.DataFrame, seed: int) -> dict[str, Any]:
    """The three classifiers, each behind imputation, one-hot levels and scaled numbers. X: the training rows."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = peers.text_columns(X)
    numbers = [name for name in X if name not in text]

    def behind(model: Any) -> Any:
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        levels = make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot)
        scaled = make_pipeline(SimpleImputer(), StandardScaler())
        return make_pipeline(make_column_transformer((levels, text), (scaled, numbers)), model)

    return {
        "logistic": behind(LogisticRegression(max_iter=500)),
        "forest": behind(RandomForestClassifier(200, random_state=seed)),
        "boosting": behind(HistGradientBoostingClassifier(random_state=seed)),
    }


def read(path: Path, max_rows: int) -> Balanced:
    """Features and label (the last column), thinned to about max_rows with every class in proportion."""
    table = pd.read_csv(path)
    label = table.columns[-1]
    if len(table) > max_rows:
        table = table.groupby(label).sample(frac=max_rows / len(table), random_state=0).reset_index(drop=True)
    X, y = table.drop(columns=label), table[label]
    return X, y if pd.api.types.is_numeric_dtype(y) else y.astype(str)


def measure(path: Path, seed: int, methods: list[str], max_rows: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Every method and judge on one split of one table."""
    from sklearn.metrics import balanced_accuracy_score, f1_score
    from sklearn.model_selection import train_test_split

    warnings.filterwarnings("ignore")
    X, y = read(path, max_rows)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    X_train, y_train = X_train.reset_index(drop=True), y_train.reset_index(drop=True)
    largest = y_test.value_counts().idxmax()
    rows = []
    for method in methods:
        started = time.perf_counter()
        X_new, y_new = METHODS[method](
            X_train.copy(), y_train.copy(), seed, **(options if method == "gantools" else {})
        )
        seconds = time.perf_counter() - started
        y_new = pd.Series(np.asarray(y_new)).astype(y_train.dtype)
        for judge, model in judges(X_train, seed).items():
            probabilities = model.fit(X_new, y_new).predict_proba(X_test)
            classes = list(model.classes_)
            hat = np.array(classes)[probabilities.argmax(axis=1)]
            rows.append(
                {
                    "table": path.stem,
                    "seed": seed,
                    "method": method,
                    "judge": judge,
                    "ap": peers.average_precision(y_test.to_numpy(), probabilities, classes, largest),
                    "bacc": balanced_accuracy_score(y_test, hat),
                    "f1": f1_score(y_test, hat, average="macro"),
                    "seconds": seconds,
                    "rows_before": len(X_train),
                    "rows_after": len(X_new),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", type=Path, help="folder of CSV tables, the label last (default: the shared tables)")
    parser.add_argument("--tables", help="only these, by name without .csv: a,b")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default="none,ros,smote,gantools")
    parser.add_argument("--with-ctgan", action="store_true", help="install ctgan beside the project and include it")
    parser.add_argument("--rows", type=int, default=8000, help="thin larger tables to this many rows")
    parser.add_argument("--jobs", type=int, default=1, help="splits side by side, each with one thread")
    parser.add_argument(
        "--options", type=json.loads, default={}, help="JSON arguments of GANOverSampler, to experiment"
    )
    parser.add_argument("--csv", help="write the single measurements here")
    asked = parser.parse_args()
    folder = asked.data or peers.data_folder("tables")
    methods = peers.usable(asked.methods.split(","), asked.with_ctgan)
    wanted = asked.tables.split(",") if asked.tables else None
    paths = [
        p for p in sorted(folder.glob("*.csv")) if not p.stem.endswith("_test") and (not wanted or p.stem in wanted)
    ]
    splits = [(path, int(seed)) for path in paths for seed in asked.seeds.split(",")]
    if not splits:
        parser.error(f"no tables in {folder}")
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []

    def done(found: list[dict[str, Any]]) -> None:
        rows.extend(found)
        for method, part in pd.DataFrame(found).groupby("method", sort=False):
            means = "  ".join(f"{figure} {part[figure].mean():.3f}" for figure in FIGURES)
            first = part.iloc[0]
            place = f"{first.table:16} seed {first.seed}  {method:9}"
            print(
                f"{place} {first.rows_before:>5} -> {first.rows_after:<6} {means}  {first.seconds:6.1f} s", flush=True
            )

    if asked.jobs == 1:
        for path, seed in splits:
            done(measure(path, seed, methods, asked.rows, asked.options))
    else:
        peers.one_thread()
        with ProcessPoolExecutor(asked.jobs, multiprocessing.get_context("spawn")) as pool:
            tasks = [pool.submit(measure, path, seed, methods, asked.rows, asked.options) for path, seed in splits]
            for task in as_completed(tasks):
                done(task.result())

    found = pd.DataFrame(rows).sort_values(["table", "seed"], kind="stable")
    for figure in FIGURES:
        per_table = found.pivot_table(figure, "table", "method")[methods]
        peers.report(f"{figure} per table, mean over seeds and judges", per_table)
    for figure in FIGURES[:2]:
        peers.report(f"{figure} per judge", found.pivot_table(figure, "judge", "method")[methods])
    overall = found.groupby("method")[[*FIGURES, "seconds"]].mean().loc[methods]
    peers.report(f"All {len(splits)} splits ({time.perf_counter() - started:.0f} s in all)", overall, 4)
    peers.summarise(found, asked.csv)


if __name__ == "__main__":
    main()
