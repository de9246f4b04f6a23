"""How near pictures are to the truth, one by one: restored or translated by any tool, and beside them their inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from gantools.data.images.source import Bytes
from gantools.evaluate.restoration import psnr, psnr_luminance, ssim
from gantools.evaluate.translation import FEWEST, mean_interval


@dataclass(frozen=True, slots=True)
class PictureFigures:
    """One picture against the truth. psnr, psnr_luminance: dB. ssim: 1 is the same. perceptual: 0 is the same."""

    name: str
    psnr: float
    psnr_luminance: float
    ssim: float
    perceptual: float

    @classmethod
    def of(cls, name: str, made: Bytes, truth: Bytes, distance: Callable[[Bytes, Bytes], float]) -> PictureFigures:
        """made, truth: [H, W, C] uint8 of one size. distance: the perceptual one."""
        figures = psnr(made, truth), psnr_luminance(made, truth), ssim(made, truth), distance(made, truth)
        return cls(name, *figures)


FIGURES = tuple(field.name for field in fields(PictureFigures))[1:]


@dataclass(frozen=True)
class PicturesEvaluation:
    """Pictures that were compared with the truth.

    made: the figures of each. inputs: those of what each was made from; empty where that was not given. measured_by:
    what the perceptual distance goes by. interval: 95 %, of the mean gain in PSNR over the inputs, by bootstrap.
    """

    made: tuple[PictureFigures, ...]
    inputs: tuple[PictureFigures, ...]
    measured_by: str
    interval: tuple[float, float] | None

    @classmethod
    def of(
        cls, made: Sequence[PictureFigures], inputs: Sequence[PictureFigures], measured_by: str, seed: int = 0
    ) -> PicturesEvaluation:
        """From the figures of single pictures, in the same order."""
        interval = None
        if inputs:
            gain = np.array([one.psnr - other.psnr for one, other in zip(made, inputs, strict=True)])
            interval = mean_interval(gain, seed)
        return cls(tuple(made), tuple(inputs), measured_by, interval)

    def mean(self, figure: str, of: str = "made") -> float:
        """Of a figure, over the pictures or over their "inputs"."""
        return float(np.mean([getattr(one, figure) for one in getattr(self, of)]))

    def worst(self, n: int) -> list[int]:
        """Numbers of the pictures with the lowest PSNR, the worst first."""
        return sorted(range(len(self.made)), key=lambda k: self.made[k].psnr)[:n]

    @property
    def helped(self) -> str:
        """Whether the pictures are nearer to the truth than their inputs: "yes", "no" or "unclear"."""
        if self.interval is None or len(self.made) < FEWEST:
            return "unclear"
        low, high = self.interval
        return "yes" if low > 0 else "no" if high < 0 else "unclear"

    @property
    def sentence(self) -> str:
        """What it comes to."""
        n = len(self.made)
        on = f"on {n:,} pictures" if n > 1 else "on one picture"
        if self.interval is None:
            worst = self.made[self.worst(1)[0]]
            return (
                f"PSNR {self.mean('psnr'):.2f} dB and SSIM {self.mean('ssim'):.3f} on average, {on}; "
                f"the worst, {worst.name}, has {worst.psnr:.2f} dB."
            )
        said = {
            "yes": "The pictures are nearer to the truth than their inputs",
            "no": "The pictures are further from the truth than their inputs",
            "unclear": "No clear difference from the inputs",
        }[self.helped]
        return f"{said}: PSNR {self.mean('psnr'):.2f} dB against {self.mean('psnr', 'inputs'):.2f}, {on}."

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        sides = ("made", "inputs") if self.inputs else ("made",)
        return {
            "sentence": self.sentence,
            "helped": self.helped if self.inputs else None,
            "mean": {side: {figure: self.mean(figure, side) for figure in FIGURES} for side in sides},
            "interval": self.interval,
            "measured_by": self.measured_by,
            "pictures": [asdict(one) for one in self.made],
            "of_inputs": [asdict(one) for one in self.inputs],
        }
