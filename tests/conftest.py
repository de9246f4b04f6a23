"""What all tests share: one thread, so that runs repeat, and a small table with every kind of column."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded random generator."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pd.DataFrame]:
    """A function (n_rows, n_rare, seed) -> an imbalanced table with every kind of column."""
    return _make_table


def _make_table(n_rows: int = 120, n_rare: int = 24, seed: int = 0) -> pd.DataFrame:
    import pandas as pd

    rng = np.random.default_rng(seed)
    rare = np.arange(n_rows) < n_rare
    rng.shuffle(rare)
    income = np.round(rng.lognormal(7.5 + 0.5 * rare, 0.4), 2)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n_rows) - 5 * rare,
            "income": np.where(rng.random(n_rows) < 0.1, np.nan, income),
            "city": rng.choice(["Bern", "Lyon", "Turin"], n_rows, p=[0.5, 0.3, 0.2]),
            "member": rng.random(n_rows) < 0.4 + 0.3 * rare,
            "joined": pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, n_rows), unit="D"),
            "churned": np.where(rare, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def make_digits() -> Callable[[Path, dict[int, int]], Path]:
    """A function (folder, digit -> number) -> the folder, with so many PNGs of 16 pixels in a folder for each digit."""
    return _make_digits


def _make_digits(folder: Path, counts: dict[int, int]) -> Path:
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit, n in counts.items():
        (folder / str(digit)).mkdir(parents=True)
        for place, pixels in enumerate(digits.images[digits.target == digit][:n]):
            grey = np.minimum(16 * pixels, 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
            Image.fromarray(grey).save(folder / str(digit) / f"{place:03d}.png")
    return folder


@pytest.fixture(scope="session")
def make_mixed() -> Callable[..., pd.DataFrame]:
    """A function (rows, classes, seed) -> a table whose `number` and `text` carry the class `label`."""

    import pandas as pd

    def made(n: int = 600, n_classes: int = 2, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        number, text = rng.normal(size=n), rng.choice(["early", "late", "never"], n)
        signal = number + 1.5 * (text == "late") + rng.normal(size=n)
        borders = np.quantile(signal, [0.85] if n_classes == 2 else [0.6, 0.9])
        return pd.DataFrame(
            {
                "number": np.where(rng.random(n) < 0.1, np.nan, number),
                "count": pd.array(np.where(rng.random(n) < 0.1, None, rng.integers(0, 9, n)), dtype="Int64"),
                "text": pd.Series(text, dtype=object).where(rng.random(n) > 0.1, None),
                "many": [f"city {i}" for i in rng.integers(0, 90, n)],
                "flag": pd.array(np.where(rng.random(n) < 0.1, None, rng.random(n) < 0.5), dtype="boolean"),
                "when": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9000, n), unit="h"),
                "lasts": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
                "label": np.array(["no", "yes", "most"])[np.digitize(signal, borders)],
            }
        )

    return made
