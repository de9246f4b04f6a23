"""Rows in groups: each has a normal of its own, small ones borrow, and the false alarms are those asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from gantools.data.tables.raw import to_raw
from gantools.errors import DataError
from gantools.export.file import export_model
from gantools.export.runtime import load_exported
from gantools.score.groups import rows_of_groups, shrunk, some_of_each, usual_in_groups
from gantools.score.table_scorer import AnomalyScorer

QUICK: dict[str, Any] = {"steps": 150, "random_state": 0, "by": "machine"}
SIZES = {"m0": 400, "m1": 400, "m2": 400, "small": 12}


def rows_of(machine: int, n: int, seed: int) -> pd.DataFrame:
    """Two columns that go together in one way in each group, and a third that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    sign, scale = (-1) ** machine, 10.0**machine
    x = rng.normal(size=n)
    y = sign * x + 0.1 * rng.normal(size=n)
    kind = rng.choice(["a", "b"], n)
    return pd.DataFrame({"x": 100 * machine + scale * x, "y": y, "z": rng.normal(size=n), "kind": kind})


def frames(sizes: dict[str, int], seed: int) -> pd.DataFrame:
    parts = [rows_of(k, n, 10 * seed + k).assign(machine=name) for k, (name, n) in enumerate(sizes.items())]
    return pd.concat(parts, ignore_index=True)[["machine", "x", "y", "z", "kind"]]


@pytest.fixture(scope="module")
def scorer() -> AnomalyScorer:
    return AnomalyScorer(**QUICK).fit(frames(SIZES, 0))


@pytest.fixture(scope="module")
def fresh() -> pd.DataFrame:
    return frames({"m0": 300, "m1": 300, "m2": 300}, 1)


def test_each_group_has_a_normal_of_its_own(scorer: AnomalyScorer, fresh: pd.DataFrame) -> None:
    """Rows whose columns go together as in another group are odd, and so are values that are usual in another."""
    odd = fresh.assign(y=-fresh["y"])
    assert scorer.by == "machine" and scorer.units_ is not None
    normal, turned = scorer.anomaly_score(fresh), scorer.anomaly_score(odd)
    far = (fresh["y"].abs() > 0.5).to_numpy()
    assert roc_auc_score(np.repeat([0, 1], far.sum()), np.concatenate([normal[far], turned[far]])) > 0.97
    moved = fresh[fresh["machine"] == "m0"].assign(x=lambda f: f["x"] + 20)  # a fifth of the way to m1
    assert (scorer.anomaly_score(moved) > scorer.threshold_).mean() > 0.95
    for rate in (0.02, 0.05):
        p = scorer.p_value(fresh)
        of_groups = pd.Series(p <= rate).groupby(fresh["machine"]).mean()
        assert (of_groups < 3 * rate).all() and 0.4 * rate < (p <= rate).mean() < 1.6 * rate


def test_small_and_unknown_groups_borrow(scorer: AnomalyScorer) -> None:
    rows = pd.concat([frames(SIZES, 2).groupby("machine").head(5), rows_of(1, 5, 3).assign(machine="new")])
    rows = pd.concat([rows, rows.head(1).assign(machine=None)], ignore_index=True)
    found = scorer.assess(rows)
    assert found["borrows"].tolist() == [False] * 15 + [True] * 11
    assert found["anomaly_score"].notna().all()


def test_saved_and_exported_ones_say_the_same(scorer: AnomalyScorer, fresh: pd.DataFrame, tmp_path: Path) -> None:
    rows = pd.concat([fresh.iloc[::30], rows_of(1, 5, 3).assign(machine="new")], ignore_index=True)
    rows.loc[::4, "y"] += 2
    expected = scorer.assess(rows, explain="flagged")
    scorer.save(tmp_path / "scorer")
    pd.testing.assert_frame_equal(AnomalyScorer.load(tmp_path / "scorer").assess(rows, explain="flagged"), expected)
    export_model(scorer, tmp_path / "scorer.onnx")
    exported = load_exported(tmp_path / "scorer.onnx")
    assert exported.by == "machine" and exported.inputs[-1].name == "machine"  # type: ignore[attr-defined]
    found = exported.assess(rows, explain="flagged")  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
    blamed = scorer.explain(rows)
    assert blamed["machine"].eq(0).all() and np.allclose(blamed.sum(axis=1), expected["anomaly_score"])


def test_reasons_are_in_units_of_the_group(scorer: AnomalyScorer) -> None:
    odd = rows_of(2, 1, 5).assign(machine="m2", x=200 + 900.0)
    [reason] = scorer.assess(odd, explain=True)["reason"]
    assert reason.startswith("x 1100 where ")
    low, high = (float(word) for word in reason.split(" where ")[1].split(" is usual")[0].split(" to "))
    assert -300 < low < 100 and 300 < high < 700  # of m2, whose x is 200 give or take 100


def test_what_each_group_always_has() -> None:
    """A column with one value in each group, such as a setting: another group's value there is odd."""
    frame = frames({"m0": 200, "m1": 200}, 0)
    frame["setting"] = frame["machine"].map({"m0": 5.0, "m1": 7.5})
    scorer = AnomalyScorer(**QUICK).fit(frame)
    rows = frame.groupby("machine").head(40)
    turned = rows.assign(setting=12.5 - rows["setting"])
    assert (scorer.anomaly_score(rows) > scorer.threshold_).mean() < 0.1
    assert (scorer.anomaly_score(turned) > scorer.threshold_).all()


def test_groups_that_are_alike_change_nothing() -> None:
    frame = pd.concat([rows_of(0, 200, k).assign(machine=f"m{k}") for k in range(4)], ignore_index=True)
    scorer = AnomalyScorer(**QUICK).fit(frame)
    assert scorer.units_ is not None and scorer.units_.is_alone.all()
    raw = to_raw(frame, scorer.schema_)
    assert scorer.units_.to_all(raw) is raw


@pytest.mark.gpu
def test_groups_on_a_gpu_are_scored_as_on_the_cpu(fresh: pd.DataFrame, tmp_path: Path) -> None:
    trained = AnomalyScorer(**QUICK, device="cuda").fit(frames(SIZES, 0))
    on_gpu = trained.assess(fresh, explain="flagged")
    trained.save(tmp_path / "scorer")
    on_cpu = AnomalyScorer.load(tmp_path / "scorer", device="cpu").assess(fresh)
    np.testing.assert_allclose(on_gpu["anomaly_score"], on_cpu["anomaly_score"], rtol=1e-3, atol=1e-3)


def test_what_makes_no_groups() -> None:
    frame = frames(SIZES, 0)
    single = "has 1 values in 1,212 rows, and groups may be 2 to"
    for by, message in (("no", "there is no such column"), ("one", single), ("x", "has 1,212 values")):
        with pytest.raises(DataError, match=f"column '{by}': {message}"):
            AnomalyScorer(**{**QUICK, "by": by}).fit(frame.assign(one=1))


def test_values_are_drawn_to_their_mean_by_what_is_not_known() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(5, 1, 400)
    variance = rng.choice([0.01, 4.0], 400)
    drawn, unknown, mean = shrunk(truth + rng.normal(size=400) * np.sqrt(variance), variance)
    assert abs(mean - 5) < 0.2 and drawn[-1] == mean and 0.6 < unknown[-1] < 1.6
    sure = variance < 1
    assert np.abs(drawn[:-1] - truth)[sure].mean() < 0.12
    assert ((drawn[:-1] - truth)[~sure] ** 2).mean() < 1.1  # 4 as they come, 0.8 at best
    noise = rng.normal(size=400)
    assert np.ptp(shrunk(noise, np.ones(400))[0]) == 0  # chance alone
    assert np.isfinite(shrunk(truth, np.where(sure, variance, np.inf))[0]).all()
    assert shrunk(np.array([3.0, np.nan]), np.array([1.0, np.inf]))[0].tolist() == [3.0, 3.0, 3.0]


def test_how_abnormal_rows_of_groups_usually_are() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(3), [1000, 1000, 2])
    found = np.concatenate([rng.normal(0, 1, 1000), rng.normal(2, 3, 1000), [50.0, 60.0]])
    (centre, spread), (middle, width) = usual_in_groups(found, group, 3)
    assert abs(centre[0]) < 0.3 and abs(centre[1] - 2) < 0.5 and 1.2 < spread[0] < 2.2 and 4 < spread[1] < 6.5
    assert centre[2] == centre[3] == middle and spread[2] == spread[3] >= width  # two rows say nothing


def test_rows_are_shared_out() -> None:
    group = np.repeat([0, 1, 2, 4], [5, 50, 500, 3])
    some = some_of_each(group, 100, 0)
    counts = np.bincount(group[some], minlength=5)
    assert counts[[0, 4]].tolist() == [5, 3] and counts[1] == counts[2] and 90 <= counts.sum() <= 100
    assert len(some_of_each(group, 1000, 0)) == len(group)
    own, others = rows_of_groups(group, 4, 40, np.arange(558), 0)
    of_own, of_others = (np.bincount(each[1], minlength=5) for each in (own, others))
    assert of_own.tolist() == [5, 40, 40, 0, 0] and of_others.tolist() == [27, 0, 0, 32, 40]
    for g in range(5):
        places = np.concatenate([each[2][each[1] == g] for each in (own, others)])
        assert sorted(places) == list(range(len(places)))
    assert (group[own[0]] == own[1]).all()
