"""What stores give: rows, images, pairs, two domains, degraded copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from gantools.data.tables.raw import Raw
from gantools.data.tables.schema import infer_schema
from gantools.encode.table import TableEncoder
from gantools.nn.conditioning import Condition
from gantools.train.monitor import energy_distance
from gantools.train.stores import Degraded, Images, Pairs, Rows, Unpaired, as_input


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, first: int = 0) -> Tensor:
    """[n, 3, 16, 16] uint8, each of one brightness: its place from `first` on."""
    return torch.arange(first, first + n, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()


def test_rows_are_drawn_as_a_perfect_generator_draws_them() -> None:
    """Numbers are drawn anew from their intervals, so that spikes have no distance from themselves."""
    table = pd.DataFrame({"a": np.arange(2000) % 3, "label": ["x", "y"] * 1000})
    raw = Raw(table[["a"]].to_numpy(float), np.zeros((2000, 0), np.int64))
    encoder = TableEncoder.fit(raw, infer_schema(table, "label"))
    store = Rows(encoder, encoder.encode(raw), Condition(torch.arange(2000) % 2))
    assert len(store) == 2000
    places = torch.arange(0, 2000, 2)
    perfect, condition = store.take(places, random(1))
    reference, _ = store.take(places[::2], random(2))
    assert not torch.equal(perfect[::2], reference)
    assert abs(energy_distance(perfect, reference)[0]) < 0.02
    assert condition.label is not None and not condition.label.any()


def test_images_with_the_same_random_numbers_are_the_same(stripes: Callable[[int, bool], Tensor]) -> None:
    images = stripes(40, True)
    always = torch.ones(40)
    store = Images(images, Condition(torch.arange(40)), always, always.bool())
    places = torch.arange(40).repeat(3)
    x, condition = store.take(places, random())
    assert x.shape == (120, 1, 16, 16) and x.min() >= -1 and x.max() <= 1
    assert condition.label is not None and torch.equal(condition.label, places)
    assert torch.equal(x, store.take(places, random())[0])
    assert not torch.equal(x, as_input(images[places]))
    never = replace(store, vary=0 * always)
    assert torch.equal(never.take(places, random())[0], as_input(images[places]))


def test_images_in_folds(stripes: Callable[[int, bool], Tensor]) -> None:
    x, condition = Images(stripes(9, True)).take(torch.tensor([[0, 1], [2, 8]]), random())
    assert x.shape == (2, 2, 1, 16, 16) and condition == Condition()


def test_pairs_stay_together() -> None:
    store = Pairs(pictures(10), pictures(10, 100))
    real, condition = store.take(torch.tensor([3, 3, 7]), random())
    assert len(store) == 10 and condition.image is not None
    torch.testing.assert_close(real - condition.image, torch.full_like(real, 100 / 127.5))
    assert torch.equal(real, as_input(pictures(10, 100)[[3, 3, 7]]))


def test_unpaired_domains_meet_at_random() -> None:
    store = Unpaired(pictures(50), pictures(10, 100))
    places = torch.zeros(400, dtype=torch.int64)
    real, condition = store.take(places, random())
    assert len(store) == 10 and condition.image is not None and condition.image.shape == real.shape
    assert (real == real[0]).all()
    assert len(condition.image[:, 0, 0, 0].unique()) > 45  # of 50 sources
    again = store.take(places, random())[1].image
    assert again is not None and torch.equal(condition.image, again)


def test_degraded_copies_are_made_anew() -> None:
    def halved(clean: Tensor, random: torch.Generator) -> Tensor:
        small = F.avg_pool2d(clean, 2)
        return small + torch.randn(small.shape, generator=random)

    store = Degraded(pictures(10), halved)
    real, condition = store.take(torch.tensor([4, 4]), random())
    assert torch.equal(real, as_input(pictures(10)[[4, 4]]))
    assert condition.image is not None and condition.image.shape == (2, 3, 8, 8)
    assert not torch.equal(condition.image[0], condition.image[1])
