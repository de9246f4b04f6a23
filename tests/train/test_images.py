"""Batches of images, how generators of them are judged, and batches dealt to threads."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from gantools.config import TrainConfig
from gantools.encode.images import ImageLayout
from gantools.models.base import DataSpec
from gantools.registry import get
from gantools.train import loop
from gantools.train.images import TrainingImages
from gantools.train.loop import train


def stripes(n: int, upright: bool) -> Tensor:
    """[n, 1, 16, 16] uint8, black and white stripes that begin anywhere."""
    random = torch.Generator().manual_seed(int(upright))
    start = torch.randint(4, (n, 1), generator=random)
    line = (((torch.arange(16) + start) // 2 % 2) * 255).to(torch.uint8)
    x = line.reshape(n, 1, 1, 16).expand(-1, -1, 16, -1)
    return x.contiguous() if upright else x.mT.contiguous()


@pytest.fixture
def rows() -> TrainingImages:
    images = torch.cat([stripes(60, True), stripes(6, False)])
    return TrainingImages.of(images, (torch.arange(66) >= 60).long(), 2, 0.5, 0)


def test_a_batch(rows: TrainingImages) -> None:
    batch = rows.batch(400, 0.25, torch.Generator().manual_seed(0))
    assert batch.real.shape == (400, 1, 16, 16) and batch.real.min() >= -1 and batch.real.max() <= 1
    assert batch.progress == 0.25
    # Half of it with both classes alike, half as they occur: 6 of 66 and a half of a half.
    assert 0.2 < batch.label.float().mean() < 0.4
    again = rows.batch(400, 0.25, torch.Generator().manual_seed(0))
    assert torch.equal(batch.real, again.real)


def test_images_of_rare_classes_are_varied_and_others_hardly(rows: TrainingImages) -> None:
    assert rows.vary[1] > 0.99
    many = TrainingImages.of(stripes(10_000, True)[:, :, :, :], (torch.arange(10_000) % 2).long(), 2, 0.5, 0)
    assert many.vary.max() < 0.02


def test_the_judge_prefers_the_better_generator(rows: TrainingImages) -> None:
    class Copies(torch.nn.Module):
        spec = DataSpec(ImageLayout(1, 16), (60, 6))

        def __init__(self, noise: float) -> None:
            super().__init__()
            self.noise = noise

        def sample(self, label: Tensor, random: torch.Generator) -> Tensor:
            x = torch.where(label.reshape(-1, 1, 1, 1) > 0, stripes(len(label), False), stripes(len(label), True))
            noise = torch.randn(x.shape, generator=random)
            return x.float() / 127.5 - 1 + self.noise * noise

    class Collapsed(Copies):
        def sample(self, label: Tensor, random: torch.Generator) -> Tensor:
            return super().sample(label, random)[:1].expand(len(label), -1, -1, -1)

    good, noisy, collapsed = (rows.judge(gan, ["a", "b"], 0) for gan in (Copies(0.0), Copies(1.0), Collapsed(0.0)))
    assert good.criterion < noisy.criterion and good.criterion < collapsed.criterion
    assert max(collapsed.spread) < 0.01 and min(good.spread) > 0.5
    assert good.watched == ("b", "a")  # the rarest first


def test_the_result_does_not_depend_on_the_number_of_cores(rows: TrainingImages) -> None:
    cls = get("lean", "generate", "image")
    found = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        gan = cls(DataSpec(ImageLayout(1, 16), (60, 6)), cls.tiny())
        config = TrainConfig(steps=4, batch_size=8, eval_every=2, log_every=2, device="cpu")
        found.append(train(gan, rows, ["a", "b"], config).model.state_dict())
        torch.set_num_threads(before)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_the_shards_gradients_are_their_mean(rows: TrainingImages, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same images in both shards, two shards learn what one does."""
    cls = get("wgan-gp", "generate", "image")
    same = rows.batch(8, 0.0, torch.Generator().manual_seed(0))

    class Same:
        def to(self, device: torch.device) -> Same:
            return self

        def batch(self, size: int, progress: float, random: torch.Generator) -> object:
            # the same noise in every shard: a fresh generator of one seed
            return type(same)(same.real.clone(), same.label, same.rank, progress, torch.Generator().manual_seed(5))

        judge = rows.judge

    found = []
    for shards in (1, 2):
        monkeypatch.setattr(loop, "SHARDS", shards)
        torch.manual_seed(0)
        gan = cls(DataSpec(ImageLayout(1, 16), (60, 6)), cls.tiny())
        config = TrainConfig(**{**asdict(TrainConfig()), "steps": 2, "batch_size": 16, "device": "cpu"})
        found.append(train(gan, Same(), ["a", "b"], config).model.discriminator.state_dict())  # type: ignore[arg-type]
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name])
