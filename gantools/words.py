"""How numbers and lists are written in sentences, everywhere alike."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def percent(share: float) -> str:
    """0.0123 -> '1.2 %'. Two digits; a share that is not 0 or 1 is never written as one."""
    hundredths = 100 * share
    if 99.5 <= hundredths < 100:
        return "more than 99 %"
    if 0 < hundredths < 0.001:
        return "less than 0.001 %"
    return "0 %" if not hundredths else f"{hundredths:.2g} %" if hundredths < 10 else f"{hundredths:.0f} %"


def duration(seconds: float) -> str:
    """75 -> '1:15'; 3675 -> '1:01:15'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def count(n: int, what: str) -> str:
    """(1, 'row') -> '1 row'; (2000, 'row') -> '2,000 rows'."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def legible(text: str) -> str:
    """Text with names of files in it as text that can be written, whatever the bytes of the names are."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def meant(name: str, names: Iterable[str], otherwise: str) -> str:
    """A question for the one of the names that is most like a mistyped one; `otherwise` where none is like it."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def listed(names: Iterable[object], most: int = 5, quote: str = "'") -> str:
    """Names in quotes, with a comma between them; of many only the first, and how many more there are."""
    shown = [f"{quote}{name}{quote}" for name in names]
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
