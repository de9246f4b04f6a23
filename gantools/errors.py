"""What can go wrong that a user can mend: each error says what is wrong, where, and what to do about it."""

from __future__ import annotations


class GantoolsError(Exception):
    """A failure that the user can mend; every deliberate error of this library is one.

    problem: what is wrong, as a sentence without its full stop. where: the file, column or option it is about, empty
    when there is none. remedy: what to do about it, empty when nothing can be done. `str` gives all three on one line:
    `where: problem; remedy`. `exit_code` is what a command line should exit with.
    """

    exit_code = 2

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        if self.remedy:
            text = f"{text}; {self.remedy}"
        return " ".join(text.split())


class DataError(GantoolsError):
    """A file, frame or column cannot be used."""


class ConfigError(GantoolsError):
    """An option has a bad value; `where` is the option's name."""


class CheckpointError(GantoolsError):
    """A checkpoint folder cannot be used."""


class TrainingError(GantoolsError):
    """Training could not produce a usable model."""


class ExportError(GantoolsError):
    """A model cannot be exported, or an exported file cannot be run."""


class WorkerError(GantoolsError):
    """A process that did part of the work is gone."""
