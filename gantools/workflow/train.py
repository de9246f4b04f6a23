"""`gantools train`: a generator or a translator of pictures, saved for later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gantools import registry
from gantools.workflow.contract import (
    GENERATORS,
    IMAGES,
    TRANSLATORS,
    Item,
    Watch,
    noted,
    plain,
    refuse_fields,
)
from gantools.workflow.opening import check_meaning, modality_of
from gantools.workflow.places import check_apart, check_grids, claimed_save, named
from gantools.workflow.stages import Stages
from gantools.workflow.training import TrainingRequest, training_shown

if TYPE_CHECKING:
    from gantools.train.monitor import TrainingReport

STAGE = "Training"
PURPOSES = ("generate", "transform")  # of the models that are trained for later


@dataclass(frozen=True, kw_only=True)
class Request(TrainingRequest):
    """What to train on.

    data: a table or images. target: as for `augment`. pairs: "side-by-side" where each picture holds both of a pair.
    degrade: what is done to clean pictures, as `nn.degradations` spells it; none for what the model is for. save: the
    folder for the model and its checkpoints. resume: go on from the last checkpoint in it. tensorboard: also write
    TensorBoard events, to `save` with ".tensorboard" behind its name. grids: a folder for pictures of what the model
    makes; None for `save` with ".grids" behind its name.
    """

    data: Path
    save: Path
    target: str | None = field(default=None, metadata=GENERATORS)
    pairs: Any = field(default=None, metadata=TRANSLATORS)
    degrade: Sequence[str] = field(default=(), metadata=TRANSLATORS)
    resume: bool = False
    tensorboard: bool = False
    grids: Path | None = field(default=None, metadata=IMAGES)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What was trained. grids: the folder of pictures, None for a table.

    noun: what the model is called.
    """

    noun: ClassVar[str]

    saved: Path
    model: str
    report: TrainingReport
    notes: tuple[str, ...]
    grids: Path | None = None

    def facts(self) -> dict[str, Any]:
        """What `--json` prints besides."""
        return {}

    def judged(self) -> Iterator[Item]:
        """What people are shown besides, before the place of the model."""
        yield from ()

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain({
            "saved": self.saved,
            "model": self.model,
            **self.facts(),
            "training": self.report.to_json(),
            "notes": self.notes,
            **({} if self.grids is None else {"grids": self.grids}),
        })  # fmt: skip
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        yield from noted(self.notes)
        yield from training_shown(self.report)
        if self.grids is not None and self.grids.is_dir():  # a training without a look leaves none
            yield f"Pictures while training: {self.grids}"
        yield from self.judged()
        yield f"{self.noun}: {self.saved}"


@dataclass(frozen=True, kw_only=True)
class GeneratorResult(TrainResult):
    """A generator. target: the column, or "folder", with its classes."""

    noun = "Generator"

    target: str

    def facts(self) -> dict[str, Any]:
        return {"target": self.target}


def run(request: Request, watch: Watch | None = None) -> TrainResult:
    """Train a model and save it.

    Checkpoints are written as training goes on. Raises DataError for data that cannot be learned from, ConfigError for
    a bad option, TrainingError where no usable model came out, KeyboardInterrupt where training was interrupted.
    """
    stages = Stages(watch or Watch(), request.budget_s)
    modality = modality_of(request.data)
    check_meaning(request, modality)
    purpose = "generate"
    if request.model is not None and modality.has_pictures:  # only of pictures there are translators
        purpose = registry.purpose_of(request.model, modality.name, PURPOSES)
    if purpose == "transform":
        refuse_fields(request, f"has no meaning for {request.model}, a translator", **GENERATORS)
    else:
        refuse_fields(request, "is for models that transform pictures, which `model` names", **TRANSLATORS)
        modality.check_target(request.data, request.target)
        modality.check_columns(request, request.data)
    grids = request.grids
    if grids is None and modality.has_pictures:
        grids = request.save.with_name(f"{named(request.save).name}.grids")
    check_grids(grids)
    check_apart(request.save, "save", request.data)
    check_apart(grids, "grids", request.data, request.save)
    job = modality.job("train", purpose)
    with claimed_save(request.save, force=request.force, resume=request.resume):
        result: TrainResult = job.run(replace(request, grids=grids), stages)
    return result
