"""Exported generators of rows, as onnxruntime alone runs them and with the methods of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gantools.augment.synthesizer import Synthesizer
from gantools.errors import ConfigError, ExportError
from gantools.export.file import ExportedFile, export_model
from gantools.export.kinds.table_generator import ExportedGenerator
from gantools.export.runtime import load_exported, open_session


def asked_of(file: ExportedFile, n: int = 50, **more: Any) -> dict[str, Any]:
    width = file.graph.facts["noise_width"]
    noise = np.random.default_rng(0).standard_normal((n, width)).astype(np.float32)
    return {"noise": noise, "label_": np.array(["yes", "no"] * (n // 2), dtype=object), **more}


def test_a_generator_gives_whole_rows(maker_file: ExportedFile, maker: Synthesizer, table: pd.DataFrame) -> None:
    session = open_session(maker_file.path, "cpu")
    names = [value.name for value in session.get_outputs()]
    assert names == [name for name in table.columns if name != "key"]  # identifiers are for who has a register of them
    made = dict(zip(names, session.run(None, asked_of(maker_file)), strict=True))
    assert made["churned"].tolist() == ["yes", "no"] * 25
    assert set(made["city"]) <= set(table["city"]) and set(made["shop"]) <= set(table["shop"])
    assert made["age"].dtype == np.int64 and set(made["threshold"]) <= {0.1, 0.2, 0.3}
    day = 86_400_000_000
    assert (made["joined"] % day == 0).all()
    rows = maker.rows_from(torch.from_numpy(asked_of(maker_file)["noise"]), np.array([1, 0] * 25))
    assert (rows["city"] == made["city"]).all() and (rows["shop"] == made["shop"]).mean() > 0.95
    np.testing.assert_allclose(rows["income"].astype(float), made["income"], atol=0.02)


def test_the_same_noise_gives_the_same_rows_one_by_one(maker_file: ExportedFile) -> None:
    session, asked = open_session(maker_file.path, "cpu"), asked_of(maker_file, 8)
    whole = session.run(["income", "city"], asked)
    single = [
        session.run(["income", "city"], {name: cells[k : k + 1] for name, cells in asked.items()}) for k in range(8)
    ]
    np.testing.assert_allclose(whole[0], np.concatenate([one[0] for one in single]), rtol=1e-5)
    assert whole[1].tolist() == [one[1][0] for one in single]


def test_an_unknown_label_is_an_error(maker_file: ExportedFile) -> None:
    asked = asked_of(maker_file, 2, label_=np.array(["yes", "who knows"], dtype=object))
    with pytest.raises(Exception, match="unknown label in 'label_'"):
        open_session(maker_file.path, "cpu").run(None, asked)
    with pytest.raises(ExportError, match="label_: there is no class 'who knows'; the classes are '"):
        load_exported(maker_file.path, "cpu").run(asked, ["city"])


@pytest.mark.parametrize(("n_noise", "n_labels"), [(2, 1), (1, 2), (0, 2), (1, 0)])
def test_noise_and_labels_of_different_lengths_are_refused(
    maker_file: ExportedFile, n_noise: int, n_labels: int
) -> None:
    asked = asked_of(maker_file, 2)
    with pytest.raises(Exception, match="Non-zero status code"):
        open_session(maker_file.path, "cpu").run(
            ["income"], {"noise": asked["noise"][:n_noise], "label_": asked["label_"][:n_labels]}
        )


def test_decimals_are_the_numbers_that_are_written_so(maker_file: ExportedFile) -> None:
    """67.96 and not 67.96000000000001, as multiples of 0.01 are."""
    income = open_session(maker_file.path, "cpu").run(["income"], asked_of(maker_file, 400))[0]
    income = income[~np.isnan(income)]
    assert (income == [float(f"{value:.2f}") for value in income]).all()


def test_no_rows_are_fine(maker_file: ExportedFile) -> None:
    file = load_exported(maker_file.path, "cpu")
    assert isinstance(file, ExportedGenerator) and len(file.sample(0)) == 0


def test_noise_inside_is_drawn_anew(maker: Synthesizer, tmp_path: Path) -> None:
    file = export_model(maker, tmp_path / "inside.onnx", noise_inside=True)
    session = open_session(file.path, "cpu")
    assert [value.name for value in session.get_inputs()] == ["label_"]
    label = {"label_": np.array(["no"] * 40, dtype=object)}
    first, second = (session.run(["income"], label)[0] for _ in range(2))
    model = load_exported(file.path, "cpu")
    assert isinstance(model, ExportedGenerator) and model.draws_noise
    with pytest.raises(ConfigError, match="seed: has no effect"):
        model.sample(3, seed=1)
    assert first.shape == (40,) and not np.array_equal(first, second, equal_nan=True)


def test_the_same_seed_gives_the_library_s_rows(maker: Synthesizer, maker_file: ExportedFile) -> None:
    model = load_exported(maker_file.path, "cpu")
    assert isinstance(model, ExportedGenerator)
    ours = model.sample({"yes": 30, "no": 10}, seed=3)
    theirs = maker.sample({"yes": 30, "no": 10}, seed=3, refine=False)
    assert list(ours.columns) == list(theirs.columns) and (ours.dtypes == theirs.dtypes).all()
    same = (ours == theirs) | (ours.isna() & theirs.isna())
    assert same.to_numpy().mean() > 0.98
