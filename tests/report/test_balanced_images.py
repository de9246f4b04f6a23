"""The report on balanced images: everything is in it, and names are shown as they are."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from gantools.augment.balance_images import ImageBalance
from gantools.data.images.schema import ImageSchema
from gantools.evaluate.image_quality import ImageQuality, Quality
from gantools.evaluate.privacy import NearCopies
from gantools.evaluate.verdict import Verdict
from gantools.report.balanced_images import Examples, images_to_html
from gantools.train.monitor import TrainingReport

CLASSES = ("<b>cat</b>", "dog")
FIGURES = {"average_precision": 0.9, "balanced_accuracy": 0.8, "macro_f1": 0.7}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_everything_is_in_it(channels: int) -> None:
    """Verdict, counts, training, quality without the figures there are none of, copies by name, and the pictures."""
    made = torch.arange(3 * channels * 16 * 16, dtype=torch.int64).reshape(3, channels, 16, 16).remainder(256).byte()
    label = torch.tensor([0, 0, 0])
    balance = ImageBalance(
        made, label, torch.tensor([True, True, False]), {CLASSES[0]: 4, "dog": 7}, {CLASSES[0]: 7, "dog": 7}, ("Few.",)
    )
    schema = ImageSchema(channels, 255, CLASSES, (4, 7), 11, (16, 16, 16), (16, 16, 16), {"PNG": 11})
    verdict = Verdict({"none": FIGURES, "classical": FIGURES, "gantools": None}, 8, 3, "It helped.", "yes", "gantools")
    training = TrainingReport(50, 3.0, "early", ("It went badly.",), 40, 0.5)
    quality = ImageQuality("a net", Quality(4, 4, fid=1.25), {CLASSES[0]: Quality(4, 4)}, ("Too few.",))
    copies = NearCopies("a net", 2, ((0, 1),), (), 0.2)
    page = images_to_html(
        verdict, balance, schema, training, quality, copies, [("a/synthetic_1.png", "a/<i>.png")],
        [Examples(CLASSES[0], made, made)], title="pets & co",
    )  # fmt: skip
    for told in (
        *("pets &amp; co", "It helped.", "Few.", "2 drawn by the generator, 1 real ones", "no longer got better"),
        *("It went badly.", "classical augmentation", "not available", "1.250", "Too few.", "a net", "1 are exact"),
        *("a/synthetic_1.png", "a/&lt;i&gt;.png", "&lt;b&gt;cat&lt;/b&gt;"),
    ):
        assert told in page, told
    assert "<b>cat" not in page and "rows" not in page.split("</style>")[1]
    [picture] = re.findall(r"data:image/png;base64,([^\"]+)", page)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
    assert pixels.shape[:2] == (2 * 64 + 2, 3 * 66 - 2)  # enlarged four times, two pixels apart
    first = pixels[:64:4, :64:4]
    assert np.array_equal(first.reshape(16, 16, channels), made[0].movedim(0, 2).numpy())


def test_what_there_is_none_of_is_left_out() -> None:
    balance = ImageBalance(
        torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.tensor([0]), torch.tensor([True]), {"a": 1, "b": 2},
        {"a": 2, "b": 2}, (),
    )  # fmt: skip
    schema = ImageSchema(1, 255, ("a", "b"), (1, 2), 3, (16, 16, 16), (16, 16, 16), {"PNG": 3})
    page = images_to_html(None, balance, schema, TrainingReport(5, 1.0, "finished", (), 5, 0.5), None, None)
    assert "no real images were held back" in page
    assert "Quality" not in page and "Copies" not in page and "<img" not in page
