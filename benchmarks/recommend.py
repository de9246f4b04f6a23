"""Is the advice of `gantools augment` good? Every method against the recommended one, on rows that it never saw.

Per table and seed: 70 % of the rows, stratified, are the training rows. From them alone the verdict recommends a
method, as `gantools.recommend` does. Then every method is used on all training rows, and its three classifiers are
judged on the other 30 %: the figure is the mean of average precision and balanced accuracy.
  oracle        the best method on the test rows, for each split
  recommended   the one that the verdict recommends
  best seen     the one with the best figure in the verdict, however small its lead
  classifier    what `gantools.recommend` gives back (one classifier, calibrated, decisions for balanced accuracy)
Brier scores: of that classifier, and of the same one without balancing as scikit-learn gives it.
With --made, six made tables whose right answer is known take the place of the real ones.
"""

from __future__ import annotations

import argparse
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
from balance import read


def measure(name: str, X: pd.DataFrame, y: pd.Series, seed: int, test: tuple[Any, Any] | None) -> list[dict[str, Any]]:
    """Every method on one split. test: rows to judge on in place of a part of these."""
    from sklearn.model_selection import train_test_split

    from gantools import Synthesizer, balance, infer_schema, verdict
    from gantools.classify.features import Features
    from gantools.evaluate.recommendation import recommended_classifier
    from gantools.evaluate.table_utility import TableBench, usual_repeats
    from gantools.evaluate.verdict import Predictions, average_precision, brier, with_shares

    warnings.filterwarnings("ignore")
    if test is None:
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    else:
        X_test, y_test = test
    train = X.assign(label=y.to_numpy()).reset_index(drop=True)
    held = X_test.assign(label=y_test.to_numpy()).reset_index(drop=True)
    schema = infer_schema(train, "label")
    levels = list(schema["label"].levels)

    def balancer(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        maker = Synthesizer(train=Synthesizer.default_train()).fit(rows, "label")
        return balance(rows, "label", synthesizer=maker, seed=seed).frame.drop(columns="is_synthetic")

    started = time.perf_counter()
    repeats = usual_repeats(train["label"])
    found = verdict(train, "label", {"gantools": balancer}, schema=schema, seed=seed, n_repeats=repeats)
    seconds = time.perf_counter() - started
    codes, truth = (np.array([levels.index(one) for one in rows["label"]]) for rows in (train, held))
    balanced = balancer(train, seed)
    bench = TableBench(
        train, codes, held, "label", levels, Features(train, "label", schema), seed, most_rows=len(train)
    )
    made, _ = bench.balance(lambda *_: balanced, "gantools")
    methods = {**bench.built_in(bench.counts.max() - bench.counts), "gantools": made}
    predictions = bench.predict({method: rows for method, rows in methods.items() if rows is not None})
    predictions["threshold"] = [with_shares(p, bench.counts, np.ones_like(bench.counts)) for p in predictions["none"]]
    largest = int(bench.counts.argmax())
    advised = found.recommended or "none"
    rows = []
    for method, probabilities in predictions.items():
        figures = Predictions(truth, probabilities, largest).figures()
        rows.append(
            {
                "table": name, "seed": seed, "method": method, "ap": figures["average_precision"],
                "bacc": figures["balanced_accuracy"], "brier": figures["brier"], "seconds": seconds,
                "recommended": advised, "seen": _seen(found, method),
            }
        )  # fmt: skip
    classifier = recommended_classifier(train, schema, found, "balanced-accuracy", lambda: balanced, seed=seed)
    p, hat = classifier.predict_proba(held), classifier.predict(held)
    place = [levels.index(one) for one in classifier.classes_]
    p = p[:, np.argsort(place)]
    others = [k for k in range(len(levels)) if k != largest]
    once = np.ones((1, len(held)))
    ap = np.mean([float(average_precision(p[:, k], truth == k, once)[0]) for k in others])
    bacc = np.mean([(hat[truth == k] == levels[k]).mean() for k in range(len(levels))])
    judge = bench.classifiers.index(classifier.model)
    plain = brier(truth, predictions["none"][judge])
    each = [np.array([brier(truth[[k]], q[[k]]) for k in range(len(truth))]) for q in (p, predictions["none"][judge])]
    error = float((each[0] - each[1]).std(ddof=1) / np.sqrt(len(truth)))  # of the difference of both Brier scores
    both = {"table": name, "seed": seed, "seconds": seconds, "recommended": advised}
    rows.append(
        {
            **both,
            "method": "classifier",
            "ap": ap,
            "bacc": bacc,
            "brier": brier(truth, p),
            "plain": plain,
            "error": error,
        }
    )
    return rows


def _seen(found: Any, method: str) -> float:
    scores = found.scores.get(method)
    return float("nan") if scores is None else (scores["average_precision"] + scores["balanced_accuracy"]) / 2


# Made tables ----------------------------------------------------------------------------------------------------------


def separable(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """A rare class far from the rest: nothing is needed."""
    y = rng.random(n) < 0.1
    return pd.DataFrame(rng.normal(size=(n, 5)) + 8.0 * y[:, None]), y


def overlapping(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """A rare class within the rest, in a straight line: a moved threshold."""
    x = rng.normal(size=(n, 5))
    return pd.DataFrame(x), rng.random(n) < 1 / (1 + np.exp(3.6 - x @ [1.2, 0.8, 0.5, 0, 0]))


def structured(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """A tiny class on a few levels and ranges that belong together: rows may help."""
    y = rng.random(n) < 0.02
    kind = rng.choice(list("abcdef"), n)
    place = rng.choice(list("uvwxyz"), n)
    pair = rng.integers(0, 3, n)
    kind = np.where(y, np.array(list("abc"))[pair], kind)
    place = np.where(y, np.array(list("xyz"))[pair], place)
    x = rng.normal(size=(n, 3))
    x[y, 0] = x[y, 1] + 0.3 * x[y, 2]
    return pd.DataFrame(x).assign(kind=kind, place=place), y


def noise(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Labels that nothing tells: nothing helps."""
    return pd.DataFrame(rng.normal(size=(n, 5))), rng.random(n) < 0.1


def drifted(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """As `overlapping`, judged where the rare class is three times as frequent and numbers have moved by a fifth."""
    return overlapping(n, rng)


def several(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Four classes of 80, 12, 5 and 3 %, that overlap."""
    y = rng.choice(4, n, p=[0.8, 0.12, 0.05, 0.03])
    middles = np.array([[0, 0], [1.5, 0], [0, 1.8], [1.5, 1.8]])
    return pd.DataFrame(np.hstack([middles[y] + rng.normal(size=(n, 2)), rng.normal(size=(n, 3))])), y


SIMPLE = {"none", "threshold", "weights"}
MADE: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "separable": (separable, {"none"}),
    "overlapping": (overlapping, {"threshold", "weights"}),
    "structured": (structured, {"threshold", "weights", "repetition", "smote", "gantools"}),
    "noise": (noise, {"none"}),
    "drifted": (drifted, {"threshold", "weights"}),
    "several": (several, {"threshold", "weights"}),
}


def made(name: str, seed: int, n: int) -> list[dict[str, Any]]:
    """Every method on one made table, judged on 20,000 fresh rows."""
    make = MADE[name][0]
    rng = np.random.default_rng(seed)
    (X, label), (X_test, truth) = make(n, rng), make(20_000, rng)
    if name == "drifted":
        keep = rng.random(len(truth)) < np.where(truth, 1, 1 / 3)
        X_test, truth = X_test[keep] + 0.2, truth[keep]
    X, X_test = (x.set_axis([f"c{k}" for k in x.columns], axis=1).reset_index(drop=True) for x in (X, X_test))
    y, y_test = (pd.Series([f"class {int(one)}" for one in part]) for part in (label, truth))
    return measure(name, X, y, seed, (X_test, y_test))


def real(path: Path, seed: int, max_rows: int) -> list[dict[str, Any]]:
    X, y = read(path, max_rows)
    return measure(path.stem, X, y, seed, None)


# Report ---------------------------------------------------------------------------------------------------------------


def told(rows: pd.DataFrame) -> None:
    rows["figure"] = (rows["ap"] + rows["bacc"]) / 2
    figures = rows.pivot_table("figure", ["table", "seed"], "method")
    advised = rows.drop_duplicates(["table", "seed"]).set_index(["table", "seed"])["recommended"]
    rivals = [name for name in figures if name != "classifier"]
    figures["recommended"] = [figures.loc[split, advised[split]] for split in figures.index]
    figures["oracle"] = figures[rivals].max(axis=1)
    best_seen = rows.dropna(subset=["seen"]).sort_values("seen").groupby(["table", "seed"]).tail(1)
    place = best_seen.set_index(["table", "seed"])["method"]
    figures["best seen"] = [figures.loc[split, place[split]] for split in figures.index]
    peers.report("mean of average precision and balanced accuracy", figures.groupby("table").mean())
    peers.report("the same, all splits", figures.mean().to_frame().T, 4)
    kept = rows[rows["method"] == "classifier"].groupby("table")[["brier", "plain", "error"]].mean()
    kept["difference"] = kept["brier"] - kept["plain"]
    kept["low"], kept["high"] = (kept["difference"] + sign * 1.645 * kept["error"] for sign in (-1, 1))
    title = (
        "Brier score of the recommended classifier, of its kind without balancing, and 90 % interval of the difference"
    )
    peers.report(title, kept.drop(columns="error"), 4)
    print("\nrecommended:", *(f"{table} {seed} {name}" for (table, seed), name in advised.items()), sep="\n  ")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", type=Path, help="folder of CSV tables, the label last (default: the shared tables)")
    parser.add_argument("--tables", help="only these, by name without .csv: a,b")
    parser.add_argument("--made", action="store_true", help="six made tables in place of the real ones")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", type=int, default=8000, help="thin larger tables to this many rows")
    parser.add_argument("--jobs", type=int, default=1, help="splits side by side, each with one thread")
    parser.add_argument("--csv", help="write the single measurements here")
    asked = parser.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    wanted = asked.tables.split(",") if asked.tables else None
    jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]]
    if asked.made:
        jobs = [(made, (name, seed, min(asked.rows, 3000))) for name in wanted or MADE for seed in seeds]
    else:
        folder = asked.data or peers.data_folder("tables")
        paths = [path for path in sorted(folder.glob("*.csv")) if not path.stem.endswith("_test")]
        jobs = [(real, (p, seed, asked.rows)) for p in paths if not wanted or p.stem in wanted for seed in seeds]
    if not jobs:
        parser.error("no tables")
    peers.one_thread()
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(asked.jobs, multiprocessing.get_context("spawn")) as pool:
        for task in as_completed([pool.submit(job, *given) for job, given in jobs]):
            rows += task.result()
            last = rows[-1]
            print(
                f"{last['table']:16} seed {last['seed']}  {last['recommended']:10} {last['seconds']:6.1f} s", flush=True
            )
            if asked.csv:
                pd.DataFrame(rows).to_csv(asked.csv, index=False)
    found = pd.DataFrame(rows)
    told(found)
    if asked.made:
        each = found.drop_duplicates(["table", "seed"])
        right = [row.recommended in MADE[row.table][1] for row in each.itertuples()]
        print(f"\nright: {sum(right)} of {len(right)}")
        for row, is_right in zip(each.itertuples(), right, strict=True):
            print(f"  {row.table:12} seed {row.seed}  {row.recommended:10} {'right' if is_right else 'wrong'}")


if __name__ == "__main__":
    main()
