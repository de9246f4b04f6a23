"""The stages of something long: how much time each may take, and who is told how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gantools.train.monitor import Progress


class Stage:
    """One part of what takes long. This one may take as long as it needs, and nobody is told how far it is."""

    def begin(self) -> float | None:
        """It begins now. Returns the seconds that it may take, None where nothing limits it."""
        return None

    def trained(self, state: Progress) -> None:
        """It is a training, and this is its state."""

    def done(self, n: int, total: int | None, what: str = "steps") -> None:
        """So much is done, of how much: None where that is not known."""
