"""The default for tables: what one column says about another must be in its rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.encode.table import Layout
from gantools.models.autoregressive import AutoregressiveGAN, _drawn
from gantools.models.base import DataSpec
from gantools.nn.conditioning import Condition, ConditionSpec


def shop(n: int = 2000) -> pd.DataFrame:
    """The city decides the country, the price is about twice the cost, half of the discounts are zero."""
    rng = np.random.default_rng(0)
    city = rng.choice(["Bern", "Basel", "Lyon", "Nice", "Ulm"], n, p=[0.3, 0.2, 0.2, 0.2, 0.1])
    country = pd.Series(city).map({"Bern": "CH", "Basel": "CH", "Lyon": "FR", "Nice": "FR", "Ulm": "DE"})
    cost = rng.lognormal(3, 1, n).round(2)
    price = (cost * rng.normal(2, 0.05, n)).round(2)
    discount = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 30, n))
    back = np.where(rng.random(n) < 0.1 + 0.4 * (discount == 0), "yes", "no")
    return pd.DataFrame(
        {"cost": cost, "city": city, "country": country, "price": price, "discount": discount, "back": back}
    )


@pytest.fixture(scope="module")
def maker() -> Synthesizer:
    return Synthesizer(train=TrainConfig(steps=300, batch_size=128, device="cpu")).fit(shop(), "back")


def test_dependencies_are_kept(maker: Synthesizer) -> None:
    real, made = shop(), maker.sample(2000, seed=1)
    country = dict(zip(real["city"], real["country"], strict=True))
    assert (made["city"].map(country) == made["country"]).mean() > 0.97
    assert np.corrcoef(np.log(made["cost"]), np.log(made["price"]))[0, 1] > 0.97
    assert (made["discount"] == 0).mean() == pytest.approx(0.5, abs=0.05)
    returned = made["back"] == "yes"
    assert (made["discount"] == 0)[returned].mean() == pytest.approx(
        (real["discount"] == 0)[real["back"] == "yes"].mean(), abs=0.06
    )


def test_values_of_a_column_of_few_values_are_its_own(maker: Synthesizer) -> None:
    real, made = shop(), maker.sample(2000, seed=2)
    assert set(made["discount"]) <= set(real["discount"])


def test_the_likelihood_is_a_distribution_and_what_rows_are_drawn_from() -> None:
    torch.manual_seed(0)
    spec = DataSpec(Layout(1, (2, 3), ((0.0, 0.25, 1.0),)), ConditionSpec((10, 10)))
    gan = AutoregressiveGAN(spec, AutoregressiveGAN.Options(width=8, hidden=8)).eval()
    for parameter in gan.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    scores = torch.tensor([-1.0, 1.0])  # in the first interval and in the second
    every = [(s, a, b) for s in range(2) for a in range(2) for b in range(3)]
    rows = torch.zeros(len(every), 6)
    for row, (s, a, b) in zip(rows, every, strict=True):
        row[0], row[1 + a], row[3 + b] = scores[s], 1, 1
    label = torch.ones(len(every), dtype=torch.int64)
    with torch.no_grad():
        chance = gan.log_likelihood(rows, Condition(label)).exp()
        drawn = gan.sample(40_000, Condition(torch.ones(40_000, dtype=torch.int64)), torch.Generator().manual_seed(0))
    assert float(chance.sum()) == pytest.approx(1, abs=1e-5)
    place = gan.generator.places(drawn)
    share = torch.bincount(place @ torch.tensor([6, 3, 1]), minlength=12) / len(drawn)
    torch.testing.assert_close(share, chance, atol=0.01, rtol=0)


def test_a_uniform_number_chooses_a_place_and_a_place_within_it() -> None:
    chance = torch.tensor([0.2, 0.5, 0.3]).expand(4, 3)
    place, within = _drawn(chance, torch.tensor([[0.1], [0.2001], [0.45], [0.9999]]))
    assert place.tolist() == [0, 1, 1, 2]
    torch.testing.assert_close(within, torch.tensor([0.5, 0.0002, 0.5, 0.99967]), atol=1e-4, rtol=0)


def test_small_tables_are_not_seen_too_often() -> None:
    made = Synthesizer(train=TrainConfig(steps=200, batch_size=128, device="cpu", eval_every=20)).fit(shop(150), "back")
    assert made.report_.stopped == "finished"
    lines = map(json.loads, made._metrics.splitlines())
    held = [line["held_out_error"] for line in lines if "held_out_error" in line]
    assert held[-1] < held[0] and held[-1] < min(held) + 0.5
