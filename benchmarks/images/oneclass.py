"""Who tells odd images, and where they are odd, after seeing only normal ones? Every method in one run.

mnist   one digit is normal: its training images train, the whole test set is scored. Peers: the mean distance to the 5
        nearest training images on pixels, and the error of a reconstruction from 30 principal components.
tiles   magnetic tiles: half of the photos without defects train, the other half and all photos with a blowhole or a
        crack are scored; the masks tell which pixels are defects. Peer: the distance of patches of EfficientNet-Lite0
        at 224 pixels to the nearest of 10,000 normal ones, an image being as odd as its oddest patch.
Figures: auc (area under the ROC curve) and ap (average precision) of images, pixel_auc of pixels, seconds.
Data: mnist.npz, or the folders MT_Free, MT_Blowhole and MT_Crack or archives that hold them, below --data.
"""

from __future__ import annotations

import argparse
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

HERE = Path(__file__).resolve().parent
KINDS = ("MT_Free", "MT_Blowhole", "MT_Crack")
PIXEL_SIDE = 128  # pixels that maps and masks are compared at


def auc(is_odd: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_odd, score))


def figures(is_odd: np.ndarray, score: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    return {"auc": auc(is_odd, score), "ap": float(average_precision_score(is_odd, score))}


# --- one digit is normal ---


def nearest_pixels(train: np.ndarray, test: np.ndarray, _seed: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=5).fit(train.reshape(len(train), -1) / 255.0)
    return model.kneighbors(test.reshape(len(test), -1) / 255.0)[0].mean(1)


def principal(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    model = PCA(30, random_state=seed).fit(train.reshape(len(train), -1) / 255.0)
    flat = test.reshape(len(test), -1) / 255.0
    return np.square(flat - model.inverse_transform(model.transform(flat))).mean(1)


def gantools(train: np.ndarray, test: np.ndarray, seed: int, **arguments: Any) -> np.ndarray:
    from gantools.score.image_scorer import ImageScorer

    return ImageScorer(random_state=seed, **arguments).fit(train).anomaly_score(test)


def mnist(folder: Path, digits: Sequence[int], seeds: Sequence[int], arguments: dict[str, Any]) -> pd.DataFrame:
    with np.load(folder / "images" / "mnist.npz") as held:
        x_train, y_train, x_test, y_test = (held[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    methods: dict[str, Callable[..., np.ndarray]] = {"5-NN on pixels": nearest_pixels, "PCA": principal}
    rows = []
    for digit in digits:
        for seed in seeds:
            for name in (*methods, "gantools"):
                train = x_train[y_train == digit]
                began = time.perf_counter()
                if name == "gantools":
                    score = gantools(train, x_test, seed, **arguments)
                else:
                    score = methods[name](train, x_test, seed)
                found = figures(y_test != digit, score) | {"seconds": time.perf_counter() - began}
                rows.append({"normal": str(digit), "seed": seed, "method": name, **found})
                tell(rows[-1])
    return pd.DataFrame(rows)


# --- magnetic tiles ---


@contextmanager
def unpacked(folder: Path) -> Iterator[dict[str, Path]]:
    """The folders of photos by kind; archives are unpacked for the while."""
    with tempfile.TemporaryDirectory() as name:
        for archive in sorted(folder.rglob("*.tar*")):
            if "magnetic" in archive.name:
                with tarfile.open(archive) as held:
                    held.extractall(name, filter="data")
        found = {
            path.name: path
            for root in (folder, Path(name))
            for path in root.rglob("MT_*")
            if path.is_dir() and path.name in KINDS
        }
        yield found


def photos(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpg"))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def small(heat: np.ndarray) -> np.ndarray:
    image = Image.fromarray(heat.astype(np.float32), mode="F")
    return np.asarray(image.resize((PIXEL_SIDE, PIXEL_SIDE), Image.Resampling.BILINEAR))


def patch_memory(train: Sequence[np.ndarray], test: Sequence[np.ndarray], seed: int) -> Iterator[tuple[float, Any]]:
    """Scores and maps by a plain memory of patches."""
    import torch
    import torch.nn.functional as F

    from gantools.nn.efficientnet import load_efficientnet

    net = load_efficientnet()

    @torch.no_grad()
    def looks(image: np.ndarray) -> torch.Tensor:
        sized = np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR))
        x = torch.from_numpy(sized.copy()).float().expand(1, 3, 224, 224) / 127.5 - 1
        fine, coarse = net.stages(x)[1:3]
        both = torch.cat([fine, F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)], 1)
        return F.avg_pool2d(both, 3, 1, 1)[0].flatten(1).T

    known = torch.cat([looks(image) for image in train])
    chosen = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))[:10_000]
    known = known[chosen]
    for image in test:
        heat = torch.cdist(looks(image), known).amin(1).reshape(28, 28)
        yield float(heat.max()), heat.numpy()


def own(
    train: Sequence[np.ndarray], test: Sequence[np.ndarray], seed: int, arguments: dict[str, Any]
) -> Iterator[tuple[float, Any]]:
    from gantools.score.image_scorer import ImageScorer

    scorer = ImageScorer(random_state=seed, **arguments).fit(train)
    for found in scorer.assess(test):
        yield found.anomaly_score, found.heat


def tiles(folder: Path, features: Sequence[str], seeds: Sequence[int], arguments: dict[str, Any]) -> pd.DataFrame:
    rows = []
    with unpacked(folder) as kinds:
        if set(kinds) != set(KINDS):
            raise SystemExit(f"there are no {', '.join(KINDS)} below {folder}")
        free = photos(kinds["MT_Free"])
        odd = photos(kinds["MT_Blowhole"]) + photos(kinds["MT_Crack"])
        for seed in seeds:
            order = np.random.default_rng(seed).permutation(len(free))
            train = [pixels(free[k]) for k in order[: len(free) // 2]]
            tested = [free[k] for k in order[len(free) // 2 :]] + odd
            test = [pixels(path) for path in tested]
            is_odd = np.array([path in set(odd) for path in tested])
            masks = [pixels(path.with_suffix(".png")) > 127 if path in set(odd) else None for path in tested]
            truth = np.stack([
                np.zeros((PIXEL_SIDE, PIXEL_SIDE), bool) if mask is None else small(mask) > 0.5 for mask in masks
            ])  # fmt: skip
            for name in ("patch memory", *(f"gantools {kind}" for kind in features)):
                began = time.perf_counter()
                if name == "patch memory":
                    found = patch_memory(train, test, seed)
                else:
                    found = own(train, test, seed, {**arguments, "features": name.split()[1]})
                scores, heats = zip(*((score, small(heat)) for score, heat in found), strict=True)
                score = np.array(scores)
                figured = figures(is_odd, score) | {"pixel_auc": auc(truth.ravel(), np.stack(heats).ravel())}
                rows.append({
                    "normal": "tiles", "seed": seed, "method": name, **figured,
                    "seconds": time.perf_counter() - began,
                })  # fmt: skip
                tell(rows[-1])
    return pd.DataFrame(rows)


def tell(row: dict[str, Any]) -> None:
    said = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if isinstance(value, float))
    print(f"{row['normal']:6} seed {row['seed']}  {row['method']:20} {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = os.environ.get("GANTOOLS_DATA")
    default = Path(given) if given else HERE.parent.parent.parent / "shared" / "data"
    parser.add_argument("what", choices=["mnist", "tiles"])
    parser.add_argument("--data", type=Path, default=default, help="folder of data (default: the shared one)")
    parser.add_argument("--digits", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("--features", default="own,perceptual")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--steps", type=int, help="of training (default: the model's own)")
    parser.add_argument("--csv", help="write the single measurements here")
    asked = parser.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    arguments = {} if asked.steps is None else {"steps": asked.steps}
    if asked.what == "mnist":
        found = mnist(asked.data, [int(digit) for digit in asked.digits.split(",")], seeds, arguments)
    else:
        found = tiles(asked.data, asked.features.split(","), seeds, arguments)
    names = [name for name in ("auc", "ap", "pixel_auc", "seconds") if name in found]
    print(found.groupby("method", sort=False)[names].mean().round(4).to_string())
    if asked.csv:
        found.to_csv(asked.csv, index=False)


if __name__ == "__main__":
    main()
