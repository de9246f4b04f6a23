"""The page on a balanced table shows what the results' JSON says, and names are shown as they are."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from gantools.augment.balance import BalanceResult
from gantools.data.tables.schema import infer_schema
from gantools.evaluate.table_fidelity import table_fidelity
from gantools.evaluate.verdict import Verdict
from gantools.report.balanced_table import balanced_table
from gantools.train.monitor import TrainingHistory

Table = Callable[..., pd.DataFrame]


def balanced(real: pd.DataFrame, synthetic: pd.DataFrame, target: str) -> BalanceResult:
    whole = pd.concat([real, synthetic], ignore_index=True)
    counts = (frame[target].value_counts().to_dict() for frame in (real, whole))
    flag = np.arange(len(whole)) >= len(real)
    return BalanceResult(whole.assign(is_synthetic=flag), *counts, 3, 0, ("A note of the balancer.",))


def test_the_page_says_what_the_results_say(
    table: Table, verdict: Verdict, history: TrainingHistory, words_of: Callable[[str], str]
) -> None:
    real = table()
    synthetic = real[real["churned"] == "yes"].sample(150, replace=True, random_state=0)
    schema, balance = infer_schema(real, "churned"), balanced(real, synthetic, "churned")
    fidelity = table_fidelity(real, synthetic, schema)
    assert fidelity is not None
    page = balanced_table("Customers & churn", balance, schema, verdict=verdict, fidelity=fidelity, training=history)
    said = words_of(page)
    assert len(page) < 60_000
    for words in (
        *("Customers & churn", "A note of the balancer.", "mode collapse, <b>look</b>", "stopped early"),
        *("not available", "no balancing", "3 were drawn again", "none is left", "none"),
    ):
        assert words in said, words

    told = json.loads(json.dumps(verdict.to_json()))
    assert told["sentence"] in said and told["notes"][0] in said
    assert f"{told['scores']['none']['average_precision']:.3f}" in said
    low, high = told["interval"]
    assert f"{told['difference']:+.3f} (90 % interval {low:+.3f} to {high:+.3f})" in said
    told = json.loads(json.dumps(balance.to_json()))
    assert f"300 real rows and {told['n_synthetic']} synthetic ones" in said
    assert told["n_copies_redrawn"] == 3 and told["n_copies_left"] == 0
    for row in told["classes"]:
        assert f"{row['label']} {row['before']} {row['after'] - row['before']} {row['after']}" in said
    told = json.loads(json.dumps(history.report.to_json()))
    assert f"{told['steps']:,} steps in 0:38, weights of step {told['best_step']:,}." in said
    assert "Energy distance from held-out real samples" in said and "From 1 to 0.000625" in said
    told = json.loads(json.dumps(fidelity.to_json()))
    for column in told["columns"]:
        assert f"{column['name']} difference {column['difference']:.2f}" in said
        for level in column["levels"][:1]:
            assert f"{100 * level['real']:.0f} % {100 * level['synthetic']:.0f} %" in said
    amount = told["columns"][0]
    assert f"mean {amount['real']['mean']:.2f} {amount['synthetic']['mean']:.2f} " in said
    assert (
        page.count("<polyline") - 3 == sum(bool(column["edges"]) for column in told["columns"]) == 4
    )  # 3 of the training
    for name in schema.names:
        assert name in said


def test_values_are_spelled_as_their_columns_are(table: Table, words_of: Callable[[str], str]) -> None:
    real = table()
    schema = infer_schema(real, "churned")
    said = words_of(
        balanced_table("x", balanced(real, real[:50], "churned"), schema, fidelity=table_fidelity(real, real, schema))
    )
    when = said.split("when difference", 1)[1][:200]
    assert "2024-01-" in when and " days" in when and ":" not in when.split("missing")[1].split("%")[0]


def test_everything_is_escaped(
    table: Table, verdict: Verdict, history: TrainingHistory, nasty: str, words_of: Callable[[str], str]
) -> None:
    """In the title, in names of columns, in levels and in classes."""
    real = table().rename(columns={"amount": nasty}).replace({"churned": {"yes": nasty}})
    schema = infer_schema(real, "churned")
    page = balanced_table(
        nasty,
        balanced(real, real[:50], "churned"),
        schema,
        verdict=verdict,
        fidelity=table_fidelity(real, real[:50], schema),
        training=history,
    )
    assert words_of(page).count(nasty) >= 5


def test_columns_that_differ_are_named(table: Table, words_of: Callable[[str], str]) -> None:
    real = table(3_000)
    schema = infer_schema(real, "churned")
    balance = balanced(real, real[:50], "churned")
    alike = table_fidelity(real, real.sample(1_000, random_state=0), schema)
    assert "No column differs by 0.1 more than chance" in words_of(balanced_table("x", balance, schema, fidelity=alike))
    other = table_fidelity(real, real.assign(amount=real["amount"] + 40, city="Rome"), schema)
    said = words_of(balanced_table("x", balance, schema, fidelity=other))
    assert "differ most: amount (0.9" in said and ", city (0.5" in said


def test_without_verdict_training_or_synthetic_rows(table: Table, words_of: Callable[[str], str]) -> None:
    real = table()
    said = words_of(balanced_table("x", balanced(real, real[:0], "churned"), infer_schema(real, "churned")))
    assert "No verdict was reached" in said
    assert "0 synthetic ones" in said
    assert "Training" not in said and "Real and synthetic values" not in said


@pytest.mark.parametrize("scores", [{}, {"none": None}])
def test_a_verdict_without_scores(table: Table, words_of: Callable[[str], str], scores: dict[str, None]) -> None:
    real = table()
    none = Verdict(scores, 90, 0, "No verdict: the table has a single class.", "unclear")
    said = words_of(
        balanced_table("x", balanced(real, real[:9], "churned"), infer_schema(real, "churned"), verdict=none)
    )
    assert "the table has a single class" in said


def test_a_wide_table_is_cut_and_says_so(words_of: Callable[[str], str]) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 230)).round(2)).add_prefix("v")
    frame["label"] = np.repeat(["a", "b"], 30)
    schema = infer_schema(frame, "label")
    fidelity = table_fidelity(frame, frame, schema)
    said = words_of(balanced_table("x", balanced(frame, frame, "label"), schema, fidelity=fidelity))
    assert "30 more columns are not shown" in said
