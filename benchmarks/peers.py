"""What the benchmarks share: where the data is, the peers they compare with, and ctgan in an environment of its own.

ctgan's licence (BUSL-1.1) and its pin of pandas keep it out of the project's environment: `--with-ctgan` installs it
into `benchmarks/.ctgan`, which sees the packages of the running environment beside its own. Tables travel as Parquet.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
CTGAN_HOME = HERE / ".ctgan"
SDMETRICS_HOME = HERE / ".sdmetrics"
CTGAN_EPOCHS = 300  # its default


def data_folder(part: str) -> Path:
    """The folder of real data; ends the run with the reason where there is none (a fresh clone has none)."""
    given = os.environ.get("GANTOOLS_DATA")
    folder = (Path(given) if given else HERE.parent.parent / "shared" / "data") / part
    if not folder.is_dir():
        print(f"skipped: there is no folder {folder}; name the one that holds {part}/ in GANTOOLS_DATA")
        sys.exit(0)
    return folder


def need(package: str, extra: str) -> None:
    """End the run with what to install where a package is lacking."""
    if importlib.util.find_spec(package) is None:
        print(f"needs {package}: pip install 'gantools[{extra}]'", file=sys.stderr)
        sys.exit(2)


def text_columns(X: pd.DataFrame) -> list[str]:
    """Columns that are not numbers."""
    return [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]


def filled(X: pd.DataFrame) -> pd.DataFrame:
    """Missing text becomes the word, missing numbers the median: the peers cannot take missing cells."""
    text = text_columns(X)
    return X.assign(**{c: X[c].fillna("missing") if c in text else X[c].fillna(X[c].median()) for c in X})


def smote_sampler(X: pd.DataFrame, y: pd.Series, seed: int, **options: Any) -> Any:
    """SMOTE, or SMOTENC with text columns, its neighbours lowered for the smallest class."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    options |= {"k_neighbors": min(5, y.value_counts().min() - 1), "random_state": seed}
    text = text_columns(X)
    return SMOTENC(text, **options) if text else SMOTE(**options)


def one_thread() -> None:
    """Let this process and its children compute with one thread, so that runs side by side do not slow each other."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def report(title: str, table: pd.DataFrame, decimals: int = 3) -> None:
    print(f"\n{title}\n{table.round(decimals).to_string()}")


def summarise(rows: pd.DataFrame, csv: str | None) -> None:
    """Write the single measurements where asked."""
    if csv:
        rows.to_csv(csv, index=False)
        print(f"\nSingle measurements: {csv}")


def usable(methods: list[str], install: bool) -> list[str]:
    """The methods that can run here; ctgan joins with --with-ctgan and leaves, with the reason, where it is absent."""
    if install and "ctgan" not in methods:
        methods = [*methods, "ctgan"]
    if "ctgan" in methods and ctgan_python(install) is None:
        print(
            "ctgan is left out: it is not installed; --with-ctgan installs it into benchmarks/.ctgan", file=sys.stderr
        )
        methods = [method for method in methods if method != "ctgan"]
    return methods


@cache
def ctgan_python(install: bool = False) -> Path | None:
    """The interpreter that can import ctgan, installing it first where asked; None where there is none."""
    return _python_with("ctgan", CTGAN_HOME, install)


@cache
def sdmetrics_python() -> Path:
    """The interpreter that can import sdmetrics, which is installed first where it is lacking."""
    python = _python_with("sdmetrics", SDMETRICS_HOME, install=True)
    assert python is not None
    return python


def _python_with(package: str, home: Path, install: bool) -> Path | None:
    own = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    for python in (own, Path(sys.executable)):
        if python.exists() and not subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode:
            return python
    if not install:
        return None
    print(f"installing {package} into benchmarks/{home.name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
    ask = [own, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    packages = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    # Its own packages first, then those of the running environment, which pip sees but never changes.
    (packages / "parent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    subprocess.run([own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package], check=True)
    return own


def ctgan_job(
    table: pd.DataFrame, discrete: list[str], draws: list[dict[str, Any]], *, epochs: int = CTGAN_EPOCHS, seed: int = 0
) -> tuple[list[pd.DataFrame], dict[str, Any]]:
    """Train ctgan on a table and draw from it, in its own process.

    draws: per draw `n` and, to condition, `column` and `value`. Returns the rows of each draw, and the seconds that
    `fit` and each of `draws` took.
    """
    python = ctgan_python()
    if python is None:
        raise RuntimeError("ctgan is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table.to_parquet(folder / "train.parquet", index=False)
        job = {"discrete": discrete, "draws": draws, "epochs": epochs, "seed": seed}
        (folder / "job.json").write_text(json.dumps(job))
        done = subprocess.run([python, HERE / "ctgan_worker.py", folder], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ctgan failed:\n{done.stderr}")
        made = [pd.read_parquet(folder / f"draw-{i}.parquet") for i in range(len(draws))]
        return made, json.loads((folder / "times.json").read_text())


def ctgan_balanced(X: pd.DataFrame, y: pd.Series, seed: int, epochs: int = CTGAN_EPOCHS) -> tuple[Any, Any]:
    """The table balanced by ctgan: three times the rows a class lacks are asked for, those of the class are kept."""
    table = filled(X).assign(label=y.astype(str).to_numpy())
    lacking = y.value_counts().max() - y.value_counts()
    draws = [{"n": max(10, 3 * int(n)), "column": "label", "value": str(label)} for label, n in lacking.items()]
    made, _ = ctgan_job(table, [*text_columns(X), "label"], draws, epochs=epochs, seed=seed)
    kept = [
        rows[rows["label"].astype(str) == draw["value"]].head(n)
        for rows, draw, n in zip(made, draws, lacking, strict=True)
    ]
    table = pd.concat([table, *kept], ignore_index=True)
    labels = {str(label): label for label in y.unique()}
    return table.drop(columns="label"), table["label"].astype(str).map(labels)


def average_precision(truth: np.ndarray, probabilities: np.ndarray, classes: list[Any], largest: Any) -> float:
    """Mean average precision of the classes of `truth` but the largest. probabilities: [N, classes]."""
    from sklearn.metrics import average_precision_score

    rare = [label for label in pd.unique(pd.Series(truth)) if label != largest]
    return float(np.mean([average_precision_score(truth == c, probabilities[:, classes.index(c)]) for c in rare]))
