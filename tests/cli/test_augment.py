"""`gantools augment` end to end on a small table, with the shortest of trainings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gantools.data.tables import read_table

from .conftest import QUICK, Invoke, the_error, the_json

ASKED = ("--target", "churned", *QUICK)


def test_balanced_table_is_written_beside_the_input(invoke: Invoke, customers: Path) -> None:
    """Real rows first and unchanged, then exactly the lacking synthetic ones; types kept, the mark last."""
    result = invoke("augment", customers, *ASKED, "--no-verdict")
    assert result.exit_code == 0, result.output
    real, _ = read_table(customers)
    balanced, _ = read_table(customers.with_name("customers.balanced.csv"))
    assert list(balanced.columns) == [*real.columns, "is_synthetic"]
    pd.testing.assert_frame_equal(balanced.drop(columns="is_synthetic").head(len(real)), real)
    assert balanced["is_synthetic"].tolist() == [False] * 120 + [True] * 72
    assert balanced["churned"].value_counts().to_dict() == {"no": 96, "yes": 96}
    assert balanced.tail(72)["churned"].unique().tolist() == ["yes"]
    assert set(balanced["city"].unique()) <= set(real["city"].unique())


def test_rows_of_a_european_file_come_back_to_the_letter(invoke: Invoke, customers: Path) -> None:
    """Semicolons, decimal commas, trailing zeros, CRLF and cp1252: the input's lines, each with the mark behind."""
    frame, _ = read_table(customers)
    path = customers.with_name("kunden.csv")
    rows = zip(frame["age"], frame["income"].fillna(0), frame["churned"], strict=True)
    lines = [f"{age};{income:.2f};Köln;{churned}".replace(".", ",") for age, income, churned in rows]
    path.write_bytes("\r\n".join(["Alter;Umsatz €;Ort;churned", *lines]).encode("cp1252"))
    assert invoke("augment", path, *ASKED, "--no-verdict").exit_code == 0
    out = path.with_name("kunden.balanced.csv").read_bytes().decode("cp1252").split("\r\n")
    assert out[: 1 + len(lines)] == ["Alter;Umsatz €;Ort;churned;is_synthetic", *(f"{line};False" for line in lines)]
    assert all(re.fullmatch(r"\d+;-?\d+,\d\d;Köln;yes;True", line) for line in out[1 + len(lines) : -1])


def test_people_are_told_everything(invoke: Invoke, customers: Path) -> None:
    """Counts before and after, copies, training, the verdict's methods and sentence, and where the file is."""
    result = invoke("augment", customers, *ASKED)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for told in ("96", "24", "72", "Copies of real rows", "20 steps", "none", "repetition", "smote", "gantools"):
        assert told in result.stdout, told
    assert result.stdout.rstrip().endswith(f"Balanced table: {customers.with_name('customers.balanced.csv')}")


def test_machines_are_told_the_same(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    """--json prints one object, and the other files are written where asked."""
    out, report, save = tmp_path / "o.parquet", tmp_path / "r.html", tmp_path / "made"
    told = the_json(
        invoke("augment", customers, *ASKED, "--json", "-o", out, "--report", report, "--save", save, "--seed", "3")
    )
    assert told["output"] == str(out)
    assert told["target"] == "churned"
    assert told["classes"] == [{"label": "no", "before": 96, "after": 96}, {"label": "yes", "before": 24, "after": 96}]
    assert told["n_synthetic"] == 72
    assert told["training"]["steps"] == 20
    assert set(told["verdict"]["scores"]) == {"none", "threshold", "weights", "repetition", "smote", "gantools"}
    assert told["verdict"]["sentence"]
    assert told["verdict"]["n_train"] + told["verdict"]["n_holdout"] == 120
    assert pd.read_parquet(out)["is_synthetic"].sum() == 72
    assert told["verdict"]["sentence"].split(",")[0].split()[0] in report.read_text(encoding="utf-8")
    assert "<html" in report.read_text(encoding="utf-8").lower()
    assert (save / "config.json").is_file()


def test_the_saved_generator_balances_again(invoke: Invoke, customers: Path, generator: Path) -> None:
    """--from trains nothing and says why there is no verdict."""
    told = the_json(invoke("augment", customers, "--target", "churned", "--from", generator, "--json"))
    assert told["n_synthetic"] == 72
    assert told["verdict"] is None
    assert "No verdict" in " ".join(told["notes"])


@pytest.mark.parametrize(
    ("strategy", "made"),
    [("minority", 72), ("not-majority", 72), ("0.5", 24), ('{"yes": 30}', 6), ("all", 72)],
)
def test_strategies(invoke: Invoke, customers: Path, generator: Path, strategy: str, made: int) -> None:
    told = the_json(
        invoke("augment", customers, "--target", "churned", "--from", generator, "--strategy", strategy, "--json")
    )
    assert told["n_synthetic"] == made


def test_synthetic_rows_alone(invoke: Invoke, customers: Path, generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "only.csv"
    the_json(
        invoke(
            "augment", customers, "--target", "churned", "--from", generator, "--synthetic-only", "-o", out, "--json"
        )
    )
    only = pd.read_csv(out)
    assert len(only) == 72
    assert only["is_synthetic"].all()


def test_one_seed_one_result(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    """The same seed gives the same bytes, another seed others."""
    outs = [tmp_path / f"{name}.csv" for name in ("a", "b", "c")]
    for out, seed in zip(outs, (5, 5, 6), strict=True):
        the_json(invoke("augment", customers, *ASKED, "--no-verdict", "--seed", seed, "-o", out, "--json"))
    a, b, c = (out.read_bytes() for out in outs)
    assert a == b
    assert a != c


def test_semicolons_commas_and_compression_stay(invoke: Invoke, generator: Path, customers: Path) -> None:
    """A spreadsheet's export comes back as the same kind of file."""
    source = customers.with_name("export.csv.gz")
    frame, _ = read_table(customers)
    frame.to_csv(source, sep=";", decimal=",", index=False, encoding="cp1252")
    the_json(invoke("augment", source, "--target", "churned", "--from", generator, "--json"))
    balanced, dialect = read_table(source.with_name("export.balanced.csv.gz"))
    assert (dialect.delimiter, dialect.decimal) == (";", ",")
    assert len(balanced) == 192


def test_existing_outputs_are_kept_without_force(invoke: Invoke, customers: Path, generator: Path) -> None:
    out = customers.with_name("customers.balanced.csv")
    out.write_text("mine")
    arguments = ("augment", customers, "--target", "churned", "--from", generator)
    assert "--force" in the_error(invoke(*arguments))
    assert out.read_text() == "mine"
    the_json(invoke(*arguments, "--force", "--json"))
    assert out.read_text() != "mine"


def test_no_progress_without_a_terminal(customers: Path) -> None:
    """As a program in a pipe: stderr stays empty."""
    command = [sys.executable, "-m", "gantools_cli", "augment", str(customers), *ASKED, "--no-verdict", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
