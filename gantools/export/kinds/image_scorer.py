"""Scorers of images: image, threshold -> anomaly_score, p_value, is_anomaly, heatmap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from gantools import registry
from gantools.export.bases import PIXELS_AT_ONCE, SCORES, ExportedCalibrated, OfImages
from gantools.export.proof import SEED, Parity, Tolerance, check, check_alone, check_steady, compare_scores
from gantools.score.assessed import Assessed

if TYPE_CHECKING:
    from gantools.export.graph import Graph
    from gantools.score.image_scorer import ImageScorer, Source

OUTPUTS = (*SCORES, "heatmap")
IMAGES_READ = 64  # of one size that are run together, at most
TRIED = 8  # examples that a proof runs


@registry.exported("image-scorer")
class ExportedImageScorer(OfImages, ExportedCalibrated):
    """An image scorer from a file, with the methods of `ImageScorer` that scoring needs."""

    purpose = "Scores how abnormal images are, and shows where. It learned from images that were taken for normal."
    settles_for_finest = True
    needed = ("image", "threshold", *SCORES, "heatmap")

    def __init__(self, session: ort.InferenceSession, path: Path | None = None) -> None:
        super().__init__(session, path)
        self.pixel_threshold_ = float(self.described["pixel_threshold"])

    @classmethod
    def build(cls, scorer: ImageScorer) -> Graph:
        import torch

        from gantools.export import compose
        from gantools.export.graph import Graph
        from gantools.export.modules import ImageScoring

        layout = scorer.encoder_.layout
        module = ImageScoring(scorer.head_, scorer.encoder_, scorer.calibration_, scorer.pixel_threshold_).eval()
        image = torch.zeros(
            (compose.ROWS_TRACED, layout.size + 5, layout.size + 9, layout.channels), dtype=torch.uint8
        )  # fmt: skip
        sizes = {0: compose.dim(compose.BATCH), 1: compose.dim("height", 1 << 14), 2: compose.dim("width", 1 << 14)}
        threshold = torch.zeros(1, dtype=torch.float64)
        inputs = ["threshold", "image"]
        proto = compose.traced(module, (threshold, image), inputs, OUTPUTS, fixed=1, shapes=[sizes])
        compose.pad_to_one(proto, ["image"])
        compose.count_rows(proto, ["image"])
        compose.cut(proto, OUTPUTS)
        compose.set_default(proto, "threshold", np.array([scorer.threshold_]))
        places = (compose.BATCH, "height", "width")
        compose.name_sizes(proto, {"threshold": (1,), "image": (*places, layout.channels), "heatmap": places})
        facts = {
            **cls.facts(scorer),
            "pixel_threshold": scorer.pixel_threshold_,
            "encoder": scorer.encoder_.to_json(),
            "features": scorer.features,
        }
        return Graph(proto, cls.kind, (), (), {name: name for name in ("image", "threshold", *OUTPUTS)}, facts)

    def prove(self, scorer: ImageScorer, allowed: Tolerance) -> Parity:
        """On examples of the images that were learned from, in their own and in other sizes."""
        found: Parity = {"images": 0, "sizes": []}
        for images in _tried(scorer):
            assessed = list(scorer.assess(list(images)))
            expected = np.array([one.anomaly_score for one in assessed])
            runs = []
            for part in (slice(0, 1), slice(0, len(images))):
                *scores, heat = self.score(images[part])
                compare_scores(found, scorer, expected[part], scores, allowed)
                runs.append(scores[0])
            check_alone(runs[0], runs[1][:1])
            heats = np.stack([one.heat for one in assessed])
            off = float(np.nan_to_num(np.abs(heat - heats), nan=np.inf).max() / max(heats.max(), 1e-6))
            found["heat_relative"] = max(found.get("heat_relative", 0.0), off)
            check("heat map", found["heat_relative"], allowed.heat)
            found["images"] += len(images)
            found["sizes"].append(list(images.shape[1:3]))
        check_steady(lambda: self.score(images[:1]))
        return found

    # -- running ---------------------------------------------------------------------------------------------------

    def anomaly_score(self, images: Source) -> npt.NDArray[np.float64]:
        """How abnormal images are: [N] float64."""
        return np.array([found.anomaly_score for found in self.assess(images)])

    def assess(self, images: Source) -> Iterator[Assessed]:
        """As `ImageScorer.assess`."""
        images = images.with_white(self.schema_.white)
        read = (images.read(index) for index in range(len(images)))
        place = 0
        for shape, alike in groupby(read, key=lambda image: image.shape):
            at_once = min(IMAGES_READ, max(1, PIXELS_AT_ONCE // (shape[0] * shape[1])))
            while group := list(islice(alike, at_once)):
                for s, p, odd, heat in zip(*self.score(np.stack(group)), strict=True):
                    yield Assessed(place, float(s), float(p), bool(odd), heat)
                    place += 1

    def score(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], ...]:
        """Scores, p-values, flags [N] and heat maps [N, H, W] of images [N, H, W, C] of one size."""
        names = [self.names[name] for name in OUTPUTS]
        at_once = max(1, PIXELS_AT_ONCE // max(1, images.shape[1] * images.shape[2]))
        parts = [
            self.run({self.names["image"]: images[start : start + at_once], **self.settings}, names)
            for start in range(0, len(images), at_once)
        ]
        if not parts:
            return np.zeros(0), np.zeros(0), np.zeros(0, bool), np.zeros(images.shape[:3], np.float32)
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    # -- what it says of itself ------------------------------------------------------------------------------------

    def limits(self) -> Iterable[str]:
        yield (
            "Features of patches of the training images are in the file. Whether the images can be reconstructed from "
            "them has not been tested."
        )
        yield from super().limits()


def _tried(scorer: ImageScorer) -> Iterator[npt.NDArray[np.uint8]]:
    """Images [N, H, W, C] of several sizes: examples that were learned from, mixtures of two, and ones with a flaw."""
    import torch
    import torch.nn.functional as F

    size = scorer.encoder_.layout.size
    known = scorer.examples_[:TRIED].float()  # [N, C, S, S]
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
