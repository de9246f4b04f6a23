"""Pictures to pictures in Python: noise, holes, size and colour, learned from two photos, tried on other parts of them.

    python examples/transform_in_python.py [STEPS]

Takes about ten minutes with the default of 600 steps for each task, and writes `transformed-photos/TASK.png`: what is
given, what is made of it, and the truth, side by side.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from gantools import ImageTranslator, read_pictures

OUT = Path("transformed-photos")
SIDE = 128  # pixels of each side of the pieces that the photos are cut into
TASKS = {  # model, its options, what is done to clean pictures
    "noise": ("unet", {"width": 32}, ["noise=25"]),
    "size": ("srgan", {"width": 32, "scale": 2}, None),
    "holes": ("inpaint", {"width": 32}, ["holes=0.1-0.25"]),
    "colour": ("unet", {"width": 32, "n_levels": 3}, ["grey"]),
}


def pieces() -> list[np.ndarray]:
    """Squares of both photos, [SIDE, SIDE, 3] each."""
    return [
        photo[top : top + SIDE, left : left + SIDE]
        for photo in load_sample_images().images
        for top in range(0, photo.shape[0] - SIDE + 1, SIDE)
        for left in range(0, photo.shape[1] - SIDE + 1, SIDE)
    ]


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Pictures side by side, all as large as the last one and in colour."""
    size = pictures[-1].shape[1::-1]
    grown = [
        Image.fromarray(one[:, :, 0] if one.shape[2] == 1 else one).convert("RGB").resize(size) for one in pictures
    ]
    return np.concatenate([np.asarray(one) for one in grown], 1)


def main() -> None:
    """Train a translator for each task and show what it makes of pieces that it did not learn from."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    OUT.mkdir(exist_ok=True)
    learned = pieces()
    other, one = learned.pop(22), learned.pop(7)  # the middle of each photo
    with tempfile.TemporaryDirectory() as name:
        for place, piece in enumerate(learned):
            Image.fromarray(piece).save(Path(name) / f"{place:02d}.png")
        data = read_pictures(name)
    for task, (model, options, degrade) in TASKS.items():
        train = ImageTranslator.default_train(steps=steps, seed=0)
        translator = ImageTranslator(model, options, degrade, train=train).fit(data)
        rows = []
        for truth in (one, other):
            given, mask = translator.degraded(truth, seed=1)
            rows.append(beside(given, translator.transform(given, mask), truth))
        Image.fromarray(np.concatenate(rows)).save(OUT / f"{task}.png")
        print(f"{task}: {model}, {translator.report_.steps} steps in {translator.report_.seconds:.0f} s")


if __name__ == "__main__":
    main()
