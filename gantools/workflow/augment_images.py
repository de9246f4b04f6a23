"""The whole of `gantools augment` for images as one function: hold back, train, judge, train on all, balance, write.

As `augment` for tables, and besides: how good synthetic images are by themselves, and which of them repeat real ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from gantools import registry
from gantools.augment.balance import Strategy, rows_to_make
from gantools.augment.balance_images import ImageBalance, balance_images
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.config import TrainConfig, build, check
from gantools.data.images.folder import check_class_names, has_manifest, new_image_folder
from gantools.data.images.source import ImageSchema, ImageSource, open_images
from gantools.encode.images import FITS, Fit, ImageEncoder, ImageLayout, ImageSet, check_size, fitting_size
from gantools.errors import ConfigError, DataError, TrainingError
from gantools.evaluate.image_quality import ImageQuality, image_quality
from gantools.evaluate.image_utility import image_verdict
from gantools.evaluate.privacy import NearCopies, near_copies
from gantools.evaluate.verdict import Verdict
from gantools.nn.features import Features, NetFeatures, features_of, inception_features, perceptual_features
from gantools.report.balanced_images import Examples
from gantools.train.image_classifier import classifier_features
from gantools.train.loop import resolve_device
from gantools.train.monitor import Progress, TrainingReport
from gantools.workflow.augment import ALONE_SHARE, FINAL_SHARE, STAGE_VERDICT, VERDICT_SHARE, scaled_strategy

STAGE_CHECK = "Checking the images"
STAGE_READ = "Reading the images"
STAGE_FINAL = "Training on all images"

LARGEST_UNASKED = 64  # pixels of each side, where no size is asked for
MAX_COMPARED = 2_000  # real and fresh synthetic images each that quality is measured on
MAX_REAL, MAX_SYNTHETIC = 20_000, 5_000  # that are searched for copies
N_EXAMPLES = 8  # of each class, for the report
MAX_CLASSES = 12  # that have examples

FeaturesName = Literal["classifier", "perceptual", "inception"]
FEATURES: tuple[FeaturesName, ...] = get_args(FeaturesName)

Places = npt.NDArray[np.int64]
OnTraining = Callable[[str, Progress], None]
OnRead = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class ImageAugmentResult:
    """What `augment_images` found and made.

    balance: the synthetic images and counts. verdict: None where none was asked for or none was possible (`notes` says
    why). synthesizer: their generator. quality, copies: None where there are too few images. n_written: images in the
    output folder. repeats: (synthetic file, real image that it repeats, exactly or nearly). examples: for a report,
    where asked for.
    """

    balance: ImageBalance
    schema: ImageSchema
    synthesizer: ImageSynthesizer
    verdict: Verdict | None
    quality: ImageQuality | None
    copies: NearCopies | None
    n_written: int
    repeats: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    examples: tuple[Examples, ...] = ()

    @property
    def training(self) -> TrainingReport:
        """How the training of `synthesizer` went."""
        return self.synthesizer.report_


def augment_images(
    data: Path,
    output: Path,
    *,
    strategy: Strategy = "auto",
    model: str = "lean",
    options: Mapping[str, Any] | None = None,
    train: TrainConfig | None = None,
    size: int | None = None,
    fit: Fit = "resize",
    synthesizer: ImageSynthesizer | None = None,
    with_verdict: bool = True,
    synthetic_only: bool = False,
    features: FeaturesName = "classifier",
    grids: Path | None = None,
    with_examples: bool = False,
    seed: int = 0,
    progress: OnTraining | None = None,
    on_read: OnRead | None = None,
) -> ImageAugmentResult:
    """Balance the images of `data`, a folder of class folders or an .npz file, into the folder `output`.

    The verdict's generator is trained on the images that are not held back, then the final one on all, each with its
    own share of `train.budget_s`. strategy: imbalanced-learn's `sampling_strategy`. size: pixels of each side; None for
    what the images fill, at most 64. synthesizer: an already trained generator, whose size counts; no verdict is
    possible then. features: what quality and copies are measured by: of a classifier trained on these images, of
    EfficientNet-Lite0, or of Inception v3. grids: a folder for pictures while the final generator trains.
    with_examples: keep some images for a report. progress, on_read: called with the name of the stage and where it is.

    Raises DataError for images that cannot be balanced, ConfigError for a bad option, TrainingError where no usable
    generator came out, KeyboardInterrupt where training was interrupted. Then nothing is written.
    """
    config = train or ImageSynthesizer.default_train(seed=seed)
    device = resolve_device(config.device)
    if synthesizer is None:
        check_model(model, options, size)
    check(features in FEATURES, "features", "must be one of " + ", ".join(FEATURES))
    pretrained = None if features == "classifier" else _PRETRAINED[features](device)
    source = open_source(data, None if synthesizer is None else synthesizer.schema_, on_read)
    check_strategy(source, strategy)
    notes: list[str] = []
    if synthesizer is not None and with_verdict:
        notes.append("No verdict: the loaded generator may have been trained on any of these images.")
    real = load_set(source, size, fit, synthesizer, on_read)

    def trained(images: ImageSet, stage: str, share: float, stage_seed: int, folder: Path | None) -> ImageSynthesizer:
        budget_s = None if config.budget_s is None else config.budget_s * share
        maker = ImageSynthesizer(model, options, replace(config, budget_s=budget_s, seed=stage_seed))
        maker.fit(images, grids=folder, progress=None if progress is None else lambda state: progress(stage, state))
        if maker.report_.stopped == "interrupted":
            raise KeyboardInterrupt
        return maker

    def balancer(images: Tensor, label: Tensor, repeat_seed: int) -> tuple[Tensor, Tensor]:
        kept = _part(real, images, label)
        maker = trained(kept, STAGE_VERDICT, VERDICT_SHARE, repeat_seed, None)
        asked = scaled_strategy(strategy, _names(source.schema, label), len(label) / len(real))
        made = balance_images(kept, strategy=asked, synthesizer=maker, seed=repeat_seed)
        return torch.cat([images, made.images]), torch.cat([label, made.label])

    judged: Verdict | None = None
    if synthesizer is None:
        if with_verdict:
            try:
                judged = image_verdict(
                    real.images, real.label, source.schema.classes, {"gantools": balancer}, seed=seed, device=device
                )
            except (DataError, TrainingError) as error:
                notes.append(f"No verdict: {error}.")
        share = FINAL_SHARE if with_verdict else ALONE_SHARE
        synthesizer = trained(real, STAGE_FINAL, share, config.seed, grids)
    balance = balance_images(real, strategy=strategy, synthesizer=synthesizer, seed=seed)

    measure = pretrained or classifier_features(
        real.images, real.label, len(source.schema.classes), seed=seed, device=device
    )
    quality = _quality(real, balance, synthesizer, measure, seed)
    copies, remark = _copies(real, balance, measure, seed)
    notes += remark
    examples = _examples(real, balance, measure) if with_examples else ()
    with new_image_folder(output) as folder:
        if not synthetic_only:
            folder.originals(source)
        files = [
            folder.synthetic(image, source.schema.classes[code], seed)
            for image, code in zip(balance.images.movedim(1, 3).numpy(), balance.label.tolist(), strict=True)
        ]
    pairs = () if copies is None else (*copies.exact, *copies.near)
    repeats = tuple((files[made], source.names[place]) for made, place in pairs)
    return ImageAugmentResult(
        balance, source.schema, synthesizer, judged, quality, copies, len(folder), repeats, tuple(notes), examples
    )


def generate_images(synthesizer: ImageSynthesizer, counts: Mapping[str, int], output: Path, seed: int = 0) -> None:
    """Write new images, exactly so many of each class, into the folder `output`. Raises DataError, ConfigError."""
    check_class_names(synthesizer.schema_.classes, "generator")
    images, label = synthesizer.sample(counts, seed=seed)
    with new_image_folder(output) as folder:
        for image, code in zip(images.movedim(1, 3).numpy(), label.tolist(), strict=True):
            folder.synthetic(image, synthesizer.schema_.classes[code], seed)


def proportional(n: int, counts: Sequence[int]) -> list[int]:
    """n split in the proportions of counts, largest remainders first."""
    exact = np.array(counts, dtype=float) / max(1, sum(counts)) * n
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: n - whole.sum()]] += 1
    return [int(one) for one in whole]


# What both commands that train do -------------------------------------------------------------------------------------


def check_model(model: str, options: Mapping[str, Any] | None, size: int | None) -> None:
    """Refuse a model, options of it, or a size that are not possible, before images are read. Raises ConfigError."""
    build(registry.get(model, "generate", "image").Options, options)
    if size is not None:
        check_size(size)


def open_source(data: Path, known: ImageSchema | None = None, on_read: OnRead | None = None) -> ImageSource:
    """Labelled images that may be balanced. known: what a loaded generator was trained on. Raises DataError."""
    if data.is_dir() and has_manifest(data):
        remedy = "use the folder of the originals"
        raise DataError("gantools wrote this folder, and synthetic images are in it", where=str(data), remedy=remedy)
    told = None if on_read is None else lambda done: on_read(STAGE_CHECK, done, None)
    shape = {} if known is None else {"channels": known.channels, "white": known.white}
    source = open_images(data, labelled=True, on_read=told, **shape)
    check_class_names(source.schema.classes, str(data))
    if known is not None and known.classes != source.schema.classes:
        problem = f"its classes are {_listed(source.schema.classes)}, the generator's {_listed(known.classes)}"
        raise DataError(problem, where=str(data), remedy="use a generator of these classes, or train one")
    return source


def load_set(
    source: ImageSource,
    size: int | None,
    fit: Fit,
    synthesizer: ImageSynthesizer | None = None,
    on_read: OnRead | None = None,
) -> ImageSet:
    """The images at the size asked for, or as a loaded generator wants them."""
    if synthesizer is None:
        check(fit in FITS, "fit", "must be one of " + ", ".join(FITS))
        side = size or fitting_size(source.schema, LARGEST_UNASKED)
        encoder = ImageEncoder(ImageLayout(source.schema.channels, side), fit)
    else:
        encoder = synthesizer.encoder_
    return ImageSet.load(
        source, encoder, None if on_read is None else lambda done: on_read(STAGE_READ, done, len(source))
    )


def check_strategy(source: ImageSource, strategy: Strategy) -> None:
    """Refuse a strategy that does not fit the classes or asks for nothing. Raises ConfigError."""
    classes = source.schema.classes
    if isinstance(strategy, Mapping):
        for name in strategy:
            match_class(classes, str(name), "strategy")
    if isinstance(strategy, float) and len(classes) != 2:
        problem = f"a ratio needs two classes, and there are {len(classes)}"
        raise ConfigError(problem, where="strategy", remedy="""give counts, such as '{"class": 500}'""")
    if not rows_to_make(_names(source.schema, torch.from_numpy(source.label)), strategy):
        problem = "every class has as many images as asked for already"
        raise ConfigError(problem, where="strategy", remedy="""ask for more, such as '{"class": 500}'""")


def match_class(classes: Sequence[str], name: str, option: str) -> str:
    """`name`, where there is such a class. Raises ConfigError naming `option` and the nearest one."""
    if name in classes:
        return name
    near = difflib.get_close_matches(name, classes, n=1)
    listed = f"the classes are {_listed(classes)}"
    remedy = f"did you mean {near[0]!r}? {listed}" if near else listed
    raise ConfigError(f"there is no class {name!r}", where=option, remedy=remedy)


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


def _copies(real: ImageSet, balance: ImageBalance, measure: Features, seed: int) -> tuple[NearCopies | None, list[str]]:
    """Generated images that repeat real ones of the classes that were filled, and what to say about the search."""
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
    copies = near_copies(real.images[rows], balance.images[made], measure)
    exact, near = (
        tuple((int(made[one]), int(rows[other])) for one, other in pairs) for pairs in (copies.exact, copies.near)
    )
    return replace(copies, exact=exact, near=near), notes


def _examples(real: ImageSet, balance: ImageBalance, measure: Features) -> tuple[Examples, ...]:
    examples = []
    for code in _filled(balance)[:MAX_CLASSES]:
        made = balance.images[balance.label == code][:N_EXAMPLES]
        own = real.images[real.label == code]
        nearest = torch.cdist(features_of(measure, made), features_of(measure, own)).argmin(1)
        examples.append(Examples(real.schema.classes[code], made, own[nearest]))
    return tuple(examples)


def _filled(balance: ImageBalance) -> list[int]:
    """Codes of the classes that got synthetic images."""
    return sorted(set(balance.label.tolist()))


def _some(places: Places, most: int, rng: np.random.Generator) -> Places:
    """At most so many of them, ascending."""
    return places if len(places) <= most else np.sort(rng.choice(places, most, replace=False))


def _part(real: ImageSet, images: Tensor, label: Tensor) -> ImageSet:
    """The same set with fewer images."""
    counts = tuple(torch.bincount(label, minlength=len(real.schema.classes)).tolist())
    schema = replace(real.schema, counts=counts, n_images=len(label))
    return replace(real, schema=schema, images=images, label=label)


def _names(schema: ImageSchema, label: Tensor) -> pd.Series[str]:
    return pd.Series([schema.classes[code] for code in label.tolist()], name="folder")


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
