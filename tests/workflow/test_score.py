"""All of `gantools score` as a function: who sees which rows, where the threshold is, what is refused at once.

The scorer is a stand-in that is fitted in no time: how far the numbers are from their means.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables import read_table
from gantools.data.tables.raw import to_raw
from gantools.errors import ConfigError, DataError
from gantools.evaluate.scores import top_rows
from gantools.score.calibrated import Calibrated
from gantools.score.drift import Reference
from gantools.score.threshold import Calibration
from gantools.words import percent
from gantools.workflow import score_table
from gantools.workflow.contract import Watch
from gantools.workflow.score import Request, run
from gantools.workflow.score_table import TableResult
from gantools.workflow.scoring import read_marks


class Distance(Calibrated):
    """Stands in for AnomalyScorer."""

    modality = "table"
    fitted: ClassVar[list[Distance]] = []

    def __init__(self, **options: Any) -> None:
        self.options, self.by = options, None
        self.false_alarms = options["false_alarms"]
        self.contamination = options["contamination"]
        self.contamination_ = 0.05 if self.contamination == "auto" else self.contamination
        self.tuned: tuple[np.ndarray, np.ndarray] | None = None

    def fit(self, rows: pd.DataFrame, *, schema: Any, progress: Any) -> Self:
        self.rows, self.schema_ = rows, schema
        raw = to_raw(rows, schema)
        self.mean, self.sd = np.nanmean(raw.numbers, axis=0), np.nanstd(raw.numbers, axis=0) + 1e-9
        self.drift_ = Reference.fit(raw, schema)
        self.calibration_ = Calibration.fit(self.anomaly_score(rows), tail=self.options["tail"])
        self.train_score_ = self.anomaly_score(rows)
        self.report_ = SimpleNamespace(stopped=self.options.get("model", "finished"))
        Distance.fitted.append(self)
        return self

    def check_fits(self, frame: pd.DataFrame) -> None:
        to_raw(frame, self.schema_)

    def anomaly_score(self, frame: pd.DataFrame) -> np.ndarray:
        numbers = to_raw(frame, self.schema_).numbers
        return 1e-3 + np.nanmean(np.abs((numbers - self.mean) / self.sd), axis=1)

    def assess(self, frame: pd.DataFrame, explain: bool | str = False, exclude_self: bool = False) -> pd.DataFrame:
        scores = self.anomaly_score(frame)
        flags = scores > self.threshold_
        found = {"anomaly_score": scores, "p_value": self.calibration_.p_value(scores), "is_anomaly": flags}
        if explain:
            found["reason"] = np.where(flags | (explain is True), "far off", None)
        return pd.DataFrame(found, index=frame.index)

    def tune_scores(self, normal: Any, anomalous: Any) -> Self:
        self.tuned = normal, anomalous
        return super().tune_scores(normal, anomalous)


@pytest.fixture(autouse=True)
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Distance]:
    """The scorers that were fitted."""
    monkeypatch.setattr(score_table, "AnomalyScorer", Distance)
    monkeypatch.setattr(Distance, "fitted", [])
    return Distance.fitted


def make(n: int = 400, n_odd: int = 20, seed: int = 0) -> pd.DataFrame:
    """Two numbers and a city; the last rows are far off and marked."""
    rng = np.random.default_rng(seed)
    odd = np.arange(n) >= n - n_odd
    return pd.DataFrame(
        {
            "a": np.round(rng.normal(0, 1, n) + 9 * odd, 3),
            "b": np.round(rng.normal(5, 2, n), 3),
            "city": rng.choice(["Bern", "Lyon"], n),
            "bad": np.where(odd, "yes", "no"),
        }
    )


def put(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return put(make(), tmp_path / "data.csv")


def scored(data: Path, watch: Watch | None = None, **options: Any) -> tuple[TableResult, pd.DataFrame]:
    out = data.with_name(f"out{data.suffix}")
    result = run(Request(data=data, output=out, force=True, **options), watch)
    assert isinstance(result, TableResult)
    return result, read_table(out)[0]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the folder of the scorer that was fitted first."""
    monkeypatch.setattr("gantools.train.saved.load", lambda *_: Distance.fitted[0])
    return Path("saved")


def test_a_table_learned_from_itself(data: Path, fits: list[Distance]) -> None:
    """All rows and columns are learned from, some are taken for anomalies, and no drift can be told."""
    result, out = scored(data)
    assert len(fits[0].rows) == result.learned.n_learned == 400
    assert (fits[0].contamination, fits[0].false_alarms) == ("auto", 0.01)
    assert result.drift is None
    assert result.detection is None
    assert list(out.columns) == ["a", "b", "city", "bad", "anomaly_score", "p_value", "is_anomaly"]
    pd.testing.assert_frame_equal(out[["a", "b", "city", "bad"]], read_table(data)[0])
    assert result.tally.n_anomalous == out["is_anomaly"].sum() == (out["p_value"] <= 0.01).sum() > 0
    order = out["anomaly_score"].sort_values(ascending=False).index
    assert result.top.index[:5].tolist() == order[:5].tolist()
    assert result.top["reason"].tolist() == ["far off"] * 20
    np.testing.assert_allclose(out["anomaly_score"], fits[0].anomaly_score(out), rtol=1e-5)


def test_a_table_of_normal_rows(data: Path, fits: list[Distance]) -> None:
    """Only its rows are learned from, clean, and the rows scored are compared with them."""
    normal = put(make(300, 0, seed=1).drop(columns="bad"), data.with_name("normal.parquet"))
    result, out = scored(data, normal=normal, explain=True, false_alarms=0.02)
    assert len(fits[0].rows) == 300
    assert fits[0].contamination == 0
    assert fits[0].options["false_alarms"] == 0.02
    assert result.drift is not None
    assert result.drift.drifted == bool(result.drift_words())
    assert out["is_anomaly"].tail(20).all()
    assert (out["reason"].notna() == out["is_anomaly"]).all()


def test_a_table_given_twice(data: Path) -> None:
    """Its rows are known when they are scored, which is told."""
    assert "without --train each is held out" in " ".join(scored(data, normal=data)[0].words())
    other = put(make(), data.with_name("other.csv"))
    assert "without --train" not in " ".join(scored(data, normal=other)[0].words())


def test_drift_is_told(data: Path) -> None:
    normal = make(300, 0, seed=1).drop(columns="bad")
    normal["b"] += 20
    put(normal, data.with_name("normal.csv"))
    result, _ = scored(data, normal=data.with_name("normal.csv"))
    assert result.drift is not None
    assert result.drift.drifted
    assert "less reliable" in result.drift_words()[0]
    assert any(line.startswith("b:") for line in result.drift_words())


@pytest.mark.parametrize("has_train", [False, True])
def test_known_anomalies_are_not_learned_and_set_the_threshold(
    data: Path, fits: list[Distance], has_train: bool
) -> None:
    """F1 is sought on them and on all normal rows: some held back, the others by the scores they had held out."""
    train = put(make(400, 40, seed=1), data.with_name("train.csv")) if has_train else None
    result, out = scored(data, normal=train, labels="bad")
    n_marked = 40 if has_train else 20
    n_normal = 400 - n_marked
    assert "bad" not in fits[0].rows and "bad" not in fits[0].schema_.names
    assert result.learned.n_marked == n_marked
    assert result.learned.n_learned == n_normal - round(0.2 * n_normal)
    assert fits[0].contamination == 0
    assert fits[0].tuned is not None
    normal, anomalous = fits[0].tuned
    assert (len(anomalous), len(normal)) == (n_marked, n_normal)
    assert anomalous.min() > normal.max()
    n_held_back = round(0.2 * n_normal)
    np.testing.assert_array_equal(normal[n_held_back:], fits[0].train_score_)
    assert not set(fits[0].train_score_) & (set(normal[:n_held_back]) | set(anomalous))
    assert result.threshold.asked is None
    assert result.threshold.f1 == pytest.approx(1.0)
    assert result.detection is not None
    assert result.detection.n_anomalous == 20
    assert result.detection.roc_auc > 0.99
    assert (out["is_anomaly"] == (out["bad"] == "yes")).all()


def test_a_threshold_of_many_false_alarms(data: Path) -> None:
    """Of marks that scores know nothing of: nearly all rows are called anomalous, which is told with what to do."""
    marks = np.where(np.random.default_rng(3).random(400) < 0.4, "yes", "no")
    result, _ = scored(put(make(400, 0).assign(bad=marks), data), labels="bad")
    above = (result.scorer.calibration_.scores > result.threshold.value).mean()
    assert 0.2 < above < 0.995
    told = " ".join(result.words())
    assert f"; {100 * above:.0f} % of the held-out normal rows are above it." in told
    assert "--false-alarms asks for fewer" in told
    put(make(), data)
    assert "asks for fewer" not in " ".join(scored(data, labels="bad")[0].words())


def test_a_rate_that_is_asked_for_wins_over_f1(data: Path, fits: list[Distance]) -> None:
    result, _ = scored(data, labels="bad", false_alarms=0.1)
    assert fits[0].tuned is None
    assert result.threshold.asked == 0.1
    assert result.threshold.f1 is None


def test_marks_in_one_of_the_tables(data: Path, fits: list[Distance]) -> None:
    """In the training table alone nothing can be told of DATA, in DATA alone no threshold can be sought."""
    plain = put(make().drop(columns="bad"), data.with_name("plain.csv"))
    result, out = scored(plain, normal=data, labels="bad")
    assert result.threshold.f1 is not None
    assert result.detection is None
    assert "bad" not in out
    result, out = scored(data, normal=plain, labels="bad")
    assert result.threshold.asked == 0.01
    assert result.detection is not None
    assert "bad" not in fits[1].schema_.names


def test_rows_without_a_mark_are_learned_from(data: Path, fits: list[Distance]) -> None:
    frame = make()
    frame.loc[:99, "bad"] = None
    result, _ = scored(put(frame, data), labels="bad")
    assert result.learned.n_learned == 100 + 280 - round(0.2 * 280)
    assert fits[0].contamination == "auto"
    assert result.detection is not None
    assert result.detection.n_normal == 280


def test_no_row_is_marked(data: Path) -> None:
    result, _ = scored(put(make().assign(bad=0), data), labels="bad")
    assert result.threshold.asked == 0.01
    assert "No row of data.csv is marked" in " ".join(result.words())


def test_large_tables_are_learned_from_in_part(data: Path, fits: list[Distance], monkeypatch: Any) -> None:
    monkeypatch.setattr(score_table, "TRAINING_ROWS", 150)
    result, out = scored(data)
    assert len(fits[0].rows) == 150
    assert len(out) == 400
    assert "Learned from 150 rows, drawn at random from 400" in " ".join(result.words())


def test_a_saved_scorer(data: Path, fits: list[Distance], saved: Path) -> None:
    """Its threshold holds unless another rate is asked for; nothing is trained."""
    train = put(make(300, 0, seed=1).drop(columns="bad"), data.with_name("n.csv"))
    scored(data, normal=train, false_alarms=0.3)
    scorer: Any = fits[0]
    before = vars(scorer).copy()
    result, out = scored(data, source=saved)
    assert result.threshold.asked is None
    assert result.learned.n_learned is None
    assert result.drift is not None
    assert "that of the saved scorer; 30 % of the held-out normal rows" in " ".join(result.words())
    assert (out["is_anomaly"] == (out["anomaly_score"] > scorer.threshold_)).mean() > 0.99
    result, out = scored(data, source=saved, false_alarms=0.1, labels="bad")
    assert result.threshold.asked == 0.1
    assert result.threshold.value == scorer.calibration_.threshold(0.1)
    assert result.detection is not None
    assert len(fits) == 1
    assert vars(scorer) == before, "the caller's scorer was changed"


def test_options_reach_the_scorer(data: Path, fits: list[Distance]) -> None:
    options = {"model": "finished", "options": {"width": 3}, "steps": 7, "budget_s": 100, "contamination": 0.2}
    scored(data, **options, tail=True, devices=2, precision="32", seed=4, device="cpu")
    assert fits[0].options == {
        "model": "finished", "options": {"width": 3}, "false_alarms": 0.01, "contamination": 0.2, "tail": True,
        "random_state": 4, "steps": 7, "budget_s": pytest.approx(90, abs=1), "device": "cpu", "devices": 2,
        "precision": "32",
    }  # fmt: skip


def test_a_rate_that_cannot_be_resolved(data: Path) -> None:
    """Nothing is called anomalous, and it is said why and what to do."""
    result, out = scored(data, false_alarms=1e-4)
    assert not out["is_anomaly"].any()
    assert not result.threshold.can_be_resolved
    assert "Nothing is flagged: the 400 held-out" in " ".join(result.words())


def test_a_tail(data: Path) -> None:
    """Rates beyond counting, where there are rows enough to extrapolate from; it is said where there are not."""
    result, _ = scored(data, tail=True, false_alarms=1e-4)
    assert result.threshold.can_be_resolved
    assert "extrapolated by a tail" in " ".join(result.words())
    few = put(make(100, 0), data.with_name("few.csv"))
    result, _ = scored(few, tail=True)
    assert "No tail could be fitted" in " ".join(result.words())


def test_words(data: Path) -> None:
    result, _ = scored(data)
    told = " ".join(result.words())
    for words in ("400 rows scored", "are anomalous", "1 % of normal rows", "about 4 of", "0.25 %", "from 400 rows"):
        assert words in told, told
    frame = make().assign(id=[f"c{i}" for i in range(400)], nothing=np.nan, city=[f"c{i % 200}" for i in range(400)])
    result, _ = scored(put(frame, data))
    first, second = list(result.data_notes)
    assert first == "Not scored: 'id' (an identifier), 'nothing' (has no values)."
    assert "'city'" in second and "100 are pooled." in second


def test_words_about_few_rows(data: Path) -> None:
    """Less than one false alarm is to be expected of them, and nearly all is not all."""
    result, _ = scored(put(make(40, 0), data.with_name("few.csv")), normal=put(make(300, 0), data))
    assert "fewer than 1 of 40 if all were normal" in " ".join(result.words())
    assert percent(0.9986) == "more than 99 %"
    assert percent(1.0) == "100 %"


def test_rows_are_reported_as_they_pass(data: Path) -> None:
    news: list[tuple[str, int, int | None]] = []

    class Listen(Watch):
        def done(self, stage: str, n: int, total: int | None, what: str) -> None:
            news.append((stage, n, total))

    scored(data, Listen())
    assert news == [
        ("Reading", 400, None), ("Learning what is normal", 0, None), ("Scoring", 0, None), ("Scoring", 400, 400),
    ]  # fmt: skip


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(data: Path, *said: str, kind: type[Exception] = DataError, n_fits: int = 0, **options: Any) -> None:
    before = sorted(data.parent.iterdir())
    with pytest.raises(kind) as caught:
        scored(data, **options)
    for words in said:
        assert words in str(caught.value)
    assert sorted(data.parent.iterdir()) == before
    assert len(Distance.fitted) == n_fits


@pytest.mark.parametrize("name", ["anomaly_score", "p_value", "is_anomaly"])
def test_a_table_that_was_scored_already(data: Path, name: str) -> None:
    put(make().assign(**{name: 1}), data)
    refused(data, "data.csv", f"'{name}'", "drop or rename")


def test_a_reason_is_in_the_way_only_where_one_is_asked_for(data: Path) -> None:
    put(make().assign(reason="x"), data)
    refused(data, "'reason'", explain=True)
    scored(data)


def test_a_training_table_that_was_scored_already(data: Path) -> None:
    train = put(make().assign(p_value=1), data.with_name("train.csv"))
    refused(data, "train.csv", "'p_value'", normal=train)


def test_tables_of_other_columns(data: Path) -> None:
    """Told before anything is trained, with both files' names."""
    train = put(make().rename(columns={"a": "alpha", "b": "beta"}), data.with_name("train.csv"))
    refused(data, "data.csv", "lacks the columns 'alpha', 'beta' of train.csv", normal=train)


def test_cells_of_another_kind(data: Path) -> None:
    train = put(make(), data.with_name("train.csv"))
    refused(put(make().assign(a="many"), data), "data.csv", "column 'a'", normal=train)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_rates_that_are_none(data: Path, rate: float) -> None:
    refused(data, "false_alarms", kind=ConfigError, false_alarms=rate)


@pytest.mark.parametrize("share", [0.5, -0.1, float("nan")])
def test_contaminations_that_are_none(data: Path, share: float) -> None:
    refused(data, "contamination", kind=ConfigError, contamination=share)


def test_identifiers_need_not_be_there(data: Path) -> None:
    train = put(make(seed=1).assign(id=[f"c{i}" for i in range(400)]), data.with_name("train.csv"))
    result, _ = scored(data, normal=train)
    assert list(result.data_notes) == ["Not scored: 'id' (an identifier)."]


def test_labels_that_are_not_there(data: Path) -> None:
    refused(data, "'baad'", "did you mean 'bad'?", labels="baad")


def test_labels_that_mark_nothing(data: Path) -> None:
    refused(data, "column 'city'", "neither an anomaly", "write 1", labels="city")


def test_nothing_normal(data: Path) -> None:
    refused(put(make().assign(bad=1), data), "every row is marked", labels="bad")


def test_nothing_to_learn(data: Path) -> None:
    put(pd.DataFrame({"id": range(100), "same": 1}), data)
    refused(data, "data.csv", "no column is left")


@pytest.mark.usefixtures("fits")
def test_labels_that_the_saved_scorer_has_learned(data: Path, saved: Path) -> None:
    scored(data)
    data.with_name("out.csv").unlink()
    refused(data, "column 'bad'", "has learned from it", source=saved, labels="bad", n_fits=1)


def test_an_interrupted_training_scores_nothing(data: Path) -> None:
    refused(data, kind=KeyboardInterrupt, model="interrupted", n_fits=1)  # type: ignore[arg-type]


def test_an_interrupted_scoring_leaves_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Distance, "assess", interrupt)
    refused(data, kind=KeyboardInterrupt, n_fits=1)  # type: ignore[arg-type]


# Marks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells",
    [
        [1, 0, None],
        [1.0, 0.0, np.nan],
        ["1", "0", None],
        [True, False, None],
        ["Yes", "no", None],
        ["anomaly", "Normal", np.nan],
        ["outlier", "inlier", None],
    ],
)
def test_marks(cells: list[Any]) -> None:
    marks = read_marks(pd.Series(cells, name="bad"))
    np.testing.assert_array_equal(marks, [1, 0, np.nan])


@pytest.mark.parametrize("cell", [-1, 2, 0.5, "maybe", ""])
def test_what_marks_nothing(cell: Any) -> None:
    with pytest.raises(DataError, match="column 'bad'"):
        read_marks(pd.Series([1, cell], name="bad", dtype=object))


# Columns that are not learned from, and what is said of them ----------------------------------------------------------


def test_a_column_called_reason_is_a_column(data: Path) -> None:
    put(make().assign(reason="late"), data)
    result, out = scored(data)
    assert out["reason"].eq("late").all()
    row = top_rows(result.top)[0]
    assert (row.reason, row.cells["reason"]) == ("far off", "late")
    refused(data, "column 'reason'", explain=True, n_fits=1)


def test_dropped_columns_stay_in_the_output(data: Path, fits: list[Distance], saved: Path) -> None:
    result, out = scored(data, drop=("b", "bad"))
    assert fits[0].schema_.names == ("a", "city")
    pd.testing.assert_frame_equal(out[["a", "b", "city", "bad"]], read_table(data)[0])
    assert result.scorer is fits[0]
    refused(data, "drop", kind=ConfigError, drop=("aa",), n_fits=1)
    refused(data, "drop", kind=ConfigError, drop=("bad",), labels="bad", n_fits=1)
    refused(data, "drop", kind=ConfigError, drop=("a",), source=saved, n_fits=1)


def test_row_numbers_and_delimiters_at_the_end_of_lines(data: Path, fits: list[Distance]) -> None:
    """Neither is learned from; the lines stay as they are."""
    make(40).to_csv(data)
    lines = data.read_text().splitlines()
    data.write_text("\n".join(f"{line}," for line in lines) + "\n")
    result, _ = scored(data)
    assert fits[0].schema_.numeric == ("a", "b")
    assert list(result.data_notes) == [
        "lines end in ',': the empty column behind it is left out.",
        "Not scored: 'Unnamed: 0' (numbers the rows).",
    ]
    out = data.with_name("out.csv").read_text().splitlines()
    assert out[0] == f"{lines[0]},anomaly_score,p_value,is_anomaly"
    assert all(one.startswith(f"{line},") and one.count(",") == 7 for line, one in zip(lines, out, strict=True))


def test_a_saved_scorer_never_lies_in_what_it_is_learned_from(data: Path) -> None:
    refused(data, "data.csv itself", kind=ConfigError, save=data)
    refused(data, "out.csv itself", kind=ConfigError, save=data.with_name("out.csv"))


def test_later_dates_and_wild_cells_are_named(data: Path) -> None:
    days = pd.date_range("2024-01-01", periods=500, freq="D").astype(str)
    train = make(300, 0).assign(day=days[:300])
    train.loc[5, "b"] = 1e7
    normal = put(train, data.with_name("train.csv"))
    put(make(200, 0).assign(day=days[300:]), data)
    said = " ".join(scored(data, normal=normal)[0].words())
    assert "All 'day' lie after the last one learned, 2024-10-26" in said
    assert "'b' has 10000000" in said


def test_hints_can_be_followed(data: Path, fits: list[Distance], saved: Path) -> None:
    """A tail is named where it resolves the rate, and a saved scorer is trained anew."""
    put(make(400, 0), data)
    assert "or with --tail" in " ".join(scored(data, false_alarms=1e-4)[0].words())
    assert "--tail" not in " ".join(scored(data, false_alarms=1e-7)[0].words())
    again = " ".join(scored(data, source=saved, false_alarms=1e-3)[0].words())
    assert "train anew on more rows" in again
