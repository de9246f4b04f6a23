"""Make the demo's folders of images from scikit-learn's built-in handwritten digits.

    python examples/make_demo_images.py OUT

OUT/digits         sixes, eights and nines, a folder each; of the nines only 25 are kept (the rare class)
OUT/fours/normal   120 fours to learn from
OUT/fours/new      the other fours, and 15 digits that are no fours

Images are 16 pixels wide and high, enlarged from the 8 of the data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SIZE = 16
N_RARE = 25
N_NORMAL = 120
N_ODD = 15


def write(pixels: np.ndarray, path: Path) -> None:
    """One digit, values 0 to 16, as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray((pixels * 15.9).astype(np.uint8))
    image.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    """Write the folders below the one that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to write into")
    out = parser.parse_args().out
    found = load_digits()
    places = {k: np.flatnonzero(found.target == k) for k in range(10)}
    for k, most in ((6, None), (8, None), (9, N_RARE)):
        for place in places[k][:most]:
            write(found.images[place], out / "digits" / str(k) / f"{place:04d}.png")
    for place in places[4][:N_NORMAL]:
        write(found.images[place], out / "fours" / "normal" / f"{place:04d}.png")
    others = np.random.default_rng(0).permutation(np.flatnonzero(found.target != 4))[:N_ODD]
    for place in (*places[4][N_NORMAL:], *others):
        name = f"{place:04d}.png" if found.target[place] == 4 else f"{place:04d}_not_a_four.png"
        write(found.images[place], out / "fours" / "new" / name)
    print(f"{out}/digits: {len(places[6])} sixes, {len(places[8])} eights and {N_RARE} nines")
    print(f"{out}/fours: {N_NORMAL} normal fours; {len(places[4]) - N_NORMAL} new ones among {N_ODD} other digits")


if __name__ == "__main__":
    main()
