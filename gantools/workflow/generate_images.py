"""Making images with a saved generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantools.augment.labels import wanted_labels
from gantools.augment.latent import between, check_truncation, from_seeds, noise_of, seeds_of_run
from gantools.config import check_memory
from gantools.data.images.folder import check_class_names, new_image_folder
from gantools.data.images.source import as_png
from gantools.errors import ConfigError
from gantools.files import write_file
from gantools.words import count
from gantools.workflow.augmenting import match_label
from gantools.workflow.generate import GenerateResult, Request

STEPS = 9  # of a strip where no number is asked for


def run(request: Request, generator: Any, output: Path) -> GenerateResult:
    """Make images and write them into a folder with a sub-folder for each class; an interpolation as one picture."""
    if request.embeddings is not None:
        raise ConfigError("this generator takes no vectors", where="embeddings", remedy="leave it out")
    classes = generator.schema_.classes
    label = request.label("folder")
    asked = None if label is None else match_label(classes, label, "where")
    check_truncation(request.truncation, generator.truncates)
    if request.strip is not None:
        return _strip(request, generator, output, asked)
    check_class_names(classes, "generator")
    if request.seeds is None:
        assert request.n is not None
        n = request.n
        _check_memory(generator, n, "n")
        counts: int | dict[str, int] = n if asked is None else {asked: n}
        images, codes = generator.sample(counts, seed=request.seed, truncation=request.truncation)
        seeds: Sequence[int] = seeds_of_run(request.seed, n)
    else:
        of_class = _codes(generator, asked)
        _check_memory(generator, len(of_class) * len(request.seeds), "seeds")
        codes, seeds = of_class.repeat_interleave(len(request.seeds)), request.seeds * len(of_class)
        images = from_seeds(generator, codes, seeds, request.truncation)
    names = [classes[code] for code in codes.tolist()]
    with new_image_folder(output) as folder:
        for image, name, seed in zip(images.movedim(1, 3).numpy(), names, seeds, strict=True):
            folder.generated(image, name, seed)
    return GenerateResult(output=output, target="folder", samples="images", whole="images", counts=Counter(names))


def _strip(request: Request, generator: Any, output: Path, asked: str | None) -> GenerateResult:
    """A row of images for each class, from that of one seed to that of the other."""
    assert request.strip is not None
    n = STEPS if request.n is None else request.n
    codes = _codes(generator, asked)
    _check_memory(generator, len(codes) * n, "n")
    one, other = noise_of(request.strip, generator.noise_width)
    if request.style_mix is not None:
        if request.onnx is not None:
            raise ConfigError("an exported generator does not mix styles", where="style_mix", remedy="give its folder")
        made = [generator.mixed(one, other, code.expand(n), n) for code in codes]
    else:
        noise = between(one, other, n)
        made = [generator.from_noise(noise, code.expand(n), request.truncation) for code in codes]
    rows = [images.movedim(1, 3) for images in made]
    strip = torch.cat([row.transpose(0, 1).flatten(1, 2) for row in rows])  # [classes * S, n * S, C]
    with write_file(output) as file:
        file.write(as_png(strip.numpy()))
    counts = {generator.schema_.classes[code]: n for code in codes.tolist()}
    return GenerateResult(output=output, target="folder", samples="images", whole="images", counts=counts)


def _codes(generator: Any, asked: str | None) -> Tensor:
    """The codes of the class that is asked for, or of all that were learned."""
    classes, counts = generator.schema_.classes, generator.class_counts_
    each = {name: 1 for name, n in zip(classes, counts, strict=True) if n} if asked is None else {asked: 1}
    return torch.from_numpy(wanted_labels(each, classes, counts, "image"))


def _check_memory(generator: Any, n: int, where: str) -> None:
    layout = generator.encoder_.layout
    check_memory(n * layout.channels * layout.size**2, where, count(n, "image"))
