"""Cells as the tensors of a graph hold them: what fits is the library's value, and what does not is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gantools.data.tables.raw import MISSING, UNSEEN, Raw
from gantools.errors import DataError
from gantools.export.columns import FLOAT32_MAX, MISSING_INT, Port, to_feed, unlike


def number(value: float, type_: Any, unit: str = "") -> Any:
    port = Port("x", type_, unit=unit)
    raw = Raw(np.array([[value]]), np.zeros((1, 0), np.int64))
    return to_feed(raw, pd.DataFrame({"x": [value]}), [port])["x"][0]


def level(code: int, cell: Any, port: Port) -> Any:
    raw = Raw(np.zeros((1, 0)), np.array([[code]]))
    return to_feed(raw, pd.DataFrame({"x": pd.Series([cell], dtype=object)}), [port])["x"][0]


@pytest.mark.parametrize("value", [1.7976931348623157e308, 1e39])
def test_numbers_beyond_float32_are_its_largest(value: float) -> None:
    assert number(value, "float32") == FLOAT32_MAX and number(-value, "float32") == -FLOAT32_MAX
    assert number(value, "float64") == value


@pytest.mark.parametrize("value", [2.5, 1e19, 18446744073709551615.0, -(2.0**63) - 2048, 2.0**63 + 2048])
def test_what_int64_cannot_hold_is_refused_by_name(value: float) -> None:
    with pytest.raises(DataError, match=r"column 'x': has .* whole numbers of 64 bits"):
        number(value, "int64")


@pytest.mark.parametrize(("value", "held"), [(np.nan, MISSING_INT), (2.0**62, 2**62), (-3.0, -3)])
def test_what_int64_holds(value: float, held: int) -> None:
    assert number(value, "int64") == held


@pytest.mark.parametrize("end", [2.0**63, -(2.0**63)])
def test_the_ends_of_int64_are_the_same_float64_and_no_missing_cell(end: float) -> None:
    held = number(end, "int64")
    assert held != MISSING_INT and float(held) == end


def test_text_that_utf8_does_not_have_is_a_level_never_seen() -> None:
    assert level(UNSEEN, "\udc80a", Port("x", "string", ("a", "?a"))) == "?a?"


def test_times_are_rounded_to_microseconds() -> None:
    assert number(2.5, "int64", "microseconds") == 2


def test_a_missing_text_is_told_from_the_empty_one() -> None:
    plain, empty = Port("x", "string", ("a", "b")), Port("x", "string", ("", "<missing>", "a"))
    assert (plain.missing, empty.missing) == ("", "<missing>?")
    assert level(MISSING, None, empty) == "<missing>?" and level(0, "", empty) == ""
    assert level(UNSEEN, "", plain) == "?"  # the empty text was never seen, and is not missing
    assert level(UNSEEN, "<missing>?", empty) == "<missing>??"
    assert Port.from_json(empty.to_json()) == empty and empty.to_json()["missing"] == "<missing>?"


def test_a_file_that_cannot_tell_a_missing_text_refuses_it() -> None:
    with pytest.raises(DataError, match="column 'x': has a missing cell"):
        level(MISSING, None, Port("x", "string", ("", "a"), has_missing=False))


@pytest.mark.parametrize(
    ("type_", "levels"),
    [
        ("int64", (0, 1, 2**63 - 1)),
        ("float32", (0.0, 0.1, 16777216.0)),  # 2**24 + 1 is no float32
        ("float64", (0.5, 1e300)),
    ],
)
def test_a_number_never_seen_is_none_of_the_levels(type_: Any, levels: tuple[Any, ...]) -> None:
    given = level(UNSEEN, 1e19, Port("x", type_, levels))
    assert given == unlike(levels) and given not in np.array(levels, dtype=type_)
