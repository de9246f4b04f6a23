"""The report: one page that needs nothing else, shows what it is given, and is written whole or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.raw import Raw, to_raw
from gantools.data.tables.schema import Schema, infer_schema
from gantools.errors import DataError
from gantools.evaluate.scores import ScoreTally
from gantools.evaluate.verdict import Verdict
from gantools.report.tables import _cumulative_gap, _quantiles, scores_to_html, to_html, write_html
from gantools.score.drift import Drift, DriftMonitor, Reference

NASTY = '<script>alert("x")</script> & {brace}'


@dataclass(frozen=True)
class Balanced:
    """Stands in for what `balance` returns."""

    frame: pd.DataFrame
    counts_before: dict
    counts_after: dict
    n_copies_redrawn: int = 3
    n_copies_left: int = 0
    notes: tuple[str, ...] = ("A note of the balancer.",)


TRAINING = SimpleNamespace(
    steps=2_000,
    seconds=38.4,
    stopped="early",
    health=("mode collapse, <b>look</b>",),
    best_step=1_750,
    criterion=0.0123,
)
FIGURES = {"average_precision": 0.412, "balanced_accuracy": 0.801, "macro_f1": 0.7}
VERDICT = Verdict(
    {"none": FIGURES, "smote": None, "gantools": FIGURES},
    1_536,
    512,
    "The synthetic rows helped: a lot.",
    "yes",
    "gantools",
    "none",
    0.031,
    (0.012, 0.05),
    ("SMOTE cannot be used: class 'x' has a single training row.",),
)


def real(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 9, n)),
            "visits": rng.integers(0, 7, n),
            "city": rng.choice(["Rome", NASTY], n),
            "many": [f"shop {i}" for i in rng.integers(0, 150, n)],
            "flag": rng.random(n) < 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "lasts": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
            "same": "a",
            "empty": np.nan,
            "churned": np.where(rng.random(n) < 0.2, "yes", "no"),
        }
    )


def balanced(n: int = 300) -> tuple[Balanced, Schema]:
    frame = real(n)
    made = frame[frame["churned"] == "yes"].sample(150, replace=True, random_state=0)
    whole = pd.concat([frame, made], ignore_index=True).assign(is_synthetic=np.arange(n + 150) >= n)
    counts = frame["churned"].value_counts().to_dict()
    after = whole["churned"].value_counts().to_dict()
    return Balanced(whole, counts, after), infer_schema(frame, "churned")


class Checked(HTMLParser):
    """Refuses a page whose elements do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "rect", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "polyline"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words_of(page: str) -> str:
    parser = Checked()
    parser.feed(page)
    assert not parser.open
    return " ".join(" ".join(parser.words).split())


def test_the_page_says_everything_and_needs_nothing() -> None:
    result, schema = balanced()
    page = to_html(VERDICT, result, schema, TRAINING, title="Customers & churn")
    said = words_of(page)
    for words in (
        "Customers & churn",
        "The synthetic rows helped: a lot.",
        "0.412",
        "not available",
        "+0.012 to +0.050",
        "A note of the balancer.",
        "SMOTE cannot be used",
        "stopped early",
        "mode collapse, <b>look</b>",
        "300 real rows and 150 synthetic ones",
    ):
        assert words in said
    for name in schema.names:
        assert name in said
    assert not re.search(r"(src|href)=|@import|url\(|https?://", page)


def test_everything_is_escaped() -> None:
    result, schema = balanced()
    page = to_html(VERDICT, result, schema, TRAINING, title=NASTY)
    assert "<script" not in page
    assert NASTY in words_of(page)


def test_faithful_rows_are_near_and_others_are_named() -> None:
    result, schema = balanced(3_000)
    said = words_of(to_html(VERDICT, result, schema))
    assert "No column differs" in said
    far = result.frame.copy()
    far.loc[far["is_synthetic"], "amount"] += 40
    far.loc[far["is_synthetic"], "city"] = "Rome"
    said = words_of(to_html(VERDICT, Balanced(far, result.counts_before, result.counts_after), schema))
    assert re.search(r"differ most: amount \(0\.9\d\), city \(0\.\d+\)", said)


def test_class_proportions_alone_are_no_difference() -> None:
    """Synthetic rows of the rare class only, whose amounts are unlike those of the common one."""
    rng = np.random.default_rng(0)
    label = np.repeat(["common", "rare"], [2_000, 200])
    frame = pd.DataFrame({"amount": rng.normal(np.where(label == "rare", 9.0, 0.0)), "label": label})
    made = pd.DataFrame({"amount": rng.normal(9.0, 1, 1_800), "label": "rare"})
    whole = pd.concat([frame, made], ignore_index=True).assign(is_synthetic=np.arange(4_000) >= 2_200)
    result = Balanced(whole, {"common": 2_000, "rare": 200}, {"common": 2_000, "rare": 2_000})
    assert "No column differs" in words_of(to_html(None, result, infer_schema(frame, "label")))


def test_without_verdict_training_or_synthetic_rows() -> None:
    result, schema = balanced()
    nothing = Balanced(
        result.frame[~result.frame["is_synthetic"]], result.counts_before, result.counts_before, 0, 0, ()
    )
    said = words_of(to_html(None, nothing, schema, None))
    assert "No verdict was reached" in said
    assert "0 synthetic ones" in said


def test_a_wide_table_is_cut_and_says_so() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 230)).round(2)).add_prefix("v")
    frame["label"] = np.repeat(["a", "b"], 30)
    whole = pd.concat([frame, frame], ignore_index=True).assign(is_synthetic=np.arange(120) >= 60)
    counts = {"a": 60, "b": 60}
    assert "30 more columns are not shown" in words_of(
        to_html(None, Balanced(whole, counts, counts), infer_schema(frame, "label"))
    )


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_html("<p>ä</p>", path)
    assert path.read_text(encoding="utf-8") == "<p>ä</p>"
    with pytest.raises(DataError, match=r"nowhere.*choose another place"):
        write_html("x", tmp_path / "nowhere" / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_weighted_gap_and_quantiles() -> None:
    one, other = np.array([1.0, 2.0, 2.0]), np.array([2.0, 3.0])
    even = np.full(2, 0.5)
    assert _cumulative_gap(one, np.full(3, 1 / 3), other, even) == pytest.approx(0.5)
    assert _cumulative_gap(one, np.array([0.0, 0.5, 0.5]), np.array([2.0, 2.0]), even) == pytest.approx(0)
    assert _quantiles(np.array([5.0, 1.0, 3.0]), np.array([0.1, 0.8, 0.1]), (0.05, 0.5, 0.95)) == [1, 1, 5]


# Scores ---------------------------------------------------------------------------------------------------------------


def scored(frame: pd.DataFrame, threshold: float = 3.0) -> tuple[ScoreTally, pd.DataFrame]:
    """Scores of some rows, and the most abnormal of them with made-up reasons."""
    scores = np.random.default_rng(1).lognormal(0, 0.6, len(frame))
    assessed = pd.DataFrame({"anomaly_score": scores, "p_value": 1 / (1 + scores), "is_anomaly": scores > threshold})
    tally = ScoreTally()
    tally.update(frame, assessed)
    top = pd.concat([tally.top, assessed.loc[tally.top.index].assign(reason=NASTY)], axis=1)
    return tally, top


def drift_of(frame: pd.DataFrame, schema: Schema, shift: float) -> Drift:
    raw = to_raw(frame, schema)
    monitor = DriftMonitor(Reference.fit(raw, schema))
    monitor.update(Raw(raw.numbers + shift, raw.codes), np.full(len(raw), 0.5))
    return monitor.report()


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_the_page_on_scores_says_everything_and_needs_nothing(shift: float) -> None:
    frame = real(2_000).rename(columns={"city": NASTY})
    schema = infer_schema(frame)
    tally, top = scored(frame)
    drift = drift_of(frame, schema, shift)
    page = scores_to_html(
        tally, top, schema, ["2,000 rows scored.", "And a <note>."], threshold=3.0, drift=drift, training=TRAINING,
        title=NASTY,
    )  # fmt: skip
    said = words_of(page)
    for words in (
        "2,000 rows scored.",
        "And a <note>.",
        "threshold 3 (red line)",
        NASTY,
        "amount",
        "stopped early",
        "mode collapse",
    ):
        assert words in said, words
    assert f"{2000 - tally.n_anomalous:,} rows called normal" in said
    assert f"{tally.n_anomalous:,} called anomalous" in said
    assert page.count('<div class="reason">') == len(top)
    assert ".reason { min-width:" in page  # however many columns there are beside it
    assert f"{top.index[0] + 1:,}" in said
    assert ("no longer look like" in said) == drift.drifted == bool(shift)
    assert "<script" not in page
    assert not re.search(r"(src|href)=|@import|url\(|https?://", page)


@pytest.mark.parametrize("threshold", [np.inf, 1e-9, 1e9])
def test_thresholds_outside_the_scores(threshold: float) -> None:
    """Every bar is of one colour, and no line is drawn."""
    frame = real()
    tally, top = scored(frame, threshold)
    page = scores_to_html(tally, top, infer_schema(frame), [], threshold=threshold)
    assert page.count('class="odd"') == (page.count("<rect") if threshold < 1 else 0)
    assert "<line" not in page
    assert "red line" not in page
    words_of(page)
