"""The classifier of images that generated ones are judged and chosen by.

It is trained by twelve lines of its own (`_teach`), not by the loop. It takes the same number of steps on whatever it
learns from, epoch by epoch, while learning rate and momentum run through one cycle; it is never watched, averaged,
resumed or saved, which is most of what the loop does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import ceil
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gantools.nn.features import MAX_FULL_SIZE, NetFeatures, SmallCNN
from gantools.stages import Stage
from gantools.train.devices import one_thread

BATCH_SIZE = 64
LEARNING_RATE = 4e-3  # at its highest
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.05

N_EPOCHS = 15  # where time allows
MIN_STEPS, MAX_STEPS = 100, 500
SECONDS = 20.0  # of one core that a training should take; what steps cost was measured on one
SECONDS_A_STEP = (0.03, 2.7e-5)  # per batch, and per place of the largest maps
FEWEST_STEPS = 20  # where time is limited: with fewer nothing is learned
PROBE_STEPS = 3  # that tell how long a step takes
TOLD_EVERY = 10  # steps

Augment = Callable[[Tensor, torch.Generator], Tensor]
Subject = TypeVar("Subject")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one classifier learns from. images: [N, C, size, size] uint8. label: [N] int64. seed: of net and batches."""

    images: Tensor
    label: Tensor
    seed: int = 0


def steps_for(n_images: int, size: int) -> int:
    """How many steps a classifier trains on n_images of this size: some epochs, fewer where they take too long."""
    side = size if size <= MAX_FULL_SIZE else size // 2
    fixed, per_place = SECONDS_A_STEP
    affordable = min(MAX_STEPS, int(SECONDS / (fixed + per_place * side**2)))
    return max(MIN_STEPS, min(affordable, ceil(n_images * N_EPOCHS / BATCH_SIZE)))


def train_classifier(
    images: Tensor,
    label: Tensor,
    n_classes: int,
    *,
    seed: int = 0,
    steps: int | None = None,
    device: torch.device | str = "cpu",
    augment: Augment | None = None,
    stage: Stage | None = None,
) -> SmallCNN:
    """A classifier of the images [N, C, size, size] uint8, label [N] int64. See `train_classifiers`."""
    lessons = [Lesson(images, label, seed)]
    return train_classifiers(lessons, n_classes, steps=steps, device=device, augment=augment, stage=stage)[0]


def train_classifiers(
    lessons: Sequence[Lesson],
    n_classes: int,
    *,
    steps: int | None = None,
    device: torch.device | str = "cpu",
    augment: Augment | None = None,
    stage: Stage | None = None,
) -> list[SmallCNN]:
    """One classifier per lesson, each trained for the same number of steps.

    steps: None for `steps_for` the largest lesson. augment: changes every batch [B, C, size, size] uint8 with a
    generator on its device. stage: begins now; where its time is too short for these steps, they are as many as it is
    enough for. One seed gives one net, whatever else is trained; a CPU uses one thread for each, as a second would
    change the last digits.
    """
    stage = stage or Stage()
    seconds = stage.begin()
    steps = steps or steps_for(max(len(lesson.label) for lesson in lessons), lessons[0].images.shape[-1])
    new = partial(_new_nets, n_classes=n_classes, device=device)
    if seconds is not None:
        steps = min(steps, _steps_within(seconds, lessons, new, augment))
    taken, total = count(1), steps * len(lessons)

    def tell() -> None:
        n = next(taken)
        if n % TOLD_EVERY == 0 or n == total:
            stage.done(n, total)

    return _side_by_side(partial(_teach, steps=steps, augment=augment, tell=tell), new(lessons), lessons)


def _new_nets(lessons: Sequence[Lesson], *, n_classes: int, device: torch.device | str) -> list[SmallCNN]:
    nets = []
    for lesson in lessons:
        channels, size = lesson.images.shape[1], lesson.images.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(lesson.seed)
            nets.append(SmallCNN(channels, size, n_classes).to(memory_format=torch.channels_last).to(device))
    return nets


def _steps_within(
    seconds: float,
    lessons: Sequence[Lesson],
    new: Callable[[Sequence[Lesson]], list[SmallCNN]],
    augment: Augment | None,
) -> int:
    """How many steps all lessons can take in so many seconds, as a few steps of nets that are thrown away tell."""
    started = time.perf_counter()
    some = lessons[: _n_side_by_side(new(lessons[:1])[0], len(lessons))]
    took = 0.0
    for steps in (1, PROBE_STEPS):  # the first step is slower than all others
        began = time.perf_counter()
        for net in _side_by_side(partial(_teach, steps=steps, augment=augment), new(some), some):
            net.head.weight.cpu()  # a GPU is done when this is here
        took = (time.perf_counter() - began) / steps
    left = seconds - (time.perf_counter() - started)
    return max(FEWEST_STEPS, int(left / (took * ceil(len(lessons) / len(some)))))


def _teach(
    net: SmallCNN, lesson: Lesson, *, steps: int, augment: Augment | None, tell: Callable[[], None] | None = None
) -> SmallCNN:
    device = net.head.weight.device
    images, label = lesson.images.to(device), lesson.label.to(device)
    random = torch.Generator().manual_seed(lesson.seed)
    changes = torch.Generator(device).manual_seed(lesson.seed)
    n_epochs = ceil(steps * BATCH_SIZE / len(images))
    order = torch.cat([torch.randperm(len(images), generator=random) for _ in range(n_epochs)]).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.25)
    net.train()
    for rows in torch.split(order[: steps * BATCH_SIZE], BATCH_SIZE):
        batch = images[rows] if augment is None else augment(images[rows], changes)
        loss = F.cross_entropy(net(_scaled(batch)), label[rows], label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if tell is not None:
            tell()
    return net.eval()


def probabilities(nets: Sequence[SmallCNN], images: Tensor) -> list[Tensor]:
    """Each net's P(class) [N, n_classes] float64, on the CPU, of images [N, C, size, size] uint8."""
    return _side_by_side(_probabilities, nets, [images] * len(nets))


@torch.inference_mode()
def _probabilities(net: SmallCNN, images: Tensor) -> Tensor:
    device = net.head.weight.device
    logits = [net(_scaled(batch.to(device))) for batch in torch.split(images, 4 * BATCH_SIZE)]
    return torch.cat(logits).double().softmax(1).cpu()


def classifier_features(
    images: Tensor,
    label: Tensor,
    n_classes: int,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    stage: Stage | None = None,
) -> NetFeatures:
    """Features of a classifier that is trained on the real images [N, C, size, size] uint8 of two or more classes."""
    net = train_classifier(images, label, n_classes, seed=seed, device=device, stage=stage)
    return NetFeatures("classifier trained on the real images", net, net.features)


def _side_by_side(
    work: Callable[[SmallCNN, Subject], Result], nets: Sequence[SmallCNN], subjects: Sequence[Subject]
) -> list[Result]:
    """What `work` gives for each net and its subject."""
    workers = _n_side_by_side(nets[0], len(nets))
    if workers == 1:
        with one_thread():
            return list(map(work, nets, subjects))
    # Nets side by side with one thread each beat threads within a net, which wait for one another.
    with one_thread(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(work, nets, subjects))


def _n_side_by_side(net: SmallCNN, n: int) -> int:
    """How many of n nets on the device of this one are worked with at a time."""
    return min(torch.get_num_threads(), n) if net.head.weight.device.type == "cpu" else 1


def _scaled(images: Tensor) -> Tensor:
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
