"""`gantools augment --classifier`, and `gantools classify`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from .conftest import QUICK, Invoke, the_error, the_json


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, make_table) -> Path:
    """A folder with `data.csv`, and in `classifier` the one that is recommended for it."""
    folder = tmp_path_factory.mktemp("kept")
    make_table().to_csv(folder / "data.csv", index=False)
    result = invoke(
        "augment", folder / "data.csv", "--target", "churned", "--classifier", folder / "classifier", "--goal", "f1",
        *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Recommended classifier: " in result.stdout and "decisions are made for f1" in result.stdout
    return folder


def test_a_table_gets_classes_and_probabilities(kept: Path, invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    told = the_json(invoke("classify", kept / "data.csv", "--from", kept / "classifier", "-o", out, "--json"))
    given, found = pd.read_csv(kept / "data.csv"), pd.read_csv(out)
    pd.testing.assert_frame_equal(found[list(given)], given)
    assert list(found)[len(given.columns) :] == ["predicted", "probability_no", "probability_yes", "is_flagged"]
    assert set(found["predicted"]) <= {"no", "yes"} and (found["is_flagged"] == (found["predicted"] == "yes")).all()
    assert found[["probability_no", "probability_yes"]].sum(axis=1).sub(1).abs().max() < 1e-5
    assert sum(one["rows"] for one in told["classes"]) == told["figures"]["rows"] == len(given)


def test_an_exported_one_says_the_same_of_rows_without_labels(kept: Path, invoke: Invoke, tmp_path: Path) -> None:
    rows = pd.read_csv(kept / "data.csv").drop(columns="churned")
    rows.to_csv(tmp_path / "new.csv", index=False)
    file = tmp_path / "classifier.onnx"
    assert "0 decisions differ" in invoke("export", kept / "classifier", "-o", file).stdout
    for by in (("--from", kept / "classifier"), ("--onnx", file)):
        result = invoke("classify", tmp_path / "new.csv", *by, "-o", tmp_path / f"{by[0]}.csv")
        assert result.exit_code == 0 and "balanced accuracy" not in result.stdout, result.output
    assert (tmp_path / "--from.csv").read_text() == (tmp_path / "--onnx.csv").read_text()
    assert "table classifier" in invoke("info", file).stdout
    assert "a classifier of tables" in invoke("info", kept / "classifier").stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--goal", "f1"), "--goal: has no effect without a classifier; give --classifier, too"),
        (("--classifier", "c", "--no-verdict"), "--classifier: needs the verdict, which says what to recommend"),
        (("--classifier", "c", "--goal", "auc"), "--goal: 'auc' is no goal; write balanced-accuracy"),
        (("--classifier", "."), "--classifier"),
    ],
)
def test_a_classifier_that_cannot_be_kept_is_refused_at_once(
    customers: Path, invoke: Invoke, given: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something.txt").write_text("here")
    error = the_error(invoke("augment", customers, "--target", "churned", *given, *QUICK))
    assert said in error
    assert sorted(path.name for path in customers.parent.iterdir()) == ["customers.csv"]


def test_what_cannot_be_classified_is_one_line(kept: Path, customers: Path, invoke: Invoke, generator: Path) -> None:
    assert "no classifier was given" in the_error(invoke("classify", customers))
    assert "holds a generator, not a classifier" in the_error(invoke("classify", customers, "--from", generator))
    frame = pd.read_csv(customers)
    frame.drop(columns="city").to_csv(customers.parent / "less.csv", index=False)
    error = the_error(invoke("classify", customers.parent / "less.csv", "--from", kept / "classifier"))
    assert "lacks the column 'city'" in error
    frame.assign(predicted=1).to_csv(customers.parent / "again.csv", index=False)
    error = the_error(invoke("classify", customers.parent / "again.csv", "--from", kept / "classifier"))
    assert "column 'predicted': the table has a column of that name already" in error
    assert not list(customers.parent.glob("*.classified.csv"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_put_aside_before_anything_else(customers: Path, invoke: Invoke, suffix: str) -> None:
    given = pd.read_csv(customers)
    data, folder = customers.with_suffix(f".{suffix}"), customers.parent
    if suffix == "parquet":
        given.to_parquet(data, index=False)
    asked = ("augment", data, "--target", "churned", "--holdout", "0.25", "--classifier", folder / "kept", *QUICK)
    told = the_json(invoke(*asked, "--json"))
    read = pd.read_csv if suffix == "csv" else pd.read_parquet
    aside, balanced = read(folder / f"customers.holdout.{suffix}"), read(folder / f"customers.balanced.{suffix}")
    rest = balanced[~balanced["is_synthetic"]].drop(columns="is_synthetic")
    assert told["holdout"] == {"file": str(folder / f"customers.holdout.{suffix}"), "rows": len(aside)}
    assert aside["churned"].value_counts().to_dict() == {"no": 24, "yes": 6}
    assert told["classifier"]["tested"]["rows"] == 30
    if suffix == "csv":
        lines = [path.read_text().splitlines() for path in (data, folder / "customers.holdout.csv")]
        assert lines[0][0] == lines[1][0] and set(lines[1]) < set(lines[0])
    together = pd.concat([aside, rest]).sort_values(list(given)).reset_index(drop=True)
    pd.testing.assert_frame_equal(together, given.sort_values(list(given)).reset_index(drop=True))
    assert "--holdout: must be a share" in the_error(invoke(*asked[:4], "--holdout", "1", "--force", *QUICK))
