"""What a set of images is: channels, sizes, classes and what could not be used, as JSON and in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from gantools.errors import DataError

VERSION = 2  # of the JSON; in version 1 a white of 255 was that of images without 16 bits a pixel, too
N_NAMED = 3  # skipped files that a note names


@dataclass(frozen=True)
class ImageSchema:
    """What a set of images is.

    channels: 1 grey, 3 colour, 4 colour and opacity. white: the value that means white in images with 16 bits a pixel;
    None where nothing is known of such, and each says it by its own. classes: names of the class folders, or the labels
    of an .npz as text, sorted; () where there are none. counts: images of each. width, height: smallest, median,
    largest, in pixels, upright. formats: number of files by format ("PNG"). skipped: (file, why) that could not be
    used. remarks: sentences for the user about rules that were applied. longest: of an image's longer side to its
    shorter, the largest ratio.
    """

    channels: int
    white: int | None
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    n_images: int
    width: tuple[int, int, int]
    height: tuple[int, int, int]
    formats: Mapping[str, int]
    skipped: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    longest: float = 1.0

    modality: ClassVar[str] = "image"

    def notes(self) -> list[str]:
        """What the user should know, as sentences."""
        notes = list(self.remarks)
        if self.width[0] != self.width[2] or self.height[0] != self.height[2]:
            notes.append(f"sizes differ: {_spread(self.width)} pixels wide, {_spread(self.height)} high")
        if self.skipped:
            named = [f"{name} {why}" for name, why in self.skipped[:N_NAMED]]
            if len(self.skipped) > N_NAMED:
                named.append(f"and {len(self.skipped) - N_NAMED} more")
            files = "1 file is" if len(self.skipped) == 1 else f"{len(self.skipped)} files are"
            notes.append(f"{files} skipped: {', '.join(named)}")
        return notes

    def facts(self) -> dict[str, Any]:
        """How many images there are, in all and of each class, as JSON."""
        counts = zip(self.classes, self.counts, strict=True)
        return {"n_images": self.n_images, "classes": [{"label": name, "images": n} for name, n in counts]}

    def to_json(self) -> dict[str, Any]:
        """The schema as plain JSON values; `from_json` reads it again."""
        return {"version": VERSION, "modality": self.modality, **_listed(asdict(self))}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ImageSchema:
        """The schema that `to_json` wrote. Raises DataError when the document is not one."""
        mistaken = DataError("is not a schema of images", where="schema", remedy="read the images again")
        if document.get("modality") != cls.modality:
            raise mistaken
        try:
            if document["version"] == 1:
                white = document["white"]
                document = {**document, "white": None if white == 255 else white, "longest": 1.0}
            return cls(**{field.name: _frozen(document[field.name]) for field in fields(cls)})
        except KeyError as error:
            raise mistaken from error


def _spread(sizes: Sequence[int]) -> str:
    smallest, median, largest = sizes
    return str(median) if smallest == largest else f"{smallest} to {largest} (median {median})"


def _listed(value: Any) -> Any:
    """`value` with lists for tuples, at any depth."""
    if isinstance(value, Mapping):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    """`value` with tuples for lists, at any depth."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
