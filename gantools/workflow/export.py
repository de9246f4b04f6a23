"""`gantools export`: a trained model as one ONNX file, and what can be written beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.errors import ConfigError
from gantools.words import duration
from gantools.workflow.contract import Item, Watch, plain
from gantools.workflow.opening import any_model
from gantools.workflow.places import check_apart, check_file, check_folder, named

if TYPE_CHECKING:
    from gantools.export.file import ExportedFile

DEFAULT_FOLDER = Path("exports")
BESIDE = {"triton": "Triton model repository", "mlflow": "MLflow model", "card": "Model card"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to export.

    folder: of the saved model. output: None for `exports/` and the folder's name. precision: of weights and arithmetic,
    "fp32", "fp16" or "int8". noise_inside: a generator draws its noise in the graph. plain_inputs: a scorer's threshold
    and `explain` have no default. reverse, shape: of a translator of pictures, see `export_model`. triton: a model
    repository to add an entry to. mlflow: a folder for an MLflow model. card: a file for a model card.
    """

    folder: Path
    output: Path | None = None
    precision: Any = "fp32"
    noise_inside: bool = False
    plain_inputs: bool = False
    reverse: bool = False
    shape: tuple[int, int] | None = None
    triton: Path | None = None
    mlflow: Path | None = None
    card: Path | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What was written. beside: name of what -> where."""

    output: Path
    file: ExportedFile
    beside: dict[str, Path]

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        file = self.file
        found: dict[str, Any] = plain({
            "output": self.output,
            "kind": file.graph.kind,
            "precision": file.precision,
            "bytes": file.n_bytes,
            "parity": file.parity,
            "seconds": round(file.seconds, 1),
            **self.beside,
        })  # fmt: skip
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        yield self.file.comparison
        yield f"Time: {duration(self.file.seconds)} in all."
        yield ""
        yield f"ONNX file: {self.output} ({self.file.n_bytes / 1e6:.1f} MB)"
        yield from (f"{BESIDE[name]}: {path}" for name, path in self.beside.items())


def run(request: Request, watch: Watch | None = None) -> ExportResult:
    """Write a saved model as one ONNX file, after it was compared with the library.

    Raises CheckpointError where there is no model, ConfigError for a bad option, ExportError, and leaves no file, where
    the model cannot be exported or the file differs from the library.
    """
    watch = watch or Watch()
    output = request.output or DEFAULT_FOLDER / f"{named(request.folder).name}.onnx"
    _check_places(request, output)

    from gantools.export.file import export_model

    model = any_model(request.folder)
    noun = model.noun.partition(" of ")[0]
    if request.noise_inside and not hasattr(model, "sample"):
        raise ConfigError(f"{noun} has no noise", where="noise_inside", remedy="leave it out")
    if request.plain_inputs and not hasattr(model, "assess"):
        raise ConfigError(f"{noun} has no threshold", where="plain_inputs", remedy="leave it out")
    file = export_model(
        model,
        output,
        precision=request.precision,
        noise_inside=request.noise_inside,
        plain_inputs=request.plain_inputs,
        reverse=request.reverse,
        shape=request.shape,
        progress=lambda stage: watch.done(stage, 0, None, ""),
    )
    return ExportResult(output=output, file=file, beside=_write_beside(request, output))


def _check_places(request: Request, output: Path) -> None:
    """Refuse places where something cannot or must not be written. Raises ConfigError."""
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"{output} does not end in .onnx", where="output", remedy="name an .onnx file")
    if request.output is not None or DEFAULT_FOLDER.exists():  # else it is made when the file is written
        check_file(output, "output", force=request.force)
    check_apart(output, "output", request.folder)
    check_file(request.card, "card", force=request.force)
    check_folder(request.triton, "triton", force=True)
    check_folder(request.mlflow, "mlflow", force=request.force)


def _write_beside(request: Request, file: Path) -> dict[str, Path]:
    written: dict[str, Path] = {}
    if request.triton is not None:
        from gantools.export.triton import write_triton

        write_triton(file, request.triton)
        written["triton"] = request.triton
    if request.mlflow is not None:
        from gantools.export.mlflow import write_mlflow

        write_mlflow(file, request.mlflow)
        written["mlflow"] = request.mlflow
    if request.card is not None:
        from gantools.export.card import write_card

        write_card(file, request.card)
        written["card"] = request.card
    return written
