"""AnomalyScorer keeps scikit-learn's outlier contract, takes any table, and its alarms are as many as asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from gantools import AnomalyScorer
from gantools.data.tables.raw import to_raw
from gantools.data.tables.schema import infer_schema
from gantools.errors import CheckpointError, ConfigError, DataError
from gantools.score import table_scorer as module
from gantools.score.drift import DriftMonitor
from gantools.train import parameters

QUICK: dict[str, Any] = {"steps": 8, "options": {"width": 16}, "batch_size": 32, "device": "cpu", "random_state": 0}

SHARES = "false_alarms sets the verdict; contamination is what training rows may hold, and may be none"
NOT_OURS = {
    "check_outlier_contamination": SHARES,
    "check_outliers_fit_predict": SHARES,
    "check_outliers_train": SHARES,
    "check_methods_subset_invariance": "sums of 32-bit numbers differ in the sixth digit with the number of rows",
}


@parametrize_with_checks(
    [AnomalyScorer(**{**QUICK, "false_alarms": 0.1})],
    expected_failed_checks=lambda estimator: NOT_OURS,
    xfail_strict=False,
)
def test_scikit_learns_own_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def correlated(n: int, seed: int, n_columns: int = 6) -> np.ndarray:
    """Numbers with two things behind them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(2, n_columns))
    return rng.normal(size=(n, 2)) @ mixing + 0.3 * rng.normal(size=(n, n_columns))


@pytest.fixture(scope="module")
def frame(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table(300).drop(columns="churned").assign(same=7, always="yes")


@pytest.fixture(scope="module")
def scorer(frame: pd.DataFrame) -> AnomalyScorer:
    return AnomalyScorer(**QUICK).fit(frame)


def test_odd_rows_of_any_kind_score_higher(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    usual = scorer.anomaly_score(frame)
    row = frame.iloc[[0]]
    odd: dict[str, object] = {
        "age": 1000, "income": 1e9, "city": "Atlantis", "same": 8, "always": "no", "joined": pd.Timestamp("1900-01-01"),
    }  # fmt: skip
    for name, value in odd.items():
        score = float(scorer.anomaly_score(row.assign(**{name: value}))[0])
        assert score > usual[0] + 1 and score > np.quantile(usual, 0.95), name
    for name in ("age", "city", "same", "joined"):
        missing = row.assign(**{name: pd.NaT if name == "joined" else None})
        assert float(scorer.anomaly_score(missing)[0]) > usual[0] + 1, name
    assert float(scorer.anomaly_score(row.assign(income=np.nan))[0]) < np.quantile(usual, 0.99)  # 10 % have none


def test_verdicts_p_values_and_scikit_learns_views_agree(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    score = scorer.anomaly_score(frame)
    assert score.dtype == np.float64 and score.shape == (300,)
    assert (scorer.score_samples(frame) == -score).all()
    assert (scorer.decision_function(frame) == -score - scorer.offset_).all()
    verdict = scorer.predict(frame)
    assert set(verdict) <= {-1, 1} and ((verdict == -1) == (scorer.decision_function(frame) < 0)).all()
    p = scorer.p_value(frame)
    assert ((p <= scorer.false_alarms) == (verdict == -1)).all() and (p > 0).all() and (p <= 1).all()
    assessed = scorer.assess(frame.set_index(np.arange(300) * 3), explain="flagged")
    assert list(assessed.index) == list(range(0, 900, 3))
    assert (assessed["is_anomaly"] == (verdict == -1)).all() and assessed["is_anomaly"].dtype == bool
    assert ((assessed["reason"] != "") == assessed["is_anomaly"]).all()
    assert (assessed["anomaly_score"] == score).all()


def test_anomalies_are_found() -> None:
    scorer = AnomalyScorer(**{**QUICK, "steps": 60, "false_alarms": 0.05}).fit(correlated(800, 0))
    normal = correlated(300, 1)
    odd = np.stack([column[np.random.default_rng(j).permutation(300)] for j, column in enumerate(normal.T)], 1)
    truth = np.repeat([0, 1], 300)
    assert roc_auc_score(truth, scorer.anomaly_score(np.concatenate([normal, odd]))) > 0.9


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_false_alarms_are_as_many_as_asked_for(rate: float) -> None:
    """On fresh rows, in the mean of some scorers: the rows held out are what limits each."""
    found = []
    for seed in range(4):
        scorer = AnomalyScorer(**{**QUICK, "random_state": seed, "false_alarms": rate}).fit(correlated(800, seed))
        found.append((scorer.predict(correlated(4000, 100 + seed)) == -1).mean())
    assert rate / 1.4 < np.mean(found) < rate * 1.4


def test_training_rows_are_scored_as_fresh_ones_are() -> None:
    """By nets that did not see them: otherwise every verdict would be too strict."""
    scorer = AnomalyScorer(**{**QUICK, "steps": 100}).fit(correlated(600, 0))
    fresh = scorer.anomaly_score(correlated(3000, 1))
    assert np.median(scorer.train_score_) == pytest.approx(np.median(fresh), rel=0.25)
    assert (scorer.calibration_.scores == np.sort(scorer.train_score_)).all()


# --- tables ---


def test_columns_in_another_order_and_further_ones(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    more = frame[frame.columns[::-1]].assign(note="x")
    assert (scorer.anomaly_score(more) == scorer.anomaly_score(frame)).all()
    assert list(scorer.explain(more.head(3)).columns) == list(frame.columns)
    assert list(scorer.assess(more.head(3))) == ["anomaly_score", "p_value", "is_anomaly"]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_table_that_does_not_fit_is_refused_by_name(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    scorer.check_fits(frame)
    for refuse in (scorer.check_fits, scorer.anomaly_score, scorer.assess, scorer.explain):
        with pytest.raises(DataError, match="lacks 2 of the 7 columns that the scorer knows: 'age', 'city'"):
            refuse(frame.drop(columns=["city", "age"]))
        with pytest.raises(DataError, match="column 'age'"):
            refuse(frame.assign(age="old"))
    with pytest.raises(ValueError, match=r"X has 2 features, but AnomalyScorer is expecting 7 features"):
        scorer.predict(np.zeros((4, 2)))


def test_a_wrong_cell_far_down_is_refused_too(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    long = pd.concat([frame] * 5, ignore_index=True).astype({"age": object})
    long.loc[1400, "age"] = "old"
    scorer.check_fits(long)  # which looks at the first thousand
    with pytest.raises(DataError, match="column 'age'"):
        scorer.anomaly_score(long)


def test_names_that_are_no_text() -> None:
    X = correlated(100, 0)
    numbered = pd.DataFrame(X)
    by_frame, by_array = AnomalyScorer(**QUICK).fit(numbered), AnomalyScorer(**QUICK).fit(X)
    assert not hasattr(by_frame, "feature_names_in_")
    assert (by_frame.anomaly_score(numbered) == by_array.anomaly_score(X)).all()
    assert (by_frame.anomaly_score(X) == by_array.anomaly_score(X)).all()
    assert list(by_frame.explain(numbered).columns) == ["0", "1", "2", "3", "4", "5"]
    mixed = numbered.rename(columns={0: "a"})
    with pytest.raises(TypeError, match="Feature names are only supported"):
        AnomalyScorer(**QUICK).fit(mixed)


def test_a_frame_of_another_library_is_taken_for_one_of_pandas(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    assert (scorer.anomaly_score(pa.Table.from_pandas(frame)) == scorer.anomaly_score(frame)).all()


def test_arrays_of_objects_and_lists(frame: pd.DataFrame) -> None:
    array = frame[["age", "city", "income"]].to_numpy(dtype=object)
    scorer = AnomalyScorer(**QUICK).fit(array)
    assert scorer.schema_.numeric == ("x0", "x2") and scorer.schema_.categorical == ("x1",)
    named = AnomalyScorer(**QUICK).fit(frame[["age", "city", "income"]])
    np.testing.assert_allclose(scorer.anomaly_score(array), named.anomaly_score(frame), rtol=1e-6)
    numbers = correlated(50, 0)
    scorer = AnomalyScorer(**QUICK).fit(numbers.tolist())
    assert (scorer.anomaly_score(numbers.tolist()) == scorer.anomaly_score(numbers)).all()


def test_a_frame_scored_as_an_array_is_the_same_with_a_word_of_warning(frame: pd.DataFrame) -> None:
    numbers = frame[["age", "income"]]
    scorer = AnomalyScorer(**QUICK).fit(numbers)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert (scorer.anomaly_score(numbers.to_numpy()) == scorer.anomaly_score(numbers)).all()


def test_sparse_is_refused() -> None:
    with pytest.raises(TypeError, match="Sparse data was passed"):
        AnomalyScorer(**QUICK).fit(sparse.csr_matrix(correlated(20, 0)))


@pytest.mark.parametrize("dtype", ["category", "Int64", "float32", "bool", "int64[pyarrow]"])
def test_dtypes(frame: pd.DataFrame, dtype: str) -> None:
    column = (frame["age"] > 40) if dtype == "bool" else frame["age"].astype(dtype)
    table = frame[["income"]].assign(age=column)
    found = AnomalyScorer(**QUICK).fit(table).assess(table, explain=True)
    assert np.isfinite(found["anomaly_score"]).all() and (found["reason"] != "").all()


def edge_tables() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    number, town = rng.normal(size=120), rng.choice(["a", "b", "c"], 120)
    return {
        "only categories": pd.DataFrame({"town": town, "even": number > 0}),
        "one column": pd.DataFrame({"a": number}),
        "all rows the same": pd.DataFrame({"a": [1.5] * 30, "b": ["x"] * 30}),
        "two kinds of row": pd.DataFrame({"a": np.arange(60) % 2, "b": np.where(np.arange(60) % 2, "x", "y")}),
        "mostly missing": pd.DataFrame({"a": np.where(number < 1.3, np.nan, number), "b": town}),
        "very large and very small": pd.DataFrame({"a": number * 1e300, "b": number * 1e-300}),
        "four rows": pd.DataFrame({"a": number[:4], "b": town[:4]}),
        "more columns than rows": pd.DataFrame(rng.normal(size=(20, 60))),
    }


@pytest.mark.parametrize("name", list(edge_tables()))
def test_edge_tables(name: str) -> None:
    frame = edge_tables()[name]
    scorer = AnomalyScorer(**QUICK).fit(frame)
    found = scorer.assess(frame, explain=True)
    assert np.isfinite(found["anomaly_score"]).all() and (found["anomaly_score"] > 0).all()
    assert found["p_value"].between(0, 1).all()
    np.testing.assert_allclose(scorer.explain(frame).sum(axis=1), found["anomaly_score"], rtol=1e-6)


def test_another_value_in_a_table_of_equal_rows_is_odd() -> None:
    frame = edge_tables()["all rows the same"]
    scorer = AnomalyScorer(**QUICK).fit(frame)
    usual, odd = scorer.anomaly_score(frame), scorer.anomaly_score(frame.head(1).assign(a=1.6))
    assert odd[0] > usual.max()


def test_three_rows() -> None:
    scorer = AnomalyScorer(**QUICK).fit(pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 2.0]}))
    far = scorer.anomaly_score(pd.DataFrame({"a": [1.5, 500.0], "b": [2.0, -500.0]}))
    assert 0 < far[0] < far[1] < 1000


def test_no_rows_at_all(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    assert scorer.anomaly_score(frame.head(0)).shape == (0,)
    assert scorer.predict(frame.head(0)).shape == (0,)


def test_too_little_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"n_samples=2 rows are too few; give at least 3"):
        AnomalyScorer(**QUICK).fit(pd.DataFrame({"a": [1.0, 2.0]}))
    with pytest.raises(DataError, match="no column is left to learn from"):
        AnomalyScorer(**QUICK).fit(pd.DataFrame({"a": [None] * 9, "id": [f"n{i}" for i in range(9)]}).assign(id=None))


# --- options ---


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("false_alarms", 0.0), ("false_alarms", 1.0), ("contamination", 0.5), ("memory", 1), ("steps", 0),
        ("batch_size", 1), ("budget_s", 0.0), ("tail", "yes"), ("model", 3),
    ],
)  # fmt: skip
def test_bad_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"The '{option}' parameter of AnomalyScorer must be"):
        AnomalyScorer(**{**QUICK, option: value}).fit(correlated(20, 0))


def test_unknown_model_and_option_are_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'denoiser'"):
        AnomalyScorer(**{**QUICK, "model": "denoyser"}).fit(correlated(20, 0))
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        AnomalyScorer(**{**QUICK, "options": {"witdh": 3}}).fit(correlated(20, 0))


def test_one_seed_one_result(scorer: AnomalyScorer, frame: pd.DataFrame) -> None:
    again = clone(scorer).fit(frame)
    assert (again.anomaly_score(frame) == scorer.anomaly_score(frame)).all()
    assert (again.train_score_ == scorer.train_score_).all() and again.threshold_ == scorer.threshold_
    pd.testing.assert_frame_equal(again.explain(frame.head(5)), scorer.explain(frame.head(5)))
    other = clone(scorer).set_params(random_state=1).fit(frame)
    assert not (other.anomaly_score(frame) == scorer.anomaly_score(frame)).any()
    state = np.random.RandomState(5)
    first, second = (AnomalyScorer(**{**QUICK, "random_state": state}).fit(frame) for _ in "ab")
    assert not (first.anomaly_score(frame) == second.anomaly_score(frame)).all()


def test_a_tail_reaches_further(frame: pd.DataFrame) -> None:
    X = correlated(500, 0)
    plain, tail = (AnomalyScorer(**{**QUICK, "tail": tail, "false_alarms": 1e-4}).fit(X) for tail in (False, True))
    assert np.isinf(plain.threshold_) and (plain.predict(X * 50) == 1).all()
    assert np.isfinite(tail.threshold_) and (tail.predict(correlated(1, 1) * 1000) == -1).all()


def test_contaminated_rows_are_set_aside() -> None:
    X = correlated(400, 0)
    rng = np.random.default_rng(0)
    X[:20] = rng.normal(0, 0.05, (20, 6)) + 6 * np.array([1, -1, 1, -1, 1, -1])  # a clump that would vouch for itself
    trusting, wary = (
        AnomalyScorer(**{**QUICK, "false_alarms": 0.05, "contamination": share}).fit(X) for share in (0.0, 0.05)
    )
    assert (wary.predict(X[:20]) == -1).all() and (trusting.predict(X[:20]) == 1).any()
    assert (wary.train_score_[:20] > wary.threshold_).all() and wary.train_score_.shape == (400,)
    assert len(wary.calibration_.scores) == 380
    fresh = correlated(2000, 1)
    assert (wary.predict(fresh) == -1).mean() < 0.15


def test_fewer_rows_are_remembered_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALIBRATION_ROWS", 100)
    X = correlated(400, 0)
    scorer = AnomalyScorer(**{**QUICK, "memory": 50}).fit(X)
    assert scorer.head_.memories[0].n_rows == 50 and len(scorer.calibration_.scores) == 100
    assert np.isfinite(scorer.train_score_).all() and scorer.train_score_.shape == (400,)


def test_labelled_rows_set_the_threshold() -> None:
    scorer = AnomalyScorer(**QUICK).fit(correlated(300, 0))
    rows = np.concatenate([correlated(200, 1), correlated(20, 2) + 2 * np.random.default_rng(0).normal(size=(20, 6))])
    truth = np.repeat([False, True], [200, 20])
    score = scorer.anomaly_score(rows)
    best = max(f1_score(truth, score > cut) for cut in score - 1e-9)
    thresholds = set()
    for y in (
        truth,
        truth.astype(int),
        truth.astype(float),
        np.where(truth, -1, 1),
        pd.Series(truth, index=range(5, 225)),
    ):
        assert scorer.tune(rows, y) is scorer
        assert f1_score(truth, scorer.predict(rows) == -1) == pytest.approx(best)
        thresholds.add(scorer.threshold_)
    assert len(thresholds) == 1


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        (["yes", "no"] * 5, "y: has 'yes'; mark anomalies with 1 and normal samples with 0"),
        ([0, 1, 2, 0, 1, 0, 0, 0, 0, 0], "y: has 2"), ([0, 1, np.nan, *[0] * 7], "y: has nan"),
        ([0, 1, -1, *[0] * 7], "y: has -1, 0 and 1"), ([0, 1], "y: has 2 labels for 10 samples"),
        ([0] * 10, "no row is marked as an anomaly"),
    ],
)  # fmt: skip
def test_labels_that_say_nothing(y: list[object], problem: str) -> None:
    scorer = AnomalyScorer(**QUICK).fit(correlated(30, 0))
    with pytest.raises(DataError, match=problem):
        scorer.tune(correlated(10, 1), y)


def test_a_schema_decides_what_columns_are(frame: pd.DataFrame) -> None:
    schema = infer_schema(frame[["income", "city"]])
    scorer = AnomalyScorer(**QUICK).fit(frame, schema=schema)
    assert scorer.schema_.names == ("income", "city")
    assert (scorer.anomaly_score(frame.assign(age=10**9)) == scorer.anomaly_score(frame)).all()


# --- keeping ---


def test_saved_and_loaded_is_the_same_scorer(scorer: AnomalyScorer, frame: pd.DataFrame, tmp_path: Path) -> None:
    scorer.save(tmp_path / "scorer")
    loaded = AnomalyScorer.load(tmp_path / "scorer", device="cpu")
    rows = pd.concat([frame, frame.head(3).assign(city="Atlantis", age=-5)])
    pd.testing.assert_frame_equal(loaded.assess(rows, explain=True), scorer.assess(rows, explain=True))
    pd.testing.assert_frame_equal(loaded.explain(rows), scorer.explain(rows))
    assert loaded.threshold_ == scorer.threshold_ and loaded.report_ == scorer.report_
    assert loaded.n_features_in_ == 7 and list(loaded.feature_names_in_) == list(frame.columns)
    assert (loaded.train_score_ == scorer.train_score_).all() and loaded.schema_ == scorer.schema_
    monitors = [DriftMonitor(each.drift_) for each in (scorer, loaded)]
    assert monitors[0].report() == monitors[1].report()
    loaded.save(tmp_path / "again")
    again = AnomalyScorer.load(tmp_path / "again", device="cpu")
    assert (again.p_value(rows) == scorer.p_value(rows)).all()
    shared = {name: value for name, value in loaded.get_params().items() if name not in ("options", "random_state")}
    assert shared == {name: scorer.get_params()[name] for name in shared}


def test_a_tuned_threshold_that_nothing_reaches_is_kept(tmp_path: Path) -> None:
    scorer = AnomalyScorer(**QUICK).fit(correlated(30, 0))
    assert np.isinf(scorer.threshold_)  # 1 % is beyond 30 rows
    scorer.save(tmp_path / "scorer")
    assert np.isinf(AnomalyScorer.load(tmp_path / "scorer", device="cpu").threshold_)


def test_folders_that_hold_no_scorer(scorer: AnomalyScorer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a saved model"):
        AnomalyScorer.load(tmp_path)
    scorer.save(tmp_path / "scorer")
    config = tmp_path / "scorer" / "config.json"
    document = json.loads(config.read_text())
    config.write_text(json.dumps({name: value for name, value in document.items() if name != "encoder"}))
    with pytest.raises(CheckpointError, match="its configuration lacks 'encoder'; train again"):
        AnomalyScorer.load(tmp_path / "scorer")
    config.write_text(json.dumps({**document, "n_remembered": 11}))
    with pytest.raises(CheckpointError, match="its weights do not fit its configuration"):
        AnomalyScorer.load(tmp_path / "scorer")


def test_not_fitted(frame: pd.DataFrame, tmp_path: Path) -> None:
    for call in (lambda one: one.predict(frame), lambda one: one.save(tmp_path / "x"), lambda one: one.explain(frame)):
        with pytest.raises(AttributeError, match="not fitted yet"):
            call(AnomalyScorer())


def stop_at(step: int, error: type[BaseException]) -> Callable[[Any], None]:
    def at(progress: Any) -> None:
        if progress.step >= step:
            raise error

    return at


def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training look, log and write checkpoints every few steps."""

    class Often(parameters.TrainConfig):
        def __init__(self, **given: Any) -> None:
            super().__init__(**{"eval_every": 4, "log_every": 2, "checkpoint_every_s": 0.0, **given})

    monkeypatch.setattr(parameters, "TrainConfig", Often)


def test_an_interrupted_training_keeps_what_was_learned(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often(monkeypatch)
    folder = tmp_path / "run"
    scorer = AnomalyScorer(**QUICK).fit(frame, folder=folder, progress=stop_at(6, KeyboardInterrupt))
    assert scorer.report_.stopped == "interrupted" and scorer.report_.steps < 8
    assert np.isfinite(scorer.assess(frame)["anomaly_score"]).all()
    with pytest.raises(CheckpointError, match="its training was interrupted"):
        AnomalyScorer.load(folder)
    resumed = AnomalyScorer(**QUICK).fit(frame, folder=folder, resume=True)
    assert resumed.report_.stopped == "finished"
    assert (resumed.anomaly_score(frame) == AnomalyScorer(**QUICK).fit(frame).anomaly_score(frame)).all()
    assert (AnomalyScorer.load(folder, device="cpu").anomaly_score(frame) == resumed.anomaly_score(frame)).all()
    with pytest.raises(CheckpointError, match="holds a finished run"):
        AnomalyScorer(**QUICK).fit(frame, folder=folder, resume=True)


@pytest.mark.parametrize(
    ("what", "other", "rows"),
    [("data", {}, 299), ("seed", {"random_state": 1}, 300), ("options", {"options": {"width": 8}}, 300)],
)
def test_other_data_options_or_seed_are_not_resumed(
    what: str, other: dict[str, Any], rows: int, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often(monkeypatch)
    folder = tmp_path / "run"
    AnomalyScorer(**QUICK).fit(frame, folder=folder, progress=stop_at(6, KeyboardInterrupt))
    with pytest.raises(CheckpointError, match=f"was made with other {what}"):
        AnomalyScorer(**{**QUICK, **other}).fit(frame.head(rows), folder=folder, resume=True)


def test_a_budget_ends_the_training(frame: pd.DataFrame) -> None:
    scorer = AnomalyScorer(**{**QUICK, "steps": 10**6, "budget_s": 1.0}).fit(frame)
    assert scorer.report_.stopped == "budget" and scorer.report_.seconds < 5
    assert np.isfinite(scorer.anomaly_score(frame)).all()


def test_torch_is_left_as_it_was(frame: pd.DataFrame) -> None:
    import torch

    before, state = torch.get_num_threads(), torch.get_rng_state()
    scorer = AnomalyScorer(**QUICK).fit(frame)
    scorer.assess(frame, explain=True)
    assert torch.get_num_threads() == before and torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_learned_from_in_bounded_memory() -> None:
    """Peak of a process of its own."""
    code = (
        "import numpy as np, resource; from gantools import AnomalyScorer;"
        "X = np.random.default_rng(0).normal(size=(100_000, 10));"
        "AnomalyScorer(steps=20, random_state=0, device='cpu', contamination=0.05).fit(X);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(told) * (1 if sys.platform == "darwin" else 1024) < 1.4 * 2**30


@pytest.mark.gpu
def test_scores_on_a_gpu_are_those_of_the_cpu(frame: pd.DataFrame, tmp_path: Path) -> None:
    scorer = AnomalyScorer(**QUICK).fit(frame)
    on_cpu = scorer.assess(frame)
    on_gpu = scorer.to("cuda").assess(frame, explain=True)
    np.testing.assert_allclose(on_gpu["anomaly_score"], on_cpu["anomaly_score"], rtol=1e-3, atol=1e-3)
    assert (on_gpu["reason"] != "").all()
    trained = AnomalyScorer(**{**QUICK, "device": "cuda"}).fit(frame)
    trained.save(tmp_path / "scorer")
    loaded = AnomalyScorer.load(tmp_path / "scorer", device="cpu")
    np.testing.assert_allclose(loaded.anomaly_score(frame), trained.anomaly_score(frame), rtol=1e-3, atol=1e-3)


# Rows that hide others ------------------------------------------------------------------------------------------------


def flagged(rows: pd.DataFrame, **options: Any) -> tuple[AnomalyScorer, np.ndarray]:
    """A scorer that learned from rows of which little is known, and which of them it flags at 1 %."""
    scorer = AnomalyScorer(**{**QUICK, "false_alarms": 0.01, "contamination": "auto", **options}).fit(rows)
    return scorer, scorer.assess(rows, exclude_self=True)["is_anomaly"].to_numpy()


def test_flags_follow_the_rate_where_all_rows_are_normal() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"a": rng.normal(size=1500), "b": rng.exponential(size=1500), "c": rng.choice(["x", "y"], 1500)}
    )
    scorer, flags = flagged(rows)
    assert scorer.contamination_ <= 0.001
    assert flags.mean() <= 0.015


def test_a_small_dense_group_is_not_flagged_for_being_small() -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(size=(2000, 3)), columns=["a", "b", "c"])
    rows.iloc[:20] = 3 + 0.1 * rng.normal(size=(20, 3))
    scorer, flags = flagged(rows)
    assert scorer.contamination_ <= 0.001
    assert flags[:20].mean() <= 0.5
    assert flags.mean() <= 0.015


def test_scattered_anomalies_are_set_aside(tmp_path: Path) -> None:
    """They are flagged beside the rate that was asked for, and a saved scorer still says how many they were."""
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(rng.normal(size=(1000, 4)), columns=list("abcd"))
    rows.iloc[:50] = rng.uniform(8, 14, (50, 4)) * rng.choice([-1, 1], (50, 4))
    scorer, flags = flagged(rows)
    assert 0.02 <= scorer.contamination_ <= 0.055
    assert flags[:50].mean() > 0.6
    assert flags[50:].mean() <= 0.015
    scorer.save(tmp_path / "saved")
    assert AnomalyScorer.load(tmp_path / "saved").contamination_ == scorer.contamination_


@pytest.mark.parametrize("wild", [[1e9], [-1e6, 5e4], [1e300]])
def test_a_wild_cell_does_not_blind_its_column(wild: list[float]) -> None:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(rng.normal(size=(300 + len(wild), 2)), columns=["a", "b"])
    rows.loc[300:, "a"] = wild
    scorer = AnomalyScorer(**{**QUICK, "false_alarms": 0.01}).fit(rows)
    assert scorer.predict(pd.DataFrame({"a": [50.0, 0.0], "b": [0.0, 0.0]})).tolist() == [-1, 1]


def test_what_is_near_a_frequent_value_is_that_value() -> None:
    """0.1 + 0.2 where 0.3 is in most rows: float32 cannot tell them apart, nor do exported files."""
    rng = np.random.default_rng(4)
    price = np.where(rng.random(400) < 0.7, 0.3, rng.random(400).round(2))
    rows = pd.DataFrame({"price": price, "b": rng.normal(size=400)})
    scorer = AnomalyScorer(**QUICK).fit(rows)
    other = rows.assign(price=np.where(price == 0.3, 0.1 + 0.2, price))
    np.testing.assert_array_equal(scorer.anomaly_score(other), scorer.anomaly_score(rows))
    assert (scorer.anomaly_score(rows.assign(price=0.3001)) != scorer.anomaly_score(rows)).any()


def test_equal_rows_have_equal_scores() -> None:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"a": rng.integers(0, 5, 300), "b": rng.integers(0, 4, 300)})
    scorer = AnomalyScorer(**QUICK).fit(rows)
    found = scorer.assess(rows, exclude_self=True)["p_value"]
    assert found.groupby([rows["a"], rows["b"]]).nunique().max() == 1
    assert pd.Series(scorer.train_score_).groupby([rows["a"], rows["b"]]).nunique().max() == 1


# Dates ----------------------------------------------------------------------------------------------------------------


def log_of(n: int, start: str = "2024-03-01", seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ts = pd.date_range(start, periods=n, freq="h")
    daily = np.sin(ts.hour.to_numpy() / 24 * 2 * np.pi)
    return pd.DataFrame({"ts": ts, "temp": 20 + 5 * daily + rng.normal(0, 0.5, n), "load": rng.normal(size=n)})


@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_dates_that_run_on_are_not_held_against_rows(order: str) -> None:
    rows = log_of(600)
    learned = {"rising": rows, "falling": rows[::-1], "shuffled": rows.sample(frac=1, random_state=0)}[order]
    scorer = AnomalyScorer(**{**QUICK, "false_alarms": 0.02}).fit(learned.reset_index(drop=True))
    assert scorer.drift_.runs_on == ("ts",)
    later = log_of(200, "2024-06-01", seed=1)
    assert (scorer.predict(later) == -1).mean() <= 0.06
    assert scorer.predict(later.assign(temp=80.0)).tolist() == [-1] * 200
    assert (scorer.predict(log_of(200, "1995-01-01", seed=1)) == -1).all()


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_seconds_since_1970_that_run_on_are_dates(unit: str) -> None:
    """Whole numbers, as loggers write them; two rows of each moment, so that they are no identifier."""

    def counted(rows: pd.DataFrame) -> pd.DataFrame:
        moments = rows["ts"].dt.floor("2h").dt.as_unit(unit).astype("int64")
        return rows.assign(ts=moments)

    scorer = AnomalyScorer(**{**QUICK, "false_alarms": 0.02}).fit(counted(log_of(600)))
    assert scorer.drift_.runs_on == ("ts",)
    later = counted(log_of(200, "2024-06-01", seed=1))
    assert (scorer.predict(later) == -1).mean() <= 0.06
    monitor = DriftMonitor(scorer.drift_)
    monitor.update(to_raw(later, scorer.schema_))
    report = monitor.report()
    assert not report.drifted and len(report.later) == 1 and "not held against" in report.later[0]


def test_large_whole_numbers_that_are_no_moments_are_held_against_rows() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"turnover": np.sort(rng.integers(1_000_000, 2_000_000_000, 500)), "a": rng.normal(size=500)})
    scorer = AnomalyScorer(**QUICK).fit(rows)
    assert scorer.drift_.runs_on == ()


def test_dates_that_peter_out_are_held_against_rows() -> None:
    rng = np.random.default_rng(0)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta((18000 * rng.beta(5, 5, 500)).round(), unit="D")
    rows = pd.DataFrame({"born": born, "a": rng.normal(size=500)})
    scorer = AnomalyScorer(**QUICK).fit(rows)
    assert scorer.drift_.runs_on == ()
    assert (scorer.predict(rows.assign(born=pd.Timestamp("2024-01-01"))) == -1).all()


# Settings of a fitted scorer ------------------------------------------------------------------------------------------


def test_set_params_moves_the_threshold() -> None:
    """Also one that was tuned: a rate that is asked for wins."""
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)), columns=["a", "b"])
    scorer = AnomalyScorer(**QUICK).fit(rows)
    for rate in (0.2, 0.02):
        assert scorer.set_params(false_alarms=rate).threshold_ == scorer.calibration_.threshold(rate)
    scorer.threshold_ = 5.0
    assert scorer.set_params(tail=False).threshold_ == 5.0
    assert scorer.set_params(false_alarms=0.1).threshold_ == scorer.calibration_.threshold(0.1)


def test_reasons_know_that_a_column_lacks_cells() -> None:
    """Even where no remembered row does."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=400), "k": rng.choice(["x", "y"], 400)}).astype({"k": object})
    scorer = AnomalyScorer(**{**QUICK, "memory": 20}).fit(rows.assign(a=rows["a"].mask(rows.index == 7)))
    assert not np.isnan(scorer.remembered_.numbers).any()
    reasons = scorer.assess(rows.head(2).assign(a=np.nan), explain=True)["reason"]
    assert reasons.str.contains("missing where").any()
    assert not reasons.str.contains("never").any()
