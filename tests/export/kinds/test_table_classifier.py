"""Exported classifiers, as onnxruntime alone runs them and with the methods of the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gantools.classify.judges import JUDGES
from gantools.data.tables.schema import infer_schema
from gantools.errors import ExportError
from gantools.evaluate.recommendation import recommended_classifier
from gantools.evaluate.table_utility import verdict
from gantools.export.file import export_model
from gantools.export.kinds import table_classifier
from gantools.export.kinds.table_classifier import ExportedClassifier
from gantools.export.mlflow import write_mlflow
from gantools.export.runtime import load_exported, open_session
from gantools.export.served import Served

Make = Callable[..., pd.DataFrame]


def test_a_file_decides_as_the_library_does(make_mixed: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_classifier, "TRIED", 1000)
    frame, others = make_mixed(250, 3), make_mixed(2000, 3, seed=1)
    frame["label"], others["label"] = (one["label"].map({"no": 0, "yes": 5, "most": 9}) for one in (frame, others))
    others.loc[::7, "text"] = "unheard of"
    schema = infer_schema(frame, "label")
    reached = verdict(frame, "label", {}, schema=schema)
    for judge in JUDGES:
        kept = replace(reached, classifier=judge, recommended="weights")
        classifier = recommended_classifier(frame, schema, kept, "f1", lambda: frame)
        written = export_model(classifier, tmp_path / f"{judge}.onnx")
        assert written.parity["decisions_differing"] == 0 and written.parity["probability_difference"] < 1e-9
        assert "1,000 rows: probabilities differ by" in written.comparison
        file = load_exported(written.path, "cpu")
        assert isinstance(file, ExportedClassifier)
        pd.testing.assert_frame_equal(file.classify(others), classifier.classify(others), check_exact=False, rtol=1e-9)
        assert len(file.classify(others.head(0))) == 0
    served = Served(str(written.path)).predict(others.head(50))
    assert list(served) == ["class", "probability/0", "probability/5", "probability/9", "is_flagged"]
    assert served["class"].tolist() == classifier.predict(others.head(50)).tolist()
    assert '\\"probability/5\\"' in (write_mlflow(written.path, tmp_path / "mlflow") / "MLmodel").read_text()
    session = open_session(written.path, "cpu")
    assert [(value.name, value.shape) for value in session.get_outputs()] == [
        ("class", ["batch"]), ("probability", ["batch", 3]), ("is_flagged", ["batch"]),
    ]  # fmt: skip


def test_a_file_that_differs_is_not_written(make_mixed: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_mixed(200)
    schema = infer_schema(frame, "label")
    reached = replace(verdict(frame, "label", {}, schema=schema), classifier=JUDGES[0])
    classifier = recommended_classifier(frame, schema, reached, "f1", lambda: frame)
    given = classifier.classify_raw
    monkeypatch.setattr(classifier, "classify_raw", lambda raw: (1 - given(raw)[0], *given(raw)[1:]))
    with pytest.raises(ExportError, match="decisions differs"):
        export_model(classifier, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
    assert np.isfinite(classifier.predict_proba(frame)).all()
