"""What is recommended for a table, done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification

import gantools
from gantools.classify.judges import JUDGES
from gantools.config import TrainConfig
from gantools.data.tables.schema import infer_schema
from gantools.errors import ConfigError, DataError
from gantools.evaluate.recommendation import recommended_classifier
from gantools.evaluate.table_utility import verdict
from gantools.evaluate.verdict import Verdict, brier


def rare(n: int, seed: int = 0) -> pd.DataFrame:
    X, y = make_classification(3000, 6, n_informative=4, weights=[0.9], flip_y=0.1, random_state=0)
    rows = np.random.default_rng(seed).permutation(3000)[:n]
    frame = pd.DataFrame(X, columns=[f"v{i}" for i in range(6)]).assign(label=np.where(y == 1, "yes", "no"))
    return frame.iloc[rows].reset_index(drop=True)


@pytest.fixture(scope="module")
def found() -> tuple[pd.DataFrame, Verdict]:
    frame = rare(800)

    def repeat(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        return pd.concat([rows, rows[rows["label"] == "yes"].sample(400, replace=True, random_state=seed)])

    return frame, verdict(frame, "label", {"gantools": repeat}, schema=infer_schema(frame, "label"))


def test_the_verdict_tells_its_classifiers_apart(found: tuple[pd.DataFrame, Verdict]) -> None:
    told = found[1].to_json()
    assert set(told["classifiers"]["none"]) == set(JUDGES) and told["classifier"] in JUDGES
    each = [figures["brier"] for figures in told["classifiers"]["none"].values()]
    assert told["scores"]["none"]["brier"] == pytest.approx(np.mean(each)) and len(set(each)) == 3
    assert "held_out" not in told


@pytest.mark.parametrize("method", ["none", "weights", "smote", "gantools"])
def test_probabilities_stay_true_whatever_balanced_the_rows(
    found: tuple[pd.DataFrame, Verdict], method: str, tmp_path: Path
) -> None:
    frame, reached = found
    schema, others = infer_schema(frame, "label"), rare(3000)
    extra = pd.concat([frame, frame[frame["label"] == "yes"].sample(500, replace=True, random_state=0)])
    reached = replace(reached, recommended=method)
    classifier = recommended_classifier(frame, schema, reached, "balanced-accuracy", lambda: extra)
    truth = classifier.classes_.index("yes") == np.arange(2)
    hits = (others["label"] == "yes").to_numpy()
    p = classifier.predict_proba(others)
    assert brier(np.where(hits, int(truth.argmax()), 1 - int(truth.argmax())), p) < 0.75 * hits.mean() * (
        1 - hits.mean()
    )
    assert p[:, truth.argmax()].mean() == pytest.approx(hits.mean(), abs=0.04)
    hat = (classifier.predict(others) == "yes").to_numpy()
    assert (hat[hits].mean() + (~hat[~hits]).mean()) / 2 > 0.75
    classifier.save(tmp_path / "kept")
    loaded = gantools.load(tmp_path / "kept")
    pd.testing.assert_frame_equal(loaded.classify(others), classifier.classify(others))
    assert loaded.facts()["method"] == method and loaded.held_out_ == classifier.held_out_


def test_synthetic_rows_are_made_only_where_they_are_recommended(found: tuple[pd.DataFrame, Verdict]) -> None:
    frame, reached = found

    def never() -> pd.DataFrame:
        raise AssertionError

    for method in ("threshold", ""):
        kept = replace(reached, recommended=method)
        classifier = recommended_classifier(frame, infer_schema(frame, "label"), kept, "recall=0.8", never)
        assert classifier.method == (method or "none")
        assert classifier.held_out_["recall"] >= 0.8


def test_nothing_is_recommended_without_a_verdict(found: tuple[pd.DataFrame, Verdict]) -> None:
    frame = found[0]
    empty = replace(found[1], held_out=None, sentence="No verdict: the table has a single class.")
    with pytest.raises(DataError, match=r"no classifier can be recommended: .* single class"):
        recommended_classifier(frame, infer_schema(frame, "label"), empty, "f1", lambda: frame)


def test_recommend_takes_features_and_labels() -> None:
    frame = rare(400)
    X, y = frame.drop(columns="label").to_numpy(), (frame["label"] == "yes").to_numpy().astype(int)
    train = TrainConfig(steps=20, device="cpu")
    advised = gantools.recommend(X, y, "f1", repeats=1, train=train, seed=1)
    assert advised.method in advised.verdict.scores and advised.advice.startswith(("Train", "Leave"))
    hat = advised.classifier.predict(pd.DataFrame(X, columns=[f"x{i}" for i in range(6)]))
    assert (hat == y).mean() > 0.8 and hat.dtype == y.dtype
    with pytest.raises(ConfigError, match="is no goal"):
        gantools.recommend(X, y, "auc", train=train)
