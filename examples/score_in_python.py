"""Learn what benign tumours look like and find the malignant ones among new ones, in Python.

    python examples/score_in_python.py

The scorer sees half of the benign tumours and no malignant one. Takes about half a minute.
"""

from __future__ import annotations

import numpy as np
from make_demo_data import make_screening
from sklearn.metrics import average_precision_score, roc_auc_score

from gantools import AnomalyScorer


def main() -> None:
    """Fit on normal rows, score new ones, print how well the anomalies are found and why the oddest row is odd."""
    table = make_screening()
    is_odd = table.pop("malignant").to_numpy() == 1
    rng = np.random.default_rng(0)
    benign = rng.permutation(np.flatnonzero(~is_odd))
    known, new = benign[: len(benign) // 2], np.concatenate([benign[len(benign) // 2 :], np.flatnonzero(is_odd)])

    scorer = AnomalyScorer(false_alarms=0.05, random_state=0).fit(table.iloc[known])
    found = scorer.assess(table.iloc[new], explain="flagged")

    truth = is_odd[new]
    print(f"ROC AUC {roc_auc_score(truth, found['anomaly_score']):.3f}", end="   ")
    print(f"average precision {average_precision_score(truth, found['anomaly_score']):.3f}")
    flagged = found["is_anomaly"].to_numpy()
    print(f"{flagged[truth].sum()} of {truth.sum()} malignant tumours found", end=", ")
    print(f"{flagged[~truth].sum()} false alarms among {(~truth).sum()} benign ones")
    oddest = found.loc[found["anomaly_score"].idxmax()]
    print(f"The oddest: {oddest['reason']} (p = {oddest['p_value']:.3f})")


if __name__ == "__main__":
    main()
