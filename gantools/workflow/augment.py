"""`gantools augment`: a table or a folder of images back, balanced, and whether the synthetic ones help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.config import check
from gantools.errors import ConfigError
from gantools.workflow.contract import IMAGES, TABLES, TRAINING, Watch, refuse_fields, refuse_together
from gantools.workflow.opening import Modality, check_meaning, modality_of, saved_model
from gantools.workflow.places import beside, check_apart, check_file, check_grids, claimed_save
from gantools.workflow.stages import Stages
from gantools.workflow.training import TrainingRequest

if TYPE_CHECKING:
    from gantools.workflow.augmenting import AugmentResult


MOST_REPEATS = 20


@dataclass(frozen=True, kw_only=True)
class Request(TrainingRequest):
    """What to balance, and how.

    data: a table, a folder of class folders or an .npz file. target: the column with the classes; "folder" or None for
    images. rules: whether synthetic rows keep what holds in every row of a table. output: None for `data` with
    ".balanced" in its name. strategy: imbalanced-learn's `sampling_strategy`, or as text. save: a folder for the
    trained generator. source: a folder with a trained one, in place of training; no verdict is possible then, for it
    may have seen any row. verdict: measure whether the synthetic data help. repeats: how often, each time with other
    data held back and another generator; None for three times where few rare rows are held back and nothing limits the
    time, else once. features: what quality and copies of images are measured by: of a classifier
    trained on them ("classifier"), of EfficientNet-Lite0 ("perceptual") or of Inception v3 ("inception"). vary: the
    changes that vary real images, which fill classes beside generated ones, see `nn.augment.parse_changes`. grids: a
    folder for pictures while the final generator trains. synthetic_only: write only what is synthetic. report: a file
    for an HTML page. classifier: a folder for the classifier that the verdict recommends, trained on all rows. goal:
    what its decisions are made for: "balanced-accuracy", "f1", "recall=0.9" or "cost=10:1". holdout: a share of the
    rows of each class that is put aside before anything else, to test on, and written to `holdout_file`. rare: where
    the target is a number, the range of it that is filled, "above=500000", "below=10" or "10..20".
    """

    data: Path
    target: str | None = None
    output: Path | None = None
    strategy: str | float | Mapping[Any, int] = "auto"
    rules: bool = field(default=True, metadata=TABLES)
    features: Any = field(default=None, metadata=IMAGES)
    vary: str | None = field(default=None, metadata=IMAGES)
    grids: Path | None = field(default=None, metadata=IMAGES | TRAINING)
    save: Path | None = None
    source: Path | None = None
    synthetic_only: bool = False
    report: Path | None = None
    verdict: bool = True
    repeats: int | None = None
    classifier: Path | None = field(default=None, metadata=TABLES)
    goal: str = field(default="balanced-accuracy", metadata=TABLES)
    holdout: float | None = field(default=None, metadata=TABLES)
    rare: str | None = field(default=None, metadata=TABLES)

    @property
    def holdout_file(self) -> Path | None:
        """Where the rows go that are put aside: beside the output, with ".holdout" in its name."""
        if self.holdout is None or self.output is None:
            return None
        named = self.output.with_name(self.output.name.replace(".balanced", "", 1))
        return beside(named, "holdout")


def run(request: Request, watch: Watch | None = None) -> AugmentResult:
    """Balance a data set with synthetic rows or images, and say on real ones held back whether they help.

    The verdict's generator is trained on what is not held back, then the final one on everything. All of it, judging
    and measuring as well, is to end within the request's budget.

    Raises DataError for data that cannot be balanced, ConfigError for a bad option, TrainingError where no usable
    generator came out, KeyboardInterrupt where training was interrupted. Then nothing is written.
    """
    check(request.holdout is None or 0 < request.holdout < 1, "holdout", "must be a share above 0 and below 1")
    repeats = 1 if request.repeats is None else request.repeats
    check(1 <= repeats <= MOST_REPEATS, "repeats", f"must be from 1 to {MOST_REPEATS}")
    if repeats > 1 and not request.verdict:
        raise ConfigError("has no effect without a verdict", where="repeats", remedy="leave one of the two out")
    _check_classifier(request)
    if request.rare is not None:
        refuse_together(request, "rare", "classifier")
        refuse_together(request, "rare", "source")
    stages = Stages(watch or Watch(), request.budget_s)
    refuse_together(request, "save", "source")
    if request.source is not None:
        refuse_fields(request, "has no effect on the generator of `source`", training=True)
    modality = modality_of(request.data)
    check_meaning(request, modality)
    modality.check_target(request.data, request.target)
    output = request.output or modality.balanced(request.data)
    request = replace(request, output=output)
    for name in ("report", "save", "grids", "classifier"):
        check_apart(getattr(request, name), name, output, request.data)
    modality.check_columns(request, request.data)
    _check_places(request, modality, output)
    job = modality.job("augment")
    if request.rare is not None:
        from gantools.workflow import augment_range as job
    check_apart(request.classifier, "classifier", request.save)
    with (
        claimed_save(request.save, force=request.force),
        claimed_save(request.classifier, force=request.force, where="classifier"),
    ):
        trained = None
        if request.source is not None:
            trained = saved_model(request.source, "sample", request.device, modality)
        result: AugmentResult = job.run(request, trained, stages)
    return result


def _check_classifier(request: Request) -> None:
    """Refuse a classifier that nothing could recommend, and a goal for none. Raises ConfigError."""
    if request.classifier is None:
        if request.goal != Request.goal:
            raise ConfigError("has no effect without a classifier", where="goal", remedy="give `classifier`, too")
        return
    if not request.verdict or request.source is not None:
        problem = "needs the verdict, which says what to recommend"
        other = "source" if request.verdict else "verdict"
        raise ConfigError(problem, where="classifier", remedy=f"leave `{other}` out")


def _check_places(request: Request, modality: Modality, output: Path) -> None:
    """Refuse places where something cannot or must not be written."""
    check_file(request.report, "report", force=request.force, inputs=(request.data,))
    check_grids(request.grids)
    check_file(request.holdout_file, "holdout", force=request.force, inputs=(request.data, output))
    modality.check_output(output, force=request.force, apart=request.data)
