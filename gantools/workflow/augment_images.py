"""Balancing images: hold back, train, judge, train on all, balance, measure, write.

As for tables, and besides: how good synthetic images are by themselves, and which of them repeat real ones. Generated
images are used only where they earn it: where they pass for real ones (`augment.image_judge`), and where the held-back
images did not show varied real ones alone to be better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.augment.balance import Strategy
from gantools.augment.balance_images import ImageBalance, balance_images
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.latent import between, from_seeds, noise_of, seeds_of_run
from gantools.config import check
from gantools.data.images.folder import ImageFolderWriter, new_image_folder
from gantools.data.images.source import ImageSource
from gantools.encode.images import ImageEncoder, ImageSet
from gantools.evaluate.image_quality import ImageQuality, Quality, image_quality
from gantools.evaluate.image_utility import image_verdict
from gantools.evaluate.privacy import NearCopies, near_copies
from gantools.evaluate.verdict import Verdict, mean_figure
from gantools.nn.augment import CHANGES, Change, parse_changes
from gantools.nn.features import Features, NetFeatures, inception_features, perceptual_features
from gantools.report.balanced_images import Examples, Strip, balanced_images
from gantools.train.devices import resolve_device
from gantools.train.image_classifier import classifier_features
from gantools.words import count
from gantools.workflow.augment import Request
from gantools.workflow.augmenting import (
    AugmentResult,
    Part,
    Trainings,
    plan,
    reached,
    scaled_strategy,
    strategy_of,
)
from gantools.workflow.contract import Item, Table, noted
from gantools.workflow.examples import MAX_CLASSES, examples_of
from gantools.workflow.images import check_model, check_strategy, class_names, load_set, open_labelled
from gantools.workflow.reporting import run_facts
from gantools.workflow.stages import Stages

MAKING, JUDGING, MEASURING = 0.06, 0.2, 0.06  # of the time: each trains classifiers

MAX_COMPARED = 2_000  # real and fresh synthetic images each that quality is measured on
MAX_REAL, MAX_SYNTHETIC = 20_000, 5_000  # that are searched for copies
N_STRIP = 9  # images of a strip

VARIED_IS_BETTER = (
    "On the held-out images varied real images alone did better than together with generated ones: they fill the "
    "classes."
)

FeaturesName = Literal["classifier", "perceptual", "inception"]
FEATURES: tuple[FeaturesName, ...] = get_args(FeaturesName)

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ImageResult(AugmentResult):
    """quality, copies: None where there are too few images. n_written: images in the output folder. repeats:
    (synthetic file, real image that it repeats, exactly or nearly)."""

    balance: ImageBalance
    quality: ImageQuality | None
    copies: NearCopies | None
    n_written: int
    repeats: tuple[tuple[str, str], ...]
    samples = "images"
    whole = "folder"

    @property
    def n_generated(self) -> int:
        """Synthetic images that the generator drew; the others are real ones, varied."""
        return int(self.balance.is_generated.sum())

    def _more_json(self) -> dict[str, Any]:
        return {
            "target": "folder",
            "n_synthetic": len(self.balance.label),
            "n_generated": self.n_generated,
            "n_written": self.n_written,
            "size": self.generator.encoder_.layout.size,
            "copies": None if self.copies is None else {**self.copies.to_json(), "files": self.repeats},
            "quality": None if self.quality is None else self.quality.to_json(),
            "skipped": [{"file": name, "why": why} for name, why in self.schema.skipped],
            "grids": self.request.grids,
        }

    def _made_shown(self) -> Iterator[Item]:
        size = self.generator.encoder_.layout.size
        n_varied = len(self.balance.label) - self.n_generated
        at = f" at {size} x {size} pixels" if self.n_generated else ""
        yield f"Synthetic images: {self.n_generated} drawn by the generator{at}, {n_varied} varied real ones."
        if self.copies is not None:
            yield self.copies.sentence

    def _quality_shown(self) -> Iterator[Item]:
        if self.quality is None:
            return
        head = ("class", "FID", "KID", "precision", "recall", "density", "coverage", "real", "synthetic")
        each = (("all", self.quality.overall), *self.quality.by_class.items())
        rows = tuple((name, *_figures(one), one.n_real, one.n_synthetic) for name, one in each)
        title = f"Quality of fresh images of the generator, measured by: {self.quality.features}"
        yield ""
        yield Table(head, rows, title=title, right=tuple(range(1, len(head))))
        yield from noted(self.quality.notes)


def _figures(one: Quality) -> tuple[str, ...]:
    figures = (one.fid, one.kid, one.precision, one.recall, one.density, one.coverage)
    return tuple("-" if figure is None else f"{figure:.3f}" for figure in figures)


def run(request: Request, trained: ImageSynthesizer | None, stages: Stages) -> ImageResult:
    """Balance images. trained: a generator in place of training one."""
    stages.plan(plan(request, trained, MAKING, JUDGING, MEASURING))
    config, strategy = request.train_config(ImageSynthesizer.default_train()), strategy_of(request)
    device = resolve_device(config.device)
    if trained is None:
        check_model(request)
    features = request.features or FEATURES[0]
    check(features in FEATURES, "features", "must be one of " + ", ".join(FEATURES))
    pretrained = None if features == "classifier" else _PRETRAINED[features](device)
    source = open_labelled(request.data, stages.watch, None if trained is None else trained.schema_)
    check_strategy(source, strategy)
    vary = CHANGES if request.vary is None else parse_changes(request.vary)
    real = load_set(source, request, stages.watch, None if trained is None else trained.encoder_)

    seed, n_classes = request.seed, len(source.schema.classes)
    trainings = Trainings(request, config, ImageSynthesizer)
    n_tried: list[int] = []
    judged, notes = reached(request, trained, lambda: _judged(real, strategy, vary, trainings, stages, device, n_tried))
    generator = trained or trainings.fit(real, stage=stages[Part.TRAIN], seed=seed, grids=request.grids)
    is_varied_better = judged is not None and any(n_tried) and _is_varied_better(judged)
    balance = balance_images(
        real, strategy=strategy, synthesizer=None if is_varied_better else generator, vary=vary, seed=seed,
        stage=stages[Part.MAKE],
    )  # fmt: skip
    if is_varied_better:
        notes.append(VARIED_IS_BETTER)
    if balance.failed:
        notes.append(_more_training(generator))

    stage = stages[Part.MEASURE]
    measure = pretrained or classifier_features(
        real.images, real.label, n_classes, seed=seed, device=device, stage=stage
    )
    quality = _quality(real, balance, generator, measure, seed)
    copies, remark = _copies(real, balance, generator, measure, seed)
    examples: tuple[Examples, ...] = ()
    strips: tuple[Strip, ...] = ()
    if request.report is not None:
        real_images = real.images, real.label
        examples = examples_of((balance.images, balance.label), real_images, source.schema.classes, measure)
        strips = _strips(generator, balance, seed)
    files = _write(request, source, balance, generator.encoder_)
    pairs = () if copies is None else (*copies.exact, *copies.near)
    repeats = tuple((files[made], source.names[place]) for made, place in pairs)
    result = ImageResult(
        request=request, balance=balance, schema=source.schema, generator=generator, verdict=judged, quality=quality,
        copies=copies, n_written=len(files) + (0 if request.synthetic_only else len(source)), repeats=repeats,
        notes=(*real.encoder.notes(source.schema), *notes, *remark), stages=stages,
    )  # fmt: skip

    def page() -> str:
        return balanced_images(
            f"{request.data.name}, balanced", balance, source.schema, verdict=judged, training=generator.history_,
            quality=quality, copies=copies, repeats=repeats, examples=examples, strips=strips,
            facts=run_facts(request),
        )  # fmt: skip

    result.write(page, lambda: None)
    return result


def _is_varied_better(verdict: Verdict) -> bool:
    """Whether varied real images alone did better on the held-back ones than together with generated ones."""
    figures = [verdict.scores.get(name) for name in ("gantools", "classical")]
    ours, varied = (None if each is None else mean_figure(each) for each in figures)
    return ours is not None and varied is not None and ours < varied


def _more_training(generator: ImageSynthesizer) -> str:
    """What it would take until generated images pass for real ones, as far as one can say."""
    report, usual = generator.report_, generator.gan_.options.steps
    if report.steps >= usual or report.stopped == "early":
        return "Training longer is unlikely to help; more images of these classes would, or another model."
    minutes = max(1, round(usual * report.seconds / max(1, report.steps) / 60))
    taken = f"The generator trained for {report.steps:,} of its usual {usual:,} steps"
    return f"{taken}; all of them would take about {count(minutes, 'minute')} here."


def _judged(
    real: ImageSet, strategy: Strategy, vary: Sequence[Change], trainings: Trainings, stages: Stages,
    device: torch.device, n_generated: list[int],
) -> Verdict:  # fmt: skip
    """n_generated: is told how many generated images the verdict is about."""

    repeats = trainings.request.repeats or 1

    def balancer(images: Tensor, label: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        kept = _part(real, images, label)
        generator = trainings.fit(kept, stage=stages[Part.TRAIN_TO_JUDGE], seed=seed, n_alike=repeats)
        asked = scaled_strategy(strategy, class_names(real.schema, label), len(label) / len(real))
        made = balance_images(
            kept, strategy=asked, synthesizer=generator, vary=vary, seed=seed, stage=stages[Part.MAKE_TO_JUDGE]
        )
        n_generated.append(made.n_generated)
        return torch.cat([images, made.images]), torch.cat([label, made.label])

    seed = trainings.request.seed
    return image_verdict(
        real.images, real.label, real.schema.classes, {"gantools": balancer}, seed=seed, vary=vary, n_repeats=repeats,
        device=device, stage=stages[Part.JUDGE],
    )  # fmt: skip


def _write(request: Request, source: ImageSource, balance: ImageBalance, encoder: ImageEncoder) -> list[str]:
    """Write the folder, every synthetic image as large as a real one. Returns the names of the synthetic files."""
    assert request.output is not None
    with new_image_folder(request.output) as folder:
        if not request.synthetic_only:
            folder.originals(source)
        return [_write_one(folder, source, balance, encoder, place) for place in range(len(balance.label))]


def _write_one(
    folder: ImageFolderWriter, source: ImageSource, balance: ImageBalance, encoder: ImageEncoder, place: int
) -> str:
    code, origin = int(balance.label[place]), int(balance.origin[place])
    name = source.schema.classes[code]
    if balance.is_generated[place]:
        same = source.sizes[source.label == code]
        height, width = same[origin % len(same)].tolist()
        image = encoder.unframed(balance.images[place : place + 1], height, width)
        return folder.generated(image[0].movedim(0, 2).numpy(), name, origin)
    original = torch.from_numpy(source.read(origin)).movedim(2, 0)
    image = balance.changes[place : place + 1].made(original.unsqueeze(0))
    return folder.varied(image[0].movedim(0, 2).numpy(), name, source.names[origin])


def _part(real: ImageSet, images: Tensor, label: Tensor) -> ImageSet:
    """The same set with fewer images."""
    counts = tuple(torch.bincount(label, minlength=len(real.schema.classes)).tolist())
    schema = replace(real.schema, counts=counts, n_images=len(label))
    return replace(real, schema=schema, images=images, label=label)


# Measuring ------------------------------------------------------------------------------------------------------------

_PRETRAINED: dict[str, Callable[[torch.device], NetFeatures]] = {
    "perceptual": perceptual_features,
    "inception": inception_features,
}


def _quality(
    real: ImageSet, balance: ImageBalance, synthesizer: ImageSynthesizer, measure: Features, seed: int
) -> ImageQuality | None:
    """Of the classes that were filled: as many fresh images of each as real ones."""
    filled = _filled(balance)
    rng = np.random.default_rng(seed)
    label = real.label.numpy()
    each = {code: _some(np.flatnonzero(label == code), MAX_COMPARED // len(filled), rng) for code in filled}
    chosen = np.concatenate(list(each.values()))
    if len(chosen) < 2:
        return None
    classes = real.schema.classes
    made, made_label = synthesizer.sample({classes[code]: len(rows) for code, rows in each.items()}, seed=seed + 1)
    return image_quality(real.images[chosen], real.label[chosen], made, made_label, classes, measure, seed=seed)


def _copies(
    real: ImageSet, balance: ImageBalance, generator: ImageSynthesizer, measure: Features, seed: int
) -> tuple[NearCopies | None, list[str]]:
    """Generated images that repeated real ones of the classes that were filled before they were changed, and what to
    say about the search."""
    rng = np.random.default_rng(seed)
    candidates = np.flatnonzero(np.isin(real.label.numpy(), _filled(balance)))
    generated = np.flatnonzero(balance.is_generated.numpy())
    rows, made = _some(candidates, MAX_REAL, rng), _some(generated, MAX_SYNTHETIC, rng)
    if len(rows) < 3 or not len(made):
        return None, []
    notes = [
        f"For copies {len(some):,} of {len(places):,} {what} images were searched, drawn at random."
        for some, places, what in ((rows, candidates, "real"), (made, generated, "generated"))
        if len(some) < len(places)
    ]
    drawn = from_seeds(generator, balance.label[made], balance.origin[made].tolist())
    copies = near_copies(real.images[rows], drawn, measure)
    exact, near = (
        tuple((int(made[one]), int(rows[other])) for one, other in pairs) for pairs in (copies.exact, copies.near)
    )
    return replace(copies, exact=exact, near=near), notes


def _strips(generator: ImageSynthesizer, balance: ImageBalance, seed: int) -> tuple[Strip, ...]:
    """Of each class that the generator drew images of, the way from one to another; none where it drew none."""
    drawn = torch.unique(balance.label[balance.is_generated])[:MAX_CLASSES]
    one, other = noise_of(seeds_of_run(seed, 2), generator.noise_width)
    noise = between(one, other, N_STRIP)
    return tuple(
        Strip(generator.schema_.classes[code], generator.from_noise(noise, code.expand(N_STRIP))) for code in drawn
    )


def _filled(balance: ImageBalance) -> list[int]:
    """Codes of the classes that got synthetic images."""
    return sorted(set(balance.label.tolist()))


def _some(places: Places, most: int, rng: np.random.Generator) -> Places:
    """At most so many of them, ascending."""
    return places if len(places) <= most else np.sort(rng.choice(places, most, replace=False))
