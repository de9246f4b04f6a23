"""The whole of `gantools score` for images as one function: learn what is normal, find the threshold, score, draw maps.

Images are read, scored and drawn some at a time: nothing grows with their number but the table of results.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from gantools import registry
from gantools.config import build
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import ImageSource, open_images
from gantools.data.tables import write_table
from gantools.encode.images import Fit, check_size
from gantools.errors import DataError
from gantools.evaluate.heat_map import oddest_place
from gantools.evaluate.scores import Detection, ScoreTally
from gantools.nn.efficientnet import load_efficientnet
from gantools.report.overlay import map_folder, overlay, write_maps
from gantools.score.image_head import Features
from gantools.score.image_scorer import ImageScorer
from gantools.score.threshold import Calibration, best_f1
from gantools.workflow.score import (
    CONTAMINATION,
    FALSE_ALARMS,
    MOST_CONTAMINATION,
    N_TOP,
    NORMAL,
    STAGE_READ,
    STAGE_SCORE,
    STAGE_TRAIN,
    TRAINING_SHARE,
    Rows,
    Threshold,
    about,
    check_rate,
    detection_words,
    held_back,
    percent,
)

if TYPE_CHECKING:
    from gantools.export.kinds.image_scorer import ExportedImageScorer
    from gantools.train.monitor import Progress

FEWEST = 10  # images that are learned from: of fewer nothing can be held out that says anything
FEW = 50  # below this many a note is due
LARGEST_SHOWN = 320  # pixels of the longer side of a picture in the report
_DIGITS = 6  # significant ones of the numbers in the table

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Scorer: TypeAlias = "ImageScorer | ExportedImageScorer"
MapsOf = Literal["anomalous", "all"]


@dataclass(frozen=True)
class Options:
    """How a scorer of images is trained; see ImageScorer.

    contamination: share of anomalies among the images learned from; None takes 0 for images that are given or marked as
    normal and CONTAMINATION for a folder that is scored itself. tail: extrapolate, for rates of false alarms that
    counting cannot tell.
    """

    model: str = "restorer"
    options: Mapping[str, Any] | None = None
    size: int | None = None
    fit: Fit = "resize"
    features: Features = "own"
    steps: int | None = None
    budget_s: float | None = None
    contamination: float | None = None
    tail: bool = False


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


@dataclass(frozen=True)
class ImageScoreResult:
    """What `score_images` found.

    tally: counts and distribution of the scores, unreadable files among the rows. top: the most abnormal images:
    `file`, `anomaly_score`, `p_value`, `is_anomaly` and `reason`; the index counts the table's rows from 0. pictures:
    of each of them, with its heat, [h, w, 3]. n_learned: images learned from, None for a saved scorer; n_source: those
    that they are from; n_marked: of these, known anomalies that were left out. detection: None where no images are
    marked. unread: (file, why). n_maps: images of which maps were written. notes: what else the user should know.
    data_notes: what was done with images that are not simply read.
    """

    scorer: Scorer
    schema: ImageSchema
    tally: ScoreTally
    top: pd.DataFrame
    pictures: tuple[Bytes, ...]
    threshold: Threshold
    contamination: float
    n_learned: int | None
    n_source: int | None
    n_marked: int
    detection: Detection | None
    unread: tuple[tuple[str, str], ...]
    n_maps: int
    notes: tuple[str, ...]
    data_notes: tuple[str, ...]

    @property
    def n_scored(self) -> int:
        """Images that have a score."""
        return self.tally.n_rows - self.tally.n_unscored

    def words(self) -> list[str]:
        """All of it in plain sentences."""
        n_odd, n = self.tally.n_anomalous, self.n_scored
        flagged = f"{n_odd:,} are anomalous" if n_odd != 1 else "1 is anomalous"
        said = [f"{n:,} images scored: {flagged} ({percent(n_odd / n)})."]
        if self.unread:
            files = f"{len(self.unread):,} files" if len(self.unread) > 1 else "1 file"
            listed = ", ".join(f"{name} {why}" for name, why in self.unread[:3])
            more = f" and {len(self.unread) - 3:,} more" if len(self.unread) > 3 else ""
            said.append(f"{files} could not be read, so without a score: {listed}{more}.")
        said += self.threshold.words(self.scorer.calibration_, n, "images")
        if self.n_learned is not None:
            left_out = f"; {self.n_marked:,} known anomalies left out" if self.n_marked else ""
            allowed = f"; {percent(self.contamination)} of them taken for anomalies" if self.contamination else ""
            drawn = f", drawn at random from {self.n_source:,}" if self.n_learned != self.n_source else ""
            said.append(f"Learned from {self.n_learned:,} images{drawn}{left_out}{allowed}.")
            if self.n_learned < FEW:
                said.append(f"That is few: verdicts mean more from {FEW} normal images on.")
        if self.detection is not None:
            said.append(detection_words(self.detection, "images"))
        return [*said, *self.notes]


def score_images(
    data: Path,
    output: Path,
    *,
    train: Path | None = None,
    scorer: Scorer | None = None,
    training: Options | None = None,
    false_alarms: float | None = None,
    by_folder: bool = False,
    explain: bool = False,
    maps: Path | None = None,
    maps_of: MapsOf = "anomalous",
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str, Progress], None] | None = None,
    on_images: Rows | None = None,
) -> ImageScoreResult:
    """Score every image of the folder or .npz `data` and write a table of them to `output`.

    train: normal images to learn from; without it and without a `scorer`, `data` itself is learned from. An image that
    was learned from is scored by nets and memories without it. false_alarms: share of normal images that may be called
    anomalies, or the smallest that can be told where that is more; None takes FALSE_ALARMS, or where known anomalies
    are marked the threshold of the best F1, or that of the saved scorer. by_folder: class folders mark what is known:
    those called as in NORMAL hold normal images, all others anomalies, which are never learned from. explain: also
    write the reasons, for the images that are called anomalies. maps: a folder for maps of these, or of all images.
    progress: called with the state of training. on_images: called with a stage, the images done and those there are,
    None where that is not known yet.

    Raises DataError for images that cannot be scored, ConfigError for a bad option, TrainingError where nothing usable
    was learned, KeyboardInterrupt where training was interrupted. `output` and `maps` are then as they were before.
    """
    asked = training or Options()
    check_rate("false_alarms", false_alarms, 1)
    check_rate("contamination", asked.contamination or None, MOST_CONTAMINATION)
    if scorer is None:
        _check(asked)
    known, good = None if scorer is None else scorer.schema_, None
    if scorer is None and train is not None:
        good = _open(train, None if by_folder else False, None, on_images)
        known = good.schema
    source = _open(data, by_folder, known, on_images)
    marks = _marks(source)
    if by_folder and not (marks == 0).any():
        shown = ", ".join(f"'{name}'" for name in source.schema.classes[:5])
        remedy = "call that of the normal images good, ok or normal"
        raise DataError(f"none of its class folders ({shown}) is named as normal", where=str(data), remedy=remedy)

    notes: list[str] = []
    own: dict[str, float] = {}
    f1: float | None = None
    learning: _Learning | None = None
    n_learned: int | None = None
    if scorer is None:
        learning = _learning(good or source, _marks(good) if good else marks, asked, good is not None, seed)
        scorer = learner = _learned(learning, asked, false_alarms or FALSE_ALARMS, seed, device, progress)
        n_learned = learner.n_learned_
        if asked.tail and scorer.calibration_.tail is None:
            notes.append("No tail could be fitted: the held-out images are too few or too much alike.")
        keys = _keys(learning.source)
        own = {keys[i]: score for i, score in zip(learning.learned, learner.train_score_.tolist(), strict=True)}
        if false_alarms is None and len(learning.held_back):
            f1 = _tune(learner, learning)
    elif false_alarms is not None:
        _ask_for(scorer, false_alarms)
    is_own = f1 is not None or (learning is None and false_alarms is None)
    threshold = Threshold(
        float(scorer.threshold_), None if is_own else scorer.false_alarms, scorer.calibration_.finest, f1
    )

    scores = np.array([own.get(key, np.nan) for key in _keys(source)])
    n_maps = 0
    with contextlib.nullcontext() if maps is None else map_folder(maps) as folder:
        reasons, n_maps = _score(scorer, source, scores, folder, maps_of == "all", explain, on_images)
        frame, places = _table(scorer, source, scores, reasons if explain else None)
        write_table(_rounded(frame), output)
    tally = ScoreTally(N_TOP)
    tally.update(frame[["file"]], frame, np.append(marks, np.nan)[places] if by_folder else None)
    top, pictures = _pictured(scorer, source, frame.loc[tally.top.index], places)
    data_notes = replace(source.schema, skipped=()).notes()
    if good is not None:
        data_notes += [f"{good.path.name}: {note}" for note in good.schema.notes()]
    return ImageScoreResult(
        scorer=scorer,
        schema=source.schema,
        tally=tally,
        top=top,
        pictures=pictures,
        threshold=threshold,
        contamination=float(scorer.contamination),
        n_learned=n_learned,
        n_source=None if learning is None else len(learning.learned),
        n_marked=0 if learning is None else len(learning.marked),
        detection=tally.detection(),
        unread=tuple((_shown(name), why) for name, why in source.schema.skipped),
        n_maps=n_maps,
        notes=tuple(notes),
        data_notes=tuple(data_notes),
    )


def _check(asked: Options) -> None:
    """Refuse options that no images would make right, before any are read. Raises ConfigError."""
    build(registry.get(asked.model, "score", "image").Options, asked.options)
    if asked.size is not None:
        check_size(asked.size)
    if asked.features == "perceptual":
        load_efficientnet()


def _open(path: Path, labelled: bool | None, known: ImageSchema | None, on_images: Rows | None) -> ImageSource:
    """known: the images that are learned from, whose channels these are brought to."""
    # where there were no images of 16 bits, nothing is known about their white
    white = None if known is None or known.white == 255 else known.white
    return open_images(
        path,
        labelled=labelled,
        channels=None if known is None else known.channels,
        white=white,
        on_read=None if on_images is None else lambda n: on_images(STAGE_READ, n, None),
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


@dataclass(frozen=True)
class _Learning:
    """Numbers of images in `source`. learned: to learn from. marked: known anomalies. held_back: known as normal, a
    part of those there are, each of which stands for `weight`."""

    source: ImageSource
    learned: Indices
    marked: Indices
    held_back: Indices
    weight: int
    contamination: float


def _learning(source: ImageSource, marks: Floats, asked: Options, has_train: bool, seed: int) -> _Learning:
    held, weight = held_back(marks, seed)
    is_learned = marks != 1
    is_learned[held] = False
    learned = np.flatnonzero(is_learned)
    if len(learned) < FEWEST:
        normal = "normal images" if has_train or not np.isnan(marks).any() else "images"
        remedy = f"give at least {FEWEST}; verdicts mean more from {FEW} on"
        raise DataError(f"{len(learned)} {normal} are too few to learn from", where=str(source.path), remedy=remedy)
    contamination = asked.contamination
    if contamination is None:
        contamination = 0.0 if has_train or not np.isnan(marks).any() else CONTAMINATION
    return _Learning(source, learned, np.flatnonzero(marks == 1), held, weight, contamination)


def _learned(
    learning: _Learning,
    asked: Options,
    false_alarms: float,
    seed: int,
    device: str,
    progress: Callable[[str, Progress], None] | None,
) -> ImageScorer:
    """A scorer that has learned. Raises KeyboardInterrupt where that was interrupted."""
    scorer = ImageScorer(
        model=asked.model,
        options=dict(asked.options or {}),
        size=asked.size,
        shape=asked.fit,
        features=asked.features,
        false_alarms=false_alarms,
        contamination=learning.contamination,
        random_state=seed % 2**32,
        steps=asked.steps,
        budget_s=None if asked.budget_s is None else asked.budget_s * TRAINING_SHARE,
        device=device,
    )
    with about(learning.source.path):
        scorer.fit(
            Selection(learning.source, learning.learned),
            progress=None if progress is None else lambda state: progress(STAGE_TRAIN, state),
        )
    if scorer.report_.stopped == "interrupted":
        raise KeyboardInterrupt
    if asked.tail:
        scorer.calibration_ = Calibration.fit(scorer.calibration_.scores, tail=True)
        _ask_for(scorer, false_alarms)
    return scorer


def _ask_for(scorer: Scorer, false_alarms: float) -> None:
    """Set the threshold for this rate, or for the smallest that held-out images resolve."""
    scorer.false_alarms = false_alarms
    scorer.threshold_ = scorer.calibration_.threshold(max(false_alarms, scorer.calibration_.finest))


def _tune(scorer: ImageScorer, learning: _Learning) -> float:
    """Set the threshold to where F1 is best on images that were not learned from, and give that F1.

    Normal images are held back in part and anomalies are not, so each of the former is counted several times.
    """
    normal, anomalous = (
        scorer.anomaly_score(Selection(learning.source, part)) for part in (learning.held_back, learning.marked)
    )
    scorer.threshold_, f1 = best_f1(np.repeat(normal, learning.weight), anomalous)
    return f1


# --- scoring ---


def _score(
    scorer: Scorer,
    source: ImageSource,
    scores: Floats,
    folder: Path | None,
    draws_all: bool,
    explain: bool,
    on_images: Rows | None,
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
        if on_images is not None:
            on_images(STAGE_SCORE, found.index + 1, len(chosen))
    return reasons, n_maps


def _table(
    scorer: Scorer, source: ImageSource, scores: Floats, reasons: Mapping[int, str] | None
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
    scorer: Scorer, source: ImageSource, top: pd.DataFrame, places: Indices
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
