"""The page on balanced images shows what the results' JSON says, and names are shown as they are."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from gantools.augment.balance_images import ImageBalance
from gantools.data.images.schema import ImageSchema
from gantools.evaluate.image_quality import ImageQuality, Quality
from gantools.evaluate.privacy import NearCopies
from gantools.evaluate.verdict import Verdict
from gantools.nn.augment import Changes
from gantools.report.balanced_images import Examples, balanced_images
from gantools.train.monitor import TrainingHistory, TrainingReport

FIGURES = {
    "average_precision": 0.9,
    "balanced_accuracy": 0.8,
    "macro_f1": 0.7,
    "brier": 0.1,
    "brier_recalibrated": 0.08,
}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_page_says_what_the_results_say(
    channels: int, nasty: str, history: TrainingHistory, words_of: Callable[[str], str]
) -> None:
    """Verdict, counts, training, quality without the figures there are none of, copies by name, and the pictures."""
    made = torch.arange(3 * channels * 16 * 16, dtype=torch.int64).reshape(3, channels, 16, 16).remainder(256).byte()
    is_generated = torch.tensor([True, True, False])
    before, after = {nasty: 4, "dog": 7}, {nasty: 7, "dog": 7}
    balance = ImageBalance(
        made,
        torch.tensor([0, 0, 0]),
        is_generated,
        torch.arange(3),
        Changes.drawn(3, torch.Generator()),
        before,
        after,
        {},
        ("Few.",),
    )
    schema = ImageSchema(channels, 255, (nasty, "dog"), (4, 7), 11, (16, 16, 16), (16, 16, 16), {"PNG": 11})
    verdict = Verdict({"none": FIGURES, "classical": FIGURES, "gantools": None}, 8, 3, "It helped.", "yes", "gantools")
    quality = ImageQuality("a net", Quality(4, 4, fid=1.25), {nasty: Quality(4, 4)}, ("Too few.",))
    copies = NearCopies("a net", 2, ((0, 1),), (), 0.2)
    page = balanced_images(
        f"pets {nasty}",
        balance,
        schema,
        verdict=verdict,
        training=history,
        quality=quality,
        copies=copies,
        repeats=[("a/synthetic_1.png", f"a/{nasty}.png")],
        examples=[Examples(nasty, made, made)],
    )
    said = words_of(page)
    for words in (
        *(f"pets {nasty}", "Few.", "the synthetic images no longer improved", "classical augmentation"),
        *("not available", f"a/synthetic_1.png a/{nasty}.png"),
    ):
        assert words in said, words
    assert said.count(nasty) >= 5
    assert "rows" not in said

    told = json.loads(json.dumps(balance.to_json()))
    assert f"11 real images and {told['n_synthetic']} synthetic ones: " in said
    assert f"{told['n_generated']} drawn by the generator at {told['size']} x 16 pixels, 1 varied real ones" in said
    assert f"{nasty} {told['classes'][0]['before']} 3 {told['classes'][0]['after']}" in said
    told = json.loads(json.dumps(verdict.to_json()))
    assert told["sentence"] in said and f"{told['scores']['classical']['macro_f1']:.3f}" in said
    told = json.loads(json.dumps(quality.to_json()))
    assert f"all {told['overall']['fid']:.3f} 4 4 {nasty} 4 4 Too few." in said and f"{told['features']}." in said
    assert json.loads(json.dumps(copies.to_json()))["sentence"] in said
    assert "Energy distance from held-out real samples" in said and "From 1 to 0.000625" in said

    [picture] = re.findall(r"data:image/png;base64,([^\"]+)", page)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
    assert pixels.shape[:2] == (2 * 64 + 2, 3 * 66 - 2)  # enlarged four times, two pixels apart
    first = pixels[:64:4, :64:4]
    assert np.array_equal(first.reshape(16, 16, channels), made[0].movedim(0, 2).numpy())


def test_what_there_is_none_of_is_left_out(words_of: Callable[[str], str]) -> None:
    balance = ImageBalance(
        torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.tensor([0]), torch.tensor([True]), torch.tensor([0]),
        Changes.drawn(1, torch.Generator()), {"a": 1, "b": 2}, {"a": 2, "b": 2}, {}, (),
    )  # fmt: skip
    schema = ImageSchema(1, 255, ("a", "b"), (1, 2), 3, (16, 16, 16), (16, 16, 16), {"PNG": 3})
    page = balanced_images(
        "x", balance, schema, training=TrainingHistory(TrainingReport(5, 1.0, "finished", (), 5, 0.5), ())
    )
    said = words_of(page)
    assert "no real images were held back" in said and "Training ran to its end" in said
    assert "Quality" not in said and "Copies" not in said and "<img" not in page
