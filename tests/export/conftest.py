"""A scorer and a generator that were trained for a moment, and their files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gantools import AnomalyScorer
from gantools.augment.synthesizer import Synthesizer
from gantools.config import TrainConfig
from gantools.export import file
from gantools.export.file import ExportedFile, export_model
from gantools.export.graph import Graph, build

TINY = {"width": 16, "steps": 10}


@pytest.fixture(scope="session")
def table(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """All kinds of columns, names that a graph has for itself, decimals, whole floats, pooled levels, an identifier."""
    frame = make_table(300)
    rng = np.random.default_rng(5)
    return frame.assign(
        threshold=rng.choice([0.1, 0.2, 0.3], 300),
        label=rng.choice(["a", "b"], 300),
        visits=rng.integers(0, 9, 300).astype(float),
        moment=1.7e9 + np.round(rng.random(300) * 100, 2),
        shop=[f"shop {k % 130}" for k in range(300)],
        key=[f"k{k:05d}x" for k in rng.permutation(300)],
        wait=pd.to_timedelta(rng.integers(0, 3600, 300), unit="s"),
    )


@pytest.fixture(scope="session")
def scorer(table: pd.DataFrame) -> AnomalyScorer:
    return AnomalyScorer(options=TINY, steps=10, random_state=0, device="cpu").fit(table.drop(columns="churned"))


@pytest.fixture(scope="session")
def maker(table: pd.DataFrame) -> Synthesizer:
    train = TrainConfig(steps=10, batch_size=16, device="cpu")
    return Synthesizer(options=TINY, train=train).fit(table, "churned")


@pytest.fixture(scope="session")
def traced_scorer(scorer: AnomalyScorer) -> Graph:
    """The graph of `scorer`, not yet proven: tracing it is what takes long. To be copied, not changed."""
    return build(scorer)


@pytest.fixture(scope="session")
def traced_maker(maker: Synthesizer) -> Graph:
    """The same of `maker`."""
    return build(maker)


@pytest.fixture(scope="session")
def scorer_file(scorer: AnomalyScorer, traced_scorer: Graph, tmp_path_factory: pytest.TempPathFactory) -> ExportedFile:
    return exported(scorer, traced_scorer, tmp_path_factory.mktemp("exported") / "scorer.onnx")


@pytest.fixture(scope="session")
def maker_file(maker: Synthesizer, traced_maker: Graph, tmp_path_factory: pytest.TempPathFactory) -> ExportedFile:
    return exported(maker, traced_maker, tmp_path_factory.mktemp("exported") / "maker.onnx")


def exported(model: AnomalyScorer | Synthesizer, traced: Graph, path: Path) -> ExportedFile:
    """The file of a model whose graph is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file, "build", lambda *_, **__: copy.deepcopy(traced))
        return export_model(model, path)
