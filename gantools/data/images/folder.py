"""A folder of images is written: originals linked, synthetic ones as PNG, a manifest of both; whole or not at all."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gantools.data.images.source import Bytes, ImageSource, write_png
from gantools.errors import DataError
from gantools.files import write_folder

MANIFEST = "manifest.csv"
HEAD = ("file", "label", "is_synthetic", "made", "seed", "original")


class ImageFolderWriter:
    """Fills a folder: `CLASS/synthetic_000001.png` in a sub-folder for each class, or without one where there are no
    classes, and originals as they are called.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: set[str] = set()
        self._rows: list[tuple[str, str, bool, str, int | str, str]] = []
        self._numbers: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        """Images written."""
        return len(self._rows)

    def originals(self, source: ImageSource) -> None:
        """Every image of `source`, before any synthetic one: a hard link, a copy where there can be none, a PNG of an
        array's.
        """
        for index, code in enumerate(source.label.tolist()):
            label = source.schema.classes[code]
            path = source.path_of(index)
            if path is None:
                write_png(source.read(index), self._new(self._next(label, "image"), label))
            else:
                _link(path, self._new(source.names[index], label))

    def generated(self, image: Bytes, label: str, seed: int) -> str:
        """One image [H, W, C] that a generator drew from a seed. Returns the file's name below the folder."""
        return self._synthetic(image, label, "generated", seed=seed)

    def varied(self, image: Bytes, label: str, original: str) -> str:
        """One image [H, W, C] that a real one, named as in its source, was changed into. Returns the file's name."""
        return self._synthetic(image, label, "varied", original=original)

    def manifest(self) -> None:
        """Write the list of what the folder holds, when it is complete."""
        with (self.folder / MANIFEST).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEAD, *self._rows])

    def _synthetic(self, image: Bytes, label: str, made: str, seed: int | str = "", original: str = "") -> str:
        write_png(image, self._new(self._next(label, "synthetic"), label, made, seed, original))
        return self._rows[-1][0]

    def _next(self, label: str, word: str) -> str:
        """The next numbered PNG of a class whose name no original has."""
        while True:
            self._numbers[label, word] += 1
            name = f"{label}/" * bool(label) + f"{word}_{self._numbers[label, word]:06d}.png"
            if name.lower() not in self._files:
                return name

    def _new(self, name: str, label: str, made: str = "", seed: int | str = "", original: str = "") -> Path:
        """made: how a synthetic image was made; nothing for a real one."""
        self._files.add(name.lower())  # some file systems know no case
        self._rows.append((name, label, bool(made), made, seed, original))
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def new_image_folder(path: Path) -> Iterator[ImageFolderWriter]:
    """Write a folder beside its place and rename it when the block ends well; a failure leaves nothing behind.

    A folder that stands there is replaced: ask first whether it may be. Raises DataError when it cannot be written.
    """
    with write_folder(path) as folder:
        writer = ImageFolderWriter(folder)
        yield writer
        writer.manifest()


def has_manifest(folder: Path, head: Sequence[str] = HEAD[:3]) -> bool:
    """Whether gantools wrote the folder, with these first columns in its list of files."""
    try:
        with (folder / MANIFEST).open(encoding="utf-8", errors="replace") as file:
            return file.readline().strip().split(",")[: len(head)] == [*head]
    except OSError:
        return False


def check_class_names(classes: Sequence[str], where: str) -> None:
    """Refuse labels that cannot be names of folders, as those of arrays may be. Raises DataError."""
    for name in classes:
        if not name or name.startswith(".") or any(sign in name for sign in "/\\\0"):
            remedy = "give labels that can be names of folders"
            raise DataError(f"the label {name!r} cannot be the name of a folder", where=where, remedy=remedy)


def _link(path: Path, place: Path) -> None:
    real = Path(os.path.realpath(path))
    try:
        os.link(real, place)
    except OSError as error:  # another file system, or one without hard links
        if not real.is_file():
            remedy = "leave the files as they are while they are used"
            raise DataError("could be read before, but is gone", where=str(path), remedy=remedy) from error
        shutil.copy2(real, place)
