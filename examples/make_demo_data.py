"""Make the demo's imbalanced table from scikit-learn's built-in breast cancer data.

    python examples/make_demo_data.py OUT.csv

Real: the ten mean measurements of 569 tumours and their diagnosis. Changed, so that the table looks like those that
people bring: of the 212 malignant tumours only 40 are kept (the rare class); `size` (small, medium, large: thirds of
the mean area), `irregular` (symmetry above the median) are derived from the measurements; 6 % of `mean_texture`'s
cells are emptied at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

N_MALIGNANT = 40
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


def main() -> None:
    """Write the table to the CSV file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    frame = make_table(arguments.seed)
    frame.to_csv(arguments.out, index=False)
    counts = frame["diagnosis"].value_counts()
    print(f"{arguments.out}: {len(frame)} tumours, {counts['benign']} benign and {counts['malignant']} malignant")


if __name__ == "__main__":
    main()
