"""Who does the work on many parts: this process, others of this machine, or the actors of Ray Data.

Whoever does it gets a job and says what was found, so that the results are the same.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from gantools.errors import GantoolsError, WorkerError

Job = TypeVar("Job")
Found = TypeVar("Found")
Begin = Callable[[], Callable[[Job], Found]]


def done(begin: Begin[Job, Found], jobs: Sequence[Job], engine: str = "local", workers: int = 1) -> Iterator[Found]:
    """What was found in each job, in order.

    begin: makes what does a job, once in each process; for other processes it must be one that pickle takes. engine:
    "local", or "ray" for workers that are actors of Ray Data. Raises what a job raises; WorkerError where a process
    dies.
    """
    if not jobs:
        return
    if engine == "ray":
        yield from _by_ray(begin, jobs, workers)
    elif workers > 1:
        yield from _by_processes(begin, jobs, workers)
    else:
        yield from map(begin(), jobs)


_work: Callable[[Any], Any] | None = None  # of this process, where it is a worker


def _set_up(begin: Begin[Any, Any], n_threads: int) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = _begun(begin, n_threads)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _begun(begin: Begin[Job, Found], n_threads: int) -> Callable[[Job], Found]:
    """Workers side by side share the cores."""
    work = begin()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)
    return work


def _do(job: Any) -> Any:
    assert _work is not None
    return _work(job)


def _by_processes(begin: Begin[Job, Found], jobs: Sequence[Job], workers: int) -> Iterator[Found]:
    n_threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), multiprocessing.get_context("spawn"), _set_up, (begin, n_threads)
    )
    try:
        yield from pool.map(_do, jobs)
    except BrokenProcessPool as error:
        remedy = "go on with `resume`; with fewer workers if memory is short"
        raise WorkerError("a worker died", remedy=remedy) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Actor:
    """What an actor of Ray Data holds. Errors of ours come back as they are."""

    begin: ClassVar[bytes]
    n_threads: ClassVar[int]

    def __init__(self) -> None:
        self._work = _begun(pickle.loads(self.begin), self.n_threads)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        found: Any
        try:
            found = self._work(pickle.loads(row["job"]))
        except GantoolsError as error:
            found = error
        return {"place": row["place"], "found": pickle.dumps(found)}


def _by_ray(begin: Begin[Job, Found], jobs: Sequence[Job], workers: int) -> Iterator[Found]:
    """Each job is a row of a data set, which as many actors as there are workers go through."""
    ray: Any = importlib.import_module("ray")
    importlib.import_module("ray.data")
    is_mine = not ray.is_initialized()
    if is_mine:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        place: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
        with _silence():
            ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False, **place)
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        n_threads = max(1, (os.cpu_count() or 1) // workers)
        rows = [{"place": place, "job": pickle.dumps(job)} for place, job in enumerate(jobs)]
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            type("Worker", (_Actor,), {"begin": pickle.dumps(begin), "n_threads": n_threads}),
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(jobs))),
        )
        for expected, row in enumerate(found.iter_rows()):
            assert row["place"] == expected
            one = pickle.loads(row["found"])
            if isinstance(one, GantoolsError):
                raise one
            yield one
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[-1]
        raise WorkerError(f"Ray stopped ({said})", remedy="go on with `resume`") from error
    finally:
        if is_mine:
            ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what is written to stderr below Python, where Ray says how it logs, from people."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
