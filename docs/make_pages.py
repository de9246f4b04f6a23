"""Writes the pages that come from the program itself: docs/commands/*.md from --help, docs/models.md from the shelf.

    python docs/make_pages.py

A test compares them with what the program says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantools import list_models
from gantools_cli.main import main

HERE = Path(__file__).parent
WIDTH = 100
PURPOSES = {
    "generate": "Generators, for `augment`, `train` and `generate`",
    "score": "Scorers, for `score`",
    "transform": "Translators, for `train` and `transform`",
}


def pages() -> dict[str, str]:
    """The text of every page by its path below docs."""
    found = {"models.md": models()}
    root = click.Context(main, info_name="gantools", **main.context_settings)
    for name, command in sorted(main.commands.items()):
        context = click.Context(command, root, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
        found[f"commands/{name}.md"] = f"# gantools {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    return found


def models() -> str:
    """The page of all models."""
    lines = [
        "# Models",
        "",
        "Each is one file in `gantools/models`, chosen with `--model NAME` and set with `--set KEY=VALUE`.",
        "[Architecture](architecture.md) says how to add one.",
    ]
    shelf = list_models()
    for purpose, title in PURPOSES.items():
        for modality in ("table", "image"):
            some = [one for one in shelf if (one.purpose, one.modality) == (purpose, modality)]
            if some:
                lines += ["", f"## {title}: {modality}s" if purpose != "transform" else f"## {title}"]
            for one in some:
                lines += ["", f"### {one.name}", "", f"{one.summary[0].upper()}{one.summary[1:]}.", ""]
                lines += [f"Source: {one.paper}.", ""] if one.paper else []
                lines += ["| option | default |", "|---|---|"]
                lines += [f"| `{name}` | `{_text(value)}` |" for name, value in one.options.items()]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    (HERE / "commands").mkdir(exist_ok=True)
    for path, text in pages().items():
        (HERE / path).write_text(text, encoding="utf-8")
