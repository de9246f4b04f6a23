"""`gantools evaluate`: whether synthetic data of any tool look real, help and leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.config import check
from gantools.data.parts import is_there
from gantools.errors import ConfigError, DataError
from gantools.workflow.contract import IMAGES, TABLES, Watch, refuse_together
from gantools.workflow.opening import Modality, check_meaning, is_model, modality_of
from gantools.workflow.places import check_apart, check_file, same
from gantools.workflow.stages import Stages

if TYPE_CHECKING:
    from gantools.workflow.evaluate_pictures import PicturesResult
    from gantools.workflow.evaluating import EvaluateResult


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to judge.

    real: the data that the synthetic ones were made from, a table or images. synthetic: a table with the same columns,
    or images. target: the column with the classes; "folder" or None for images. holdout: more real data, which the
    generator did not see. report: a file for an HTML page, which `force` may overwrite. kinds, drop: of columns. size,
    fit: of the images that are compared. features: what images are compared by. pairs: each picture of `synthetic` is
    compared with that of the same name in `real`. inputs: what the pictures were made from.
    """

    real: Path
    synthetic: Path
    target: str | None = None
    holdout: Path | None = None
    report: Path | None = None
    kinds: Mapping[str, Any] | None = field(default=None, metadata=TABLES)
    drop: Sequence[str] = field(default=(), metadata=TABLES)
    size: int | None = field(default=None, metadata=IMAGES)
    fit: Any = field(default=None, metadata=IMAGES)
    features: Any = field(default=None, metadata=IMAGES)
    pairs: bool = field(default=False, metadata=IMAGES)
    inputs: Path | None = field(default=None, metadata=IMAGES)
    seed: int = 0
    device: str = "auto"
    force: bool = False


def run(request: Request, watch: Watch | None = None) -> EvaluateResult | PicturesResult:
    """Measure synthetic data against real ones, and say what that comes to.

    Raises DataError for data that cannot be compared, ConfigError for a bad option. Then nothing is written.
    """
    modality = _modality(request)
    check_meaning(request, modality)
    modality.check_labels(request.real, request.target)
    others = (request.synthetic, request.holdout, request.inputs)
    for path in (request.real, *others):
        if path is not None and path.is_dir():
            check_apart(request.report, "report", path)
    check_file(request.report, "report", force=request.force, inputs=(request.real, *others))
    modality.check_columns(request, request.real)
    check(request.pairs or request.inputs is None, "inputs", "has no effect without `pairs`")
    if request.pairs:
        for name in ("target", "holdout", "size", "fit", "features"):
            refuse_together(request, name, "pairs")
        from gantools.workflow import evaluate_pictures

        evaluate_pictures.check_folders(request)
        return evaluate_pictures.run(request, Stages(watch or Watch()))
    result: EvaluateResult = modality.job("evaluate").run(request, Stages(watch or Watch()))
    return result


def _modality(request: Request) -> Modality:
    """What all the data are. Raises DataError or ConfigError where they are not there, or not of one kind."""
    given = {"real": request.real, "synthetic": request.synthetic, "holdout": request.holdout}
    places = {name: path for name, path in given.items() if path is not None}
    for path in places.values():
        if not is_there(path):
            raise DataError("does not exist", where=str(path), remedy="check the path")
        if is_model(path):
            remedy = "make data with 'gantools generate' first"
            raise ConfigError("is a saved model, not data", where=str(path), remedy=remedy)
    modality = modality_of(request.real)
    for name, path in places.items():
        other = modality_of(path)
        if other is not modality:
            problem = f"holds {other.plural}, and {request.real} {modality.plural}"
            raise ConfigError(problem, where=str(path), remedy="compare what is of one kind")
        if name == "holdout" and any(same(path, one) for one in (request.real, request.synthetic)):
            remedy = "give real data that the generator did not see, or leave it out"
            raise ConfigError(f"{path} is one of the other two", where="holdout", remedy=remedy)
    return modality
