"""Make the imbalanced table of the examples from scikit-learn's built-in breast cancer data.

    python examples/make_demo_data.py OUT.csv

Real: the ten mean measurements of 569 tumours and their diagnosis. Changed, so that the table looks like those that
people bring: of the 212 malignant tumours only 40 are kept (the rare class); `size` (small, medium, large: thirds of
the mean area), `irregular` (symmetry above the median) are derived from the measurements; 6 % of `mean_texture`'s
cells are emptied at random.

    python examples/make_demo_data.py OUT.csv --screening

For finding what does not belong: only 15 malignant tumours among the benign ones, and `malignant` (1 or 0) in place of
the diagnosis.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

N_MALIGNANT = 40
N_SCREENED = 15
SHARE_EMPTIED = 0.06


def make_table(seed: int = 0) -> pd.DataFrame:
    """The demo's table: 397 rows, ten measurements, a category, a boolean, and the target `diagnosis`."""
    rng = np.random.default_rng(seed)
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data[[name for name in bunch.data.columns if name.startswith("mean ")]].copy()
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    frame["size"] = pd.qcut(frame["mean_area"], 3, labels=["small", "medium", "large"]).astype(str)
    frame["irregular"] = frame["mean_symmetry"] > frame["mean_symmetry"].median()
    frame["diagnosis"] = np.where(bunch.target == 0, "malignant", "benign")

    malignant = np.flatnonzero(frame["diagnosis"] == "malignant")
    dropped = rng.permutation(malignant)[N_MALIGNANT:]
    frame = frame.drop(index=frame.index[dropped]).reset_index(drop=True)
    emptied = rng.choice(len(frame), round(SHARE_EMPTIED * len(frame)), replace=False)
    frame.loc[emptied, "mean_texture"] = np.nan
    return frame


def make_screening(seed: int = 0) -> pd.DataFrame:
    """372 rows, 15 of them malignant."""
    frame = make_table(seed)
    malignant = frame["diagnosis"] == "malignant"
    frame = frame.drop(index=frame.index[malignant][N_SCREENED:]).reset_index(drop=True)
    return frame.drop(columns="diagnosis").assign(malignant=(frame["diagnosis"] == "malignant").astype(int))


def main() -> None:
    """Write the table to the CSV file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--screening", action="store_true", help="the table for finding what does not belong")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    frame = make_screening(arguments.seed) if arguments.screening else make_table(arguments.seed)
    frame.to_csv(arguments.out, index=False)
    n_malignant = int(
        (frame["malignant"] == 1).sum() if arguments.screening else (frame["diagnosis"] == "malignant").sum()
    )
    print(f"{arguments.out}: {len(frame)} tumours, {len(frame) - n_malignant} benign and {n_malignant} malignant")


if __name__ == "__main__":
    main()
