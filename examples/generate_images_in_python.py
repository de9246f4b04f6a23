"""Train a generator of images in Python, save it, load it, and look at what it makes.

    python examples/generate_images_in_python.py [STEPS]

Learns eights and ones from scikit-learn's handwritten digits, few of the latter. Takes about two minutes with the
default of 1000 steps, and writes a folder `generated-digits` with the generator and a picture of its digits.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from gantools import ImageSynthesizer, load, read_images

OUT = Path("generated-digits")
SHOWN = 8  # of each class


def write_digits(folder: Path) -> None:
    """A folder for each class: 150 eights, 40 ones."""
    digits = load_digits()
    for digit, n in ((8, 150), (1, 40)):
        (folder / str(digit)).mkdir()
        for place, pixels in enumerate(digits.images[digits.target == digit][:n]):
            Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((32, 32)).save(
                folder / str(digit) / f"{place}.png"
            )


def main() -> None:
    """Train, save, load, sample and write one picture, a row for each class."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        write_digits(Path(name))
        data = read_images(name, size=32)
    train = ImageSynthesizer.default_train(steps=steps, seed=0)
    ImageSynthesizer(train=train).fit(data, folder=OUT / "generator")

    generator = load(OUT / "generator")
    images, label = generator.sample({"1": SHOWN, "8": SHOWN}, seed=0)
    rows = [np.concatenate(list(images[label == code, 0].numpy()), axis=1) for code in range(2)]
    Image.fromarray(np.concatenate(rows)).save(OUT / "digits.png")
    print(
        f"{generator.report_.steps} steps in {generator.report_.seconds:.0f} s; {OUT / 'digits.png'} shows the digits"
    )


if __name__ == "__main__":
    main()
