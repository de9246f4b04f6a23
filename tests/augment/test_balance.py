"""Balancing: counts, strategies, copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from gantools.augment.balance import balance, parse_strategy, rows_to_make
from gantools.augment.choose import Anchors, _take, balancing, refined
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.errors import ConfigError, DataError
from gantools.nn.conditioning import Condition

TINY = {"width": 16}


def fitted(frame: pd.DataFrame, target: str, model: str = "tabular", steps: int = 8) -> Synthesizer:
    return Synthesizer(model, TINY, TrainConfig(steps=steps, batch_size=32, device="cpu")).fit(frame, target)


LABELS = pd.Series(["a"] * 50 + ["b"] * 20 + ["c"] * 5, name="kind")


@pytest.mark.parametrize(
    ("strategy", "want"),
    [
        ("auto", {"b": 30, "c": 45}),
        ("not majority", {"b": 30, "c": 45}),
        ("minority", {"c": 45}),
        ("not minority", {"b": 30}),
        ("all", {"b": 30, "c": 45}),
        ({"c": 8}, {"c": 3}),
    ],
)
def test_strategies_mean_what_they_mean_in_imbalanced_learn(strategy: object, want: dict[str, int]) -> None:
    assert rows_to_make(LABELS, strategy) == want  # type: ignore[arg-type]


def test_a_ratio_for_two_classes() -> None:
    assert rows_to_make(LABELS[:70], 0.5) == {"b": 5}
    with pytest.raises(ConfigError, match="strategy"):
        rows_to_make(LABELS, 0.5)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [({"d": 9}, "no label 'd'"), ({"b": 3}, "fewer rows of 'b'"), ("most", "'most' is unknown")],
)
def test_bad_strategies_are_named(strategy: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        rows_to_make(LABELS, strategy)  # type: ignore[arg-type]


def test_missing_labels_are_refused() -> None:
    with pytest.raises(DataError, match="1 labels are missing"):
        rows_to_make(pd.Series(["a", "b", None], name="kind"), "auto")


@pytest.mark.parametrize(
    ("text", "want"),
    [("auto", "auto"), ("not-majority", "not majority"), ("0.5", 0.5), ("1", 1.0), ('{"yes": 500}', {"yes": 500})],
)
def test_strategy_as_written(text: str, want: object) -> None:
    assert parse_strategy(text) == want


@pytest.mark.parametrize("text", ["", "true", "[1]", '{"yes": -1}', '{"yes": 1.5}', '{"yes": true}', "{yes: 5}"])
def test_strategy_badly_written(text: str) -> None:
    with pytest.raises(ConfigError, match="strategy"):
        parse_strategy(text)


def test_a_column_of_labels_that_is_not_there_is_named(make_table: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(DataError, match="column 'left'"):
        balance(make_table(), "left", synthesizer=Synthesizer())


def test_the_frame_comes_back_whole_and_flagged(make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table()
    result = balance(frame, "churned", synthesizer=fitted(frame, "churned"))
    assert list(result.frame.columns) == [*frame.columns, "is_synthetic"]
    pd.testing.assert_frame_equal(result.frame.iloc[: len(frame), :-1], frame)
    assert result.frame["is_synthetic"].tolist() == [False] * 120 + [True] * 72
    assert result.counts_before == {"no": 96, "yes": 24} and result.counts_after == {"no": 96, "yes": 96}
    assert result.frame["churned"].value_counts().to_dict() == {"no": 96, "yes": 96}


def test_copies_of_real_rows_are_redrawn_or_counted() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 6, 300), "b": rng.integers(0, 6, 300)})
    frame["label"] = np.where(np.arange(300) < 60, "x", "y")
    hole = (frame["a"] == 3) & (frame["b"] == 3)
    frame = frame[~hole].reset_index(drop=True)
    result = balance(frame, "label", synthesizer=fitted(frame, "label"))
    made = result.frame[result.frame["is_synthetic"]]
    known = set(map(tuple, frame[["a", "b"]].to_numpy().tolist()))
    copies = sum(tuple(row) in known for row in made[["a", "b"]].to_numpy().tolist())
    assert copies == result.n_copies_left > 0
    assert "equal real ones" in result.notes[0]


def test_no_copies_where_there_is_room(make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table()
    result = balance(frame, "churned", synthesizer=fitted(frame, "churned"))
    assert result.n_copies_left == 0
    made = result.frame[result.frame["is_synthetic"]]
    assert not made.merge(frame.drop(columns="churned")).size


def test_a_class_too_small_to_learn_from_is_named(make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table(80, 4)
    assert "'yes' (4)" in balance(frame, "churned", synthesizer=fitted(frame, "churned")).notes[0]
    frame = make_table(80, 10)
    assert not balance(frame, "churned", synthesizer=fitted(frame, "churned")).notes


def test_identifiers_are_fresh_and_distinct(make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table()
    frame.insert(0, "customer_id", [f"C{i:05d}" for i in range(len(frame))])
    result = balance(frame, "churned", synthesizer=fitted(frame, "churned"))
    assert result.frame["customer_id"].is_unique


def blobs(n_rare: int) -> pd.DataFrame:
    """A common class around (0, 0) and a rare one around (3, 3)."""
    rng = np.random.default_rng(0)
    centre = np.repeat([[0.0, 0.0], [3.0, 3.0]], [600, n_rare], axis=0)
    points = centre + rng.normal(size=centre.shape)
    return pd.DataFrame(points, columns=["u", "v"]).assign(label=np.repeat(["common", "rare"], [600, n_rare]))


def test_chosen_rows_lie_where_their_class_lies() -> None:
    frame = blobs(30)
    maker = fitted(frame, "label", steps=400)
    near = maker.sample({"rare": 500}, to_balance=frame)
    assert near[["u", "v"]].mean().to_numpy() == pytest.approx([3, 3], abs=0.7)
    right = (near["u"] + near["v"] > 3).mean()
    assert right > 0.9
    assert right >= (maker.sample({"rare": 500})[["u", "v"]].sum(axis=1) > 3).mean()


def test_moved_rows_lie_between_neighbours() -> None:
    frame = blobs(100)
    maker = fitted(frame, "label")
    random = torch.Generator().manual_seed(0)
    anchors = maker._anchors(frame, random)
    moved = anchors.moved(2000, torch.tensor([0.5, 0.5]), random)
    low, high = anchors.rows.min(0).values, anchors.rows.max(0).values
    assert ((moved >= low - 1e-5) & (moved <= high + 1e-5)).all()
    nearest = torch.cdist(moved, anchors.rows).min(1).values
    assert nearest.median() < 0.15
    assert (moved.sum(1) > 0.5).float().mean().item() == pytest.approx(0.5, abs=0.12)


def test_a_model_that_cannot_judge_just_samples(make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table()
    maker = fitted(frame, "churned", "cgan")
    label = torch.ones(20, dtype=torch.int64)
    anchors = maker._anchors(frame, torch.Generator().manual_seed(0))
    plain = maker.gan_.sample(20, Condition(label), torch.Generator().manual_seed(0))
    assert isinstance(anchors, Anchors)
    assert torch.equal(balancing(maker.gan_, label, anchors, torch.Generator().manual_seed(0)), plain)
    assert torch.equal(refined(maker.gan_, label, torch.Generator().manual_seed(0)), plain)


def test_candidates_are_taken_once_and_by_weight() -> None:
    random = torch.Generator().manual_seed(0)
    probability = torch.rand(4000, generator=random)
    evidence = torch.stack([1 - probability, probability], 1).log()
    label = torch.tensor([0, 1] * 500)
    taken = _take(evidence, torch.tensor([0.5, 0.5]), label, 3.0, random)
    assert len(taken.unique()) == 1000
    assert probability[taken[label == 1]].mean() > 0.75
    assert probability[taken[label == 0]].mean() < 0.25
    flat = _take(torch.full((4000, 2), 0.5).log(), torch.tensor([0.5, 0.5]), label, 3.0, random)
    assert probability[flat].mean().item() == pytest.approx(0.5, abs=0.04)


def test_refining_makes_rows_fit_their_labels() -> None:
    frame = blobs(200)
    options, train = {"width": 16, "noise_dim": 8}, TrainConfig(steps=400, batch_size=32, device="cpu")
    maker = Synthesizer("tabular", options, train).fit(frame, "label")

    def fit(refine: bool) -> float:
        rows = maker.sample({"common": 1000, "rare": 1000}, refine=refine)
        return float(((rows["u"] + rows["v"] > 3) == (rows["label"] == "rare")).mean())

    assert fit(refine=True) > max(0.9, fit(refine=False) + 0.01)


def test_proportions_and_exact_numbers(make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table()
    maker = fitted(frame, "churned")
    assert maker.sample(50)["churned"].value_counts().to_dict() == {"no": 40, "yes": 10}
    assert len(maker.sample(0)) == 0 and len(maker.sample({"yes": 0})) == 0
    with pytest.raises(ConfigError, match="no label 'maybe'"):
        maker.sample({"maybe": 3})
    with pytest.raises(ConfigError, match="negative"):
        maker.sample(-1)
