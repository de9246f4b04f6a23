"""`gantools train` and `gantools generate`: a generator saved, resumed, and asked for rows."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gantools.data.tables import read_table

from .conftest import QUICK, Invoke, the_error, the_json


def test_train_then_generate_exact_counts(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    """--where gives that label in every row; -n is exact; the columns are the training table's."""
    out = tmp_path / "yes.csv"
    told = the_json(invoke("generate", generator, "-n", "137", "--where", "churned=yes", "-o", out, "--json"))
    assert told["n_rows"] == 137
    frame, _ = read_table(out)
    assert frame["churned"].tolist() == ["yes"] * 137
    assert list(frame.columns) == ["age", "income", "city", "member", "joined", "churned"]


def test_generate_in_training_proportions(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    result = invoke("generate", generator, "-n", "50", "-o", out)
    assert result.exit_code == 0, result.output
    assert str(out) in result.stdout
    counts = pd.read_parquet(out)["churned"].value_counts()
    assert counts.sum() == 50
    assert counts["yes"] == pytest.approx(10, abs=1)


def test_generated_rows_go_beside_the_generator(
    invoke: Invoke, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named as the folder was named, and from within it too."""
    shutil.copytree(generator, tmp_path / "gen")
    for inside, named in ((tmp_path, "gen"), (tmp_path / "gen", ".")):
        monkeypatch.chdir(inside)
        result = invoke("generate", named, "-n", "5")
        assert result.exit_code == 0, result.output
        (tmp_path / "gen.generated.csv").unlink()
        shown = "gen.generated.csv" if named == "gen" else str(tmp_path.resolve() / "gen.generated.csv")
        assert result.stdout.rstrip().endswith(f"Synthetic table: {shown}")


@pytest.mark.parametrize("given", [("--seeds", "3"), ("--interpolate", 1, 2)])
def test_rows_have_no_seeds_of_their_own(
    invoke: Invoke, generator: Path, tmp_path: Path, given: tuple[object, ...]
) -> None:
    line = the_error(invoke("generate", generator, *given, "-o", tmp_path / "x.csv"))
    assert str(given[0]) in line and "tables" in line


def test_generate_is_seeded(invoke: Invoke, generator: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"{name}.csv" for name in "abc"]
    for out, seed in zip(outs, (1, 1, 2), strict=True):
        the_json(invoke("generate", generator, "-n", "20", "--seed", seed, "-o", out, "--json"))
    a, b, c = (out.read_text() for out in outs)
    assert a == b
    assert a != c


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("churned=maybe", "no, yes"),
        ("churned=yess", "did you mean 'yes'"),
        ("city=Berm", "did you mean 'Bern'"),
        ("yes", "'yes' names no column"),
    ],
)
def test_where_names_what_is_wrong(invoke: Invoke, generator: Path, tmp_path: Path, where: str, named: str) -> None:
    error = the_error(invoke("generate", generator, "-n", "5", "--where", where, "-o", tmp_path / "x.csv"))
    assert "--where" in error
    assert named in error
    assert not list(tmp_path.iterdir())


def test_a_trained_generator_is_safe(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    """Without --force it is not trained over, and a finished run is not resumed."""
    save = tmp_path / "run"
    arguments = ("train", customers, "--target", "churned", "--save", save, "--device", "cpu", "--json")
    assert the_json(invoke(*arguments, "--steps", "10"))["training"]["steps"] == 10
    assert "not empty" in the_error(invoke(*arguments, "--steps", "12"))
    assert "finished" in the_error(invoke(*arguments, "--steps", "10", "--resume"))
    assert the_json(invoke(*arguments, "--steps", "12", "--force"))["training"]["steps"] == 12


# Checkpoints as often as possible; at the third news of training the process is killed as `kill -9` would.
KILLED = """
import dataclasses, os, signal, sys
from gantools.workflow.train import Request
from gantools_cli import show
from gantools_cli.main import main
given = Request.train_config
Request.train_config = lambda *base, **more: dataclasses.replace(given(*base, **more), checkpoint_every_s=0)
news = []
def tell(*_):
    news.append(1)
    if len(news) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
show.CommandProgress.__call__ = tell
main(sys.argv[1:])
"""


def test_a_killed_training_resumes_to_the_same_generator(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    """Killed in the middle and resumed, a generator makes the rows of one trained in one go."""
    arguments = [
        "train",
        str(customers),
        "--target",
        "churned",
        "--steps",
        "220",
        "--device",
        "cpu",
        "--json",
        "--save",
    ]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments, str(tmp_path / "killed")], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert the_json(invoke("info", tmp_path / "killed", "--json"))["training"]["steps"] == 100
    the_json(invoke(*arguments, tmp_path / "killed", "--resume"))
    the_json(invoke(*arguments, tmp_path / "whole"))
    for name in ("killed", "whole"):
        the_json(invoke("generate", tmp_path / name, "-n", "60", "-o", tmp_path / f"{name}.csv", "--json"))
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_train_takes_model_settings_and_kinds(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    arguments = ("train", customers, "--target", "churned", *QUICK, "--model", "cgan", "--kind", "age=continuous")
    told = the_json(invoke(*arguments, "--save", tmp_path / "run", "--json"))
    assert told["model"] == "cgan"
    shown = the_json(invoke("info", tmp_path / "run", "--json"))
    assert shown["model"] == "cgan"
    assert {c["name"]: c["kind"] for c in shown["schema"]["columns"]}["age"] == "continuous"


def test_budget_ends_training(invoke: Invoke, customers: Path, tmp_path: Path) -> None:
    told = the_json(
        invoke(
            "train", customers, "--target", "churned", "--steps", "1000000", "--budget", "2s", "--device", "cpu",
            "--save", tmp_path / "run", "--json",
        )
    )  # fmt: skip
    assert told["training"]["stopped"] == "budget"
    assert told["training"]["seconds"] < 20
