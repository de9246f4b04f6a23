"""Making images with a saved generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from gantools.augment.labels import proportional
from gantools.data.images.folder import check_class_names, new_image_folder
from gantools.workflow.augmenting import match_label
from gantools.workflow.generate import GenerateResult, Request


def run(request: Request, generator: Any) -> GenerateResult:
    """Make images and write them into a folder with a sub-folder for each class."""
    assert request.output is not None
    schema = generator.schema_
    check_class_names(schema.classes, "generator")
    if (label := request.label("folder")) is not None:
        counts = {match_label(schema.classes, label, "where"): request.n}
    else:
        split = zip(schema.classes, proportional(schema.counts, request.n), strict=True)
        counts = {name: n for name, n in split if n}
    images, codes = generator.sample(counts, seed=request.seed)
    with new_image_folder(request.output) as folder:
        for image, code in zip(np.moveaxis(np.asarray(images), 1, 3), np.asarray(codes).tolist(), strict=True):
            folder.synthetic(image, schema.classes[code], request.seed)
    return GenerateResult(output=request.output, target="folder", samples="images", whole="images", counts=counts)
