"""Dates and times that came as text: find the one format of a column, read it, and write it again as it was.

A format is strptime's, with `%-d`, `%-m` and `%-H` for numbers without a leading zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

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
_ZONES = ("", "Z", "+00:00")  # UTC only: another zone would be lost on the way back
FORMATS = (
    *_DATES,
    *(f"{date} {clock}" for date, clock in product(_DATES, _CLOCKS)),
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
    return not np.isnat(moments).any() and bool(pc.all(pc.equal(write(moments, known), texts)).as_py())


def parse(texts: pd.Series, known: str) -> Moments:
    """The moments that `texts` spell in the format `known`, datetime64[us]; NaT where a text is missing or is not so
    written."""
    read = pd.to_datetime(texts, format=known.replace("%-", "%"), errors="coerce")
    if isinstance(read.dtype, pd.DatetimeTZDtype):
        read = read.dt.tz_localize(None)
    return read.to_numpy().astype("datetime64[us]")


def write(moments: Moments, known: str) -> pa.Array:
    """`moments` (datetime64) as text in the format `known`: an Arrow array of strings, null for NaT."""
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
    return pc.replace_substring_regex(text, pattern="^0" if "%-H" in piece else r"\b0", replacement="")
