"""The boundary: every failure ends in one line on stderr and a meaningful exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
import warnings
from typing import Any

import click

from gantools.errors import GantoolsError
from gantools.words import legible

# What a shell reports for a process ended by Ctrl-C.
EXIT_INTERRUPTED = 130


class Failure(click.ClickException):
    """The one line on stderr that a command ends with when it cannot go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(legible(" ".join(message.split())))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance as well

    def show(self, file: Any = None) -> None:
        """Write the line to stderr, or to `file`."""
        click.echo(self.message, file=file, err=file is None)


class CommandGroup(click.Group):
    """A group whose commands end every failure in one line on stderr and a meaningful exit code.

    2: something the user can mend. 130: Ctrl-C. 1: a defect of gantools. --debug adds the traceback before the line.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the group's own options."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _usage_failure(error) from error

    def _invoke_by_torchrun(self, ctx: click.Context) -> Any:
        """The first process runs the command, and the others train with it."""
        from gantools.train.devices import dismiss, serve

        if int(os.environ["RANK"]):
            return serve()
        try:
            return super().invoke(ctx)
        finally:
            dismiss()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command inside the boundary."""
        try:
            if not sys.warnoptions and not _debugging(ctx):
                # Warnings of other libraries are for us, not for somebody who balances a table.
                warnings.simplefilter("ignore")
            return super().invoke(ctx) if "TORCHELASTIC_RUN_ID" not in os.environ else self._invoke_by_torchrun(ctx)
        except (click.exceptions.Exit, click.Abort, Failure):
            raise
        except click.UsageError as error:
            raise _usage_failure(error) from error
        except click.ClickException as error:
            raise Failure(f"Error: {error.format_message()}", error.exit_code) from error
        except KeyboardInterrupt as error:
            _trace(ctx)
            how = str(error) or "nothing was written"
            raise Failure(with_options(f"Interrupted: {how}", self._command(ctx)), EXIT_INTERRUPTED) from error
        except GantoolsError as error:
            _trace(ctx)
            raise Failure(f"Error: {error_line(error, self._command(ctx))}", error.exit_code) from error
        except MemoryError as error:
            _trace(ctx)
            raise Failure("Error: out of memory; use a smaller table or fewer rows", 2) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            _trace(ctx)
            name = f"{error.filename}: " if error.filename else ""
            raise Failure(f"Error: {name}{error.strerror or error}", 2) from error
        except Exception as error:
            _trace(ctx)
            text = f"Error: gantools failed with {type(error).__name__}: {error}; this is a defect, please report it"
            raise Failure(text if _debugging(ctx) else f"{text} with the traceback that --debug shows", 1) from error

    def _command(self, ctx: click.Context) -> click.Command | None:
        return self.commands.get(ctx.invoked_subcommand or "")


def error_line(error: GantoolsError, command: click.Command | None) -> str:
    """The error as a line that names options where the library named parameters.

    `where` begins with a parameter's name, or with something else; in the texts parameters stand in backquotes.
    """
    first, _, rest = error.where.partition(" ")
    where = f"{_options(command).get(first, first)} {rest}".strip()
    return with_options(str(type(error)(error.problem, where=where, remedy=error.remedy)), command)


def with_options(text: str, command: click.Command | None) -> str:
    """The text with the command's options in place of parameters in backquotes."""
    options = _options(command)
    return re.sub(r"`(\w+)`", lambda match: options.get(match[1], match[0]), text)


def _options(command: click.Command | None) -> dict[str, str]:
    """Parameter -> option."""
    parameters = command.params if command else []
    return {one.name: one.opts[0] for one in parameters if one.name and one.opts and one.opts[0].startswith("--")}


def _usage_failure(error: click.UsageError) -> Failure:
    path = error.ctx.command_path if error.ctx else "gantools"
    return Failure(f"Error: {error.format_message().rstrip('.')} (see '{path} --help')", 2)


def _debugging(ctx: click.Context) -> bool:
    return bool(ctx.find_root().meta.get("gantools.debug"))


def _trace(ctx: click.Context) -> None:
    if _debugging(ctx):
        traceback.print_exc()
