"""Balance the training rows of a classifier in Python, and compare with not balancing them.

    python examples/balance_in_python.py

Uses GANOverSampler like any sampler of imbalanced-learn: inside its Pipeline it makes synthetic rows while fitting
and none while predicting, so the test rows stay real. Takes about a minute.
"""

from __future__ import annotations

from imblearn.pipeline import make_pipeline
from make_demo_data import make_table
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from gantools import GANOverSampler


def main() -> None:
    """Fit the same classifier with and without balancing and print two scores on held-out rows."""
    table = make_table()
    X = table.drop(columns="diagnosis").astype({"size": "category"})
    y = table["diagnosis"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

    classifier = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    balanced = make_pipeline(GANOverSampler(random_state=0), clone(classifier))

    for name, model in (("as it is", classifier), ("balanced by gantools", balanced)):
        model.fit(X_train, y_train)
        probability = model.predict_proba(X_test)[:, list(model.classes_).index("malignant")]
        precision = average_precision_score(y_test == "malignant", probability)
        accuracy = balanced_accuracy_score(y_test, model.predict(X_test))
        print(f"{name:22} average precision {precision:.3f}   balanced accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
