"""Options that several commands share, and what their values may look like.

A parameter is called as the field of the workflow's request that it fills; None is what was not given.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FITS = click.Choice(["resize", "crop", "pad"])


class Duration(click.ParamType[float]):
    """A length of time: 90s, 5m, 1h, 1h30m, or a bare number of seconds."""

    name = "duration"
    _units: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0}
    _longest_s = 366 * 86400.0

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds (> 0)."""
        text = str(value).strip().lower()
        parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
        seconds = sum(float(number) * self._units[unit or "s"] for number, unit in parts)
        if "".join(number + unit for number, unit in parts) != text or not 0 < seconds < math.inf:
            self.fail(f"{value!r} is not a length of time; write 90s, 5m or 1h.", param, ctx)
        if seconds > self._longest_s:
            self.fail(f"{value!r} is longer than a year.", param, ctx)
        return seconds


class Share(click.ParamType[float]):
    """A share between 0 and 1, as 0.01 or 1%."""

    name = "share"

    def __init__(self, *, below: float = 1.0, zero: bool = False) -> None:
        """below: what it must be below. zero: whether 0 is one."""
        self.below, self.zero = below, zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a number."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is not a share; write 0.01 or 1%.", param, ctx)
        if not (0 < share < self.below or (self.zero and share == 0)):
            self.fail(f"{value!r} does not lie between 0 and {self.below:g}; 0.01 is 1 row in 100.", param, ctx)
        return share


class PictureShape(click.ParamType[tuple[int, int]]):
    """The height and width of a picture: 512x768."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Height and width in pixels, each at least 1."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([1-9]\d{0,4})\s*[x×]\s*([1-9]\d{0,4})", str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no height and width; write 512x512.", param, ctx)
        return int(found[1]), int(found[2])


class Seeds(click.ParamType[tuple[int, ...]]):
    """Seeds of images: 12,87."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The seeds, each a whole number below 2**63."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(re.fullmatch(r"\d{1,19}", part, re.ASCII) and int(part) < 2**63 for part in parts):
            self.fail(f"{value!r} is no list of seeds; write 12,87.", param, ctx)
        return tuple(map(int, parts))


class Setting(click.ParamType[tuple[str, Any]]):
    """An option of a model, KEY=VALUE: what reads as JSON (a number, true, null, a list) is that, the rest is text."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """The key and the value."""
        key, equals, text = str(value).partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not of the form key=value; write --set key=value.", param, ctx)
        try:
            return key.strip(), json.loads(text)
        except (ValueError, RecursionError):
            return key.strip(), text


class ColumnKind(click.ParamType[tuple[str, str]]):
    """What a column is, COL=KIND; the name of a column may hold `=` itself."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The column and the kind."""
        column, equals, kind = str(value).rpartition("=")
        if not equals or not column:
            self.fail(f"{value!r} is not of the form COL=KIND; write --kind age=integer.", param, ctx)
        return column, kind


def _as_dict(_context: click.Context, _param: click.Parameter, pairs: tuple[tuple[str, Any], ...]) -> Any:
    return dict(pairs) or None


def _set_debug(context: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["gantools.debug"] = True


class Place(click.ParamType[Path]):
    """A file or a folder. may_be_address: also one in another file system, as s3://bucket/folder."""

    name = "path"

    def __init__(self, *, may_be_address: bool = False) -> None:
        self.may_be_address = may_be_address

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, or an address that stands for one."""
        if isinstance(value, str) and "://" in value:
            if not self.may_be_address:
                self.fail(f"{value} is an address, and what this names must be on this machine.", param, ctx)
            from gantools.address import place_of

            return place_of(value)
        return Path(value)


def path_option(*names: str, may_be_address: bool = False, **more: Any) -> Callable[[F], F]:
    """An option that names a file or a folder. may_be_address: also one in another file system."""
    return click.option(*names, type=Place(may_be_address=may_be_address), **more)


data_argument = click.argument("data", type=Place())
table_argument = click.argument("data", type=Place(may_be_address=True))
target_option = click.option(
    "--target", metavar="COL", help="The column with the classes; for images 'folder', or left out."
)
report_option = path_option("--report", metavar="OUT.html", help="Write a report for the browser.")
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
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="One seed, one result, on one machine.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", help="auto, cpu, cuda or cuda:1."
)
force_option = click.option("--force", is_flag=True, help="Overwrite what gantools wrote before (never the input).")
kind_option = click.option(
    "--kind",
    "kinds",
    type=ColumnKind(),
    multiple=True,
    callback=_as_dict,
    metavar="COL=KIND",
    help="What a column is, where the guess is wrong (repeatable).",
)

drop_option = click.option(
    "--drop",
    multiple=True,
    metavar="COL",
    help="Learn nothing from this column of a table; it stays in the output (repeatable).",
)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


parts_options = together(
    click.option(
        "--workers",
        type=click.IntRange(1, 4096),
        default=1,
        show_default=True,
        metavar="N",
        help="Tables in parts: so many processes side by side, each with the model in its memory.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Tables in parts: who runs the workers; Ray uses the cluster of RAY_ADDRESS, or starts one here.",
    ),
    click.option(
        "--resume", is_flag=True, help="Tables in parts: go on where this was interrupted; finished parts stay."
    ),
)
output_options = together(force_option, json_option, debug_option)


def training_options(of_tables: str, of_images: str, size: str = "up to 64", fit: str = "resize") -> Callable[[F], F]:
    """The options of every command that trains.

    of_tables, of_images: names of the models that are taken where none is given. size, fit: of images, where none is.
    """
    models = f"[default: {of_tables} for tables, {of_images} for images]"
    return together(
        click.option("--model", metavar="NAME", help=f"See 'gantools models' for the choices.  {models}"),
        click.option(
            "--set", "options", type=Setting(), multiple=True, callback=_as_dict, metavar="KEY=VALUE",
            help="An option of the model (repeatable).",
        ),
        click.option("--steps", type=click.IntRange(1, 10**9), help="Training steps.  [default: the model's choice]"),
        click.option(
            "--budget", "budget_s", type=Duration(), metavar="TIME", help="Finish in about 90s, 5m, 1h."
        ),
        click.option(
            "--devices", type=click.IntRange(1, 64), metavar="N", help="Train on so many GPUs.  [default: 1]"
        ),
        click.option(
            "--precision", type=click.Choice(["auto", "32", "bf16"]),
            help="Of training; auto is bf16 on GPUs and 32 elsewhere.  [default: auto]",
        ),
        kind_option,
        drop_option,
        click.option("--size", type=int, metavar="N", help=f"Images: pixels of each side.  [default: {size}]"),
        click.option("--fit", type=FITS, help=f"Images: what is done with those not square.  [default: {fit}]"),
    )  # fmt: skip


rules_option = click.option(
    "--rules/--no-rules",
    default=True,
    help="Tables: look for what holds in every row (a sum, an order, a column that decides another), and keep it in "
    "synthetic rows.  [default: rules]",
)
grids_option = path_option(
    "--grids", metavar="DIR", help="Images: put pictures of what the generator makes into DIR while it trains."
)
