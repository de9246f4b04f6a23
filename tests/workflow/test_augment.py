"""All of `gantools augment` as a function: who sees which rows, how time is shared, what is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.data.tables.schema import Schema, infer_schema
from gantools.errors import ConfigError, DataError
from gantools.workflow.augment import (
    augment_table,
    check_fits,
    check_strategy,
    check_target,
    match_label,
    scaled_strategy,
)

Table = Callable[..., pd.DataFrame]

QUICK = TrainConfig(steps=20, device="cpu")


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each training was given: its rows, schema and configuration."""
    seen: list[dict[str, Any]] = []
    original = Synthesizer.fit

    def spy(self: Synthesizer, frame: pd.DataFrame, target: str, **options: Any) -> Synthesizer:
        seen.append({"frame": frame.copy(), "config": self.train, **options})
        return original(self, frame, target, **options)

    monkeypatch.setattr(Synthesizer, "fit", spy)
    return seen


def test_the_verdict_is_reached_without_the_rows_held_back(make_table: Table, fits: list[dict[str, Any]]) -> None:
    """The first generator, its schema included, knows only the kept rows; the final one is trained on all."""
    frame = make_table()
    frame["row"] = np.arange(len(frame)) * 1.5
    result = augment_table(frame, "churned", train=QUICK)
    judged, final = fits
    assert result.verdict is not None
    assert len(judged["frame"]) == result.verdict.n_train == judged["schema"].n_rows
    assert len(judged["frame"]) + result.verdict.n_holdout == 120
    pd.testing.assert_frame_equal(final["frame"], frame)
    assert result.synthesizer.schema_.n_rows == 120
    assert len(result.synthetic) == 72


def test_the_budget_is_shared(make_table: Table, fits: list[dict[str, Any]]) -> None:
    """Equal shares for both trainings, and nearly all for one alone."""
    config = TrainConfig(steps=20, device="cpu", budget_s=1000)
    augment_table(make_table(), "churned", train=config)
    augment_table(make_table(), "churned", train=config, with_verdict=False)
    assert [fit["config"].budget_s for fit in fits] == [450, 450, 950]


def test_nothing_is_trained_for_a_loaded_generator(make_table: Table, fits: list[dict[str, Any]]) -> None:
    maker = augment_table(make_table(), "churned", train=QUICK, with_verdict=False).synthesizer
    result = augment_table(make_table(), "churned", synthesizer=maker)
    assert len(fits) == 1
    assert result.verdict is None
    assert "No verdict" in result.notes[0]


def test_an_interrupted_training_balances_nothing(make_table: Table) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        augment_table(make_table(), "churned", train=TrainConfig(steps=100, device="cpu"), progress=interrupt)


def test_progress_names_the_stage(make_table: Table) -> None:
    news: list[tuple[str, int]] = []
    augment_table(make_table(), "churned", train=QUICK, progress=lambda stage, state: news.append((stage, state.step)))
    assert news == [("Training for the verdict", 20), ("Training on all rows", 20)]


def test_a_class_of_one_row(make_table: Table) -> None:
    """Too small to be held back or learned: it is still filled to the asked count."""
    result = augment_table(make_table(n_rare=1), "churned", train=QUICK)
    assert result.balance.counts_after == {"no": 119, "yes": 119}


def test_numbers_as_labels_from_json(make_table: Table) -> None:
    """JSON writes the label 1 as "1"."""
    frame = make_table()
    frame["churned"] = (frame["churned"] == "yes").astype("int64")
    result = augment_table(frame, "churned", strategy={"1": 40}, train=QUICK)
    assert result.balance.counts_after == {0: 96, 1: 40}


@pytest.mark.parametrize("strategy", [{"yes": 24}, {"no": 96, "yes": 24}])
def test_nothing_to_make_is_refused(make_table: Table, strategy: Any, fits: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="strategy"):
        augment_table(make_table(), "churned", strategy=strategy, train=QUICK)
    assert not fits


def test_scaled_strategy_keeps_what_is_there() -> None:
    labels = pd.Series(["a"] * 60 + ["b"] * 9)
    assert scaled_strategy({"a": 70, "b": 41}, labels, 0.75) == {"a": 60, "b": 31}
    assert scaled_strategy("minority", labels, 0.75) == "minority"
    assert scaled_strategy(0.5, labels, 0.75) == 0.5


def schema_of(labels: list[Any]) -> Schema:
    return infer_schema(pd.DataFrame({"x": range(len(labels)), "y": labels}), "y")


@pytest.mark.parametrize(
    ("labels", "text", "label"),
    [
        (["no", "yes"], "yes", "yes"),
        ([0, 1], "1", 1),
        ([0, 1], "1.0", 1),
        ([0.5, 1.0], "1", 1.0),
        ([False, True], "true", True),
        (["1", "true"], "1", "1"),
        (["a=b", "c"], "a=b", "a=b"),
    ],
)
def test_labels_are_found(labels: list[Any], text: str, label: Any) -> None:
    found = match_label(schema_of(labels * 4), text, "--where")
    assert found == label
    assert type(found) is type(label)


def test_unknown_labels_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"--where.*did you mean 'yes'.*no, yes"):
        match_label(schema_of(["no", "yes"] * 4), "yess", "--where")


@pytest.mark.parametrize("labels", [["a"] * 8, list("abcdefgh"), [0.1 * i for i in range(8)]])
def test_targets_that_are_no_classes(labels: list[Any]) -> None:
    with pytest.raises(DataError, match="'y'"):
        check_target(schema_of(labels))


def test_a_ratio_needs_two_classes() -> None:
    frame = pd.DataFrame({"x": range(12), "y": ["a", "a", "a", "b", "b", "c"] * 2})
    with pytest.raises(ConfigError, match=r"--strategy.*two classes, and there are 3.*give counts"):
        check_strategy(frame, infer_schema(frame, "y"), 0.5)


def test_another_table_is_told_by_its_columns(make_table: Table) -> None:
    frame = make_table()
    schema = infer_schema(frame, "churned")
    check_fits(frame[frame.columns[::-1]], "churned", schema)
    with pytest.raises(DataError, match=r"the column 'city'.*'town'"):
        check_fits(frame.rename(columns={"city": "town"}), "churned", schema)
    with pytest.raises(DataError, match="'churned'"):
        check_fits(frame, "city", schema)
