"""Train on synthetic rows, test on real ones: is what the generator makes as good as real data?

Every method sees the training table and gives as many labelled rows as it has, in its class proportions, none of them
asked to be real. Histogram gradient boosting (scikit-learn, categorical columns native) is trained on these rows alone
and judged on the real test table. Methods:
  real        the training rows themselves: what synthetic rows are measured against
  repetition  training rows drawn with replacement: what a generator reaches that only copies
  smote       rows interpolated by SMOTE (SMOTENC with text columns), none of the real ones
  gantools    Synthesizer with its defaults
  ctgan       300 epochs, sampled without a condition
Figures: macro F1, accuracy, and average precision (mean over the classes other than the largest). `copies` is the share
of rows that are exact copies of training rows.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import peers

FIGURES = ["macro_f1", "accuracy", "ap"]
MAX_LEVELS = 250  # of one column, which boosting can take; rarer ones count as missing


def real(train: pd.DataFrame, _target: str, _seed: int) -> pd.DataFrame:
    return train


def repetition(train: pd.DataFrame, _target: str, seed: int) -> pd.DataFrame:
    return train.sample(len(train), replace=True, random_state=seed)


def smote(train: pd.DataFrame, target: str, seed: int) -> pd.DataFrame:
    X, y = peers.filled(train.drop(columns=target)), train[target]
    doubled = {label: 2 * int(n) for label, n in y.value_counts().items()}
    X_new, y_new = peers.smote_sampler(X, y, seed, sampling_strategy=doubled).fit_resample(X, y)
    return pd.concat([X_new, y_new], axis=1).iloc[len(train) :]


def gantools(
    train: pd.DataFrame, target: str, seed: int, *, model: str = "tabular", options: Any = None, **config: Any
) -> pd.DataFrame:
    from gantools.augment.synthesizer import Synthesizer
    from gantools.config import TrainConfig

    synthesizer = Synthesizer(model, options, TrainConfig(seed=seed, **config)).fit(train, target)
    return synthesizer.sample(len(train), seed=seed)


def ctgan(train: pd.DataFrame, target: str, seed: int, *, epochs: int = peers.CTGAN_EPOCHS) -> pd.DataFrame:
    table = peers.filled(train).assign(**{target: train[target].astype(str)})
    discrete = list(dict.fromkeys([*peers.text_columns(train), target]))
    (made,), _ = peers.ctgan_job(table, discrete, [{"n": len(train)}], epochs=epochs, seed=seed)
    labels = {str(label): label for label in train[target].unique()}
    return made.assign(**{target: made[target].astype(str).map(labels)})


METHODS: dict[str, Callable[..., pd.DataFrame]] = {
    "real": real,
    "repetition": repetition,
    "smote": smote,
    "gantools": gantools,
    "ctgan": ctgan,
}


class Judge:
    """Gradient boosting that reads the levels of the real training table."""

    def __init__(self, train: pd.DataFrame, target: str) -> None:
        self.target = target
        self.numbers = [name for name in train if name != target and name not in peers.text_columns(train)]
        self.levels = {
            name: list(train[name].value_counts().index[:MAX_LEVELS])
            for name in peers.text_columns(train)
            if name != target
        }
        self.largest = train[target].value_counts().idxmax()

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        texts = {name: pd.Categorical(frame[name], categories=levels) for name, levels in self.levels.items()}
        return frame[self.numbers].astype(float).assign(**texts)

    def fitted(self, rows: pd.DataFrame, seed: int = 0) -> Any:
        """The classifier trained on labelled rows."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
        return model.fit(self.features(rows), rows[self.target].to_numpy())

    def __call__(self, rows: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, float]:
        """Figures on the test rows after training on `rows`."""
        from sklearn.metrics import accuracy_score, f1_score

        model = self.fitted(rows, seed)
        probabilities = model.predict_proba(self.features(test))
        truth = test[self.target].to_numpy()
        hat = model.classes_[probabilities.argmax(axis=1)]
        return {
            "macro_f1": f1_score(truth, hat, average="macro"),
            "accuracy": accuracy_score(truth, hat),
            "ap": peers.average_precision(truth, probabilities, list(model.classes_), self.largest),
        }


def copies(rows: pd.DataFrame, train: pd.DataFrame) -> float:
    """Share of rows that stand in the training table as they are."""
    seen = pd.util.hash_pandas_object(train.astype(str), index=False)
    return float(pd.util.hash_pandas_object(rows[train.columns].astype(str), index=False).isin(seen).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data", nargs=2, type=Path, metavar=("TRAIN", "TEST"), help="CSV files (default: adult)")
    parser.add_argument("--target", help="the label (default: the last column)")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default="real,repetition,smote,gantools")
    parser.add_argument("--with-ctgan", action="store_true", help="install ctgan beside the project and include it")
    parser.add_argument("--ctgan-epochs", type=int, default=peers.CTGAN_EPOCHS)
    parser.add_argument("--ctgan-seeds", help="only these seeds for ctgan, which takes an hour each (default: all)")
    parser.add_argument("--options", type=json.loads, default={}, help='JSON to experiment: {"steps": 500}')
    parser.add_argument("--csv", help="write the single measurements here")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = None if asked.data else peers.data_folder("tables")
    train_path, test_path = asked.data or (folder / "adult_train.csv", folder / "adult_test.csv")
    methods = peers.usable(asked.methods.split(","), asked.with_ctgan)
    extra = {"gantools": asked.options, "ctgan": {"epochs": asked.ctgan_epochs}}
    seeds = asked.seeds.split(",")
    ctgan_seeds = asked.ctgan_seeds.split(",") if asked.ctgan_seeds else seeds
    train, test = pd.read_csv(train_path), pd.read_csv(test_path)
    target = asked.target or train.columns[-1]
    judge = Judge(train, target)
    measured = []
    for method in methods:
        for seed in map(int, ctgan_seeds if method == "ctgan" else seeds):
            started = time.perf_counter()
            rows = METHODS[method](train, target, seed, **extra.get(method, {}))
            seconds = time.perf_counter() - started
            figures = judge(rows, test, seed)
            alike = copies(rows, train)
            measured.append({"method": method, "seed": seed, **figures, "copies": alike, "seconds": seconds})
            shown = "  ".join(f"{name} {figure:.4f}" for name, figure in figures.items())
            print(f"{method:11} seed {seed}  {len(rows):>6} rows  {shown}  {seconds:7.1f} s", flush=True)
    found = pd.DataFrame(measured)
    means = found.groupby("method")[[*FIGURES, "copies", "seconds"]].mean().loc[methods]
    means.insert(1, "sd of macro_f1", found.groupby("method")["macro_f1"].std())
    means.insert(0, "seeds", found.groupby("method").size())
    peers.report(
        f"Trained on {len(train)} rows like {train_path.name}, tested on {test_path.name} ({len(test)})", means, 4
    )
    peers.summarise(found, asked.csv)


if __name__ == "__main__":
    main()
