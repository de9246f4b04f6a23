"""What people see while they wait."""

from __future__ import annotations

import io
import re

import pytest

from gantools.train.monitor import Progress
from gantools.workflow.augmenting import Part
from gantools_cli.show import CommandProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [64, 80, 100, 200])
def test_a_narrow_terminal_cuts_losses_off_not_the_stage_the_steps_or_the_time(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    losses = {"discriminator": 0.7, "generator": 0.7, "classifier": 4.0, "energy_distance": 0.1}
    with CommandProgress() as show:
        for stage in (Part.TRAIN_TO_JUDGE, Part.TRAIN):
            show(stage, Progress(step=100, steps=2000, seconds=1.0, seconds_left=83.0, losses=losses))
            show.left(83.0)
            show._bars.refresh()
    seen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    for stage in (Part.TRAIN_TO_JUDGE, Part.TRAIN):
        assert re.search(rf"{stage} +\S+ +100/2000", seen), seen
    assert "about 1:23 left in all" in seen
    assert max(map(len, re.split(r"[\r\n]", seen))) <= width
