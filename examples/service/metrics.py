"""What the service counts of itself, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PATHS = ("/score", "/generate", "/transform", "/health", "/metrics", "/schema")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self, n_waiting: Callable[[], int]) -> None:
        """n_waiting: the rows that wait now."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        held: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("service_requests_total", "Requests answered", ["path", "status"], **held)
        self.errors = Counter("service_errors_total", "Requests answered with 400 or above", ["path", "status"], **held)
        rows = Counter("service_rows_total", "Rows scored or generated, pictures made", ["path"], **held)
        self.rows = {path: rows.labels(path) for path in ("/score", "/generate", "/transform")}
        seconds = Histogram(
            "service_request_seconds",
            "From a request's head to the end of its answer",
            ["path"],
            buckets=SECONDS,
            **held,
        )
        self.batch_rows = Histogram("service_batch_rows", "Rows of one run of a model", buckets=ROWS, **held)
        Gauge("service_queue_rows", "Rows that wait for a run", **held).set_function(n_waiting)
        self.seconds = {path: seconds.labels(path) for path in (*PATHS, "other")}
        self._answered: dict[tuple[str, int], Any] = {}  # looking labels up costs more than counting

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        known = path if path in self.seconds else "other"
        if status >= 400:
            self.errors.labels(known, status).inc()
        counter = self._answered.get((known, status))
        if counter is None:
            counter = self._answered[known, status] = self.requests.labels(known, status)
        counter.inc()
        self.seconds[known].observe(seconds)

    def text(self) -> bytes:
        """All of it in the text format of Prometheus."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts each request and times it."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def noted(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self.app(scope, receive, noted)
        finally:
            self.metrics.answered(scope["path"], status, time.perf_counter() - started)
