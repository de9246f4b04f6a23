"""What a translator learns from: pairs of pictures, two sets of them, or clean pictures.

A/ and B/                  pairs, by the same name below both (the suffix may differ); two sets where no name is shared
trainA/ and trainB/        two sets
pictures with two halves   pairs, where that is asked for: the left half is made into the right one
any other folder           clean pictures, with sub-folders or without; an .npz file
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

import numpy as np

from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import Bytes, Codes, ImageSource, open_images
from gantools.errors import DataError
from gantools.words import count, listed

Layout = Literal["pairs", "unpaired", "clean"]
FOLDERS = (("A", "B"), ("trainA", "trainB"))
FEW = 50  # pictures, of fewer a note says so
WORDS = {"pairs": "pair", "unpaired": "picture", "clean": "picture"}


@dataclass(frozen=True)
class PictureSet:
    """Pictures to learn from.

    layout: "pairs" (the k-th of `sources` belongs to the k-th of `targets`), "unpaired" (two sets, of any numbers) or
    "clean" (targets alone). unmatched: files without a partner, which are left out. scale: how many times as long the
    sides of a pair's target are.
    """

    path: Path
    layout: Layout
    sources: ImageSource | None
    targets: ImageSource
    unmatched: tuple[str, ...] = ()
    scale: int = 1

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def sides(self) -> dict[str, ImageSource]:
        """What there is, by its name: "A" and "B", or "targets" alone."""
        return {"targets": self.targets} if self.sources is None else {"A": self.sources, "B": self.targets}

    @property
    def sizes(self) -> list[int]:
        """Pictures of each side."""
        return [len(side) for side in self.sides.values()]

    def fingerprint(self) -> str:
        """A digest of all files."""
        return hashlib.sha256("".join(side.fingerprint() for side in self.sides.values()).encode()).hexdigest()

    def notes(self) -> list[str]:
        """What the user should know, as sentences."""
        notes = []
        for name, side in self.sides.items():
            notes += [note if self.sources is None else f"{name}: {note}" for note in side.schema.notes()]
        if self.unmatched:
            which = "picture has" if len(self.unmatched) == 1 else "pictures have"
            named = listed(self.unmatched, quote="")
            notes.append(f"{len(self.unmatched)} {which} no partner and cannot be used: {named}")
        n = min(self.sizes)
        if n < FEW:
            many = count(n, WORDS[self.layout])
            notes.append(f"{many} are few: expect what is learned to fit these better than new ones")
        return notes

    def facts(self) -> dict[str, Any]:
        """What it is, as JSON."""
        return {
            "layout": self.layout,
            "scale": self.scale,
            "unmatched": list(self.unmatched),
            **{name: side.schema.to_json() for name, side in self.sides.items()},
        }


def sides_of(path: Path) -> tuple[Path, Path] | None:
    """The folders of the two sides where `path` has them, None where it is no such folder."""
    for one, other in FOLDERS:
        if (path / one).is_dir() and (path / other).is_dir():
            return path / one, path / other
    return None


def open_pictures(
    path: Path, *, side_by_side: bool = False, on_read: Callable[[int], None] | None = None
) -> PictureSet:
    """The pictures in a folder or an .npz file, each decoded once to see that it can be.

    side_by_side: each holds both pictures of a pair. on_read: is told now and then how many files were looked at.
    Raises DataError where they cannot be learned from.
    """
    path = Path(path)
    sides = sides_of(path)
    if side_by_side:
        if sides is not None:
            remedy = "leave `pairs` out, or give a folder of pictures with two halves"
            raise DataError(f"has folders {sides[0].name} and {sides[1].name}", where=str(path), remedy=remedy)
        return _halved(path, on_read)
    if sides is None:
        targets = open_images(path, labelled=False, on_read=on_read)
        _check_enough(path, len(targets))
        return PictureSet(path, "clean", None, targets)
    read = 0

    def told(done: int) -> None:
        if on_read is not None:
            on_read(read + done)

    first = open_images(sides[0], labelled=False, on_read=told)
    read = len(first) + len(first.schema.skipped)
    second = open_images(sides[1], labelled=False, on_read=told)
    for side in (first, second):
        _check_enough(side.path, len(side))
    partners = _partners(first, second)
    if sides[0].name == "trainA" or not partners:
        return PictureSet(path, "unpaired", first, second)
    found, unmatched = _matched(path, first, second, partners)
    return PictureSet(path, "pairs", *found, unmatched, _factor(*found))


def _check_enough(path: Path, n: int) -> None:
    if n < 2:
        raise DataError("holds one picture alone", where=str(path), remedy="give more, of which some can be held back")


# --- pairs by name ---


def _partners(first: ImageSource, second: ImageSource) -> dict[str, tuple[int, int]]:
    """Name without suffix -> places on both sides. Raises DataError where two files of a side have one such name."""
    one, other = by_stem(first), by_stem(second)
    return {stem: (place, other[stem]) for stem, place in one.items() if stem in other}


def by_stem(source: ImageSource) -> dict[str, int]:
    """Name without suffix -> place. Raises DataError where two files have one such name."""
    found: dict[str, int] = {}
    for place, name in enumerate(source.names):
        stem = str(PurePosixPath(name).with_suffix(""))
        if stem in found:
            problem = f"{source.names[found[stem]]} and {name} have one name but for the suffix"
            raise DataError(problem, where=str(source.path), remedy="rename or remove one of them")
        found[stem] = place
    return found


def _matched(
    path: Path, first: ImageSource, second: ImageSource, partners: dict[str, tuple[int, int]]
) -> tuple[tuple[ImageSource, ImageSource], tuple[str, ...]]:
    sides = (first, second)
    kept = [np.array([pair[k] for pair in partners.values()]) for k in range(2)]
    alone = [
        f"{side.path.name}/{side.names[place]}"
        for side, mine in zip(sides, kept, strict=True)
        for place in sorted(set(range(len(side))) - set(mine.tolist()))
    ]
    if 2 * len(partners) < min(len(first), len(second)):
        problem = f"{count(len(partners), 'pair')} share a name and {count(len(alone), 'picture')} have no partner"
        remedy = f"give the two of a pair the same name; without one are {listed(alone, 3, quote='')}"
        raise DataError(problem, where=str(path), remedy=remedy)
    _check_enough(path, len(partners))
    found = first.subset(kept[0]), second.subset(kept[1])
    return found, tuple(alone)


def _factor(first: ImageSource, second: ImageSource) -> int:
    """How many times as long the sides of the second of each pair are. Raises DataError where they do not fit."""
    factor = max(1, round(float(second.sizes[0, 0]) / float(first.sizes[0, 0])))
    wrong = np.flatnonzero((second.sizes != factor * first.sizes).any(1))
    if len(wrong):
        place = wrong[0]
        (height, width), (other_height, other_width) = first.sizes[place], second.sizes[place]
        problem = f"has {other_width} x {other_height} pixels, and its partner {first.names[place]} {width} x {height}"
        remedy = "give both of a pair the same size, or each B the same whole number of times the size of its A"
        raise DataError(problem, where=f"{second.path / second.names[place]}", remedy=remedy)
    return factor


# --- pairs side by side ---


class _Half(ImageSource):
    """The left or right halves of pictures."""

    def __init__(self, whole: ImageSource, right: bool) -> None:
        schema = _halved_schema(whole.schema)
        sizes = whole.sizes // np.array([1, 2])
        super().__init__(whole.path, schema, whole.names, whole.label, whole.fingerprint(), sizes)
        self._whole, self._right = whole, right

    def subset(self, places: Codes) -> Self:
        some = super().subset(places)
        some._whole = self._whole.subset(places)
        return some

    def read(self, index: int) -> Bytes:
        pixels = self._whole.read(index)
        middle = pixels.shape[1] // 2
        return pixels[:, middle:] if self._right else pixels[:, :middle]


def _halved(path: Path, on_read: Callable[[int], None] | None) -> PictureSet:
    whole = open_images(path, labelled=False, on_read=on_read)
    _check_enough(path, len(whole))
    odd = np.flatnonzero(whole.sizes[:, 1] % 2)
    if len(odd):
        name, width = whole.names[odd[0]], whole.sizes[odd[0], 1]
        problem = f"is {width} pixels wide, which has no two equal halves"
        remedy = "give pictures of even widths, or folders A and B"
        raise DataError(problem, where=str(path / name), remedy=remedy)
    return PictureSet(path, "pairs", _Half(whole, False), _Half(whole, True))


def _halved_schema(schema: ImageSchema) -> ImageSchema:
    low, median, high = (side // 2 for side in schema.width)
    return replace(schema, width=(low, median, high))
