"""Values of options: lengths of time, settings, kinds of columns."""

from __future__ import annotations

import click
import pytest

from gantools_cli.options import ColumnKind, Duration, Setting


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("45", 45), (" 0.5M ", 30)],
)
def test_duration(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "5x", "m", "-5m", "0s", "5 minutes", "1e400", "nan", "inf"])
def test_duration_refuses(text: str) -> None:
    with pytest.raises(click.BadParameter, match="90s, 5m or 1h"):
        Duration().convert(text, None, None)


def test_settings_keep_their_types() -> None:
    items = ["width=64", "rate=1e-3", "pack=true", "name=relu", "sizes=[8, 8]", "a=b=c", "none=null"]
    assert dict(Setting().convert(item, None, None) for item in items) == {
        "width": 64,
        "rate": 0.001,
        "pack": True,
        "name": "relu",
        "sizes": [8, 8],
        "a": "b=c",
        "none": None,
    }


@pytest.mark.parametrize("item", ["width", "=3", ""])
def test_settings_refuse(item: str) -> None:
    with pytest.raises(click.BadParameter, match="--set"):
        Setting().convert(item, None, None)


def test_kinds_allow_equals_in_names() -> None:
    assert ColumnKind().convert("a=b=integer", None, None) == ("a=b", "integer")


def test_kinds_refuse() -> None:
    with pytest.raises(click.BadParameter, match="COL=KIND"):
        ColumnKind().convert("age", None, None)
