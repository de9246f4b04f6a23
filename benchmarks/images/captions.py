"""Whether generated pictures show what their captions say: drawn shapes, read by classifiers of real ones.

A picture of 32 pixels shows one shape: one of six colours, three sizes, four shapes, nine places, 648 combinations,
each with a caption such as "a small red circle at the top left". A tenth of the combinations are never trained on. A
generator learns for so many seconds from 20,000 pictures of the others; then it is given 1,000 captions, half of them
of combinations that it has never seen, and a classifier for each attribute, trained on real pictures of all, says what
the pictures show.

    python benchmarks/images/captions.py [--seconds 1200] [--model lean]
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
from generation import image_set, say

from gantools.augment.described_synthesizer import DescribedSynthesizer
from gantools.train.image_classifier import probabilities, train_classifier

COLOURS = {
    "red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 230), "yellow": (230, 210, 50),
    "purple": (160, 60, 200), "white": (240, 240, 240),
}  # fmt: skip
SIZES = {"small": 3.0, "medium": 4.5, "large": 6.0}  # half of the shape's width in pixels
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = {
    f"at the {row} {column}".replace("middle centre", "centre"): (x, y)
    for (row, y), (column, x) in product({"top": 8, "middle": 16, "bottom": 24}.items(),
                                         {"left": 8, "centre": 16, "right": 24}.items())
}  # fmt: skip
ATTRIBUTES = (tuple(SIZES), tuple(COLOURS), SHAPES, tuple(PLACES))
SIDE, FINER = 32, 4  # pixels, and how many times as many it is drawn with
N_TRAIN, N_ASKED = 20_000, 1_000
HIDDEN = 0.1  # share of the combinations that are never trained on
READER_STEPS = 400


def draw(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures [N, 3, 32, 32] uint8 of combinations [N, 4]: position and size vary a little, the ground is dark."""
    pictures = np.empty((len(codes), 3, SIDE, SIDE), np.uint8)
    for picture, (size, colour, shape, place) in zip(pictures, codes, strict=True):
        ground = Image.new("RGB", (SIDE * FINER, SIDE * FINER), tuple(rng.integers(0, 40, 3).tolist()))
        x, y = (FINER * (at + rng.uniform(-1.0, 1.0)) for at in list(PLACES.values())[place])
        r = FINER * list(SIZES.values())[size] * rng.uniform(0.92, 1.08)
        ink, pen = list(COLOURS.values())[colour], ImageDraw.Draw(ground)
        if SHAPES[shape] == "circle":
            pen.ellipse([x - r, y - r, x + r, y + r], fill=ink)
        elif SHAPES[shape] == "square":
            pen.rectangle([x - r, y - r, x + r, y + r], fill=ink)
        elif SHAPES[shape] == "triangle":
            pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=ink)
        else:
            pen.rectangle([x - r, y - r / 3, x + r, y + r / 3], fill=ink)
            pen.rectangle([x - r / 3, y - r, x + r / 3, y + r], fill=ink)
        picture[:] = np.asarray(ground.resize((SIDE, SIDE), Image.Resampling.BOX)).transpose(2, 0, 1)
    return pictures


def caption(code: np.ndarray) -> str:
    size, colour, shape, place = (names[k] for names, k in zip(ATTRIBUTES, code, strict=True))
    return f"a {size} {colour} {shape} {place}"


def readers(rng: np.random.Generator, combinations: np.ndarray) -> list[torch.nn.Module]:
    """A classifier of each attribute, trained on real pictures of every combination."""
    codes = combinations[rng.integers(len(combinations), size=N_TRAIN)]
    images = torch.from_numpy(draw(codes, rng))
    return [
        train_classifier(images, torch.from_numpy(codes[:, k]), len(names), steps=READER_STEPS)
        for k, names in enumerate(ATTRIBUTES)
    ]


def read_right(nets: list[torch.nn.Module], images: Tensor, codes: np.ndarray) -> np.ndarray:
    """[N, 4] bool, whether each attribute of each picture is read as it was asked for."""
    found = [probabilities([net], images)[0].argmax(1).numpy() for net in nets]
    return np.stack(found, 1) == codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lean")
    parser.add_argument("--seconds", type=float, default=1200.0, help="of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grids", type=Path, help="a folder for pictures while it trains")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    combinations = rng.permutation(np.array(list(product(*map(range, map(len, ATTRIBUTES))))))
    n_hidden = round(HIDDEN * len(combinations))
    hidden, seen = combinations[:n_hidden], combinations[n_hidden:]
    codes = seen[rng.integers(len(seen), size=N_TRAIN)]
    data = image_set(torch.from_numpy(draw(codes, rng)), torch.zeros(N_TRAIN, dtype=torch.int64), ["shapes"])
    train = DescribedSynthesizer.default_train(seed=options.seed, steps=10**6, budget_s=options.seconds)
    maker = DescribedSynthesizer(options.model, train=train)
    frame = pd.DataFrame({"caption": list(map(caption, codes))})
    maker.fit(data, frame, caption="caption", progress=say, grids=options.grids)
    nets = readers(rng, combinations)
    rows = []
    for name, some in (("seen", seen), ("never seen", hidden)):
        asked = some[rng.integers(len(some), size=N_ASKED // 2)]
        images, _ = maker.sample(pd.DataFrame({"caption": list(map(caption, asked))}), seed=1)
        for what, pictures in (("real", torch.from_numpy(draw(asked, rng))), ("generated", images)):
            right = read_right(nets, pictures, asked)
            each = dict(zip(("size", "colour", "shape", "place"), right.mean(0), strict=True))
            rows.append({"combinations": name, "pictures": what, "all": right.all(1).mean(), **each})
    table = pd.DataFrame(rows).assign(model=options.model, steps=maker.report_.steps, seconds=maker.report_.seconds)
    print(table.round(3).to_string(index=False))
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
