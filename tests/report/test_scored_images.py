"""The page on scored images shows what the results' JSON says, and names are shown as they are."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from gantools.evaluate.scores import ScoreTally, top_rows
from gantools.report.scored_images import scored_images
from gantools.train.monitor import TrainingHistory


def test_the_page_says_what_the_results_say(
    nasty: str, history: TrainingHistory, words_of: Callable[[str], str]
) -> None:
    frame = pd.DataFrame(
        {
            "file": ["a/1.png", f"a/{nasty}.png", "broken.png"],
            "anomaly_score": [0.7, 4.25, np.nan],
            "p_value": [0.5, 0.01, np.nan],
            "is_anomaly": [False, True, False],
        }
    )
    tally = ScoreTally()
    tally.update(frame[["file"]], frame)
    top = frame.loc[tally.top.index].assign(reason=f"at 3,4 {nasty}")
    pictures = [np.full((5, 8, 3), 90, np.uint8)] * 2
    page = scored_images(nasty, ["2 images scored.", nasty], tally, top, pictures, threshold=1.0, training=history)
    said = words_of(page)
    assert said.count(nasty) >= 5 and "rows" not in said
    assert page.count("data:image/png;base64,") == 2
    assert "2 images scored." in said and "stopped early" in said
    told = json.loads(json.dumps(tally.to_json()))
    assert told["n_unscored"] == 1
    assert f"1 images not flagged {told['n_anomalous']} flagged as anomalous" in said
    for row, word in zip(json.loads(json.dumps([one.to_json() for one in top_rows(top)])), ("flagged", "not flagged"),
                         strict=True):  # fmt: skip
        score = f"Score {row['anomaly_score']:.3g}, p-value {row['p_value']:.2g}, {word}: {row['reason']}."
        assert f"{row['cells']['file']} {score}" in said


def test_every_image_has_its_picture() -> None:
    tally = ScoreTally()
    top = pd.DataFrame({"file": ["a"], "anomaly_score": [1.0], "p_value": [0.1], "is_anomaly": [True], "reason": ["x"]})
    with pytest.raises(ValueError, match="shorter"):
        scored_images("x", [], tally, top, [], threshold=1.0)
