"""Dates and times that came as text: find the one format of a column, read it, and write it again as it was.

A format is strptime's, with `%-d`, `%-m`, `%-H` and `%-I` for numbers without a leading zero, `%7f` and `%9f` for seven
and nine digits of a second (those beyond microseconds are lost), and an offset from UTC that all moments share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Moments = npt.NDArray[np.datetime64]

_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y"),
    *("%-d.%-m.%Y", "%-d/%-m/%Y", "%-m/%-d/%Y"),
    *("%d-%b-%Y", "%d %b %Y", "%-d %b %Y", "%b %d, %Y", "%b %-d, %Y"),
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%-H:%M", "%-H:%M:%S")
_HALF_DAYS = ("%I:%M %p", "%I:%M:%S %p", "%-I:%M %p", "%-I:%M:%S %p")
_ZONES = ("", "Z", "+00:00")
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_DIGITS = re.compile(r"(\.\d{6})\d+")  # of a second, beyond microseconds
FORMATS = (
    *_DATES,
    *(f"{date} {clock}" for date, clock in product(_DATES, (*_CLOCKS, *_HALF_DAYS))),
    *(f"%Y-%m-%d{mark}{clock}{zone}" for mark, clock, zone in product(" T", _CLOCKS[:3], _ZONES) if mark + zone != " "),
    *_CLOCKS,
)
_SAMPLE = 50


def find_formats(texts: Sequence[str]) -> list[str]:
    """Every known format that reads all of `texts` and writes each back letter by letter; day before month first.

    texts: the distinct values, at least one. One format in the answer: the text is a date. More: it is ambiguous.
    """
    first = texts[0]
    if not 5 <= len(first) <= 40 or sum(letter.isdigit() for letter in first) < 3:
        return []
    formats = list(FORMATS)
    offset = _OFFSET.search(first)
    zone = offset[0] if offset and ":" in first[: offset.start()] else ""
    if zone and zone not in _ZONES:  # the same in all, or else the moments could not be written again
        formats = [f"%Y-%m-%d{mark}{clock}{zone}" for mark, clock in product(" T", _CLOCKS[:3])]
    if longer := re.search(r"\.(\d{7}|\d{9})(?!\d)", first):
        formats = [f"%Y-%m-%d{mark}%H:%M:%S.%{len(longer[1])}f{zone}" for mark in " T"]
    for batch in (texts[:1], texts[:_SAMPLE], texts):
        cells = pa.array(batch, pa.string())
        formats = [known for known in formats if _fits(cells, known)]
        if not formats:
            break
    # with and without a leading zero is one reading: the first of them stands
    readings = {known.replace("%-", "%"): known for known in reversed(formats)}
    return [known for known in formats if known in readings.values()]


def _fits(texts: pa.Array, known: str) -> bool:
    moments = parse(texts.to_pandas(), known)
    if np.isnat(moments).any():
        return False
    again = write(moments, known)
    if re.search("%[79]f", known):
        same = pc.equal(pc.utf8_length(again), pc.utf8_length(texts))
    else:
        same = pc.equal(again, texts)
    return bool(pc.all(same).as_py())


def parse(texts: pd.Series, known: str) -> Moments:
    """The moments that `texts` spell in the format `known`, datetime64[us]; NaT where a text is missing or is not so
    written."""
    if re.search("%[79]f", known):
        texts = texts.str.replace(_DIGITS, r"\1", regex=True)
        known = re.sub("%[79]f", "%f", known)
    read = pd.to_datetime(texts, format=known.replace("%-", "%"), errors="coerce")
    if isinstance(read.dtype, pd.DatetimeTZDtype):
        read = read.dt.tz_localize(None)
    return read.to_numpy().astype("datetime64[us]")


def write(moments: Moments, known: str) -> pa.Array:
    """`moments` (datetime64) as text in the format `known`: an Arrow array of strings, null for NaT."""
    if longer := re.search("%([79])f", known):
        texts = write(moments, known.replace(longer[0], "%f"))
        zeros = "0" * (int(longer[1]) - 6)
        texts = pc.replace_substring_regex(texts, pattern=r"(:\d\d)\.(\d{3})([^\d]|$)", replacement=r"\1.\2000\3")
        return pc.replace_substring_regex(texts, pattern=r"(\.\d{6})", replacement=rf"\1{zeros}")
    # Arrow prints %S with as many digits as the unit has, and knows no %f
    whole_ms = "%f" in known and not np.any(moments.astype("datetime64[us]").view(np.int64)[~np.isnat(moments)] % 1000)
    unit = ("ms" if whole_ms else "us") if "%f" in known else "s"
    ticks = pa.array(moments.astype(f"datetime64[{unit}]"))
    pieces = [_write_piece(ticks, piece) for piece in known.replace(".%f", "").split(" ")]
    return pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, " ")


def _write_piece(ticks: pa.Array, piece: str) -> pa.Array:
    text = pc.strftime(ticks, format=piece.replace("%-", "%"), locale="C")
    if "%-" not in piece:
        return text
    return pc.replace_substring_regex(text, pattern="^0" if re.search("%-[HI]", piece) else r"\b0", replacement="")


def parse_any(texts: pd.Series, known: str | None, zone: Any = None) -> Moments:
    """The moments that `texts` spell as ISO 8601 does, or all in one other known format; NaT where they do not.

    known: the format that the column was learned in. zone: of its dtype, None for none. A moment with an offset of its
    own becomes one of the column's: by the clock of the offset in `known`, in UTC where the dtype has a zone or `known`
    has none. One without is by the column's own clock.
    """
    aware = texts.str.contains(r":.*(?:Z|[+-]\d\d:?\d\d)$", regex=True).fillna(False).to_numpy(dtype=bool)
    is_iso = texts.str.match(r"\d{4}-\d\d-\d\d").fillna(False)
    read = pd.to_datetime(texts.where(is_iso), format="ISO8601", errors="coerce", utc=True)
    moments: Moments = read.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    offset = _OFFSET.search(known or "")
    if offset and offset[0] != "Z":
        shift = pd.Timedelta(f"{offset[0][1:3]}:{offset[0][-2:]}:00") * (-1 if offset[0][0] == "-" else 1)
        moments = np.where(aware, moments + np.timedelta64(int(shift.total_seconds()), "s"), moments)
    if zone is not None and not aware.all():
        clock = pd.DatetimeIndex(moments).tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
        utc = clock.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
        moments = np.where(aware, moments, utc)
    if np.isnat(moments).all() and known is None:
        formats = find_formats(texts.tolist())
        if len(formats) == 1:
            return parse(texts, formats[0])
    return moments
