"""What people and machines are shown: results on stdout, progress on stderr (only when that is a terminal)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from gantools.words import duration, legible

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

    from gantools.train.monitor import Progress
    from gantools.workflow.contract import Result

# Wide enough for the schema of most tables where there is no terminal to ask.
WIDTH_WITHOUT_TERMINAL = 160
_BAR_WIDTH = 16


def run_and_show(run: Callable[..., Result], request: Any, as_json: bool) -> None:
    """Run a workflow, with its progress shown, and print its result for people or as JSON."""
    from gantools.workflow.contract import Alert, Table

    with TrainingProgress() as progress:
        result = run(request, progress)
    if as_json:
        print_json(result.to_json())
        return
    for item in result.shown():
        if isinstance(item, Table):
            print_table(item.head, item.rows, title=item.title, right=item.right)
        else:
            click.echo(legible(item.text if isinstance(item, Alert) else item), err=isinstance(item, Alert))


def print_json(payload: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(legible(json.dumps(payload, ensure_ascii=False, allow_nan=False)))


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", right: Iterable[int] = ()
) -> None:
    """A table on stdout. right: indices of the columns to align to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    numbers = set(right)
    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for index, header in enumerate(headers):
        table.add_column(Text(legible(header)), justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        # Text, not str: names of columns and labels may hold what rich reads as markup.
        table.add_row(*(Text(legible(str(cell))) for cell in row))
    console.print(table)


class TrainingProgress:
    """Bars for the stages of training on stderr; silent when stderr is not a terminal.

    Call it with (stage, progress) as often as you like; use it as a context manager.
    """

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, TaskID] = {}
        self._started = 0.0

    def __enter__(self) -> TrainingProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=_BAR_WIDTH),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, progress: Progress) -> None:
        """Show where `stage` stands."""
        if self._bars is None:
            return
        self._end_reading()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=progress.steps, detail="")
        # rich would take from all columns alike what a long one lacks, until stage and steps are gone
        taken = max(map(len, self._tasks)) + _BAR_WIDTH + 2 * len(str(progress.steps)) + 5
        detail = _detail(progress, self._bars.console.width - taken)
        self._bars.update(self._tasks[stage], completed=progress.step, total=progress.steps, detail=detail)

    def rows(self, stage: str, done: int, total: int | None, what: str = "rows") -> None:
        """Show how many rows `stage` has done, of how many: None where that is not known yet. what: if not rows."""
        if self._bars is None:
            return
        if total is not None:
            self._end_reading()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, detail=what)
            self._started = time.monotonic()
        left = (time.monotonic() - self._started) * ((total or done) - done) / max(1, done)
        detail = f"{what} {duration(left)} left" if total is not None else what
        self._bars.update(self._tasks[stage], completed=done, total=total, detail=detail)

    def images(self, stage: str, done: int, total: int | None) -> None:
        """The same for images."""
        self.rows(stage, done, total, "images")

    def _end_reading(self) -> None:
        """Stop the bars of stages whose length was not known: another stage has begun, so they are done."""
        for task in self._bars.tasks:
            if task.total is None:
                self._bars.update(task.id, total=task.completed)


def _detail(progress: Progress, room: int) -> str:
    losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    # what a narrow terminal cuts off comes last
    parts = [f"{duration(progress.seconds_left)} left", progress.health, losses]
    return " · ".join(part for part in parts if part)[: max(room, 0)].rstrip(" ·")
