"""Running the command line inside the test process, and a small imbalanced CSV to run it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from gantools_cli.main import main

# Enough steps to run every part of training, too few to learn anything.
QUICK = ("--steps", "20", "--device", "cpu")

Invoke = Callable[..., Result]


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """A function (*arguments) -> the result of `gantools *arguments`."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="gantools")

    return run


@pytest.fixture
def customers(tmp_path: Path, make_table: Callable[..., pd.DataFrame]) -> Path:
    """`customers.csv` alone in a new folder: 120 rows, 24 of them 'yes' in the column 'churned'."""
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "customers.csv"
    make_table().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def generator(
    tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, make_table: Callable[..., pd.DataFrame]
) -> Path:
    """The folder of a generator trained for a moment on the customers; tests only read it."""
    folder = tmp_path_factory.mktemp("trained")
    make_table().to_csv(folder / "customers.csv", index=False)
    saved = folder / "generator"
    result = invoke("train", folder / "customers.csv", "--target", "churned", "--save", saved, *QUICK)
    assert result.exit_code == 0, result.output
    return saved


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke, make_table: Callable[..., pd.DataFrame]) -> Path:
    """The folder of a scorer trained for a moment on the customers; tests only read it."""
    folder = tmp_path_factory.mktemp("trained_scorer")
    make_table().to_csv(folder / "customers.csv", index=False)
    saved = folder / "scorer"
    result = invoke("score", folder / "customers.csv", "--train", folder / "customers.csv", "--save", saved, *QUICK)
    assert result.exit_code == 0, result.output
    return saved


def the_json(result: Result) -> dict[str, Any]:
    """The one object that --json printed, and nothing else."""
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    loaded = json.loads(result.stdout)
    assert isinstance(loaded, dict)
    return loaded


def the_error(result: Result, *, exit_code: int = 2) -> str:
    """The one line on stderr of a command that failed as it should."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in lines[0]
    return lines[0]
