"""Descriptions as tensors: words whatever their capitals, numbers by their spread, levels by their places."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from gantools.encode.descriptions import LONGEST, UNKNOWN, Descriptions
from gantools.errors import ConfigError

FRAME = pd.DataFrame({"text": ["a red circle", "a blue  square"], "size": [1.0, 3.0], "shape": ["circle", "square"]})
FRAME["new"] = [True, False]
VECTORS = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32)


@pytest.fixture
def fitted() -> Descriptions:
    return Descriptions.fit(FRAME, "text", VECTORS)


def test_words_have_codes_whatever_their_capitals(fitted: Descriptions) -> None:
    assert fitted.words == ("a", "blue", "circle", "red", "square") and fitted.n_words == 3
    codes = fitted.captions(pd.DataFrame({"text": ["A RED Circle", "a", "reD", "a red circle again"]}))
    assert codes is not None
    assert codes.tolist() == [[2, 5, 4], [2, 0, 0], [UNKNOWN, 0, 0], [2, 5, 4]]
    assert fitted.unknown(["a green circle", "green reD"]) == ["green", "reD"]
    assert fitted.vocabulary == 6


def test_numbers_levels_and_vectors_stand_side_by_side(fitted: Descriptions) -> None:
    found = fitted.vectors(FRAME, VECTORS)
    assert found is not None
    assert found.tolist() == [[-1, 1, 0, 0, 1, 0.5, -1], [1, 0, 1, 1, 0, 2, 0]]
    assert fitted.vector_width == 7
    with pytest.raises(ConfigError, match="where: 'shape' was never 'sqare'; did you mean 'square'"):
        fitted.vectors(FRAME.assign(shape="sqare"), VECTORS)


def test_examples_are_of_pictures_that_were_seen(fitted: Descriptions) -> None:
    frame, vectors = fitted.drawn(20, np.random.default_rng(0))
    assert vectors is not None and list(frame.columns) == ["text", "size", "shape", "new"]
    for row, vector in zip(frame.to_dict("records"), vectors, strict=True):
        k = int(row["size"] == 3.0)
        assert row == FRAME.iloc[k].to_dict() and np.array_equal(vector, VECTORS[k])


def test_json_gives_the_same(fitted: Descriptions) -> None:
    again = Descriptions.from_json(fitted.to_json())
    assert again == fitted
    assert torch.equal(again.vectors(FRAME, VECTORS), fitted.vectors(FRAME, VECTORS))


def test_only_what_there_is() -> None:
    text = Descriptions.fit(FRAME[["text"]], "text")
    assert text.vector_width == 0 and text.vectors(FRAME) is None
    plain = Descriptions.fit(FRAME[["size"]])
    assert plain.vocabulary == plain.n_words == 0 and plain.captions(FRAME) is None
    long = Descriptions.fit(pd.DataFrame({"text": ["word " * 100]}), "text")
    assert long.n_words == LONGEST
