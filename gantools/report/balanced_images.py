"""The report on balanced images: the verdict, the classes, training, quality, and what was made beside what is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gantools.evaluate.verdict import METHODS
from gantools.report import page

if TYPE_CHECKING:
    from gantools.augment.balance_images import ImageBalance
    from gantools.data.images.schema import ImageSchema
    from gantools.data.images.source import Bytes
    from gantools.evaluate.image_quality import ImageQuality, Quality
    from gantools.evaluate.privacy import NearCopies
    from gantools.evaluate.verdict import Verdict
    from gantools.train.monitor import TrainingReport

JUDGES = "Small convolutional nets, from several starts for each method, were"
GAP = 2  # pixels between pictures
SMALLEST_SIDE = 64  # of a picture; smaller ones are shown enlarged
FIGURES = {"fid": "FID", "kid": "KID", "precision": "precision", "recall": "recall", "density": "density",
           "coverage": "coverage"}  # fmt: skip
MAX_REPEATS = 20


@dataclass(frozen=True)
class Examples:
    """Synthetic images of one class above the real ones nearest to them: each [n, C, size, size] uint8."""

    label: str
    synthetic: Tensor
    nearest: Tensor


def images_to_html(
    verdict: Verdict | None,
    balance: ImageBalance,
    schema: ImageSchema,
    training: TrainingReport,
    quality: ImageQuality | None,
    copies: NearCopies | None,
    repeats: Sequence[tuple[str, str]] = (),
    examples: Sequence[Examples] = (),
    *,
    title: str = "Balanced images",
) -> str:
    """The report as one HTML page.

    verdict, quality, copies: None where there are none. repeats: (synthetic file, real image that it repeats).
    """
    sections = [
        _opening(title, verdict, balance, schema),
        page.verdict_section(verdict, METHODS, JUDGES, samples="images"),
        page.classes_section(balance),
        page.training_section(training, samples="images"),
        _examples(examples),
        _quality(quality),
        _copies(copies, repeats),
    ]
    return page.whole(title, sections)


def _opening(title: str, verdict: Verdict | None, balance: ImageBalance, schema: ImageSchema) -> str:
    word = f'<p class="verdict {verdict.helped}">{page.text(verdict.sentence)}</p>' if verdict else ""
    size = balance.images.shape[-1]
    n, n_generated = len(balance.label), int(balance.is_generated.sum())
    made = (
        f"{schema.n_images:,} real images and {n:,} synthetic ones of {size} x {size} pixels: {n_generated:,} drawn by "
        f"the generator, {n - n_generated:,} real ones, varied."
    )
    return f"<h1>{page.text(title)}</h1>\n{word}\n<p>{made}</p>\n{page.notes((*schema.notes(), *balance.notes))}"


def _examples(examples: Sequence[Examples]) -> str:
    if not examples:
        return ""
    about = "Of each class the upper row is synthetic; below each image is the real one of the class nearest to it."
    blocks = "\n".join(
        f'<div class="column"><h3>{page.text(page.cut(one.label, 60))}</h3>'
        f'<img src="{page.data_uri(_grid(one))}" alt="Synthetic images, and real ones below"></div>'
        for one in examples
    )
    return f'<h2>Synthetic images</h2>\n<p>{about}</p>\n<div class="grid">\n{blocks}\n</div>'


def _grid(examples: Examples) -> Bytes:
    """Two rows of pictures, [h, w, C]."""
    rows = [images.movedim(1, 3).numpy() for images in (examples.synthetic, examples.nearest)]
    n, size, _, channels = rows[0].shape
    times = max(1, SMALLEST_SIDE // size)
    side = size * times
    picture = np.full((2 * side + GAP, n * (side + GAP) - GAP, channels), 255, np.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * (side + GAP), column * (side + GAP)
            picture[top : top + side, left : left + side] = image.repeat(times, 0).repeat(times, 1)
    return picture


def _quality(quality: ImageQuality | None) -> str:
    if quality is None:
        return ""
    about = (
        f"Fresh images of the generator against as many real ones, measured by: {page.text(quality.features)}. FID and "
        "KID are distances, 0 is best. Precision and density say how real images look, recall and coverage how much of "
        "what is real they reach; 1 is best."
    )
    rows = [
        [page.text(name), *(_figure(one, figure) for figure in FIGURES), f"{one.n_real:,}", f"{one.n_synthetic:,}"]
        for name, one in [("all", quality.overall), *list(quality.by_class.items())[: page.MAX_CLASSES]]
    ]
    table = page.table(["class", *FIGURES.values(), "real", "synthetic"], rows, n_text=1)
    return f"<h2>Quality</h2>\n<p>{about}</p>\n{table}\n{page.notes(quality.notes)}"


def _figure(one: Quality, figure: str) -> str:
    value = getattr(one, figure)
    return "" if value is None else f"{value:.3f}"


def _copies(copies: NearCopies | None, repeats: Sequence[tuple[str, str]]) -> str:
    if copies is None:
        return ""
    rows = [[page.text(made), page.text(real)] for made, real in repeats[:MAX_REPEATS]]
    table = page.table(["synthetic", "repeats"], rows, n_text=2) if rows else ""
    more = f"\n<p>{len(repeats) - len(rows):,} more are not shown.</p>" if len(repeats) > len(rows) else ""
    return f"<h2>Copies</h2>\n<p>{page.text(copies.sentence)}</p>\n{table}{more}"
