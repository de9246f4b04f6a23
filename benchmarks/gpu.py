"""What a GPU gives, in one command of under eight minutes: training, generating, onnxruntime against PyTorch.

training    steps and samples a second of the generators of rows and of images, in float32 and in bfloat16, and the
            share of the roofline that this is
generating  rows and images a second of `sample`, as users call it: decoded, on the CPU at the end
exported    the same generator in onnxruntime and in PyTorch, both from noise on the host to a result on the host

The roofline is measured, not looked up: `peak` is the rate of a large matrix product in that precision (float32 without
TF32, as the library leaves it), `memory` that of copying a large tensor. A step takes at least the time of its products
and convolutions at the peak, or of moving the parameters, their gradients and the optimiser's state through memory,
whichever is longer; the share is that time divided by the measured one. What is stored between layers is not counted,
so a share is on the low side. Data are made up here: speed does not depend on what is in them.

    python benchmarks/gpu.py                             # on the first GPU; exits 2 where there is none
    python benchmarks/gpu.py --device cpu --seconds 1    # a quick try of the script itself
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gantools.augment.image_synthesizer import ImageSynthesizer
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.errors import GantoolsError
from gantools.export.file import export_model
from gantools.export.kinds.image_generator import ExportedImageGenerator
from gantools.export.kinds.table_generator import ExportedGenerator
from gantools.export.runtime import load_exported
from gantools.models.base import GAN, Batch
from gantools.nn.conditioning import Condition

LIMIT_S = 480.0  # of the whole command
N_ROWS = 20_000
N_IMAGES = 5_000
CLASSES = tuple("abcdefghij")
IMAGE_MODELS = ("dcgan", "lean", "r3gan")
PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16}
WARM_STEPS = 20
# Bytes through memory in an update of a float32 parameter by Adam: the gradient written and read, the parameter and
# two moments read and written.
BYTES_PER_PARAMETER = 4 * (2 + 2 * 3)


@dataclass(frozen=True)
class Figure:
    """One measurement. share: of the roofline, where it makes sense."""

    part: str
    what: str
    value: float
    unit: str
    share: float | None = None


@dataclass(frozen=True)
class Roofline:
    """What the device can do at most. peak: operations a second, by precision. memory: bytes a second."""

    peak: dict[str, float]
    memory: float

    def least_s(self, operations: float, n_bytes: float, precision: str) -> float:
        """Seconds that so much work takes at least."""
        return max(operations / self.peak[precision], n_bytes / self.memory)


def wait(device: torch.device) -> None:
    """Until all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def per_second(work: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """How often the work is done in a second, after a first time that does not count."""
    work()
    wait(device)
    n, started = 0, time.perf_counter()
    while not n or time.perf_counter() - started < seconds:
        work()
        n += 1
        wait(device)
    return n / (time.perf_counter() - started)


def measured_roofline(device: torch.device, seconds: float) -> Roofline:
    side = 8192 if device.type == "cuda" else 512
    peak = {}
    for name, dtype in PRECISIONS.items():
        one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        peak[name] = 2.0 * side**3 * per_second(lambda one=one, other=other: one @ other, device, seconds)
    large = torch.empty(2**28 if device.type == "cuda" else 2**24, dtype=torch.uint8, device=device)
    copied = torch.empty_like(large)
    return Roofline(peak, 2.0 * large.numel() * per_second(lambda: copied.copy_(large), device, seconds))


def table() -> pd.DataFrame:
    """Numbers, whole numbers and words, with a target of two classes."""
    rng = np.random.default_rng(0)
    numbers = {f"number {k}": rng.normal(size=N_ROWS) for k in range(6)}
    counts = {f"count {k}": rng.poisson(3 + k, N_ROWS) for k in range(3)}
    words = {f"word {k}": rng.choice(list("pqrstuvw")[: 3 + k], N_ROWS) for k in range(5)}
    return pd.DataFrame({**numbers, **counts, **words, "target": rng.choice(["no", "yes"], N_ROWS, p=[0.9, 0.1])})


def pictures(size: int) -> ImageSet:
    """Coloured images of ten classes."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (N_IMAGES, 3, size, size), generator=random, dtype=torch.uint8)
    label = torch.arange(N_IMAGES) % len(CLASSES)
    counts = tuple(torch.bincount(label).tolist())
    side = (size, size, size)
    schema = ImageSchema(3, 255, CLASSES, counts, N_IMAGES, width=side, height=side, formats={})
    return ImageSet(schema, ImageEncoder(ImageLayout(3, size)), images, label, "benchmark")


def work_of_a_step(gan: GAN, batch_size: int) -> tuple[float, float]:
    """Operations (products and convolutions, forwards and backwards) and bytes of an optimisation step.

    Counted in training's middle, when every phase runs; a phase that runs each n-th step counts for its share.
    """
    gan = copy.deepcopy(gan).train().requires_grad_(True)
    device = next(gan.parameters()).device
    random = torch.Generator(device).manual_seed(0)
    label = torch.arange(batch_size, device=device) % len(gan.spec.condition.class_counts)
    real = gan.sample(batch_size, Condition(label), random)
    batch = Batch(real, Condition(label), torch.arange(batch_size, device=device), 0.5, random)
    operations = n_bytes = 0.0
    for phase in gan.phases():
        often = phase.repeats / phase.every
        parameters = [p for net in phase.nets for p in getattr(gan, net).parameters()]
        with FlopCounterMode(display=False) as counter:
            torch.autograd.grad(phase.loss(batch), parameters, allow_unused=True)
        operations += often * counter.get_total_flops()
        n_bytes += often * BYTES_PER_PARAMETER * sum(p.numel() for p in parameters)
    return operations, n_bytes


Maker = Synthesizer | ImageSynthesizer
Fit = Callable[[TrainConfig], Maker]


def training(
    name: str, fit: Fit, config: Callable[..., TrainConfig], roofline: Roofline, asked: argparse.Namespace
) -> tuple[list[Figure], Maker]:
    """Figures of training in both precisions, and the generator that the last of them trained."""
    figures: list[Figure] = []
    for precision in PRECISIONS:
        common = {"device": asked.device, "precision": precision, "seed": 0}
        fit(config(**common, steps=WARM_STEPS))  # kernels are chosen and loaded
        # The last look at the run comes after the clock has stopped; there is no other.
        train = config(**common, steps=10**6, budget_s=asked.seconds, eval_every=10**6)
        maker = fit(train)
        steps_per_s = maker.report_.steps / maker.report_.seconds
        least = roofline.least_s(*work_of_a_step(maker.gan_, train.batch_size), precision)
        what = f"{name}, {precision}, batches of {train.batch_size}"
        figures.append(Figure("training", what, steps_per_s, "steps/s", least * steps_per_s))
        figures.append(Figure("training", what, steps_per_s * train.batch_size, "samples/s"))
    return figures, maker


def generating(name: str, maker: Maker, n: int, asked: argparse.Namespace) -> Figure:
    per_call = per_second(lambda: maker.sample(n), torch.device(asked.device), asked.seconds)
    unit = "images/s" if maker.modality == "image" else "rows/s"
    return Figure("generating", f"{name}, {n:,} a call", n * per_call, unit)


def exported(name: str, maker: Maker, n: int, asked: argparse.Namespace) -> list[Figure]:
    """The nets alone, in PyTorch and in onnxruntime. One that onnxruntime does not run on the GPU is not measured."""
    device = torch.device(asked.device)
    with tempfile.TemporaryDirectory() as folder:
        path = export_model(maker, Path(folder) / "generator.onnx").path
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            session = load_exported(path, asked.device)
    assert isinstance(session, ExportedGenerator | ExportedImageGenerator)
    label = np.arange(n) % len(session.class_counts)
    noise = torch.randn(n, session.noise_width, generator=torch.Generator().manual_seed(0))
    feed = session.asked(noise.numpy(), label)
    outputs = [port.name for port in session.session.get_outputs()]
    works: dict[str, Callable[[], Any]] = {
        "PyTorch": in_torch(maker, noise, torch.from_numpy(label)),
        "onnxruntime": lambda: session.session.run(outputs, feed),
    }
    unit = "images/s" if maker.modality == "image" else "rows/s"
    rates = {how: n * per_second(work, device, asked.seconds) for how, work in works.items()}
    figures = [Figure("exported", f"{name}, {how}, {n:,} a call", rate, unit) for how, rate in rates.items()]
    return [
        *figures,
        Figure("exported", f"{name}, onnxruntime / PyTorch", rates["onnxruntime"] / rates["PyTorch"], "times"),
    ]


def in_torch(maker: Maker, noise: Tensor, label: Tensor) -> Callable[[], Any]:
    """From noise on the host to what the exported graph gives, on the host."""
    if isinstance(maker, ImageSynthesizer):
        return lambda: maker.from_noise(noise, label)
    rows, device = maker.row_generator(), maker.device_

    @torch.inference_mode()
    def work() -> list[Tensor]:
        return [part.cpu() for part in rows(noise.to(device), label.to(device))]

    return work


def measured(asked: argparse.Namespace) -> list[Figure]:
    started = time.perf_counter()
    device = torch.device(asked.device)
    roofline = measured_roofline(device, min(2.0, asked.seconds))
    figures = [Figure("roofline", f"peak, {name}", rate / 1e12, "TFLOP/s") for name, rate in roofline.peak.items()]
    figures.append(Figure("roofline", "memory", roofline.memory / 1e9, "GB/s"))
    show(figures)
    frame, images = table(), pictures(asked.size)
    n_rows, n_images = (200_000, 8_192) if device.type == "cuda" else (2_000, 64)

    def images_by(model: str) -> Fit:
        return lambda train: ImageSynthesizer(model, train=train).fit(images)

    jobs: list[tuple[str, Fit, Callable[..., TrainConfig], int]] = [
        ("table", lambda train: Synthesizer(train=train).fit(frame, "target"), Synthesizer.default_train, n_rows),
        *((f"{m} at {asked.size}", images_by(m), ImageSynthesizer.default_train, n_images) for m in asked.models),
    ]
    for name, fit, config, n in jobs:
        if time.perf_counter() - started > LIMIT_S - 6 * asked.seconds - 30:
            print(f"{name} is left out: the eight minutes are nearly over; ask for fewer --seconds", flush=True)
            continue
        found, maker = training(name, fit, config, roofline, asked)
        found.append(generating(name, maker, n, asked))
        show(found)
        try:
            runtimes = exported(name, maker, min(n, 4096), asked)
        except (GantoolsError, RuntimeWarning) as error:
            print(f"{name} is not compared with onnxruntime: {error}", flush=True)
            runtimes = []
        show(runtimes)
        figures += found + runtimes
    return figures


def show(figures: Sequence[Figure]) -> None:
    for one in figures:
        share = "" if one.share is None else f"   {one.share:.1%} of the roofline"
        print(f"{one.part:11} {one.what:44} {one.value:14,.2f} {one.unit}{share}", flush=True)


def written(path: Path, asked: argparse.Namespace, figures: Sequence[Figure]) -> None:
    import onnxruntime

    device = torch.device(asked.device)
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "onnxruntime": onnxruntime.__version__}
    facts = {"device": on, "seconds": asked.seconds, "size": asked.size, **versions}
    path.write_text(
        json.dumps({**facts, "figures": [asdict(one) for one in figures]}, indent=1) + "\n", encoding="utf-8"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ..., or cpu to try the script  [default: cuda]")
    parser.add_argument("--seconds", type=float, default=12.0, help="that each figure is measured for  [default: 12]")
    parser.add_argument(
        "--models", default=",".join(IMAGE_MODELS), help=f"of images  [default: {','.join(IMAGE_MODELS)}]"
    )
    parser.add_argument("--size", type=int, default=32, help="of images, in pixels  [default: 32]")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="file for the figures  [default: gpu.json]")
    asked = parser.parse_args()
    asked.models = [name for name in asked.models.split(",") if name]
    if asked.seconds <= 0:
        parser.error("--seconds must be above 0")
    if asked.device != "cpu" and not torch.cuda.is_available():
        print("there is no GPU that PyTorch can use here; --device cpu tries the script itself", file=sys.stderr)
        return 2
    figures = measured(asked)
    written(asked.json, asked, figures)
    print(f"Written: {asked.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
