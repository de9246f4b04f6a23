"""Requests a second of the service with many clients at once, with batching and without.

    python load_test.py scorer.onnx                 # starts the service itself, once with BATCHING=1, once with 0
    python load_test.py scorer.onnx --in-process    # the batcher alone, without HTTP

A client sends its next request when the last is answered; each holds one row, made up of the model's own levels.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
N_ROWS = 500  # different rows that are sent
WARM_S = 1.0


class Client(asyncio.Protocol):
    """One connection that sends one request after the other. Bare, so that it takes little from the service."""

    def __init__(self, bodies: list[bytes], seconds: list[float], failed: list[bytes]) -> None:
        self.bodies, self.seconds, self.failed = bodies, seconds, failed
        self.got, self.missing, self.running = b"", 0, True
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(random.choice(self.bodies))

    def data_received(self, data: bytes) -> None:
        self.got += data
        head, gap, body = self.got.partition(b"\r\n\r\n")
        if not gap:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self.seconds.append(time.perf_counter() - self.sent)
        if not head.startswith(b"HTTP/1.1 200"):
            self.failed.append(self.got[:300])
        self.got = b""
        if self.running:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def over_http(port: int, bodies: list[bytes], n_clients: int, duration: float) -> tuple[list[float], float]:
    """Seconds of each request, and of all."""
    seconds: list[float] = []
    failed: list[bytes] = []
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(n_clients):
        _, client = await loop.create_connection(lambda: Client(bodies, seconds, failed), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(WARM_S)
    seconds.clear()
    started = time.perf_counter()
    await asyncio.sleep(duration)
    took, found = time.perf_counter() - started, list(seconds)
    for client in clients:
        client.running = False
    await asyncio.gather(*(client.done for client in clients))
    if failed:
        raise SystemExit(f"{len(failed)} requests failed, one with {failed[0].decode(errors='replace')}")
    return found, took


async def in_process(
    scorer: Any, batching: bool, rows: list[Any], n_clients: int, duration: float
) -> tuple[list[float], float]:
    """As `over_http`, with the batcher alone."""
    from batching import Batcher

    worker = ThreadPoolExecutor(1)
    batcher = Batcher(scorer.score, worker, max_batch=64, queue=5000, alone=not batching)
    batcher.start()
    seconds: list[float] = []
    running = True

    async def client() -> None:
        while running:
            sent = time.perf_counter()
            await batcher.submit(scorer.rows([random.choice(rows)]))
            seconds.append(time.perf_counter() - sent)

    clients = [asyncio.create_task(client()) for _ in range(n_clients)]
    await asyncio.sleep(WARM_S)
    seconds.clear()
    started = time.perf_counter()
    await asyncio.sleep(duration)
    took, found = time.perf_counter() - started, list(seconds)
    running = False
    await asyncio.gather(*clients)
    await batcher.close()
    return found, took


def made_up(columns: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """Rows of a model's columns: levels at random, small whole numbers."""
    draw = random.Random(0)
    return [
        {column["name"]: draw.choice(column.get("levels") or range(1, 100)) for column in columns} for _ in range(n)
    ]


def serve(model: str, batching: bool) -> tuple[subprocess.Popen[bytes], int]:
    """The service on a free port, ready."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    environment = {**os.environ, "SCORER": model, "PORT": str(port), "BATCHING": str(int(batching))}
    service = subprocess.Popen([sys.executable, HERE / "app.py"], env=environment)
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
        except OSError:
            if service.poll() is not None:
                raise SystemExit("the service did not start") from None
            time.sleep(0.1)
        else:
            return service, port
    service.kill()
    raise SystemExit("the service did not answer within 30 seconds")


def with_http(model: str, batching: bool, n_clients: int, duration: float) -> tuple[list[float], float]:
    service, port = serve(model, batching)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/schema") as answer:
            columns = json.load(answer)["scorer"]["columns"]
        bodies = []
        for row in made_up(columns, N_ROWS):
            body = json.dumps({"rows": row}).encode()
            head = f"POST /score HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
            bodies.append(head.encode() + body)
        return asyncio.run(over_http(port, bodies, n_clients, duration))
    finally:
        service.terminate()
        service.wait()


def without_http(model: str, batching: bool, n_clients: int, duration: float) -> tuple[list[float], float]:
    from models import Scorer

    scorer = Scorer(model)
    rows = made_up(scorer.described()["columns"], N_ROWS)
    return asyncio.run(in_process(scorer, batching, rows, n_clients, duration))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scorer", help="an exported scorer of tables")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--duration", type=float, default=5.0, help="seconds of each measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, batching on and off by turns")
    parser.add_argument("--in-process", action="store_true", help="leave HTTP out")
    asked = parser.parse_args()
    measure: Callable[..., tuple[list[float], float]] = without_http if asked.in_process else with_http
    found: dict[str, list[tuple[float, float, float]]] = {"on": [], "off": []}
    for _ in range(asked.repeats):
        for batching, all_found in found.items():
            seconds, took = measure(asked.scorer, batching == "on", asked.clients, asked.duration)
            cuts = statistics.quantiles(seconds, n=100)
            all_found.append((len(seconds) / took, 1000 * cuts[49], 1000 * cuts[98]))
            print(f"batching {batching:<4}" + _said(all_found[-1]), flush=True)
    on, off = (tuple(map(statistics.median, zip(*each, strict=True))) for each in found.values())
    print(f"medians  on  {_said(on)}\nmedians  off {_said(off)}")
    print(f"requests/s with batching over without: {on[0] / off[0]:.2f}")


def _said(figures: Sequence[float]) -> str:
    rate, p50, p99 = figures
    return f"{rate:7.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms"


if __name__ == "__main__":
    main()
