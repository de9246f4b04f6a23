"""Pages are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantools.errors import DataError
from gantools.report.page import write_html


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_html("<p>ä</p>", path)
    assert path.read_text(encoding="utf-8") == "<p>ä</p>"
    with pytest.raises(DataError, match=r"nowhere.*choose another place"):
        write_html("x", tmp_path / "nowhere" / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
