"""Pictures to pictures, each task beside the plain method, and beside the twin without the adversary.

denoise   `unet` learns from train400 (grey) with noise of 25 grey levels. PSNR on BSD68 beside total variation.
superres  `srgan`, four times as large, learns from train400. Luminance PSNR on Set5 beside bicubic; a perceptual
          distance, and what the critic gives and takes.
inpaint   `inpaint` on CIFAR's four classes, a square of a quarter of the picture missing. PSNR inside the hole beside
          biharmonic filling, and how often a CNN reads the filled pictures right.
derain    `unet` learns from train400 with made rain. PSNR on BSD68 beside the rainy picture.
colour    grey to colour on sun80 (60 train, 20 test) and on CIFAR. PSNR of chroma, and FID.
paired    edges to digits (MNIST) and edges to CIFAR's pictures by `pix2pix`: FID on test pairs beside the L1 twin.
unpaired  MNIST to inverted and turned MNIST by `cyclegan`: how often a CNN of the turned digits reads a translated one.
parity    an exported file against the library on 200 pictures of odd sizes.
photo     a photo of 4,000 x 3,000 pixels, denoised: seconds and peak memory.
speed     one picture of 256 x 256, exported against eager PyTorch.

    python benchmarks/images/translation.py denoise [--seconds 3600] [--save DIR]
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from peers import data_folder

from gantools.data.images.schema import ImageSchema
from gantools.encode.pictures import Pictures, TranslationSet
from gantools.evaluate.image_quality import frechet_distance
from gantools.evaluate.plain import biharmonic, fitted_total_variation
from gantools.evaluate.restoration import (
    PerceptualDistance,
    psnr,
    psnr_chroma,
    psnr_inside,
    psnr_luminance,
    ssim,
)
from gantools.nn.degradations import Degradations
from gantools.nn.features import NetFeatures, features_of
from gantools.train.image_classifier import probabilities, train_classifier
from gantools.train.monitor import Progress
from gantools.transform.translator import ImageTranslator

Bytes = npt.NDArray[np.uint8]
TURN = 30  # degrees that the digits of the second domain are turned by
TESTED = 2000  # test pictures of each kind, at most
JUDGE_STEPS = 1000  # of the CNNs that read pictures


# --- data ---


@cache
def unpacked(name: str) -> Path:
    """The folder of a .tar of pictures, for as long as this runs."""
    folder = Path(_temporary().name) / name
    with tarfile.open(data_folder("images") / f"{name}.tar") as tar:
        tar.extractall(folder, filter="data")
    return folder


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def read(folder: Path, mode: str) -> list[Bytes]:
    """Pictures [H, W, C] of a folder, in the order of their names."""
    found = []
    for path in sorted(folder.iterdir()):
        pixels = np.asarray(Image.open(path).convert(mode))
        found.append(pixels if pixels.ndim == 3 else pixels[:, :, None])
    return found


def restoration(part: str, mode: str) -> list[Bytes]:
    return read(unpacked("restoration_dev") / part, mode)


def cifar(part: str) -> tuple[Tensor, Tensor]:
    """Pictures [N, 3, 32, 32] uint8 of four classes, and labels [N]."""
    pictures, label = [], []
    for k, folder in enumerate(sorted((unpacked("cifar10_4class") / part).iterdir())):
        of_class = read(folder, "RGB")
        pictures += of_class
        label += [k] * len(of_class)
    return torch.from_numpy(np.stack(pictures)).movedim(3, 1).contiguous(), torch.tensor(label)


def mnist(part: str) -> tuple[Tensor, Tensor]:
    """Images [N, 1, 28, 28] uint8 and labels [N]."""
    with np.load(data_folder("images") / "mnist.npz") as arrays:
        return torch.from_numpy(arrays[f"x_{part}"]).unsqueeze(1), torch.from_numpy(arrays[f"y_{part}"]).long()


def tested(images: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """At most `TESTED` of these, of all classes alike: the files have them one behind the other."""
    step = -(-len(images) // TESTED)
    return images[::step], label[::step]


def in_memory(pictures: Sequence[Bytes] | Tensor) -> tuple[Pictures, ImageSchema]:
    if not isinstance(pictures, Tensor):
        sizes = [(one.shape[0], one.shape[1]) for one in pictures]
        found = Pictures.of(pictures, sizes, pictures[0].shape[2])
    else:
        found = Pictures.stacked(pictures)
    height, width = ((int(x.min()), int(x.median()), int(x.max())) for x in (found.height, found.width))
    return found, ImageSchema(found.channels, None, (), (), len(found), width, height, formats={})


def clean(pictures: Sequence[Bytes] | Tensor) -> TranslationSet:
    targets, schema = in_memory(pictures)
    return TranslationSet("clean", None, schema, None, targets)


def two_sets(layout: Any, sources: Tensor, targets: Tensor) -> TranslationSet:
    (one, of_one), (other, of_other) = in_memory(sources), in_memory(targets)
    return TranslationSet(layout, of_one, of_other, one, other)


# --- what all parts do ---


def say(progress: Progress) -> None:
    if progress.step % 1000 == 0:
        losses = " ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        print(f"  step {progress.step}, {progress.seconds:.0f} s: {losses} {progress.health}", flush=True)


def trained(
    options: argparse.Namespace,
    model: str,
    data: TranslationSet,
    set_: dict[str, Any],
    degrade: Any = None,
    **more: Any,
) -> ImageTranslator:
    """A translator that has learned for --seconds."""
    train = ImageTranslator.default_train(
        budget_s=options.seconds, steps=options.steps, precision=options.precision, seed=options.seed, **more
    )
    set_ = {**set_, **dict(pair.split("=") for pair in options.set)}
    made = ImageTranslator(model, set_, degrade, options.size, train).fit(data, progress=say)
    print(f"{model} {set_}: {made.report_.steps} steps in {made.report_.seconds:.0f} s", flush=True)
    if options.save:
        made.save(options.save)
    return made


def degraded(pictures: Sequence[Bytes], spelled: Sequence[str], seed: int = 1) -> list[Bytes]:
    """Copies made worse, as files hold them: [H, W, C], with a mask behind the channels where there are holes."""
    worse, random = Degradations.parse(list(spelled)), torch.Generator().manual_seed(seed)
    found = []
    for picture in pictures:
        x = torch.from_numpy(picture.copy()).movedim(2, 0).unsqueeze(0).float() / 127.5 - 1
        y = ((worse(x, random) + 1) * 127.5).round().clamp(0, 255)
        found.append(y[0].movedim(0, 2).to(torch.uint8).numpy())
    return found


def many(translator: ImageTranslator, given: Tensor, *, reverse: bool = False) -> Tensor:
    """Pictures [N, C, H, W] uint8 of pictures of one size, as nets see them in batches: with masks where there are."""
    model, found = translator.translator_.eval(), []
    with torch.no_grad():
        for part in torch.split(given, 128):
            made = model.transform(part.to(translator.device_).float() / 127.5 - 1, reverse=reverse)
            found.append(((made.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu())
    return torch.cat(found)


def reader(images: Tensor, label: Tensor, n_classes: int) -> Any:
    return train_classifier(images, label, n_classes, steps=JUDGE_STEPS)


def right(net: Any, images: Tensor, label: Tensor) -> float:
    return float((probabilities([net], images)[0].argmax(1) == label).float().mean())


def fid(net: Any, real: Tensor, made: Tensor) -> float:
    features = NetFeatures("a CNN of the training pictures", net, net.features)
    return frechet_distance(features_of(features, real), features_of(features, made))


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


# --- the parts ---


def denoise(options: argparse.Namespace) -> pd.DataFrame:
    learned, test = restoration("train400", "L"), restoration("bsd68", "L")
    noisy = degraded(test, ["noise=25"])
    maker = trained(options, "unet", clean(learned), {"width": 64, "lr": 8e-4}, ["noise=25"])
    ways: dict[str, Callable[[Bytes], Bytes]] = {"noisy": lambda x: x, "gantools unet": maker.transform}
    some = learned[:20]
    ways["total variation"] = fitted_total_variation(list(zip(degraded(some, ["noise=25"], 2), some, strict=True)))
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError:
        print("scikit-image is not installed: no non-local means")
    else:
        ways["non-local means"] = lambda x: np.rint(
            255 * denoise_nl_means(x[:, :, 0] / 255, h=0.6 * 25 / 255, sigma=25 / 255, fast_mode=False)
        ).clip(0, 255).astype(np.uint8)[:, :, None]  # fmt: skip
    rows = []
    for name, way in ways.items():
        made = [way(one) for one in noisy]
        pairs = list(zip(made, test, strict=True))
        rows.append({"method": name, "psnr": mean([psnr(*p) for p in pairs]), "ssim": mean([ssim(*p) for p in pairs])})
    return pd.DataFrame(rows)


def superres(options: argparse.Namespace) -> pd.DataFrame:
    scale = 4
    learned = restoration("train400", "L")
    test = [one[: one.shape[0] // scale * scale, : one.shape[1] // scale * scale] for one in restoration("set5", "RGB")]
    small = degraded(test, [f"smaller={scale}"])
    distance = PerceptualDistance()
    rows = []

    def judged(name: str, made: Sequence[Bytes]) -> None:
        pairs = list(zip(made, test, strict=True))
        rows.append({
            "method": name,
            "psnr_y": mean([psnr_luminance(*pair, border=scale) for pair in pairs]),
            "perceptual": mean([distance(*pair) for pair in pairs]),
        })  # fmt: skip
        print(rows[-1], flush=True)

    def enlarged(maker: ImageTranslator) -> list[Bytes]:
        """A model of grey pictures enlarges the luminance, and bicubic the colours, as papers do."""
        found = []
        for one in small:
            parts = Image.fromarray(one).convert("YCbCr").split()
            size = (one.shape[1] * scale, one.shape[0] * scale)
            light = Image.fromarray(maker.transform(np.asarray(parts[0])[:, :, None])[:, :, 0])
            colours = [part.resize(size, Image.Resampling.BICUBIC) for part in parts[1:]]
            found.append(np.asarray(Image.merge("YCbCr", (light, *colours)).convert("RGB")))
        return found

    judged("bicubic", [
        np.asarray(Image.fromarray(one).resize((one.shape[1] * scale, one.shape[0] * scale), Image.Resampling.BICUBIC))
        for one in small
    ])  # fmt: skip
    for name, weight in (("twin without adversary", 0.0), ("gantools srgan", None)):
        set_ = {"scale": scale, "lr": 8e-4} | ({} if weight is None else {"adversarial": weight})
        judged(name, enlarged(trained(options, "srgan", clean(learned), set_)))
    return pd.DataFrame(rows)


def inpaint(options: argparse.Namespace) -> pd.DataFrame:
    (learned, label), (test, test_label) = cifar("train"), tested(*cifar("test"))
    random = torch.Generator().manual_seed(1)
    top, left = (torch.randint(0, 17, (len(test), 1, 1), generator=random) for _ in range(2))
    row, column = torch.arange(32).reshape(1, -1, 1), torch.arange(32).reshape(1, 1, -1)
    hole = (row >= top) & (row < top + 16) & (column >= left) & (column < left + 16)
    given = torch.cat(
        [test.where(~hole.unsqueeze(1), torch.tensor(128, dtype=torch.uint8)), hole.unsqueeze(1) * 255], 1
    )
    ways = {"biharmonic": torch.from_numpy(np.stack([
        biharmonic(one[:3].movedim(0, 2).numpy(), mask.numpy()) for one, mask in zip(given, hole, strict=True)
    ])).movedim(3, 1)}  # fmt: skip
    for name, weight in (("twin without adversary", 0.0), ("gantools inpaint", None)):
        set_ = {"lr": 8e-4} | ({} if weight is None else {"adversarial": weight})
        maker = trained(options, "inpaint", clean(learned), set_, ["holes=0.2-0.3"], batch_size=32)
        ways[name] = many(maker, given.to(torch.uint8))
    judge = reader(learned, label, 4)
    rows = [{"method": "untouched", "psnr_inside": math.inf, "read_right": right(judge, test, test_label)}]
    for name, made in ways.items():
        triples = zip(made.movedim(1, 3).numpy(), test.movedim(1, 3).numpy(), hole.numpy(), strict=True)
        rows.append({
            "method": name,
            "psnr_inside": mean([psnr_inside(*triple) for triple in triples]),
            "read_right": right(judge, made, test_label),
            "fid": fid(judge, test, made),
        })  # fmt: skip
    return pd.DataFrame(rows)


def derain(options: argparse.Namespace) -> pd.DataFrame:
    learned, test = restoration("train400", "L"), restoration("bsd68", "L")
    rainy = degraded(test, ["rain"])
    maker = trained(options, "unet", clean(learned), {"width": 64, "lr": 8e-4}, ["rain"])
    rows = []
    for name, made in (("rainy", rainy), ("gantools unet", [maker.transform(one) for one in rainy])):
        pairs = list(zip(made, test, strict=True))
        rows.append({"method": name, "psnr": mean([psnr(*p) for p in pairs]), "ssim": mean([ssim(*p) for p in pairs])})
    return pd.DataFrame(rows)


def colour(options: argparse.Namespace) -> pd.DataFrame:
    photos = restoration("sun80", "RGB")
    order = np.random.default_rng(0).permutation(len(photos))
    (learned, label), (test, _) = cifar("train"), tested(*cifar("test"))
    judge = reader(learned, label, 4)
    rows = []
    for where in ("cifar", "sun80"):
        if options.data not in (None, where):
            continue
        if where == "cifar":
            data, truth, how = clean(learned), list(test.movedim(1, 3).numpy()), {"n_levels": 4}
            weight_of_critic = 0.03
        else:  # photos need crops about as large as what a net sees
            data, truth, how = clean([photos[k] for k in order[:60]]), [photos[k] for k in order[60:]], {"n_levels": 3}
            options.size, weight_of_critic = options.size or 128, 0.003
        grey = degraded(truth, ["grey"])
        ways = {"grey": [one.repeat(3, 2) for one in grey]}
        for name, weight in (("twin without adversary", 0.0), ("gantools unet", weight_of_critic)):
            maker = trained(options, "unet", data, {"adversarial": weight, **how}, ["grey"])
            ways[name] = [maker.transform(one) for one in grey]
        for name, made in ways.items():
            chroma = mean([psnr_chroma(*pair) for pair in zip(made, truth, strict=True)])
            rows.append({"data": where, "method": name, "psnr_chroma": chroma,
                         "fid": fid(judge, squares(truth), squares(made))})  # fmt: skip
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def squares(pictures: Sequence[Bytes], side: int = 32) -> Tensor:
    """Pictures of 32 pixels: as they are, or squares of twice the side out of larger ones, halved."""
    found = []
    for one in pictures:
        x = torch.from_numpy(one.copy()).movedim(2, 0).float()
        if x.shape[1] > side:
            tall, wide = (n // (2 * side) * (2 * side) for n in x.shape[1:])
            x = x[:, :tall, :wide].unfold(1, 2 * side, 2 * side).unfold(2, 2 * side, 2 * side)
            x = F.avg_pool2d(x.permute(1, 2, 0, 3, 4).flatten(0, 1), 2)
            found += list(x)
        else:
            found.append(x)
    return torch.stack(found).round().to(torch.uint8)


def edges(images: Tensor) -> Tensor:
    """Outlines, white on black: [N, 1, H, W] uint8, where the slope of the brightness is steep."""
    grey = images.float().mean(1, keepdim=True)
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    slope = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), torch.stack([sobel, sobel.T]).unsqueeze(1))
    return ((slope.square().sum(1, keepdim=True).sqrt() > 25) * 255).to(torch.uint8)


def paired(options: argparse.Namespace) -> pd.DataFrame:
    rows = []
    for where, part, n_classes in (("mnist", mnist, 10), ("cifar", cifar, 4)):
        if options.data not in (None, where):
            continue
        (learned, label), (test, test_label) = part("train"), tested(*part("test"))
        judge = reader(learned, label, n_classes)
        for name, weight in (("L1 twin", 0.0), ("gantools pix2pix", None)):
            set_ = {} if weight is None else {"adversarial": weight}
            maker = trained(options, "pix2pix", two_sets("pairs", edges(learned), learned), set_, batch_size=32)
            made = many(maker, edges(test))
            apart = (made.float() - test).square().mean((1, 2, 3)).clamp(min=1e-3)
            rows.append({
                "data": where, "method": name, "fid": fid(judge, test, made),
                "psnr": float((10 * torch.log10(255**2 / apart)).mean()), "read_right": right(judge, made, test_label),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def unpaired(options: argparse.Namespace) -> pd.DataFrame:
    (learned, label), (test, test_label) = mnist("train"), tested(*mnist("test"))
    first, second = slice(0, None, 2), slice(1, None, 2)  # no digit is in both sets
    judge = reader(turned(learned[second]), label[second], 10)
    maker = trained(
        options, "cyclegan", two_sets("unpaired", learned[first], turned(learned[second])), {}, batch_size=32
    )
    made = many(maker, test)
    back = many(maker, made, reverse=True)
    return pd.DataFrame([
        {"method": "the digits as they are", "read_right": right(judge, test, test_label)},
        {"method": "real ones of the second domain", "read_right": right(judge, turned(test), test_label)},
        {"method": "gantools cyclegan", "read_right": right(judge, made, test_label),
         "grey_levels_lost": float((back.float() - test).abs().mean())},
    ])  # fmt: skip


def turned(images: Tensor) -> Tensor:
    """Digits black on white, turned."""
    found = [Image.fromarray(one[0].numpy()).rotate(TURN, Image.Resampling.BILINEAR) for one in images]
    return 255 - torch.from_numpy(np.stack([np.asarray(one) for one in found])).unsqueeze(1)


def parity(options: argparse.Namespace) -> pd.DataFrame:
    from gantools.export.file import export_model
    from gantools.export.runtime import load_exported

    maker = saved(options)
    rng = np.random.default_rng(0)
    photos = restoration("sun80", "RGB" if maker.schema_.channels == 3 else "L")
    largest, n_off, n_pixels = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        export_model(maker, Path(folder) / "model.onnx")
        file: Any = load_exported(Path(folder) / "model.onnx", "cpu")
        for k in range(200):
            photo = photos[k % len(photos)]
            height, width = (int(rng.integers(1, n)) for n in photo.shape[:2])
            picture = np.ascontiguousarray(photo[:height, :width])
            mask = (rng.random(picture.shape[:2]) < 0.2,) if maker.fills_holes_ else ()
            off = np.abs(file.transform(picture, *mask).astype(int) - maker.transform(picture, *mask))
            largest, n_off, n_pixels = max(largest, int(off.max())), n_off + int((off > 0).sum()), n_pixels + off.size
    return pd.DataFrame([{"pictures": 200, "largest": largest, "differing": n_off, "of": n_pixels}])


def saved(options: argparse.Namespace) -> ImageTranslator:
    """The translator of --save, or a denoiser trained for a minute."""
    if options.save and (Path(options.save) / "config.json").exists():
        return ImageTranslator.load(options.save, "cpu")
    options.seconds = options.seconds or 60.0
    return trained(options, "unet", clean(restoration("train400", "L")), {}, ["noise=25"])


def photo(options: argparse.Namespace) -> pd.DataFrame:
    """In a process of its own, by the command line."""
    maker = saved(options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maker.save(folder / "model")
        part = Image.fromarray(restoration("set5", "L")[0][:, :, 0]).resize((4000, 3000), Image.Resampling.BICUBIC)
        part.save(folder / "photo.png")
        command = [
            Path(sys.executable).parent / "gantools",
            "transform",
            folder / "photo.png",
            "--from",
            folder / "model",
        ]
        started = time.perf_counter()
        subprocess.run([*map(str, command), "-o", str(folder / "out.png")], check=True)
        took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return pd.DataFrame([{"pixels": "4000 x 3000", "seconds": took, "peak_GiB": peak / 2**20}])


def speed(options: argparse.Namespace) -> pd.DataFrame:
    from gantools.export.file import export_model
    from gantools.export.runtime import load_exported

    maker = saved(options)
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, maker.schema_.channels), dtype=np.uint8)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        export_model(maker, Path(folder) / "model.onnx")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            file: Any = load_exported(Path(folder) / "model.onnx", "cpu", threads=threads)
            seconds: dict[str, list[float]] = {"eager": [], "exported": []}
            for _ in range(15):
                for name, run in (("eager", maker.transform), ("exported", file.transform)):
                    started = time.perf_counter()
                    run(picture)
                    seconds[name].append(time.perf_counter() - started)
            eager, exported = (float(np.median(each)) for each in seconds.values())
            rows.append({"threads": threads, "eager_ms": 1e3 * eager, "exported_ms": 1e3 * exported,
                         "times_as_fast": eager / exported})  # fmt: skip
    return pd.DataFrame(rows)


PARTS = {
    part.__name__: part for part in (denoise, superres, inpaint, derain, colour, paired, unpaired, parity, photo, speed)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seconds", type=float, help="of each training  [default: the model's number of steps]")
    parser.add_argument("--steps", type=int, help="of each training")
    parser.add_argument("--precision", default="auto", help="of training: bf16 is faster on CPUs that have it")
    parser.add_argument("--size", type=int, help="pixels of each side of crops")
    parser.add_argument("--set", action="append", default=[], help="an option of the models, KEY=VALUE")
    parser.add_argument("--data", choices=("mnist", "cifar", "sun80"), help="of `paired` and `colour`: this set alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help="where the last translator goes, or is read from")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    if options.seconds is not None and options.steps is None:
        options.steps = 10**6
    table = PARTS[options.part](options)
    print(table.round(4).to_string(index=False))
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
