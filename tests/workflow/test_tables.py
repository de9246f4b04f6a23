"""What workflows on tables share: kinds of columns as text, targets that are none."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.errors import ConfigError, DataError
from gantools.workflow.tables import check_target, given_back, kinds_of, without


def schema_of(labels: list[Any]) -> Schema:
    return infer_schema(pd.DataFrame({"x": range(len(labels)), "y": labels}), "y")


def test_kinds_are_words() -> None:
    assert kinds_of({"a": "integer", "c": "Categorical"}) == {"a": Kind.INTEGER, "c": Kind.CATEGORICAL}


def test_kinds_suggest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'integer'"):
        kinds_of({"age": "intger"})
    with pytest.raises(ConfigError, match="choose from"):
        kinds_of({"age": "zzz"})


@pytest.mark.parametrize("labels", [["a"] * 8, list("abcdefgh"), [0.1 * i for i in range(8)]])
def test_targets_that_are_no_classes(labels: list[Any]) -> None:
    with pytest.raises(DataError, match="'y'"):
        check_target(schema_of(labels))


def test_dropped_columns_are_given_back() -> None:
    """Where they were, real cells as they were; new rows have none there."""
    real = pd.DataFrame({"id": [2**60 + 1, 7], "a": [1.0, 2.0], "seen": [True, False]})
    left = without(real, ("id", "seen"), "a")
    assert list(left.columns) == ["a"]
    made = given_back(pd.concat([left, left]).reset_index(drop=True), real, ("id", "seen"))
    assert list(made.columns) == ["id", "a", "seen"]
    assert made["id"].tolist()[:2] == [2**60 + 1, 7] and made["id"].isna().tolist() == [False, False, True, True]
    assert made["seen"].tolist()[:2] == [True, False]
    assert given_back(left, real.head(0), ("id",))["id"].isna().all()
    with pytest.raises(ConfigError, match="did you mean 'seen'"):
        without(real, ("sen",))
    with pytest.raises(ConfigError, match="labelled"):
        without(real, ("a",), "a")
