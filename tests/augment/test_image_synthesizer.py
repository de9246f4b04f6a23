"""What generators of images learn from."""

from __future__ import annotations

import pytest
import torch

from gantools.augment.image_synthesizer import _examples
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.train.samplers import Examples
from gantools.train.stores import Images


def examples(*counts: int) -> Examples:
    n = sum(counts)
    images = torch.randint(256, (n, 1, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    label = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    sides = (16, 16, 16)
    schema = ImageSchema(1, 255, tuple("ab"), counts, n, width=sides, height=sides, formats={})
    data = ImageSet(schema, ImageEncoder(ImageLayout(1, 16)), images, label, "none")
    return _examples(data, torch.ones(n, dtype=torch.bool), 0.5, 0)


def test_a_batch() -> None:
    made = examples(60, 6)
    batch = made.batch(400, 0.25, torch.Generator().manual_seed(0))
    assert batch.real.shape == (400, 1, 16, 16) and batch.real.min() >= -1 and batch.real.max() <= 1
    assert batch.progress == 0.25
    # Half of it with both classes alike, half as they occur: 6 of 66 and a half of a half.
    assert batch.condition.label is not None and 0.2 < batch.condition.label.float().mean() < 0.4
    assert torch.equal(batch.real, made.batch(400, 0.25, torch.Generator().manual_seed(0)).real)


@pytest.mark.parametrize(("n", "least", "most"), [(6, 0.99, 1.0), (5000, 0.0, 0.02)])
def test_images_of_rare_classes_are_varied_and_others_hardly(n: int, least: float, most: float) -> None:
    store = examples(n, n).store
    assert isinstance(store, Images) and store.vary is not None
    assert store.vary.min() > least and store.vary.max() <= most
