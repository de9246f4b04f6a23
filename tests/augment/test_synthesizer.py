"""Tables at the edge of what can be learned from, and the ways a training can end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gantools.augment.balance import balance
from gantools.augment.sampler import GANOverSampler
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.data.tables.schema import infer_schema
from gantools.errors import CheckpointError, ConfigError, DataError
from gantools.registry import discover
from gantools.train import trained
from gantools.train.resume import resumable

TINY = {"width": 16}
QUICK: dict[str, Any] = {"steps": 8, "batch_size": 16, "eval_every": 4, "log_every": 2, "device": "cpu"}


def fitted(frame: pd.DataFrame, model: str = "tabular", **train: Any) -> Synthesizer:
    return Synthesizer(model, TINY, TrainConfig(**{**QUICK, **train})).fit(frame, "label")


def edge_tables() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    label = np.where(np.arange(120) < 20, "y", "x")
    number, town = rng.normal(size=120), rng.choice(["a", "b", "c"], 120)
    return {
        "only categories": pd.DataFrame({"town": town, "even": number > 0, "label": label}),
        "only numbers": pd.DataFrame({"a": number, "b": number**2, "label": label}),
        "one column": pd.DataFrame({"a": number, "label": label}),
        "a class of one row": pd.DataFrame({"a": number, "town": town, "label": ["y", *["x"] * 119]}),
        "missing in one class": pd.DataFrame(
            {"a": np.where(label == "y", np.nan, number), "town": town, "label": label}
        ),
        "constant in each class": pd.DataFrame({"a": np.where(label == "y", 0.0, 1.0), "label": label}),
        "two rows": pd.DataFrame({"a": [1.5, 2.5], "town": ["a", "b"], "label": ["x", "y"]}),
        "very large and very small": pd.DataFrame({"a": number * 1e300, "b": number * 1e-300, "label": label}),
        "fifty classes": pd.DataFrame({"a": rng.normal(size=1000), "label": rng.integers(0, 50, 1000)}),
    }


@pytest.mark.parametrize("model", sorted(n for n, c in discover().items() if c.purpose == "generate"))
@pytest.mark.parametrize("name", list(edge_tables()))
def test_edge_tables_train_and_balance(name: str, model: str) -> None:
    frame = edge_tables()[name]
    maker = fitted(frame, model, steps=4)
    rows = maker.sample(30)
    assert rows.dtypes.to_dict() == frame.dtypes.to_dict()
    counts = frame["label"].value_counts()
    if counts.min() < counts.max():
        balanced = balance(frame, "label", synthesizer=maker).frame
        assert set(balanced["label"].value_counts()) == {counts.max()}


def test_cells_are_missing_where_they_are_missing() -> None:
    maker = fitted(edge_tables()["missing in one class"], steps=500, batch_size=64, eval_every=250, log_every=250)
    assert maker.sample({"y": 200})["a"].isna().mean() > 0.8
    rows = maker.sample({"x": 200})
    assert rows["a"].isna().mean() < 0.1 and not rows["town"].isna().any()


@pytest.mark.parametrize("model", sorted(n for n, c in discover().items() if c.purpose == "generate"))
def test_half_precision_trains(model: str) -> None:
    maker = fitted(edge_tables()["missing in one class"], model, precision="bf16")
    assert maker.report_.stopped == "finished"
    assert all(p.dtype.is_floating_point and p.isfinite().all() for p in maker.gan_.parameters())


def test_a_label_without_rows_cannot_be_asked_for() -> None:
    frame = edge_tables()["only numbers"]
    whole = pd.concat([frame, frame[:12].assign(label="z")], ignore_index=True)
    schema = infer_schema(whole, "label")
    maker = Synthesizer("tabular", TINY, TrainConfig(**QUICK)).fit(frame, "label", schema=schema)
    assert set(maker.sample(50)["label"]) == {"x", "y"}
    assert len(maker.sample({"x": 5, "z": 0})) == 5
    with pytest.raises(ConfigError, match="no row of 'z' to learn from"):
        maker.sample({"z": 3})


def test_a_schema_of_another_target_is_refused() -> None:
    frame = edge_tables()["only categories"]
    with pytest.raises(ConfigError, match="its target is 'town', not 'label'"):
        Synthesizer().fit(frame, "label", schema=infer_schema(frame, "town"))
    with pytest.raises(DataError, match="column 'label': lacks"):
        Synthesizer().fit(frame.drop(columns="label"), "label", schema=infer_schema(frame, "label"))


def test_one_class_and_no_columns_are_refused() -> None:
    frame = edge_tables()["only numbers"]
    with pytest.raises(DataError, match="has one class only"):
        fitted(frame.assign(label="x"))
    with pytest.raises(DataError, match="no column is left"):
        fitted(frame[["label"]].assign(same=1))


def interrupt(step: int) -> Callable[[Any], None]:
    def at(progress: Any) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return at


def test_an_interrupted_run_is_usable_and_its_checkpoint_goes_on(tmp_path: Path) -> None:
    frame, config = edge_tables()["only numbers"], TrainConfig(**QUICK, checkpoint_every_s=0)
    folder = tmp_path / "run"
    maker = Synthesizer("cgan", TINY, config).fit(frame, "label", folder=folder, progress=interrupt(6))
    assert maker.report_.stopped == "interrupted" and len(maker.sample(5)) == 5
    assert Synthesizer.load(folder, device="cpu").report_.steps == 4
    resumed = Synthesizer("cgan", TINY, config).fit(frame, "label", folder=folder, resume=True)
    assert resumed.report_.stopped == "finished"
    pd.testing.assert_frame_equal(resumed.sample(20), fitted(frame, "cgan").sample(20))


def test_a_run_interrupted_before_its_first_look_is_saved_as_plain_json(tmp_path: Path) -> None:
    frame = edge_tables()["only numbers"]
    maker = Synthesizer("cgan", TINY, TrainConfig(**QUICK)).fit(frame, "label", progress=interrupt(2))
    maker.save(tmp_path / "model")
    assert "Infinity" not in (tmp_path / "model" / "config.json").read_text()
    assert Synthesizer.load(tmp_path / "model").report_ == maker.report_


def test_the_sampler_does_not_swallow_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Synthesizer.fit

    def stopped(self: Synthesizer, frame: pd.DataFrame, target: str) -> Synthesizer:
        return fit(self, frame, target, progress=interrupt(50))

    monkeypatch.setattr(Synthesizer, "fit", stopped)
    frame = edge_tables()["only numbers"]
    with pytest.raises(KeyboardInterrupt):
        GANOverSampler(options=TINY, batch_size=16).fit_resample(frame[["a", "b"]], frame["label"])


def test_a_checkpoint_of_another_kind_of_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, config = edge_tables()["only numbers"], TrainConfig(**QUICK, checkpoint_every_s=0)
    folder = tmp_path / "run"
    Synthesizer("cgan", TINY, config).fit(frame, "label", folder=folder, progress=interrupt(6))

    def from_gpu(*args: Any) -> Any:
        start = resumable(*args)
        assert start is not None
        start.state["random"] = start.state["random"][:16].clone()  # as a CUDA generator's state is
        return start

    monkeypatch.setattr(trained, "resumable", from_gpu)
    with pytest.raises(CheckpointError, match="another kind of device"):
        Synthesizer("cgan", TINY, config).fit(frame, "label", folder=folder, resume=True)


def test_a_configuration_that_lacks_something_is_named(tmp_path: Path) -> None:
    fitted(edge_tables()["only numbers"], "cgan").save(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"small_rows"', '"large_rows"'))
    with pytest.raises(CheckpointError, match="lacks 'small_rows'"):
        Synthesizer.load(tmp_path / "model")


class Writer:
    """Stands in for TensorBoard's writer, which the tests do not need."""

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir()
        self.file = Path(folder) / "events"

    def add_scalar(self, name: str, value: float, step: int) -> None:
        with self.file.open("a") as file:
            file.write(f"{step} {name} {value}\n")

    def close(self) -> None:
        pass


def test_tensorboard_stands_beside_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    maker = Synthesizer("cgan", TINY, TrainConfig(**QUICK, checkpoint_every_s=0, tensorboard=True))
    maker.fit(edge_tables()["only numbers"], "label", folder=tmp_path / "run")
    assert "8 generator" in (tmp_path / "run.tensorboard" / "events").read_text()
    assert Synthesizer.load(tmp_path / "run").report_.stopped == "finished"


def test_what_tensorboard_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Synthesizer("cgan", TINY, TrainConfig(**QUICK, tensorboard=True))
    with pytest.raises(ConfigError, match="tensorboard: needs a folder"):
        maker.fit(edge_tables()["only numbers"], "label")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'gantools\[tensorboard\]'"):
        maker.fit(edge_tables()["only numbers"], "label", folder=tmp_path / "run")


@pytest.mark.parametrize("target", [2, "2"])
def test_names_of_columns_that_are_no_text_come_back(tmp_path: Path, target: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(np.column_stack([rng.normal(size=(120, 2)), np.arange(120) % 5 == 0]))
    maker = Synthesizer("tabular", TINY, TrainConfig(**QUICK)).fit(frame, target)
    maker.save(tmp_path / "m")
    for model in (maker, Synthesizer.load(tmp_path / "m")):
        assert model.sample(3).columns.tolist() == [0, 1, 2]
    assert balance(frame, target, synthesizer=maker).frame.columns.tolist() == [0, 1, 2, "is_synthetic"]


def test_wide_tables_have_a_default_of_their_own() -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(60, 70))).add_prefix("x").assign(label=["a", "b"] * 30)
    assert Synthesizer(options=TINY, train=TrainConfig(**QUICK)).fit(wide, "label").model == "tabular"
    assert Synthesizer(options=TINY, train=TrainConfig(**QUICK)).fit(wide[["x1", "label"]], "label").model != "tabular"
    assert Synthesizer("cgan", TINY, TrainConfig(**QUICK)).fit(wide, "label").model == "cgan"
