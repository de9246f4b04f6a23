"""Devices, and jobs with a process for each."""

from __future__ import annotations

import pytest
import torch

from gantools.errors import ConfigError
from gantools.train.devices import resolve_device


def test_a_device_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(ConfigError, match=r"device: this machine has no 'cuda'"):
        resolve_device("cuda")


def test_a_device_without_float64_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device: .*float64.*use --device cpu"):
        resolve_device("mps")
