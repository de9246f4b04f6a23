"""Requests that arrive while the model runs are gathered, and the next run takes them together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

Run = Callable[[Sequence[Any]], list[Any]]


class Full(Exception):
    """So many rows wait already that these would wait too long."""


class Closed(Exception):
    """The service is stopping."""


class Job:
    """The rows of one request, and the future of its answers."""

    __slots__ = ("answers", "rows")

    def __init__(self, rows: Sequence[Any], answers: asyncio.Future[list[Any]]) -> None:
        self.rows, self.answers = rows, answers


class Batcher:
    """Takes rows from many requests and gives them to `run` in batches.

    One run is in progress at a time, on the worker. Nothing waits for company: the first request of an idle service
    runs at once, and those that come meanwhile make the next batch.
    """

    def __init__(
        self,
        run: Run,
        worker: Executor,
        *,
        max_batch: int,
        queue: int,
        max_wait_s: float = 0.0,
        alone: bool = False,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """run: rows to as many answers; it is called on the worker. max_batch: rows of one run; a longer request is
        run in parts. queue: rows that may wait. max_wait_s: for how long to wait for a full batch. alone: each request
        is run by itself. on_batch: is told the rows of each run.
        """
        self.run, self.worker, self.alone = run, worker, alone
        self.max_batch, self.queue, self.max_wait_s = max_batch, queue, 0.0 if alone else max_wait_s
        self.on_batch = on_batch
        self.n_waiting = 0  # rows
        self._jobs: deque[Job] = deque()
        self._there = asyncio.Event()
        self._full = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take jobs. Call it in a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Refuse new rows, fail those that wait, and let a run in progress end."""
        self._closed = True
        for job in self._jobs:
            if not job.answers.done():
                job.answers.set_exception(Closed())
        self._jobs.clear()
        self.n_waiting = 0
        self._there.set()
        self._full.set()
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def is_alive(self) -> bool:
        """Whether rows are taken."""
        return not self._closed and self._task is not None and not self._task.done()

    async def submit(self, rows: Sequence[Any]) -> list[Any]:
        """The answers for rows, one each. Raises Full, Closed, or what `run` raised for these rows."""
        if not self.is_alive:
            raise Closed
        if self.n_waiting + len(rows) > self.queue:
            raise Full
        if not rows:
            return []
        job = Job(rows, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self.n_waiting += len(rows)
        self._there.set()
        if self.n_waiting >= self.max_batch:
            self._full.set()
        return await job.answers

    # --- the one task that takes jobs ---

    async def _work(self) -> None:
        while True:
            await self._there.wait()
            if self._closed:
                return
            if self.max_wait_s and self.n_waiting < self.max_batch:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), self.max_wait_s)
            jobs = self._take()
            if jobs:
                await self._answer(jobs)

    def _take(self) -> list[Job]:
        """The jobs of the next batch: the oldest, and those behind it as long as there is room."""
        taken: list[Job] = []
        n = 0
        while self._jobs:
            job = self._jobs[0]
            if taken and (self.alone or n + len(job.rows) > self.max_batch):
                break
            self._jobs.popleft()
            self.n_waiting -= len(job.rows)
            if not job.answers.done():  # its request was given up
                taken.append(job)
                n += len(job.rows)
        if not self._jobs:
            self._there.clear()
        if self.n_waiting < self.max_batch:
            self._full.clear()
        return taken

    async def _answer(self, jobs: list[Job]) -> None:
        rows = jobs[0].rows if len(jobs) == 1 else [row for job in jobs for row in job.rows]
        try:
            answers = await self._in_parts(rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request shall know
            if len(jobs) > 1:  # one request's rows must not fail the others
                for job in jobs:
                    await self._answer([job])
            elif not jobs[0].answers.done():
                jobs[0].answers.set_exception(error)
            return
        start = 0
        for job in jobs:
            end = start + len(job.rows)
            if not job.answers.done():
                job.answers.set_result(answers[start:end])
            start = end

    async def _in_parts(self, rows: Sequence[Any]) -> list[Any]:
        """Runs of at most max_batch rows. Between two of them the worker is free for others."""
        loop = asyncio.get_running_loop()
        answers: list[Any] = []
        for start in range(0, len(rows), self.max_batch):
            part = rows if len(rows) <= self.max_batch else rows[start : start + self.max_batch]
            self.on_batch(len(part))
            answers += await loop.run_in_executor(self.worker, self.run, part)
        return answers
