"""How good synthetic images are by themselves: distances between their features and those of real images.

FID: Heusel et al. 2017, 'GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium'.
KID: Binkowski et al. 2018, 'Demystifying MMD GANs'. Precision and recall: Kynkäänniemi et al. 2019, 'Improved Precision
and Recall Metric for Assessing Generative Models'. Density and coverage: Naeem et al. 2020, 'Reliable Fidelity and
Diversity Metrics for Generative Models'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.neighbours import distances, nearest
from gantools.nn.features import Features, features_of
from gantools.words import listed

MAX_IMAGES = 5_000  # real and synthetic ones each that are compared, drawn at random
N_NEIGHBOURS = 5
MIN_PRDC = 50  # images on either side below which precision, recall, density and coverage are mostly chance
N_SUBSETS, SUBSET = 50, 500  # of KID
ALIKE = 0.05  # difference of class shares that is not worth a word


@dataclass(frozen=True, slots=True)
class Quality:
    """How synthetic images compare with real ones; None where there are too few images.

    fid, kid: 0 is best; kid_std over subsets. precision: share of synthetic images that look real, recall: share of
    real ones that the synthetic images reach. density: as precision, and above 1 where images crowd. coverage: share of
    real images with a synthetic neighbour.
    """

    n_real: int
    n_synthetic: int
    fid: float | None = None
    kid: float | None = None
    kid_std: float | None = None
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """The figures of all images and of each class that has synthetic ones, what they were measured by, and warnings."""

    features: str
    overall: Quality
    by_class: Mapping[str, Quality]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "notes": list(self.notes)}


def image_quality(
    real: Tensor,
    real_label: Tensor,
    synthetic: Tensor,
    synthetic_label: Tensor,
    classes: Sequence[Any],
    features: Features,
    *,
    seed: int = 0,
) -> ImageQuality:
    """Compare synthetic images with real ones, all together and class by class.

    real, synthetic: [N, C, size, size] uint8; of more than `MAX_IMAGES` so many are drawn. labels: [N] int64, positions
    in `classes`. The FID of a class is given where it has more images than there are features.

    Raises DataError with fewer than two images on either side.
    """
    if min(len(real), len(synthetic)) < 2:
        raise DataError("quality needs two real and two synthetic images at least")
    rng = np.random.default_rng(seed)
    notes: list[str] = []
    sides = []
    for images, label, what in ((real, real_label, "real"), (synthetic, synthetic_label, "synthetic")):
        rows = torch.arange(len(images))
        if len(images) > MAX_IMAGES:
            rows = torch.from_numpy(np.sort(rng.choice(len(images), MAX_IMAGES, replace=False)))
            notes.append(f"{MAX_IMAGES:,} of the {len(images):,} {what} images were measured, drawn at random.")
        sides.append((features_of(features, images[rows]), label.cpu()[rows]))
    (x, x_label), (y, y_label) = sides
    overall = _quality(x, y, rng, biased_fid=True)
    by_class = {
        str(name): _quality(x[x_label == code], y[y_label == code], rng, biased_fid=False)
        for code, name in enumerate(classes)
        if bool((y_label == code).any())
    }
    notes += _warnings(overall, by_class, x.shape[1], _shares(x_label, len(classes)), _shares(y_label, len(classes)))
    return ImageQuality(features.name, overall, by_class, tuple(notes))


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Squared Fréchet distance of the normal distributions with the means and covariances of x [N, D] and y [M, D]."""
    x, y = x.double(), y.double()
    first, second = _covariance(x), _covariance(y)
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    apart = (x.mean(0) - y.mean(0)).square().sum()
    return max(0.0, float(apart + first.trace() + second.trace() - 2 * shared))


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy of x [N, D] and y [M, D] by the kernel (x·y / D + 1)³."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def neighbourhoods(x: Tensor, y: Tensor, k: int = N_NEIGHBOURS) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage of y [M, D] against x [N, D] by balls that reach the k-th neighbour.

    N and M must be above k.
    """
    x_radius = nearest(x, x, k, exclude_self=True)[0][:, -1]
    y_radius = nearest(y, y, k, exclude_self=True)[0][:, -1]
    hits = torch.zeros(len(y), dtype=torch.float64)
    reached, covered = [], []
    for rows, distance in distances(x, y):
        inside = distance <= x_radius[rows, None]
        hits += inside.sum(0)
        reached.append((distance <= y_radius).any(1))
        covered.append(inside.any(1))
    recall, coverage = (float(torch.cat(each).double().mean()) for each in (reached, covered))
    return float((hits > 0).double().mean()), recall, float(hits.mean() / k), coverage


def _quality(x: Tensor, y: Tensor, rng: np.random.Generator, *, biased_fid: bool) -> Quality:
    n, m = len(x), len(y)
    figures: dict[str, float] = {}
    if min(n, m) > (1 if biased_fid else x.shape[1]):
        figures["fid"] = frechet_distance(x, y)
    if min(n, m) >= 4:
        size = min(SUBSET, n // 2, m // 2)  # halves at most, or all subsets would be the same
        subsets = [
            kernel_distance(x[rng.choice(n, size, replace=False)], y[rng.choice(m, size, replace=False)])
            for _ in range(N_SUBSETS)
        ]
        figures |= {"kid": float(np.mean(subsets)), "kid_std": float(np.std(subsets))}
    if min(n, m) > N_NEIGHBOURS:
        names = ("precision", "recall", "density", "coverage")
        figures |= dict(zip(names, neighbourhoods(x, y), strict=True))
    return Quality(n, m, **figures)


def _warnings(
    overall: Quality, by_class: Mapping[str, Quality], n_features: int, real: Tensor, synthetic: Tensor
) -> Iterator[str]:
    if min(overall.n_real, overall.n_synthetic) <= n_features:
        yield (
            f"The FID is biased upwards: it compares {n_features:,} features and needs more images than that, here are "
            f"{overall.n_real:,} real and {overall.n_synthetic:,} synthetic ones; the KID has no such bias."
        )
    few = [name for name, one in by_class.items() if min(one.n_real, one.n_synthetic) < MIN_PRDC]
    if few:
        yield (
            f"With fewer than {MIN_PRDC} real or synthetic images precision, recall, density and coverage are "
            f"mostly chance, as for {listed(few, quote='')}."
        )
    if float((real - synthetic).abs().sum()) / 2 > ALIKE:
        yield (
            "The figures of all images also count that the classes have other shares among the synthetic images than "
            "among the real ones; those of each class do not."
        )


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)


def _shares(label: Tensor, n_classes: int) -> Tensor:
    return torch.bincount(label, minlength=n_classes) / len(label)
