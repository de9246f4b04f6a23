"""`gantools info`: what a table or a folder of images holds, or what a saved or exported model says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantools.workflow.contract import TABLES, Item, Table, Watch, noted, plain, refuse_fields
from gantools.workflow.opening import MODALITIES, any_model, check_meaning, is_model, modality_of
from gantools.workflow.training import training_shown

LARGE = ("held_out", "drift", "schema")  # entries of an exported file that nobody reads
DATA = {"data": True}  # metadata of fields that mean something for data alone


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to look at.

    data: a table, images, the folder of a saved model, or an exported file. target: the column with the classes. kinds:
    what columns are, where the guess is wrong. drop: columns that are left out.
    """

    data: Path
    target: str | None = field(default=None, metadata=DATA)
    kinds: Mapping[str, Any] | None = field(default=None, metadata=DATA | TABLES)
    drop: Sequence[str] = field(default=(), metadata=DATA | TABLES)


@dataclass(frozen=True)
class InfoResult:
    """What was found: as plain values, and for people."""

    facts: dict[str, Any]
    items: tuple[Item, ...]

    def to_json(self) -> dict[str, Any]:
        """All that `--json` prints."""
        found: dict[str, Any] = plain(self.facts)
        return found

    def shown(self) -> Iterator[Item]:
        """What people are shown, in order."""
        return iter(self.items)


def run(request: Request, watch: Watch | None = None) -> InfoResult:
    """Look at data or at a model. Raises DataError, CheckpointError or ExportError for what cannot be read."""
    data = request.data
    if is_model(data):
        refuse_fields(request, "describes data, and this is a trained model", **DATA)
        return _saved(data) if data.is_dir() else _exported(data)
    modality = modality_of(data)
    check_meaning(request, modality)
    result: InfoResult = modality.job("info").run(request, watch or Watch())
    return result


def _saved(folder: Path) -> InfoResult:
    model = any_model(folder)
    facts = model.facts()
    rest = {name: value for name, value in facts.items() if name not in ("training", "schema", "classes", "notes")}
    items = [f"{folder}: {model.noun}", *facts_shown(rest), *(training_shown(model.report_) if model.report_ else ())]
    if model.modality in MODALITIES:
        items += MODALITIES[model.modality].job("info").shown(model.schema_)
    return InfoResult({"folder": folder, **facts}, (*items, *noted(facts["notes"])))


def _exported(file: Path) -> InfoResult:
    model = any_model(file, exported=True)
    facts = {name: value for name, value in model.described.items() if name not in LARGE}
    few = {name: value for name, value in facts.items() if name not in ("kind", "inputs", "outputs", "names")}
    values = [("input", value) for value in model.takes]
    values += [("may be left out", value) for value in model.defaults]
    values += [("output", value) for value in model.gives]
    rows = tuple(
        (value.name, role, value.type.removeprefix("tensor(").rstrip(")"), " x ".join(map(str, value.shape)) or "one")
        for role, value in values
    )
    first = f"{file}: {model.kind.replace('-', ' ')}"
    table = Table(("name", "", "type", "size"), rows)
    return InfoResult({"file": file, **facts}, (first, *facts_shown(few), table))


# What a fact is called where its name does not say it to people.
CALLED = {
    "n_held_out": "Calibrated on held-out scores",
    "finest_false_alarms": "Finest rate of false alarms that they resolve",
}


def facts_shown(facts: Mapping[str, Any]) -> Iterator[str]:
    """Facts for people, a line for each."""
    for name, value in facts.items():
        if value not in ({}, [], ""):
            said = f"{value} x {value} pixels" if name == "size" else text(value)
            yield f"{called(name)}: {said}"


def called(name: str) -> str:
    """A fact's name for people."""
    return CALLED.get(name, name.removeprefix("n_").replace("_", " ").capitalize())


def text(value: Any) -> str:
    """A fact's value for people."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={text(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text, value))
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
