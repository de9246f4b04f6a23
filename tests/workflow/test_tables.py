"""What workflows on tables share: kinds of columns as text, targets that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gantools.data.tables.schema import Kind, Schema, infer_schema
from gantools.errors import ConfigError, DataError
from gantools.workflow.augment import Request as Augment
from gantools.workflow.score import Request as Score
from gantools.workflow.tables import check_columns, check_target, given_back, kinds_of, without


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


def test_columns_that_are_not_there_are_told_by_the_header_alone(tmp_path: Path) -> None:
    data, normal = tmp_path / "data.csv", tmp_path / "normal.csv.gz"
    data.write_bytes("größe,stück,bad\n1,2,0\n".encode("cp1252"))
    pd.DataFrame({"größe": [1], "stück": [2]}).to_csv(normal, index=False, encoding="cp1252")
    check_columns(Augment(data=data, target="bad", drop=("größe",), kinds={"stück": "integer"}), data)
    check_columns(Score(data=data, normal=normal, labels="bad", drop=("größe",)), normal)
    cases: list[tuple[Any, Path, str]] = [
        (Augment(data=data, target="bat"), data, "data.csv: there is no column 'bat'; did you mean 'bad'"),
        (Augment(data=data, target="bad", drop=("stuck",)), data, "drop: there is no column 'stuck'; did you mean 'st"),
        (
            Augment(data=data, target="bad", drop=("bad",)),
            data,
            "drop: 'bad' is what the rows are labelled or grouped by",
        ),
        (Augment(data=data, target="bad", kinds={"b": "integer"}), data, "there is no column 'b'"),
        (Score(data=data, normal=normal, labels="bda"), normal, "normal.csv.gz: column 'bda': there is no such column"),
        (Score(data=data, normal=normal, drop=("bad",)), normal, "drop: there is no column 'bad'"),
    ]
    for request, source, said in cases:
        with pytest.raises((ConfigError, DataError)) as caught:
            check_columns(request, source)
        assert said in str(caught.value)


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
