"""The verdict: nothing held back leaks, the figures are scikit-learn's, and the sentence says what they mean."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, make_classification

from gantools.data.tables.schema import infer_schema
from gantools.errors import DataError
from gantools.evaluate.table_utility import scores, verdict
from gantools.evaluate.verdict import CALIBRATION, FIGURES, METHODS
from gantools.stages import Stage


def rare(n: int = 600, share: float = 0.08, seed: int = 0, **options) -> pd.DataFrame:
    X, y = make_classification(n, 6, n_informative=4, weights=[1 - share], random_state=seed, **options)
    return pd.DataFrame(X, columns=[f"v{i}" for i in range(6)]).assign(label=np.where(y == 1, "yes", "no"))


def mixed(n: int = 400) -> pd.DataFrame:
    """Every kind of column, with missing cells, where `number` and `text` carry the class."""
    rng = np.random.default_rng(0)
    y = rng.random(n) < 0.15
    frame = pd.DataFrame(
        {
            "number": np.where(rng.random(n) < 0.1, np.nan, rng.normal(y * 2.0, 1)),
            "count": pd.array(np.where(rng.random(n) < 0.1, None, rng.integers(0, 9, n)), dtype="Int64"),
            "text": np.where(rng.random(n) < 0.1, None, np.where(y, "late", rng.choice(["early", "late"], n))),
            "many": [f"city {i}" for i in rng.integers(0, 300, n)],
            "flag": pd.array(np.where(rng.random(n) < 0.1, None, rng.random(n) < 0.5), dtype="boolean"),
            "when": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9000, n), unit="h"),
            "lasts": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
            "group": pd.Categorical(rng.choice(["a", "b"], n), categories=["a", "b", "never seen"]),
            "empty": np.full(n, np.nan),
            "huge": np.where(rng.random(n) < 0.01, np.inf, rng.normal(size=n) * 1e300),
            "label": np.where(y, 1, 0),
        }
    )
    frame.loc[frame.index[:7], "when"] = pd.NaT
    return frame


def mirrored(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A balancer whose rows of the rare class lie where none belong: harmful."""
    counts = frame["label"].value_counts()
    made = frame[frame["label"] == counts.idxmin()].sample(counts.max() - counts.min(), replace=True, random_state=seed)
    made = (-made.drop(columns="label")).assign(label=counts.idxmin())
    return pd.concat([frame, made], ignore_index=True).assign(is_synthetic=True)


def repeat(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    counts = frame["label"].value_counts()
    made = [
        frame[frame["label"] == label].sample(counts.max() - count, replace=True, random_state=seed)
        for label, count in counts.items()
    ]
    return pd.concat([frame, *made], ignore_index=True)


class Oracle:
    """A balancer that knows the true distribution: fresh rows of both classes. Remembers what it was shown."""

    def __init__(self, fresh: pd.DataFrame) -> None:
        self.fresh = fresh
        self.shown: list[pd.DataFrame] = []

    def __call__(self, frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        self.shown.append(frame)
        counts = frame["label"].value_counts()
        made = self.fresh[self.fresh["label"] == counts.idxmin()].head(counts.max() - counts.min())
        return pd.concat([frame, made], ignore_index=True)


def test_good_rows_help_and_the_sentence_says_so_with_figures() -> None:
    everything = rare(10_000, share=0.04, class_sep=1.0, flip_y=0)
    oracle = Oracle(everything.iloc[2_000:])
    found = verdict(everything.iloc[:2_000], "label", {"gantools": oracle}, seed=1, holdout=0.6)
    assert found.helped == "yes"
    assert found.sentence.startswith("The synthetic rows helped")
    ours = f"{found.scores['gantools']['balanced_accuracy']:.3f}".removeprefix("0")
    assert f"balanced accuracy {ours} against" in found.sentence
    assert f"on {found.n_holdout:,} held-out rows." in found.sentence
    assert found.interval is not None
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.recommended == "gantools"
    assert found.advice.startswith("Train on rows balanced by gantools: over no balancing")
    ruined, recalibrated = (found.scores["gantools"][key] for key in ("brier", "brier_recalibrated"))
    plain = found.scores["none"]["brier"]
    assert recalibrated < plain < ruined and f"{ruined:.3f}".removeprefix("0") in found.advice


def test_bad_rows_do_not_help_and_the_best_alternative_is_named() -> None:
    found = verdict(rare(2_000, share=0.1), "label", {"gantools": mirrored})
    assert found.helped == "no"
    assert found.sentence.startswith("The synthetic rows did not help")
    instead = "leave the table as it is" if found.best_alternative == "none" else METHODS[found.best_alternative]
    assert instead in found.sentence
    assert found.recommended == "threshold"
    assert "divide each predicted probability by the share of its class" in found.advice
    assert "Synthetic rows are worse than that: -0." in found.advice


def test_repetition_against_itself_is_no_clear_difference() -> None:
    found = verdict(rare(200, 0.2), "label", {"gantools": repeat})
    assert found.helped == "unclear"
    assert found.sentence.startswith("No clear difference")


def test_a_difference_nobody_would_notice_is_not_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantools.evaluate.verdict.MIN_DIFFERENCE", 0.9)
    assert verdict(rare(2_000, share=0.1), "label", {"gantools": mirrored}).helped == "unclear"


def test_held_back_rows_are_never_shown() -> None:
    frame = rare().assign(row=np.arange(600.0))
    oracle = Oracle(frame)
    found = verdict(frame, "label", {"gantools": oracle})
    (shown,) = oracle.shown
    assert len(shown) == found.n_train == 600 - found.n_holdout
    assert shown["row"].is_unique
    assert found.n_holdout == pytest.approx(150, abs=1)
    assert list(shown.index) == list(range(len(shown)))


def test_the_frame_is_untouched_and_a_seed_gives_one_result() -> None:
    frame = mixed()
    before = frame.copy(deep=True)
    first = verdict(frame, "label", {"gantools": repeat}, seed=3)
    assert verdict(frame, "label", {"gantools": repeat}, seed=3) == first
    assert verdict(frame, "label", {"gantools": repeat}, seed=4) != first
    pd.testing.assert_frame_equal(frame, before)


def test_the_largest_seed_of_the_command_line_is_one() -> None:
    assert "smote" in verdict(mixed(), "label", {}, seed=2**63 - 1).scores


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow", None])
def test_missing_text_dates_booleans_and_unseen_levels(backend: str | None) -> None:
    frame = mixed() if backend is None else mixed().convert_dtypes(dtype_backend=backend)
    found = verdict(frame, "label", {"gantools": repeat})
    assert set(found.scores) == {*METHODS, "gantools"} - {"classical"}
    for figures in found.scores.values():
        assert set(figures) == {*FIGURES, *CALIBRATION}
        assert all(0 <= figure <= 1 for figure in figures.values())
    assert found.scores["none"]["average_precision"] > 0.4  # far above the 15 % of the class: the columns were read


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "timedelta", "datetime", "date"])
def test_times_are_read_as_times_with_and_without_a_schema(form: str) -> None:
    """The class is when a thing happened: only a classifier that reads the time can tell."""
    rng = np.random.default_rng(0)
    hours = np.sort(rng.integers(0, 20_000, 600))
    when = pd.Series(pd.Timestamp("2022-03-01") + pd.to_timedelta(hours, unit="h"))
    written = {
        "timedelta": pd.Series(pd.to_timedelta(hours, unit="h")),
        "datetime": when.astype("timestamp[us][pyarrow]"),
        "date": when.dt.date,
    }
    frame = pd.DataFrame({"when": written.get(form, when.dt.strftime(form)), "noise": rng.normal(size=600)})
    frame = frame.assign(label=np.where((hours > 5_000) & (hours < 8_000), "yes", "no"))
    found = verdict(frame, "label", {"gantools": repeat}, schema=infer_schema(frame, "label"))
    assert found.scores["none"]["average_precision"] > 0.5
    if form not in ("%d.%m.%Y %H:%M",):
        assert verdict(frame, "label", {"gantools": repeat}).scores["none"]["average_precision"] > 0.5


def test_text_alone_is_enough() -> None:
    found = verdict(mixed()[["text", "many", "flag", "label"]], "label", {"gantools": repeat})
    assert found.scores["smote"] is not None


def test_several_classes_one_of_them_a_single_row() -> None:
    iris = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    frame = pd.concat([iris.iloc[:70], iris.iloc[[149]]], ignore_index=True)
    found = verdict(frame, "label", {"gantools": repeat})
    assert found.scores["smote"] is None
    assert any("single row" in note and "2" in note for note in found.notes)
    assert any(note.startswith("SMOTE cannot be used") for note in found.notes)
    assert found.scores["gantools"]["balanced_accuracy"] > 0.9
    assert json.loads(json.dumps(found.to_json()))["scores"]["smote"] is None


def test_tiny_classes_lower_the_neighbours_of_smote() -> None:
    frame = pd.concat([rare(300, 0.5).query("label == 'no'"), rare(300, 0.5).query("label == 'yes'").head(4)])
    found = verdict(frame, "label", {"gantools": repeat})
    assert found.scores["smote"] is not None
    assert found.helped == "unclear"
    assert any("too few to tell" in note for note in found.notes)


def test_a_table_on_which_methods_cannot_be_compared_says_why() -> None:
    one_class = rare().query("label == 'no'")
    assert verdict(one_class, "label", {"gantools": repeat}).sentence == "No verdict: the table has a single class."
    distinct = pd.DataFrame({"v": range(9), "label": range(9)})
    found = verdict(distinct, "label", {"gantools": repeat})
    assert found.sentence.startswith("No verdict: fewer than two classes")
    assert found.helped == "unclear"
    assert not found.scores
    empty = rare()[["label"]].assign(v=np.nan)
    assert verdict(empty, "label", {"gantools": repeat}).sentence.startswith("No verdict: the table has no column")
    only = verdict(rare()[["label"]], "label", {"gantools": repeat})
    assert only.sentence == "No verdict: the table has no column to predict the target from."


def test_a_missing_target_is_named() -> None:
    with pytest.raises(DataError, match="'churned'"):
        verdict(rare(), "churned", {})


def test_rows_without_a_label_are_left_out() -> None:
    frame = rare()
    frame.loc[:99, "label"] = None
    found = verdict(frame, "label", {"gantools": repeat})
    assert found.n_train + found.n_holdout == 500


def test_labels_from_nowhere_are_refused() -> None:
    with pytest.raises(DataError, match="gantools"):
        verdict(rare(), "label", {"gantools": lambda frame, seed: frame.assign(label="maybe")})


def test_without_balancers_the_built_in_methods_are_scored() -> None:
    found = verdict(rare(), "label", {})
    assert set(found.scores) == set(METHODS) - {"classical"}
    assert found.helped == "unclear"


def test_repeats_are_averaged() -> None:
    frame = rare()
    found = verdict(frame, "label", {"gantools": repeat}, n_repeats=2, seed=5)
    each = [verdict(frame, "label", {"gantools": repeat}, seed=seed).scores["none"] for seed in (5, 6)]
    for figure in FIGURES:
        assert found.scores["none"][figure] == pytest.approx(np.mean([one[figure] for one in each]))


def test_a_balancer_may_return_fewer_rows() -> None:
    def undersample(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        n = frame["label"].value_counts().min()
        return frame.groupby("label").sample(n, random_state=seed)

    assert verdict(rare(), "label", {"under": undersample}).scores["under"]["balanced_accuracy"] > 0.5


def test_large_tables_are_thinned_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantools.evaluate.table_utility.MAX_ROWS", 2_000)
    found = verdict(rare(6_000), "label", {"gantools": repeat})
    assert found.n_holdout == pytest.approx(1_500, abs=1)
    assert any(note.startswith("The classifiers were trained on 2,00") for note in found.notes)
    assert found.scores["repetition"] != found.scores["none"]


class Hurry(Stage):
    """A stage with hardly any time, and what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int | None]] = []

    def begin(self) -> float:
        return 0.01

    def done(self, n: int, total: int | None, what: str = "steps") -> None:
        self.told.append((n, total))


def test_classifiers_in_a_hurry_see_fewer_rows_and_say_so() -> None:
    hurry = Hurry()
    found = verdict(rare(12_000), "label", {"gantools": repeat}, stage=hurry)
    assert any(note.startswith("For want of time the classifiers were trained on") for note in found.notes)
    assert hurry.told == [(k, 5) for k in range(1, 6)]
    assert found.scores["repetition"] is not None and found.scores["repetition"]["average_precision"] > 0.5


def test_few_rows_are_never_too_many() -> None:
    notes = verdict(rare(800), "label", {"gantools": repeat}, stage=Hurry()).notes
    assert all("For want of time" not in note for note in notes)


def test_identifiers_of_the_schema_are_kept_from_the_classifiers() -> None:
    """Fresh identifiers mark synthetic rows; classifiers must not learn the class from them."""
    frame = rare(2_000, share=0.1, flip_y=0.2).assign(customer_id=np.arange(2_000))

    def fresh_ids(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        balanced = repeat(rows, seed)
        balanced.loc[len(rows) :, "customer_id"] = np.arange(len(balanced) - len(rows)) + 10_000
        return balanced

    schema = infer_schema(frame, "label")
    with_schema = verdict(frame, "label", {"gantools": fresh_ids}, schema=schema)
    assert with_schema.scores == verdict(frame.drop(columns="customer_id"), "label", {"gantools": repeat}).scores


def test_scores_of_real_rows_are_high_and_of_shuffled_labels_low() -> None:
    frame = load_breast_cancer(as_frame=True).frame
    train, held = frame.iloc[::2], frame.iloc[1::2]
    real = scores(train, held, "target")
    shuffled = train.assign(target=train["target"].sample(frac=1, random_state=0).to_numpy())
    assert real["macro_f1"] > 0.9
    assert scores(shuffled, held, "target")["macro_f1"] < 0.7
