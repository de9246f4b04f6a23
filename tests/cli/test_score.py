"""`gantools score` end to end on a small table, with the shortest of trainings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables import read_table
from gantools_cli.show import CommandProgress

from .conftest import QUICK, Invoke, the_error, the_json

ADDED = ["anomaly_score", "p_value", "is_anomaly"]


@pytest.fixture
def odd_customers(customers: Path) -> Path:
    """The customers, the first three of them with an income that nobody has, and marked."""
    frame = pd.read_csv(customers)
    frame.loc[:2, "income"] = 9e6
    frame["fraud"] = (frame.index < 3).astype(int)
    frame.to_csv(customers, index=False)
    return customers


def test_scored_table_is_written_beside_the_input(invoke: Invoke, odd_customers: Path) -> None:
    """The input's rows in order and unchanged, with the scores behind."""
    result = invoke("score", odd_customers, *QUICK)
    assert result.exit_code == 0, result.output
    data, _ = read_table(odd_customers)
    scored, _ = read_table(odd_customers.with_name("customers.scored.csv"))
    assert list(scored.columns) == [*data.columns, *ADDED]
    pd.testing.assert_frame_equal(scored[data.columns], data)
    assert (scored["anomaly_score"] > 0).all()
    assert scored["p_value"].between(0, 1).all()
    assert scored["is_anomaly"].dtype == bool


def test_rows_of_a_european_file_come_back_to_the_letter(invoke: Invoke, customers: Path) -> None:
    """Semicolons, decimal commas, trailing zeros, CRLF and cp1252: the input's lines, each with the scores behind."""
    frame, _ = read_table(customers)
    path = customers.with_name("kunden.csv")
    rows = zip(frame["age"], frame["income"].fillna(0), frame["churned"], strict=True)
    lines = [f"{age};{income:.2f};Köln;{churned}".replace(".", ",") for age, income, churned in rows]
    path.write_bytes("\r\n".join(["Alter;Umsatz €;Ort;churned", *lines]).encode("cp1252"))
    assert invoke("score", path, *QUICK).exit_code == 0
    out = path.with_name("kunden.scored.csv").read_bytes().decode("cp1252").split("\r\n")
    assert out[0] == "Alter;Umsatz €;Ort;churned;anomaly_score;p_value;is_anomaly"
    assert [line.rsplit(";", 3)[0] for line in out[1:-1]] == lines
    assert not any("." in line.split(";")[-3] for line in out[1:-1])
    scored, _ = read_table(path.with_name("kunden.scored.csv"))
    assert scored["anomaly_score"].dtype == float


def test_parquet_keeps_its_types(invoke: Invoke, tmp_path: Path, make_table: Callable[..., pd.DataFrame]) -> None:
    frame = make_table()
    frame["city"] = frame["city"].astype("category")
    frame["age"] = frame["age"].astype("Int16")
    frame.to_parquet(tmp_path / "t.parquet")
    the_json(invoke("score", tmp_path / "t.parquet", *QUICK, "--explain", "--json"))
    scored = pd.read_parquet(tmp_path / "t.scored.parquet")
    assert list(scored.columns) == [*frame.columns, *ADDED, "reason"]
    pd.testing.assert_frame_equal(scored[frame.columns], frame)


def test_people_are_told_everything(invoke: Invoke, odd_customers: Path) -> None:
    result = invoke("score", odd_customers, *QUICK, "--false-alarms", "10%")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    told = " ".join(result.stdout.split())
    for words in ("most abnormal rows", "120 rows scored", "10 % of normal rows", "held-out", "from 120 rows", "steps"):
        assert words in told, told
    assert result.stdout.rstrip().endswith(f"Scored table: {odd_customers.with_name('customers.scored.csv')}")


def test_machines_are_told_the_same(invoke: Invoke, odd_customers: Path, tmp_path: Path) -> None:
    out, report, save = tmp_path / "o.parquet", tmp_path / "r.html", tmp_path / "made"
    also = ("--explain", "--labels", "fraud", "-o", out, "--report", report, "--save", save, "--seed", "3")
    told = the_json(invoke("score", odd_customers, *QUICK, "--json", *also))
    scored = pd.read_parquet(out)
    assert told["output"] == str(out)
    assert told["n_rows"] == 120
    assert told["n_anomalous"] == scored["is_anomaly"].sum()
    assert told["n_marked"] == 3
    assert told["false_alarms"] is None
    assert 0 < told["best_f1"] <= 1
    assert told["detection"]["n_anomalous"] == 3
    assert 0.5 < told["detection"]["roc_auc"] <= 1
    assert told["drift"] is None
    assert len(told["most_abnormal"]) == 20
    first = told["most_abnormal"][0]
    assert first["anomaly_score"] == pytest.approx(scored["anomaly_score"].max())
    assert scored["anomaly_score"].idxmax() + 1 == first["row"]
    assert first["reason"]
    assert (scored["reason"].notna() == scored["is_anomaly"]).all()
    assert "<html" in report.read_text(encoding="utf-8").lower()
    assert (save / "config.json").is_file()


def test_a_table_of_normal_rows(invoke: Invoke, customers: Path, make_table: Callable[..., pd.DataFrame]) -> None:
    """Drift is told, on stderr, where the rows scored are others."""
    normal = customers.with_name("normal.csv")
    make_table(400, 80, seed=1).to_csv(normal, index=False)
    result = invoke("score", customers, "--train", normal, *QUICK)
    assert result.exit_code == 0, result.output
    assert "Learned from 400 rows" in result.stdout
    frame = pd.read_csv(customers)
    frame["age"] += 70
    frame.to_csv(customers, index=False)
    result = invoke("score", customers, "--train", normal, *QUICK, "--force")
    assert result.exit_code == 0, result.output
    assert "Drift: age: " in result.stderr
    told = the_json(invoke("score", customers, "--train", normal, *QUICK, "--force", "--json"))
    assert told["drift"]["drifted"] is True


def test_the_saved_scorer_scores_alike(invoke: Invoke, customers: Path, scorer: Path, tmp_path: Path) -> None:
    """Scores do not depend on the file's format, its other columns or its other rows."""
    whole, part = tmp_path / "whole.csv", tmp_path / "part.parquet"
    told = the_json(invoke("score", customers, "--from", scorer, "-o", whole, "--json"))
    assert told["training"] is None
    assert told["n_learned"] is None
    assert told["drift"]["drifted"] is False
    frame, _ = read_table(customers)
    frame.insert(0, "more", "x")
    frame.iloc[50:80][frame.columns[::-1]].to_parquet(tmp_path / "half.parquet")
    the_json(invoke("score", tmp_path / "half.parquet", "--from", scorer, "-o", part, "--json"))
    scores = pd.read_csv(whole)["anomaly_score"].iloc[50:80].to_numpy()
    assert pd.read_parquet(part)["anomaly_score"].to_numpy() == pytest.approx(scores, rel=1e-4)


def test_another_rate_for_the_saved_scorer(invoke: Invoke, customers: Path, scorer: Path, tmp_path: Path) -> None:
    flagged = []
    for rate in ("0.02", "0.2", "0.5"):
        also = ("--false-alarms", rate, "-o", tmp_path / f"{rate}.csv", "--json")
        told = the_json(invoke("score", customers, "--from", scorer, *also))
        assert told["false_alarms"] == float(rate)
        flagged.append(told["n_anomalous"])
    assert flagged == sorted(flagged)
    assert flagged[-1] > flagged[0]


def test_info_on_a_scorer(invoke: Invoke, scorer: Path) -> None:
    result = invoke("info", scorer)
    assert result.exit_code == 0, result.output
    for told in ("denoiser", "20 steps", "Threshold", "held-out", "city"):
        assert told in result.stdout, told
    told = the_json(invoke("info", scorer, "--json"))
    assert told["model"] == "denoiser"
    assert told["threshold"] > 0


def test_one_seed_one_result(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"{name}.csv" for name in "abc"]
    for out, seed in zip(outs, (5, 5, 6), strict=True):
        the_json(invoke("score", customers, *QUICK, "--seed", seed, "-o", out, "--json"))
    a, b, c = (out.read_bytes() for out in outs)
    assert a == b
    assert a != c


def test_existing_outputs_are_kept_without_force(invoke: Invoke, customers: Path, scorer: Path) -> None:
    out = customers.with_name("customers.scored.csv")
    out.write_text("mine")
    assert "--force" in the_error(invoke("score", customers, "--from", scorer))
    assert out.read_text() == "mine"
    the_json(invoke("score", customers, "--from", scorer, "--force", "--json"))
    assert out.read_text() != "mine"


def test_no_progress_without_a_terminal(customers: Path, scorer: Path) -> None:
    """As a program in a pipe: stderr stays empty."""
    command = [sys.executable, "-m", "gantools_cli", "score", str(customers), "--from", str(scorer), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_progress_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage whose length is not known ends when another begins."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with CommandProgress() as show:
        show.done("Reading", 500, None, "rows")
        show.done("Reading", 900, None, "rows")
        show.done("Scoring", 100, 900, "rows")
        states = {task.description: (task.completed, task.total) for task in show._bars.tasks}
    assert states == {"Reading": (900, 900), "Scoring": (100, 900)}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_folder_of_parts_is_one_table(invoke: Invoke, odd_customers: Path, tmp_path: Path, suffix: str) -> None:
    """A saved scorer says the same of it as of the file, and its parts come out as parts."""
    saved, parts, whole = tmp_path / "scorer", tmp_path / "parts", pd.read_csv(odd_customers)
    assert invoke("score", odd_customers, *QUICK, "--labels", "fraud", "--save", saved).exit_code == 0
    alone = invoke("score", odd_customers, "--from", saved, "--labels", "fraud", "--force", "--json")
    parts.mkdir()
    for k, rows in enumerate((slice(0, 50), slice(50, 60), slice(60, None))):
        part, path = whole.iloc[rows], parts / f"{k}{suffix}"
        part.to_csv(path, index=False) if suffix == ".csv" else part.to_parquet(path, index=False)
    result = invoke("score", parts, "--from", saved, "--labels", "fraud", "--json", "--report", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    told, expected = the_json(result), the_json(alone)
    for name in ("n_rows", "n_anomalous", "histogram", "p_values", "by_row", "detection", "operating_points"):
        assert told[name] == expected[name], name
    assert told["output"] == str(tmp_path / "parts.scored")
    scored = [read_table(tmp_path / "parts.scored" / f"{k}{suffix}")[0] for k in range(3)]
    assert [len(part) for part in scored] == [50, 10, len(whole) - 60]
    one = read_table(odd_customers.with_name("customers.scored.csv"))[0]
    assert pd.concat(scored)["anomaly_score"].to_numpy() == pytest.approx(one["anomaly_score"].to_numpy(), rel=1e-5)

    error = the_error(invoke("score", parts, "--from", saved))
    assert "parts.scored is not empty" in error and "--force" in error
    (tmp_path / "parts.scored" / "notes.txt").write_text("mine")
    error = the_error(invoke("score", parts, "--from", saved, "--force"))
    assert "holds files that are not parts of this table" in error
    assert "lies in" in the_error(invoke("score", parts, "--from", saved, "-o", parts / "out"))
    assert invoke("score", parts, "--from", saved, "-o", tmp_path / "one.csv").exit_code == 0
    assert len(pd.read_csv(tmp_path / "one.csv")) == len(whole)


def test_workers_find_what_one_process_finds(invoke: Invoke, odd_customers: Path, tmp_path: Path) -> None:
    """Byte for byte, figure for figure; and what was interrupted goes on to the same."""
    saved, parts, whole = tmp_path / "scorer", tmp_path / "parts", pd.read_csv(odd_customers)
    assert invoke("score", odd_customers, *QUICK, "--labels", "fraud", "--save", saved).exit_code == 0
    parts.mkdir()
    for k, rows in enumerate(np.array_split(np.arange(len(whole)), 4)):
        whole.iloc[rows].to_csv(parts / f"{k}.csv", index=False)
    asked = ("--from", saved, "--labels", "fraud", "--explain", "--json")

    def scored(out: str, *more: str) -> tuple[dict[str, object], dict[str, bytes]]:
        told = the_json(invoke("score", parts, *asked, "-o", tmp_path / out, *more))
        del told["output"], told["seconds"]
        return told, {one.name: one.read_bytes() for one in sorted((tmp_path / out).glob("*.csv"))}

    alone = scored("alone")
    assert scored("together", "--workers", "2") == alone and len(alone[1]) == 4
    (tmp_path / "alone" / "2.csv").unlink()
    assert scored("alone", "--resume") == alone
    assert "resume: needs a saved scorer" in the_error(invoke("score", parts, *QUICK, "--resume"))
    error = the_error(invoke("score", odd_customers, "--from", saved, "--workers", "2", "-o", tmp_path / "w.csv"))
    assert "workers: has no effect where the output is not a folder of parts" in error.replace("--", "")
    error = the_error(invoke("score", parts, "--from", saved, "-o", tmp_path / "alone", "--resume"))
    assert "was not begun with the same data, model and options" in error


def test_learning_from_parts(invoke: Invoke, odd_customers: Path, tmp_path: Path) -> None:
    """What is learned from a folder of parts is what is learned from the file."""
    parts = tmp_path / "parts"
    parts.mkdir()
    whole = pd.read_csv(odd_customers)
    for k, rows in enumerate(np.array_split(np.arange(len(whole)), 4)):
        whole.iloc[rows].to_csv(parts / f"{k}.csv", index=False)
    first, second = (the_json(invoke("score", data, *QUICK, "--json")) for data in (odd_customers, parts))
    assert first["histogram"] == second["histogram"] and first["threshold"] == second["threshold"]
