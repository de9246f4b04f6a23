"""The README's pictures: what translators make of pictures that they did not learn from, beside the plain method.

    python examples/make_readme_pictures.py [OUT] [--steps N] [--task TASK]

Noise and size are learned from scikit-learn's two sample photos without the part that is shown, outlines from drawn
shapes, each in at most two and a half minutes. Writes OUT/TASK.png (docs/images unless given): given, plain
method, made, truth; for outlines given, made, truth of three pictures. Prints how long each task learned, and the PSNR
of the plain method and of what was made.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from gantools import ImageTranslator, read_pictures
from gantools.evaluate.plain import plain_method
from gantools.evaluate.restoration import psnr

PIECE, STEP = 128, 64  # pixels of each side of the pieces that are learned from, and from one to the next
SHOWN = 128  # pixels of each side of the part of a photo that is shown
SECONDS = 140.0  # that a training may take
GAP = 4  # white pixels between pictures
N_SHAPES, SHAPES_SIDE = 300, 64  # drawn pictures that are learned from, and pixels of each side
FINE = 4  # times as large as they are drawn first


@dataclass(frozen=True)
class Task:
    """model, options: of the translator. steps, batch_size, ema_decay: of its training. degrade: what is done to clean
    photos. photo, top, left: the part that is shown.
    """

    model: str
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    degrade: tuple[str, ...] | None = None
    batch_size: int = 16
    ema_decay: float = 0.999
    photo: int = 0
    top: int = 0
    left: int = 0


TASKS = {
    "noise": Task("unet", 1000, {"width": 32, "lr": 1.5e-3}, ("noise=25",), 8, 0.99, photo=1, top=90, left=230),
    "size": Task(
        "srgan", 600, {"width": 32, "n_blocks": 6, "scale": 2, "adversarial": 0.0}, photo=0, top=140, left=200
    ),
    "outlines": Task(
        "pix2pix",
        800,
        {"width": 24, "lr": 2e-3, "adversarial": 0.01, "content": 0.6, "critic_width": 24},
        None,
        8,
        0.99,
    ),
}


# --- photos ---


def learned_from(task: Task, photos: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Squares of all photos that hold no pixel of what is shown."""
    for index, photo in enumerate(photos):
        for top in range(0, photo.shape[0] - PIECE + 1, STEP):
            for left in range(0, photo.shape[1] - PIECE + 1, STEP):
                beside = abs(top - task.top) >= PIECE or abs(left - task.left) >= PIECE
                if index != task.photo or beside:
                    yield photo[top : top + PIECE, left : left + PIECE]


def photo_strip(task: Task, steps: int, folder: Path) -> tuple[list[np.ndarray], str]:
    """Given, plain, made and truth, and what is to be said of them."""
    photos = load_sample_images().images
    truth = photos[task.photo][task.top : task.top + SHOWN, task.left : task.left + SHOWN]
    pieces = list(learned_from(task, photos))
    for place, piece in enumerate(pieces):
        Image.fromarray(piece).save(folder / f"{place:03d}.png")
    translator = trained(task, steps, folder)
    given, _ = translator.degraded(truth, seed=1)
    examples = [(translator.degraded(piece, seed=k)[0], piece) for k, piece in enumerate(pieces[::9])]
    plain = plain_method(translator.degradations_, 3, translator.scale_, examples)
    pictures = [given, plain.make(given, None), translator.transform(given), truth]
    near = [psnr(one, truth) for one in pictures[1:3]]
    said = f"{len(pieces)} pieces, {plain.name} {near[0]:.1f} dB, made {near[1]:.1f} dB"
    return pictures, f"{said}; {times(translator)}"


# --- shapes ---


def scene(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three lit shapes on a ground, and their outlines: round ones are red, square ones blue, pointed ones yellow."""
    side = SHAPES_SIDE * FINE
    row, column = np.mgrid[:side, :side] / side
    picture = np.stack([196 + 30 * row, 214 + 16 * row, 235 - 20 * row], 2)
    outlines = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(outlines)
    for place in random.permutation(4)[:3]:
        y, x = (0.27 + 0.46 * part + random.uniform(-0.03, 0.03) for part in divmod(int(place), 2))
        size, kind = random.uniform(0.12, 0.2), int(random.integers(3))
        up, right = (row - y) / size, (column - x) / size
        corners = [[(-1, -1), (1, -1), (1, 1), (-1, 1)], [(0, -1), (1, 1), (-1, 1)]]
        mask = Image.new("L", (side, side), 0)
        for canvas, how in ((ImageDraw.Draw(mask), {"fill": 255}), (draw, {"outline": 0, "width": FINE + 2})):
            if kind == 0:
                box = [(x - size) * side, (y - size) * side, (x + size) * side, (y + size) * side]
                canvas.ellipse(box, **how)
            else:
                canvas.polygon([((x + a * size) * side, (y + b * size) * side) for a, b in corners[kind - 1]], **how)
        inside = np.asarray(mask)[:, :, None] > 0
        if kind == 0:  # a ball that is lit from the upper left
            bulge = np.sqrt(np.clip(1 - up**2 - right**2, 0, 1))
            light = np.clip(-0.45 * up - 0.45 * right + 0.77 * bulge, 0, 1)
            colour = light[:, :, None] * (235, 70, 50) + 20 + 170 * light[:, :, None] ** 14
        elif kind == 1:  # a tile with a rim
            rim = np.maximum(abs(up), abs(right)) > 0.72
            colour = np.where(rim[:, :, None], (38, 70, 150), (80, 135, 225)) + 25 * (-up - right)[:, :, None]
        else:  # a tent of two sides
            colour = np.where(right[:, :, None] < 0, (250, 205, 80), (205, 145, 35)) - 20 * up[:, :, None]
        picture = np.where(inside, colour, picture)
    small = picture.clip(0, 255).reshape(SHAPES_SIDE, FINE, SHAPES_SIDE, FINE, 3).mean((1, 3)).round()
    drawn = outlines.resize((SHAPES_SIDE, SHAPES_SIDE), Image.Resampling.BOX)
    return np.asarray(drawn)[:, :, None], small.astype(np.uint8)


def shape_strip(task: Task, steps: int, folder: Path) -> tuple[list[np.ndarray], str]:
    """Given, made and truth of three scenes, and what is to be said of them."""
    random = np.random.default_rng(0)
    shown = [scene(random) for _ in range(3)]
    for side in "AB":
        (folder / side).mkdir()
    for place in range(N_SHAPES):
        for side, picture in zip("AB", scene(random), strict=True):
            Image.fromarray(picture.squeeze()).save(folder / side / f"{place:03d}.png")
    translator = trained(task, steps, folder)
    made = [translator.transform(given) for given, _ in shown]
    near = np.mean([psnr(one, truth) for one, (_, truth) in zip(made, shown, strict=True)])
    as_it_is = np.mean([psnr(np.repeat(given, 3, 2), truth) for given, truth in shown])
    pictures = [part for one, (given, truth) in zip(made, shown, strict=True) for part in (given, one, truth)]
    said = f"{N_SHAPES} pairs, the outlines as they are {as_it_is:.1f} dB, made {near:.1f} dB"
    return pictures, f"{said}; {times(translator)}"


# --- both ---


def trained(task: Task, steps: int, folder: Path) -> ImageTranslator:
    """A translator that learned from the pictures in a folder."""
    train = ImageTranslator.default_train(
        precision="bf16", steps=steps, budget_s=SECONDS, batch_size=task.batch_size, ema_decay=task.ema_decay, seed=0
    )
    return ImageTranslator(task.model, task.options, task.degrade, size=64, train=train).fit(read_pictures(folder))


def times(translator: ImageTranslator) -> str:
    """How long it learned."""
    return f"{translator.model}, {translator.report_.steps} steps in {translator.report_.seconds:.0f} s"


def beside(pictures: list[np.ndarray]) -> Image.Image:
    """Pictures side by side, all as large as the last one; smaller ones with their pixels repeated."""
    height, width = pictures[-1].shape[:2]
    strip = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for place, pixels in enumerate(pictures):
        one = Image.fromarray(pixels.squeeze()).convert("RGB").resize((width, height), Image.Resampling.NEAREST)
        strip.paste(one, (place * (width + GAP), 0))
    return strip


def main() -> None:
    """Train a translator for each task and write what it makes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/images"), help="the folder to write into")
    parser.add_argument("--steps", type=int, help="of each training")
    parser.add_argument("--task", choices=TASKS, action="append", help="this one alone")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.task or TASKS:
        task = TASKS[name]
        make = photo_strip if task.model != "pix2pix" else shape_strip
        with tempfile.TemporaryDirectory() as folder:
            pictures, said = make(task, given.steps or task.steps, Path(folder))
        beside(pictures).save(given.out / f"{name}.png", optimize=True)
        print(f"{name}: {said}", flush=True)


if __name__ == "__main__":
    main()
