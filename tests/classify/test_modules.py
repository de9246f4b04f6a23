"""Classifiers of scikit-learn as modules, and what they see of a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from gantools.classify.features import Features, ReadFeatures
from gantools.classify.judges import BOOSTING, JUDGES, plain_encoder, train_judges
from gantools.classify.modules import MODULES, module_of
from gantools.data.tables.schema import infer_schema
from gantools.errors import TrainingError

Make = Callable[..., pd.DataFrame]


def strange(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with levels never seen, numbers far out and cells missing where none was."""
    rows = frame.copy()
    rows["text"] = np.where(np.arange(len(rows)) % 3 == 0, "unheard of", rows["text"])
    rows.loc[rows.index % 4 == 0, "number"] = 1e9
    rows["many"] = rows["many"].where(rows.index % 5 != 0, None)
    return rows


def test_a_schema_reads_the_features_that_the_verdict_sees(make_mixed: Make) -> None:
    frame, others = make_mixed(), make_mixed(300, seed=1)
    schema = infer_schema(frame, "label")
    plain, read = Features(frame, "label", schema), ReadFeatures(frame, "label", schema)
    assert list(plain.kinds) == [name for name in frame if name != "label"]
    for rows in (frame, others):
        np.testing.assert_array_equal(read.matrix(rows), plain.matrix(rows))
    assert read.matrix(strange(others)).shape == (300, 7)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("judge", JUDGES)
def test_a_module_gives_the_probabilities_of_its_classifier(make_mixed: Make, judge: str, n_classes: int) -> None:
    frame, others = make_mixed(400, n_classes), make_mixed(400, n_classes, seed=1)
    features = ReadFeatures(frame, "label", infer_schema(frame, "label"))
    matrix, codes = features.matrix(frame), pd.factorize(frame["label"])[0].astype(np.int64)
    codes = np.where(codes > 0, codes + 1, 0)  # of class 1 there is no row
    [trained] = train_judges(
        matrix, codes, features.is_level, plain_encoder(matrix, features.is_level), 0, names=[judge]
    )
    module = module_of(trained, matrix, n_classes + 1)
    rows = np.concatenate([features.matrix(others), features.matrix(strange(others))])
    expected = trained.probabilities(rows, n_classes + 1)
    np.testing.assert_allclose(module(torch.from_numpy(rows)).numpy(), expected, atol=1e-9)
    assert (expected[:, 1] == 0).all() and expected[:, 0].std() > 0.05
    copy = MODULES[judge](**module.sizes())
    copy.load_state_dict(module.state_dict())
    torch.testing.assert_close(copy(torch.from_numpy(rows)), module(torch.from_numpy(rows)), rtol=0, atol=0)


def test_trees_that_are_read_wrongly_are_not_kept(make_mixed: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_mixed()
    features = ReadFeatures(frame, "label", infer_schema(frame, "label"))
    matrix, codes = features.matrix(frame), (frame["label"] == "yes").to_numpy().astype(np.int64)
    encoder = plain_encoder(matrix, features.is_level)
    [trained] = train_judges(matrix, codes, features.is_level, encoder, 0, names=[BOOSTING])
    monkeypatch.setattr(trained.classifier, "_baseline_prediction", np.zeros((1, 1)))
    other = trained.classifier.predict_proba
    monkeypatch.setattr(trained.classifier, "predict_proba", lambda rows: 1 - other(rows))
    with pytest.raises(TrainingError, match="gradient boosting of this scikit-learn cannot be kept"):
        module_of(trained, matrix, 2)
