"""Find out what to do about a rare class, keep the classifier that follows from it, and cross-validate balancing.

    python examples/recommend_in_python.py [STEPS]

Test rows are split off first, and nothing sees them before the last line. STEPS: of each training; the model's own
number unless given. Takes about three minutes.
"""

from __future__ import annotations

import sys

from imblearn.pipeline import make_pipeline
from make_demo_data import make_table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.preprocessing import StandardScaler

from gantools import GANOverSampler, TrainConfig, export_model, recommend


def main() -> None:
    """Print the advice, the classifier's report on test rows, and a cross-validated figure of balancing."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else None
    table = make_table()
    X, y = table.drop(columns="diagnosis"), table["diagnosis"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

    advised = recommend(X_train, y_train, goal="recall=0.9", train=TrainConfig(steps=steps))
    print(advised.advice)
    print(f"{advised.classifier.model}, rows: {advised.method}")
    print(classification_report(y_test, advised.classifier.predict(X_test)))
    advised.classifier.save("classifier")
    print(export_model(advised.classifier, "classifier.onnx").comparison)

    # Balancing inside a pipeline sees the training rows of each fold alone.
    numbers = X_train.select_dtypes("number").fillna(X_train.median(numeric_only=True))
    pipeline = make_pipeline(GANOverSampler(steps=steps, random_state=0), StandardScaler(), LogisticRegression())
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(pipeline, numbers, y_train, cv=folds, scoring="balanced_accuracy")
    print(f"balanced accuracy in three folds: {', '.join(f'{score:.3f}' for score in scores)}")


if __name__ == "__main__":
    main()
