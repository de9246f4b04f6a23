"""What people and machines are shown: results on stdout, progress on stderr (only when that is a terminal)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

    with CommandProgress() as progress:
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


class CommandProgress:
    """A bar for each stage of a command on stderr, and below how long all of it still takes; silent when stderr is not
    a terminal.

    It is what a workflow takes as `Watch`. Use it as a context manager.
    """

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, TaskID] = {}
        self._end: float | None = None

    def __enter__(self) -> CommandProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn
            from rich.text import Text

            class Bars(Progress):
                def get_renderables(bars) -> Iterator[Any]:  # noqa: N805
                    yield from super().get_renderables()
                    yield Text(self._time_left(), style="dim")

            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=_BAR_WIDTH),
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
        """Show where the training `stage` stands."""
        if self._bars is None:
            return
        counted = f"{progress.step}/{progress.steps}"
        losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
        # what a narrow terminal cuts off comes last
        detail = " · ".join(part for part in (counted, progress.health, losses) if part)
        # rich would take from all columns alike what a long one lacks, until the stage is gone
        room = self._bars.console.width - max(map(len, (*self._tasks, stage))) - _BAR_WIDTH - 3
        self._show(stage, progress.step, progress.steps, detail[: max(room, 0)].rstrip(" ·"))

    def done(self, stage: str, n: int, total: int | None, what: str) -> None:
        """Show how much `stage` has done, of how much: None where that is not known yet."""
        if self._bars is None:
            return
        counted = f"{n:,}" if total is None else f"{n:,}/{total:,}"
        self._show(stage, n, total, f"{counted} {what}" if n else "")

    def left(self, seconds: float) -> None:
        """Show that the whole command still takes about so long."""
        self._end = time.monotonic() + seconds

    def _show(self, stage: str, n: int, total: int | None, detail: str) -> None:
        if stage not in self._tasks:
            for task in self._bars.tasks:  # another stage has begun, so they are done
                whole = task.total or max(1, task.completed)
                self._bars.update(task.id, total=whole, completed=whole)
            self._tasks[stage] = self._bars.add_task(stage, total=total, detail=detail)
        self._bars.update(self._tasks[stage], completed=n, total=total, detail=detail)

    def _time_left(self) -> str:
        return "" if self._end is None else f"about {duration(max(0.0, self._end - time.monotonic()))} left in all"
