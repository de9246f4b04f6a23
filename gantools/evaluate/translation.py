"""Whether a translator beats the plain method, told on pictures that were held back before it learned.

Of pairs, or clean pictures and degraded copies: PSNR (inside holes where there are any), SSIM and a perceptual distance
of what each way makes, and the 95 % interval of the mean difference over pictures. One that learned nothing but grey
values is judged by PSNR; with an adversary or a perceptual loss by the perceptual distance, since no method is
best in both (Blau and Michaeli 2018, 'The Perception-Distortion Tradeoff').

Of two sets without pairs: how many translated pictures a classifier takes for ones of the second set, after it learned
to tell the sets apart on other pictures; and how much of a picture is lost on the way there and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.data.images.source import Bytes, Mask
from gantools.evaluate.image_quality import frechet_distance, kernel_distance
from gantools.evaluate.restoration import PerceptualDistance, psnr, psnr_inside, ssim
from gantools.nn.features import features_of, perceptual_features
from gantools.stages import Stage
from gantools.train.image_classifier import probabilities, train_classifier

Helped = Literal["yes", "no", "unclear"]

FEWEST = 3  # pictures of which a difference is called clear
N_SAMPLES = 2000  # of the bootstrap
MIN_DIFFERENCE = {"psnr": 0.05, "perceptual": 0.01}  # in dB, and of the distance itself; what nobody would notice
MIN_FID = 64  # pictures from which on distributions are compared
FID_SIDE = 128  # pixels of each side of what is cut out of the middle of each for that


@dataclass(frozen=True)
class Compared:
    """One picture held back. made, plain, truth: [H, W, C] uint8. mask: [H, W], true in holes, where there are any."""

    made: Bytes
    plain: Bytes
    truth: Bytes
    mask: Mask | None = None


@dataclass(frozen=True)
class TranslationVerdict:
    """What is said of a translator.

    helped: whether it beats the plain method; "unclear" also where there are too few pictures. sentence: what that
    means. scores: per way "translator" and "plain" its means of "psnr" (dB), "ssim", "perceptual", and where there are
    enough pictures "fid" and "kid". judged_by: the figure that decides. difference, interval: of it, positive where the
    translator is better; None where nothing was compared. plain: what the plain method is called. measured_by: what the
    perceptual distance goes by. n: pictures held back.
    """

    helped: Helped
    sentence: str
    scores: Mapping[str, Mapping[str, float]]
    judged_by: str
    difference: float | None
    interval: tuple[float, float] | None
    plain: str
    measured_by: str
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def compare(
    pictures: Iterable[Compared],
    plain: str,
    *,
    adversarial: bool,
    perceptual: bool = False,
    total: int | None = None,
    seed: int = 0,
    stage: Stage | None = None,
) -> TranslationVerdict:
    """The verdict on pictures that were held back; they are looked at one by one.

    plain: what the plain method is called. adversarial: whether the translator learned with a critic. perceptual:
    whether it learned to be near in the maps of EfficientNet-Lite0; then these do not measure it, edges do. total: how
    many pictures there are, at most.
    """
    stage, distance = stage or Stage(), PerceptualDistance(by_edges=perceptual)
    figures: dict[str, list[dict[str, float]]] = {"translator": [], "plain": []}
    middles: dict[str, list[Tensor]] = {"translator": [], "plain": [], "truth": []}
    for one in pictures:
        for way, picture in (("translator", one.made), ("plain", one.plain)):
            near = psnr(picture, one.truth) if one.mask is None else psnr_inside(picture, one.truth, one.mask)
            figures[way].append(
                {"psnr": near, "ssim": ssim(picture, one.truth), "perceptual": distance(picture, one.truth)}
            )
        for way, picture in (("translator", one.made), ("plain", one.plain), ("truth", one.truth)):
            middles[way].append(_middle(picture))
        stage.done(len(figures["plain"]), total, "pictures")
    n = len(figures["plain"])
    if not n:
        return no_verdict(plain, "no picture was held back", distance.name)
    scores = {
        way: {name: float(np.mean([f[name] for f in found])) for name in found[0]} for way, found in figures.items()
    }
    if n >= MIN_FID and distance.name != "edges":
        _add_distributions(scores, middles)
    by_eye = adversarial or perceptual
    judged_by = "perceptual" if by_eye else "psnr"
    sign = -1 if by_eye else 1
    gain = sign * np.array(
        [one[judged_by] - other[judged_by] for one, other in zip(figures["translator"], figures["plain"], strict=True)]
    )
    interval = mean_interval(gain, seed)
    difference = float(gain.mean())
    least = MIN_DIFFERENCE[judged_by] * (scores["plain"]["perceptual"] if by_eye else 1)
    helped: Helped = "unclear"
    if n >= FEWEST and abs(difference) >= least and (interval[0] > 0 or interval[1] < 0):
        helped = "yes" if difference > 0 else "no"
    sentence = _sentence(helped, scores, plain, judged_by, n)
    return TranslationVerdict(helped, sentence, scores, judged_by, difference, interval, plain, distance.name, n)


def no_verdict(plain: str, why: str, measured_by: str = "") -> TranslationVerdict:
    """Where nothing could be compared."""
    return TranslationVerdict("unclear", f"No verdict: {why}.", {}, "psnr", None, None, plain, measured_by, 0)


def _sentence(helped: Helped, scores: Mapping[str, Mapping[str, float]], plain: str, judged_by: str, n: int) -> str:
    ours, other = scores["translator"], scores["plain"]
    on = f"on {n} pictures held back" if n > 1 else "on the one picture held back"
    decibels = ours["psnr"] - other["psnr"]
    more = f"{abs(decibels):.2f} dB {'more' if decibels >= 0 else 'less'} PSNR"
    looks = ours["perceptual"] / max(other["perceptual"], 1e-9)
    to_the_eye = f"a perceptual distance {looks:.2f} times that of {plain}"
    facts = f"{more} than {plain}" if judged_by == "psnr" else f"{to_the_eye}, at {more}"
    if helped == "yes":
        return f"The translator helps: {facts}, {on}."
    if helped == "no":
        return f"The translator did not help: {facts}, {on}."
    return f"There is no clear difference from {plain}: {facts}, {on}."


def mean_interval(gain: npt.NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Of the mean, 95 %, by bootstrap over pictures."""
    drawn = np.random.default_rng(seed).integers(0, len(gain), (N_SAMPLES, len(gain)))
    low, high = np.quantile(gain[drawn].mean(1), [0.025, 0.975])
    return float(low), float(high)


def _middle(picture: Bytes) -> Tensor:
    """The middle of a picture, [3, FID_SIDE, FID_SIDE] uint8; the edge goes on where it is smaller."""
    pixels = picture[..., :3] if picture.shape[2] >= 3 else np.repeat(picture[..., :1], 3, 2)
    for axis in (0, 1):
        n = pixels.shape[axis]
        place = np.arange(FID_SIDE) + (n - FID_SIDE) // 2 if n >= FID_SIDE else np.arange(FID_SIDE).clip(0, n - 1)
        pixels = pixels.take(place, axis)
    return torch.from_numpy(np.ascontiguousarray(pixels)).movedim(2, 0)


def _add_distributions(scores: dict[str, dict[str, float]], middles: Mapping[str, Sequence[Tensor]]) -> None:
    look = perceptual_features()
    features = {way: features_of(look, torch.stack(list(found))) for way, found in middles.items()}
    for way, found in scores.items():
        found["fid"] = frechet_distance(features["truth"], features[way])
        found["kid"] = kernel_distance(features["truth"], features[way])


# --- without pairs ---


@dataclass(frozen=True)
class UnpairedVerdict:
    """What is said of a translator between two sets.

    helped: whether translated pictures are taken for the second set more often than the pictures as they are. sentence:
    what that means. taken, taken_before: the share of translated pictures, and of the pictures as they are, that a
    classifier takes for the second set. taken_real: of real pictures of the second set that it never saw. lost: mean
    difference in grey levels of a picture that was translated there and back. n: pictures held back of the first set.
    """

    helped: Helped
    sentence: str
    taken: float
    taken_before: float
    taken_real: float
    lost: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def compare_sets(
    learned: tuple[Tensor, Tensor],
    held: tuple[Tensor, Tensor],
    made: Tensor,
    back: Tensor,
    *,
    seed: int = 0,
    stage: Stage | None = None,
) -> UnpairedVerdict:
    """The verdict where there are no pairs.

    learned: pictures of both sets [N, 3, S, S] and [M, 3, S, S] uint8 that a classifier learns to tell apart. held: of
    both sets, that neither it nor the translator has seen. made: translations [K, 3, S, S] of the first of these. back:
    those translated back.
    """
    label = torch.cat([torch.full((len(part),), k) for k, part in enumerate(learned)])
    net = train_classifier(torch.cat(learned), label, 2, seed=seed, stage=stage)
    taken, before, real = (float((probabilities([net], x)[0].argmax(1) == 1).float().mean()) for x in (made, *held))
    lost = float((back.float() - held[0].float()).abs().mean())
    n = len(held[0])
    error = 2 * np.sqrt(max(taken * (1 - taken), before * (1 - before), 0.25 / n) / n)
    helped: Helped = "yes" if taken - before > error else "no" if before - taken > error else "unclear"
    said = {"yes": "The translation works", "no": "The translation did not help", "unclear": "No clear effect"}
    sentence = (
        f"{said[helped]}: a classifier takes {taken:.0%} of {n} translated pictures for the second set, {before:.0%} "
        f"as they were, and {real:.0%} of real ones of that set; there and back a pixel changes by {lost:.1f} grey "
        "levels."
    )
    return UnpairedVerdict(helped, sentence, taken, before, real, lost, n)
