"""Scoring images: learn what is normal, find the threshold, score, draw heat maps.

Images are read, scored and drawn some at a time: nothing grows with their number but the table of results.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator
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
from gantools.encode.images import ImageEncoder, check_size
from gantools.errors import DataError
from gantools.evaluate.heat_map import oddest_place
from gantools.evaluate.scores import ScoreTally, TopRow
from gantools.nn.efficientnet import load_efficientnet
from gantools.report.overlay import map_folder, overlay, write_maps
from gantools.report.scored_images import scored_images
from gantools.score.image_scorer import ImageScorer
from gantools.stages import Stage
from gantools.words import count, legible, listed
from gantools.workflow.contract import Item, Watch
from gantools.workflow.opening import about
from gantools.workflow.places import named
from gantools.workflow.reporting import run_facts
from gantools.workflow.score import Request
from gantools.workflow.scoring import (
    LEARN,
    N_TOP,
    NORMAL,
    READ,
    SCORE,
    SHARES,
    Fitted,
    Floats,
    Indices,
    Learned,
    Parts,
    ScoreResult,
    Threshold,
    contamination_of,
    learn,
)
from gantools.workflow.stages import Stages

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

    def with_white(self, white: int | None) -> Selection:
        return Selection(self._source.with_white(white), self._chosen)

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
        return [f"That is few: scores are more reliable from {FEW} normal images on."]

    def _places_shown(self) -> Iterator[Item]:
        if self.request.maps is not None:
            yield f"Maps of {count(self.n_maps, 'image')}: {self.request.maps}"


def run(request: Request, saved: Any, stages: Stages) -> ImageResult:
    """Score images. saved: a scorer in place of learning.

    An image that was learned from is scored by nets and memories without it.
    """
    stages.plan(SHARES)
    if saved is None:
        _check(request)
    good = None
    if request.normal is not None:
        good = _open(request.normal, None if request.labels else False, None, stages.watch)
    like = saved.schema_ if saved is not None else good.schema if good is not None else None
    source = _open(request.data, request.labels is not None, like, stages.watch)
    marks = _checked_marks(source, request)
    own: dict[bytes, float] = {}
    if saved is None:
        fitted, own = _learned(request, good or source, stages[LEARN])
    else:
        fitted = Fitted.saved(saved, request)
    scorer, threshold = fitted.scorer, Threshold.of(fitted, request)

    known = [own.get(source.content(index), np.nan) if own else np.nan for index in range(len(source))]
    scoring = _Scoring(scorer, source, request, np.array(known))
    frame = scoring.write(stages[SCORE])
    tally = ScoreTally(N_TOP)
    tally.update(frame[["file"]], frame, None if marks is None else np.append(marks, np.nan)[scoring.places])
    top, pictures = scoring.pictured(frame.loc[tally.top.index])
    result = ImageResult(
        request=request, scorer=scorer, schema=source.schema, tally=tally, top=top, pictures=pictures,
        threshold=threshold, learned=fitted.learned, detection=tally.detection(), n_maps=scoring.n_maps,
        notes=fitted.notes, unread=tuple((legible(name), why) for name, why in source.schema.skipped),
        data_notes=tuple(_data_notes(source, good, scorer.encoder_)), stages=stages,
    )  # fmt: skip

    def page() -> str:
        return scored_images(
            f"{named(request.data).name}, scored", result.words(), tally, top, pictures, threshold=threshold.value,
            training=result.trained, facts=run_facts(request),
        )  # fmt: skip

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
    check(request.maps_of in (None, *get_args(MapsOf)), "maps_of", "must be one of " + ", ".join(get_args(MapsOf)))


def _data_notes(source: ImageSource, good: ImageSource | None, encoder: ImageEncoder) -> list[str]:
    """What was done with images that are not simply read."""
    notes = replace(source.schema, skipped=()).notes() + encoder.notes(source.schema)
    if good is None:
        return notes
    return notes + [f"{good.path.name}: {note}" for note in (*good.schema.notes(), *encoder.notes(good.schema))]


def _open(path: Path, labelled: bool | None, known: ImageSchema | None, watch: Watch) -> ImageSource:
    """known: the images that are learned from, as which these are read."""
    return open_images(path, labelled=labelled, known=known, on_read=lambda n: watch.done(READ, n, None, "images"))


def _checked_marks(source: ImageSource, request: Request) -> Floats | None:
    """The marks of the images that are scored, None where none are asked for. Raises DataError without normal ones."""
    if request.labels is None:
        return None
    marks = _marks(source)
    if not (marks == 0).any():
        problem = f"none of its class folders ({listed(source.schema.classes)}) is named as normal"
        remedy = "call that of the normal images good, ok or normal"
        raise DataError(problem, where=str(source.path), remedy=remedy)
    return marks


def _marks(source: ImageSource) -> Floats:
    """[N], 1 for a known anomaly, 0 for a normal image, NaN where it is not known: by the names of class folders."""
    is_normal = np.array([name.strip().lower() in NORMAL for name in source.schema.classes], dtype=bool)
    if not is_normal.any():
        return np.full(len(source), np.nan)
    return np.where(is_normal, 0.0, 1.0)[source.label]


# Learning -------------------------------------------------------------------------------------------------------------


def _learned(request: Request, source: ImageSource, stage: Stage) -> tuple[Fitted, dict[bytes, float]]:
    """A scorer that has learned, and the scores of the images that it learned from, as if they were held out.

    They are known by their content, wherever they lie and by whatever name or link they are reached.
    """
    marks = _marks(source)
    parts = Parts.of(marks, request.seed)
    n = len(parts.learned)
    if n < FEWEST:
        normal = "normal images" if request.normal is not None or not np.isnan(marks).any() else "images"
        remedy = f"give at least {FEWEST}; scores are more reliable from {FEW} on"
        raise DataError(f"{n} {normal} are too few to learn from", where=str(source.path), remedy=remedy)
    contamination = contamination_of(request, marks)
    with about(source.path):
        scorer, f1, notes = learn(
            ImageScorer, lambda part: Selection(source, part), parts, contamination, request, stage
        )
    own: dict[bytes, float] = {}
    for index, score in zip(parts.learned.tolist(), scorer.train_score_.tolist(), strict=True):
        content = source.content(index)  # nets and memories without one of two equal images may know the other
        own[content] = max(score, own.get(content, -math.inf))
    learned = Learned(scorer.contamination_, scorer.n_learned_, n, len(parts.marked), is_drawn=scorer.n_learned_ != n)
    return Fitted(scorer, learned, f1, tuple(notes)), own


# Scoring --------------------------------------------------------------------------------------------------------------


class _Scoring:
    """Scores the images of a source.

    scores: [N], NaN for images that were not learned from; those that were have their scores, by nets and memories
    without them, and their maps are by all. n_maps: images of which maps were written. places: the number of each table
    row's image, -1 for a file that could not be read.
    """

    def __init__(self, scorer: Any, source: ImageSource, request: Request, scores: Floats) -> None:
        self.scorer, self.source, self.request, self.scores = scorer, source, request, scores
        self.draws_all = request.maps is not None and request.maps_of == "all"
        self.n_maps = 0
        self.reasons: dict[int, str] = {}
        names = [*source.names, *(name for name, _ in source.schema.skipped)]
        order = np.arange(len(names))
        if source.schema.skipped:
            order = np.array(sorted(order, key=lambda place: names[place].split("/")))
        self._order, self._names = order, names
        self.places = np.where(order < len(source), order, -1)

    def write(self, stage: Stage) -> pd.DataFrame:
        """Score all images, and write the table and the maps."""
        assert self.request.output is not None
        with contextlib.nullcontext() if self.request.maps is None else map_folder(self.request.maps) as folder:
            self._score(folder, stage)
            frame = self._table()
            write_table(_written(frame), self.request.output)
        return frame

    def _score(self, folder: Path | None, stage: Stage) -> None:
        limit, explain = self.scorer.threshold_, self.request.explain
        is_wanted = np.isnan(self.scores) | self.draws_all
        if folder is not None or explain:
            is_wanted |= self.scores > limit
        chosen = np.flatnonzero(is_wanted)
        stage.begin()
        for found in self.scorer.assess(Selection(self.source, chosen)):
            index = int(chosen[found.index])
            if math.isnan(self.scores[index]):
                self.scores[index] = found.anomaly_score
            is_anomaly = self.scores[index] > limit
            if explain and is_anomaly:
                self.reasons[index] = oddest_place(found.heat).words
            if folder is not None and (self.draws_all or is_anomaly):
                write_maps(folder, self.source.names[index], self.source.read(index), found.heat)
                self.n_maps += 1
            stage.done(found.index + 1, len(chosen), "images")

    def _table(self) -> pd.DataFrame:
        """A row for each image and each file that could not be read, by name."""
        skipped = self.source.schema.skipped
        scores = np.append(self.scores, np.full(len(skipped), np.nan))[self._order]
        found = {
            "file": [legible(self._names[place]) for place in self._order],
            "anomaly_score": scores,
            "p_value": self.scorer.calibration_.p_value(scores),
            "is_anomaly": scores > self.scorer.threshold_,
        }
        if self.request.explain:
            said = [*(self.reasons.get(index) for index in range(len(self.source))), *(why for _, why in skipped)]
            found["reason"] = pd.array([said[place] for place in self._order], dtype="string")
        return pd.DataFrame(found)

    def pictured(self, top: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Bytes, ...]]:
        """Rows of the table with reasons, and a small picture of each with its heat."""
        chosen = self.places[top.index]
        reasons, pictures = [], []
        for found in self.scorer.assess(Selection(self.source, chosen)):
            reasons.append(oddest_place(found.heat).words)
            picture = Image.fromarray(overlay(self.source.read(int(chosen[found.index])), found.heat))
            picture.thumbnail((LARGEST_SHOWN, LARGEST_SHOWN))
            pictures.append(np.asarray(picture))
        return top.assign(reason=reasons), tuple(pictures)


def _written(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as it is written: numbers rounded, no flag where there is no score."""
    found: dict[str, pd.Series[Any]] = {
        name: frame[name].map(lambda value: float(f"{value:.{_DIGITS}g}")) for name in ("anomaly_score", "p_value")
    }
    unread = frame["anomaly_score"].isna()
    if unread.any():
        found["is_anomaly"] = frame["is_anomaly"].astype("boolean").mask(unread)
    return frame.assign(**found)
