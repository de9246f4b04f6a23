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
from gantools.encode.pictures import Pictures
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
    store = Pairs(Pictures.stacked(pictures(10)), Pictures.stacked(pictures(10, 100)), 16)
    real, condition = store.take(torch.tensor([3, 3, 7]), random())
    assert len(store) == 10 and condition.image is not None
    torch.testing.assert_close(real - condition.image, torch.full_like(real, 100 / 127.5))
    assert torch.equal(real, as_input(pictures(10, 100)[[3, 3, 7]]))


def test_unpaired_domains_meet_at_random() -> None:
    store = Unpaired(Pictures.stacked(pictures(50)), Pictures.stacked(pictures(10, 100)), 16)
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

    store = Degraded(Pictures.stacked(pictures(10)), halved, 16)
    real, condition = store.take(torch.tensor([4, 4]), random())
    assert torch.equal(real, as_input(pictures(10)[[4, 4]]))
    assert condition.image is not None and condition.image.shape == (2, 3, 8, 8)
    assert not torch.equal(condition.image[0], condition.image[1])


def test_crops_of_pairs_of_two_sizes_show_the_same() -> None:
    """Every pixel of a target says which pixel of the source it belongs to, however crops are laid."""
    sizes = [(9, 14), (20, 8), (5, 5)]
    sources = [np.arange(h * w, dtype=np.uint8).reshape(h, w, 1) for h, w in sizes]
    targets = [one.repeat(2, 0).repeat(2, 1) for one in sources]
    of = Pictures.of(sources, sizes, 1), Pictures.of(targets, [(2 * h, 2 * w) for h, w in sizes], 1)
    store = Pairs(*of, size=10, scale=2, turns=True)
    places = torch.arange(3).repeat(40)
    real, condition = store.take(places, random())
    assert condition.image is not None and condition.image.shape == (120, 1, 5, 5) and real.shape == (120, 1, 10, 10)
    assert torch.equal(F.interpolate(condition.image, scale_factor=2), real)
    assert len({one.numpy().tobytes() for one in real[::3]}) > 30  # other places, turned otherwise


def test_a_picture_smaller_than_its_crop_goes_on_with_its_edge() -> None:
    small = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    pictures = Pictures.of([small], [(2, 3)], 1)
    zero = torch.zeros(1, dtype=torch.int64)
    crop = pictures.crops(zero, zero, zero, 4)[0, 0]
    assert crop.tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


def test_the_turns_are_those_of_a_square() -> None:
    square = np.arange(9, dtype=np.uint8).reshape(3, 3, 1)
    pictures = Pictures.of([square], [(3, 3)], 1)
    zero = torch.zeros(8, dtype=torch.int64)
    crops = pictures.crops(zero, zero, zero, 3, torch.arange(8))[:, 0].numpy()
    wanted = {np.rot90(one, k).tobytes() for one in (square[:, :, 0], square[:, ::-1, 0]) for k in range(4)}
    assert {np.ascontiguousarray(crop).tobytes() for crop in crops} == wanted
