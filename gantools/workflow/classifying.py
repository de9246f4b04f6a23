"""What is said of classifiers, where they are made and where they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gantools.workflow.contract import Item, Table

SHOWN = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "recall": "recall",
    "precision": "precision",
    "average_precision": "average precision",
    "brier": "Brier",
}
MADE_BY = {
    "none": "as they are",
    "threshold": "as they are",
    "weights": "with class weights",
    "repetition": "balanced by repetition",
    "smote": "balanced by SMOTE",
    "gantools": "balanced by synthetic ones",
}


def classifier_shown(classifier: Any) -> Iterator[Item]:
    """What the recommended classifier is, and how good it was on the rows held back."""
    rows = MADE_BY.get(classifier.method, f"balanced by {classifier.method}")
    yield ""
    said = f"{classifier.model}, trained on all rows {rows}; its decisions are made for {classifier.goal}"
    yield f"Recommended classifier: {said}."
    yield figures_table(classifier.held_out_, "On the {} rows held back, which also set probabilities and decisions")


def figures_table(figures: Mapping[str, float], title: str) -> Table:
    """title: with a place for the number of rows."""
    row = tuple(f"{figures[name]:.3f}" for name in SHOWN)
    return Table(
        tuple(SHOWN.values()), (row,), title=title.format(f"{figures['rows']:,.0f}"), right=tuple(range(len(SHOWN)))
    )
