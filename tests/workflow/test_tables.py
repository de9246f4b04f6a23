"""What workflows on tables share: kinds of columns as text, targets that are none."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.errors import ConfigError, DataError
from gantools.workflow.tables import check_target, kinds_of


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
