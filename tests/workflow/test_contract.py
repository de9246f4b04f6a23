"""What all workflows share: plain values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gantools.workflow.contract import plain


def test_json_holds_what_numpy_and_paths_are() -> None:
    held = plain({"a": np.int64(3), "b": np.float32("nan"), "c": Path("x"), "d": (np.bool_(True), np.inf), 1: None})
    assert held == {"a": 3, "b": None, "c": "x", "d": [True, None], "1": None}
