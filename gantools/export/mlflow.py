"""An exported file as a model of MLflow, written without MLflow.

    MLmodel, conda.yaml, python_env.yaml, requirements.txt, model.onnx, code/gantools_served.py

`mlflow.pyfunc.load_model(folder).predict(frame)` takes rows as they are in the training table, see `served`; its
`params` are `threshold` and `explain` of a scorer, `seed` of a generator. It runs on the CPU, and on a GPU with
`load_model(folder, model_config={"device": "cuda"})`. MLflow refuses a missing cell in a column of whole numbers that
had none in the training table, for such a column is `long` to it. `mlflow.onnx.load_model` gives the ONNX model.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantools.export import served
from gantools.export.folders import Opened, opened, whole

CODE = "code/gantools_served.py"
OWN = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "model.onnx", CODE)
REQUIREMENTS = ("mlflow>=2.19", "numpy>=1.26", "onnx>=1.18", "onnxruntime>=1.20", "pandas>=2.2")
TEXT = ("str", "object", "string")  # dtypes of text that MLflow takes
SCORES = (("anomaly_score", "double"), ("p_value", "double"), ("is_anomaly", "boolean"))


def write_mlflow(file: Path | str, folder: Path | str) -> Path:
    """Write the folder of an MLflow model, whole or not at all, and return it.

    file: an exported model. folder: new, empty, or such a folder, which is replaced.

    Raises ExportError for a file that is no export, and where the folder holds something else or cannot be written.
    """
    file, folder = Path(file), Path(folder)
    model = opened(file)
    python = platform.python_version()
    pip: list[Any] = ["pip", {"pip": list(REQUIREMENTS)}]
    with whole(folder, OWN) as inside:
        (inside / "code").mkdir()
        shutil.copyfile(file, inside / "model.onnx")
        shutil.copyfile(served.__file__, inside / CODE)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        for name, content in {
            "MLmodel": describe(model, digest, python),
            "conda.yaml": {
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", *pip],
                "name": "mlflow-env",
            },
            "python_env.yaml": {
                "python": python,
                "build_dependencies": ["pip", "setuptools", "wheel"],
                "dependencies": ["-r requirements.txt"],
            },
        }.items():
            (inside / name).write_text("\n".join(_yaml(content)) + "\n", encoding="utf-8")
        (inside / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n", encoding="utf-8")
    return folder


def describe(model: Opened, digest: str, python: str) -> dict[str, Any]:
    """What the file MLmodel says. digest: of the exported file. python: the version to run it with."""
    described = model.described
    inputs, outputs, params = _signature(model)
    exported = str(described["exported"])
    return {
        "flavors": {
            "onnx": {
                "code": "code",
                "data": "model.onnx",
                "onnx_version": described["exported_with"]["onnx"],
                "providers": ["CPUExecutionProvider"],
            },
            "python_function": {
                "code": "code",
                "data": "model.onnx",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": Path(CODE).stem,
                "python_version": python,
            },
        },
        "metadata": {
            "kind": described["kind"],
            "model": str(described["model"]),
            "gantools": str(described["version"]),
            "sha256": digest,
        },
        "model_uuid": digest[:32],
        "signature": {
            "inputs": json.dumps(inputs, ensure_ascii=False),
            "outputs": json.dumps(outputs, ensure_ascii=False),
            "params": json.dumps(params, ensure_ascii=False) if params else None,
        },
        "utc_time_created": exported.removesuffix("Z").replace("T", " ") + ".000000",
    }


def _signature(model: Opened) -> tuple[list[dict[str, Any]], ...]:
    """Inputs, outputs and parameters as MLflow's signature lists them."""
    described = model.described
    kind, schema = described["kind"], described["schema"]
    columns = {column["name"]: column for column in schema.get("columns", [])}
    scoring = [_param("threshold", "double", described["threshold"])] if "threshold" in described else []
    if kind == "table-scorer":
        inputs = [_column(port["name"], _type(port, columns.get(port["name"], {}))) for port in described["inputs"]]
        return inputs, [_column(*score) for score in SCORES], [*scoring, _param("explain", "boolean", False)]
    if kind == "image-scorer":
        image = [_tensor(None, "uint8", (-1, -1, -1, schema["channels"]))]
        scores = [_tensor(name, {"double": "float64", "boolean": "bool"}[of], (-1,)) for name, of in SCORES]
        return image, [*scores, _tensor("heatmap", "float32", (-1, -1, -1))], scoring
    target = columns.get(schema.get("target"), {})
    label = [_column(port["name"], _type(port, target)) for port in described["inputs"]]
    drawn = any(value.name == described["names"]["noise"] for value in model.inputs)
    seed = [_param("seed", "long", -1)] if drawn else []
    if kind == "table-generator":
        made = [_column(port["name"], _made(port, columns.get(port["name"], {}))) for port in described["outputs"]]
        return label, made, seed
    size = described["encoder"]["size"]
    return label, [_tensor(None, "uint8", (-1, size, size, described["encoder"]["channels"]))], seed


def _type(port: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """MLflow's type of a column as it is in the training table; "any" where MLflow would refuse pandas' own types."""
    dtype = str(column.get("dtype", port["type"]))
    if port["type"] == "string" or column.get("format"):
        return "string" if dtype in TEXT else "any"
    if "since" in port["unit"]:
        return "datetime" if re.fullmatch(r"datetime64\[\w+\]", dtype) else "any"
    if dtype == "bool":
        return "boolean"
    if port["unit"] or not re.fullmatch(r"u?int\d+|float\d+", dtype):
        return "any"
    return "long" if "int" in dtype else "double"


def _made(port: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """MLflow's type of a column that a generator makes."""
    if port["type"] == "string":
        return "string"
    if port["unit"]:
        return "datetime" if "since" in port["unit"] else "any"
    if port["type"] != "int64" or column.get("missing"):
        return "double"  # MLflow has no whole number that may be missing
    return "boolean" if column.get("dtype") == "bool" else "long"


def _column(name: str, of: str) -> dict[str, Any]:
    return {"type": of, "name": name, "required": True}


def _tensor(name: str | None, of: str, shape: Sequence[int]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "tensor", "tensor-spec": {"dtype": of, "shape": list(shape)}}
    return found if name is None else {"name": name, **found}


def _param(name: str, of: str, default: Any) -> dict[str, Any]:
    return {"name": name, "type": of, "default": default, "shape": None}


def _yaml(value: Any, indent: str = "") -> list[str]:
    """Lines of YAML; text as JSON writes it, which YAML reads."""
    lines = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping | list):
                lines += [f"{indent}{key}:", *_yaml(inner, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {json.dumps(inner, ensure_ascii=False)}")
        return lines
    for inner in value:
        if isinstance(inner, Mapping):
            first, *rest = _yaml(inner, indent + "  ")
            lines += [f"{indent}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{indent}- {json.dumps(inner, ensure_ascii=False)}")
    return lines
