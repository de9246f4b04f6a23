"""Pictures that are nearer to the truth than their inputs, further, or neither, are named as what they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gantools.data.images.source import Bytes
from gantools.evaluate.pictures import PictureFigures, PicturesEvaluation
from gantools.evaluate.restoration import PerceptualDistance, psnr

TRUTH = [np.random.default_rng(k).integers(40, 216, (20, 24, 3), dtype=np.uint8) for k in range(6)]


def noisy(level: float, seed: int) -> list[Bytes]:
    rng = np.random.default_rng(seed)
    return [np.clip(one + rng.normal(0, level, one.shape), 0, 255).round().astype(np.uint8) for one in TRUTH]


def figures(pictures: list[Bytes]) -> list[PictureFigures]:
    distance = PerceptualDistance(by_edges=True)
    pairs = enumerate(zip(pictures, TRUTH, strict=True))
    return [PictureFigures.of(f"{k}.png", one, true, distance) for k, (one, true) in pairs]


@pytest.mark.parametrize(
    ("made", "inputs", "helped", "said"),
    [
        (noisy(5, 0), noisy(25, 1), "yes", "nearer to the truth than their inputs"),
        (noisy(25, 0), noisy(5, 1), "no", "further from the truth than their inputs"),
        (noisy(10, 0), noisy(10, 1), "unclear", "No clear difference from the inputs"),
    ],
)
def test_what_is_nearer_is_said(made: list[Bytes], inputs: list[Bytes], helped: str, said: str) -> None:
    found = PicturesEvaluation.of(figures(made), figures(inputs), "edges")
    assert found.helped == helped and said in found.sentence
    assert found.mean("psnr") == pytest.approx(np.mean([psnr(*pair) for pair in zip(made, TRUTH, strict=True)]))
    told = json.loads(json.dumps(found.to_json()))
    assert told["helped"] == helped and len(told["pictures"]) == len(told["of_inputs"]) == 6
    low, high = told["interval"]
    assert low <= told["mean"]["made"]["psnr"] - told["mean"]["inputs"]["psnr"] <= high


def test_the_worst_are_found_and_equal_pictures_are_perfect() -> None:
    made = [*TRUTH[:3], *noisy(30, 0)[3:4], *TRUTH[4:]]
    found = PicturesEvaluation.of(figures(made), (), "edges")
    assert found.worst(1) == [3] and "the worst, 3.png, has" in found.sentence and found.interval is None
    assert (found.made[0].psnr, found.made[0].ssim, found.made[0].perceptual) == (100, 1, 0)
    assert found.to_json()["helped"] is None


def test_two_pictures_tell_nothing_clear() -> None:
    made, inputs = (figures(noisy(level, 0))[:2] for level in (5, 25))
    assert PicturesEvaluation.of(made, inputs, "edges").helped == "unclear"
