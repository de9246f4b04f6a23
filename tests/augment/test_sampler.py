"""GANOverSampler keeps imbalanced-learn's contract and gives data frames back as they came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from imblearn.utils.estimator_checks import parametrize_with_checks
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification

from gantools import GANOverSampler
from gantools.augment.small import MIN_ROWS
from gantools.errors import ConfigError

TINY = {"width": 16}


class QuickSampler(GANOverSampler):
    """The sampler at a size for tests."""

    def __init__(self, sampling_strategy: Any = "auto", *, random_state: Any = None) -> None:
        super().__init__(
            sampling_strategy, options=TINY, random_state=random_state, steps=8, batch_size=32, device="cpu"
        )


@parametrize_with_checks([QuickSampler(random_state=0)])
def test_imbalanced_learns_own_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.fixture
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table()


def test_originals_first_then_exactly_what_was_asked(frame: pd.DataFrame) -> None:
    X, y = frame.drop(columns="churned"), frame["churned"]
    X_out, y_out = QuickSampler({"yes": 60}, random_state=0).fit_resample(X, y)
    assert Counter(y_out) == {"no": 96, "yes": 60}
    pd.testing.assert_frame_equal(X_out.iloc[: len(X)], X)
    pd.testing.assert_series_equal(y_out.iloc[: len(y)], y)
    assert (y_out.iloc[len(y) :] == "yes").all()
    assert X_out.dtypes.to_dict() == X.dtypes.to_dict()


@pytest.mark.parametrize("dtype", ["category", "str", "int64", "Int64", "bool", "float64"])
def test_labels_of_every_dtype(frame: pd.DataFrame, dtype: str) -> None:
    X, y = frame.drop(columns="churned"), frame["churned"]
    y = y.astype(dtype) if dtype in ("category", "str") else (y == "yes").astype(dtype)
    _, y_out = QuickSampler(random_state=0).fit_resample(X, y)
    assert y_out.dtype == y.dtype and y_out.name == y.name
    assert set(y_out.value_counts()) == {96}


def test_columns_that_are_no_text_and_a_strange_index(frame: pd.DataFrame) -> None:
    X = frame[["age", "city"]].set_axis([0, 1], axis=1).set_index(np.arange(len(frame))[::-1] * 3)
    X_out, _ = QuickSampler(random_state=0).fit_resample(X, frame["churned"].to_numpy())
    assert list(X_out.columns) == [0, 1] and len(X_out) == 192


def test_a_frame_of_another_library_is_taken_for_one_of_pandas(frame: pd.DataFrame) -> None:
    X, y = frame.drop(columns="churned"), frame["churned"]
    X_out, _ = QuickSampler(random_state=0).fit_resample(pa.Table.from_pandas(X), y)
    pd.testing.assert_frame_equal(X_out.iloc[: len(X)], X)
    assert len(X_out) == 192


def test_one_seed_one_result(frame: pd.DataFrame) -> None:
    X, y = frame.drop(columns="churned"), frame["churned"]
    sampler = QuickSampler(random_state=3)
    first, second = sampler.fit_resample(X, y)[0], clone(sampler).fit_resample(X, y)[0]
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(QuickSampler(random_state=4).fit_resample(X, y)[0])


def test_sparse_stays_sparse() -> None:
    X, y = make_classification(120, 6, weights=[0.8], random_state=0)
    X[np.abs(X) < 0.5] = 0
    X_out, y_out = QuickSampler(random_state=0).fit_resample(sparse.csc_matrix(X), y)
    assert sparse.issparse(X_out) and X_out.format == "csc" and X_out.shape[0] == len(y_out)


@pytest.mark.parametrize("n_rare", [1, 2, MIN_ROWS - 1])
def test_a_class_too_small_to_learn_from_is_repeated_smoothly(
    make_table: Callable[..., pd.DataFrame], n_rare: int
) -> None:
    frame = make_table(80, n_rare)
    X, y = frame[["age", "city"]], frame["churned"]
    X_out, y_out = QuickSampler(random_state=0).fit_resample(X, y)
    assert Counter(y_out)["yes"] == 80 - n_rare
    real, made = X[y == "yes"], X_out.iloc[len(X) :]
    assert set(made["city"]) <= set(real["city"])
    assert made["age"].between(real["age"].min(), real["age"].max()).all()


def test_unknown_model_and_option_are_named(frame: pd.DataFrame) -> None:
    X, y = frame.drop(columns="churned"), frame["churned"]
    with pytest.raises(ConfigError, match="did you mean 'tabular'"):
        GANOverSampler(model="tabluar").fit_resample(X, y)
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        GANOverSampler(options={"witdh": 3}).fit_resample(X, y)


@pytest.mark.parametrize("kind", ["missing cells", "text"])
def test_arrays_with_missing_cells_or_text(kind: str) -> None:
    rng = np.random.default_rng(0)
    y = np.array(["no"] * 100 + ["yes"] * 20)
    numbers = rng.normal(size=(120, 3))
    if kind == "text":
        x = np.column_stack([numbers[:, 0].astype(object), rng.choice(["u", "v"], 120).astype(object)])
    else:
        x = np.where(rng.random((120, 3)) < 0.1, np.nan, numbers)
    balanced, _ = GANOverSampler(steps=8).fit_resample(x, y)
    assert balanced.shape == (200, x.shape[1])
    assert balanced.dtype == x.dtype
    assert pd.DataFrame(balanced[:120]).equals(pd.DataFrame(x))


def test_whole_numbers_beyond_64_bits_get_fresh_ones() -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=120), "z": pd.Series([10**25 + i for i in range(120)], dtype=object)})
    balanced, _ = GANOverSampler(steps=8).fit_resample(x, pd.Series(["no"] * 100 + ["yes"] * 20))
    assert balanced["z"].is_unique
    assert balanced["z"].iloc[:120].tolist() == x["z"].tolist()
