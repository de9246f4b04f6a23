"""Whether synthetic images give real ones away: exact and near copies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.evaluate.neighbours import near_copies_of, nearest
from gantools.nn.features import Features, features_of


@dataclass(frozen=True, slots=True)
class NearCopies:
    """Synthetic images that repeat training images.

    features: what distances were measured by. n_synthetic: how many images were compared. exact, near: pairs
    (synthetic, real) of places in what was compared; an exact copy has the same pixels and is not among the near ones.
    chance: share of fresh real images that would count as near.
    """

    features: str
    n_synthetic: int
    exact: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int], ...]
    chance: float

    @property
    def sentence(self) -> str:
        """All of it in words."""
        return (
            f"Of {self.n_synthetic:,} synthetic images {len(self.exact):,} are exact copies of training images and "
            f"{len(self.near):,} are near copies; of as many fresh real images about "
            f"{self.chance * self.n_synthetic:,.0f} would be near copies (measured by: {self.features})."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "sentence": self.sentence}


def near_copies(real: Tensor, synthetic: Tensor, features: Features) -> NearCopies:
    """Synthetic images that are exact or near copies of training images.

    real, synthetic: [N, C, size, size] uint8. What is near says `neighbours.near_copies_of`.

    Raises DataError with fewer than three real images.
    """
    if len(real) < 3:
        raise DataError("near-copies need three real images at least")
    places = {image.tobytes(): place for place, image in reversed(list(enumerate(real.cpu().numpy())))}
    found = [places.get(image.tobytes(), -1) for image in synthetic.cpu().numpy()]
    exact = tuple((made, place) for made, place in enumerate(found) if place >= 0)

    x, y = features_of(features, real), features_of(features, synthetic)
    distance, closest = nearest(y, x, 1)
    is_near, chance = near_copies_of(x, distance[:, 0], closest[:, 0])
    close = torch.nonzero(is_near).flatten().tolist()
    near = tuple((made, int(closest[made, 0])) for made in close if found[made] < 0)
    return NearCopies(features.name, len(synthetic), exact, near, chance)
