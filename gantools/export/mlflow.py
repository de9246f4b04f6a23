"""An exported file as a model of MLflow, written without MLflow.

    MLmodel, conda.yaml, python_env.yaml, requirements.txt, model.onnx, code/gantools_served.py

`mlflow.pyfunc.load_model(folder).predict(frame)` takes rows as they are in the training table, see `served`; its
`params` are `threshold` and `explain` of a scorer, `seed` and `truncation` of a generator. It runs on the CPU, and on a
GPU with `load_model(folder, model_config={"device": "cuda"})`. MLflow refuses a missing cell in a column of whole
numbers that had none in the training table, for such a column is `long` to it. `mlflow.onnx.load_model` gives the ONNX
model."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
from pathlib import Path
from typing import Any

import onnxruntime as ort

from gantools.data.tables.schema import Column
from gantools.export import served
from gantools.export.columns import Port
from gantools.export.folders import whole
from gantools.export.runtime import Exported, load_exported

CODE = "code/gantools_served.py"
OWN = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "model.onnx", CODE)
REQUIREMENTS = ("mlflow>=2.19", "numpy>=1.26", "onnx>=1.18", "onnxruntime>=1.20", "pandas>=2.2")
TEXT = ("str", "object", "string")  # dtypes of text that MLflow takes
COLUMNS = {
    "tensor(string)": "string",
    "tensor(double)": "double",
    "tensor(float)": "float",
    "tensor(int64)": "long",
    "tensor(bool)": "boolean",
}
TENSORS = {"tensor(double)": "float64", "tensor(float)": "float32"}  # others are called as numpy calls them


def write_mlflow(file: Path | str, folder: Path | str) -> Path:
    """Write the folder of an MLflow model, whole or not at all, and return it.

    file: an exported model. folder: new, empty, or such a folder, which is replaced.

    Raises ExportError for a file that is no export, and where the folder holds something else or cannot be written.
    """
    file, folder = Path(file), Path(folder)
    model = load_exported(file, "cpu", threads=1)
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
            text = json.dumps(content, indent=2, ensure_ascii=False)  # JSON is YAML
            (inside / name).write_text(text + "\n", encoding="utf-8")
        (inside / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n", encoding="utf-8")
    return folder


def describe(model: Exported, digest: str, python: str) -> dict[str, Any]:
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
            "kind": model.kind,
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


def _signature(model: Exported) -> tuple[list[dict[str, Any]], ...]:
    """Inputs, outputs and parameters as MLflow's signature lists them.

    What is given or found as columns is a data frame, and so are outputs of one number each; all else is tensors.
    """
    noise = model.names.get("noise")
    params_in = {model.names.get(what) for what in ("noise", "threshold", "explain", "truncation")}
    inputs = [_column(port.name, _type(port, model.columns.get(port.name))) for port in model.inputs]
    if not inputs:
        given = [value for value in model.takes if value.name not in params_in]
        inputs = [_tensor(value.name if len(given) > 1 else None, value) for value in given]
    outputs = [_column(port.name, _made(port, model.columns.get(port.name))) for port in model.outputs]
    if not outputs:
        what = {name: what for what, name in model.names.items()}
        wanted = [value for value in model.gives if value.name in model.main_outputs()]
        wide = {name: model.described.get(f"{name}_columns", ()) for name in served.WIDE}
        if all(len(value.shape) == 1 or what[value.name] in wide for value in wanted):
            for value in wanted:
                name = what[value.name]
                names = [f"{name}/{part}" for part in wide[name]] if name in wide else [name]
                outputs += [_column(one, COLUMNS[value.type]) for one in names]
        else:
            outputs = [_tensor(what[value.name] if len(wanted) > 1 else None, value) for value in wanted]
    params = []
    if "threshold" in model.names:
        params.append(_param("threshold", "double", model.described["threshold"]))
    if "explain" in model.names:
        params.append(_param("explain", "boolean", False))
    if "truncation" in model.names:
        params.append(_param("truncation", "double", model.described["truncation"]))
    if any(value.name == noise for value in model.takes):
        params.append(_param("seed", "long", -1))
    return inputs, outputs, params


def _type(port: Port, column: Column | None) -> str:
    """MLflow's type of a column as it is in the training table; "any" where MLflow would refuse pandas' own types."""
    dtype = port.type if column is None else column.dtype
    if port.type == "string" or (column is not None and column.format):
        return "string" if dtype in TEXT else "any"
    if "since" in port.unit:
        return "datetime" if re.fullmatch(r"datetime64\[\w+\]", dtype) else "any"
    if dtype == "bool":
        return "boolean"
    if port.unit or not re.fullmatch(r"u?int\d+|float\d+", dtype):
        return "any"
    return "long" if "int" in dtype else "double"


def _made(port: Port, column: Column | None) -> str:
    """MLflow's type of a column that a generator makes."""
    if port.type == "string":
        return "string"
    if port.unit:
        return "datetime" if "since" in port.unit else "any"
    if port.type != "int64" or (column is not None and column.missing):
        return "double"  # MLflow has no whole number that may be missing
    return "boolean" if column is not None and column.dtype == "bool" else "long"


def _column(name: str, of: str) -> dict[str, Any]:
    return {"type": of, "name": name, "required": True}


def _tensor(name: str | None, value: ort.NodeArg) -> dict[str, Any]:
    dtype = TENSORS.get(value.type, value.type.removeprefix("tensor(").removesuffix(")"))
    shape = [size if isinstance(size, int) else -1 for size in value.shape]
    found: dict[str, Any] = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return found if name is None else {"name": name, **found}


def _param(name: str, of: str, default: Any) -> dict[str, Any]:
    return {"name": name, "type": of, "default": default, "shape": None}
