"""Every failure ends in one line on stderr and a meaningful exit code."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import gantools.registry
from gantools.errors import GantoolsError
from gantools_cli.main import main

from .conftest import Invoke, the_error


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--nonsense"], "--nonsense"),
        (["augmnt"], "augment"),
        (["augment"], "DATA"),
        (["augment", "t.csv"], "--target"),
        (["augment", "t.csv", "--target", "y", "--modl", "cgan"], "--model"),
        (["augment", "t.csv", "--target", "y", "--budget", "soon"], "--budget"),
        (["augment", "t.csv", "--target", "y", "--steps", "0"], "--steps"),
        (["augment", "t.csv", "--target", "y", "--steps", "many"], "--steps"),
        (["augment", "t.csv", "--target", "y", "--seed", "-1"], "--seed"),
        (["augment", "t.csv", "--target", "y", "--save", "a", "--from", "b"], "--from"),
        (["augment", "t.csv", "--target", "y", "--from", "b", "--steps", "9"], "--steps"),
        (["augment", "t.csv", "--target", "y", "-o", "r.csv", "--report", "r.csv"], "--report"),
        (["score"], "DATA"),
        (["score", "t.csv", "--train", "n.csv", "--from", "b"], "--from"),
        (["score", "t.csv", "--save", "a", "--from", "b"], "--from"),
        (["score", "t.csv", "--from", "b", "--steps", "9"], "--steps"),
        (["score", "t.csv", "--from", "b", "--tail"], "--tail"),
        (["score", "t.csv", "--from", "b", "--contamination", "0"], "--contamination"),
        (["score", "t.csv", "--false-alarms", "0"], "--false-alarms"),
        (["score", "t.csv", "--false-alarms", "1"], "--false-alarms"),
        (["score", "t.csv", "--false-alarms", "nan"], "--false-alarms"),
        (["score", "t.csv", "--false-alarms", "few"], "--false-alarms"),
        (["score", "t.csv", "--contamination", "50%"], "--contamination"),
        (["score", "t.csv", "-o", "r.csv", "--report", "r.csv"], "--report"),
        (["train", "t.csv", "--target", "y"], "--save"),
        (["generate", "folder"], "--rows"),
        (["generate", "folder", "-n", "0"], "--rows"),
        (["info"], "DATA"),
        (["models", "extra"], "extra"),
    ],
)
def test_usage_errors(invoke: Invoke, arguments: list[str], named: str) -> None:
    """Wrong use names the option or argument, in one line, with exit code 2."""
    assert named in the_error(invoke(*arguments))


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(gantools.registry, "list_models", fail)


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (GantoolsError("it is\nbroken", where="t.csv", remedy="mend it"), 2, "Error: t.csv: it is broken; mend it"),
        (OSError(28, "No space left on device", "out.csv"), 2, "Error: out.csv: No space left on device"),
        (MemoryError(), 2, "Error: out of memory; use a smaller table or fewer rows"),
        (KeyboardInterrupt(), 130, "Interrupted: nothing was written"),
    ],
)
def test_failures_of_commands(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int, line: str
) -> None:
    failing(monkeypatch, error)
    assert the_error(invoke("models"), exit_code=exit_code) == line


def test_a_defect_is_called_one(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError("division\nby zero"))
    line = the_error(invoke("models"), exit_code=1)
    assert "ZeroDivisionError: division by zero" in line
    assert "--debug" in line


@pytest.mark.parametrize("arguments", [("models", "--debug"), ("--debug", "models")])
def test_debug_shows_the_traceback(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    failing(monkeypatch, GantoolsError("broken"))
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == "Error: broken"


def test_without_a_command_help_is_shown(invoke: Invoke) -> None:
    result = invoke()
    assert result.exit_code == 0
    assert "augment" in result.stdout


def test_version(invoke: Invoke) -> None:
    result = invoke("--version")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("gantools 0.")


@pytest.mark.parametrize("command", ["augment", "score", "train", "generate", "info", "models"])
def test_every_command_has_help_json_and_debug(command: str) -> None:
    assert {"as_json"} <= {parameter.name for parameter in main.commands[command].params}
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--debug" in result.stdout
