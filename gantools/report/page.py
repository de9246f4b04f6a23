"""Renders the templates of the reports and writes their pages, which need nothing but a browser."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from gantools.data.tables.formatting import format_number, format_value
from gantools.data.tables.schema import Column, Kind
from gantools.evaluate.verdict import METHODS
from gantools.files import write_file
from gantools.report.curves import CRITERIA, curves
from gantools.words import duration, legible, percent

DAY_US = 86_400_000_000

Facts = tuple[tuple[str, str], ...]  # names and values: of the run that a page is about


def render(template: str, **values: Any) -> str:
    """The page that a template gives; what is put into it is escaped."""
    return _environment.get_template(template).render(values)


def write_html(page: str, path: Path) -> None:
    """Write a page whole or not at all. Raises DataError where it cannot be written."""
    with write_file(path) as file:
        file.write(legible(page).encode())


def png(picture: npt.NDArray[np.uint8]) -> str:
    """A picture [h, w, C], C 1 (grey), 3 or 4, as a URL that holds it."""
    file = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _value(value: float, column: Column) -> str:
    """A value of a column, which may be a mean: moments and lengths of time to the step of the column's own."""
    return format_value(value if column.step is None else round(value / column.step) * column.step, column)


def _spread(sd: float, column: Column) -> str:
    """A standard deviation of a column."""
    is_time = column.kind is Kind.DATETIME or column.dtype.startswith(("timedelta", "duration"))
    return f"{format_number(sd / DAY_US)} days" if is_time else format_number(sd)


def _cell(value: Any) -> str:
    """A cell of a table; nothing where it is missing."""
    if value is None:
        return ""
    return format_number(value, 10) if isinstance(value, float) else str(value)


def _environment_of_reports() -> Environment:
    environment = Environment(
        loader=PackageLoader("gantools.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": _cell,
        "cut": lambda text, length=40: text if len(text) <= length else f"{text[: length - 1]}…",
        "duration": duration,
        "fixed": lambda number, digits=3: f"{number:.{digits}f}",
        "number": format_number,
        "percent": percent,
        "png": png,
        "spread": _spread,
        "thousands": lambda number: f"{number:,}",
        "value": _value,
    }
    environment.globals |= {"METHODS": METHODS, "curves": curves, "CRITERIA": CRITERIA, "infinity": math.inf}
    return environment


_environment = _environment_of_reports()
