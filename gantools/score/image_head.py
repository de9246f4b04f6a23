"""From images to one number and a map each: nets, memories and what is usual of each of them, as one module.

Three kinds of evidence tell for every place of an image how far from normal it is, each as a map that is standardised
by what is usual at that place of normal images that were held out:

    restored    what the generator changes of the image
    critic      where the critic finds it odd
    remembered  how far the patch is from the remembered ones of this place, and from some of anywhere

and a fourth for the image as a whole: how far it is from remembered images. Of a learned map its mean is taken away, as
far as such a mean is usual: what stands out from the rest of its image counts. An image is as odd as its oddest places.
*Learned* is the mean of restored and critic. Learned, remembered and whole are standardised over held-out images; the
abnormality is between their weighted mean and the largest of them, for what one of them alone finds very odd counts.
Memories weigh more, for what they know needs no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantools.encode.images import ImageLayout
from gantools.models.base import ImageDetector
from gantools.nn.efficientnet import EfficientNetLite0
from gantools.nn.patches import TINY, EdgeFeatures, NetPatches, WholeFeatures, WholePatches
from gantools.score.patch_memory import FAR, NEIGHBOURS, PatchMemory, PlaceMemory, placed

Features = Literal["own", "perceptual"]
FEATURES: tuple[Features, ...] = get_args(Features)

GRID = 64  # places of a map along each side, at most
PEAK = 0.001  # share of the places that make an image odd
ALIGNED = 0.2  # share of what patches look like that their place must explain for images to count as alike
PLACE = 5.0  # weight of a patch's place against its looks: a tenth of the side away is as far as another look
WEIGHTS = (0.2, 0.3, 0.5)  # of learned, remembered and whole
SHARPNESS = 0.5  # of the smooth maximum of these: 0 is their mean
TENTH = 1.755  # mean of the oddest tenth of a standard normal distribution
NARROWEST = 0.02  # standard deviation of a logarithm that a handful of images is believed at least to have


@dataclass(frozen=True)
class ImageMeasures:
    """learned: [n_folds, n_maps, N, grid, grid]. remembered: [N, grid, grid]. whole: [N]."""

    learned: Tensor
    remembered: Tensor
    whole: Tensor


@dataclass(frozen=True)
class Remembered:
    """What memories are filled with, and the image [M] that each is from.

    anywhere: [M, D + 2] patches with their places. places: [M, D, side, side] patches of every place. wholes: [M, D].
    """

    anywhere: Tensor
    anywhere_owner: Tensor
    places: Tensor
    places_owner: Tensor
    wholes: Tensor
    wholes_owner: Tensor


class ImageHead(nn.Module):
    """Images to abnormality and maps. Build it, let it `remember` normal images, then `calibrate` it on normal
    images."""

    usual_learned: Tensor  # [2, n_folds, n_maps, grid, grid] mean and standard deviation at each place
    usual_remembered: Tensor  # [2, grid, grid]
    level_limit: Tensor  # [n_maps] mean of a learned map at most, in usual images
    evidence_scale: Tensor  # [2, n_maps + 2] mean, and how far the oddest tenth lies above it
    total_scale: Tensor  # [2]
    weights: Tensor  # [3], as WEIGHTS

    def __init__(self, layout: ImageLayout, detector: ImageDetector, features: Features, n_remembered: Sequence[int]):
        super().__init__()
        self.layout, self.detector = layout, detector
        size = layout.size
        self.grid = size if size <= GRID else size // 2 if size <= 2 * GRID else size // 4
        stride = next(n for n in (2, 4, 8) if size // n <= GRID)
        self.patches: nn.Module = (
            NetPatches(EfficientNetLite0(), _net_side(size)) if features == "perceptual" else EdgeFeatures(stride)
        )
        self.wholes: nn.Module = WholePatches() if features == "perceptual" else WholeFeatures(size)
        nothing = torch.zeros(1, layout.channels, size, size)
        patches, whole = self.look(nothing)
        width, side = patches.shape[1:3]
        n_anywhere, n_places, n_whole = n_remembered
        self.anywhere = PatchMemory(n_anywhere, width + 2)
        self.places = PlaceMemory(n_places, width, side)
        self.whole_memory = PatchMemory(n_whole, whole.shape[1])
        folds, n_maps = detector.n_folds, detector.n_maps
        for name, *shape in (
            ("usual_learned", folds, n_maps, self.grid, self.grid),
            ("usual_remembered", self.grid, self.grid),
            ("evidence_scale", n_maps + 2),
            ("total_scale",),
        ):
            self.register_buffer(name, torch.stack([torch.zeros(shape), torch.ones(shape)]))
        self.register_buffer("weights", torch.tensor(WEIGHTS), persistent=False)
        self.register_buffer("level_limit", torch.zeros(n_maps))

    @property
    def memories(self) -> tuple[PatchMemory, PlaceMemory, PatchMemory]:
        return self.anywhere, self.places, self.whole_memory

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images x [N, C, size, size] in [-1, 1] as patches [N, D, side, side], and each as one vector [N, E]."""
        patches = self.patches(x)
        return patches, self.wholes(patches if isinstance(self.wholes, WholePatches) else x)

    def remember(self, seen: Remembered, aligned: bool) -> None:
        """Fill the memories. aligned: whether all images show the same thing at the same place."""
        looks = seen.anywhere[:, :-2]
        scale = torch.stack([looks.mean(0), (looks.std(0) + TINY) * looks.shape[1] ** 0.5])
        place = torch.stack([scale[0, :2] * 0, scale[1, :2] * 0 + (1 / PLACE if aligned else FAR)])
        self.anywhere = PatchMemory.of(seen.anywhere, seen.anywhere_owner, torch.cat([scale, place], 1))
        self.places = PlaceMemory.of(seen.places, seen.places_owner, scale)
        plain = torch.zeros_like(seen.wholes[0])
        self.whole_memory = PatchMemory.of(seen.wholes, seen.wholes_owner, torch.stack([plain, plain + 1]), NEIGHBOURS)

    def measure(self, x: Tensor, owner: Tensor | None = None) -> ImageMeasures:
        """All evidence about images x [N, C, size, size] in [-1, 1]. owner: [N], which remembered images they are."""
        learned = self.detector.maps(x)
        folds, n_maps, n = learned.shape[:3]
        learned = F.adaptive_avg_pool2d(learned.flatten(0, 2).unsqueeze(1), self.grid)
        remembered, whole = self.recall(x, owner)
        return ImageMeasures(learned.reshape(folds, n_maps, n, self.grid, self.grid), remembered, whole)

    def recall(self, x: Tensor, owner: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The evidence of the memories alone: `remembered` and `whole` of `measure`."""
        patches, of_whole = self.look(x)
        side = patches.shape[2]
        rows = placed(patches).flatten(0, 2)
        of_rows = None if owner is None else owner.repeat_interleave(side * side)
        anywhere = self.anywhere(rows, of_rows).reshape(-1, side, side)
        remembered = torch.minimum(anywhere, self.places(patches, owner)).unsqueeze(1)
        if side != self.grid:
            size = (self.grid, self.grid)
            remembered = F.interpolate(remembered, size, mode="bilinear", align_corners=False)
        return remembered.squeeze(1), self.whole_memory(of_whole, owner, NEIGHBOURS)

    def oddness(self, remembered: Tensor, whole: Tensor, kept: Tensor) -> Tensor:
        """How odd images [N] are by their memories alone, where those at `kept` are taken for normal."""
        maps = remembered.unsqueeze(1)
        usual = _usual(maps[kept])
        maps = (maps - usual[0]) / usual[1]
        evidence = self._evidence(maps, whole)
        scale = _scale(evidence[kept])
        return ((evidence - scale[0]) / scale[1]) @ self.weights[1:]

    def calibrate(self, learned: Tensor, remembered: Tensor, whole: Tensor, fold: Tensor) -> tuple[Tensor, Tensor]:
        """Learn what is usual from the evidence about normal images, by nets and memories without them.

        learned: [N, n_maps, grid, grid]. remembered: [N, grid, grid]. whole: [N]. fold: [N], that each was held out in.
        Returns their abnormality [N] and the peak [N] of each one's map.
        """
        standard = torch.empty_like(learned)
        for k in range(self.detector.n_folds):
            mine = fold == k
            mine = mine if mine.any() else torch.ones_like(mine)  # a fold without images is judged on all
            usual = _usual(learned[mine])
            self.usual_learned[:, k] = usual
            standard[mine] = (learned[mine] - usual[0]) / usual[1]
        self.usual_remembered.copy_(_usual(remembered.unsqueeze(1))[:, 0])
        maps = torch.cat([standard, self._remembered(remembered).unsqueeze(1)], 1)
        self.level_limit.copy_(_limit(standard))
        evidence = self._evidence(maps, whole)
        self.evidence_scale.copy_(_scale(evidence))
        total = self._total(evidence)
        self.total_scale.copy_(_scale(total))
        return (total - self.total_scale[0]) / self.total_scale[1], self._map(maps).amax((1, 2))

    def forward(self, x: Tensor, owner: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images x [N, C, size, size] in [-1, 1] to their abnormality [N] and maps of it [N, grid, grid].

        owner: as in `measure`.
        """
        measures = self.measure(x, owner)
        mean, deviation = self.usual_learned.unsqueeze(3)
        learned = ((measures.learned - mean) / deviation).mean(0).transpose(0, 1)
        maps = torch.cat([learned, self._remembered(measures.remembered).unsqueeze(1)], 1)
        total = self._total(self._evidence(maps, measures.whole))
        return (total - self.total_scale[0]) / self.total_scale[1], self._map(maps)

    def _remembered(self, remembered: Tensor) -> Tensor:
        return (remembered - self.usual_remembered[0]) / self.usual_remembered[1]

    def _evidence(self, maps: Tensor, whole: Tensor) -> Tensor:
        """maps: [N, K, grid, grid], standardised, the last K there are. Returns [N, K + 1]."""
        places = self._standing_out(maps).flatten(2)
        n_peak = max(1, round(PEAK * places.shape[2]))
        return torch.cat([places.topk(n_peak, 2).values.mean(2), whole.unsqueeze(1)], 1)

    def _standing_out(self, maps: Tensor) -> Tensor:
        """Maps [N, K, grid, grid], the learned ones less their means, up to a limit: what is odd all over stays so."""
        learned, remembered = maps[:, :-1], maps[:, -1:]
        level = torch.minimum(learned.mean((2, 3)), self.level_limit[: learned.shape[1]])
        return torch.cat([learned - level[:, :, None, None], remembered], 1)

    def _total(self, evidence: Tensor) -> Tensor:
        evidence = (evidence - self.evidence_scale[0]) / self.evidence_scale[1]
        groups = torch.stack([evidence[:, :-2].mean(1), evidence[:, -2], evidence[:, -1]], 1)
        return torch.logsumexp(SHARPNESS * groups + self.weights.log(), 1) / SHARPNESS

    def _map(self, maps: Tensor) -> Tensor:
        """maps: [N, n_maps + 1, grid, grid], standardised. Returns [N, grid, grid]."""
        places = self._standing_out(maps)
        return (places[:, :-1].mean(1) + places[:, -1]) / 2


def _net_side(size: int) -> int:
    """The side that an image is shown to the net with, which saw 224 pixels: larger where that shows more."""
    return size if size >= 192 else min(224, 4 * size)


def _limit(maps: Tensor) -> Tensor:
    """How large the mean of a map [N, K, H, W] is in usual images, at most: [K]."""
    scale = _scale(maps.mean((2, 3)))
    return scale[0] + 2 * scale[1]


def _usual(maps: Tensor) -> Tensor:
    """Mean and standard deviation at each place over maps [N, K, H, W]: [2, K, H, W].

    Smoothed over places, the more the fewer images there are.
    """
    mean = _spread_out(maps.mean(0, keepdim=True), 3)
    variance = (maps - mean).square().mean(0, keepdim=True)
    variance = _spread_out(variance, maps.shape[3] // 8 // 2 * 2 + 1)
    return torch.cat([mean, variance.sqrt().clamp(min=NARROWEST)])


def _spread_out(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), side, 1)


def _scale(x: Tensor) -> Tensor:
    """Mean of x [N, ...] over images, and how far the oddest tenth lies above it: [2, ...].

    In units of a standard deviation, were it normally distributed. Evidence is compared in its tails: there it counts.
    """
    mean = x.mean(0)
    above = x.topk(max(1, len(x) // 10), 0).values.mean(0) - mean
    return torch.stack([mean, (above / TENTH).clamp(min=NARROWEST)])
