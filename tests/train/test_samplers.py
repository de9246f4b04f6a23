"""How batches are dealt, and what models are judged by."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gantools.encode.images import ImageLayout
from gantools.models.base import DataSpec
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.train.samplers import ByFold, ClassBalanced, Examples, Plain
from gantools.train.stores import Tensors, as_input


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_plain_draws_every_example_alike() -> None:
    sampler = Plain.of(50, 0)
    drawn = torch.bincount(sampler.draw(50_000, random()), minlength=50)
    assert drawn.min() > 850 and drawn.max() < 1150
    assert sorted(sampler.rank.tolist()) == list(range(50))
    assert torch.equal(sampler.draw(20, random(1)), sampler.draw(20, random(1)))


def test_held_out_rows_are_not_trained_on() -> None:
    sampler = ClassBalanced.of(torch.arange(400) % 2, 2, 0.5, 0)
    assert len(sampler.places) == 360 and [len(places) for places in sampler.judged_by] == [20, 20]
    assert not set(sampler.places.tolist()) & set(torch.cat(sampler.judged_by).tolist())
    assert set(sampler.draw(10_000, random()).tolist()) == set(sampler.places.tolist())


def test_small_classes_are_judged_by_rows_that_train() -> None:
    sampler = ClassBalanced.of((torch.arange(400) >= 390).long(), 2, 0.5, 0)
    assert [len(places) for places in sampler.judged_by] == [39, 10]
    assert set(sampler.judged_by[1].tolist()) <= set(sampler.places.tolist())


def test_half_of_a_batch_is_drawn_class_balanced() -> None:
    label = (torch.arange(400) < 20).long()
    drawn = label[ClassBalanced.of(label, 2, 0.5, 0, held_out=0.0).draw(20_000, random())]
    assert drawn.float().mean().item() == pytest.approx(0.25 + 0.5 * 20 / 400, abs=0.015)


def test_ranks_fold_every_class() -> None:
    label = (torch.arange(60) >= 50).long()
    rank = ClassBalanced.of(label, 2, 0.5, 0).rank
    assert torch.bincount(rank[label == 1] % 5).tolist() == [2] * 5


def test_folds_never_draw_their_own_examples_to_learn_from() -> None:
    sampler = ByFold.of(31, 3, 0)
    learned, held_out = sampler.draw(300, random()), sampler.draw_held_out(300, random())
    assert learned.shape == held_out.shape == (3, 100)
    for k in range(3):
        assert (sampler.fold[learned[k]] != k).all() and (sampler.fold[held_out[k]] == k).all()


def test_a_single_fold_learns_from_everything() -> None:
    assert set(ByFold.of(5, 1, 0).draw(1000, random()).unique().tolist()) == set(range(5))


def test_examples_join_a_store_and_a_sampler() -> None:
    class Never:
        def to(self, device: torch.device) -> Never:
            return self

    x = torch.arange(12.0).reshape(12, 1)
    batch = Examples(Tensors(x), Plain.of(12, 0), Never()).batch(8, 0.25, random())  # type: ignore[arg-type]
    assert batch.real.shape == (8, 1) and batch.progress == 0.25 and batch.condition == Condition()
    assert torch.equal(batch.rank, Plain.of(12, 0).rank[batch.real.squeeze(1).long()])


def test_the_criterion_prefers_the_better_generator(striped: Examples, stripes: Callable[[int, bool], Tensor]) -> None:
    class Copies(torch.nn.Module):
        spec = DataSpec(ImageLayout(1, 16), ConditionSpec((60, 6)))

        def __init__(self, noise: float) -> None:
            super().__init__()
            self.noise = noise

        def sample(self, n: int, condition: Condition, random: torch.Generator) -> Tensor:
            assert condition.label is not None
            x = torch.where(condition.label.reshape(-1, 1, 1, 1) > 0, stripes(n, False), stripes(n, True))
            return as_input(x) + self.noise * torch.randn(x.shape, generator=random)

    class Collapsed(Copies):
        def sample(self, n: int, condition: Condition, random: torch.Generator) -> Tensor:
            return super().sample(n, condition, random)[:1].expand(n, -1, -1, -1)

    good, noisy, collapsed = (
        striped.judge(gan, 0)  # type: ignore[arg-type]
        for gan in (Copies(0.0), Copies(1.0), Collapsed(0.0))
    )
    assert good.criterion < noisy.criterion and good.criterion < collapsed.criterion
    assert max(collapsed.spread) < 0.01 and min(good.spread) > 0.5
    assert good.watched == ("b", "a")  # the rarest first
