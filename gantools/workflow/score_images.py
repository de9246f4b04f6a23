"""Scoring images: learn what is normal, find the threshold, score, draw heat maps.

Images are read, scored and drawn some at a time: nothing grows with their number but the table of results.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from gantools import registry
from gantools.config import build, check
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import ImageSource, open_images
from gantools.data.tables import write_table
from gantools.encode.images import check_size
from gantools.errors import DataError
from gantools.evaluate.heat_map import oddest_place
from gantools.evaluate.scores import ScoreTally, TopRow
from gantools.nn.efficientnet import load_efficientnet
from gantools.report.overlay import map_folder, overlay, write_maps
from gantools.report.scored_images import scored_images
from gantools.score.image_scorer import ImageScorer
from gantools.words import count
from gantools.workflow.contract import Item, Watch
from gantools.workflow.opening import about
from gantools.workflow.score import Request
from gantools.workflow.scoring import (
    N_TOP,
    NORMAL,
    STAGE_READ,
    STAGE_SCORE,
    Floats,
    Indices,
    Learned,
    Parts,
    ScoreResult,
    Threshold,
    adjusted,
    contamination_of,
    learn,
    tune,
)

FEWEST = 10  # images that are learned from: of fewer nothing can be held out that says anything
FEW = 50  # below this many a note is due
LARGEST_SHOWN = 320  # pixels of the longer side of a picture in the report
_DIGITS = 6  # significant ones of the numbers in the table

Bytes = npt.NDArray[np.uint8]
MapsOf = Literal["anomalous", "all"]


class Selection:
    """Some images of a source, in any order, as a source."""

    def __init__(self, source: ImageSource, chosen: Indices) -> None:
        """chosen: [n] their numbers in `source`."""
        self.schema = replace(source.schema, n_images=len(chosen), classes=(), counts=(), skipped=())
        self._source, self._chosen = source, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def read(self, index: int) -> Bytes:
        """One image: [H, W, channels]."""
        return self._source.read(int(self._chosen[index]))

    def fingerprint(self) -> str:
        """A digest of the source's and of which images are chosen."""
        return hashlib.sha256(self._source.fingerprint().encode() + self._chosen.tobytes()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ImageResult(ScoreResult):
    """pictures: of each of `top`, with its heat, [h, w, 3]. unread: (file, why), rows of the tally without a score.
    n_maps: images of which maps were written."""

    pictures: tuple[Bytes, ...]
    unread: tuple[tuple[str, str], ...]
    n_maps: int
    sample = "image"
    named = "file"

    @property
    def n_scored(self) -> int:
        return self.tally.n_rows - self.tally.n_unscored

    def _row_json(self, row: TopRow) -> dict[str, Any]:
        found = row.to_json()
        return {"file": found.pop("cells")["file"], **found}

    def _more_json(self) -> dict[str, Any]:
        return {
            "n_images": self.n_scored,
            "pixel_threshold": self.scorer.pixel_threshold_,
            "unread": [{"file": name, "why": why} for name, why in self.unread],
            "maps": self.request.maps,
            "n_maps": self.n_maps,
        }

    def _unread_words(self) -> list[str]:
        if not self.unread:
            return []
        some = ", ".join(f"{name} {why}" for name, why in self.unread[:3])
        more = f" and {len(self.unread) - 3:,} more" if len(self.unread) > 3 else ""
        return [f"{count(len(self.unread), 'file')} could not be read, so without a score: {some}{more}."]

    def _learned_words(self) -> list[str]:
        if self.learned.n_learned is None or self.learned.n_learned >= FEW:
            return []
        return [f"That is few: flags mean more from {FEW} normal images on."]

    def _places_shown(self) -> Iterator[Item]:
        if self.request.maps is not None:
            yield f"Maps of {count(self.n_maps, 'image')}: {self.request.maps}"


def run(request: Request, saved: Any, watch: Watch) -> ImageResult:
    """Score images. saved: a scorer in place of learning.

    An image that was learned from is scored by nets and memories without it.
    """
    started = time.monotonic()
    maps_of = request.maps_of or "anomalous"
    check(maps_of in get_args(MapsOf), "maps_of", "must be one of " + ", ".join(get_args(MapsOf)))
    if saved is None:
        _check(request)
    by_folder = request.labels is not None
    known = None if saved is None else saved.schema_
    good = None
    if request.normal is not None:
        good = _open(request.normal, None if by_folder else False, None, watch)
        known = good.schema
    source = _open(request.data, by_folder, known, watch)
    marks = _marks(source)
    if by_folder and not (marks == 0).any():
        shown = ", ".join(f"'{name}'" for name in source.schema.classes[:5])
        remedy = "call that of the normal images good, ok or normal"
        raise DataError(
            f"none of its class folders ({shown}) is named as normal", where=str(source.path), remedy=remedy
        )

    notes: list[str] = []
    own: dict[str, float] = {}
    f1 = None
    if saved is None:
        learned_from = good or source
        scorer, learned, f1, own = _learned(request, learned_from, _marks(learned_from), watch)
        if request.tail and scorer.calibration_.tail is None:
            notes.append("No tail could be fitted: the held-out images are too few or too much alike.")
    else:
        scorer = adjusted(saved, request.false_alarms)
        learned = Learned(float(scorer.contamination))
    threshold = Threshold.of(scorer, request, f1)

    scores = np.array([own.get(key, np.nan) for key in _keys(source)])
    with contextlib.nullcontext() if request.maps is None else map_folder(request.maps) as folder:
        reasons, n_maps = _score(scorer, source, scores, folder, maps_of == "all", request.explain, watch)
        frame, places = _table(scorer, source, scores, reasons if request.explain else None)
        assert request.output is not None
        write_table(_rounded(frame), request.output)
    tally = ScoreTally(N_TOP)
    tally.update(frame[["file"]], frame, np.append(marks, np.nan)[places] if by_folder else None)
    top, pictures = _pictured(scorer, source, frame.loc[tally.top.index], places)
    result = ImageResult(
        request=request, scorer=scorer, schema=source.schema, tally=tally, top=top, pictures=pictures,
        threshold=threshold, learned=learned, detection=tally.detection(), n_maps=n_maps, notes=tuple(notes),
        unread=tuple((_shown(name), why) for name, why in source.schema.skipped),
        data_notes=tuple(_data_notes(source, good)), started=started,
    )  # fmt: skip

    def page() -> str:
        training = None if saved is not None else scorer.report_
        title = f"{request.data.resolve().name}, scored"
        return scored_images(title, result.words(), tally, top, pictures, threshold=threshold.value, training=training)

    result.write(page)
    return result


def _check(request: Request) -> None:
    """Refuse options that no images would make right, before any are read. Raises ConfigError."""
    name = request.model or ImageScorer().model
    build(registry.get(name, "score", "image").Options, request.options)
    if request.size is not None:
        check_size(request.size)
    if request.features == "perceptual":
        load_efficientnet()


def _data_notes(source: ImageSource, good: ImageSource | None) -> list[str]:
    """What was done with images that are not simply read."""
    notes = replace(source.schema, skipped=()).notes()
    return notes if good is None else notes + [f"{good.path.name}: {note}" for note in good.schema.notes()]


def _open(path: Path, labelled: bool | None, known: ImageSchema | None, watch: Watch) -> ImageSource:
    """known: the images that are learned from, whose channels these are brought to."""
    # where there were no images of 16 bits, nothing is known about their white
    white = None if known is None or known.white == 255 else known.white
    return open_images(
        path,
        labelled=labelled,
        channels=None if known is None else known.channels,
        white=white,
        on_read=lambda n: watch.images(STAGE_READ, n, None),
    )


def _marks(source: ImageSource) -> Floats:
    """[N], 1 for a known anomaly, 0 for a normal image, NaN where it is not known: by the names of class folders."""
    is_normal = np.array([name.strip().lower() in NORMAL for name in source.schema.classes], dtype=bool)
    if not is_normal.any():
        return np.full(len(source), np.nan)
    return np.where(is_normal, 0.0, 1.0)[source.label]


def _keys(source: ImageSource) -> list[str]:
    """What tells each image from all others, whichever folder around it was opened."""
    root = source.path.resolve()
    return [str(root / name) for name in source.names]


def _shown(name: str) -> str:
    """A file's name as text that can be written, whatever its bytes are."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# --- what is learned from ---


def _learned(
    request: Request, source: ImageSource, marks: Floats, watch: Watch
) -> tuple[Any, Learned, float | None, dict[str, float]]:
    """A scorer that has learned, from what, the best F1 where its threshold was sought by marks, and the scores of the
    images that were learned from, by nets and memories without them."""
    parts = Parts.of(marks, request.seed)
    n = len(parts.learned)
    if n < FEWEST:
        normal = "normal images" if request.normal is not None or not np.isnan(marks).any() else "images"
        remedy = f"give at least {FEWEST}; flags mean more from {FEW} on"
        raise DataError(f"{n} {normal} are too few to learn from", where=str(source.path), remedy=remedy)
    contamination = contamination_of(request, marks)
    with about(source.path):
        scorer = learn(ImageScorer, Selection(source, parts.learned), request, contamination, watch)
        f1 = None
        if request.false_alarms is None and len(parts.held_back):
            marked, held_back = (Selection(source, part) for part in (parts.marked, parts.held_back))
            f1 = tune(scorer, marked, held_back, parts.weight)
    keys = _keys(source)
    own = {keys[i]: score for i, score in zip(parts.learned, scorer.train_score_.tolist(), strict=True)}
    learned = Learned(contamination, scorer.n_learned_, n, len(parts.marked), is_drawn=scorer.n_learned_ != n)
    return scorer, learned, f1, own


# --- scoring ---


def _score(
    scorer: Any,
    source: ImageSource,
    scores: Floats,
    folder: Path | None,
    draws_all: bool,
    explain: bool,
    watch: Watch,
) -> tuple[dict[int, str], int]:
    """Fill in the scores [N] that are NaN, and give the reasons of anomalies and the number of images drawn.

    Images that were learned from have their scores, by nets and memories without them; their maps are by all.
    """
    is_wanted = np.isnan(scores)
    if folder is not None or explain:
        is_wanted |= (scores > scorer.threshold_) | (draws_all and folder is not None)
    chosen = np.flatnonzero(is_wanted)
    reasons: dict[int, str] = {}
    n_maps = 0
    for found in scorer.assess(Selection(source, chosen)):
        index = int(chosen[found.index])
        if math.isnan(scores[index]):
            scores[index] = found.anomaly_score
        is_anomaly = scores[index] > scorer.threshold_
        if explain and is_anomaly:
            reasons[index] = oddest_place(found.heat).words
        if folder is not None and (draws_all or is_anomaly):
            write_maps(folder, source.names[index], source.read(index), found.heat)
            n_maps += 1
        watch.images(STAGE_SCORE, found.index + 1, len(chosen))
    return reasons, n_maps


def _table(
    scorer: Any, source: ImageSource, scores: Floats, reasons: Mapping[int, str] | None
) -> tuple[pd.DataFrame, Indices]:
    """A row for each image and each file that could not be read, by name; and the number of each row's image, or -1."""
    skipped = source.schema.skipped
    names = [*source.names, *(name for name, _ in skipped)]
    places = np.arange(len(names))
    if skipped:
        places = np.array(sorted(places, key=lambda place: names[place].split("/")))
    scores = np.append(scores, np.full(len(skipped), np.nan))[places]
    frame = pd.DataFrame(
        {
            "file": [_shown(names[place]) for place in places],
            "anomaly_score": scores,
            "p_value": scorer.calibration_.p_value(scores),
            "is_anomaly": scores > scorer.threshold_,
        }
    )
    if reasons is not None:
        said = [*(reasons.get(index) for index in range(len(source))), *(why for _, why in skipped)]
        frame["reason"] = pd.array([said[place] for place in places], dtype="string")
    return frame, np.where(places < len(source), places, -1)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    rounded = {
        name: frame[name].map(lambda value: float(f"{value:.{_DIGITS}g}")) for name in ("anomaly_score", "p_value")
    }
    return frame.assign(**rounded)


def _pictured(
    scorer: Any, source: ImageSource, top: pd.DataFrame, places: Indices
) -> tuple[pd.DataFrame, tuple[Bytes, ...]]:
    """The rows of `top` with reasons, and a small picture of each with its heat."""
    chosen = places[top.index]
    reasons, pictures = [], []
    for found in scorer.assess(Selection(source, chosen)):
        reasons.append(oddest_place(found.heat).words)
        picture = Image.fromarray(overlay(source.read(int(chosen[found.index])), found.heat))
        picture.thumbnail((LARGEST_SHOWN, LARGEST_SHOWN))
        pictures.append(np.asarray(picture))
    return top.assign(reason=reasons), tuple(pictures)
