"""How good generated images are, and whether they help: long-tailed MNIST, MNIST from generated images, modes, speed.

longtail     class k of MNIST keeps 5000 * 100 ** (-k / 9) images. Every method fills the classes to 5,000; the same CNN
             is trained on the result for the same number of steps and judged on the whole test set. "classical" is
             torchvision's, with the same limits as the product's own changes, which "varied" makes without a generator.
conditional  a generator learns all of MNIST for so many seconds; a CNN is trained on 10,000 generated images, 1,000 of
             each class, and tested on real ones. Beside it, the same CNN on 10,000 real images.
modes        Stacked-MNIST: three digits as the three colours of an image, 1,000 modes. How many of them 10,000
             generated images cover, told by a CNN of single digits, as training goes on.
speed        images per second that `dcgan` trains on, against a plain PyTorch loop over the same nets.

    python benchmarks/images/generation.py longtail [--seeds 0,1,2] [--steps 10000]
    python benchmarks/images/generation.py conditional [--seconds 1800] [--models lean,dcgan]
    python benchmarks/images/generation.py modes [--seconds 3600]
    python benchmarks/images/generation.py speed
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from peers import data_folder

from gantools.augment.balance_images import balance_images
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.losses import discriminator_nonsaturating, generator_nonsaturating
from gantools.nn.augment import MAX_LIGHT, MAX_ROTATION, MAX_SCALING, MAX_SHEAR, MAX_SHIFT
from gantools.nn.conditioning import Condition, ConditionSpec
from gantools.nn.convolutional import ConvDiscriminator, ConvGenerator
from gantools.train.image_classifier import Lesson, probabilities, train_classifier, train_classifiers
from gantools.train.monitor import Progress
from gantools.train.stores import as_input

default_train = ImageSynthesizer.default_train
LARGEST = 5000  # images of the largest class of the long tail
JUDGE_STEPS = 1000  # of 64 images
JUDGES = 2  # nets of each method, with seeds of their own; figures are means


def mnist(part: str) -> tuple[Tensor, Tensor]:
    """Images [N, 1, 28, 28] uint8 and labels [N]."""
    with np.load(data_folder("images") / "mnist.npz") as arrays:
        images, label = arrays[f"x_{part}"], arrays[f"y_{part}"]
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(label).long()


def image_set(images: Tensor, label: Tensor, classes: Sequence[str]) -> ImageSet:
    """Images in memory as the library wants them."""
    channels, size = images.shape[1], images.shape[2]
    counts = tuple(torch.bincount(label, minlength=len(classes)).tolist())
    side = (size, size, size)
    schema = ImageSchema(channels, 255, tuple(classes), counts, len(images), width=side, height=side, formats={})
    return ImageSet(schema, ImageEncoder(ImageLayout(channels, size)), images, label, "benchmark")


def long_tail(images: Tensor, label: Tensor, largest: int, seed: int) -> ImageSet:
    """Images of which the first class keeps `largest`, and the last a hundredth of that."""
    n_classes = int(label.max()) + 1
    rng = np.random.default_rng(seed)
    kept = []
    for k in range(n_classes):
        mine = np.flatnonzero(label.numpy() == k)
        kept.append(rng.choice(mine, round(largest * 100 ** (-k / (n_classes - 1))), replace=False))
    chosen = torch.from_numpy(np.sort(np.concatenate(kept)))
    return image_set(images[chosen], label[chosen], [str(k) for k in range(n_classes)])


def say(progress: Progress) -> None:
    if progress.step % 1000 == 0:
        losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
        print(f"  step {progress.step}, {progress.seconds:.0f} s: {losses} {progress.health}", flush=True)


def longtail(options: argparse.Namespace) -> pd.DataFrame:
    """Balanced accuracy of a CNN after each way of balancing."""
    real, real_label = mnist("train")
    test, test_label = mnist("test")
    rows = []
    for seed in map(int, options.seeds.split(",")):
        data = long_tail(real, real_label, LARGEST, seed)
        filled = {"none": (data.images, data.label), **classical_ways(data, seed)}
        started = time.perf_counter()
        train = default_train(seed=seed, steps=options.steps, budget_s=options.seconds)
        maker = ImageSynthesizer(options.models, train=train).fit(data, progress=say)
        balanced = balance_images(data, synthesizer=maker, seed=seed)
        took = time.perf_counter() - started
        missing = {name: LARGEST - n for name, n in balanced.counts_before.items() if n < LARGEST}
        varied = balance_images(data, synthesizer=None, seed=seed)
        alone, alone_label = maker.sample(missing, seed=seed)
        filled["varied"] = together(data, varied.images, varied.label)
        filled["gantools"] = together(data, balanced.images, balanced.label)
        filled["the generator alone"] = together(data, alone, alone_label)
        lessons = [Lesson(images, label, 100 * seed + k) for images, label in filled.values() for k in range(JUDGES)]
        found = probabilities(train_classifiers(lessons, 10, steps=JUDGE_STEPS), test)
        for place, name in enumerate(filled):
            hits = [p.argmax(1) == test_label for p in found[place * JUDGES : (place + 1) * JUDGES]]
            recall = torch.stack([torch.stack([h[test_label == k].float().mean() for k in range(10)]) for h in hits])
            rows.append(
                {
                    "seed": seed,
                    "method": name,
                    "balanced_accuracy": float(recall.mean()),
                    "rarest_three": float(recall[:, 7:].mean()),
                    "seconds": took if name == "gantools" else 0.0,
                }
            )
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def classical_ways(data: ImageSet, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """The classes filled by repeating their images, and by repeating them with classical augmentation."""
    torch.manual_seed(seed)
    degrees, shear = (limit * 180 / math.pi for limit in (MAX_ROTATION, MAX_SHEAR))
    move, scale = (MAX_SHIFT, MAX_SHIFT), (1 - MAX_SCALING, 1 + MAX_SCALING)
    change = v2.Compose(
        [
            v2.RandomAffine(degrees, move, scale, shear, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=MAX_LIGHT, contrast=MAX_LIGHT),
        ]
    )
    label = torch.cat([torch.full((LARGEST - n,), k) for k, n in enumerate(data.counts)])
    places = []
    for k, n in enumerate(data.counts):
        mine = torch.nonzero(data.label == k).squeeze(1)
        places.append(mine[torch.arange(LARGEST - n) % n])
    again = data.images[torch.cat(places)]
    changed = torch.stack([change(image) for image in again])
    return {"repetition": together(data, again, label), "classical": together(data, changed, label)}


def together(data: ImageSet, images: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([data.images, images]), torch.cat([data.label, label])


def conditional(options: argparse.Namespace) -> pd.DataFrame:
    """Accuracy on real images of CNNs trained on generated ones."""
    real, label = mnist("train")
    test, test_label = mnist("test")
    rows = []

    def judge(name: str, images: Tensor, of: Tensor, seconds: float, n_seen: int) -> None:
        nets = train_classifiers([Lesson(images, of, k) for k in range(JUDGES)], 10, steps=JUDGE_STEPS)
        accuracy = np.mean([(p.argmax(1) == test_label).float().mean() for p in probabilities(nets, test)])
        rows.append({"method": name, "accuracy": accuracy, "seconds": seconds, "images_seen": n_seen})
        print(rows[-1], flush=True)

    for model in options.models.split(","):
        train = default_train(seed=0, steps=options.steps, budget_s=options.seconds)
        maker = ImageSynthesizer(model, train=train)
        maker.fit(image_set(real, label, [str(k) for k in range(10)]), progress=say)
        images, of = maker.sample({str(k): 1000 for k in range(10)}, seed=0)
        judge(model, images, of, maker.report_.seconds, maker.report_.steps * train.batch_size)
    chosen = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))[:10_000]
    judge("real images", real[chosen], label[chosen], 0.0, 0)
    return pd.DataFrame(rows)


def modes(options: argparse.Namespace) -> pd.DataFrame:
    """Modes of Stacked-MNIST that a generator covers, without labels, as training goes on."""
    real, label = mnist("train")
    rng = torch.Generator().manual_seed(0)
    places = torch.randint(len(real), (3, 60_000), generator=rng)
    stacked = torch.cat([real[p] for p in places], 1)
    # Two classes that mean nothing, since the library's generators are conditional: no mode is told to them.
    data = image_set(stacked, torch.randint(2, (len(stacked),), generator=rng), ["a", "b"])
    reader = train_classifier(real, label, 10, steps=JUDGE_STEPS)
    rows = []

    def covered(maker: ImageSynthesizer) -> tuple[int, float]:
        images, _ = maker.sample({"a": 5000, "b": 5000}, seed=1)
        digits = [probabilities([reader], images[:, k : k + 1])[0].argmax(1) for k in range(3)]
        count = torch.bincount(digits[0] * 100 + digits[1] * 10 + digits[2], minlength=1000).double()
        share = count / count.sum()
        return int((count > 0).sum()), float((share * (share * 1000).clamp(min=1e-12).log()).sum())

    maker = ImageSynthesizer(options.models, train=default_train(seed=0, steps=options.steps, budget_s=options.seconds))
    looked_at = 0.0

    def look(step: int, model: torch.nn.Module) -> None:
        nonlocal looked_at
        if time.perf_counter() - looked_at > options.look_every:
            looker = ImageSynthesizer(options.models)
            looker.schema_, looker.encoder_, looker.gan_ = data.schema, data.encoder, model
            n, divergence = covered(looker)
            rows.append({"step": step, "modes": n, "kl": divergence})
            print(rows[-1], flush=True)
            looked_at = time.perf_counter()

    maker.fit(data, progress=say, on_look=look)
    n, divergence = covered(maker)
    rows.append({"step": maker.report_.steps, "modes": n, "kl": divergence, "seconds": maker.report_.seconds})
    return pd.DataFrame(rows)


def speed(options: argparse.Namespace) -> pd.DataFrame:
    """Images per second in training, in turns."""
    real, label = mnist("train")
    data = image_set(real, label, [str(k) for k in range(10)])
    options.steps = options.steps or 300
    rates: dict[str, list[float]] = {"gantools dcgan": [], "plain PyTorch loop": []}
    for turn in range(3):
        for name, work in (("gantools dcgan", ours), ("plain PyTorch loop", plain)):
            rates[name].append(work(data, options.steps, turn))
            print(name, f"{rates[name][-1]:.0f} images a second", flush=True)
    return pd.DataFrame([{"loop": name, "images_per_s": float(np.median(each))} for name, each in rates.items()])


def ours(data: ImageSet, steps: int, seed: int) -> float:
    """The product as it is, its looks included."""
    train = default_train(seed=seed, steps=steps)
    maker = ImageSynthesizer("dcgan", train=train).fit(data)
    return steps * train.batch_size / maker.report_.seconds


def plain(data: ImageSet, steps: int, seed: int) -> float:
    """What a user would write: the same nets, batch and optimiser, all threads, no augmentation, averages or looks."""
    torch.manual_seed(seed)
    batch_size = default_train().batch_size
    layout = data.encoder.layout
    classes = ConditionSpec(tuple(data.counts))
    generator = ConvGenerator(layout, 64, classes, 32)
    discriminator = ConvDiscriminator(layout, classes, 32, batch_norm=True)
    optimizers = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.99)) for net in (discriminator, generator)]
    started = time.perf_counter()
    for _ in range(steps):
        place = torch.randint(len(data), (batch_size,))
        real, label = as_input(data.images[place]), Condition(data.label[place])
        fake = generator(torch.randn(batch_size, 64), label)
        judged = discriminator(real, label), discriminator(fake.detach(), label)
        losses: list[Callable[[], Tensor]] = [
            lambda judged=judged: discriminator_nonsaturating(*judged),
            lambda fake=fake, label=label: generator_nonsaturating(discriminator(fake, label)),
        ]
        for optimizer, loss in zip(optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
    return steps * batch_size / (time.perf_counter() - started)


PARTS = {"longtail": longtail, "conditional": conditional, "modes": modes, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", help="registered names  [default: lean; for modes r3gan]")
    parser.add_argument("--seconds", type=float, help="of training")
    parser.add_argument("--steps", type=int, help="of training  [default: as many as --seconds allow, or the model's]")
    parser.add_argument("--look-every", type=float, default=120.0, help="seconds between counts of modes")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    options.models = options.models or ("r3gan" if options.part == "modes" else "lean")
    if options.seconds is not None and options.steps is None:
        options.steps = 10**6
    table = PARTS[options.part](options)
    print(table.to_string(index=False))
    numbers = table.groupby("method")[["balanced_accuracy", "rarest_three"]] if "balanced_accuracy" in table else None
    if numbers is not None:
        print(numbers.mean().round(4).to_string())
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
