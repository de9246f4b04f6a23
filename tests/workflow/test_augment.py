"""All of `gantools augment` as a function: who sees which rows, how time is shared, what is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables import read_table
from gantools.data.tables.schema import infer_schema
from gantools.errors import ConfigError, DataError
from gantools.train.monitor import Progress
from gantools.workflow.augment import Request, run
from gantools.workflow.augment_table import TableResult, check_fits, repeats_of, spelled_strategy
from gantools.workflow.augmenting import (
    Part,
    match_label,
    scaled_strategy,
)
from gantools.workflow.contract import Watch

Table = Callable[..., pd.DataFrame]
Augment = Callable[..., TableResult]


@pytest.fixture
def augment(tmp_path: Path) -> Augment:
    """A function (frame, target, **options) -> what augmenting the table gives, after 20 steps of training."""

    def augmented(frame: pd.DataFrame, target: str, watch: Watch | None = None, **options: Any) -> TableResult:
        frame.to_csv(tmp_path / "table.csv", index=False)
        if "source" not in options:
            options = {"steps": 20, **options}
        request = Request(data=tmp_path / "table.csv", target=target, device="cpu", force=True, **options)
        result = run(request, watch)
        assert isinstance(result, TableResult)
        return result

    return augmented


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


def test_the_verdict_is_reached_without_the_rows_held_back(
    make_table: Table, augment: Augment, fits: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The first generator, its schema included, knows only the kept rows; the final one is trained on all."""
    frame = make_table()
    frame["row"] = np.arange(len(frame)) * 1.5
    result = augment(frame, "churned")
    judged, final = fits
    assert result.verdict is not None
    assert len(judged["frame"]) == result.verdict.n_train == judged["schema"].n_rows
    assert len(judged["frame"]) + result.verdict.n_holdout == 120
    pd.testing.assert_frame_equal(final["frame"], read_table(tmp_path / "table.csv")[0])
    assert result.generator.schema_.n_rows == 120
    assert len(result.synthetic) == 72


def test_the_budget_is_shared(make_table: Table, augment: Augment, fits: list[dict[str, Any]]) -> None:
    """The final training has as much as that of the verdict and what the verdict did not need; alone nearly all."""
    augment(make_table(), "churned", budget_s=1000)
    augment(make_table(), "churned", budget_s=1000, verdict=False)
    judged, final, alone = (fit["config"].budget_s for fit in fits)
    assert judged == pytest.approx(410, abs=5)
    assert judged < final < 960
    assert alone == pytest.approx(955, abs=10)


def test_a_repeated_verdict_holds_back_other_rows_in_the_same_time(
    make_table: Table, augment: Augment, fits: list[dict[str, Any]]
) -> None:
    frame = make_table()
    frame["row"] = np.arange(len(frame)) * 1.5
    result = augment(frame, "churned", budget_s=1000, repeats=2)
    first, second, final = fits
    assert first["config"].budget_s + second["config"].budget_s == pytest.approx(410, abs=8)
    assert set(first["frame"]["row"]) != set(second["frame"]["row"])
    assert len(final["frame"]) == 120 and result.verdict is not None


def test_a_verdict_is_repeated_within_reason(make_table: Table, augment: Augment) -> None:
    for given, problem in (({"repeats": 0}, "from 1 to 20"), ({"repeats": 2, "verdict": False}, "without a verdict")):
        with pytest.raises(ConfigError, match=f"repeats: .*{problem}"):
            augment(make_table(), "churned", **given)


def test_nothing_is_trained_for_a_loaded_generator(
    make_table: Table, augment: Augment, fits: list[dict[str, Any]], tmp_path: Path
) -> None:
    augment(make_table(), "churned", verdict=False, save=tmp_path / "saved")
    result = augment(make_table(), "churned", source=tmp_path / "saved")
    assert len(fits) == 1
    assert result.verdict is None
    assert "No verdict" in result.notes[0]


def test_an_interrupted_training_balances_nothing(make_table: Table, augment: Augment) -> None:
    class Interrupt(Watch):
        def __call__(self, stage: str, state: Progress) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        augment(make_table(), "churned", Interrupt(), steps=100)


def test_progress_names_the_stage(make_table: Table, augment: Augment) -> None:
    """Each stage says that it began; trainings and the verdict also how far they are."""
    begun: list[str] = []
    trained: list[tuple[str, int]] = []
    judged: list[tuple[int, int | None]] = []
    left: list[float] = []

    class Listen(Watch):
        def __call__(self, stage: str, state: Progress) -> None:
            trained.append((stage, state.step))

        def done(self, stage: str, n: int, total: int | None, what: str) -> None:
            if n == 0:
                begun.append(stage)
            elif stage == Part.JUDGE:
                judged.append((n, total))

        def left(self, seconds: float) -> None:
            left.append(seconds)

    augment(make_table(), "churned", Listen())
    assert begun == [Part.TRAIN_TO_JUDGE, Part.MAKE_TO_JUDGE, Part.JUDGE, Part.TRAIN, Part.MAKE, Part.MEASURE]
    assert trained == [(Part.TRAIN_TO_JUDGE, 20), (Part.TRAIN, 20)]
    assert judged == [(k, 5) for k in range(1, 6)]
    assert len(left) == len(trained) + len(judged) and min(left) >= 0


def test_row_numbers_and_delimiters_at_the_end_of_lines(make_table: Table, tmp_path: Path) -> None:
    """Real rows stay as they are; new ones have new numbers."""
    data, out = tmp_path / "t.csv", tmp_path / "out.csv"
    make_table(40, 8).to_csv(data)
    lines = data.read_text().splitlines()
    data.write_text("\n".join([lines[0], *(f"{line}," for line in lines[1:])]) + "\n")
    result = run(Request(data=data, target="churned", output=out, steps=5, device="cpu", verdict=False))
    notes = result.to_json()["notes"]
    assert "the empty column behind it is left out" in notes[0]
    assert any("'Unnamed: 0'" in note and "not learned" in note for note in notes)
    made = out.read_text().splitlines()
    assert made[0] == f"{lines[0]},is_synthetic"
    assert made[1 : len(lines)] == [f"{line},False" for line in lines[1:]]
    assert [int(line.partition(",")[0]) for line in made[1:]] == list(range(len(made) - 1))


def test_a_class_of_one_row(make_table: Table, augment: Augment) -> None:
    """Too small to be held back or learned: it is still filled to the asked count."""
    result = augment(make_table(n_rare=1), "churned")
    assert result.balance.counts_after == {"no": 119, "yes": 119}


def test_numbers_as_labels_from_json(make_table: Table, augment: Augment) -> None:
    """JSON writes the label 1 as "1"."""
    frame = make_table()
    frame["churned"] = (frame["churned"] == "yes").astype("int64")
    result = augment(frame, "churned", strategy={"1": 40})
    assert result.balance.counts_after == {0: 96, 1: 40}


@pytest.mark.parametrize("strategy", [{"yes": 24}, {"no": 96, "yes": 24}])
def test_nothing_to_make_is_refused(
    make_table: Table, augment: Augment, strategy: Any, fits: list[dict[str, Any]]
) -> None:
    with pytest.raises(ConfigError, match="strategy"):
        augment(make_table(), "churned", strategy=strategy)
    assert not fits


def test_scaled_strategy_keeps_what_is_there() -> None:
    labels = pd.Series(["a"] * 60 + ["b"] * 9)
    assert scaled_strategy({"a": 70, "b": 41}, labels, 0.75) == {"a": 60, "b": 31}
    assert scaled_strategy("minority", labels, 0.75) == "minority"
    assert scaled_strategy(0.5, labels, 0.75) == 0.5


def levels_of(labels: list[Any]) -> tuple[Any, ...]:
    return infer_schema(pd.DataFrame({"x": range(len(labels)), "y": labels}), "y")["y"].levels


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
    found = match_label(levels_of(labels * 4), text, "where")
    assert found == label
    assert type(found) is type(label)


def test_unknown_labels_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"where.*did you mean 'yes'.*no, yes"):
        match_label(levels_of(["no", "yes"] * 4), "yess", "where")


def test_a_ratio_needs_two_classes() -> None:
    frame = pd.DataFrame({"x": range(12), "y": ["a", "a", "a", "b", "b", "c"] * 2})
    with pytest.raises(ConfigError, match=r"strategy.*two classes, and there are 3.*give counts"):
        spelled_strategy(frame, infer_schema(frame, "y"), 0.5)


def test_another_table_is_told_by_its_columns(make_table: Table) -> None:
    frame = make_table()
    schema = infer_schema(frame, "churned")
    check_fits(frame[frame.columns[::-1]], "churned", schema)
    with pytest.raises(DataError, match=r"the column 'city'.*'town'"):
        check_fits(frame.rename(columns={"city": "town"}), "churned", schema)
    with pytest.raises(DataError, match="'churned'"):
        check_fits(frame, "city", schema)


@pytest.mark.parametrize(
    ("asked", "n_rare", "times"),
    [({}, 40, 3), ({}, 4000, 1), ({"steps": 20}, 40, 1), ({"budget_s": 60.0}, 40, 1), ({"repeats": 2}, 40, 2)],
)
def test_few_rare_rows_are_judged_more_than_once_where_time_allows(asked, n_rare, times) -> None:
    request = Request(data=Path("table.csv"), target="y", **asked)
    assert repeats_of(request, pd.Series(["usual"] * 5000 + ["rare"] * n_rare)) == times
