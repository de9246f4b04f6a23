"""What is found of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Assessed:
    """What is found of one image. heat: [H, W] float32 in its own size, above 0; 1 is the pixel threshold."""

    index: int
    anomaly_score: float
    p_value: float
    is_anomaly: bool
    heat: npt.NDArray[np.float32]
