"""Which generated images may stand beside real ones: chosen by classifiers of the real images, and held to a floor.

The real images are dealt to two halves, and what one half teaches judges the other. So real images that the judge has
not seen say what can be expected of good ones, and generated images of a class are used only where they reach at least
`FLOOR` of it in each of three things:

    precision   share of images within the neighbourhood of a real one (Kynkäänniemi et al. 2019, 'Improved Precision
                and Recall Metric for Assessing Generative Models')
    coverage    share of real images whose neighbourhood holds one of them (Naeem et al. 2020, 'Reliable Fidelity and
                Diversity Metrics for Generative Models')
    recognised  mean probability of their class

Neighbourhoods are measured in features of an untrained net: a classifier of few images may take noise for a class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from gantools.encode.images import ImageSet
from gantools.nn.features import NetFeatures, SmallCNN, features_of
from gantools.nn.random_features import RandomFeatures
from gantools.stages import Stage
from gantools.train.image_classifier import Lesson, probabilities, train_classifiers

FLOOR = 0.5
SHARPNESS = 2.0  # a candidate is taken in proportion to P(class | image) ** SHARPNESS
N_NEIGHBOURS = 3  # that a real image's neighbourhood reaches to
MAX_COMPARED = 400  # images of a class that are compared with each half

Vary = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Standing:
    """How images of a class do before judges who have not seen them, see above. Each from 0 to 1, higher is better."""

    precision: float
    coverage: float
    recognised: float


@dataclass(frozen=True)
class Trial:
    """A class's generated images beside real ones, before the same judges."""

    generated: Standing
    real: Standing

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """In which of the three the generated images stay below the floor."""
        names = (field.name for field in fields(Standing))
        return tuple(n for n in names if getattr(self.generated, n) < FLOOR * getattr(self.real, n))

    @property
    def words(self) -> str:
        """The shortfalls with their figures: "precision .02 against .81 of real ones"."""
        return ", ".join(
            f"{name} {getattr(self.generated, name):.2f} against {getattr(self.real, name):.2f}"
            for name in self.shortfalls
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "passed": not self.shortfalls}


class Judge:
    """Two classifiers, each of one half of the real images, whose rarer classes are filled by varying them.

    vary: gives a varied copy [M, C, size, size] of the images at places [M]. stage: that of the classifiers' training.
    """

    def __init__(self, data: ImageSet, vary: Vary, seed: int, stage: Stage | None) -> None:
        self.data = data
        self.random = torch.Generator().manual_seed(seed)
        n_classes = len(data.counts)
        self.half = self._dealt(n_classes)
        net = RandomFeatures(data.images.shape[1])
        net.fit(self._some(data.images, 4 * MAX_COMPARED).float() / 127.5 - 1)
        self.features = NetFeatures("random features", net, net)
        lessons = [self._lesson(half, n_classes, vary, seed) for half in (0, 1)]
        self.nets: list[SmallCNN] = train_classifiers(lessons, n_classes, stage=stage)

    def choose(self, drawn: Tensor, code: int, n: int) -> Tensor:
        """Places of n of the candidates [N, C, size, size], those that look like their class the more likely."""
        if not n:
            return torch.arange(0)
        chance = torch.stack(probabilities(self.nets, drawn)).mean(0)[:, code]
        weight = SHARPNESS * chance.clamp(min=1e-12).log()
        # The largest of log weight + Gumbel noise: a weighted draw without replacement (Efraimidis and Spirakis 2006).
        noise = torch.rand(len(drawn), generator=self.random, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
        return (weight - torch.log(-torch.log(noise))).topk(n).indices

    def trial(self, images: Tensor, code: int) -> Trial:
        """Images [N, C, size, size] of a class beside the real ones of either half."""
        mine = torch.nonzero(self.data.label == code).squeeze(1)
        halves = [self.data.images[mine[self.half[mine] == half]] for half in (0, 1)]
        generated: list[Standing] = []
        real: list[Standing] = []
        for net, known, held in zip(self.nets, halves, reversed(halves), strict=True):
            known, n = self._some(known), min(len(held), len(images), MAX_COMPARED)
            for found, shown in ((generated, self._some(images, n)), (real, self._some(held, n))):
                found.append(self._standing(net, known, shown, code))
        return Trial(_mean(generated), _mean(real))

    def _dealt(self, n_classes: int) -> Tensor:
        """[N] the half, 0 or 1, of each image; of each class as many in either, or one more."""
        half = torch.zeros(len(self.data), dtype=torch.int64)
        for code in range(n_classes):
            mine = torch.nonzero(self.data.label == code).squeeze(1)
            half[mine[torch.randperm(len(mine), generator=self.random)]] = torch.arange(len(mine)) % 2
        return half

    def _lesson(self, half: int, n_classes: int, vary: Vary, seed: int) -> Lesson:
        """The images of a half, and of each class so many varied ones that all have as many as the largest."""
        mine = torch.nonzero(self.half == half).squeeze(1)
        label = self.data.label[mine]
        counts = torch.bincount(label, minlength=n_classes)
        most = int(counts.max())
        again = [in_turn(mine[label == code], most - int(n), self.random) for code, n in enumerate(counts) if n]
        places = torch.cat(again)
        images = torch.cat([self.data.images[mine], vary(places)])
        return Lesson(images, torch.cat([label, self.data.label[places]]), seed + half)

    def _some(self, images: Tensor, most: int = MAX_COMPARED) -> Tensor:
        return images[torch.randperm(len(images), generator=self.random)[:most]]

    def _standing(self, net: SmallCNN, known: Tensor, shown: Tensor, code: int) -> Standing:
        ours, theirs = (features_of(self.features, images) for images in (shown, known))
        k = min(N_NEIGHBOURS + 1, len(theirs))  # each is its own nearest
        radius = torch.cdist(theirs, theirs).topk(k, largest=False).values[:, -1]
        is_inside = torch.cdist(ours, theirs) <= radius
        [chance] = probabilities([net], shown)
        return Standing(
            precision=float(is_inside.any(1).double().mean()),
            coverage=float(is_inside.any(0).double().mean()),
            recognised=float(chance[:, code].mean()),
        )


def in_turn(places: Tensor, n: int, random: torch.Generator) -> Tensor:
    """n of the places, each as often as the others, or once more."""
    rounds = [places[torch.randperm(len(places), generator=random)] for _ in range(-(-n // max(1, len(places))))]
    return torch.cat([places[:0], *rounds])[:n]


def _mean(standings: list[Standing]) -> Standing:
    return Standing(
        *(sum(getattr(one, field.name) for one in standings) / len(standings) for field in fields(Standing))
    )
