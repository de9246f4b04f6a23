"""`gantools score --by`: each group has a normal of its own, and it is said which rows borrow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import Invoke, the_error, the_json

QUICK = ("--steps", "60", "--seed", "0")


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"id": k, "load": rng.normal(10 * k, 1, n), "heat": rng.normal(size=n).round(2)})
        for k, n in ((1, 200), (2, 200), (3, 10))
    ]
    path = tmp_path / "machines.csv"
    pd.concat(parts).sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


def test_groups_are_learned_saved_and_exported(invoke: Invoke, machines: Path, tmp_path: Path) -> None:
    new = pd.DataFrame({"id": [1] * 30 + [2, 9], "load": [10.0] * 18 + [20.0] * 14, "heat": 0.1})
    new.to_csv(tmp_path / "new.csv", index=False)
    saved, file = tmp_path / "scorer", tmp_path / "scorer.onnx"
    asked = ("--explain", "--json", "--force", "-o", tmp_path / "out.csv")
    told = the_json(
        invoke("score", tmp_path / "new.csv", "--train", machines, "--by", "id", *QUICK, "--save", saved, *asked)
    )
    scored = (tmp_path / "out.csv").read_bytes()
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found)[3:] == ["anomaly_score", "p_value", "is_anomaly", "borrows", "reason"]
    assert found["borrows"].tolist() == [False] * 31 + [True] and told["n_borrowed"] == 1
    assert found["is_anomaly"][18:30].all() and not found["is_anomaly"][:18].any() and not found["is_anomaly"][30]
    assert found["reason"][20].startswith("load 20 where ")
    assert [group["name"] for group in told["drift"]["groups"]] == ["1"]
    assert any("1 rows are of a 'id' that was not learned" in note for note in told["notes"])

    again = the_json(invoke("score", tmp_path / "new.csv", "--from", saved, *asked))
    assert (tmp_path / "out.csv").read_bytes() == scored and again["drift"] == told["drift"]
    assert invoke("export", saved, "-o", file).exit_code == 0
    the_json(invoke("score", tmp_path / "new.csv", "--onnx", file, *asked))
    exported = pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(exported, found, rtol=1e-4)


def test_what_cannot_be_groups(invoke: Invoke, machines: Path) -> None:
    error = the_error(invoke("score", machines, "--by", "machine"))
    assert "there is no column 'machine'" in error
    assert "what the rows are labelled or grouped by" in the_error(
        invoke("score", machines, "--by", "id", "--drop", "id")
    )
    assert "by: has no effect" in the_error(invoke("score", machines, "--from", "x", "--by", "id")).replace("--", "")
    one = pd.read_csv(machines).assign(site="a")
    one.to_csv(machines, index=False)
    assert "has 1 values in 410 rows, and groups may be" in the_error(invoke("score", machines, "--by", "site"))
