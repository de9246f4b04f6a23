"""`gantools models`: the shelf."""

from __future__ import annotations

import click

from .options import debug_option, json_option
from .show import print_json

WIDTH = 100


@click.command()
@json_option
@debug_option
def models(*, as_json: bool) -> None:
    """List what --model takes, to generate, score and transform, with the options that --set takes and their papers."""
    from gantools.registry import DOES, list_models

    found = list_models()
    if as_json:
        print_json(
            {
                "models": [
                    {
                        "name": model.name,
                        "purpose": model.purpose,
                        "modality": model.modality,
                        "summary": model.summary,
                        "options": model.options,
                        "paper": model.paper,
                    }
                    for model in found
                ]
            }
        )
        return
    for model in found:
        options = " ".join(f"{key}={value}" for key, value in model.options.items())
        what = {"table": "tables", "image": "images"}[model.modality]
        click.echo(f"{model.name} ({DOES[model.purpose][0]} {what}): {model.summary}")
        click.echo(click.wrap_text(f"paper: {model.paper}", width=WIDTH, initial_indent="  ", subsequent_indent="    "))
        click.echo(click.wrap_text(f"--set {options}", width=WIDTH, initial_indent="  ", subsequent_indent="    "))
