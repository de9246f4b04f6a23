"""From measures to one number: calibrated on normal rows, larger for what is not, and the same however rows are cut."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from gantools.data.tables.raw import to_raw
from gantools.data.tables.schema import infer_schema
from gantools.encode.table import Layout, TableEncoder
from gantools.encode.views import RowViews
from gantools.models.base import DataSpec, Detector
from gantools.registry import discover
from gantools.score import table_head as module
from gantools.score.table_head import TableHead, score_of

DETECTORS = sorted(name for name, cls in discover().items() if cls.purpose == "score")


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    return pd.DataFrame({"a": a, "b": a + 0.2 * rng.normal(size=n), "c": rng.choice(["x", "y"], n)})


def made(n: int = 300, n_remembered: int = 200, name: str = "denoiser") -> tuple[TableHead, Tensor, Tensor, Tensor]:
    """An unsettled head of untrained nets; rows in both views; folds."""
    frame = table(n, 0)
    schema = infer_schema(frame)
    raw = to_raw(frame, schema)
    views = RowViews.fit(TableEncoder.fit(raw, schema), raw)
    standard, ranked = views(torch.from_numpy(np.array(raw.numbers)), torch.from_numpy(np.array(raw.codes)))
    torch.manual_seed(0)
    cls = discover()[name]
    detector = cls(DataSpec(Layout(views.widths[0], ())), cls.tiny())
    assert isinstance(detector, Detector)
    head = TableHead(views, detector, n_remembered).eval().requires_grad_(False)
    head.remember(standard[:n_remembered], ranked[:n_remembered])
    return head, standard, ranked, torch.arange(n) % detector.n_folds


@pytest.mark.parametrize("name", DETECTORS)
def test_settled_on_normal_rows_their_measures_are_standardised(name: str) -> None:
    head, standard, ranked, fold = made(name=name)
    abnormality = head.calibrate(standard, ranked, fold, torch.ones(len(fold), dtype=torch.bool))
    assert abnormality.shape == (300,) and torch.isfinite(abnormality).all()
    assert float(abnormality.mean()) == pytest.approx(0.0, abs=1e-4)
    errors = head.detector.errors(standard)
    measures = head.measure(standard, ranked)
    for k in range(head.detector.n_folds):
        torch.testing.assert_close(head.usual_error[k], errors[k][:, fold == k].mean(1), rtol=1e-3, atol=1e-5)
        learned = (measures.learned[k][fold == k] - head.learned_scale[0, k]) / head.learned_scale[1, k]
        torch.testing.assert_close(learned.mean(0), torch.zeros(learned.shape[1]), rtol=0, atol=1e-3)
        torch.testing.assert_close(learned.std(0, correction=0), torch.ones(learned.shape[1]), rtol=0, atol=1e-2)


def test_settling_in_chunks_is_settling_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, standard, ranked, fold = made()
    expected = whole.calibrate(standard, ranked, fold, torch.ones(len(fold), dtype=torch.bool))
    monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    pieces, *_ = made()
    torch.testing.assert_close(
        pieces.calibrate(standard, ranked, fold, torch.ones(len(fold), dtype=torch.bool)),
        expected,
        rtol=1e-4,
        atol=1e-4,
    )
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(pieces.state_dict()[name], value, rtol=1e-4, atol=1e-4)


def test_a_fold_without_rows_is_judged_on_all() -> None:
    head, standard, ranked, fold = made()
    abnormality = head.calibrate(standard, ranked, torch.zeros_like(fold), torch.ones(len(fold), dtype=torch.bool))
    assert torch.isfinite(abnormality).all()
    errors = head.detector.errors(standard)
    torch.testing.assert_close(head.usual_error[1], errors[1].mean(1), rtol=1e-3, atol=1e-5)


def test_odd_rows_are_more_abnormal() -> None:
    head, standard, ranked, fold = made()
    usual = head.calibrate(standard, ranked, fold, torch.ones(len(fold), dtype=torch.bool))
    far = pd.DataFrame({"a": [30.0, 2.0, -1e9], "b": [30.0, -2.0, np.nan], "c": ["x", "y", "never"]})
    raw = to_raw(far, infer_schema(table(300, 0)))
    found = head(torch.from_numpy(np.array(raw.numbers)), torch.from_numpy(np.array(raw.codes)))
    assert torch.isfinite(found).all()
    assert (found > usual.quantile(0.99)).all() and found[2] > found[1]


def test_a_head_of_rows_that_are_all_the_same_stays_finite() -> None:
    head, standard, ranked, fold = made()
    same = standard[:1].expand(300, -1), ranked[:1].expand(300, -1)
    head.remember(same[0][:200], same[1][:200])
    assert torch.isfinite(head.calibrate(*same, fold, torch.ones(len(fold), dtype=torch.bool))).all()
    assert torch.isfinite(head.abnormality(standard, ranked)).all()


def test_a_score_is_positive_and_keeps_the_order() -> None:
    abnormality = torch.linspace(-60, 60, 5000)
    score = score_of(abnormality)
    assert score.dtype == torch.float64 and (score > 0).all() and (score.diff() > 0).all()
    assert float(score_of(torch.zeros(1))) == pytest.approx(math.log(2))
    assert float(score_of(torch.tensor([50.0]))) == pytest.approx(50.0)


def test_a_saved_head_measures_the_same() -> None:
    head, standard, ranked, fold = made()
    head.calibrate(standard, ranked, fold, torch.ones(len(fold), dtype=torch.bool))
    again, *_ = made()
    again.load_state_dict(head.state_dict())
    assert torch.equal(again.abnormality(standard, ranked), head.abnormality(standard, ranked))
