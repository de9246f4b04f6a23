"""What a report says of its run: what was given, and nothing that was not."""

from __future__ import annotations

from pathlib import Path

from gantools.workflow.reporting import run_facts
from gantools.workflow.score import Request


def test_what_was_given_is_said() -> None:
    request = Request(
        data=Path("/somewhere/rows.csv"), labels="marked", budget_s=90.0, tail=True, drop=("a", "b"),
        options={"width": 64}, report=Path("page.html"), output=Path("out.csv"), force=True,
    )  # fmt: skip
    facts = dict(run_facts(request))
    assert {"gantools", "date"} < facts.keys()
    given = {name: value for name, value in facts.items() if name not in ("gantools", "date")}
    assert given == {
        "data": "rows.csv", "labels": "marked", "budget": "90 s", "tail": "yes", "drop": "a, b", "options": "width=64",
        "seed": "0",
    }  # fmt: skip
