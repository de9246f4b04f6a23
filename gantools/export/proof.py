"""The file against the library: both are run on the same rows or images, and what differs is measured.

Rows are those that the scorer remembers, as they are, with missing cells everywhere and with levels never seen; images
are examples of those learned from, in their own and in other sizes; generators get the same noise. In batches of 1, 7
and as many as there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pandas as pd
import torch
import torch.nn.functional as F

from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.rows import noise_in_chunks
from gantools.augment.synthesizer import Synthesizer
from gantools.data.tables.raw import MISSING, Raw
from gantools.errors import ExportError
from gantools.export.columns import Port, to_feed
from gantools.export.graph import Model
from gantools.export.runtime import ExportedGenerator, ExportedImageGenerator, ExportedImageScorer, ExportedScorer
from gantools.nn.conditioning import Condition
from gantools.score.image_scorer import ImageScorer
from gantools.score.table_scorer import AnomalyScorer

ROWS = 1024
EXPLAINED = 64
IMAGES = 8
BATCHES = (1, 7)
MANY = 100  # of fewer rows or images the worst one is no exception
SEED = 0
ALIKE = 0.9  # of the largest contribution: as good as the largest
LEAST_SCORE = 0.1  # below it a row is far more normal than most: about 0.7 is usual
NEVER_SEEN = "a level that was never seen"


@dataclass(frozen=True)
class Tolerance:
    """How far the file may be from the library.

    score: of the score, relative to it, or to LEAST_SCORE where it is less, in 99 of 100 rows. tied: of any score, for
    which of two neighbours at one distance is nearer is up to rounding. ranks: held-out scores between the p-values.
    blamed: share of rows whose most blamed column may be another one, where two are blamed alike. cells: share of
    generated cells, or of bytes of images, that may differ by more than `step`: where a number, or a category's
    cumulative probability, lies on a border. step: of a number, relative to its column's range; of a byte, in units.
    heat: of a heat map, relative to its largest value.
    """

    score: float = 1e-4
    tied: float = 1e-2
    ranks: int = 2
    blamed: float = 0.1
    cells: float = 2e-3
    step: float = 1e-4
    heat: float = 2e-3


STRICT = Tolerance()
Parity = dict[str, Any]


def prove(session: ort.InferenceSession, model: Model, allowed: Tolerance = STRICT) -> Parity:
    """What differs between a graph, open in a session, and the model that it was made from: figures by name.

    Raises ExportError when anything differs by more than is allowed.
    """
    if isinstance(model, AnomalyScorer):
        return _rows_scored(ExportedScorer(session, None), model, allowed)
    if isinstance(model, ImageScorer):
        return _images_scored(ExportedImageScorer(session, None), model, allowed)
    if isinstance(model, Synthesizer):
        return _rows_made(ExportedGenerator(session, None), model, allowed)
    return _images_made(ExportedImageGenerator(session, None), model, allowed)


def _check(name: str, found: float, most: float) -> None:
    if not found <= most:  # NaN is not
        raise ExportError(
            f"the file's {name} differs from the library's by {found:.3g}, and {most:.3g} is allowed",
            remedy="nothing was written; export in another precision, or report it with the model's name",
        )


# --- scores ---


def _rows_scored(file: ExportedScorer, scorer: AnomalyScorer, allowed: Tolerance) -> Parity:
    categories = [port for port in file.inputs if not port.is_number]
    raw = _trying_rows(scorer.remembered_, categories, np.random.default_rng(SEED))
    cells = pd.DataFrame({name: [NEVER_SEEN] * len(raw) for name in scorer.schema_.names})
    feed = to_feed(raw, cells, file.inputs)
    outputs = [file.names[name] for name in ("anomaly_score", "p_value", "is_anomaly")]
    expected = scorer.score_raw(raw)
    found: Parity = {"rows": len(raw), "batches": [*BATCHES, len(raw)]}
    for rows in _batches(len(raw)):
        part = {name: values[rows] for name, values in feed.items()}
        score, p, flagged = file.run({**part, **file._threshold}, outputs)
        _compare(found, scorer, expected[rows], score, p, flagged, allowed)
    some = np.arange(min(EXPLAINED, len(raw)))
    [(_, theirs)] = list(scorer.explain_raw(raw.take(some), some))
    [(_, ours)] = list(file._explained(raw.take(some), cells.iloc[some]))
    found["blamed_otherwise"] = _blamed_otherwise(ours.contribution, theirs.contribution)
    _check("most blamed column", found["blamed_otherwise"], allowed.blamed)
    return found


def _blamed_otherwise(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> float:
    """The share of rows whose most blamed column is another one, unless one of them finds both columns about alike."""
    rows, mine, other = np.arange(len(ours)), ours.argmax(1), theirs.argmax(1)
    alike = (ours[rows, other] >= ALIKE * ours.max(1)) | (theirs[rows, mine] >= ALIKE * theirs.max(1))
    return float((~alike).mean())


def _compare(
    found: Parity,
    scorer: AnomalyScorer | ImageScorer,
    expected: npt.NDArray[np.float64],
    score: npt.NDArray[np.float64],
    p: npt.NDArray[np.float64],
    flagged: npt.NDArray[np.bool_],
    allowed: Tolerance,
) -> None:
    """Add the largest differences so far to `found`."""
    off = np.abs(score - expected) / np.maximum(expected, LEAST_SCORE)
    off = np.where(np.isnan(score) & np.isnan(expected), 0.0, np.where(np.isnan(off), np.inf, off))
    found["score_relative"] = max(found.get("score_relative", 0.0), float(off.max()))
    _check("score", found["score_relative"], max(allowed.tied, allowed.score))
    if len(off) >= MANY:
        found["score_relative_of_most"] = max(found.get("score_relative_of_most", 0.0), float(np.quantile(off, 0.99)))
        _check("score", found["score_relative_of_most"], allowed.score)
    ranks = np.nan_to_num(np.abs(p - scorer.calibration_.p_value(expected))) * (len(scorer.calibration_.scores) + 1)
    tail = scorer.calibration_.tail
    counted = ranks if tail is None else ranks[expected <= tail.start]
    found["p_value_ranks"] = max(found.get("p_value_ranks", 0.0), float(counted.max(initial=0.0)))
    _check("p-value", found["p_value_ranks"], allowed.ranks + 1e-6 + allowed.score * len(scorer.calibration_.scores))
    on_border = np.abs(expected - scorer.threshold_) <= STRICT.score * np.abs(expected)
    other = (flagged != (expected > scorer.threshold_)) & ~on_border
    found["verdicts_otherwise"] = found.get("verdicts_otherwise", 0) + int(other.sum())
    _check("verdict", float(found["verdicts_otherwise"]), 0.0)


def _trying_rows(remembered: Raw, categories: Sequence[Port], random: np.random.Generator) -> Raw:
    """Real rows: a half as they are, a quarter with missing cells and a quarter with levels never seen, and numbers far
    from their range."""
    n = min(ROWS, max(len(remembered), 16))
    raw = remembered.take(random.choice(len(remembered), n, replace=n > len(remembered)))
    numbers, codes = raw.numbers.copy(), raw.codes.copy()
    lacking = np.arange(n) % 4 == 1
    strange = np.arange(n) % 4 == 3
    numbers[(random.random(numbers.shape) < 0.3) & lacking[:, None]] = np.nan
    can_lack = np.array([port.has_missing for port in categories], dtype=bool)
    codes[(random.random(codes.shape) < 0.3) & lacking[:, None] & can_lack] = MISSING
    odd = (random.random(codes.shape) < 0.3) & strange[:, None]
    codes = np.where(odd, np.array([port.unseen for port in categories], dtype=np.int64), codes)
    far = (random.random(numbers.shape) < 0.1) & strange[:, None]
    numbers[far] = numbers[far] * 3 + 7
    return Raw(numbers, codes)


def _batches(n: int) -> Iterator[slice]:
    start = 0
    for size in (*BATCHES, n):
        yield slice(0, n) if size == n else slice(start, start + size)
        start += size


def _images_scored(file: ExportedImageScorer, scorer: ImageScorer, allowed: Tolerance) -> Parity:
    found: Parity = {"images": 0, "sizes": []}
    for images in _trying_images(scorer):
        source = list(images)
        assessed = list(scorer.assess(source))
        expected = np.array([one.anomaly_score for one in assessed])
        for part in (slice(0, 1), slice(0, len(images))):
            score, p, flagged, heat = file.score(images[part])
            _compare(found, scorer, expected[part], score, p, flagged, allowed)
        heats = np.stack([one.heat for one in assessed])
        off = float(np.nan_to_num(np.abs(heat - heats), nan=np.inf).max() / max(heats.max(), 1e-6))
        found["heat_relative"] = max(found.get("heat_relative", 0.0), off)
        _check("heat map", found["heat_relative"], allowed.heat)
        found["images"] += len(images)
        found["sizes"].append(list(images.shape[1:3]))
    return found


def _trying_images(scorer: ImageScorer) -> Iterator[npt.NDArray[np.uint8]]:
    """Images [N, H, W, C] of several sizes: examples that were learned from, mixtures of two, and ones with a flaw."""
    size = scorer.encoder_.layout.size
    known = scorer.examples_[:IMAGES].float()  # [N, C, S, S]
    random = torch.Generator().manual_seed(SEED)
    noisy = (known + known.roll(1, 0)) / 2 + 20 * torch.randn(known.shape, generator=random)
    flawed = known.clone()
    flawed[:, :, size // 3 : size // 2, size // 4 : size // 2] = torch.randint(256, (1,), generator=random).item()
    tried = torch.cat([known, noisy, flawed])
    for height, width in ((size, size), (size + size // 3 + 1, size + 5), (max(8, size // 2 + 1), size + size // 2)):
        x = tried
        if (height, width) != (size, size):
            x = F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
        yield x.round().clamp(0, 255).to(torch.uint8).movedim(1, 3).contiguous().numpy()


# --- generated ---


def _asked(class_counts: tuple[int, ...], n: int) -> npt.NDArray[np.int64]:
    known = np.flatnonzero(np.array(class_counts) > 0)
    return known[np.arange(n) % len(known)]


def _rows_made(file: ExportedGenerator, maker: Synthesizer, allowed: Tolerance) -> Parity:
    label = _asked(file.class_counts, ROWS)
    found: Parity = {"rows": ROWS, "batches": [*BATCHES, ROWS]}
    if file.draws_noise:
        cells = file.cells(np.zeros((0, 0), np.float32), label)
        return {**found, "noise": "inside", "missing_columns": len(file.outputs) - len(cells)}
    noise = np.concatenate([part.numpy() for _, part in noise_in_chunks(ROWS, file.noise_width, SEED)])
    made = maker.rows_from(torch.from_numpy(noise), label)
    n_off, n_cells, largest = 0, 0, 0.0
    for rows in _batches(ROWS):
        ours = file.generate(noise[rows], label[rows])
        for port in file.outputs:
            expected, got = made[port.name].iloc[rows].reset_index(drop=True), ours[port.name]
            column = maker.schema_[port.name]
            if port.is_number and port.name in maker.schema_.numeric:
                index = maker.schema_.numeric.index(port.name)
                span = float(maker.encoder_.high[index] - maker.encoder_.low[index]) or 1.0
                a, b = (_as_floats(values, column.dtype) for values in (expected, got))
                off = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b) / span)
                off = np.where(np.isnan(off), 1.0, off)
                largest = max(largest, float(np.where(off > 0.01, 0.0, off).max(initial=0.0)))
                n_off += int((off > allowed.step).sum())
            else:
                other = (expected.astype(str) != got.astype(str)) & ~(expected.isna() & got.isna())
                n_off += int(other.sum())
            n_cells += len(expected)
    found["cells_otherwise"] = n_off / max(1, n_cells)
    found["number_relative"] = largest
    _check("share of cells that differ", found["cells_otherwise"], allowed.cells)
    return found


def _as_floats(values: pd.Series, dtype: str) -> npt.NDArray[np.float64]:
    if "date" in dtype or "time" in dtype or "duration" in dtype or not pd.api.types.is_numeric_dtype(values):
        moments = pd.to_datetime(values.astype(str), errors="coerce", format="mixed", utc=True).dt.tz_localize(None)
        return np.where(moments.isna(), np.nan, moments.to_numpy().astype("datetime64[us]").view(np.int64))
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _images_made(file: ExportedImageGenerator, maker: ImageSynthesizer, allowed: Tolerance) -> Parity:
    n = 64
    label = _asked(file.class_counts, n)
    if file.draws_noise:
        return {"images": len(file.generate(np.zeros((0, 0), np.float32), label)), "noise": "inside"}
    noise = torch.randn((n, file.noise_width), generator=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        made = maker.encoder_.inverse(maker.gan_.generate(noise, Condition(torch.from_numpy(label)))).numpy()
    n_off, n_bytes, largest = 0, 0, 0
    for rows in _batches(n):
        ours = file.generate(noise.numpy()[rows], label[rows])
        off = np.abs(ours.astype(int) - made[rows].astype(int))
        n_off, n_bytes, largest = n_off + int((off > 1).sum()), n_bytes + off.size, max(largest, int(off.max()))
    found = {"images": n, "batches": [*BATCHES, n], "bytes_otherwise": n_off / n_bytes, "largest_byte": largest}
    _check("share of bytes that differ by more than one", found["bytes_otherwise"], allowed.cells)  # type: ignore[arg-type]
    return found
