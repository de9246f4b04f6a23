"""The memory finds exactly the nearest rows, and never takes a remembered row for its own neighbour."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gantools.score.row_memory import MEASURES, NEIGHBOURS, RESOLUTION_OF_TIES, RowMemory

SIZES = (2, 3, 5, 6, 7, 31, 200, 1001)


def rows(n: int, width: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def by_hand(remembered: Tensor, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances to the k nearest remembered rows, and which they are."""
    away = (x.double().unsqueeze(1) - remembered.double()).square().sum(2)
    return away.topk(k, 1, largest=False)


@pytest.mark.parametrize("n", SIZES)
def test_neighbours_are_those_found_by_hand(n: int) -> None:
    remembered, x = rows(n), rows(50, seed=1)
    memory = RowMemory.of(remembered)
    squared, index, _ = memory.search(x - memory.centre)
    k = min(NEIGHBOURS, n - 1)
    expected, which = by_hand(remembered, x, k)
    assert squared.shape == index.shape == (50, k)
    torch.testing.assert_close(squared.double(), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(index, which)


@pytest.mark.parametrize("n", SIZES)
def test_a_remembered_row_is_measured_against_the_others(n: int) -> None:
    remembered = rows(n)
    memory = RowMemory.of(remembered)
    squared, index, _ = memory.search(remembered - memory.centre, torch.ones(n, dtype=torch.bool))
    assert (index != torch.arange(n).unsqueeze(1)).all()
    k = min(NEIGHBOURS, n - 1)
    expected, which = by_hand(remembered, remembered, k + 1)
    torch.testing.assert_close(squared.double(), expected[:, 1:], rtol=1e-4, atol=RESOLUTION_OF_TIES)
    assert (index == which[:, 1:]).float().mean() > 0.99  # of those at about one distance the first counts as nearer


@pytest.mark.parametrize("n", [7, 33, 200])
def test_a_remembered_row_scores_as_if_it_were_forgotten(n: int) -> None:
    """Within what the mean of the others and the row's neighbours' own neighbours change."""
    remembered = rows(n)
    there = RowMemory.of(remembered)(remembered[:5], torch.ones(5, dtype=torch.bool))
    forgotten = torch.cat([RowMemory.of(remembered[torch.arange(n) != i])(remembered[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(there[:, 0], forgotten[:, 0], rtol=0, atol=0.1)
    assert (there[:, 1:] - forgotten[:, 1:]).abs().max() < 4 / n**0.5


@pytest.mark.parametrize("n", SIZES)
def test_padding_is_no_row(n: int) -> None:
    memory = RowMemory.of(rows(n))
    for x in (rows(20, seed=2), rows(20, seed=2) * 1e3):
        squared, index, _ = memory.search(x)
        assert (index < n).all() and (squared < 1e9).all()
    assert memory.rows().shape == (n, 6)
    torch.testing.assert_close(memory.rows() + memory.centre, rows(n), rtol=1e-4, atol=1e-5)


def test_rows_that_occur_twice_are_near_each_other() -> None:
    once = rows(40)
    twice = once.repeat_interleave(2, 0)
    memory = RowMemory.of(twice)
    squared, index, _ = memory.search(twice - memory.centre, torch.ones(80, dtype=torch.bool))
    assert (squared[:, 0] < 1e-4).all()
    assert (index[:, 0] // 2 == torch.arange(80) // 2).all()
    # a row that is new, and coincides with none, loses no neighbour
    new = rows(10, seed=3)
    expected, _ = by_hand(twice, new, NEIGHBOURS)
    torch.testing.assert_close(memory.search(new - memory.centre)[0].double(), expected, rtol=1e-4, atol=1e-4)


def test_a_fresh_row_that_repeats_a_remembered_one_is_near_it() -> None:
    """Nothing is left out for it, or false alarms would be too many where rows repeat."""
    remembered = rows(40)
    memory = RowMemory.of(remembered)
    squared, index, _ = memory.search(remembered[:7] - memory.centre)
    assert (squared[:, 0] < 1e-4).all() and index[:, 0].tolist() == list(range(7))
    of_both = memory.search(remembered[:2] - memory.centre, torch.tensor([True, False]))[1]
    assert of_both[0, 0] != 0 and of_both[1, 0] == 1


@pytest.mark.parametrize(
    "remembered", [torch.ones(50, 3), torch.zeros(2, 1), rows(30).round(), rows(300) * 1e-12, rows(300) * 300]
)
def test_measures_are_finite(remembered: Tensor) -> None:
    memory = RowMemory.of(remembered)
    width = remembered.shape[1]
    for x in (remembered, remembered[:1] + 1e-7, rows(20, width), rows(20, width) * 1e4):
        measured = memory(x)
        assert measured.shape == (len(x), len(MEASURES)) and torch.isfinite(measured).all()


@pytest.mark.parametrize("n", [2, 40, 1001])
def test_further_away_measures_more(n: int) -> None:
    memory = RowMemory.of(rows(n))
    away = torch.tensor([3.0, 6.0, 12.0, 50.0, 1000.0])
    x = rows(1, seed=4) / rows(1, seed=4).norm() * away.unsqueeze(1) + memory.centre
    assert (memory(x).diff(dim=0) > 0).all()


def test_the_relative_measure_knows_what_is_usual_nearby() -> None:
    """The same distance from a narrow cluster and from a wide one."""
    narrow, wide = 0.2 * rows(300, 2), 5 * rows(300, 2, seed=1) + 100
    memory = RowMemory.of(torch.cat([narrow, wide]))
    relative = memory(torch.stack([narrow.mean(0) + torch.tensor([3.0, 0.0]), wide[:100].mean(0)]))[:, -1]
    assert relative[0] > relative[1] + 2


def test_a_saved_memory_measures_the_same() -> None:
    memory, again = RowMemory.of(rows(33)), RowMemory(33, 6)
    again.load_state_dict(memory.state_dict())
    assert torch.equal(again(rows(9, seed=5)), memory(rows(9, seed=5)))


def test_rows_in_parts_measure_the_same() -> None:
    memory, x = RowMemory.of(rows(500)), rows(64, seed=6)
    torch.testing.assert_close(torch.cat([memory(part) for part in torch.split(x, 5)]), memory(x), rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_measures_on_a_gpu_are_those_of_the_cpu() -> None:
    memory, x = RowMemory.of(rows(500)), rows(64, seed=6)
    on_cpu = memory(x)
    torch.testing.assert_close(memory.cuda()(x.cuda()).cpu(), on_cpu, rtol=1e-3, atol=1e-3)
