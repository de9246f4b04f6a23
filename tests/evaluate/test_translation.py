"""The verdict on a translator."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gantools.evaluate.translation import Compared, compare, compare_sets, no_verdict

from .test_restoration import noisy, photo


def pictures(ours: float, plain: float, n: int = 6) -> list[Compared]:
    """Made with so much noise left by the translator and by the plain method."""
    truths = [photo(seed=k) for k in range(n)]
    return [Compared(noisy(one, ours, 10 + k), noisy(one, plain, 30 + k), one) for k, one in enumerate(truths)]


def test_it_helps_where_it_is_nearer() -> None:
    found = compare(pictures(8, 20), "total variation", adversarial=False)
    assert found.helped == "yes" and found.judged_by == "psnr" and found.n == 6
    assert found.difference is not None and found.interval is not None
    assert 5 < found.interval[0] <= found.difference <= found.interval[1] < 10
    assert found.sentence.startswith("The translator helps: ") and "dB more PSNR than total variation" in found.sentence
    assert json.loads(json.dumps(found.to_json()))["scores"]["plain"]["psnr"] < found.scores["translator"]["psnr"]


def test_it_did_not_help_where_it_is_further() -> None:
    found = compare(pictures(20, 8), "bicubic", adversarial=False)
    assert found.helped == "no" and "did not help" in found.sentence and "dB less PSNR" in found.sentence


def test_the_same_is_no_clear_difference() -> None:
    found = compare(pictures(12, 12), "bicubic", adversarial=False)
    assert found.helped == "unclear" and "no clear difference" in found.sentence


def test_two_pictures_cannot_tell() -> None:
    assert compare(pictures(5, 30, 2), "bicubic", adversarial=False).helped == "unclear"


def test_with_an_adversary_the_look_decides_and_the_price_is_said() -> None:
    """Texture of another phase looks right and costs PSNR; a blurred picture is nearer in grey levels."""
    made = []
    for k in range(6):
        truth = photo(seed=k).astype(float)
        smooth = gaussian_filter(truth, (2, 2, 0))
        sharp = smooth + np.roll(truth - smooth, (3, 5), (0, 1))
        made.append(Compared(*(x.clip(0, 255).astype(np.uint8) for x in (sharp, smooth, truth))))
    found = compare(made, "bicubic", adversarial=True)
    assert found.judged_by == "perceptual" and found.helped == "yes"
    assert found.scores["translator"]["psnr"] < found.scores["plain"]["psnr"]
    assert "a perceptual distance 0." in found.sentence and "dB less PSNR" in found.sentence
    assert compare(made, "bicubic", adversarial=False).helped == "no"


def test_what_learned_to_please_a_net_is_not_measured_by_it() -> None:
    found = compare(pictures(8, 20), "bicubic", adversarial=False, perceptual=True)
    assert found.judged_by == "perceptual" and found.measured_by == "edges" and found.helped == "yes"


def test_of_holes_the_inside_counts() -> None:
    truth = photo()
    mask = np.zeros(truth.shape[:2], bool)
    mask[10:20, 10:20] = True
    made = np.where(mask[:, :, None], truth, 0).astype(np.uint8)
    found = compare([Compared(made, noisy(truth), truth, mask)] * 3, "biharmonic filling", adversarial=False)
    assert found.scores["translator"]["psnr"] == 100 and found.helped == "yes"


def test_many_pictures_are_compared_as_distributions_too() -> None:
    small = [Compared(noisy(one, 5), noisy(one, 60), one) for one in (photo(16, 16, k) for k in range(64))]
    scores = compare(small, "bicubic", adversarial=False).scores
    assert 0 <= scores["translator"]["fid"] < scores["plain"]["fid"]
    assert scores["translator"]["kid"] < scores["plain"]["kid"]


def test_no_picture_no_verdict() -> None:
    assert compare([], "bicubic", adversarial=False).sentence == "No verdict: no picture was held back."
    assert no_verdict("", "of fewer than 10 pictures none is held back").helped == "unclear"


@pytest.mark.parametrize(("made", "helped"), [("bright", "yes"), ("dark", "unclear")])
def test_a_classifier_tells_two_sets_apart(made: str, helped: str) -> None:
    random = torch.Generator().manual_seed(0)

    def grey(level: int, n: int) -> torch.Tensor:
        return (level + 20 * torch.randn(n, 3, 16, 16, generator=random)).clamp(0, 255).to(torch.uint8)

    learned, held = (grey(60, 80), grey(190, 80)), (grey(60, 20), grey(190, 20))
    translated = grey(190 if made == "bright" else 60, 20)
    found = compare_sets(learned, held, translated, held[0], seed=0)
    assert found.helped == helped and found.lost == 0 and found.n == 20
    assert found.taken_real > 0.9 > 0.1 > found.taken_before
    assert json.loads(json.dumps(found.to_json()))["helped"] == helped
