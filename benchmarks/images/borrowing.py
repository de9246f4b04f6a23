"""Does a rare class gain from translated pictures of a frequent one? A CNN judges ways to fill long-tailed sets.

mnist   class k keeps 5000 * 100 ** (-k / 9) pictures; 7, 8 and 9 borrow.
cifar   four classes keep 5000, 1077, 232 and 50; the last two borrow.
tiles   magnetic tiles: MT_Free against MT_Blowhole and MT_Crack, which keep 20 pictures each and borrow. A tile was
        photographed up to six times; half of the tiles train, the others test.

A class borrows from one at least four times as frequent: from that which a classifier of the real pictures takes its
pictures for the most (--lenders all: from all such classes). A `cyclegan` learns to make the rare class, its pictures
varied, out of the other. Three times as many pictures are translated as are wanted, varied where they have to be taken
again, and the classifier chooses as it does for `gantools augment`.

Every way but `none` fills all classes to the largest, those that do not borrow by varied pictures (`classical`):
half borrowed, half classical; all borrowed; and with --generator-steps the product's own, half drawn by `lean`.
Figures: balanced accuracy and recalls on test pictures, means over CNNs of several seeds.

    python benchmarks/images/borrowing.py tiles [--seed 0] [--steps 1500]
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from generation import image_set, long_tail
from PIL import Image
from torch import Tensor
from translation import cifar, many, mnist, say, two_sets, unpacked

from gantools.augment.balance_images import CANDIDATES, _Judge, balance_images
from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.nn.augment import augmented
from gantools.train.devices import resolve_device
from gantools.train.image_classifier import Lesson, probabilities, train_classifiers
from gantools.transform.translator import ImageTranslator

TILES = ("MT_Free", "MT_Blowhole", "MT_Crack")
SAME_TILE = 200  # photos of one tile have numbers less far apart
BATCH_SIZE = 32  # of translators
AS_FREQUENT = 4  # times, at least, as the class that borrows
ASKED = 500  # varied pictures of a rare class that tell which class it is taken for

Test = tuple[Tensor, Tensor]  # pictures [N, C, S, S] uint8, labels [N]


# --- data: what trains, what tests, and the classes that borrow ---


def long_mnist(options: argparse.Namespace) -> tuple[ImageSet, Test, list[int]]:
    return long_tail(*mnist("train"), options.largest, options.seed), mnist("test"), [7, 8, 9]


def long_cifar(options: argparse.Namespace) -> tuple[ImageSet, Test, list[int]]:
    return long_tail(*cifar("train"), options.largest, options.seed), cifar("test"), [2, 3]


def tiles(options: argparse.Namespace) -> tuple[ImageSet, Test, list[int]]:
    rng = np.random.default_rng(options.seed)
    encoder = ImageEncoder(ImageLayout(1, options.size))
    found: tuple[list[Path], list[Path]] = ([], [])
    for kind in TILES:
        paths = list((unpacked("magnetic_tile_dev") / kind).glob("*.jpg"))
        by_tile = photographed(paths)
        order = rng.permutation(len(by_tile))
        some, others = ([path for k in part for path in by_tile[k]] for part in np.array_split(order, 2))
        found[0].extend(some if kind == TILES[0] else rng.permutation(np.array(some))[: options.kept])
        found[1].extend(others)

    def read(paths: Sequence[Path]) -> Test:
        pixels = [np.array(Image.open(path).convert("L"))[None, :, :, None] for path in paths]
        images = torch.cat([encoder.resized(torch.from_numpy(one)) for one in pixels])
        return images, torch.tensor([TILES.index(path.parent.name) for path in paths])

    return image_set(*read(found[0]), TILES), read(found[1]), [1, 2]


def photographed(paths: Sequence[Path]) -> list[list[Path]]:
    """Photos by tile: those of one follow one another in `num` while `exp`, the exposure, rises."""
    parts = (re.fullmatch(r"exp(\d+)_num_(\d+)", path.stem) for path in paths)
    numbers = [(int(part[2]), int(part[1])) for part in parts if part]
    found: list[list[Path]] = []
    before = (-SAME_TILE, 0)
    for (number, exposure), path in sorted(zip(numbers, paths, strict=True)):
        if number - before[0] >= SAME_TILE or exposure <= before[1]:
            found.append([])
        found[-1].append(path)
        before = (number, exposure)
    return found


# --- borrowing ---


def borrowed(options: argparse.Namespace, data: ImageSet, judge: _Judge, code: int) -> Tensor:
    """Candidates for the class `code`, `CANDIDATES` times as many as it lacks: pictures of others, translated."""
    random = torch.Generator().manual_seed(options.seed)
    n = CANDIDATES * (max(data.counts) - data.counts[code])
    lenders = [k for k, count in enumerate(data.counts) if count >= AS_FREQUENT * data.counts[code]]
    if options.lenders == "confused":
        taken_for = probabilities([judge.net], judge.vary(code, ASKED, random))[0].mean(0)
        lenders = [max(lenders, key=lambda k: float(taken_for[k]))]
    places = torch.nonzero(torch.isin(data.label, torch.tensor(lenders))).squeeze(1)
    own = data.images[data.label == code]
    targets = torch.cat([own, judge.vary(code, max(0, options.varied - len(own)), random)])
    train = ImageTranslator.default_train(
        steps=options.steps, budget_s=options.seconds, batch_size=BATCH_SIZE,
        precision=options.precision, seed=options.seed, device=options.device,
    )  # fmt: skip
    maker = ImageTranslator("cyclegan", train=train)
    maker.fit(two_sets("unpaired", data.images[places], targets), progress=say)
    order = torch.cat([places[torch.randperm(len(places), generator=random)] for _ in range(ceil(n / len(places)))])[:n]
    again = order[len(places) :]
    varied = augmented(data.images[again], random, judge.flip[data.label[again]])
    made = many(maker, torch.cat([data.images[order[: len(places)]], varied]))
    read = float((probabilities([judge.net], made)[0].argmax(1) == code).float().mean())
    print(
        f"  {data.schema.classes[code]} borrows {len(places)} of {[data.schema.classes[k] for k in lenders]}: "
        f"{maker.report_.steps} steps in {maker.report_.seconds:.0f} s, {read:.2f} of {n} read as it",
        flush=True,
    )
    return made


def filled(data: ImageSet, judge: _Judge, drawn: dict[int, Tensor], share: float, seed: int) -> Test:
    """All classes filled to the largest: a share of those in `drawn` by candidates chosen there, the rest varied."""
    random = torch.Generator().manual_seed(seed)
    images, label = [data.images], [data.label]
    for code, count in enumerate(data.counts):
        n = max(data.counts) - count
        n_chosen = round(share * n) if code in drawn else 0
        if n_chosen:
            images.append(judge.choose(drawn[code][: CANDIDATES * n_chosen], code, n_chosen, random))
        images.append(judge.vary(code, n - n_chosen, random))
        label.append(torch.full((n,), code))
    return torch.cat(images), torch.cat(label)


def ways(options: argparse.Namespace, data: ImageSet, borrowers: Sequence[int]) -> Iterator[tuple[str, Test]]:
    yield "none", (data.images, data.label)
    judge = _Judge(data, options.seed, None)
    judge.net.to(options.device)
    yield "classical", filled(data, judge, {}, 0.0, options.seed)
    drawn = {code: borrowed(options, data, judge, code) for code in borrowers}
    yield "half borrowed", filled(data, judge, drawn, 0.5, options.seed)
    yield "all borrowed", filled(data, judge, drawn, 1.0, options.seed)
    if options.generator_steps:
        train = ImageSynthesizer.default_train(
            steps=options.generator_steps, precision=options.precision, seed=options.seed, device=options.device
        )
        maker = ImageSynthesizer("lean", train=train).fit(data, progress=say)
        balanced = balance_images(data, synthesizer=maker, seed=options.seed)
        yield "generator", (torch.cat([data.images, balanced.images]), torch.cat([data.label, balanced.label]))


def compared(options: argparse.Namespace) -> pd.DataFrame:
    data, (test, test_label), borrowers = DATA[options.data](options)
    names = data.schema.classes
    print(f"{dict(zip(names, data.counts, strict=True))} train, {torch.bincount(test_label).tolist()} test", flush=True)
    rows = []
    began = time.perf_counter()
    for way, (images, label) in ways(options, data, borrowers):
        took, began = time.perf_counter() - began, time.perf_counter()
        lessons = [Lesson(images, label, 100 * options.seed + k) for k in range(options.judges)]
        nets = train_classifiers(lessons, len(names), steps=options.judge_steps, device=options.device)
        right = torch.stack([p.argmax(1) == test_label for p in probabilities(nets, test)]).float()
        recall = torch.stack([right[:, test_label == k].mean() for k in range(len(names))])
        rows.append({
            "data": options.data, "seed": options.seed, "method": way,
            "balanced_accuracy": float(recall.mean()), "rare_recall": float(recall[borrowers].mean()),
            **{f"recall_{names[k]}": float(recall[k]) for k in borrowers},
            "seconds": took, "judging": time.perf_counter() - began,
        })  # fmt: skip
        print(rows[-1], flush=True)
        began = time.perf_counter()
    return pd.DataFrame(rows)


DATA = {"mnist": long_mnist, "cifar": long_cifar, "tiles": tiles}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=DATA)
    parser.add_argument("--seed", type=int, default=0, help="of the pictures that are kept, and of all nets")
    parser.add_argument("--steps", type=int, default=1500, help="of each translator")
    parser.add_argument("--seconds", type=float, help="of each translator at most")
    parser.add_argument("--generator-steps", type=int, default=0, help="of `lean`; 0 leaves it out")
    parser.add_argument("--judge-steps", type=int, default=1000, help="of the CNNs that judge")
    parser.add_argument("--judges", type=int, default=2, help="CNNs for each way")
    parser.add_argument("--lenders", choices=("confused", "all"), default="confused")
    parser.add_argument("--varied", type=int, default=500, help="a rare class is varied to so many for its translator")
    parser.add_argument("--largest", type=int, default=5000, help="pictures of the largest class of long tails")
    parser.add_argument("--kept", type=int, default=20, help="pictures of each defect that train")
    parser.add_argument("--size", type=int, default=64, help="pixels of each side of tiles")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of translators and generator: auto, 32 or bf16")
    parser.add_argument("--threads", type=int, help="of the CPU  [default: as torch chooses]")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    options.device = str(resolve_device(options.device))
    if options.threads:
        torch.set_num_threads(options.threads)
    table = compared(options)
    print(table.round(4).to_string(index=False))
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
