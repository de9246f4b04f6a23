"""What a folder of images or an .npz file holds."""

from __future__ import annotations

from collections.abc import Iterator

from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import open_images
from gantools.words import percent
from gantools.workflow.contract import Item, Table, Watch, noted
from gantools.workflow.images import STAGE_CHECK
from gantools.workflow.info import InfoResult, Request
from gantools.workflow.opening import MODALITIES


def run(request: Request, watch: Watch) -> InfoResult:
    """Look at every image, and say what they are."""
    MODALITIES["image"].check_target(request.data, request.target)
    schema = open_images(request.data, on_read=lambda done: watch.done(STAGE_CHECK, done, None, "images")).schema
    facts = {
        "data": request.data,
        "n_images": schema.n_images,
        "schema": schema.to_json(),
        "classes": [{"label": name, "images": n} for name, n in zip(schema.classes, schema.counts, strict=True)],
        "notes": schema.notes(),
    }
    return InfoResult(facts, (str(request.data), *shown(schema), *noted(schema.notes())))


def shown(schema: ImageSchema) -> Iterator[Item]:
    """Formats, sizes and classes."""
    formats = ", ".join(f"{n} {name}" for name, n in schema.formats.items())
    yield f"{schema.n_images} images ({formats})" if formats else f"{schema.n_images} images"
    what = {1: "Grey", 3: "Colour", 4: "Colour and opacity"}[schema.channels]
    width, height = (
        str(low) if low == high else f"{low} to {high} (median {median})"
        for low, median, high in (schema.width, schema.height)
    )
    yield f"{what}, {width} pixels wide, {height} high"
    if schema.classes:
        counts = zip(schema.classes, schema.counts, strict=True)
        rows = tuple((name, n, percent(n / schema.n_images)) for name, n in counts)
        yield Table(("folder", "images", "share"), rows, right=(1, 2))
