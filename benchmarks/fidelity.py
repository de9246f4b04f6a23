"""Can a classifier that tries hard tell synthetic rows from real ones, are they worth as much, do they copy?

Every method learns from the training rows and gives as many labelled rows. Judges are XGBoost with its defaults
(categories native) on two sides of as many rows, and distances to the closest rows.
  detect    2 (1 - AUC) of real training rows against the method's, 3-fold; 1 cannot tell, above it by chance
  held      the same of the method's rows against real ones that no method has seen
  auc, ap   ROC AUC and average precision on these, after training on the method's rows alone (of the rarest label)
  f1        macro F1 on these of scikit-learn's histogram boosting (as `tstr.py` has it)
  shape     mean over columns of one less the Kolmogorov-Smirnov or total variation distance
  trend     mean over pairs of columns of how alike correlations or joint shares are
  near      share of rows nearer to a training row than the nearest 5 % of unseen rows are: .05 is ideal
  copies    share that equal a training row
Methods: real (other real rows: a half of the training rows against the other half), smote, gantools, ctgan; gantools
with another model as `gantools:MODEL`. Adult has a test table; of other tables a third of the rows is put aside.

With --fill a fifth of the cells of the unseen rows is hidden at random and filled: by the most frequent level or the
mean, by scikit-learn's iterative imputer on numbers and levels as columns of noughts and ones, and by gantools with
what is likely. `right` is the share of the categories that are as they were, `error` the root of the mean squared error
of the numbers in standard deviations, each a mean over columns.

    python benchmarks/fidelity.py [--tables adult,phoneme,abalone,mammography] [--methods real,smote,gantools]
    python benchmarks/fidelity.py --fill [--tables adult]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import peers
import tstr

FIGURES = ["detect", "held", "auc", "ap", "f1", "shape", "trend", "near", "copies"]
TABLES = "adult,phoneme,abalone,mammography"
MOST_CLOSE = 10_000  # rows whose closest are looked for
MOST_IMPUTED = 8_000  # rows that the iterative imputer learns from
HIDDEN = 0.2  # share of the cells that are hidden


def table(folder: Path, name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training rows and unseen ones."""
    if name == "adult":
        return pd.read_csv(folder / "adult_train.csv"), pd.read_csv(folder / "adult_test.csv")
    whole = pd.read_csv(folder / f"{name}.csv").sample(frac=1, random_state=seed, ignore_index=True)
    n = 2 * len(whole) // 3
    return whole.iloc[:n], whole.iloc[n:].reset_index(drop=True)


def made(method: str, train: pd.DataFrame, seed: int, options: dict[str, object]) -> pd.DataFrame:
    """As many rows as `train` has."""
    target = train.columns[-1]
    name, _, model = method.partition(":")
    if name == "gantools":
        model = model or "autoregressive"
        return tstr.gantools(train, target, seed, model=model, **options)
    return tstr.METHODS[name](train, target, seed)


def features(columns: list[str], *frames: pd.DataFrame) -> list[pd.DataFrame]:
    """Numbers as they are, text as categories that the frames share."""
    found = [frame[columns].copy() for frame in frames]
    for name in peers.text_columns(frames[0][columns]):
        levels = sorted(set().union(*(frame[name].dropna().astype(str) for frame in frames)))
        for frame in found:
            frame[name] = pd.Categorical(frame[name].astype(str).where(frame[name].notna()), categories=levels)
    return found


def boosted(x: pd.DataFrame, y: np.ndarray) -> object:
    from xgboost import XGBClassifier

    return XGBClassifier(enable_categorical=True, n_jobs=2).fit(x, y)


def detection(real: pd.DataFrame, rows: pd.DataFrame) -> float:
    """2 (1 - AUC) of three folds."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    n = min(len(real), len(rows))
    x = pd.concat(
        features(list(real.columns), *(frame.sample(n, random_state=0) for frame in (real, rows))), ignore_index=True
    )
    y = np.repeat([0, 1], n)
    found = np.zeros(2 * n)
    for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(x, y):
        found[test] = boosted(x.iloc[train], y[train]).predict_proba(x.iloc[test])[:, 1]
    return 2 * (1 - float(roc_auc_score(y, found)))


def usefulness(rows: pd.DataFrame, test: pd.DataFrame) -> tuple[float, float]:
    """ROC AUC and average precision for the rarest label of the test rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    target = test.columns[-1]
    rare = test[target].value_counts().idxmin()
    x, x_test = features([name for name in test if name != target], rows, test)
    chance = boosted(x, (rows[target] == rare).to_numpy(int)).predict_proba(x_test)[:, 1]
    truth = (test[target] == rare).to_numpy(int)
    return float(roc_auc_score(truth, chance)), float(average_precision_score(truth, chance))


def likeness(train: pd.DataFrame, test: pd.DataFrame, rows: pd.DataFrame) -> dict[str, float]:
    """Columns, pairs and closeness, as `gantools evaluate` measures them."""
    from gantools.data.tables.schema import infer_schema
    from gantools.evaluate.neighbours import nearest
    from gantools.evaluate.table_columns import columns_likeness
    from gantools.evaluate.table_pairs import pairs_likeness
    from gantools.evaluate.table_rows import Rows, Space

    schema = infer_schema(train, train.columns[-1], max_levels=len(train))
    rng = np.random.default_rng(0)
    real, unseen, other = (Rows.of(frame, schema) for frame in (train, test, rows))
    space = Space(real)
    x, y, z = space(real), space(other.some(MOST_CLOSE, rng)), space(unseen.some(MOST_CLOSE, rng))
    far = float(nearest(z, x, 1)[0].quantile(0.05))
    return {
        "shape": columns_likeness(real, other).mean or np.nan,
        "trend": pairs_likeness(real, other).mean or np.nan,
        "near": float((nearest(y, x, 1)[0] < far).float().mean()),
        "copies": tstr.copies(rows, train),
    }


def measured(train: pd.DataFrame, test: pd.DataFrame, rows: pd.DataFrame) -> dict[str, float]:
    """Every figure."""
    auc, ap = usefulness(rows, test)
    return {
        "detect": detection(train, rows),
        "held": detection(test, rows),
        "auc": auc,
        "ap": ap,
        "f1": tstr.Judge(train, train.columns[-1])(rows, test, 0)["macro_f1"],
        **likeness(train, test, rows),
    }


def filled(train: pd.DataFrame, holes: pd.DataFrame, options: dict[str, object]) -> dict[str, pd.DataFrame]:
    """The table with holes, filled by each method."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    from gantools.augment.synthesizer import Synthesizer
    from gantools.config import TrainConfig

    text = peers.text_columns(train)
    plain = {name: train[name].mode()[0] if name in text else train[name].mean() for name in train}
    levels = {name: sorted(train[name].dropna().unique()) for name in text}

    def numbers(frame: pd.DataFrame) -> pd.DataFrame:
        parts = {name: frame[name].astype(float) for name in train if name not in text}
        for name in text:
            known = frame[name].notna()
            parts |= {
                f"{name}={k}": (frame[name] == level).astype(float).where(known) for k, level in enumerate(levels[name])
            }
        return pd.DataFrame(parts)

    imputer = IterativeImputer(max_iter=3, n_nearest_features=30, random_state=0)
    imputer.fit(numbers(train.sample(min(MOST_IMPUTED, len(train)), random_state=0)))
    columns = numbers(train.head(1)).columns
    found = pd.DataFrame(imputer.transform(numbers(holes)), columns=columns)
    imputed = pd.DataFrame({name: found[name] for name in train if name not in text})
    for name in text:
        likelihood = found[[f"{name}={k}" for k in range(len(levels[name]))]].to_numpy()
        imputed[name] = np.array(levels[name], dtype=object)[likelihood.argmax(1)]
    made = Synthesizer(train=TrainConfig(**{"eval_every": 50, **options})).fit(train, train.columns[-1])
    return {"plain": holes.fillna(plain), "iterative": imputed, "gantools": made.fill(holes, likely=True)}


def fill(folder: Path, names: list[str], options: dict[str, object]) -> pd.DataFrame:
    """How near filled cells are to the hidden ones."""
    found = []
    for name in names:
        train, test = table(folder, name, 0)
        hidden = pd.DataFrame(np.random.default_rng(0).random(test.shape) < HIDDEN, columns=test.columns)
        holes = test.astype({c: float for c in test if c not in peers.text_columns(test)}).mask(hidden)
        for method, rows in filled(train, holes, options).items():
            right, error = [], []
            for column in test:
                at = hidden[column] & test[column].notna()
                is_text = column in peers.text_columns(test)
                one, other = rows[column][at], test[column][at]
                if is_text:
                    right.append((one.astype(str) == other.astype(str)).mean())
                else:
                    error.append(np.sqrt(((one.astype(float) - other) ** 2).mean()) / test[column].std())
            found.append(
                {"table": name, "method": method, "right": np.mean(right or [np.nan]), "error": np.mean(error)}
            )
    return pd.DataFrame(found).set_index(["table", "method"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--methods", default="real,smote,gantools")
    parser.add_argument("--with-ctgan", action="store_true", help="install ctgan beside the project and include it")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--options", type=json.loads, default={}, help='JSON to experiment: {"steps": 500}')
    parser.add_argument("--fill", action="store_true", help="measure how holes are filled, and nothing else")
    parser.add_argument("--csv", help="write the single measurements here")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = peers.data_folder("tables")
    if asked.fill:
        peers.report("Holes filled", fill(folder, asked.tables.split(","), asked.options))
        return
    peers.need("xgboost", "benchmark")
    found = []
    for name in asked.tables.split(","):
        for seed in map(int, asked.seeds.split(",")):
            whole, test = table(folder, name, seed)
            for method in peers.usable(asked.methods.split(","), asked.with_ctgan):
                train, started = whole, time.perf_counter()
                if method == "real":
                    train = whole.sample(frac=0.5, random_state=seed)
                    rows = whole.drop(train.index)
                else:
                    rows = made(method, train, seed, asked.options)
                seconds = time.perf_counter() - started
                figures = measured(train, test, rows)
                found.append({"table": name, "method": method, "seed": seed, **figures, "seconds": seconds})
                shown = "  ".join(f"{key} {value:.3f}" for key, value in figures.items())
                print(f"{name:12} {method:11} seed {seed}  {shown}  {seconds:6.1f} s", flush=True)
    single = pd.DataFrame(found)
    means = single.groupby(["table", "method"], sort=False)[[*FIGURES, "seconds"]].mean()
    peers.report("As good as real rows?", means)
    peers.summarise(single, asked.csv)


if __name__ == "__main__":
    main()
