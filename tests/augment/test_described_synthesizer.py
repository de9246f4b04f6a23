"""A generator that is told captions, columns and vectors lives the life of the others, exported as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import gantools
from gantools.augment.described_synthesizer import DescribedSynthesizer
from gantools.config import TrainConfig
from gantools.data.images.schema import ImageSchema
from gantools.encode.images import ImageEncoder, ImageLayout, ImageSet
from gantools.errors import ConfigError
from gantools.export.card import write_card

N = 48
TEXTS = ("a dark picture", "a bright picture")
QUICK = TrainConfig(steps=6, batch_size=8, eval_every=3, seed=1, device="cpu")


@pytest.fixture(scope="module")
def data() -> ImageSet:
    """Pictures of 16 pixels, every second one bright."""
    bright = torch.arange(N) % 2
    random = torch.Generator().manual_seed(0)
    images = (torch.randint(0, 60, (N, 1, 16, 16), generator=random) + 180 * bright.view(-1, 1, 1, 1)).byte()
    side = (16, 16, 16)
    schema = ImageSchema(1, None, (), (), N, width=side, height=side, formats={})
    return ImageSet(schema, ImageEncoder(ImageLayout(1, 16)), images, torch.zeros(N, dtype=torch.int64), "light")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    k = np.arange(N)
    return pd.DataFrame({"text": [TEXTS[one % 2] for one in k], "n": k * 1.0, "kind": np.where(k % 3, "x", "y")})


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def saved(data: ImageSet, frame: pd.DataFrame, vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("described") / "model"
    maker = DescribedSynthesizer("dcgan", {"width": 4}, QUICK)
    maker.fit(data, frame, caption="text", vectors=vectors, folder=folder)
    return folder


def test_it_is_saved_and_loaded_and_says_what_it_knows(saved: Path) -> None:
    maker = gantools.load(saved, "cpu")
    assert isinstance(maker, DescribedSynthesizer)
    images, described = maker.sample(5, seed=3)
    assert images.shape == (5, 1, 16, 16) and list(described.columns) == ["text", "n", "kind"]
    assert torch.equal(images, maker.sample(5, seed=3)[0])
    facts = maker.facts()
    assert (facts["caption"], facts["numbers"], facts["categories"], facts["vector_width"]) == (
        "text",
        ["n"],
        ["kind"],
        3,
    )


def test_every_part_of_a_description_changes_the_picture(saved: Path, frame: pd.DataFrame, vectors: np.ndarray) -> None:
    maker = gantools.load(saved, "cpu")
    one, vector = frame.head(1), vectors[:1]
    picture = maker.sample(one, vector, seed=1)[0]
    others = (
        (one.assign(text=TEXTS[1]), vector),
        (one.assign(n=40.0), vector),
        (one.assign(kind="x"), vector),
        (one, -vector),
    )
    for described, given in others:
        assert not torch.equal(maker.sample(described, given, seed=1)[0], picture)
    with pytest.raises(ConfigError, match="vectors: must be 1 rows of 3 numbers"):
        maker.sample(one, vectors[:1, :2])


def test_a_run_goes_on_to_the_bit(
    data: ImageSet, frame: pd.DataFrame, saved: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    def stop(progress: object) -> None:
        if progress.step >= 4:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    config = TrainConfig(**{**QUICK.__dict__, "log_every": 1, "checkpoint_every_s": 0.0})
    given = {"caption": "text", "vectors": vectors, "folder": tmp_path / "run"}
    DescribedSynthesizer("dcgan", {"width": 4}, config).fit(data, frame, **given, progress=stop)
    again = DescribedSynthesizer("dcgan", {"width": 4}, config).fit(data, frame, **given, resume=True)
    assert torch.equal(again.sample(4)[0], gantools.load(saved, "cpu").sample(4)[0])


def test_the_exported_file_reads_captions(saved: Path, tmp_path: Path) -> None:
    """Those of words in other capitals, of unknown words, longer ones and empty ones too."""
    pytest.importorskip("onnxruntime")
    maker = gantools.load(saved, "cpu")
    gantools.export_model(maker, tmp_path / "m.onnx")
    exported = gantools.load_exported(tmp_path / "m.onnx", "cpu")
    card = write_card(tmp_path / "m.onnx", tmp_path / "m.md").read_text()
    assert "any text, such as `a " in card and "any text, such as `a dark picture`; any" not in card
    texts = ["A BRIGHT picture", "a strange picture", " ".join(["picture"] * 9), "", "a  dark   picture "]
    described = pd.DataFrame({"text": texts, "n": np.arange(5.0), "kind": ["x", "y", "x", "y", "x"]})
    vectors = np.ones((5, 3), np.float32)
    ours, theirs = (each.sample(described, vectors, seed=2)[0].int() for each in (exported, maker))
    assert (ours - theirs).abs().max() <= 1
    empty = pd.DataFrame({"text": [""], "n": [0.0], "kind": ["y"]})
    alone = [each.sample(empty, vectors[:1], seed=2)[0].int() for each in (exported, maker)]
    assert (alone[0] - alone[1]).abs().max() <= 1
    with pytest.raises(ConfigError, match="'kind' was never 'z'"):
        exported.sample(described.assign(kind="z"), vectors)
