"""`gantools score`: what does not belong in a table or among images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.config import check
from gantools.data.parts import is_there
from gantools.errors import ConfigError, DataError
from gantools.workflow.contract import IMAGES, TABLES, TRAINING, Watch, refuse_fields, refuse_together
from gantools.workflow.in_parts import InParts
from gantools.workflow.opening import Modality, check_meaning, modality_of, saved_model
from gantools.workflow.places import check_apart, check_file, check_folder, check_table, claimed_save, is_in_parts
from gantools.workflow.stages import Stages
from gantools.workflow.training import TrainingRequest

if TYPE_CHECKING:
    from gantools.workflow.scoring import ScoreResult

MOST_CONTAMINATION = 0.5  # beyond it the anomalies would be what is normal


@dataclass(frozen=True, kw_only=True)
class Request(TrainingRequest, InParts):
    """What to score, and by what.

    data: a table, a folder of images or an .npz file. normal: normal rows or images to learn from; without it and
    without a saved scorer, `data` itself is learned from. by: the column of groups, each of which has a normal of its
    own. source, onnx: a saved scorer, or an exported one. output: a
    file for the table of scores; None for `data` with ".scored" in its name. false_alarms: share of what is normal that
    may be flagged; None takes 0.01, or where known anomalies are marked the threshold of the best F1, or that of the
    saved scorer. labels: the column that marks known anomalies, of images "folder"; neither it nor they are learned
    from. contamination: share of anomalies among what is learned from; None takes 0 for data that are known to be
    normal, and otherwise those that lie further out than the tail of the others goes. tail: extrapolate, for rates of
    false alarms that counting cannot resolve. explain: also write the reason of what is flagged. features: what patches
    of images are compared by. maps: a folder for heat maps of what is flagged, or with maps_of="all" of all images.
    save: a folder for the trained scorer. report: a file for an HTML page.
    """

    data: Path
    normal: Path | None = None
    by: str | None = field(default=None, metadata=TABLES | TRAINING)
    source: Path | None = None
    onnx: Path | None = None
    output: Path | None = None
    false_alarms: float | None = None
    labels: str | None = None
    contamination: float | None = field(default=None, metadata=TRAINING)
    tail: bool = field(default=False, metadata=TRAINING)
    explain: bool = False
    features: Any = field(default=None, metadata=IMAGES | TRAINING)
    maps: Path | None = field(default=None, metadata=IMAGES)
    maps_of: Any = field(default=None, metadata=IMAGES)
    save: Path | None = None
    report: Path | None = None


def run(request: Request, watch: Watch | None = None) -> ScoreResult:
    """Score every row or image, and write a table of scores.

    Raises DataError for data that cannot be scored, ConfigError for a bad option, TrainingError where nothing usable
    was learned, KeyboardInterrupt where training was interrupted. Then nothing is written.
    """
    stages = Stages(watch or Watch(), request.budget_s)
    refuse_together(request, "source", "onnx")
    place = request.source or request.onnx
    by = "source" if request.source is not None else "onnx"
    for name in ("normal", "save"):
        refuse_together(request, name, by)
    check(place is not None or not request.resume, "resume", "needs a saved scorer, which is the same as before")
    if place is not None:
        refuse_fields(request, f"has no effect on the scorer of `{by}`", training=True)
    check_rate("false_alarms", request.false_alarms, 1)
    check_rate("contamination", request.contamination or None, MOST_CONTAMINATION)
    modality = modality_of(request.data)
    check_meaning(request, modality)
    request = _placed(request, modality)
    with claimed_save(request.save, force=request.force):
        scorer = None if place is None else loaded(request)
        result: ScoreResult = modality.job("score").run(request, scorer, stages)
    return result


def loaded(request: Request) -> Any:
    """The saved or exported scorer that is asked for. Raises CheckpointError or ExportError."""
    place = request.source or request.onnx
    assert place is not None
    exported = request.onnx is not None
    return saved_model(place, "assess", request.device, modality_of(request.data), exported=exported)


def check_rate(name: str, rate: float | None, most: float) -> None:
    """Raise ConfigError where a rate is given that does not lie between 0 and `most`."""
    if rate is not None and not 0 < rate < most:
        raise ConfigError(f"must lie between 0 and {most:g}, not {rate:g}", where=name, remedy="0.01 is 1 row in 100")


def _placed(request: Request, modality: Modality) -> Request:
    """The request with every place that output goes to. Raises ConfigError for places, and data that are not there."""
    data, normal, force = request.data, request.normal, request.force
    output = request.output or modality.scored(data)
    maps = request.maps
    if maps is None and request.explain and modality.has_pictures:
        maps = output.with_suffix(".maps")
    if maps is None and request.maps_of is not None:
        raise ConfigError("has no effect without `maps` or `explain`", where="maps_of", remedy="leave it out")
    modality.check_labels(data, request.labels)
    check_apart(request.report, "report", output, maps)
    check_apart(maps, "maps", data, normal, request.save)
    check_apart(request.save, "save", data, normal, output)
    check_apart(output, "output", maps)
    for place, where in ((data, str(data)), (normal, f"normal {normal}")):
        if place is not None and not is_there(place):
            raise DataError("does not exist", where=where, remedy="check the path")
    if normal is not None and modality_of(normal) is not modality:
        problem = f"holds {modality_of(normal).plural}, and the data are {modality.plural}"
        raise ConfigError(problem, where=f"normal {normal}", remedy="learn from what is like the data")
    modality.check_columns(request, normal or data)
    check_table(output, "output", force=force, inputs=(data, normal), resume=request.resume)
    check_file(request.report, "report", force=force, inputs=(data, normal))
    check_folder(maps, "maps", force=force, what="heat maps", is_ours=_holds_maps)
    request.check_engine(are_parts=is_in_parts(data, output), otherwise="where the output is not a folder of parts")
    return replace(request, output=output, maps=maps)


def _holds_maps(folder: Path) -> bool:
    from gantools.report.overlay import is_map_folder

    return is_map_folder(folder)
