"""How good the decisions and probabilities of a classifier are."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def decision_figures(truth: Ints, probabilities: Floats, decided: Ints, counts: Ints) -> dict[str, float]:
    """How good decisions are, by name; recall, precision and average precision are those of the rarest class.

    truth, decided: [N] classes. probabilities: [N, K], calibrated. counts: real rows of each class.
    """
    rare = int(np.where(counts > 0, counts, counts.max()).argmin())
    is_rare = truth == rare
    present = np.unique(truth)
    found = {
        "rows": float(len(truth)),
        "balanced_accuracy": recall_score(truth, decided, labels=present, average="macro", zero_division=0),
        "macro_f1": f1_score(truth, decided, labels=present, average="macro", zero_division=0),
        "recall": recall_score(is_rare, decided == rare, zero_division=0),
        "precision": precision_score(is_rare, decided == rare, zero_division=0),
        "average_precision": average_precision_score(is_rare, probabilities[:, rare]) if is_rare.any() else 0.0,
        "brier": 0.5 * ((probabilities - np.eye(len(counts))[truth]) ** 2).sum(1).mean(),
    }
    return {name: float(value) for name, value in found.items()}
