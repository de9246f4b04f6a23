"""`gantools generate --where` on any column, `--fill`, and rules from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables import read_table

from .conftest import QUICK, Invoke, the_error, the_json


def test_rows_are_as_asked_in_every_column(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.csv"
    asked = ("--where", "age=30..40", "--where", "churned=yes")
    told = the_json(invoke("generate", generator, "-n", "60", *asked, "-o", out, "--json"))
    frame, _ = read_table(out)
    assert len(frame) == 60 and frame["age"].between(30, 40).all() and set(frame["churned"]) == {"yes"}
    assert 0 < told["share"] < 1


def test_people_are_told_how_rare_such_rows_are(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    result = invoke("generate", generator, "-n", "20", "--where", "age=30..32", "-o", tmp_path / "rows.csv")
    assert result.exit_code == 0, result.output
    assert "of the rows would be like that" in result.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--where", "aeg=3"), "--where: there is no column 'aeg'"),
        (("--where", "age"), "--where: 'age' names no column"),
        (("--where", "age=old"), "--where age: 'old' cannot be read"),
        (("--where", "age=900..999"), "--where age: no row that was learned from has such a value"),
        (("--where", "city=Atlantis"), "--where city: has no value 'Atlantis'"),
        (("--where", "age=30..40", "--refine"), "cannot be combined with --refine"),
    ],
)
def test_what_cannot_be_is_one_line(
    invoke: Invoke, generator: Path, tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    line = the_error(invoke("generate", generator, "-n", "5", *given, "-o", tmp_path / "x.csv"))
    assert said in line
    assert not (tmp_path / "x.csv").exists()


@pytest.fixture
def holes(customers: Path, tmp_path: Path) -> Path:
    """A table with a fifth of its cells missing."""
    frame, _ = read_table(customers)
    hidden = np.random.default_rng(0).random(frame.shape) < 0.2
    place = tmp_path / "holes.csv"
    frame.mask(pd.DataFrame(hidden, columns=frame.columns)).to_csv(place, index=False)
    return place


@pytest.mark.parametrize("likely", [(), ("--likely",)])
def test_holes_are_filled(invoke: Invoke, generator: Path, holes: Path, likely: tuple[str, ...]) -> None:
    told = the_json(invoke("generate", generator, "--fill", holes, *likely, "--json"))
    out = holes.with_name("holes.filled.csv")
    assert told["output"] == str(out)
    before, after = pd.read_csv(holes), pd.read_csv(out)
    assert sum(told["filled"].values()) == before.isna().sum().sum() and not after.isna().any(axis=None)
    for name in before:
        kept = before[name].notna()
        assert (before[name][kept] == after[name][kept]).all(), name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--fill", "HOLES", "-n", "5"), "cannot be combined"),
        (("--fill", "HOLES", "--where", "age=3"), "cannot be combined"),
        (("--likely", "-n", "5"), "has no effect without --fill"),
        (("--fill", "nowhere.csv"), "nowhere.csv: does not exist"),
    ],
)
def test_filling_says_what_is_wrong(
    invoke: Invoke, generator: Path, holes: Path, given: tuple[str, ...], said: str
) -> None:
    asked = [str(holes) if part == "HOLES" else part for part in given]
    assert said in the_error(invoke("generate", generator, *asked, "-o", holes.with_name("x.csv")))


def test_a_table_without_holes_is_said_to_have_none(invoke: Invoke, generator: Path, holes: Path) -> None:
    place = holes.with_name("whole.csv")
    pd.read_csv(holes).dropna().to_csv(place, index=False)
    result = invoke("generate", generator, "--fill", place)
    assert result.exit_code == 0 and "No cell was missing" in result.stdout


def test_rules_are_told_and_kept(invoke: Invoke, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    goods, freight = rng.integers(1, 90, 400), rng.integers(1, 30, 400)
    frame = pd.DataFrame({"goods": goods, "freight": freight, "total": goods + freight})
    frame.assign(late=np.where(rng.random(400) < 0.3, "yes", "no")).to_csv(tmp_path / "bills.csv", index=False)
    rule = "column 'total' is the sum of 'goods', 'freight'"
    assert rule in invoke("info", tmp_path / "bills.csv", "--target", "late").output
    trained = invoke("train", tmp_path / "bills.csv", "--target", "late", *QUICK, "--save", tmp_path / "kept")
    assert trained.exit_code == 0 and rule in trained.output
    invoke("generate", tmp_path / "kept", "-n", "100", "-o", tmp_path / "rows.csv")
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert (rows["goods"] + rows["freight"] == rows["total"]).all()
    given = ("--target", "late", *QUICK, "--no-rules", "--save", tmp_path / "plain")
    assert rule not in invoke("train", tmp_path / "bills.csv", *given).output
