"""Training a translator of pictures, and the verdict on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gantools import registry
from gantools.config import build, check
from gantools.data.images.pairs import WORDS, PictureSet, open_pictures
from gantools.data.images.source import Bytes, Mask
from gantools.encode.images import ImageEncoder, ImageLayout
from gantools.encode.pictures import Pictures, TranslationSet
from gantools.errors import ConfigError
from gantools.evaluate.plain import TUNED_ON, TUNED_SIDE, plain_method
from gantools.evaluate.translation import (
    FEWEST,
    Compared,
    TranslationVerdict,
    UnpairedVerdict,
    compare,
    compare_sets,
    no_verdict,
)
from gantools.nn.degradations import Degradations
from gantools.nn.features import as_rgb
from gantools.stages import Stage
from gantools.transform.translator import ImageTranslator
from gantools.words import count
from gantools.workflow.contract import Item, Table, given
from gantools.workflow.images import STAGE_CHECK, STAGE_READ
from gantools.workflow.stages import Stages
from gantools.workflow.train import STAGE, Request, TrainResult
from gantools.workflow.training import resumable

STAGE_VERDICT = "Comparing"
FITS = ("resize", "pad")
SIDE_BY_SIDE = "side-by-side"
HELD_SHARE = 0.1  # of the pictures, that are held back for the verdict
MOST_HELD = {"pairs": 50, "clean": 50, "unpaired": 500}
JUDGED_SIDE = 512  # pixels of each side of the middle of a picture that is compared
SET_SIDE = 64  # pixels of each side of pictures that a classifier tells apart, at most
SET_LEARNED = 2000  # pictures of each set that it learns from, at most
FEWEST_OF_SET = 10  # pictures that are translated for the classifier, however little time there is
TUNING = 0.3  # share of the time for the verdict that the plain method may be tuned in
TRANSLATING = 0.6  # share of it that sets are translated in; the rest is the classifier's
FIGURES = (("psnr", "PSNR (dB)", ".2f"), ("ssim", "SSIM", ".4f"), ("perceptual", "perceptual distance", ".4f"),
           ("fid", "FID", ".2f"), ("kid", "KID", ".4f"))  # fmt: skip

Verdict = TranslationVerdict | UnpairedVerdict
Example = TypeVar("Example")


@dataclass(frozen=True, kw_only=True)
class TranslatorResult(TrainResult):
    """A translator. layout: of the pictures. n_held: pictures or pairs held back, of two sets those of the first."""

    noun = "Translator"

    layout: str
    n_held: int
    verdict: Verdict

    def facts(self) -> dict[str, Any]:
        return {"layout": self.layout, "n_held_back": self.n_held, "verdict": self.verdict.to_json()}

    def judged(self) -> Iterator[Item]:
        if isinstance(self.verdict, TranslationVerdict) and self.verdict.scores:
            yield _table(self.verdict)
        yield self.verdict.sentence


def run(request: Request, stages: Stages) -> TranslatorResult:
    """Train on pictures, save the translator and compare it with the plain method."""
    stages.plan({STAGE: 10.0, STAGE_VERDICT: 1.0})
    config = request.train_config(ImageTranslator.default_train(), tensorboard=request.tensorboard)
    translator = ImageTranslator(
        **given(request, "model", "options", "size"), degrade=list(request.degrade) or None, train=config
    )
    _check(request, translator.model)
    watch = stages.watch
    pictures = open_pictures(
        request.data,
        side_by_side=request.pairs is not None,
        on_read=lambda done: watch.done(STAGE_CHECK, done, None, "pictures"),
    )
    data = _loaded(request, pictures, stages)
    n_held = min(MOST_HELD[data.layout], int(HELD_SHARE * min(pictures.sizes)))
    rest, held = data.split(n_held, request.seed)
    stage = stages[STAGE]
    with resumable(request.save, translator, stage):
        translator.fit(
            rest, folder=request.save, resume=request.resume, grids=request.grids, progress=stage.trained
        )  # fmt: skip
    with _saved(request):
        verdict = _verdict(translator, rest, held, n_held, request.seed, stages)
    notes = pictures.notes()
    if 0 < verdict.n < n_held:
        notes.append(f"of the {count(n_held, WORDS[data.layout])} held back {verdict.n} were compared in the time left")
    return TranslatorResult(
        saved=request.save, model=translator.model, layout=data.layout, n_held=n_held, report=translator.report_,
        verdict=verdict, notes=tuple(notes), grids=request.grids,
    )  # fmt: skip


@contextmanager
def _saved(request: Request) -> Iterator[None]:
    """What is done when the translator is saved. Raises KeyboardInterrupt that says so."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"there is no verdict, but {request.save} holds the trained translator") from error


def _check(request: Request, model: str) -> None:
    """Refuse what is not possible before pictures are read. Raises ConfigError."""
    build(registry.get(model, "transform", "image").Options, request.options).require()
    Degradations.parse(request.degrade)
    check(request.pairs in (None, SIDE_BY_SIDE), "pairs", f"must be {SIDE_BY_SIDE}")
    if request.pairs and request.degrade:
        raise ConfigError("has no effect on pairs", where="degrade", remedy="leave it out")
    check(request.fit in (None, *FITS), "fit", "must be one of " + ", ".join(FITS) + " for a translator")
    if request.fit is not None and request.size is None:
        raise ConfigError("needs `size`, which whole pictures are brought to", where="fit", remedy="say how large")


def _loaded(request: Request, pictures: PictureSet, stages: Stages) -> TranslationSet:
    total = sum(pictures.sizes)
    encoder: Callable[[int], ImageEncoder] | None = None
    if request.fit is not None and pictures.scale > 1:
        problem = f"cannot bring pairs to one size whose targets are {pictures.scale} times as large"
        raise ConfigError(problem, where="fit", remedy="leave it out, and learn from crops")
    if request.fit is not None and request.size is not None:
        size, fit = request.size, request.fit

        def encoder(channels: int) -> ImageEncoder:
            return ImageEncoder(ImageLayout(channels, size), fit)

    return TranslationSet.load(pictures, encoder, lambda done: stages.watch.done(STAGE_READ, done, total, "pictures"))


# --- the verdict ---


def _verdict(
    translator: ImageTranslator, rest: TranslationSet, held: TranslationSet, n: int, seed: int, stages: Stages
) -> Verdict:
    """What is said of it by the n pictures held back, or as many of them as there is time for."""
    stage = stages[STAGE_VERDICT]
    seconds = stage.begin()
    if not n:
        return no_verdict("", f"of fewer than {round(1 / HELD_SHARE)} {WORDS[rest.layout]}s none is held back")
    if rest.layout == "unpaired":
        return _of_sets(translator, rest, held, seed, stage, seconds)
    ends = None if seconds is None else time.monotonic() + seconds
    examples = ((source, truth) for source, _, truth in _tried(translator, rest, TUNED_ON, seed, TUNED_SIDE))
    way = plain_method(
        translator.degradations_, translator.target_schema_.channels, translator.scale_, examples,
        None if seconds is None else TUNING * seconds,
    )  # fmt: skip

    def compared() -> Iterator[Compared]:
        for source, mask, truth in until(ends, _tried(translator, held, n, seed, JUDGED_SIDE), FEWEST):
            yield Compared(translator.transform(source, mask), way.make(source, mask), truth, mask)

    options = translator.translator_.options
    adversarial, perceptual = bool(options.adversarial), bool(getattr(options, "perceptual", 0))
    return compare(
        compared(), way.name, adversarial=adversarial, perceptual=perceptual, total=n, seed=seed, stage=stage
    )


def until(ends: float | None, examples: Iterable[Example], least: int) -> Iterator[Example]:
    """The examples while there is time, but `least` of them in any case. ends: by `time.monotonic`, None for never."""
    for n, example in enumerate(examples):
        if ends is not None and n >= least and time.monotonic() > ends:
            return
        yield example


def _tried(
    translator: ImageTranslator, data: TranslationSet, n: int, seed: int, side: int
) -> Iterator[tuple[Bytes, Mask | None, Bytes]]:
    """For some pictures what is given, where its holes are (or None), and the truth; of large ones the middle."""
    scale = translator.scale_
    for index in range(min(n, len(data))):
        if data.sources is not None:
            source, target = _middles(data.sources[index], data.targets[index], side // scale, scale)
            yield _last(source), None, _last(target)
            continue
        truth = _last(_middle(data.targets[index], side // scale * scale, scale))
        yield (*translator.degraded(truth, seed + index), truth)


def _middles(source: Tensor, target: Tensor, side: int, scale: int) -> tuple[Tensor, Tensor]:
    """The middle of a picture [C, H, W], at most `side` pixels along each side, and the same place of its target, which
    is `scale` times as large."""
    for dim in (1, 2):
        n = source.shape[dim]
        kept = min(side, n)
        first = (n - kept) // 2
        source, target = source.narrow(dim, first, kept), target.narrow(dim, first * scale, kept * scale)
    return source, target


def _middle(picture: Tensor, side: int, multiple: int = 1) -> Tensor:
    """The middle of a picture [C, H, W], at most `side` pixels along each side, a multiple of `multiple`."""
    for dim in (1, 2):
        n = picture.shape[dim]
        kept = min(side, n // multiple * multiple) or n
        picture = picture.narrow(dim, (n - kept) // 2, kept)
    return picture


def _last(picture: Tensor) -> Bytes:
    """[C, H, W] to [H, W, C]."""
    return np.ascontiguousarray(picture.movedim(0, 2).numpy())


def _of_sets(
    translator: ImageTranslator,
    rest: TranslationSet,
    held: TranslationSet,
    seed: int,
    stage: Stage,
    seconds: float | None,
) -> UnpairedVerdict:
    """seconds: that it may take."""
    assert rest.sources is not None and held.sources is not None
    side = min(SET_SIDE, translator.size_)
    began = time.monotonic()
    ends = None if seconds is None else began + TRANSLATING * seconds
    made, back = [], []
    for index in until(ends, range(len(held.sources)), FEWEST_OF_SET):
        found = translator.transform(_last(_middle(held.sources[index], JUDGED_SIDE)))
        made.append(_small(torch.from_numpy(found).movedim(2, 0), side))
        again = translator.transform(found, reverse=True)
        back.append(_small(torch.from_numpy(again).movedim(2, 0), side))
        stage.done(index + 1, len(held.sources), "pictures")
    learned = _set(rest.sources, side), _set(rest.targets, side)
    seen = _set(held.sources, side)[: len(made)], _set(held.targets, side)
    left = None if seconds is None else max(0.0, began + seconds - time.monotonic())
    return compare_sets(learned, seen, torch.stack(made), torch.stack(back), seed=seed, stage=Left(stage, left))


class Left(Stage):
    """What is left of a stage. seconds: that it may take."""

    def __init__(self, whole: Stage, seconds: float | None) -> None:
        self._whole, self._seconds = whole, seconds

    def begin(self) -> float | None:
        return self._seconds

    def done(self, n: int, total: int | None, what: str = "steps") -> None:
        self._whole.done(n, total, what)


def _set(pictures: Pictures, side: int) -> Tensor:
    found = [_small(_middle(pictures[k], JUDGED_SIDE), side) for k in range(min(SET_LEARNED, len(pictures)))]
    return torch.stack(found)


def _small(picture: Tensor, side: int) -> Tensor:
    """[C, H, W] uint8 as [3, side, side] uint8."""
    x = F.interpolate(
        as_rgb(picture.unsqueeze(0)).float(), (side, side), mode="bilinear", antialias=True, align_corners=False
    )
    return x[0].round().clamp(0, 255).to(torch.uint8)


def _table(verdict: TranslationVerdict) -> Table:
    ways = {"translator": verdict.scores["translator"], verdict.plain: verdict.scores["plain"]}
    shown = [figure for figure in FIGURES if figure[0] in verdict.scores["plain"]]
    rows = tuple((way, *(format(found[name], how) for name, _, how in shown)) for way, found in ways.items())
    return Table(("", *(head for _, head, _ in shown)), rows, right=tuple(range(1, len(shown) + 1)))
