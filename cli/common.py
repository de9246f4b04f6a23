"""What the commands share: the error boundary, the options that several take, and where output may go."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gantools.errors import ConfigError, DataError, GantoolsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gantools.config import TrainConfig
    from gantools.data.tables.schema import Kind

F = TypeVar("F", bound=Callable[..., Any])

# What a shell reports for a process ended by Ctrl-C.
EXIT_INTERRUPTED = 130

TABLE_SUFFIXES = {".csv", ".tsv", ".txt", ".parquet", ".pq"}
COMPRESSED_SUFFIXES = {".gz", ".zip", ".bz2", ".xz"}


# The error boundary -------------------------------------------------------------------------------------------------


class Failure(click.ClickException):
    """The one line on stderr that a command ends with when it cannot go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(" ".join(message.split()))
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command inside the boundary."""
        try:
            if not sys.warnoptions and not _debugging(ctx):
                # Warnings of other libraries are for us, not for somebody who balances a table.
                warnings.simplefilter("ignore")
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, Failure):
            raise
        except click.UsageError as error:
            raise _usage_failure(error) from error
        except click.ClickException as error:
            raise Failure(f"Error: {error.format_message()}", error.exit_code) from error
        except KeyboardInterrupt as error:
            _trace(ctx)
            detail = str(error)
            text = f"Interrupted: {detail}" if detail else "Interrupted: nothing was written"
            raise Failure(text, EXIT_INTERRUPTED) from error
        except GantoolsError as error:
            _trace(ctx)
            raise Failure(
                f"Error: {with_option(error, self.commands.get(ctx.invoked_subcommand or ''))}", error.exit_code
            ) from error
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


def _usage_failure(error: click.UsageError) -> Failure:
    path = error.ctx.command_path if error.ctx else "gantools"
    return Failure(f"Error: {error.format_message().rstrip('.')} (see '{path} --help')", 2)


def with_option(error: GantoolsError, command: click.Command | None) -> str:
    """The error as a line that names an option where the library named a parameter."""
    where = error.where
    options = {parameter.name: parameter.opts[0] for parameter in command.params if parameter.opts} if command else {}
    first, _, rest = where.partition(" ")
    named = options.get(first) or options.get(PARAMETERS.get(first, ""))
    if named is None or not named.startswith("--"):
        return str(error)
    return str(type(error)(error.problem, where=f"{named} {rest}".strip(), remedy=error.remedy))


# What the library calls a parameter whose option the command line calls otherwise.
PARAMETERS = {"set": "settings", "budget_s": "budget"}


def _debugging(ctx: click.Context) -> bool:
    return bool(ctx.find_root().meta.get("gantools.debug"))


def _trace(ctx: click.Context) -> None:
    if _debugging(ctx):
        traceback.print_exc()


# Tables and images --------------------------------------------------------------------------------------------------


def holds_images(data: Path) -> bool:
    """Whether what is to be learned from is images, else it is a table. Raises ConfigError for a saved model."""
    from gantools.data.images.source import is_images

    found = is_images(data)
    if data.is_dir() and not found:
        raise ConfigError("is a saved model", where=str(data), remedy="give a table or images; models go with --from")
    return found


def require_target(context: click.Context, data: Path, target: str | None) -> str:
    """The target of a table. Raises click.MissingParameter where none was given, ConfigError for a missing file."""
    if target is None:
        if not data.exists():
            raise ConfigError("does not exist", where=str(data), remedy="check the path; a table needs --target, too")
        raise click.MissingParameter(ctx=context, param_hint="'--target'", param_type="option")
    return target


def check_image_target(data: Path, target: str | None) -> None:
    """Refuse a target of images that is not 'folder'. Raises ConfigError."""
    if target not in (None, "folder"):
        problem = f"the classes of {data} are its sub-folders (the labels of an .npz file), not {target!r}"
        raise ConfigError(problem, where="--target", remedy="write --target folder, or leave it out")


def refuse_for_images(context: click.Context) -> None:
    """Refuse the options that tables alone have. Raises click.UsageError."""
    refuse_given(context, "has no meaning for images", kinds="--kind", refine="--refine")


def refuse_for_tables(context: click.Context) -> None:
    """Refuse the options that images alone have. Raises click.UsageError."""
    refuse_given(
        context, "has no meaning for tables", size="--size", fit="--fit", features="--features", grids="--grids"
    )


# Values of options --------------------------------------------------------------------------------------------------


class Duration(click.ParamType[float]):
    """A length of time: 90s, 5m, 1h, 1h30m, or a bare number of seconds."""

    name = "duration"
    _units: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds (> 0)."""
        text = str(value).strip().lower()
        parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
        seconds = sum(float(number) * self._units[unit or "s"] for number, unit in parts)
        if "".join(number + unit for number, unit in parts) != text or not 0 < seconds < math.inf:
            self.fail(f"{value!r} is not a length of time; write 90s, 5m or 1h.", param, ctx)
        return seconds


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """Model options from `--set key=value`.

    A value that reads as JSON (a number, true, null, a list) is one; any other is text. Raises ConfigError for an
    item without `=`.
    """
    settings: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{item!r} is not of the form key=value", where="--set", remedy="write --set key=value")
        try:
            settings[key.strip()] = json.loads(text)
        except ValueError:
            settings[key.strip()] = text
    return settings


def parse_kinds(items: Iterable[str]) -> dict[str, Kind]:
    """Column kinds from `--kind COL=KIND` (a column's name may hold `=` itself).

    Raises ConfigError for a malformed item or a kind that does not exist.
    """
    from gantools.data.tables.schema import Kind

    kinds: dict[str, Kind] = {}
    for item in items:
        column, equals, word = item.rpartition("=")
        if not equals or not column:
            raise ConfigError(
                f"{item!r} is not of the form COL=KIND", where="--kind", remedy="write --kind age=integer"
            )
        try:
            kinds[column] = Kind(word.strip().lower())
        except ValueError as error:
            known = [kind.value for kind in Kind]
            raise ConfigError(f"unknown kind {word!r}", where="--kind", remedy=suggestion(word, known)) from error
    return kinds


def suggestion(word: str, known: Iterable[str]) -> str:
    """The remedy for a word that is not known: its nearest neighbour where there is one, and the choices."""
    import difflib

    choices = list(known)
    near = difflib.get_close_matches(word.lower(), choices, n=1)
    listed = f"choose from {', '.join(choices)}"
    return f"did you mean {near[0]!r}? {listed}" if near else listed


# Options ------------------------------------------------------------------------------------------------------------


def _set_debug(context: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["gantools.debug"] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_debug,
    help="Show tracebacks and warnings.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="One seed, one result, on one machine."
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", help="auto, cpu, cuda or cuda:1."
)
force_option = click.option("--force", is_flag=True, help="Overwrite what the command wrote before (never the input).")
kind_option = click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="COL=KIND",
    help="What a column is, where the guess is wrong (repeatable).",
)


def image_options(function: F) -> F:
    """The options of training that images alone have."""
    options = [
        click.option("--size", type=int, metavar="N", help="Images: pixels of each side.  [default: up to 64]"),
        click.option(
            "--fit",
            type=click.Choice(["resize", "crop", "pad"]),
            default="resize",
            show_default=True,
            help="Images: what is done with those that are not square.",
        ),
        click.option(
            "--grids",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Images: put pictures of what the generator makes into DIR while it trains.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def training_options(of_tables: str, of_images: str) -> Callable[[F], F]:
    """The options of every command that trains: model, its settings, steps, budget, kinds.

    of_tables, of_images: names of the models that are taken where none is given, which the command sees to.
    """
    options = [
        click.option(
            "--model",
            metavar="NAME",
            help=f"See 'gantools models' for the choices.  [default: {of_tables} for tables, {of_images} for images]",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An option of the model (repeatable)."
        ),
        click.option("--steps", type=click.IntRange(min=1), help="Training steps.  [default: the model's choice]"),
        click.option("--budget", type=Duration(), metavar="TIME", help="Stop training after about 90s, 5m, 1h."),
        kind_option,
    ]

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def refuse_training_options(context: click.Context, trained: str, given: str = "--from", **more: str) -> None:
    """Refuse what has no meaning with --from, once the model is trained.

    trained: what it names, "generator" or "scorer". given: the option that did. more: parameters of the command beside
    those of `training_options`, and their options. Raises click.UsageError naming the first that was given.
    """
    shared = {"model": "--model", "settings": "--set", "steps": "--steps", "budget": "--budget", "kinds": "--kind"}
    refuse_given(context, f"has no effect on the {trained} of {given}", **shared, **more)


def train_config(
    *,
    steps: int | None,
    budget: float | None,
    seed: int,
    device: str,
    tensorboard: bool = False,
    like: TrainConfig | None = None,
) -> TrainConfig:
    """The training configuration of the shared options; what is not given is as in `like`, or the library's default."""
    from gantools.config import TrainConfig

    given: dict[str, Any] = {"seed": seed, "device": device, "budget_s": budget, "tensorboard": tensorboard}
    if steps is not None:
        given["steps"] = steps
    return replace(like or TrainConfig(), **given)


# Where output goes --------------------------------------------------------------------------------------------------


def beside(data: Path, word: str) -> Path:
    """`customers.csv.gz` -> `customers.<word>.csv.gz`, in the same folder. Raises ConfigError for a folder."""
    if data.is_dir():
        raise ConfigError("is a folder", where=str(data), remedy="give the file of a table")
    compressed = data.suffix.lower() in COMPRESSED_SUFFIXES
    suffix = "".join(data.suffixes[-2:]) if compressed and len(data.suffixes) > 1 else data.suffix
    stem = data.name[: len(data.name) - len(suffix)] if suffix else data.name
    return data.with_name(f"{stem}.{word}{suffix}")


def folder_beside(data: Path, word: str) -> Path:
    """`photos` or `photos.npz` -> `photos.<word>`, a folder in the same place."""
    named = data if data.name not in ("", "..") else data.resolve()
    stem = named.name if named.is_dir() else named.stem
    return named.with_name(f"{stem}.{word}")


def check_apart(path: Path, other: Path, *, option: str) -> None:
    """Refuse to write to `path` where that is the folder `other`, lies in it or around it. Raises ConfigError."""
    one, another = Path(os.path.realpath(path)), Path(os.path.realpath(other))
    if one == another:
        raise ConfigError(f"{path} is {other} itself", where=option, remedy="give another place")
    if another in one.parents:
        raise ConfigError(f"{path} lies in {other}", where=option, remedy="give a place outside it")
    if one in another.parents:
        raise ConfigError(f"{path} has {other} inside it", where=option, remedy="give a place beside it")


def checkpoint_kind(folder: Path) -> str:
    """What `config.json` says that a checkpoint is, without loading it; "" where it cannot be read."""
    try:
        document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(document.get("kind", "")) if isinstance(document, dict) else ""


def refuse_given(context: click.Context, reason: str, **options: str) -> None:
    """Refuse options that have no meaning here. options: parameters of the command and their options.

    Raises click.UsageError naming the first that was given.
    """
    for name, option in options.items():
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} {reason}; leave it out", context)


def check_grids(folder: Path | None) -> None:
    """Refuse a folder for pictures that holds anything else. Raises ConfigError."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file", where="--grids", remedy="give the name of a folder")
    if folder.is_dir() and any(not path.match("step_*.png") for path in folder.iterdir()):
        raise ConfigError(f"{folder} holds other files", where="--grids", remedy="give the name of a new folder")
    check_output_place(folder, option="--grids")


def check_output_file(path: Path, *, option: str, force: bool, source: Path | None = None) -> None:
    """Refuse a file that cannot or must not be written, before any work is done.

    option: the option that named it, for the message. source: the input file, which is never overwritten.
    Raises ConfigError.
    """
    if source is not None and _same(path, source):
        raise ConfigError(f"{path} is the input file", where=option, remedy="give another name")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", where=option, remedy="give the name of a file")
    if path.exists() and not force:
        raise ConfigError(
            f"{path} exists already", where=option, remedy="give another name, or --force to overwrite it"
        )
    check_output_place(path, option=option)


def check_table_name(path: Path, *, source: Path | None = None) -> None:
    """Refuse a name for an output table whose suffix promises a format that it would not be in.

    source: the input file; its own suffix is fine. Raises ConfigError.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    if not suffixes or suffixes[-1] in TABLE_SUFFIXES or (source is not None and path.suffix == source.suffix):
        return
    raise ConfigError(f"{path} is neither CSV nor Parquet", where="--output", remedy="end it in .csv or .parquet")


def check_output_folder(path: Path, *, option: str, force: bool, resume: bool = False) -> None:
    """Refuse a checkpoint folder that cannot or must not be written, before any work is done.

    resume: the folder's contents are to be continued, so they may be there. Raises ConfigError.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file", where=option, remedy="give the name of a folder")
    if path.is_dir() and any(path.iterdir()) and not resume:
        if not force:
            raise ConfigError(
                f"{path} is not empty", where=option, remedy="give another name, or --force to overwrite it"
            )
        if not (path / "config.json").is_file():
            # --force replaces what gantools wrote, never a folder of something else.
            raise ConfigError(f"{path} holds files that are not a checkpoint", where=option, remedy="give another name")
    check_output_place(path, option=option)


def check_output_place(path: Path, *, option: str) -> None:
    """Refuse a path whose folder does not exist or cannot be written into. Raises ConfigError."""
    import tempfile

    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"the folder {folder} does not exist", where=option, remedy="create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"cannot write into the folder {folder} ({error.strerror or error})"
        raise ConfigError(problem, where=option, remedy="choose a folder that you may write to") from error


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


# Results ------------------------------------------------------------------------------------------------------------


def print_json(payload: Mapping[str, Any]) -> None:
    """One JSON object on stdout; what JSON cannot hold becomes the nearest thing that it can."""
    click.echo(json.dumps(_plain(payload), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


@contextmanager
def about(data: Path) -> Iterator[None]:
    """Let every DataError raised inside the block name the file."""
    try:
        yield
    except DataError as error:
        if data.name in str(error):
            raise
        where = f"{data}: {error.where}" if error.where else str(data)
        raise DataError(error.problem, where=where, remedy=error.remedy) from error


@contextmanager
def on_interrupt(message: str) -> Iterator[None]:
    """Let Ctrl-C inside the block end the command with `message`."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(message) from error
