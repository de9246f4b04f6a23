"""What every report says of its run: the version, the date, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gantools.report.page import Facts

WRITTEN = ("output", "report", "save", "classifier", "maps", "grids", "holdout_file")  # places of results, not inputs


def run_facts(request: Any) -> Facts:
    """Names and values: of gantools, the time, and each field of the request that was given, its seed in any case."""
    return (
        ("gantools", version("gantools")),
        ("date", datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")),
        *_asked(request),
    )


def _asked(request: Any) -> Iterator[tuple[str, str]]:
    for one in fields(request):
        value = getattr(request, one.name)
        if one.name in (*WRITTEN, "force") or (value in (None, one.default) and one.name != "seed"):
            continue
        if one.name.endswith("_s"):
            yield one.name.removesuffix("_s"), f"{value:g} s"
        else:
            yield one.name.replace("_", " "), _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, Path):
        return value.name or str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={one}" for name, one in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
