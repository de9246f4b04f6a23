"""What all workflows share: fields of a request that mean something only in places, results that show, a watcher."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from gantools.errors import ConfigError

if TYPE_CHECKING:
    from gantools.train.monitor import Progress


# Metadata of fields that mean something for one modality or one purpose alone, or only where a model is trained.
TABLES = {"modality": "table"}
IMAGES = {"modality": "image"}
TRAINING = {"training": True}
GENERATORS = {"purpose": "generate"}
TRANSLATORS = {"purpose": "transform"}


def given(request: Any, *names: str) -> dict[str, Any]:
    """Those of the named fields that are not None."""
    return {name: value for name in names if (value := getattr(request, name)) is not None}


def refuse_fields(request: Any, why: str, **metadata: Any) -> None:
    """Refuse every field that was given and has this metadata. Raises ConfigError naming the first."""
    for one in fields(request):
        if getattr(request, one.name) != one.default and metadata.items() <= one.metadata.items():
            raise ConfigError(why, where=one.name, remedy="leave it out")


def refuse_together(request: Any, one: str, other: str) -> None:
    """Refuse two fields that exclude each other. Raises ConfigError."""
    if getattr(request, one) is not None and getattr(request, other) is not None:
        raise ConfigError(f"cannot be combined with `{other}`", where=one, remedy="leave one of them out")


class Watch:
    """What a caller may see of a workflow while it runs; this one looks away."""

    def __call__(self, stage: str, state: Progress) -> None:
        """Training is in this state."""

    def done(self, stage: str, n: int, total: int | None, what: str) -> None:
        """So many rows, images or steps are done, of how many: None where that is not known yet."""

    def left(self, seconds: float) -> None:
        """All that remains to be done takes about so long."""


@dataclass(frozen=True)
class Table:
    """A small table for people. right: numbers of the columns to align to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""
    right: tuple[int, ...] = ()


@dataclass(frozen=True)
class Alert:
    """A line for people that belongs on stderr, so that it is seen where the rest is piped."""

    text: str


Item = str | Table | Alert


class Result(Protocol):
    """What every workflow returns."""

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints, as plain values."""
        ...

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        ...


def plain(value: Any) -> Any:
    """What JSON cannot hold, as the nearest thing that it can."""
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def noted(notes: Any) -> Iterator[str]:
    """Each note as a line."""
    return (f"Note: {note}" for note in notes)
