"""What tests of every page need: a reader of pages, names that would break HTML, and results to show."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from gantools.evaluate.verdict import Verdict
from gantools.train.monitor import TrainingHistory, TrainingReport

FIGURES = {
    "average_precision": 0.412,
    "balanced_accuracy": 0.801,
    "macro_f1": 0.7,
    "brier": 0.1,
    "brier_recalibrated": 0.08,
}


class Checked(HTMLParser):
    """Refuses a page whose elements do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def words_of() -> Callable[[str], str]:
    """The words of a page, which must nest, hold no script and need nothing from elsewhere."""

    def read(page: str) -> str:
        parser = Checked()
        parser.feed(page)
        assert not parser.open
        assert "<script" not in page
        assert not re.search(r"href=|src=\"(?!data:image/png;base64,)|@import|url\(|https?://", page)
        return " ".join(" ".join(parser.words).split())

    return read


@pytest.fixture
def nasty() -> str:
    return '<script>alert("x")</script> & {{ brace }}'


@pytest.fixture
def training() -> TrainingReport:
    return TrainingReport(2_000, 38.4, "early", ("mode collapse, <b>look</b>",), 1_750, 0.0123)


@pytest.fixture
def history(training: TrainingReport) -> TrainingHistory:
    """A training whose losses fell, looked at every 50 steps."""
    looks = ({"generator": 1 / k, "energy_distance": 1 / k**2, "critic": None if k == 3 else k} for k in range(1, 41))
    lines = ({"step": 50 * k, "seconds": 0.5 * k, **look} for k, look in enumerate(looks, 1))
    return TrainingHistory(training, tuple(lines))


@pytest.fixture
def verdict() -> Verdict:
    return Verdict(
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


@pytest.fixture
def table(nasty: str) -> Callable[..., pd.DataFrame]:
    """A table with every kind of column."""

    def make(n: int = 300) -> pd.DataFrame:
        rng = np.random.default_rng(0)
        return pd.DataFrame(
            {
                "amount": np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 9, n)),
                "visits": rng.integers(0, 7, n),
                "city": rng.choice(["Rome", nasty], n),
                "many": [f"shop {i}" for i in rng.integers(0, 150, n)],
                "flag": rng.random(n) < 0.5,
                "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
                "lasts": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
                "same": "a",
                "empty": np.nan,
                "churned": np.where(rng.random(n) < 0.2, "yes", "no"),
            }
        )

    return make
