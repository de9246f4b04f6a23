"""The README and the pages below docs: what they show exists, and what comes from the program is what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from gantools_cli.main import main

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TYPED = [page for page in PAGES if page.parent.name != "commands"]


def test_pages_from_the_program_are_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(DOCS), *sys.path])
    from make_pages import pages

    made = pages()
    assert {f"commands/{name}.md" for name in main.commands} < set(made)
    for path, text in made.items():
        assert (DOCS / path).read_text("utf-8") == text, f"docs/{path} is old: run python docs/make_pages.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", TYPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_shown_exist(page: Path) -> None:
    for line in re.findall(r"^    gantools ([a-z].*)$", page.read_text("utf-8"), flags=re.MULTILINE):
        name, *words = line.partition("#")[0].split()
        assert name in main.commands, line
        known = {option for parameter in main.commands[name].params for option in parameter.opts}
        used = {word.partition("=")[0].strip("[]") for word in words if word.strip("[]").startswith("-")}
        assert used <= known | {"-h", "--help"}, line


def test_the_readme_can_be_read_at_once() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


def test_every_page_is_in_the_site() -> None:
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in PAGES[1:]:
        assert str(page.relative_to(DOCS)) in site, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    assert not re.search(r"@@\w*@@|\bTODO\b|\bXXX\b", page.read_text("utf-8")), page.name
