"""`gantools generate`: rows or images from a saved generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, cast

from gantools.config import check
from gantools.errors import ConfigError
from gantools.words import listed, percent
from gantools.workflow.contract import IMAGES, TABLES, Item, Table, Watch, given, plain, refuse_together
from gantools.workflow.in_parts import InParts
from gantools.workflow.opening import MODALITIES, check_meaning, saved_model
from gantools.workflow.places import check_apart, check_png, one_beside


@dataclass(frozen=True, kw_only=True)
class Request(InParts):
    """What to make, and by what.

    n: rows or images in all. folder, onnx: a saved generator, or an exported one. where: "COL=LABEL" for one class
    alone, of images with descriptions "COL=VALUE" of several columns, of rows of any, "COL=LOW..HIGH" of a column of
    numbers, and "COL=" for missing cells; none for the proportions of the training data. fill: a table whose missing
    cells are to be filled, in place of `n`. likely: fill them with what is most likely in place of a draw.
    embeddings: an .npy file with a vector for each image, for a generator that learned from such. output: a table, for
    images a folder; None for a name beside the generator. refine: choose among more rows than are wanted by the
    generator's classifier; None for what suits its model. part_rows: the output is a folder of parts of so many rows,
    for more rows than memory holds. seeds: of images that are to be made again, of
    every class, in place of `n`. interpolate: two seeds; the output is then one picture with a row for each class, of n
    images that change from one into the other. style_mix: the same, layer by layer, by a model with styles. truncation:
    how far images may lie from the middle of their class, 0 to 1, by a model that has one; None for what it was trained
    with.
    """

    n: int | None = None
    folder: Path | None = None
    onnx: Path | None = None
    where: Sequence[str] = ()
    embeddings: Path | None = field(default=None, metadata=IMAGES)
    fill: Path | None = field(default=None, metadata=TABLES)
    likely: bool = field(default=False, metadata=TABLES)
    output: Path | None = None
    refine: bool | None = field(default=None, metadata=TABLES)
    part_rows: int | None = field(default=None, metadata=TABLES)
    seeds: tuple[int, ...] | None = field(default=None, metadata=IMAGES)
    interpolate: tuple[int, int] | None = field(default=None, metadata=IMAGES)
    style_mix: tuple[int, int] | None = field(default=None, metadata=IMAGES)
    truncation: float | None = field(default=None, metadata=IMAGES)
    seed: int = 0
    device: str = "auto"
    force: bool = False

    @property
    def strip(self) -> tuple[int, int] | None:
        """The two seeds of one picture, where that is asked for."""
        return self.interpolate or self.style_mix

    def label(self, target: str) -> str | None:
        """The label that is asked for, as text; None for all. target: the column that `where` must name."""
        if not self.where:
            return None
        if len(self.where) > 1:
            raise ConfigError("is given twice", where="where", remedy=f"ask for one value of {target}")
        column, label = named_value(self.where[0])
        if column != target:
            problem = f"{self.where[0]!r} does not name {target!r}"
            remedy = f"this generator can only be asked for values of it: write {target}=LABEL"
            raise ConfigError(problem, where="where", remedy=remedy)
        return label


def named_value(text: str) -> tuple[str, str]:
    """ "COL=VALUE" in two; a text without a sign of equality names no column."""
    column, sign, value = text.partition("=")
    return (column, value) if sign else ("", text)


@dataclass(frozen=True, kw_only=True)
class GenerateResult:
    """What was made.

    samples: "rows" or "images". whole: what they are. counts: of each label of `target`. repeatable: whether the same
    seed makes the same. share: of the rows that are made without a condition, those that fulfil the one that was given,
    about; None without one. notes: what else people should know.
    """

    output: Path
    target: str
    samples: str
    whole: str
    counts: Mapping[Any, int]
    repeatable: bool = True
    share: float | None = None
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain({
            "output": self.output,
            "target": self.target,
            f"n_{self.samples}": sum(self.counts.values()),
            "classes": [{"label": label, self.samples: n} for label, n in self.counts.items()],
            **({} if self.share is None else {"share": self.share}),
            **({"notes": list(self.notes)} if self.notes else {}),
        })  # fmt: skip
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        yield Table((self.target, self.samples), tuple(self.counts.items()), right=(1,))
        if self.share is not None:
            yield f"Without the condition {percent(self.share)} of the rows would be like that."
        yield from self.notes
        if not self.repeatable:
            yield "The file draws its noise itself: no two runs are alike, whatever the seed."
        yield f"Synthetic {self.whole}: {self.output}"


@dataclass(frozen=True, kw_only=True)
class FillResult:
    """What was filled. n_rows: of the table. cells: of each column that had holes, how many were filled. left: the same
    of columns that are not learned, whose holes stay. likely: whether by what is most likely."""

    output: Path
    n_rows: int
    cells: Mapping[str, int]
    left: Mapping[str, int]
    likely: bool

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain({
            "output": self.output, "n_rows": self.n_rows, "filled": dict(self.cells), "left": dict(self.left),
            "likely": self.likely,
        })  # fmt: skip
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        if self.cells:
            yield Table(("column", "filled cells"), tuple(self.cells.items()), right=(1,))
        else:
            yield "No cell was missing that could be filled."
        if self.left:
            yield f"Not learned, so not filled: {listed(self.left)}."
        yield f"Filled table: {self.output}"


def loaded(request: Request) -> Any:
    """The generator that is asked for. Raises CheckpointError or ExportError."""
    place = request.folder or request.onnx
    assert place is not None
    return saved_model(place, "sample", request.device, exported=request.onnx is not None)


def run(request: Request, watch: Watch | None = None) -> GenerateResult | FillResult:
    """Make synthetic rows or images and write them.

    Raises CheckpointError or ExportError where there is no generator, ConfigError for a bad option, DataError where
    nothing can be written. Then nothing is.
    """
    refuse_together(request, "folder", "onnx")
    refuse_together(request, "seeds", "n")
    for name in ("n", "onnx", "refine", "part_rows"):
        refuse_together(request, "fill", name)
    request.check_engine(are_parts=request.part_rows is not None, otherwise="without `part_rows`")
    check(request.fill is None or not request.where, "where", "cannot be combined with `fill`")
    check(request.fill is not None or not request.likely, "likely", "has no effect without `fill`")
    for one, other in combinations(("seeds", "interpolate", "style_mix"), 2):
        refuse_together(request, one, other)
    refuse_together(request, "style_mix", "truncation")
    if request.n is None and request.seeds is None and request.strip is None and request.fill is None:
        raise ConfigError("is needed", where="n", remedy="say how many to make")
    check(request.strip is None or request.n != 1, "n", "must be at least 2 for a picture of what is between two seeds")
    place = request.folder or request.onnx
    if place is None:
        raise ConfigError("no generator was given", remedy="give a folder, or `onnx`")
    if request.onnx is not None and request.refine is not None:
        raise ConfigError("has no effect on an exported generator", where="refine", remedy="leave it out")
    generator = loaded(request)
    modality = MODALITIES[generator.modality]
    check_meaning(request, modality)
    for name in given(request, "seeds", "interpolate", "style_mix") if request.onnx is not None else ():
        generator.check_noise(name)
    output = request.output or (one_beside(request.fill, "filled") if request.fill else modality.generated(place))
    if request.part_rows is not None:
        from gantools.workflow.generate_parts import run as in_parts

        output = request.output or output.with_suffix("")
        check_apart(output, "output", place)
        made = in_parts(request, generator, output, watch or Watch())
        return replace(made, repeatable=not getattr(generator, "draws_noise", False))
    if request.strip is None:
        check_apart(output, "output", place, request.fill)
        modality.check_output(output, force=request.force)
    else:
        output = request.output or output.with_name(f"{output.name}.png")
        check_png(output, "output", force=request.force, apart=place)
    if request.fill is not None:
        return cast(FillResult, modality.job("generate", "generate").fill(request, generator, output))
    purpose = "describe" if generator.asked_by == "description" else "generate"
    result: GenerateResult = modality.job("generate", purpose).run(request, generator, output)
    return replace(result, repeatable=not getattr(generator, "draws_noise", False))
