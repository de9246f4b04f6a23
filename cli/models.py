"""`gantools models`: the shelf of generators."""

from __future__ import annotations

import click

from .common import debug_option, json_option, print_json
from .show import print_table


@click.command()
@json_option
@debug_option
def models(*, as_json: bool) -> None:
    """List the generators for --model, with the options that --set takes and their papers."""
    from gantools.registry import list_models

    found = list_models()
    if as_json:
        print_json(
            {
                "models": [
                    {
                        "name": model.name,
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
    print_table(
        ["model", "for", "what it is", "options and their defaults", "paper"],
        [
            (
                model.name,
                model.modality,
                model.summary,
                " ".join(f"{key}={value}" for key, value in model.options.items()),
                model.paper,
            )
            for model in found
        ],
    )
