"""Making images with a saved generator."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gantools.config import check_memory
from gantools.data.images.folder import check_class_names, new_image_folder
from gantools.words import count
from gantools.workflow.augmenting import match_label
from gantools.workflow.generate import GenerateResult, Request


def run(request: Request, generator: Any, output: Path) -> GenerateResult:
    """Make images and write them into a folder with a sub-folder for each class."""
    schema = generator.schema_
    check_class_names(schema.classes, "generator")
    layout = generator.encoder_.layout
    check_memory(request.n * layout.channels * layout.size**2, "n", f"{count(request.n, 'image')}")
    counts: int | dict[str, int] = request.n
    if (label := request.label("folder")) is not None:
        counts = {match_label(schema.classes, label, "where"): request.n}
    images, codes = generator.sample(counts, seed=request.seed)
    names = [schema.classes[code] for code in codes.tolist()]
    with new_image_folder(output) as folder:
        for image, name in zip(images.movedim(1, 3).numpy(), names, strict=True):
            folder.synthetic(image, name, request.seed)
    made = Counter(names)
    return GenerateResult(output=output, target="folder", samples="images", whole="images", counts=made)
