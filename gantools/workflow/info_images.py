"""What a folder of images or an .npz file holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gantools.data.images.pairs import PictureSet, open_pictures, sides_of
from gantools.data.images.schema import ImageSchema
from gantools.data.images.source import open_images
from gantools.errors import DataError
from gantools.words import count, percent
from gantools.workflow.contract import Item, Table, Watch, noted
from gantools.workflow.images import STAGE_CHECK
from gantools.workflow.info import InfoResult, Request
from gantools.workflow.opening import MODALITIES


def run(request: Request, watch: Watch) -> InfoResult:
    """Look at every image, and say what they are."""
    MODALITIES["image"].check_target(request.data, request.target)

    def told(done: int) -> None:
        watch.done(STAGE_CHECK, done, None, "images")

    apart = []
    if sides_of(request.data) is not None and request.target is None:
        try:
            return _of_pictures(request.data, open_pictures(request.data, on_read=told))
        except DataError as error:
            apart.append(f"a translator could not learn from folders of these names: {error}")
    schema = open_images(request.data, on_read=told).schema
    facts = {
        "data": request.data,
        "n_images": schema.n_images,
        "schema": schema.to_json(),
        "classes": [{"label": name, "images": n} for name, n in zip(schema.classes, schema.counts, strict=True)],
        "notes": [*schema.notes(), *apart],
    }
    return InfoResult(facts, (str(request.data), *shown(schema), *noted(facts["notes"])))


def _of_pictures(data: Path, pictures: PictureSet) -> InfoResult:
    """What a translator would learn from. The folders may be meant as classes, too."""
    as_classes = f"augment and score take the folders of `{data.name}` as two classes"
    notes = [*pictures.notes(), f"{as_classes} (info --target folder shows them)"]
    facts = {"data": data, "n_images": len(pictures), **pictures.facts(), "notes": notes}
    assert pictures.sources is not None
    many = count(len(pictures), "pair") if pictures.layout == "pairs" else "two sets of pictures without pairs"
    larger = f", B {pictures.scale} times as large as A" if pictures.scale > 1 else ""
    items: list[Item] = [str(data), f"{many[0].upper()}{many[1:]}{larger}"]
    for side in (pictures.sources, pictures.targets):
        items += [f"{side.path.name}:", *shown(side.schema)]
    return InfoResult(facts, (*items, *noted(notes)))


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
